"""Logistic regression under gradient descent with large step sizes: bounds, limits, and the cascade without separation.

``L(w) = mean_i log(1 + exp(-y_i x_i.w))`` from w_0 = 0 on n samples in the unit ball that a unit vector separates with
margin ``gamma``. Samples outside the unit ball: divide X by their largest norm R, which multiplies w by R and the step
size by R^2. Where the samples are not separable the loss has a minimum, and above the step size 2/lambda_max there the
minimum loses its stability to cycles. Functions use NumPy alone.

References
----------
Wu, Bartlett, Telgarsky, Yu (2024), "Large stepsize gradient descent for logistic loss: non-monotonicity of the loss
improves optimization efficiency", arXiv 2402.15926. Wu, Braverman, Lee (2023), "Implicit bias of gradient descent for
logistic regression at the edge of stability", arXiv 2305.11788. Meng et al. (2024), "Gradient descent on logistic
regression with non-separable data and large step sizes", arXiv 2406.05033.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .edge_phase import largest
from .flip import doubling_cascade
from .margins import hard_margin
from .single_neuron import positive


def logistic_average_bound(t: ArrayLike, lr: ArrayLike, gamma: ArrayLike) -> NDArray[np.float64]:
    """Bound on the mean of the losses L(w_0), ..., L(w_{t-1}), at any step size.

    ``[1 + log^2(gamma^2 lr t) + lr^2/4] / (gamma^2 lr t)``

    Parameters
    ----------
    t : array_like
        Number of steps, > 0.
    lr : array_like
        Step size.
    gamma : array_like
        Margin of the data.

    Returns
    -------
    ndarray

    References
    ----------
    Wu et al. 2024 (arXiv 2402.15926), theorem 1.
    """
    lr = positive("lr", lr)
    time = positive("gamma", gamma) ** 2 * lr * positive("t", t)
    return (1.0 + np.log(time) ** 2 + lr**2 / 4.0) / time


def logistic_stable_bound(
    elapsed: ArrayLike, lr: ArrayLike, gamma: ArrayLike, exponential_loss: ArrayLike
) -> NDArray[np.float64]:
    """Bound on the loss ``elapsed`` steps after it was at or below 1/lr: ``[2 F + log^2(gamma^2 lr elapsed)] / (gamma^2
    lr elapsed)``.

    Parameters
    ----------
    elapsed : array_like
        Steps since then, > 0.
    lr, gamma : array_like
        As in `logistic_average_bound`.
    exponential_loss : array_like
        ``F = mean_i exp(-y_i x_i.w)`` then.

    Returns
    -------
    ndarray

    References
    ----------
    Wu et al. 2024 (arXiv 2402.15926), theorem 1.
    """
    time = positive("gamma", gamma) ** 2 * positive("lr", lr) * positive("elapsed", elapsed)
    return np.asarray((2.0 * np.asarray(exponential_loss, dtype=np.float64) + np.log(time) ** 2) / time)


def logistic_transition_bound(lr: ArrayLike, gamma: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
    """Step by which the loss has been at or below 1/lr, ``60/gamma^2 max(lr, n, e, (lr + n)/lr log((lr + n)/lr))``.

    Parameters
    ----------
    lr, gamma : array_like
        As in `logistic_average_bound`.
    n : array_like
        Number of samples.

    Returns
    -------
    ndarray

    References
    ----------
    Wu et al. 2024 (arXiv 2402.15926), theorem 1.
    """
    lr, n = positive("lr", lr), positive("n", n)
    r = 1.0 + n / lr
    return 60.0 / positive("gamma", gamma) ** 2 * largest(lr, n, math.e, r * np.log(r))


def logistic_accelerated_step(T: ArrayLike, gamma: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Step size ``gamma^2 T/120`` for a budget of T steps, and the bound ``480 log^2(gamma^4 T^2)/(gamma^4 T^2)`` on
    the last loss.

    Parameters
    ----------
    T : array_like
        Number of steps, at least 120 max(e, n)/gamma^2.
    gamma : array_like
        Margin of the data.

    Returns
    -------
    (ndarray, ndarray)
        Step size and bound.

    References
    ----------
    Wu et al. 2024 (arXiv 2402.15926), corollary 2.
    """
    scaled = positive("gamma", gamma) ** 2 * positive("T", T)
    return scaled / 120.0, 480.0 * np.log(scaled**2) ** 2 / scaled**2


