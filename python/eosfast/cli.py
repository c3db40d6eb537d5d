"""The command ``eosfast``: reproduce a paper, verify its predictions, tell what is installed.

An error is one line on stderr that says what was wrong and what would be right, nothing on stdout, and exit status 2.
Status 1 means that a check failed, 130 that Ctrl-C ended the command. Matplotlib and xarray load only when something
is computed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from eosfast import build_info, papers
from eosfast._version import __version__
from eosfast.arguments import one_of

if TYPE_CHECKING:
    from eosfast.papers.check import Check
    from eosfast.papers.figure import PaperFigure

COMMANDS = ("reproduce", "verify", "info")
OPTIONS = {  # of each command, and of eosfast itself
    None: ("--help", "--version"),
    "reproduce": ("--figure", "--out", "--data", "--help"),
    "verify": ("--help",),
    "info": ("--help",),
}
OK, CHECK_FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130


class CommandError(Exception):
    """A wrong command line, or a place that cannot be written; the message is the line that the user sees."""


class Parser(argparse.ArgumentParser):
    """Reports errors as `CommandError` instead of printing a usage block."""

    def error(self, message: str) -> NoReturn:
        """Raise a CommandError with argparse's message."""
        raise CommandError(message)


def _parser() -> Parser:
    parser = Parser(
        prog="eosfast",
        description="Gradient descent at the edge of stability: reproduce papers and verify their predictions.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"eosfast {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
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
    commands.add_parser("info", help="versions, instruction set, threads, compiler flags", allow_abbrev=False)
    return parser


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line; `CommandError` if anything in it is unknown."""
    command = next((word for word in argv if not word.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        raise CommandError(f"unknown command {command!r}: must be {one_of(command, COMMANDS)}")
    options, unknown = _parser().parse_known_args(argv)
    if unknown and unknown[0].startswith("-"):
        valid = OPTIONS[options.command]
        raise CommandError(f"unknown option {unknown[0]!r}: must be {one_of(unknown[0], valid)}")
    if unknown:
        raise CommandError(f"unexpected argument {unknown[0]!r} of {options.command}")
    if options.command is None:
        raise CommandError(f"a command is missing: must be {one_of('', COMMANDS)}; eosfast --help describes them")
    return options


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


def _info() -> int:
    facts: dict[str, object] = dict(build_info())
    for package in ("xarray", "h5netcdf", "h5py", "matplotlib", "tqdm"):
        try:
            facts.setdefault(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            facts.setdefault(package, "not installed")
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:<{width}}  {fact}")
    return OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0, or 1 if a check failed, 2 for an error, 130 after Ctrl-C.
    """
    try:
        options = _parsed(sys.argv[1:] if argv is None else argv)
        if options.command == "info":
            return _info()
        return _reproduce(options) if options.command == "reproduce" else _verify(options)
    except BrokenPipeError:  # the reader of stdout, `head` say, has gone
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CHECK_FAILED
    except KeyboardInterrupt:
        status, message = INTERRUPTED, "interrupted"
    except (CommandError, OSError) as error:
        status, message = WRONG_CALL, " ".join(str(error).split())
    # Here and not above: the progress bars of the frames that raised are gone only now, and with them their lines.
    print(f"eosfast: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
