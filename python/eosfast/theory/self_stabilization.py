"""Self-stabilisation: the displacement x along the top eigenvector and the sharpness 2/lr + y, and what keeps y near 0.

The reduced dynamics near the edge of stability are

    x <- -(1 + lr y) x,        y <- y + lr (alpha - beta x^2 / 2):

the gradient pushes the sharpness up at the rate lr alpha (progressive sharpening), the oscillation x pulls it down.
They are gradient descent on ``SelfStabilization(alpha, beta)``, with y there (2/lr + y)/sqrt(beta) here. As lr -> 0
with lr times the number of steps fixed, log|x| and y move along the closed loops of constant `stabilization_energy`.
Functions use NumPy alone.

References
----------
Damian, Nichani, Lee 2023, "Self-stabilization: the implicit bias of gradient descent at the edge of stability" (arXiv
2209.15594). Berthier 2026, "Multiple timescales of gradient descent at the edge of stability: a perturbative derivation
of the central flow", for the minimal model of `edge_arrival` and `edge_mean`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .single_neuron import positive

NODES = 400
"""Of the quadrature of a period; its error falls exponentially with their number."""


def stabilization_step(
    x: ArrayLike, y: ArrayLike, lr: float, alpha: float = 1.0, beta: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One step of the reduced dynamics.

    Parameters
    ----------
    x, y : array_like
        Displacement along the top eigenvector; sharpness minus 2/lr.
    lr : float
        Step size.
    alpha : float, default 1.0
        Progressive sharpening, -<grad L, grad S>.
    beta : float, default 1.0
        Strength of the restoring force, the squared norm of grad S.

    Returns
    -------
    (ndarray, ndarray)
        The next x and y.

    References
    ----------
    Damian et al. 2023 (arXiv 2209.15594), with grad S projected away from the top eigenvector.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return np.asarray(-(1.0 + lr * y) * x), np.asarray(y + lr * (alpha - beta * x * x / 2.0))


def stabilization_energy(x: ArrayLike, y: ArrayLike, alpha: float = 1.0, beta: float = 1.0) -> NDArray[np.float64]:
    """What the loops conserve, ``y^2/2 + beta/4 (x^2 - delta^2 log(x^2))`` with ``delta^2 = 2 alpha/beta``.

    Parameters
    ----------
    x, y : array_like
        As in `stabilization_step`.
    alpha, beta : float, default 1.0
        As there.

    Returns
    -------
    ndarray
        Least, alpha/2 (1 - log delta^2), at the fixed point x = delta, y = 0.

    Notes
    -----
    The flow conserves it; the map, an explicit Euler step of that flow, does not: on small loops the energy above the
    least one is multiplied by 1 + 2 alpha lr^2 in every step, and runs spiral outwards (derived here).

    References
    ----------
    Damian et al. 2023 (arXiv 2209.15594).
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return np.asarray(y * y / 2.0 + beta / 4.0 * (x * x - 2.0 * alpha / beta * np.log(x * x)))


def stabilization_period(lr: ArrayLike, alpha: ArrayLike = 1.0, start: ArrayLike = 1.0) -> NDArray[np.float64]:
    """Steps that one loop takes: ``2 pi / (lr sqrt(2 alpha))`` for a small one, more for a larger one.

    Parameters
    ----------
    lr : array_like
        Step size, > 0; leading order for lr -> 0.
    alpha : array_like, default 1.0
        Progressive sharpening, > 0. (beta only sets the scale of x.)
    start : array_like, default 1.0
        x/delta where the loop crosses y = 0, at either of its two crossings; > 0. 1 is the limit of small loops.

    Returns
    -------
    ndarray

    Notes
    -----
    With q = log(x/delta) and E = start^2 - 2 log start: T = 2/(lr sqrt(alpha)) times the integral of (E - e^(2q) + 2
    q)^(-1/2) between its two poles. With q = middle + width sin(t) the integrand is smooth and periodic, and the
    midpoint rule converges exponentially. Derived here.

    Examples
    --------
    >>> round(float(stabilization_period(0.01)), 2)
    444.29
    >>> round(float(stabilization_period(0.01, start=1.5)), 1)
    460.7
    """
    X = positive("start", start)
    q0 = np.log(X)
    E = X * X - 2.0 * q0
    low, high = _turning_points(E)
    t = (np.arange(NODES) + 0.5) * math.pi / NODES - math.pi / 2.0
    width = np.maximum((high - low) / 2.0, 1e-300)[..., None]
    q = ((high + low) / 2.0)[..., None] + width * np.sin(t)
    with np.errstate(invalid="ignore", divide="ignore"):
        smooth = width * np.cos(t) / np.sqrt(E[..., None] - np.exp(2.0 * q) + 2.0 * q)
    small = high - low < 1e-4  # rounding would show; the relative error of the limit is of the size of its square
    integral = np.where(small, math.pi / math.sqrt(2.0), np.sum(smooth, axis=-1) * math.pi / NODES)
    return np.asarray(2.0 * integral / (positive("lr", lr) * np.sqrt(positive("alpha", alpha))))


