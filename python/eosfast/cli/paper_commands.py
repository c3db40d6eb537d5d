"""``eosfast reproduce`` and ``eosfast verify``: the papers."""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eosfast import papers
from eosfast.arguments import one_of
from eosfast.cli.parser import CHECK_FAILED, OK, CommandError

if TYPE_CHECKING:
    import argparse

    from eosfast.papers.check import Check
    from eosfast.papers.figure import PaperFigure


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    known = ", ".join(papers.NAMES)
    reproduce = commands.add_parser(
        "reproduce",
        help="draw the figures of a paper and verify its predictions",
        description="Simulate, draw and save the figures of a paper and the table of its checks. Each figure is "
        "written as NAME.png and its data as NAME.nc, the checks as checks.txt and checks.csv; files of these names "
        "are replaced, others left alone. Exit status 1 if a check fails.",
        allow_abbrev=False,
    )
    reproduce.add_argument("paper", metavar="PAPER", nargs="?", help=f"one of: {known}")
    reproduce.add_argument("--figure", metavar="NAME", help="only this figure (and the checks); all by default")
    reproduce.add_argument(
        "--out", metavar="DIR", type=Path, help="folder for all files, made if needed (default: ./PAPER)"
    )
    places = " and ".join(f"{paper} ({data})" for paper, data in papers.WITH_DATA.items())
    reproduce.add_argument(
        "--data", metavar="DIR", type=Path, help=f"folder with the data of the paper, for {places}; never downloaded"
    )
    verify = commands.add_parser(
        "verify",
        help="verify the predictions of papers",
        description="Compute the checks of the papers and print their table. Exit status 1 if one fails.",
        allow_abbrev=False,
    )
    verify.add_argument("papers", metavar="PAPER", nargs="*", help=f"any of: {known} (default: all)")
    reproduce.set_defaults(act=_reproduce)
    verify.set_defaults(act=_verify)


def _paper(name: str | None) -> Any:
    """Return the module of a paper."""
    if name is None:
        raise CommandError(f"the paper to reproduce is missing: must be {one_of('', papers.NAMES)}")
    if name not in papers.NAMES:
        raise CommandError(f"unknown paper {name!r}: must be {one_of(name, papers.NAMES)}")
    return import_module(f"eosfast.papers.{name}")


def _make_writable(folder: Path) -> None:
    """Make the folder if need be, and try that files can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError:
        raise CommandError(f"--out must be a folder, got {str(folder)!r}, which is a file") from None
    except OSError as error:
        raise CommandError(
            f"--out must be a folder that can be written, got {str(folder)!r}: {error.strerror or error}"
        ) from None


def _figures(paper: Any, options: argparse.Namespace) -> dict[str, PaperFigure]:
    """Return the figures of a paper, on the data of ``--data`` where it is given."""
    if options.data is None:
        return dict(paper.figures())
    if options.paper not in papers.WITH_DATA:
        raise CommandError(f"--data is for {one_of('', papers.WITH_DATA)} only: {options.paper} makes its own data")
    try:
        return dict(paper.figures(options.data))
    except (ValueError, OSError) as error:
        raise CommandError(f"--data must be a folder with {papers.WITH_DATA[options.paper]}: {error}") from None


def _reproduce(options: argparse.Namespace) -> int:
    paper = _paper(options.paper)
    names = paper.FIGURE_NAMES if options.figure is None else (options.figure,)
    if names[0] not in paper.FIGURE_NAMES:
        raise CommandError(
            f"unknown figure {names[0]!r} of {options.paper}: must be {one_of(names[0], paper.FIGURE_NAMES)}"
        )
    figures = _figures(paper, options)
    out: Path = Path(options.paper) if options.out is None else options.out
    _make_writable(out)
    from tqdm import tqdm

    with tqdm(total=len(names) + 1, desc=options.paper, unit="part") as bar:
        for name in names:
            bar.set_postfix_str(name)
            figures[name](out, progress=True)
            tqdm.write(f"{out / name}.png, {out / name}.nc", file=sys.stdout)
            bar.update()
        bar.set_postfix_str("checks")
        checks: list[Check] = paper.verify(progress=True)
        bar.update()
    from eosfast.papers.check import format_table, to_csv

    table = format_table(checks)
    (out / "checks.txt").write_text(table + "\n", encoding="utf-8")
    (out / "checks.csv").write_text(to_csv(checks), encoding="utf-8")
    print(f"{out / 'checks.txt'}, {out / 'checks.csv'}\n\n{table}")
    return OK if all(check.passed for check in checks) else CHECK_FAILED


def _verify(options: argparse.Namespace) -> int:
    modules = {name: _paper(name) for name in options.papers or papers.NAMES}
    from eosfast.papers.check import format_table

    passed = True
    for name, paper in modules.items():
        checks: list[Check] = paper.verify(progress=sys.stderr.isatty())
        print(f"{name}\n{format_table(checks)}", flush=True)
        passed = passed and all(check.passed for check in checks)
    return OK if passed else CHECK_FAILED
