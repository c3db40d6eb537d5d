"""Diagonal linear networks: least squares on X beta = y with beta = u^2 - v^2, loss |X beta - y|^2 / (2 n).

With g = X'(X beta - y)/n gradient descent multiplies u by 1 - 2 lr g and v by 1 + 2 lr g, so that u v is multiplied, in
every coordinate, by 1 - 4 lr^2 g^2. Gradient flow keeps u v: it ends at the interpolator that `diagonal_flow_limit`
gives. Gradient descent shrinks u v where its gradients were large, and ends near the limit of a flow from a smaller
start. Functions use NumPy alone.

References
----------
Woodworth et al. 2020, "Kernel and rich regimes in overparametrized models" (arXiv 2002.09277), for the flow. Even,
Pesme, Gunasekar, Flammarion 2023, "(S)GD over diagonal linear networks: implicit regularisation, large stepsizes and
edge of stability" (arXiv 2302.08982), for descent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import shown

from .single_neuron import positive


def diagonal_flow_limit(X: ArrayLike, y: ArrayLike, alpha: ArrayLike) -> NDArray[np.float64]:
    """Interpolator at which the gradient flow from u = v = alpha ends: ``beta = 2 alpha^2 sinh(X' nu)`` with X beta =
    y.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Samples, linearly independent.
    y : array_like, shape (n,)
    alpha : array_like, scalar or shape (d,)
        Scale of the start, > 0; for descent, sqrt(u v) at its end.

    Returns
    -------
    ndarray, shape (d,)
        NaN if Newton's method does not converge, as for alpha below about 1e-8.

    Raises
    ------
    ValueError
        Shapes that do not fit, or alpha that is not positive.

    Notes
    -----
    Along the flow log(u/v) stays in the row space of X, and u v at alpha^2. nu minimises the convex function sum_i 2
    alpha_i^2 cosh((X' nu)_i) - y.nu: Newton's method with halved steps, started where alpha is so large that beta is
    linear in nu, and followed down to the alpha asked for.

    Examples
    --------
    >>> diagonal_flow_limit([[1.0, 0.5]], [1.0], 1e-4).round(2).tolist()           # nearly the sparsest solution
    [1.0, 0.0]
    """
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if X.ndim != 2 or y.shape != X.shape[:1]:
        raise ValueError(f"X must be a matrix with a row for each y, got shapes {X.shape} and {y.shape}")
    weight = 2.0 * np.square(np.broadcast_to(positive("alpha", alpha), X.shape[1:]))
    if not np.isfinite(weight).all():
        raise ValueError(f"alpha must be finite, got {shown(alpha)}")
    scale = max(1.0, float(np.max(np.abs(y)) / np.min(weight)))
    nu = np.zeros(len(y))
    for factor in np.geomspace(scale, 1.0, 1 + int(4.0 * np.log10(scale))):
        nu = _interpolating(X, y, weight * factor, nu)
    beta = weight * np.sinh(X.T @ nu)
    return beta if np.linalg.norm(X @ beta - y) <= 1e-8 * np.linalg.norm(y) else np.full_like(beta, np.nan)


def _interpolating(
    X: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64], nu: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return nu with X (weight sinh(X' nu)) = y, from a nearby one."""

    def objective(nu: NDArray[np.float64]) -> float:
        with np.errstate(over="ignore"):
            return float(np.sum(weight * np.cosh(X.T @ nu)) - y @ nu)

    for _ in range(100):
        s = X.T @ nu
        gap = X @ (weight * np.sinh(s)) - y
        if np.linalg.norm(gap) <= 1e-13 * np.linalg.norm(y):
            break
        step = np.linalg.lstsq((X * (weight * np.cosh(s))) @ X.T, -gap, rcond=1e-15)[0]  # nearly singular if sparse
        length, here = 1.0, objective(nu)
        while not objective(nu + length * step) <= here + 1e-4 * length * (gap @ step) and length > 1e-12:
            length /= 2.0
        nu = nu + length * step
    return nu


def diagonal_network_sharpness(X: ArrayLike, u: ArrayLike, v: ArrayLike) -> float:
    """Sharpness at an interpolator, the largest eigenvalue of ``4/n X diag(u^2 + v^2) X'``.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Samples.
    u, v : array_like, shape (d,)
        Weights with X (u^2 - v^2) = y.

    Returns
    -------
    float

    Notes
    -----
    The residuals vanish there, so the Hessian is J'J with J = 2/sqrt(n) X (diag u, -diag v). Derived here.
    """
    X = np.asarray(X, dtype=np.float64)
    size = np.square(np.asarray(u, dtype=np.float64)) + np.square(np.asarray(v, dtype=np.float64))
    return float(4.0 / len(X) * np.linalg.eigvalsh((X * size) @ X.T)[-1])
