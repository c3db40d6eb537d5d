"""``eosfast status``, ``plot`` and ``export``: what is in the store of a sweep, finished or not."""

from __future__ import annotations

import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eosfast.arguments import one_of
from eosfast.cli.parser import OK, CommandError, needed, store_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

PICTURES = (".png", ".pdf", ".svg")
TABLES = (".nc", ".parquet", ".csv")


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    status = commands.add_parser(
        "status", help="how far a store is", description="Print how far a store is.", allow_abbrev=False
    )
    status.set_defaults(act=_status)
    plot = commands.add_parser(
        "plot",
        help="draw a variable of a store over two axes of its grid",
        description="Draw a variable of a store as colour over two axes of its grid; runs that are not done stay grey.",
        allow_abbrev=False,
    )
    plot.set_defaults(act=_plot)
    export = commands.add_parser(
        "export",
        help="write a store as NetCDF, Parquet or CSV",
        description="Write what a store holds. CSV and Parquet have a row for each run, the status as a word and a "
        "column for each weight, and are written piece by piece; NetCDF has the Dataset itself, which must fit into "
        "memory. Parquet needs pyarrow.",
        allow_abbrev=False,
    )
    export.set_defaults(act=_export)
    for command in (status, plot, export):
        command.add_argument("store", metavar="STORE", nargs="?", type=store_path, help="what eosfast sweep has made")
    for name in ("x", "y", "value"):
        plot.add_argument(f"--{name}", metavar="NAME", help="a variable" if name == "value" else "an axis of the grid")
    plot.add_argument(
        "--at", metavar="NAME=VALUE", action="append", default=[], help="where to cut another axis, the nearest value"
    )
    plot.add_argument("--out", metavar="FILE", type=Path, help=f"the picture: {', '.join(PICTURES)}")
    export.add_argument("file", metavar="FILE", nargs="?", type=Path, help=f"ends in {', '.join(TABLES)}")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Make one line of what is wrong with a store: another folder, or a damaged chunk."""
    try:
        yield
    except (KeyError, RuntimeError) as error:
        raise CommandError(_damaged(path, error)) from None
    except ValueError as error:
        raise CommandError(_damaged(path, error) if "checksum" in str(error) else str(error)) from None


def _damaged(path: Path, error: Exception) -> str:
    return f"store {str(path)!r} is damaged ({error}): the sweep that made it, called again, mends it"


def summary(counts: Mapping[str, int]) -> str:
    """Return the number of runs of each status, in words."""
    runs = sum(number for name, number in counts.items() if name != "steps")
    parts = [f"{number} {name}" for name, number in counts.items() if number and name != "steps"]
    return f"{runs} runs{': ' if parts else ''}{', '.join(parts)}; {counts['steps']} steps"


def _status(options: argparse.Namespace) -> int:
    from eosfast import store, tally

    needed(options, "store")
    with _readable(options.store):
        attributes = store.attributes_of(options.store)
        counts = tally.counts_of(options.store)
    runs = sum(number for name, number in counts.items() if name != "steps")
    done = runs - counts["pending"]
    print(f"{done} of {runs} runs done ({100 * done / runs:.1f} %)")
    print(summary(counts))
    seconds = tally.seconds_of(options.store, attributes)
    if done and seconds > 0:
        print(f"{done / seconds:.4g} runs and {counts['steps'] / seconds:.4g} steps a second since it was begun")
    print(f"begun {attributes['created']}, {'ended ' + attributes['ended'] if 'ended' in attributes else 'not ended'}")
    return OK


# ---------------------------------------------------------------------------------------------------------------- plot


def _plot(options: argparse.Namespace) -> int:
    needed(options, "store", "x", "y", "value", "out")
    if options.out.suffix not in PICTURES:
        raise CommandError(f"--out must end in {one_of(options.out.suffix, PICTURES)}, got {str(options.out)!r}")
    _folder_exists("--out", options.out)
    cut = _chosen(options)
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from eosfast import plotting

    with plt.style.context("eosfast.paper"):
        figure, ax = plt.subplots(layout="constrained")
        try:
            plotting.phase_diagram(cut, options.value, ax, x=options.x, y=options.y)
        except ValueError as error:  # an axis whose values repeat
            raise CommandError(str(error)) from None
        ax.set_title(", ".join(_where(cut)), fontsize="medium")
        with _beside(options.out) as draft:
            figure.savefig(draft, format=options.out.suffix[1:])
        plt.close(figure)
    print(options.out)
    return OK


def _where(cut: Any) -> list[str]:
    """Return the values at which the other axes were cut, which need not be those asked for."""
    return [
        f"{name}={one.item():.6g}" if one.dtype.kind == "f" else f"{name}={one.item()}"
        for name, one in cut.coords.items()
        if not one.dims
    ]


def _chosen(options: argparse.Namespace) -> Any:
    """Return the variable over the two axes, NaN where a run is not done, and the status."""
    from eosfast import store
    from eosfast.results import PENDING

    with _readable(options.store):
        found = store.dataset_of(options.store)
    variables = [str(name) for name in found.data_vars]
    if options.value not in variables:
        raise CommandError(f"--value must be {one_of(options.value, variables)}, got {options.value!r}")
    values = found[options.value]
    axes = [str(dim) for dim in values.dims]
    for name in ("x", "y"):
        if getattr(options, name) not in axes:
            given = getattr(options, name)
            raise CommandError(f"--{name} must be {one_of(given, axes)}, got {given!r}")
    if options.x == options.y:
        raise CommandError(f"--x and --y must differ, got {options.x!r} twice")
    others = [dim for dim in axes if dim not in (options.x, options.y)]
    places = dict(_place(found, text, others) for text in options.at)
    if len(places) < len(options.at):
        raise CommandError(f"--at must name each axis once, got {' and '.join(options.at)}")
    left = [dim for dim in others if dim not in places]
    if left:
        raise CommandError(
            f"{options.value!r} has another axis, {left[0]!r}: say where to cut it, --at {left[0]}=VALUE"
        )
    with _readable(options.store):
        cut = found[list(dict.fromkeys((options.value, "status")))].isel(places).load()
    if options.value != "status":
        cut[options.value] = cut[options.value].where(cut["status"] != PENDING)
    return cut


def _place(found: Any, text: str, axes: list[str]) -> tuple[str, int]:
    """Return an axis and the index along it that ``--at NAME=VALUE`` means."""
    import numpy as np

    name, equals, value = text.partition("=")
    if not equals or name not in axes:
        allowed = f"NAME {one_of(name, axes)}" if axes else "where there is another axis than --x and --y"
        raise CommandError(f"--at must be NAME=VALUE, {allowed}, got {text!r}")
    places = found[name].values if name in found.coords else np.arange(found.sizes[name])
    if places.dtype.kind not in "iuf":
        labels = [str(label) for label in places]
        if value not in labels:
            raise CommandError(f"--at {name} must be {one_of(value, labels)}, got {value!r}")
        return name, labels.index(value)
    try:
        number = float(value)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise CommandError(f"--at {name} must be a number, got {value!r}")
    return name, int(np.argmin(np.abs(places - number)))


@contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """Yield the name of another file, which takes the place of this one when it is whole."""
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}.partial")
    try:
        yield draft
        draft.replace(file)
    except OSError as error:
        if error.filename and Path(error.filename) != draft:  # of the store
            raise
        raise OSError(f"{str(file)!r} cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _folder_exists(name: str, file: Path) -> None:
    if not file.parent.is_dir():
        raise CommandError(f"{name} must be in a folder that exists, got {str(file)!r}")


# -------------------------------------------------------------------------------------------------------------- export


def _export(options: argparse.Namespace) -> int:
    from eosfast import store
    from eosfast.cli import tables

    needed(options, "store", "file")
    if options.file.suffix not in TABLES:
        raise CommandError(f"FILE must end in {one_of(options.file.suffix, TABLES)}, got {str(options.file)!r}")
    _folder_exists("FILE", options.file)
    if options.file.is_dir():
        raise CommandError(f"FILE must be a file, got the folder {str(options.file)!r}")
    write = {".nc": tables.netcdf, ".csv": tables.csv, ".parquet": tables.parquet}[options.file.suffix]
    with _readable(options.store):
        found = store.dataset_of(options.store)
        with _beside(options.file) as draft:
            write(found, draft)
    print(options.file)
    return OK
