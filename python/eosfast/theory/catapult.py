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
    """Where a catapult ends that begins a little above the edge, lr lam = 2 + excess, with a small output: lr lam - 2 =
    ``-excess - (2/3) excess^2``.

    Parameters
    ----------
    excess : array_like
        lr lam - 2 at the start, >= 0 and small; the error is of third order.

    Returns
    -------
    ndarray
        lr lam - 2 at the end: a little more below the edge than it began above.

    Raises
    ------
    ValueError
        A negative excess.

    Notes
    -----
    With delta = lr lam - 2 and v = (lr f)^2 / n a step is v <- (1 + delta - v)^2 v, delta <- delta - v (2 - delta).
    Here v is of the order of delta^2. To second order the steps are those of the flow d log v / dt = 2 delta - delta^2,
    d delta / dt = -2 v + 3 v delta (the field of the map less half its own derivative along itself), so dv/d delta =
    -delta (1 + delta) and v = (excess^2 - delta^2)/2 + (excess^3 - delta^3)/3, which vanishes there. Derived here, for
    f^2 / n -> 0 at the start.
    """
    start = np.asarray(excess, dtype=np.float64)
    if not np.all(start >= 0.0):
        raise ValueError(f"excess must not be negative, got {start.min()}")
    return np.asarray(-start * (1.0 + 2.0 / 3.0 * start))
