"""First-layer weights only ever move inside the row space of the data: with fewer samples than coordinates a run needs
no more numbers for each neuron than there are samples.

With the factorisation ``X' = Q R`` the columns of Q (d, n) are orthonormal and span that space, whatever the rank of
X, and the samples are ``X Q = R'`` in it. A weight vector w is ``Q (Q' w)`` plus a rest that the data never see;
gradients have no rest. Losses, gradients, Hessian-vector products, norms and eigenvalues are those of the whole space,
but for the zeros that the Hessian has on the rest.

All of it is done by the compiled core: the bits of NumPy's matrix products and factorisations depend on how many
threads its BLAS has, which differs from worker to worker of one sweep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast._dispatch import core
from eosfast.remembered import Remembered
from eosfast.resources import threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from eosfast.datasets import Dataset


ONE_THREAD = 2**24
"""Multiplications that one thread does before a second one would have begun."""

AT_ONCE = 2**33
"""Multiplications between two looks at Ctrl-C."""


class RowSpace:
    """n coordinates for the row space of ``X (n, d)``, n < d. O(n^2 d) once, and as much memory as X."""

    def __init__(self, X: NDArray[np.float64]) -> None:
        self.size, self.dim = X.shape
        self._space = core.row_space(X, self._threads(self.size))
        self.coordinates = np.tril(self.inside(X))

    def inside(self, W: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coordinates ``W Q`` (m, n) of weight vectors W (m, d)."""
        return self._by_pieces(core.inside, W)

    def outside(self, C: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vectors ``C Q'`` (m, d) with the coordinates C (m, n)."""
        return self._by_pieces(core.outside, C)

    def _threads(self, rows: int) -> int:
        return threads(0) if rows * self.size * self.dim > ONE_THREAD else 1

    def _by_pieces(self, product: Callable[..., NDArray[np.float64]], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        number = max(48, AT_ONCE // (self.size * self.dim))
        pieces = [rows[start : start + number] for start in range(0, len(rows), number)] or [rows]
        done = [product(self._space, piece, self._threads(len(piece))) for piece in pieces]
        return done[0] if len(done) == 1 else np.concatenate(done)


_KNOWN: Remembered[RowSpace] = Remembered()


def row_space(data: Dataset) -> RowSpace:
    """Return the row space of the samples, computed once for each Dataset object."""
    return _KNOWN.get(data, lambda: RowSpace(data.X))
