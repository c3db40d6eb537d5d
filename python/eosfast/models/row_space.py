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


BLOCK = 2**15
"""Coordinates of the samples that are handled at a time."""


class RowSpace:
    """n coordinates for the row space of ``X (n, d)``, n < d. O(n^2 d) once, and as much memory as X."""

    def __init__(self, X: NDArray[np.float64]) -> None:
        self.coordinates, self._basis = _cholesky_twice(X) or _householder(X)

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return len(self.coordinates)

    def inside(self, W: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coordinates ``W Q`` (m, n) of weight vectors W (m, d)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(W @ self._basis.T)

    def outside(self, C: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vectors ``C Q'`` (m, d) with the coordinates C (m, n)."""
        return np.asarray(C @ self._basis)


def _cholesky_twice(X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return R' (n, n) and Q' (n, d) from Cholesky factors of Gram matrices, in blocks of coordinates; None if X is so
    ill-conditioned that they do not serve.

    With ``X X' = L L'`` the rows of ``L^-1 X`` are orthonormal up to the square of the condition number in units of the
    last place, and doing it again repairs that (Yamamoto, Nakatsukasa, Yanagisawa, Fukaya 2015). Unlike
    Householder's way it needs no copy of X.
    """
    basis, factors = X, np.eye(len(X))
    for round in range(2):
        gram = basis @ basis.T
        if round and np.abs(gram - np.eye(len(X))).max() > 1e-3:
            return None
        try:
            factor = np.linalg.cholesky(gram)
        except np.linalg.LinAlgError:
            return None
        if not round and np.ptp(np.log(np.diagonal(factor))) > np.log(1e5):
            return None
        if not round:
            basis = np.empty_like(X)
        source = basis if round else X
        for start in range(0, X.shape[1], BLOCK):
            part = slice(start, start + BLOCK)
            basis[:, part] = np.linalg.solve(factor, source[:, part])
        factors = factors @ factor
    return np.tril(factors), basis


def _householder(X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return R' (n, n) and Q' (n, d) for any X, whatever its rank."""
    Q, R = np.linalg.qr(X.T)
    return np.ascontiguousarray(R.T), np.ascontiguousarray(Q.T)


_KNOWN: Remembered[RowSpace] = Remembered()


def row_space(data: Dataset) -> RowSpace:
    """Return the row space of the samples, computed once for each Dataset object."""
    return _KNOWN.get(data, lambda: RowSpace(data.X))