def logistic_offset(X: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Where the part of w orthogonal to the max-margin direction converges, at any step size that converges at all.

    The minimiser, among the vectors that the support vectors span orthogonally to the max-margin direction, of ``G(v) =
    sum over support vectors of exp(-y_i x_i.v)``.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Linearly separable samples.
    y : array_like, shape (n,)
        Labels, +1 or -1.

    Returns
    -------
    ndarray, shape (d,)
        NaN where the data are not separable.

    Notes
    -----
    Newton's method with a halved step where needed. Every support vector must have a positive multiplier in
    `hard_margin` (the generic case); otherwise there is no minimiser.

    References
    ----------
    Wu, Braverman, Lee 2023 (arXiv 2305.11788).

    Examples
    --------
    >>> logistic_offset([[1.0, 0.2], [-2.0, 0.2]], [1, 1]).round(12).tolist()    # (-log(2)/3, 0)
    [-0.231049060187, 0.0]
    """
    best = hard_margin(X, y)
    if math.isnan(best.margin):
        return best.direction
    Z = np.asarray(X, dtype=np.float64) * np.asarray(y, dtype=np.float64)[:, None]
    Z = Z[Z @ best.direction <= best.margin * (1.0 + 1e-9)]
    across = Z - np.outer(Z @ best.direction, best.direction)
    _, sizes, basis = np.linalg.svd(across, full_matrices=False)
    basis = basis[sizes > 1e-10 * np.max(np.abs(Z))]
    across = across @ basis.T
    v = np.zeros(len(basis))
    for _ in range(200):
        weights = np.exp(-across @ v)
        gradient = -across.T @ weights
        if np.linalg.norm(gradient) <= 1e-14 * np.sum(weights) * np.max(np.abs(Z)):
            break
        step = np.linalg.solve(across.T @ (weights[:, None] * across), -gradient)
        length = 1.0
        while np.sum(np.exp(-across @ (v + length * step))) > np.sum(weights) and length > 1e-10:
            length /= 2.0
        v = v + length * step
    return np.asarray(basis.T @ v)


# ------------------------------------------------------------------------------------------- one weight, not separable


class LogisticMinimum(NamedTuple):
    """Minimum of a one-dimensional logistic loss: place, curvature, and the step size 2/curvature that it allows."""

    w: float
    curvature: float
    lr: float


def _slope(w: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-np.mean(z / (1.0 + np.exp(np.multiply.outer(w, z))), axis=-1))


def _curvature(w: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.mean((z / (2.0 * np.cosh(np.multiply.outer(w, z) / 2.0))) ** 2, axis=-1))


def logistic_minimum(z: ArrayLike) -> LogisticMinimum:
    """Minimum of ``mean_i log(1 + exp(-z_i w))``, and the step size ``2/L''`` above which gradient descent leaves it.

    Parameters
    ----------
    z : array_like, shape (n,)
        Label times sample, y_i x_i; of both signs.

    Returns
    -------
    LogisticMinimum

    Raises
    ------
    ValueError
        If all z_i have one sign, so that there is no minimum.

    References
    ----------
    Meng et al. 2024 (arXiv 2406.05033).

    Examples
    --------
    >>> round(logistic_minimum([1, 1, 1, -1]).lr, 12)                            # 32/3, at w = log 3
    10.666666666667
    """
    z = np.asarray(z, dtype=np.float64)
    if not (np.any(z > 0.0) and np.any(z < 0.0)):
        raise ValueError("z must have entries of both signs: without them the loss has no minimum")
    low, high = -1.0, 1.0
    while _slope(np.array(low), z) > 0.0:
        low *= 2.0
    while _slope(np.array(high), z) < 0.0:
        high *= 2.0
    for _ in range(200):
        w = 0.5 * (low + high)
        low, high = (low, w) if _slope(np.array(w), z) > 0.0 else (w, high)
    curvature = float(_curvature(np.array(w), z))
    return LogisticMinimum(w, curvature, 2.0 / curvature)


def period_doublings(z: ArrayLike, num: int = 5) -> NDArray[np.float64]:
    """Step sizes at which the attractor of gradient descent on ``mean_i log(1 + exp(-z_i w))`` doubles its period.

    At the first, 2/L'', the minimum gives way to a cycle of period 2, at the next that one to period 4, and so on: a
    period-doubling cascade with Feigenbaum's ratio 4.669. (Some data have a stable cycle beside the minimum already
    below 2/L''; it is not looked for.)

    Parameters
    ----------
    z : array_like, shape (n,)
        Label times sample, y_i x_i; of both signs.
    num : int, default 5
        How many, from 1 to 8.

    Returns
    -------
    ndarray, shape (num,)
        Relative error about 1e-9; NaN from the first one on that was not found.

    Raises
    ------
    ValueError
        As `logistic_minimum`, or ``num`` out of range.

    Notes
    -----
    By `doubling_cascade`: each cycle is followed until its multiplier prod(1 - lr L''(w_i)) is -1.

    References
    ----------
    Meng et al. 2024 (arXiv 2406.05033) describe the cascade; the computation is ours.

    Examples
    --------
    >>> period_doublings([1, 1, 1, -1], num=3).round(4).tolist()
    [10.6667, 14.0542, 15.0101]
    """
    z = np.asarray(z, dtype=np.float64)
    minimum = logistic_minimum(z)

    def step(w: float, lr: float) -> tuple[float, float]:
        here = np.array(w)
        return w - lr * float(_slope(here, z)), 1.0 - lr * float(_curvature(here, z))

    return doubling_cascade(step, minimum.lr, 0.3 * minimum.lr, 0.5, num)
