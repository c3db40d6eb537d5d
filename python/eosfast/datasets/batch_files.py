"""The two file formats of CIFAR-10: binary records, and pickles that Python 2 wrote.

A pickle is a program. The unpickler here lets it build containers, strings, numbers and arrays of bytes or integers,
and nothing that it names is ever imported: what stands for NumPy's functions is defined below.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from eosfast.arguments import shown

NUM_CLASSES = 10
NUM_PIXELS = 3 * 32 * 32
RECORD = 1 + NUM_PIXELS
LARGEST_FILE = 256 * 2**20  # an official batch has 30 MB


def read_binary_batch(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return pixels (n, 3072) and labels (n,) of records of 3073 bytes: the label, then the pixels."""
    content = _content(file)
    if not content or len(content) % RECORD:
        whole, rest = divmod(len(content), RECORD)
        raise ValueError(
            f"{str(file)!r} must hold records of {RECORD} bytes, got {whole} of them and {rest} bytes: "
            "truncated, or no binary batch of CIFAR-10"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD)
    return records[:, 1:], _labels(file, records[:, 0])


def read_python_batch(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return pixels (n, 3072) and labels (n,) of a pickled dictionary with ``data`` and ``labels``."""
    content = _content(file)
    try:
        batch = BatchUnpickler(io.BytesIO(content), encoding="bytes").load()
    except ForbiddenError as error:
        what = " ".join(str(error).split())  # a forbidden name may hold line breaks
        raise ValueError(f"{str(file)!r} must be a python batch of CIFAR-10, got a pickle with {what}") from None
    except Exception as error:  # noqa: BLE001 (the bytes of a damaged pickle are instructions: it fails in any way)
        raise ValueError(
            f"{str(file)!r} must be a python batch of CIFAR-10, got a file that is truncated, damaged or no pickle "
            f"({type(error).__name__}: {' '.join(str(error).split())})"
        ) from None
    entries = batch.items() if isinstance(batch, dict) else ()
    named = {_text(key): _value(entry) for key, entry in entries}
    if not {"data", "labels"} <= set(named):
        found = f"a dictionary with {shown(list(named))}" if isinstance(batch, dict) else f"a {type(batch).__name__}"
        raise ValueError(f"{str(file)!r} must hold a dictionary with 'data' and 'labels', got {found}")
    pixels, labels = named["data"], _labels(file, named["labels"])
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (NUM_PIXELS,):
        found = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else f"a {type(pixels).__name__}"
        raise ValueError(f"'data' of {str(file)!r} must be an array uint8 (n, {NUM_PIXELS}), got {found}")
    if len(pixels) != len(labels):
        raise ValueError(f"{str(file)!r} must hold a label for each image, got {len(labels)} for {len(pixels)} images")
    return pixels, labels


def _value(entry: Any) -> Any:
    return entry.values if isinstance(entry, PickledArray) else entry


def _labels(file: Path, labels: Any) -> NDArray[np.uint8]:
    if isinstance(labels, list) and all(type(label) is int for label in labels):
        labels = np.array(labels)
    good = isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iu" and labels.size > 0
    if not good or labels.min() < 0 or labels.max() >= NUM_CLASSES:
        raise ValueError(f"labels of {str(file)!r} must be integers from 0 to {NUM_CLASSES - 1}, got {shown(labels)}")
    small: NDArray[np.uint8] = labels.astype(np.uint8)
    return small


def _content(file: Path) -> bytes:
    size = file.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(f"{str(file)!r} must be a batch of CIFAR-10 of about 30 MB, got a file of {size} bytes")
    return file.read_bytes()


# ------------------------------------------------------------------------------------------------------ the unpickler


class ForbiddenError(Exception):
    """A pickle names something that no batch needs."""


class PickledType:
    """Stands for ``numpy.dtype('u1', False, True)``: an integer type and its byte order, "|" until that is set."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name, self.order = _text(name), "|"

    def __setstate__(self, state: Any) -> None:
        self.order = _text(state[1])

    def values(self, content: Any) -> NDArray[Any]:
        """Return the bytes as a vector of this type."""
        if self.name not in {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} or self.order not in "|<>=":
            raise ForbiddenError(f"an array of type {shown(self.name)}")
        return np.frombuffer(content, dtype=self.order + self.name)


class PickledArray:
    """Stands for an array, empty until its state arrives."""

    def __init__(self, *_: Any) -> None:
        self.values: NDArray[Any] = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, type_, by_columns, content = state
        self.values = type_.values(content).reshape(shape, order="F" if by_columns else "C")


def _from_buffer(content: Any, type_: PickledType, shape: Any, order: str, *_: Any) -> PickledArray:
    array = PickledArray()
    array.__setstate__((1, shape, type_, order == "F", content))
    return array


def _scalar(type_: PickledType, content: Any) -> int:
    return int(type_.values(content)[0])


def _text(value: Any) -> Any:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _encoded(text: str, encoding: Any) -> bytes:
    """Return bytes as Python 3 writes them into a pickle that Python 2 could read."""
    if _text(encoding) != "latin1":
        raise ForbiddenError(f"the encoding {shown(encoding)}")
    return text.encode("latin1")


class Allowed:
    """A function that a pickle may call. It cannot be changed by the pickle, as the function itself could."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise ForbiddenError("an attempt to change a function")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): PickledType,
    ("numpy", "ndarray"): PickledArray,
    ("_codecs", "encode"): _encoded,
}
for core in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
    ALLOWED[f"{core}.multiarray", "_reconstruct"] = PickledArray
    ALLOWED[f"{core}.multiarray", "scalar"] = _scalar
    ALLOWED[f"{core}.numeric", "_frombuffer"] = _from_buffer


class BatchUnpickler(pickle._Unpickler):
    """Reads the pickle of a batch; ForbiddenError at anything that it names beyond `ALLOWED`.

    It is the one in Python: that in C believes a damaged file that speaks of its four billionth object, or of an array
    of many gigabytes, and fills the memory before it looks further.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def load_bytearray8(self: Any) -> None:
        """Read a bytearray that is in the file."""
        size = int.from_bytes(self.read(8), "little")
        content = self.read(min(size, LARGEST_FILE + 1))
        if len(content) != size:
            raise EOFError("pickle data was truncated")
        self.append(bytearray(content))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a global name."""
        if (module, name) not in ALLOWED:
            raise ForbiddenError(f"{module}.{name}, which no batch needs")
        return Allowed(ALLOWED[module, name])

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse a reference to something outside the file."""
        raise ForbiddenError("a reference to something outside the file")
