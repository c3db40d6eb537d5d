"""Eigenvalues of Hessians, with their certificates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    """The k largest eigenpairs of a symmetric matrix H, each with a bound on its error.

    Parameters
    ----------
    values : ndarray, shape (k,)
        Eigenvalues, descending (largest algebraic first).
    vectors : ndarray, shape (dim, k)
        Orthonormal eigenvectors, one in each column.
    residuals : ndarray, shape (k,)
        ``||H v - value v||``: some eigenvalue of H is at most this far from the value.
    converged : ndarray of bool, shape (k,)
        Whether the residual is at most `tol` times the largest value in magnitude.
    matvecs : int
        Products with H that it took; 0 where the Hessian was formed and solved whole.
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    converged: NDArray[np.bool_]
    matvecs: int

    def __repr__(self) -> str:
        with np.printoptions(precision=6, threshold=8):
            return f"Spectrum(values={self.values}, converged={self.converged}, matvecs={self.matvecs})"
