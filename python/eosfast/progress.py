"""Progress on stderr: how much is done, how fast, how long it will take."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from eosfast.arguments import Flag

SECONDS_IN_A_FILE = 5.0
"""Between two lines of a bar that goes to a file, the log of a batch job say."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Log:
    """A stream whose failure (a log file on a full disk, a terminal that has gone) is no reason to stop the work. What
    overwrites a line of a terminal is a line of its own in a file.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write the text if that is possible."""
        if not self._stream.isatty():
            text = text.strip()
            text += "\n" if text else ""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Hand on what is buffered if that is possible."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def reporter(progress: bool, total: int, unit: str, done_before: int = 0) -> Iterator[Callable[[int], object] | None]:
    """Yield a function to be told how many of `total` are done, or None if no progress is wanted. `done_before` were
    done at the start, and are not told.
    """
    if not Flag().check("progress", progress) or sys.stderr is None:  # closed before the process began
        yield None
        return
    from tqdm import tqdm

    with tqdm(
        total=total,
        initial=done_before,
        unit=unit,
        unit_scale=total >= 10_000,
        file=_Log(sys.stderr),
        dynamic_ncols=True,
        mininterval=0.1 if sys.stderr.isatty() else SECONDS_IN_A_FILE,
    ) as bar:
        yield lambda done: bar.update(done_before + done - bar.n)
