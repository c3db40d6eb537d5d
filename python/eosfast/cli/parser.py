"""What the commands share: exit statuses, the error that becomes a line on stderr, a parser that raises it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

OK, CHECK_FAILED, WRONG_CALL, STOPPED, INTERRUPTED = 0, 1, 2, 75, 130


class CommandError(Exception):
    """A wrong command line, or a place that cannot be written; the message is the line that the user sees."""


class Parser(argparse.ArgumentParser):
    """Reports errors as `CommandError` instead of printing a usage block; `explained` makes the end of a long help."""

    explained: Callable[[], str] | None = None

    def format_help(self) -> str:
        """Return the help."""
        if self.explained:
            self.epilog = self.explained()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raise a CommandError with argparse's message."""
        raise CommandError(message)


def store_path(text: str) -> Path:
    """Return the path of a store."""
    from eosfast.store import local

    try:
        return local(text)
    except ValueError as error:
        raise CommandError(str(error)) from None


def options_of(parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """Return the commands of a parser, each with its long options."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {
        name: [text for action in one._actions for text in action.option_strings if text.startswith("--")]
        for name, one in commands.choices.items()
    }


def needed(options: argparse.Namespace, *names: str) -> None:
    """Raise a CommandError if one of these arguments of the command is not given."""
    for name in names:
        if getattr(options, name) is None:
            what = {"spec": "SPEC", "store": "--store" if options.command == "sweep" else "STORE", "file": "FILE"}
            raise CommandError(f"{what.get(name, f'--{name}')} of {options.command} is missing")
