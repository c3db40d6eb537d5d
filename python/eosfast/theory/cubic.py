"""The cubic map of gradient descent on quartics: ``z <- z^3 + (a - 2) z^2 + (1 - 2 a) z`` with a = lr * target.

It is the same for three losses: (x y - target)^2 / 2 on the line x = y, (x^2 - target)^2 / 4 in one dimension, and
quadratic regression on one sample. With r the residual (x y - target, or x^2 - target) one step makes x <- x (1 - lr
r); hence r + target is multiplied by (1 - lr r)^2, and z = lr r obeys

    z + a <- (z + a) (1 - z)^2,

which is the map above. It has the fixed points 0 (the minimum), -a (x = 0) and 2, and keeps [-a, 2] invariant for a <=
2. In two dimensions x = y is one of three invariant curves; on the ellipse of `bounded_start` the map is z <- z^3 - 3
z, that for a = 2, whatever the step size. What is said here of other points follows from the map by algebra (derived
here) unless a source is named. Functions use NumPy alone.

References
----------
Chen, Balasubramanian, Ghosal, Agarwalla 2023, "From stability to chaos: analyzing gradient descent dynamics in
quadratic regression" (arXiv 2310.01687), name the phases; Chen, Bruna 2022 (arXiv 2206.04172) treat (x y - target)^2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .flip import doubling_cascade


class CubicPhases(NamedTuple):
    """Values of a at which the behaviour of the cubic map changes, `CUBIC_PHASES`.

    Up to ``monotone`` the loss z^2 never increases, from any start in [-a, 2], up to ``stable`` the minimum attracts
    (with a catapult at first), beyond it a cycle of period 2 does until ``doubling``; its multiplier is 0 at
    ``superstable``. A cascade of doublings and chaos follow, and beyond ``bounded`` almost every run diverges.
    """

    monotone: float
    stable: float
    superstable: float
    doubling: float
    bounded: float


CUBIC_PHASES = CubicPhases(2.0 * math.sqrt(2.0) - 2.0, 1.0, math.sqrt(4.5) - 1.0, math.sqrt(5.0) - 1.0, 2.0)
"""0.82843, 1, 1.12132, 1.23607 and 2.

|z'| <= |z| means -1 <= z^2 + (a - 2) z + 1 - 2 a <= 1. The right side holds on [-a, 2], the left one for all z where
the discriminant a^2 + 4 a - 4 is not positive. The critical points are 1, which goes to -a, and (1 - 2 a)/3, which goes
to 4 (1 + a)^3/27 - a; that is 2 for a = 2.
"""


def cubic_map(z: ArrayLike, a: ArrayLike) -> NDArray[np.float64]:
    """One step, ``z^3 + (a - 2) z^2 + (1 - 2 a) z``.

    Parameters
    ----------
    z : array_like
        Step size times residual, lr (x y - target).
    a : array_like
        Step size times target.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> float(cubic_map(0.5, 1.0))
    -0.625
    """
    z, a = np.asarray(z, dtype=np.float64), np.asarray(a, dtype=np.float64)
    return np.asarray(z * (z * (z + (a - 2.0)) + (1.0 - 2.0 * a)))


def cubic_slope(z: ArrayLike, a: ArrayLike) -> NDArray[np.float64]:
    """Slope of the map, ``(z - 1) (3 z + 2 a - 1)``.

    Parameters
    ----------
    z, a : array_like
        As in `cubic_map`.

    Returns
    -------
    ndarray
    """
    z, a = np.asarray(z, dtype=np.float64), np.asarray(a, dtype=np.float64)
    return np.asarray((z - 1.0) * (3.0 * z + 2.0 * a - 1.0))


def cubic_two_cycle(a: ArrayLike) -> NDArray[np.float64]:
    """The cycle of period 2, the roots of ``z^2 + (a - 1) z - (a - 1) = 0``.

    Parameters
    ----------
    a : array_like
        Step size times target.

    Returns
    -------
    ndarray, shape (..., 2)
        The positive root, then the negative one; NaN for a <= 1, where there is no such cycle.

    Notes
    -----
    In x, x^2 = (z + a)/lr: ``x^2 = target [(1 + a) +- sqrt((a - 1)(a + 3))] / (2 a)``, and the product of the two x is
    target / a.

    Examples
    --------
    >>> cubic_two_cycle(1.05).round(12).tolist()
    [0.2, -0.25]
    """
    b = np.asarray(a, dtype=np.float64) - 1.0
    b = np.where(b > 0.0, b, np.nan)
    root = np.sqrt(b * (b + 4.0))
    return np.stack([(root - b) / 2.0, -(root + b) / 2.0], axis=-1)


def cubic_two_cycle_multiplier(a: ArrayLike) -> NDArray[np.float64]:
    """Slope of two steps on `cubic_two_cycle`, ``1 - 8 b - 2 b^2`` with b = a - 1: 1 at a = 1, 0 at sqrt(4.5) - 1, -1
    at sqrt(5) - 1.

    Parameters
    ----------
    a : array_like
        Step size times target.

    Returns
    -------
    ndarray
        NaN for a < 1.
    """
    b = np.asarray(a, dtype=np.float64) - 1.0
    return np.where(b >= 0.0, 1.0 - 8.0 * b - 2.0 * b * b, np.nan)


def cubic_doublings(num: int = 5) -> NDArray[np.float64]:
    """Values of a at which the attractor doubles its period: 1, sqrt(5) - 1, 1.28803, ..., accumulating at 1.30228.

    Parameters
    ----------
    num : int, default 5
        How many, from 1 to 8.

    Returns
    -------
    ndarray, shape (num,)
        Relative error about 1e-9.

    Raises
    ------
    ValueError
        ``num`` out of range.

    Examples
    --------
    >>> cubic_doublings(3).round(5).tolist()
    [1.0, 1.23607, 1.28803]
    """

    def step(z: float, a: float) -> tuple[float, float]:
        return z * (z * (z + (a - 2.0)) + (1.0 - 2.0 * a)), (z - 1.0) * (3.0 * z + 2.0 * a - 1.0)

    return doubling_cascade(step, CUBIC_PHASES.stable, 0.25, 0.1, num)


def cubic_lyapunov(a: ArrayLike, num_steps: int = 20_000, start: float = 0.35) -> NDArray[np.float64]:
    """Lyapunov exponent of the attractor, the mean of log|slope| along an orbit; log 3 at a = 2.

    Parameters
    ----------
    a : array_like
        In (0, 2].
    num_steps : int, default 20_000
        Steps that are averaged, after as many that are not.
    start : float, default 0.35
        First z.

    Returns
    -------
    ndarray
        In chaos its statistical error falls as 1/sqrt(num_steps); -inf where the orbit reaches a critical point.

    Raises
    ------
    ValueError
        An a out of range.

    Notes
    -----
    At a = 2 the map is Chebyshev's polynomial, z = 2 cos t goes to 2 cos 3 t, whose exponent is log 3; there an orbit
    that comes within 1e-8 of z = 1 is rounded to the fixed point -2 and stays. All a are iterated side by side.
    """
    a = np.asarray(a, dtype=np.float64)
    if not np.all((a > 0.0) & (a <= CUBIC_PHASES.bounded)):
        raise ValueError(f"a must be in (0, 2], got {a.min()} to {a.max()}")
    z, total = np.full(a.shape, float(start)), np.zeros(a.shape)
    for _ in range(num_steps):
        z = cubic_map(z, a)
    with np.errstate(divide="ignore"):
        for _ in range(num_steps):
            total += np.log(np.abs(cubic_slope(z, a)))
            z = cubic_map(z, a)
    return total / num_steps
