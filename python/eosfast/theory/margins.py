"""Margins: of a classifier along a run, and the largest one that a data set allows.

With the mean logistic loss ``L(w) = mean_i log(1 + exp(-y_i f(w; x_i)))`` of n samples, Cai et al. follow four margins
of a network with constants (rho, beta, kappa), `Constants`, under gradient descent with step ``lr``:

* normalised ``gamma(w) = min_i y_i f(w; x_i) / ||w||``,  (3)
* smoothed ``gamma_a(w) = -log L / ||w||``,  (8)
* auxiliary ``gamma_b(w) = -log(2 n e^kappa L) / ||w||``,  (9)
* modified ``gamma_c(w) = gamma_b(w) exp((1 + (4 rho^2 + 2 beta) lr) / log(2 n e^kappa L))``.  (10)

While ``L <= 1/(2 n e^(kappa+2))`` they are ordered, gamma_c <= gamma_b <= gamma <= gamma_a, and once the stable phase
has begun gamma_c increases with every step. Functions accept scalars or arrays, use NumPy alone, and return NaN where
a logarithm does not exist.

References
----------
Cai, Wu, Mei, Lindsey, Bartlett (2024), "Large stepsize gradient descent for non-homogeneous two-layer networks: margin
improvement and fast optimization", arXiv 2406.08654; equation numbers are theirs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import finite_array

from .single_neuron import positive


class Constants(NamedTuple):
    """Constants of a network f(w; x) on given samples, for all w (Cai et al. 2024, Assumption 1).

    ``rho`` bounds ||grad_w f||, ``beta`` the Lipschitz constant of grad_w f, and ``kappa`` the distance
    |f - <grad_w f, w>| from a homogeneous function.
    """

    rho: float
    beta: float
    kappa: float


def psi(q: ArrayLike) -> NDArray[np.float64]:
    """Minus the logarithm of the logistic loss of an output, ``psi(q) = -log(log(1 + exp(-q)))``.

    Parameters
    ----------
    q : array_like
        Output times label, y f.

    Returns
    -------
    ndarray
        Increasing; q + o(1) for large q.

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), appendix A.

    Examples
    --------
    >>> float(psi(1000.0))
    1000.0
    """
    q = np.asarray(q, dtype=np.float64)
    small = np.exp(-np.maximum(q, 0.0))  # log(1 + e)/e is 1 in the limit e = 0
    ratio = np.divide(np.log1p(small), small, out=np.ones_like(small), where=small > 0.0)
    return np.asarray(np.where(q > 0.0, q - np.log(ratio), -np.log(np.logaddexp(0.0, -np.minimum(q, 0.0)))))


def iota(s: ArrayLike) -> NDArray[np.float64]:
    """Inverse of `psi`, ``iota(s) = -log(exp(exp(-s)) - 1)``: the output whose loss is exp(-s).

    Parameters
    ----------
    s : array_like
        Minus the logarithm of a loss.

    Returns
    -------
    ndarray

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), appendix A.

    Examples
    --------
    >>> abs(float(iota(psi(0.3))) - 0.3) < 1e-15
    True
    """
    s = np.asarray(s, dtype=np.float64)
    loss = np.exp(-np.maximum(s, 0.0))
    ratio = np.divide(np.expm1(loss), loss, out=np.ones_like(loss), where=loss > 0.0)
    with np.errstate(over="ignore"):
        large = np.exp(-np.minimum(s, 0.0))
    return np.asarray(np.where(s > 0.0, s - np.log(ratio), -large - np.log1p(-np.exp(-large))))


def smallest_output(loss: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
    """Lower bound ``iota(-log L - log n)`` on the smallest y_i f(x_i): no sample has more than the whole loss.

    Parameters
    ----------
    loss : array_like
        Mean logistic loss L.
    n : array_like
        Number of samples.

    Returns
    -------
    ndarray

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), eq. (A.6).
    """
    return iota(-_log(loss) - np.log(positive("n", n)))


def _log(loss: ArrayLike) -> NDArray[np.float64]:
    """Logarithm of a loss: -inf at 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.asarray(loss, dtype=np.float64))


