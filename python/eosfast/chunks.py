"""A chunk of a store: a file that appears whole or not at all, with a CRC-32C at its end."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eosfast.job import Variable

CHECKSUM_BYTES = 4


def padded(values: NDArray[Any], shape: tuple[int, ...], variable: Variable) -> NDArray[Any]:
    """Return the values of a chunk: one at an upper end of the grid is as large as the others."""
    dtype = variable.dtype.newbyteorder("<")
    if values.shape == shape:
        return np.ascontiguousarray(values, dtype)
    out = np.full(shape, variable.pending, dtype)
    out[tuple(slice(0, size) for size in values.shape)] = values
    return out


def put(file: str, values: NDArray[Any]) -> None:
    """Write a chunk with its checksum, beside its place, and move it there. Zarr's own way takes twenty times as long,
    which counts when blocks are short.
    """
    from google_crc32c import value  # which Zarr needs

    draft = Path(f"{file}.{uuid.uuid4().hex}.partial")
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as stream:
            stream.write(values.data)
            stream.write(value(values).to_bytes(CHECKSUM_BYTES, "little"))
        draft.replace(file)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def intact(file: str) -> bool:
    """Return whether a chunk has the checksum at its end."""
    from google_crc32c import value  # which Zarr needs

    try:
        content = Path(file).read_bytes()
    except OSError:
        return False
    return int.from_bytes(content[-CHECKSUM_BYTES:], "little") == int(value(content[:-CHECKSUM_BYTES]))


def values_in(file: str, dtype: np.dtype[Any], shape: tuple[int, ...], inside: tuple[int, ...]) -> NDArray[Any]:
    """Return the values of a whole chunk of this shape that lie inside the grid."""
    content = Path(file).read_bytes()
    values = np.frombuffer(content[:-CHECKSUM_BYTES], dtype.newbyteorder("<")).reshape(shape)
    return values[tuple(slice(0, size) for size in inside)]
