"""The Dataset of a sweep as a file: a table with a row for each run, written piece by piece, or NetCDF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.arguments import objects
from eosfast.blocks import Blocks, chunk_of
from eosfast.resources import require_memory
from eosfast.results import STATUS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERS = 2**22
"""Of a table, in memory at the same time, about."""

LAST = ("num_steps_done", "status", "weights")
"""Variables that come after the others, which are in alphabetic order."""


def netcdf(found: Any, file: Path) -> None:
    """Write the Dataset; ValueError with its size if it does not fit into memory."""
    require_memory(2 * found.nbytes, "the Dataset", "export .csv or .parquet, which are written piece by piece")
    found.load().to_netcdf(file, engine="h5netcdf")


def csv(found: Any, file: Path) -> None:
    """Write a table; numbers have the digits that give them back exactly."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        for number, piece in enumerate(pieces(found)):
            piece.to_csv(stream, index=False, header=number == 0)


def parquet(found: Any, file: Path) -> None:
    """Write a table in row groups; ImportError without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet as format_
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install pyarrow") from None
    writer = None
    try:
        for piece in pieces(found):
            table = pyarrow.Table.from_pandas(piece, preserve_index=False)
            writer = writer or format_.ParquetWriter(file, table.schema)
            writer.write_table(table)
    finally:
        if writer:
            writer.close()


def pieces(found: Any) -> Iterator[Any]:
    """Yield pandas frames that together have a row for each run, in the order of the grid, the last axis fastest."""
    dims, shape = found["status"].dims, found["status"].shape
    columns = len(dims) + len(found.data_vars) + found.sizes.get("parameter", 0)
    parts = Blocks(shape, chunk_of(shape, max(1, NUMBERS // columns)))
    for number in range(len(parts)):
        yield _frame(found, dims, parts.region(number))


def _frame(found: Any, dims: tuple[str, ...], region: tuple[slice, ...]) -> Any:
    """Return a row for each run of a region: the axes and what varies along them, the variables, the weights."""
    import pandas

    piece = found.isel(dict(zip(dims, region, strict=True))).load()
    shape = piece["status"].shape
    columns: dict[str, Any] = {}

    def along(name: str, dim: str, values: Any) -> None:
        at = dims.index(dim)
        whole = values.reshape([-1 if i == at else 1 for i in range(len(dims))])
        columns[name] = np.broadcast_to(whole, shape).ravel()

    for dim, part in zip(dims, region, strict=True):
        if dim not in piece.coords:
            along(dim, dim, np.arange(part.start, part.stop))
        for name in sorted(one for one in piece.coords if piece[one].dims == (dim,)):
            values = piece[name].values
            along(name, dim, objects(values.tolist()) if values.dtype.kind == "U" else values)
    for name in sorted(piece.data_vars, key=lambda name: (LAST.index(name) if name in LAST else -1, name)):
        values = piece[name].transpose(*dims, ...).values
        if name == "status":
            columns[name] = objects(list(STATUS))[values.ravel()]
        elif "parameter" in piece[name].dims:
            rows = values.reshape(-1, values.shape[-1])
            columns |= {f"{name}.{label}": rows[:, i] for i, label in enumerate(piece["parameter"].values)}
        else:
            columns[name] = values.ravel()
    return pandas.DataFrame(columns)
