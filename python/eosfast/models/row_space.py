"""First-layer weights only ever move inside the row space of the data: with fewer samples than coordinates a run needs
no more numbers for each neuron than there are samples.

With the factorisation ``X' = Q R`` the columns of Q (d, n) are orthonormal and span that space, whatever the rank of
X, and the samples are ``X Q = R'`` in it. A weight vector w is ``Q (Q' w)`` plus a rest that the data never see;
gradients have no rest. Losses, gradients, Hessian-vector products, norms and eigenvalues are those of the whole space,
but for the zeros that the Hessian has on the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast.remembered import Remembered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eosfast.datasets import Dataset


class RowSpace:
    """n coordinates for the row space of ``X (n, d)``, n < d. O(n^2 d) once, and as much memory as X.

    Householder's factorisation, not the Gram matrix, which would square the condition number.
    """

    def __init__(self, X: NDArray[np.float64]) -> None:
        self._basis, R = np.linalg.qr(X.T)
        self.coordinates = np.ascontiguousarray(R.T)

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return len(self.coordinates)

    def inside(self, W: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coordinates ``W Q`` (m, n) of weight vectors W (m, d)."""
        return np.asarray(W @ self._basis)

    def outside(self, C: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vectors ``C Q'`` (m, d) with the coordinates C (m, n)."""
        return np.asarray(C @ self._basis.T)


_KNOWN: Remembered[RowSpace] = Remembered()


def row_space(data: Dataset) -> RowSpace:
    """Return the row space of the samples, computed once for each Dataset object."""
    return _KNOWN.get(data, lambda: RowSpace(data.X))