def _excess(loss: ArrayLike, n: ArrayLike, kappa: ArrayLike) -> NDArray[np.float64]:
    """``-log(2 n e^kappa L)``, NaN where that is not positive."""
    excess = -_log(loss) - np.log(2.0 * positive("n", n)) - np.asarray(kappa, dtype=np.float64)
    return np.where(excess > 0.0, excess, np.nan)


def smoothed_margin(loss: ArrayLike, weight_norm: ArrayLike) -> NDArray[np.float64]:
    """Smoothed margin ``gamma_a = -log L / ||w||``, an upper bound on the normalised margin where L <= 1/(2 n).

    Parameters
    ----------
    loss : array_like
        Mean logistic loss L, > 0.
    weight_norm : array_like
        ||w||_2, > 0.

    Returns
    -------
    ndarray

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), eq. (8), and (A.9) for the bound.

    Examples
    --------
    >>> float(smoothed_margin(np.exp(-3.0), 2.0))
    1.5
    """
    return -_log(loss) / positive("weight_norm", weight_norm)


def auxiliary_margin(
    loss: ArrayLike, weight_norm: ArrayLike, n: ArrayLike, kappa: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """Auxiliary margin ``gamma_b = -log(2 n e^kappa L) / ||w||``, a lower bound on the normalised margin once L is
    small.

    Parameters
    ----------
    loss : array_like
        Mean logistic loss L, > 0.
    weight_norm : array_like
        ||w||_2, > 0.
    n : array_like
        Number of samples.
    kappa : array_like, default 0.0
        The network's distance from homogeneity, as in `Constants`.

    Returns
    -------
    ndarray
        NaN where 2 n e^kappa L >= 1. A lower bound where L <= 1/(2 n e^(kappa+2)).

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), eq. (9), and (A.10) for the bound.
    """
    return _excess(loss, n, kappa) / positive("weight_norm", weight_norm)


def log_modified_margin(
    loss: ArrayLike, weight_norm: ArrayLike, n: ArrayLike, lr: ArrayLike, constants: Constants
) -> NDArray[np.float64]:
    """Logarithm of the modified margin gamma_c, which no step of the stable phase decreases.

    ``log gamma_c = log(-log(2 n e^kappa L)) + (1 + (4 rho^2 + 2 beta) lr) / log(2 n e^kappa L) - log ||w||``. At large
    step sizes gamma_c itself is far below anything one can plot.

    Parameters
    ----------
    loss : array_like
        Mean logistic loss L, > 0.
    weight_norm : array_like
        ||w||_2, > 0.
    n : array_like
        Number of samples.
    lr : array_like
        Step size of gradient descent, eta~ in the paper.
    constants : Constants
        Of the network, see `network_constants`.

    Returns
    -------
    ndarray
        NaN where 2 n e^kappa L >= 1.

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), eq. (10); it increases by theorem 2.2 and (A.13).
    """
    excess = _excess(loss, n, constants.kappa)
    slack = 1.0 + (4.0 * constants.rho**2 + 2.0 * constants.beta) * positive("lr", lr)
    return np.log(excess) - slack / excess - np.log(positive("weight_norm", weight_norm))


def log_margin_ratio(loss: ArrayLike, n: ArrayLike, lr: ArrayLike, constants: Constants) -> NDArray[np.float64]:
    """Upper bound on ``log(gamma / gamma_c)`` of the normalised over the modified margin, ``log(1 + c / log(1/L))``.

    Parameters
    ----------
    loss, n, lr, constants
        As in `log_modified_margin`.

    Returns
    -------
    ndarray
        Tends to 0 with the loss, so that both margins have the same limit. Holds where L <= 1/(2 n e^(kappa+2)).

    Notes
    -----
    ``c = (c2 + c1 e^c1 + c1 c2 e^c1) (c2 + 1)`` with ``c1 = 1 + (4 rho^2 + 2 beta) lr``, ``c2 = log(2 n e^kappa)``.

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), eq. (A.12).
    """
    c1 = 1.0 + (4.0 * constants.rho**2 + 2.0 * constants.beta) * positive("lr", lr)
    c2 = np.log(2.0 * positive("n", n)) + constants.kappa
    log_c = np.logaddexp(np.log(c2), c1 + np.log(c1 + c1 * c2)) + np.log(c2 + 1.0)
    return np.asarray(np.logaddexp(0.0, log_c - np.log(-_log(loss))))


# ----------------------------------------------------------------------------------------------- margin of a data set


class HardMargin(NamedTuple):
    """The largest margin of linearly separable data, as `hard_margin` returns it.

    ``direction`` is the unit vector w with the largest ``margin = min_i y_i x_i.w``, and ``multipliers`` >= 0 weigh the
    samples so that ``direction = margin * sum_i multipliers_i y_i x_i``; they are positive only on support vectors.
    """

    direction: NDArray[np.float64]
    margin: float
    multipliers: NDArray[np.float64]


def hard_margin(X: ArrayLike, y: ArrayLike) -> HardMargin:
    """Largest margin ``max_{||w||=1} min_i y_i x_i.w`` of linearly separable data, exactly.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Samples.
    y : array_like, shape (n,)
        Labels, +1 or -1.

    Returns
    -------
    HardMargin
        NaN where no w has a positive margin.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, entries that are not finite numbers, or labels other than +1 and -1.

    Notes
    -----
    The shortest w with y_i x_i.w >= 1 is a least-distance problem; its dual is ``min_{u >= 0} ||Z'u||^2 + (1'u - 1)^2``
    with rows z_i = y_i x_i (Lawson and Hanson, "Solving least squares problems", chapter 23), solved by their active
    set method in finitely many steps of cost O(n d + s^2 (d + s)), s the number of support vectors.

    Examples
    --------
    >>> found = hard_margin([[1.0, 0.2], [-2.0, 0.2], [-1.0, -0.2], [2.0, -0.2]], [1, 1, -1, -1])
    >>> found.direction.round(12).tolist(), round(found.margin, 12)
    ([0.0, 1.0], 0.2)
    """
    X, y = finite_array("X", X), finite_array("y", y)
    if X.ndim != 2 or y.shape != X.shape[:1] or 0 in X.shape:
        raise ValueError(f"X must have shape (n, d) and y (n,), got {X.shape} and {y.shape}")
    if not np.all(np.abs(y) == 1.0):
        raise ValueError("y must hold the labels +1 and -1 only")
    scale = float(np.max(np.linalg.norm(X, axis=1))) or 1.0
    Z = X * y[:, None] / scale
    A = np.vstack([Z.T, np.ones(len(Z))])
    u = _nonnegative_least_squares(A, np.append(np.zeros(X.shape[1]), 1.0))
    w = Z.T @ u  # of the residual (w, 1'u - 1); the solution is w/(1 - 1'u), and 1 - 1'u = ||w||^2 + (1 - 1'u)^2
    norm = float(np.linalg.norm(w))
    if norm <= 1e-12 or not np.min(Z @ w) > 0.0:
        return HardMargin(np.full(X.shape[1], np.nan), math.nan, np.full(len(Z), np.nan))
    direction = w / norm
    margin = float(np.min(Z @ direction)) * scale
    return HardMargin(direction, margin, u / (norm * scale * margin))


def _nonnegative_least_squares(A: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the u >= 0 with the smallest ||A u - b||, by Lawson and Hanson's active set method."""
    u = np.zeros(A.shape[1])
    active = np.zeros(A.shape[1], dtype=bool)
    tolerance = 1e-14 * np.linalg.norm(A, axis=0) * np.linalg.norm(b)
    for _ in range(3 * A.shape[1] + 10):
        gain = np.where(active, -np.inf, A.T @ (b - A @ u) - tolerance)
        if np.max(gain) <= 0.0:
            break
        active[np.argmax(gain)] = True
        while True:
            trial = np.zeros_like(u)
            trial[active] = np.linalg.lstsq(A[:, active], b, rcond=None)[0]
            shrinking = active & (trial <= 0.0)
            if not shrinking.any():
                break
            step = np.min(u[shrinking] / np.maximum(u[shrinking] - trial[shrinking], np.finfo(float).tiny))
            u = u + step * (trial - u)
            active &= u > 1e-15
            u[~active] = 0.0
        u = trial
    return u
