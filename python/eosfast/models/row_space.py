"""First-layer weights only ever move inside the row space of the data: with fewer samples than coordinates a run needs
no more numbers for each neuron than there are samples.

With the Gram matrix ``X X' = U S^2 U'`` the rows of ``Q = S^-1 U' X`` are an orthonormal basis of that space, in which
the samples are ``X Q' = U S``. A weight vector w is ``Q' (Q w)`` plus a rest that the data never see; gradients have no
rest. Losses, gradients, Hessian-vector products, norms and eigenvalues are those of the whole space, but for the zeros
that the Hessian has on the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast.models.remembered import Remembered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eosfast.datasets import Dataset


class RowSpace:
    """Coordinates in the row space of ``X (n, d)``: r <= n of them. O(n^2 d) once, and no memory of size d besides X.

    Singular values below ``sqrt(n eps)`` of the largest are rounding errors of the Gram matrix and count as zero.
    """

    def __init__(self, X: NDArray[np.float64]) -> None:
        values, vectors = np.linalg.eigh(X @ X.T)
        keep = values > len(X) * np.finfo(np.float64).eps * max(values[-1], 0.0)
        singular, U = np.sqrt(values[keep]), vectors[:, keep]
        self.X = X
        self.coordinates = np.ascontiguousarray(U * singular)
        self._to_basis = U / singular

    @property
    def rank(self) -> int:
        """Number of coordinates, r."""
        return int(self.coordinates.shape[1])

    def inside(self, W: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coordinates ``W Q'`` (m, r) of weight vectors W (m, d)."""
        return np.asarray((W @ self.X.T) @ self._to_basis)

    def outside(self, C: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vectors ``C Q`` (m, d) with the coordinates C (m, r)."""
        return np.asarray((C @ self._to_basis.T) @ self.X)


_KNOWN: Remembered[RowSpace] = Remembered()


def row_space(data: Dataset) -> RowSpace:
    """Return the row space of the samples, computed once for each Dataset object."""
    return _KNOWN.get(data, lambda: RowSpace(data.X))
