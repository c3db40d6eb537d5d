"""``eosfast sweep``, ``status``, ``plot`` and ``export``: a sweep described in a file, and its store."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eosfast.arguments import one_of
from eosfast.cli.parser import OK, STOPPED, CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eosfast.blocks import Blocks
    from eosfast.job import Job

SHARES = """\
One job of a SLURM array for each part; a job that is stopped or killed is simply submitted again:

  #SBATCH --array=0-63 --cpus-per-task=8 --signal=USR1@60 --requeue
  eosfast sweep spec.toml --store out.zarr --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT

SIGTERM and SIGUSR1 let the running block be stored and end the command with status 75. All machines must compute for
one instruction set: EOSFAST_ISA=x86_64_v3, say, where they differ.
"""


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    sweep = commands.add_parser(
        "sweep",
        help="run the sweep that a file describes, into a store",
        description="Run the sweep that SPEC describes, block by block, into a Zarr store, which any Zarr reader opens "
        "at any time. The same command goes on where it was stopped.",
        epilog=f"SPEC is a TOML file:\n\n{_indented()}\n{SHARES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    sweep.add_argument("spec", metavar="SPEC", nargs="?", type=Path, help="what to sweep, see below")
    sweep.add_argument("--store", metavar="DIR", type=Path, help="the store, made if needed")
    sweep.add_argument("--shard", metavar="i/n", help="only the i-th of n equal parts, counted from 0")
    sweep.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="replace a value, grid.lr=[0.1]")
    sweep.add_argument("--threads", metavar="N", type=int, default=0, help="threads, 0 = all available (the default)")
    sweep.add_argument("--overwrite", action="store_true", help="begin anew where the store holds a sweep")
    sweep.add_argument("--dry-run", action="store_true", help="print runs, blocks, bytes and time, and do nothing")
    sweep.set_defaults(act=_sweep)
    status = commands.add_parser("status", help="how far a store is", allow_abbrev=False)
    status.add_argument("store", metavar="STORE", nargs="?", type=Path)
    status.set_defaults(act=_status)
    plot = commands.add_parser("plot", help="draw a variable of a store over two axes of its grid", allow_abbrev=False)
    plot.add_argument("store", metavar="STORE", nargs="?", type=Path)
    for name in ("x", "y", "value"):
        plot.add_argument(f"--{name}", metavar="NAME", help="a variable" if name == "value" else "an axis of the grid")
    plot.add_argument("--out", metavar="FILE", type=Path, help="the picture: .png, .pdf or .svg")
    plot.set_defaults(act=_plot)
    export = commands.add_parser("export", help="write a store as NetCDF, Parquet or CSV", allow_abbrev=False)
    export.add_argument("store", metavar="STORE", nargs="?", type=Path)
    export.add_argument("file", metavar="FILE", nargs="?", type=Path, help="ends in .nc, .parquet or .csv")
    export.set_defaults(act=_export)


def _indented() -> str:
    from eosfast.specification import LAYOUT  # models and data, on first use

    return "".join(f"  {line}\n" if line else "\n" for line in LAYOUT.splitlines())


def _needed(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name) is None:
            what = {"spec": "SPEC", "store": "--store" if options.command == "sweep" else "STORE", "file": "FILE"}
            raise CommandError(f"{what.get(name, f'--{name}')} of {options.command} is missing")


# --------------------------------------------------------------------------------------------------------------- sweep


def _shard(text: str | None) -> tuple[int, int]:
    from eosfast.blocks import shard_of

    if text is None:
        return shard_of(None)
    number, slash, count = text.partition("/")
    if not slash or not number.isdecimal() or not count.isdecimal():
        raise CommandError(f"--shard must be i/n, the i-th of n parts counted from 0, got {text!r}")
    return shard_of((int(number), int(count)))


def _sweep(options: argparse.Namespace) -> int:
    from eosfast import engine, specification, store
    from eosfast.blocks import layout
    from eosfast.resources import threads

    _needed(options, "spec", *([] if options.dry_run else ["store"]))
    try:
        job = specification.read(options.spec, options.set)
        part, num_threads = _shard(options.shard), threads(options.threads)
        if options.dry_run:
            print(_forecast(job, layout(job, num_threads), num_threads))
            return OK
        signals = _Signals()
        began = time.perf_counter()
        ways = engine.Ways(options.store, None, part, options.overwrite, num_threads)
        found = engine.into_store(job, ways, progress=True, stopping=signals.heard, notes=_git_state(options.spec))
    except (ValueError, TypeError) as error:
        raise CommandError(str(error)) from None
    print(_summary(store.counts_of(options.store)))
    print(f"{time.perf_counter() - began:.1f} s of wall time; the result is in {options.store}")
    if signals.heard():
        print(f"stopped by {signals.name}: the same command goes on")
        return STOPPED
    if found.attrs["status"] == "interrupted":
        raise KeyboardInterrupt
    return OK


class _Signals:
    """Hears SIGTERM and SIGUSR1, by which batch systems say that the time is up."""

    def __init__(self) -> None:
        self.name = ""
        for name in ("SIGTERM", "SIGUSR1"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._hear)

    def _hear(self, number: int, frame: object) -> None:
        self.name = signal.Signals(number).name

    def heard(self) -> bool:
        """Return whether one of them came."""
        return bool(self.name)


def _forecast(job: Job, blocks: Blocks, num_threads: int) -> str:
    from eosfast.blocks import seconds_per_run

    seconds = seconds_per_run(job, num_threads) * job.num_runs
    lines = {
        "runs": f"{job.num_runs} ({' x '.join(map(str, job.shape))}) of {job.num_steps} steps",
        "blocks": f"{len(blocks)} of {' x '.join(map(str, blocks.chunk))} runs",
        "files": f"{len(blocks) * len(job.variables())}",
        "bytes": f"{job.num_runs * job.bytes_per_run()}",
        "time": f"about {_duration(seconds)} with {num_threads} threads",
    }
    return "\n".join(f"{name:<7} {text}" for name, text in lines.items())


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} seconds"


def _git_state(spec: Path) -> dict[str, str]:
    """Return the commit that the specification is from, if it is in a repository."""
    git = shutil.which("git")
    if git is None:
        return {}

    def answer(*words: str) -> str | None:
        done = subprocess.run(
            [git, "-C", str(spec.resolve().parent), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    commit = answer("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"git": commit + (" with changes" if answer("status", "--porcelain", "--", spec.name) else "")}


# --------------------------------------------------------------------------------------------------------------- store


def _summary(counts: Mapping[str, int]) -> str:
    runs = sum(number for name, number in counts.items() if name != "steps")
    parts = [f"{number} {name}" for name, number in counts.items() if number and name != "steps"]
    return f"{runs} runs: {', '.join(parts)}; {counts['steps']} steps"


def _status(options: argparse.Namespace) -> int:
    from eosfast import store

    _needed(options, "store")
    try:
        attributes = store.attributes_of(options.store)
    except ValueError as error:
        raise CommandError(str(error)) from None
    counts = store.counts_of(options.store)
    runs = sum(number for name, number in counts.items() if name != "steps")
    done = runs - counts["pending"]
    print(f"{done} of {runs} runs done ({100 * done / runs:.1f} %)")
    print(_summary(counts))
    seconds = store.seconds_of(options.store, attributes)
    if done and seconds > 0:
        print(f"{done / seconds:.4g} runs and {counts['steps'] / seconds:.4g} steps a second since it was begun")
    print(f"begun {attributes['created']}, {'ended ' + attributes['ended'] if 'ended' in attributes else 'not ended'}")
    return OK


def _opened(options: argparse.Namespace) -> Any:
    from eosfast import store

    try:
        return store.dataset_of(options.store)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _plot(options: argparse.Namespace) -> int:
    _needed(options, "store", "x", "y", "value", "out")
    if options.out.suffix not in (".png", ".pdf", ".svg"):
        raise CommandError(f"--out must end in .png, .pdf or .svg, got {str(options.out)!r}")
    found = _opened(options)
    if options.value not in found.data_vars:
        raise CommandError(f"--value must be {one_of(options.value, map(str, found.data_vars))}, got {options.value!r}")
    for name in ("x", "y"):
        given = getattr(options, name)
        if given not in found[options.value].dims:
            known = one_of(given, map(str, found[options.value].dims))
            raise CommandError(f"--{name} must be {known}, got {given!r}")
    if options.x == options.y:
        raise CommandError(f"--x and --y must differ, got {options.x!r} twice")
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from eosfast import plotting

    with plt.style.context("eosfast.paper"):
        figure, ax = plt.subplots(layout="constrained")
        plotting.phase_diagram(found, options.value, ax, x=options.x, y=options.y)
        figure.savefig(options.out)
        plt.close(figure)
    print(options.out)
    return OK


def _export(options: argparse.Namespace) -> int:
    _needed(options, "store", "file")
    endings = (".nc", ".parquet", ".csv")
    ending = options.file.suffix
    if ending not in endings:
        raise CommandError(f"FILE must end in {one_of(ending, endings)}, got {str(options.file)!r}")
    found = _opened(options)
    if not options.file.parent.is_dir():
        raise CommandError(f"FILE must be in a folder that exists, got {str(options.file)!r}")
    if ending == ".nc":
        found.load().to_netcdf(options.file, engine="h5netcdf")
    elif ending == ".csv":
        found.to_dataframe().to_csv(options.file)
    else:
        try:
            found.to_dataframe().reset_index().to_parquet(options.file)
        except ImportError as error:
            raise CommandError("Parquet needs pyarrow: pip install pyarrow") from error
    print(options.file)
    return OK
