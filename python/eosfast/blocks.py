"""The parts in which a sweep is done, stored and handed out: boxes of the grid, each a chunk of every variable.

A block takes about a second of work, so that little is lost with a process that is killed, and little is spent on
keeping accounts; it grows where the grid is so large that the chunks would be more files than a file system likes.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eosfast.arguments import Integer, shown

if TYPE_CHECKING:
    from eosfast.job import Job, Region

SECONDS = 1.0
"""Work in a block, about."""

MOST_FILES = 50_000
"""Chunks of all variables together."""

MOST_BYTES = 2**26
"""Results of one block, at most, if it has more than one run."""

PILOT_SECONDS, SMALL_DIM = 0.02, 1000
PILOT_PLACES = (0.1, 0.4, 0.6, 0.9)


@dataclass(frozen=True)
class Blocks:
    """A grid cut into equal boxes, in row-major order; those at the upper ends may be smaller."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of blocks along each dimension."""
        return tuple(-(-size // part) for size, part in zip(self.shape, self.chunk, strict=True))

    def __len__(self) -> int:
        return math.prod(self.counts)

    def place(self, block: int) -> tuple[int, ...]:
        """Return the index of a block along each dimension."""
        return tuple(int(i) for i in np.unravel_index(block, self.counts))

    def region(self, block: int) -> Region:
        """Return the part of the grid that a block covers."""
        corners = [i * part for i, part in zip(self.place(block), self.chunk, strict=True)]
        return tuple(
            slice(corner, min(corner + part, size))
            for corner, part, size in zip(corners, self.chunk, self.shape, strict=True)
        )

    def runs_in(self, block: int) -> int:
        """Return the number of runs of a block."""
        return math.prod(part.stop - part.start for part in self.region(block))


def chunk_of(shape: tuple[int, ...], runs: int) -> tuple[int, ...]:
    """Return the extent of blocks of about `runs` runs: the last dimensions whole, as many as fit, then a part of one,
    in equal parts.
    """
    chunk = [1] * len(shape)
    left = max(1, runs)
    for dim in reversed(range(len(shape))):
        chunk[dim] = min(shape[dim], left)
        if chunk[dim] < shape[dim]:
            parts = -(-shape[dim] // chunk[dim])
            chunk[dim] = -(-shape[dim] // parts)
            break
        left //= shape[dim]
        if left < 1:
            break
    return tuple(chunk)


def layout(job: Job, num_threads: int) -> Blocks:
    """Return the blocks for a job whose blocks are done by `num_threads` threads each."""
    return layout_for(job, seconds_per_run(job, num_threads))


def layout_for(job: Job, seconds: float) -> Blocks:
    """Return the blocks for a job whose runs take so many seconds each."""
    return blocks_of(job.shape, seconds, len(job.variables()), job.bytes_per_run())


def blocks_of(shape: tuple[int, ...], seconds: float, variables: int, num_bytes: int) -> Blocks:
    """Return the blocks for runs of so many seconds, variables and bytes each: about a second of work, more if there
    would be too many files, less if there would be too many bytes.
    """
    most = max(1, MOST_BYTES // num_bytes)
    runs = min(int(min(SECONDS / max(seconds, 1e-12), math.prod(shape))), most)
    blocks = Blocks(shape, chunk_of(shape, runs))
    while len(blocks) * variables > MOST_FILES and runs < min(most, math.prod(shape)):
        runs = min(max(runs, 1) + max(runs, 1) // 8 + 1, most)
        blocks = Blocks(shape, chunk_of(shape, runs))
    return blocks


def seconds_per_run(job: Job, num_threads: int) -> float:
    """Return how long a run takes, about: its beginning and end, and its steps, measured on a few runs from several
    places of the grid, for ever more steps until that takes long enough to be measured, and scaled up.
    """
    together = 64 if job.model.in_lanes else 8 if job.model.dim <= SMALL_DIM else 1
    regions = _pilots(job, together)
    runs: int = sum(math.prod(part.stop - part.start for part in region) for region in regions)
    without_steps = job.with_num_steps(0)
    of_ends = _processor_seconds(without_steps, regions)
    steps = min(1, job.num_steps)
    while True:
        seconds = _processor_seconds(job.with_num_steps(steps), regions) - of_ends
        if seconds >= PILOT_SECONDS or steps == job.num_steps:
            break
        steps = min(8 * steps, job.num_steps)
    of_calls = _processor_seconds(without_steps, _pilots(job, 1)) if runs > len(regions) else 0.0
    total = max(seconds, 0.0) * job.num_steps / max(1, steps) + max(of_ends - of_calls, 0.0)
    return max(total, 1e-6) / runs / num_threads


def _pilots(job: Job, together: int) -> list[Region]:
    """Return regions of about so many runs each from several places of the grid."""
    chunk = chunk_of(job.shape, min(job.num_runs, together))
    corners = [[int(at * (size - part)) for size, part in zip(job.shape, chunk, strict=True)] for at in PILOT_PLACES]
    return [tuple(slice(start, start + part) for start, part in zip(corner, chunk, strict=True)) for corner in corners]


def _processor_seconds(job: Job, regions: list[Region]) -> float:
    """Return how long one thread has the processor for some regions, the least of two times: the first pays for what is
    made once.
    """
    least = math.inf
    for _ in range(2):
        began = time.thread_time()
        if any(job.run(region, 1)[1] for region in regions):
            raise KeyboardInterrupt
        least = min(least, time.thread_time() - began)
        if least > 1.0:
            break
    return least


def shard_of(shard: object) -> tuple[int, int]:
    """Return the checked argument `shard`: (0, 1) for None."""
    if shard is None:
        return 0, 1
    if not isinstance(shard, tuple) or len(shard) != 2:
        raise TypeError(f"shard must be a tuple (i, n), the i-th of n parts, counted from 0, got {shown(shard)}")
    number = Integer(least=1).check("n of shard", shard[1])
    return Integer(most=number - 1).check("i of shard", shard[0]), number
