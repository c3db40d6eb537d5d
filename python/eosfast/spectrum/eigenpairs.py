"""The largest eigenvalues of a symmetric operator, each with its residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Integer, Real, finite_array
from eosfast.spectrum.operators import products_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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
        Whether the residual is at most `tol` times the largest value in magnitude, and nothing is left to suggest that
        a larger eigenvalue was missed.
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


def lanczos(
    operator: Any,
    k: int = 1,
    *,
    v0: ArrayLike | None = None,
    tol: float = 1e-8,
    max_matvecs: int | None = None,
    seed: int = 0,
) -> Spectrum:
    """Return the k largest (algebraic) eigenvalues of a symmetric operator H, each with its residual.

    Block Lanczos with full reorthogonalisation and thick restarts, from k + 1 random vectors, so that repeated and
    clustered eigenvalues are found as often as they occur. A residual proves that a value is an eigenvalue, not that it
    is among the largest: a value counts as converged only when the next Ritz value has settled too or lies far below.

    Parameters
    ----------
    operator : array_like, sparse matrix, LinearOperator, or an object with `shape` and `matvec`
        H, real, symmetric, of shape (dim, dim). `matvec` takes a float64 array of shape (dim,) and returns an array of
        that shape, of any real type; `matmat`, if there is one, the same for (dim, j). Results are float64 whatever the
        operator's type.
    k : int
        How many, from 1 to dim.
    v0 : array_like, shape (dim,), optional
        Guess at the top eigenvector. One wrong guess costs products, never the answer.
    tol : float
        Converged: residual <= `tol` times the largest Ritz value in magnitude. A float32 operator has no digits
        below about 1e-6.
    max_matvecs : int, optional
        Largest number of products. Default: ``10 dim`` between 1000 and 20000, plus ``100 k``.
    seed : int
        Seed of the random start: the same bits every time.

    Returns
    -------
    Spectrum
        Unconverged values are flagged, not raised; where products are not finite, all is NaN.

    Raises
    ------
    ValueError
        A shape that is not square, a matrix that is not symmetric or not finite, `k` > dim, a product of the wrong
        shape.
    TypeError
        Complex values, or an operator that is none of the above. Exceptions of the operator pass through.

    Notes
    -----
    Up to dim = 64, or 4 (k + 1), the matrix is formed by dim products and solved whole. Otherwise the cost is that of
    the products and of about 200 dim operations each; memory is about 80 vectors, fewer where dim exceeds a million.

    References
    ----------
    K. Wu, H. Simon (2000), "Thick-restart Lanczos method for large symmetric eigenvalue problems", SIAM J. Matrix Anal.
    Appl. 22. J. Kuczynski, H. Wozniakowski (1992), "Estimating the largest eigenvalue by the power and Lanczos
    algorithms with a random start", SIAM J. Matrix Anal. Appl. 13.

    Examples
    --------
    >>> import numpy as np
    >>> import eosfast as eos
    >>> float(eos.lanczos(np.diag([1.0, 5.0, -7.0])).values[0])
    5.0

    Anything with `shape` and `matvec` will do, here the Hessian of a loss in PyTorch:

    >>> class Hessian:                                                      # doctest: +SKIP
    ...     def __init__(self, loss, w):
    ...         self.loss, self.w, self.shape = loss, w, (w.numel(), w.numel())
    ...     def matvec(self, v):
    ...         v = torch.as_tensor(v, dtype=self.w.dtype)
    ...         return torch.autograd.functional.vhp(self.loss, self.w, v)[1]
    >>> eos.lanczos(Hessian(loss, w), k=3, tol=1e-4)                        # doctest: +SKIP

    and in JAX:

    >>> class Hessian:                                                      # doctest: +SKIP
    ...     def __init__(self, loss, w):
    ...         self.shape = (w.size, w.size)
    ...         self.matvec = jax.jit(lambda v: jax.jvp(jax.grad(loss), (w,), (v.astype(w.dtype),))[1])
    """
    dim, products = products_of(operator)
    k = Integer(least=1, most=dim).check("k", k)
    tol = float(Real(above=0).check("tol", tol))
    seed = Integer().check("seed", seed)
    most = 0 if max_matvecs is None else Integer(least=1).check("max_matvecs", max_matvecs)
    start = None
    if v0 is not None:
        start = finite_array("v0", v0)
        if start.shape != (dim,):
            raise ValueError(f"v0 must have shape ({dim},), got {start.shape}")
        if not start.any():
            raise ValueError("v0 must not be zero")
    return Spectrum(*core.lanczos(products, dim, k, start, tol, most, seed))
