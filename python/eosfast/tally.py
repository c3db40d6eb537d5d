"""How far a store is: its runs by status, its steps, its time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.blocks import Blocks, chunk_of
from eosfast.chunks import values_in
from eosfast.results import STATUS
from eosfast.store import zarr

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from eosfast.store import Store

PIECE = 2**24
"""Runs that are looked at together."""


def counts_in(store: Store, done: Iterable[int]) -> dict[str, int]:
    """Return how many runs of blocks that are done have each status, and ``steps``, their steps. What others have
    done is not looked at.
    """
    counts, steps = np.zeros(len(STATUS), dtype=np.int64), 0
    variables = store.job.variables()
    for block in done:
        extent = tuple(part.stop - part.start for part in store.blocks.region(block))
        files = dict(zip(variables, (file for file, _ in store.files(block)), strict=True))
        status, taken = (
            values_in(files[name], variables[name].dtype, store.blocks.chunk, extent)
            for name in ("status", "num_steps_done")
        )
        counts += np.bincount(status.ravel(), minlength=len(STATUS))
        steps += int(taken.sum())
    return _counted(counts, steps)


def counts_of(path: Path) -> dict[str, int]:
    """Return how many runs have each status, and ``steps``, the number of steps done; read piece by piece."""
    group = zarr().open_group(path, mode="r")
    counts, steps = np.zeros(len(STATUS), dtype=np.int64), 0
    shape = group["status"].shape
    pieces = Blocks(shape, chunk_of(shape, PIECE))
    for region in map(pieces.region, range(len(pieces))):
        counts += np.bincount(group["status"][region].ravel(), minlength=len(STATUS))
        steps += int(group["num_steps_done"][region].sum())
    return _counted(counts, steps)


def _counted(counts: NDArray[np.int64], steps: int) -> dict[str, int]:
    return dict(zip(STATUS, counts.tolist(), strict=True)) | {"steps": steps}


def seconds_of(path: Path, attributes: dict[str, Any]) -> float:
    """Return how long a sweep took, or has been under way until its latest block."""
    begun = datetime.fromisoformat(attributes["created"]).timestamp()
    if "ended" in attributes:
        return datetime.fromisoformat(attributes["ended"]).timestamp() - begun
    latest = max((one.stat().st_mtime for one in (path / "status").rglob("*") if one.is_file()), default=begun)
    return latest - begun
