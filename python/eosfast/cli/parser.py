"""What the commands share: exit statuses, the error that becomes a line on stderr, a parser that raises it."""

from __future__ import annotations

import argparse
from typing import NoReturn

OK, CHECK_FAILED, WRONG_CALL, STOPPED, INTERRUPTED = 0, 1, 2, 75, 130


class CommandError(Exception):
    """A wrong command line, or a place that cannot be written; the message is the line that the user sees."""


class Parser(argparse.ArgumentParser):
    """Reports errors as `CommandError` instead of printing a usage block."""

    def error(self, message: str) -> NoReturn:
        """Raise a CommandError with argparse's message."""
        raise CommandError(message)


def options_of(parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """Return the commands of a parser, each with its long options."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {
        name: [text for action in one._actions for text in action.option_strings if text.startswith("--")]
        for name, one in commands.choices.items()
    }
