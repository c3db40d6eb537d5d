"""Flip bifurcations of gradient descent in one dimension: when a minimum gives way to a 2-cycle, how wide that is, and
the cascade of doublings that may follow.

Gradient descent on f near a minimum is the map e -> e - lr f'(e), with slope 1 - lr f'' there. At lr = 2/f'' the slope
passes -1. With lr f'' = 2 + delta and f', expanded to third order, two steps give

    e -> (1 + 2 delta) e - 2 C e^3,     C = (3 f'''^2 - f'' f'''') / (3 f''^2),

so that the growth saturates, in a stable 2-cycle of amplitude sqrt(delta / C), if C > 0 and leads away if C < 0. The
sign of C is also the condition on l in the edge of stability of f(x, y) = l(x y), see `products`. Functions use NumPy
alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .single_neuron import positive

Map = Callable[[float, float], tuple[float, float]]
"""``(w, parameter) -> (next w, slope of the map at w)``."""


def flip_coefficient(second: ArrayLike, third: ArrayLike, fourth: ArrayLike) -> NDArray[np.float64]:
    """C of the flip at lr = 2/f'': ``(3 f'''^2 - f'' f'''') / (3 f''^2)``; a stable 2-cycle appears where it is
    positive.

    Parameters
    ----------
    second, third, fourth : array_like, broadcast together
        Derivatives of f at the minimum; the second is > 0.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        A second derivative that is not positive.

    References
    ----------
    Chen, Bruna 2022 (arXiv 2206.04172) state a condition of this kind in one dimension; the coefficient is derived
    here.

    Examples
    --------
    >>> float(flip_coefficient(1.0, 0.0, -2.0)) * 3.0                              # log cosh
    2.0
    """
    h, third = positive("second", second), np.asarray(third, dtype=np.float64)
    return np.asarray((3.0 * third**2 - h * np.asarray(fourth, dtype=np.float64)) / (3.0 * h**2))


def flip_amplitude(lr: ArrayLike, second: ArrayLike, third: ArrayLike, fourth: ArrayLike) -> NDArray[np.float64]:
    """Half the distance of the two points of the cycle just above lr = 2/f'', ``sqrt((lr f'' - 2) / C)``.

    Parameters
    ----------
    lr : array_like
        Step size, > 0; leading order for lr f'' -> 2.
    second, third, fourth : array_like
        As in `flip_coefficient`.

    Returns
    -------
    ndarray
        0 where lr f'' <= 2, NaN where C <= 0 above that: no cycle near the minimum.
    """
    excess = positive("lr", lr) * np.asarray(second, dtype=np.float64) - 2.0
    C = np.broadcast_to(flip_coefficient(second, third, fourth), excess.shape)
    squared = np.divide(excess, C, out=np.full(excess.shape, np.nan), where=C > 0.0)
    return np.where(excess <= 0.0, 0.0, np.sqrt(np.where(excess <= 0.0, 0.0, squared)))


# -------------------------------------------------------------------------------------------------------- the cascade


class _Cycle(NamedTuple):
    """A point of a cycle and the cycle's multiplier, the product of the map's slopes."""

    w: float
    multiplier: float


def doubling_cascade(step: Map, first: float, gap: float, start: float, num: int) -> NDArray[np.float64]:
    """Parameters at which the attractor of a one-dimensional map doubles its period.

    Parameters
    ----------
    step : callable
        ``step(w, parameter)`` returns the next w and the slope of the map at w.
    first : float
        Where the fixed point gives way to a cycle of period 2.
    gap : float
        About how far it is to the second doubling.
    start : float
        A point from which iterations reach the attractor.
    num : int
        How many doublings, from 1 to 8.

    Returns
    -------
    ndarray, shape (num,)
        Relative error about 1e-9; NaN from the first one on that was not found.

    Raises
    ------
    ValueError
        ``num`` out of range.

    Notes
    -----
    The cycle of period p is followed by Newton's method from the parameter of its birth on, until its multiplier has
    fallen from 1 to -1; bisection. Ratios of the distances tend to Feigenbaum's 4.669.
    """
    if not 1 <= num <= 8:
        raise ValueError(f"num must be from 1 to 8, got {num!r}")
    found = [first]
    while len(found) < num:
        found.append(_next_doubling(step, found[-1], gap, start, 2 ** len(found)))
        gap = (found[-1] - found[-2]) / 4.669
    return np.array(found)


def _cycle(step: Map, parameter: float, w: float, period: int) -> _Cycle:
    """Return the cycle near ``w``, by Newton's method for a fixed point of ``period`` steps."""
    for _ in range(50):
        end, product = w, 1.0
        for _ in range(period):
            end, slope = step(end, parameter)
            product *= slope
        change = (end - w) / (1.0 - product)
        w += change
        if abs(change) <= 1e-14 * max(abs(w), 1.0):
            break
    return _Cycle(w, product)


def _next_doubling(step: Map, parameter: float, gap: float, start: float, period: int) -> float:
    """Where the multiplier of the cycle of this period, born with 1 at ``parameter``, has fallen to -1; about ``gap``
    away.
    """
    low, w = parameter + gap / 16.0, start
    for _ in range(300 * period):
        w, _ = step(w, low)
    cycle = _cycle(step, low, w, period)
    for _ in range(200):
        high = low + gap / 16.0
        after = _cycle(step, high, cycle.w, period)
        if not after.multiplier > -1.0:
            break
        low, cycle = high, after
    else:
        return math.nan
    while high - low > 1e-13 * high:
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        after = _cycle(step, middle, cycle.w, period)
        if after.multiplier > -1.0:
            low, cycle = middle, after
        else:
            high = middle
    return 0.5 * (low + high)
