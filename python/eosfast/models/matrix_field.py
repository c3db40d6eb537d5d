"""Fields of models that hold a matrix or None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eosfast.arguments import finite_array, objects

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class MatrixField:
    """What a field may hold: a finite matrix, whose shape is written as `shape`, or None."""

    shape: str

    def __str__(self) -> str:
        return f"a finite matrix of shape {self.shape}, or None"

    def check(self, name: str, value: Any) -> NDArray[np.float64] | None:
        """Return a read-only copy, or None."""
        if value is None:
            return None
        matrix = finite_array(name, value).copy()
        if matrix.ndim != 2:
            raise ValueError(f"{name} must be {self}, got the shape {matrix.shape}")
        matrix.setflags(write=False)
        return matrix

    def check_all(self, name: str, values: Any) -> NDArray[np.object_]:
        """Return an object array."""
        return objects([self.check(name, value) for value in values])
