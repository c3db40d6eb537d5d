"""The command ``eosfast``: reproduce a paper, verify its predictions, sweep what a file describes, look at the result,
tell what is installed.

An error is one line on stderr that says what was wrong and what would be right, nothing on stdout, and exit status 2.
Status 1 means that a check failed, 75 that a signal stopped a sweep that can go on, 130 that Ctrl-C ended the command.
Matplotlib and xarray load only when something is computed.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import metadata
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from eosfast import build_info
from eosfast._version import __version__
from eosfast.arguments import one_of
from eosfast.cli import paper_commands, store_commands, sweep_commands
from eosfast.cli.parser import CHECK_FAILED, INTERRUPTED, OK, WRONG_CALL, CommandError, Parser, options_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def _info(options: argparse.Namespace) -> int:
    facts: dict[str, object] = dict(build_info())
    for package in ("xarray", "h5netcdf", "h5py", "matplotlib", "tqdm", "zarr", "distributed"):
        try:
            facts.setdefault(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            facts.setdefault(package, "not installed")
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:<{width}}  {fact}")
    return OK


def _parser() -> Parser:
    parser = Parser(
        prog="eosfast",
        description="Gradient descent at the edge of stability: reproduce papers, verify predictions, run sweeps.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"eosfast {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    paper_commands.add(commands)
    sweep_commands.add(commands)
    store_commands.add(commands)
    info = commands.add_parser("info", help="versions, instruction set, threads, compiler flags", allow_abbrev=False)
    info.set_defaults(act=_info)
    return parser


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line; `CommandError` if anything in it is unknown."""
    parser = _parser()
    commands = options_of(parser)
    command = next((word for word in argv if not word.startswith("-")), None)
    if command is not None and command not in commands:
        raise CommandError(f"unknown command {command!r}: must be {one_of(command, commands)}")
    options, unknown = parser.parse_known_args(argv)
    if unknown and unknown[0].startswith("-"):
        valid = ("--help", "--version") if options.command is None else commands[options.command]
        raise CommandError(f"unknown option {unknown[0]!r}: must be {one_of(unknown[0], valid)}")
    if unknown:
        raise CommandError(f"unexpected argument {unknown[0]!r} of {options.command}")
    if options.command is None:
        raise CommandError(f"a command is missing: must be {one_of('', commands)}; eosfast --help describes them")
    return options


def _flush() -> None:
    """Write what was printed, now: at the end of the process an error would be a traceback."""
    if sys.stdout is None:  # closed before the process began
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _forget(sys.stdout)
        raise OSError(f"stdout cannot be written ({error.strerror or error})") from error


def _forget(stream: TextIO) -> None:
    """Send to nowhere what a stream still has to write: Python would try again at the end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _finish_stderr() -> None:
    """Write what is left for stderr. That nobody can read it does not change the exit status."""
    if sys.stderr is not None:
        try:
            sys.stderr.flush()
        except OSError:
            _forget(sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0, or 1 if a check failed, 2 for an error, 75 after a signal, 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a file may have a name that the terminal cannot show
    try:
        return _status_of(argv)
    finally:
        _finish_stderr()


def _status_of(argv: Sequence[str] | None) -> int:
    status = CHECK_FAILED
    try:
        try:
            options = _parsed(sys.argv[1:] if argv is None else argv)
            status = options.act(options)
        except SystemExit as end:  # --help, --version
            status = int(end.code or OK)
        _flush()
        return status
    except BrokenPipeError:  # the reader of stdout, `head` say, has gone
        _forget(sys.stdout)
        return status
    except KeyboardInterrupt:
        status, message = INTERRUPTED, "interrupted"
    except (CommandError, OSError, ImportError) as error:
        status, message = WRONG_CALL, " ".join(str(error).split())
    except MemoryError as error:
        status, message = WRONG_CALL, " ".join(f"the memory does not suffice {error}".split())
    # Here and not above: the progress bars of the frames that raised are gone only now, and with them their lines.
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"eosfast: {message}", file=sys.stderr)
    return status
