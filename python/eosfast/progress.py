"""Progress on stderr: how much is done, how fast, how long it will take."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eosfast.arguments import Flag

SECONDS_IN_A_FILE = 5.0
"""Between two lines of a bar that goes to a file, the log of a batch job say."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def reporter(progress: bool, total: int, unit: str, done_before: int = 0) -> Iterator[Callable[[int], object] | None]:
    """Yield a function to be told how many of `total` are done, or None if no progress is wanted. `done_before` were
    done at the start, and are not told.
    """
    if not Flag().check("progress", progress):
        yield None
        return
    from tqdm import tqdm

    with tqdm(
        total=total,
        initial=done_before,
        unit=unit,
        unit_scale=total >= 10_000,
        file=sys.stderr,
        mininterval=0.1 if sys.stderr.isatty() else SECONDS_IN_A_FILE,
    ) as bar:
        yield lambda done: bar.update(done_before + done - bar.n)
