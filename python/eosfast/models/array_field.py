"""Fields of models that are arrays: what they may hold, and the matrices of which only the diagonals are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eosfast.arguments import finite_array, objects


@dataclass(frozen=True)
class Array:
    """A finite array with so many dimensions, none of extent 0."""

    dims: tuple[str, ...]
    optional: bool = False

    def check(self, name: str, value: Any) -> Any:
        """Return a read-only float64 copy."""
        if value is None and self.optional:
            return None
        array = finite_array(name, value)
        if array.ndim != len(self.dims) or 0 in array.shape:
            shape = f"({', '.join(self.dims)}{',' if len(self.dims) == 1 else ''})"
            raise ValueError(f"{name} must have shape {shape}, none of them 0, got {array.shape}")
        return _read_only(array.copy())

    def check_all(self, name: str, values: Any) -> NDArray[np.object_]:
        """Return an object array of such arrays."""
        return objects([self.check(f"{name}[{i}]", value) for i, value in enumerate(values)])


@dataclass(frozen=True)
class SymmetricMatrices(Array):
    """Matrices Q[0], Q[1], ..., each equal to its transpose."""

    dims: tuple[str, ...] = ("D", "P", "P")

    def check(self, name: str, value: Any) -> NDArray[np.float64]:
        """Return a read-only float64 copy."""
        array: NDArray[np.float64] = super().check(name, value)
        if array.shape[1] != array.shape[2]:
            raise ValueError(f"{name} must have shape (D, P, P), got {array.shape}")
        difference = np.abs(array - array.transpose(0, 2, 1))
        if difference.any():
            a, i, j = map(int, np.unravel_index(np.argmax(difference), array.shape))
            raise ValueError(
                f"{name} must be symmetric in its last two indices, got entries ({a}, {i}, {j}) and ({a}, {j}, {i}) "
                f"that differ by {difference[a, i, j]:.3g}: give (Q + Q.transpose(0, 2, 1)) / 2"
            )
        return array


class ArrayField:
    """A dataclass field that holds an array, and says what may be given for it."""

    def __init__(self, kind: Array) -> None:
        self.kind = kind

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, model: object, owner: type | None = None) -> Any:
        return self if model is None else model.__dict__[self.name]


class Curvatures:
    """The field Q (D, P, P), which is held as its diagonals (D, P) where nothing else differs from 0."""

    kind = SymmetricMatrices()

    def __get__(self, model: object, owner: type | None = None) -> Any:
        if model is None:
            return self
        held: NDArray[np.float64] = model.__dict__["_curvatures"]
        if held.ndim == 3:
            return held
        Q = np.zeros((*held.shape, held.shape[1]))
        np.einsum("aii->ai", Q)[:] = held
        return _read_only(Q)


def diagonals(Q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the diagonals (D, P) of Q (D, P, P) if nothing else differs from 0, else Q itself."""
    found = np.einsum("aii->ai", Q)
    return found.copy() if np.count_nonzero(Q) == np.count_nonzero(found) else Q


def _read_only(array: NDArray[np.float64]) -> NDArray[np.float64]:
    array.setflags(write=False)
    return array
