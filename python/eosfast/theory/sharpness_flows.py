"""Slow drifts along a valley of minima that reduce the sharpness, for three oscillating optimizers.

Each bounces across the valley with period 2 and, averaged over the bounces, moves along it down the gradient of a
function of the sharpness lam, on a time scale of its own:

* normalised gradient descent: ``dX/dtau = -1/4 grad log lam``, tau = lr^2 t;
* gradient descent on sqrt(L): ``dX/dtau = -1/8 grad lam``, tau = lr^2 t, with lam the sharpness of L;
* gradient descent with weight decay on a scale-invariant loss: ``dX/dtau = -2 grad log lam / (4 + |grad log lam|^2)``,
  tau = lr weight_decay t, on the unit sphere, with lam the sharpness there.

(The third in outline, derived here: an oscillation of amplitude u moves the minimum by -u^2 grad log lam in a step, and
the norm by d log |w|^2/dt = 4 u^2 - 2 lr weight_decay, while lam/|w|^2 stays at its threshold; that fixes u.) Here they
are solved on the smallest landscapes that show them, `CurvedValley` and `ScaleInvariant`; the closed forms are derived
here. Functions use NumPy alone.

References
----------
Arora, Li, Panigrahi 2022, "Understanding gradient descent on edge of stability in deep learning" (arXiv 2205.09745):
the first two. Lyu, Li, Arora 2022, "Understanding the generalization benefit of normalization layers: sharpness
reduction" (arXiv 2206.07085): the third.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .single_neuron import positive


def valley_drift(tau: ArrayLike, y0: float = 1.0, root: bool = False) -> NDArray[np.float64]:
    """Position y along the valley x = 0 of ``L = (1 + y^2) x^2`` at time tau = lr^2 t.

    Parameters
    ----------
    tau : array_like
        lr^2 times the number of steps.
    y0 : float, default 1.0
        Start.
    root : bool, default False
        Gradient descent on sqrt(L) (True) or normalised gradient descent on L (False).

    Returns
    -------
    ndarray
        ``y0 exp(-tau/2)`` on sqrt(L); for the normalised steps the root of ``y^2 exp(y^2) = y0^2 exp(y0^2 - tau)``, of
        the sign of y0.

    Notes
    -----
    lam = 2 (1 + y^2), so that dy/dtau = -y/2 and -y/(2 (1 + y^2)). Why: normalised steps cross the valley by lr in
    every step, so the mean |x| is lr/2, and y loses lr y |x| / (1 + y^2); on sqrt(L) the mean |x| is lr sqrt(1 + y^2)/2
    and y loses lr |x| y / sqrt(1 + y^2).

    Examples
    --------
    >>> valley_drift([0.0, 2.0]).round(6).tolist()
    [1.0, 0.527697]
    """
    tau = np.asarray(tau, dtype=np.float64)
    if root or y0 == 0.0:
        return np.asarray(y0 * np.exp(-tau / 2.0))
    level = 2.0 * math.log(abs(y0)) + y0 * y0 - tau  # log of y^2 exp(y^2)
    u = np.where(level < 1.0, level, np.log(np.maximum(level, 1.0)))  # log y^2; u + exp(u) = level
    for _ in range(100):
        step = (u + np.exp(u) - level) / (1.0 + np.exp(u))
        u = u - step
        if np.all(np.abs(step) <= 1e-15 * np.maximum(np.abs(u), 1.0)):
            break
    return np.asarray(math.copysign(1.0, y0) * np.exp(u / 2.0))


def sphere_drift(tau: ArrayLike, phi0: float = 1.0, ratio: float = 3.0) -> NDArray[np.float64]:
    """Angle phi of the minimum (0, cos phi, sin phi) of ``t1^2 (t2^2 + ratio t3^2)/2``, t = w/|w|, at time tau = lr
    weight_decay t.

    Parameters
    ----------
    tau : array_like
        lr times weight_decay times the number of steps, >= 0.
    phi0 : float, default 1.0
        Start, in (0, pi/2).
    ratio : float, default 3.0
        > 0 and not 1. Above 1 the angle falls to 0, below it rises to pi/2.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        An argument out of range.

    Notes
    -----
    With lam = cos^2 phi + ratio sin^2 phi and g = d log lam/d phi = (ratio - 1) sin(2 phi)/lam the flow is d phi/d tau
    = -2 g/(4 + g^2), so d tau = -(2/g + g/2) d phi, whose integral is elementary:

        tau = F(phi0) - F(phi),     F = log(tan phi)/(ratio - 1) - log(cos phi) + log(lam)/2.

    Bisection in log(tan phi).

    Examples
    --------
    >>> sphere_drift([0.0, 0.5, 1.0]).round(5).tolist()
    [1.0, 0.81907, 0.61264]
    """
    if not 0.0 < phi0 < math.pi / 2.0:
        raise ValueError(f"phi0 must be between 0 and pi/2, got {phi0}")
    if not ratio > 0.0 or ratio == 1.0:
        raise ValueError(f"ratio must be positive and not 1, got {ratio}")
    tau = np.asarray(tau, dtype=np.float64)
    if not np.all(tau >= 0.0):
        raise ValueError(f"tau must not be negative, got {tau.min()}")

    def F(u: NDArray[np.float64]) -> NDArray[np.float64]:  # u = log tan phi; cos^2 = 1/(1 + e^2u)
        return np.asarray(u / (ratio - 1.0) + 0.5 * np.logaddexp(0.0, math.log(ratio) + 2.0 * u))

    start = np.full(tau.shape, math.log(math.tan(phi0)))
    rises = ratio > 1.0  # F in u; phi falls then
    reach = abs(ratio - 1.0) * (tau + 1.0) * 2.0 + 1.0
    low, high = (start - reach, start) if rises else (start, start + reach / ratio)
    target = F(start) - tau
    for _ in range(200):
        middle = 0.5 * (low + high)
        above = F(middle) > target if rises else F(middle) < target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray(np.arctan(np.exp(0.5 * (low + high))))


def sphere_oscillation(
    phi: ArrayLike, lr: ArrayLike, weight_decay: ArrayLike, ratio: float = 3.0
) -> NDArray[np.float64]:
    """Amplitude |t1| of the oscillation across the valley of `sphere_drift`, ``sqrt(2 lr weight_decay / (4 + g^2))``, g
    = d log lam/d phi.

    Parameters
    ----------
    phi : array_like
        Angle of the minimum.
    lr, weight_decay : array_like
        As of ``GD(lr, weight_decay)``, > 0.
    ratio : float, default 3.0
        As in `sphere_drift`.

    Returns
    -------
    ndarray
        To leading order in lr * weight_decay. Runs that start with another amplitude circle around this one, as in
        `self_stabilization`.
    """
    phi = np.asarray(phi, dtype=np.float64)
    g = (ratio - 1.0) * np.sin(2.0 * phi) / (1.0 + (ratio - 1.0) * np.sin(phi) ** 2)
    return np.asarray(np.sqrt(2.0 * positive("lr", lr) * positive("weight_decay", weight_decay) / (4.0 + g * g)))


def effective_lr(lr: ArrayLike, weight_decay: ArrayLike, weight_norm: ArrayLike) -> NDArray[np.float64]:
    """Step size on the unit sphere of gradient descent with weight decay on a scale-invariant loss, ``lr / ((1 - lr
    weight_decay) |w|^2)``.

    Parameters
    ----------
    lr, weight_decay : array_like
        As of ``GD(lr, weight_decay)``; lr > 0.
    weight_norm : array_like
        |w|, > 0.

    Returns
    -------
    ndarray
        Times the sharpness on the sphere it is 2 at the edge of stability.

    References
    ----------
    Lyu, Li, Arora 2022 (arXiv 2206.07085).
    """
    lr, norm = positive("lr", lr), positive("weight_norm", weight_norm)
    return np.asarray(lr / ((1.0 - lr * np.asarray(weight_decay, dtype=np.float64)) * norm**2))
