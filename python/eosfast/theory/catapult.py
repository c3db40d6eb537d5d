"""The catapult of a linear network with one hidden layer on one sample: f = u.v / sqrt(n), loss f^2 / 2.

Whatever the width n, gradient descent with step size lr moves only two numbers, the output f and the tangent kernel lam
= (|u|^2 + |v|^2)/n, which at f = 0 is the sharpness:

    f <- (1 - lr lam + (lr f)^2 / n) f,        lam <- lam + lr f^2 (lr lam - 4) / n.

Up to lr lam = 2 the output decays at once. Between 2 and 4 it grows, by which lam falls until it is below 2/lr. Above 4
both grow. Functions use NumPy alone.

References
----------
Lewkowycz, Bahri, Dyer, Sohl-Dickstein, Gur-Ari 2020, "The large learning rate phase of deep learning: the catapult
mechanism" (arXiv 2003.02218).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .single_neuron import positive


def catapult_step(
    f: ArrayLike, lam: ArrayLike, lr: ArrayLike, n: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One step of (f, lam).

    Parameters
    ----------
    f : array_like
        Output of the network.
    lam : array_like
        Tangent kernel, at least 2 |f| / sqrt(n).
    lr : array_like
        Step size, > 0.
    n : array_like
        Width, > 0.

    Returns
    -------
    (ndarray, ndarray)
        The next f and lam.

    Notes
    -----
    Exact: u <- u - lr f v / sqrt(n) and v <- v - lr f u / sqrt(n), inserted into u.v and |u|^2 + |v|^2.
    """
    lr, n = positive("lr", lr), positive("n", n)
    f, lam = np.asarray(f, dtype=np.float64), np.asarray(lam, dtype=np.float64)
    kick = np.square(lr * f) / n
    return np.asarray((1.0 - lr * lam + kick) * f), np.asarray(lam + kick / lr * (lr * lam - 4.0))


def catapult_limit(excess: ArrayLike) -> NDArray[np.float64]:
    """Where a catapult ends that begins a little above the edge: ``lr lam = 2 + delta`` with ``(1 + delta)
    exp(-delta)`` equal to that of the start.

    Parameters
    ----------
    excess : array_like
        lr lam - 2 at the start, >= 0 and small: the relative error is of its size.

    Returns
    -------
    ndarray
        delta in (-1, 0], which is ``-excess`` to leading order: the kernel ends as far below the edge as it began
        above.

    Raises
    ------
    ValueError
        A negative excess.

    Notes
    -----
    With delta = lr lam - 2 and v = (lr f)^2 / n, for small delta and v and large n: d log v / dt = 2 (delta - v), d
    delta / dt = -2 v, so dv/d delta = v - delta, with the solutions v = 1 + delta - K exp(delta). Derived here.
    Newton's method in log(1 + delta) - delta.
    """
    start = np.asarray(excess, dtype=np.float64)
    if not np.all(start >= 0.0):
        raise ValueError(f"excess must not be negative, got {start.min()}")
    level = np.log1p(start) - start
    delta = -start / (1.0 + start)
    for _ in range(100):
        slope = -delta / (1.0 + delta)
        step = np.divide(np.log1p(delta) - delta - level, slope, out=np.zeros_like(delta), where=slope > 0.0)
        delta = np.maximum(delta - step, (delta - 1.0) / 2.0)  # stays above -1
        if np.all(np.abs(step) <= 1e-15):
            break
    return np.asarray(delta)