def _turning_points(E: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two roots of e^(2q) - 2 q = E >= 1, by Newton's method from outside."""
    q = np.stack([-E / 2.0, np.sqrt(np.maximum(E - 1.0, 0.0) / 2.0)])
    for _ in range(100):
        slope = 2.0 * np.expm1(2.0 * q)
        excess = np.exp(2.0 * q) - 2.0 * q - E
        q = q - np.divide(excess, slope, out=np.zeros_like(q), where=np.abs(slope) > 1e-12)
    return q[0], q[1]


# ---------------------------------------------------------------------------------------------- the minimal model


def edge_arrival(lr: ArrayLike, eps: ArrayLike, y0: ArrayLike) -> NDArray[np.float64]:
    """Steps until the sharpness reaches 2/lr on ``(y + zeta x) x^2 / 2 - eps (x + y)``: ``(2/lr - y0) / (lr eps)``.

    Parameters
    ----------
    lr : array_like
        Step size, > 0.
    eps : array_like
        Strength of the perturbation, > 0; leading order for eps -> 0.
    y0 : array_like
        Sharpness at the start, at x = 0.

    Returns
    -------
    ndarray

    Notes
    -----
    Below the edge x rests near eps/y and y grows by lr eps in every step. The loss is ``SelfStabilization(alpha=eps,
    beta=1, slope=zeta, tilt=eps)``.

    References
    ----------
    Berthier 2026, k_EoS.

    Examples
    --------
    >>> round(float(edge_arrival(0.3, 1e-3, 5.0)))
    5556
    """
    lr = positive("lr", lr)
    return np.asarray((2.0 / lr - np.asarray(y0, dtype=np.float64)) / (lr * positive("eps", eps)))


def edge_mean(lr: ArrayLike, eps: ArrayLike, zeta: ArrayLike = 1.0) -> NDArray[np.float64]:
    """Where y settles in that model: ``2/lr + (3/2) zeta (3 zeta - 1) lr eps``; the mean of x^2 is 2 eps.

    Parameters
    ----------
    lr, eps : array_like
        As in `edge_arrival`.
    zeta : array_like, default 1.0
        Slope of the valley.

    Returns
    -------
    ndarray
        To first order in eps.

    Notes
    -----
    It settles for zeta > sqrt(2)/3 only: across the valley, s decays at the rate (9/2) zeta^2 lr^2 eps towards this
    cycle, while the explicit step feeds the loops at the rate lr^2 eps (see `stabilization_energy`).

    On the 2-cycle x = m +- s, of which y sees the mean of x^2, stationarity of y gives s^2 + m^2 = 2 eps. With y = 2/lr
    + Y the cycle has lr Y = -3 lr zeta m and 2 m = lr eps - (3/2) lr zeta s^2, so m = lr eps (1 - 3 zeta)/2 and Y = -3
    zeta m. Derived here.

    Examples
    --------
    >>> round(float(edge_mean(0.3, 1e-2)), 5)
    6.67567
    """
    lr, zeta = positive("lr", lr), np.asarray(zeta, dtype=np.float64)
    return np.asarray(2.0 / lr + 1.5 * zeta * (3.0 * zeta - 1.0) * lr * positive("eps", eps))
