"""``eosfast sweep``: a sweep described in a file, into a store."""

from __future__ import annotations

import argparse
import math
import shutil
import signal
import subprocess
import time
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any, Self

from eosfast.cli.parser import OK, STOPPED, CommandError, needed, store_path

if TYPE_CHECKING:
    from eosfast.job import Job

SHARES = """\
The status of a run, the axes and the variables are those of eosfast.sweep, bit for bit. Relative folders in the file
(cifar10) are meant from where the command is called.

One job of a SLURM array for each part; a job that is stopped or killed is simply submitted again:

  #SBATCH --array=0-63 --cpus-per-task=8 --signal=USR1@60 --requeue
  srun eosfast sweep spec.toml --store out.zarr --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT

SIGTERM and SIGUSR1 let the running block be stored and end the command with status 75. A block takes about a second,
longer where a single run does, or where the grid has so many points that there would be too many files; --dry-run
tells. A second signal gives the block up at once, as Ctrl-C does (status 130). All machines must compute for one
instruction set: EOSFAST_ISA=x86_64_v3, say, where they differ.
"""


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    sweep = commands.add_parser(
        "sweep",
        help="run the sweep that a file describes, into a store",
        description="Run the sweep that SPEC describes, block by block, into a Zarr store, which any Zarr reader opens "
        "at any time. The same command goes on where it was stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    sweep.explained = _reference
    sweep.add_argument("spec", metavar="SPEC", nargs="?", type=Path, help="what to sweep, see below")
    sweep.add_argument("--store", metavar="DIR", type=store_path, help="the store, made if needed")
    sweep.add_argument("--shard", metavar="i/n", help="only the i-th of n equal parts, counted from 0")
    sweep.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="replace a value, grid.lr=[0.1]")
    sweep.add_argument("--threads", metavar="N", type=int, default=0, help="threads, 0 = all available (the default)")
    sweep.add_argument("--overwrite", action="store_true", help="begin anew where the store holds a sweep")
    sweep.add_argument("--dry-run", action="store_true", help="print runs, blocks, bytes and time, and do nothing")
    sweep.set_defaults(act=_sweep)


def _reference() -> str:
    from eosfast.specification import LAYOUT, reference  # models and data, on first use

    parts = ("SPEC is a TOML file:", indent(LAYOUT, "  "), "types and names, with their keys:", reference(), SHARES)
    return "\n\n".join(part.rstrip() for part in parts)


def _shard(text: str | None) -> tuple[int, int]:
    from eosfast.blocks import shard_of

    if text is None:
        return shard_of(None)
    number, slash, count = text.partition("/")
    if not slash or not number.isdecimal() or not count.isdecimal():
        raise CommandError(f"--shard must be i/n, the i-th of n parts counted from 0, got {text!r}")
    return shard_of((int(number), int(count)))


def _sweep(options: argparse.Namespace) -> int:
    from eosfast import specification
    from eosfast.resources import threads

    needed(options, "spec", *([] if options.dry_run else ["store"]))
    try:
        job = specification.read(options.spec, options.set)
        part, num_threads = _shard(options.shard), threads(options.threads)
        if options.dry_run:
            print(_forecast(job, num_threads, part))
            return OK
        with _Signals() as signals:
            return _carried_out(job, part, num_threads, signals, options)
    except (ValueError, TypeError) as error:
        raise CommandError(str(error)) from None


def _carried_out(
    job: Job, part: tuple[int, int], num_threads: int, signals: _Signals, options: argparse.Namespace
) -> int:
    """Do the sweep, tell what was done, and return the exit status."""
    from eosfast import engine, store, tally
    from eosfast.cli.store_commands import summary

    began = time.perf_counter()
    before = set() if options.overwrite else _done(options.store, job, part)
    ways = engine.Ways(options.store, None, part, options.overwrite, num_threads)
    try:
        engine.into_store(job, ways, progress=True, stopping=signals.heard, notes=_git_state(options.spec))
        interrupted = False
    except KeyboardInterrupt:  # between two blocks
        interrupted = True
    seconds = time.perf_counter() - began
    after = _done(options.store, job, part)
    if after is None:  # interrupted before there was a store
        return signals.status()
    filled = store.Store.opened(options.store, job)
    mine = range(part[0], len(filled.blocks), part[1])
    counts = tally.counts_in(filled, after)
    counts["pending"] += sum(filled.blocks.runs_in(block) for block in mine if block not in after)
    steps = tally.counts_in(filled, after - (before or set()))["steps"]
    print(f"shard {part[0]}/{part[1]}: " * (part[1] > 1) + summary(counts))
    print(f"{steps} steps in {seconds:.1f} s, {steps / seconds:.4g} a second; the result is in {options.store}")
    unfinished = len(after) < len(mine)
    return signals.status() if unfinished or interrupted else OK


def _done(path: Path, job: Job, part: tuple[int, int]) -> set[int] | None:
    """Return the blocks of a part that are in the store; None if there is no store."""
    from eosfast.store import Store

    if not (path / "zarr.json").exists():
        return None
    store = Store.opened(path, job)
    return {block for block in range(part[0], len(store.blocks), part[1]) if store.done(block)}


class _Signals:
    """Hears SIGTERM and SIGUSR1, by which batch systems say that the time is up: the first one asks for an end after
    the running block, the next one for an end at once.
    """

    def __init__(self) -> None:
        self.name = ""
        self.before: dict[str, Any] = {}

    def __enter__(self) -> Self:
        for name in ("SIGTERM", "SIGUSR1"):
            if hasattr(signal, name):
                self.before[name] = signal.signal(getattr(signal, name), self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self.before.items():
            signal.signal(getattr(signal, name), handler)

    def _hear(self, number: int, frame: object) -> None:
        again, self.name = bool(self.name), signal.Signals(number).name
        if again:
            raise KeyboardInterrupt

    def heard(self) -> bool:
        """Return whether one of them came."""
        return bool(self.name)

    def status(self) -> int:
        """Return the exit status of a sweep that was stopped by one of them; KeyboardInterrupt if none came."""
        if not self.name:
            raise KeyboardInterrupt
        print(f"stopped by {self.name}: the same command goes on")
        return STOPPED


def _forecast(job: Job, num_threads: int, part: tuple[int, int]) -> str:
    from eosfast.blocks import layout_for, seconds_per_run

    each = seconds_per_run(job, num_threads)
    blocks = layout_for(job, each)
    mine = range(part[0], len(blocks), part[1])
    runs = sum(map(blocks.runs_in, mine))
    lines = {
        "runs": f"{job.num_runs} ({' x '.join(map(str, job.shape))}) of {job.num_steps} steps",
        "blocks": f"{len(blocks)} of {' x '.join(map(str, blocks.chunk))} runs, "
        f"{_duration(each * math.prod(blocks.chunk))} each",
        "files": f"{len(blocks) * len(job.variables())}",
        "bytes": f"{job.num_runs * job.bytes_per_run()}",
        "time": f"about {_duration(each * job.num_runs)} with {num_threads} threads",
    }
    if part != (0, 1):
        lines["shard"] = f"{part[0]}/{part[1]}: {len(mine)} blocks, {runs} runs, about {_duration(each * runs)}"
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

    file = spec.resolve()

    def answer(*words: str) -> str | None:
        done = subprocess.run([git, "-C", str(file.parent), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    commit = answer("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"git": commit + (" with changes" if answer("status", "--porcelain", "--", file.name) else "")}
