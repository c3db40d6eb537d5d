"""Gradient descent on f(w) = (w_1 ... w_N - target)^2 / 2 beyond the step size at which every minimum is unstable.

With lr the step size, s the target and r the residual. For two factors x, y most is exact:

* x y > s makes x and y shrink, x y < s grow; ``x + y`` is multiplied by ``1 - lr r`` and ``x - y`` by ``1 + lr r``;
* hence the bounded runs start inside an ellipse, `bounded_start`;
* ``x^2 - y^2`` shrinks in every step that is not too long, so that bounded runs become balanced, |x| = |y|;
* balanced, x^2 follows a cubic map, whose fixed point s gives way at lr |s| = 1 to a cycle of two, `two_cycle`.

For N factors the balanced map is w - lr (w^N - s) w^(N-1). A depth-2 linear network of matrices does, in its largest
singular direction, what s = sigma_1 does here, as long as the other directions are stable.

All of it is derived here, from exact algebra or as the docstrings say. Craciun and Ghoshdastidar (arXiv 2402.13108)
report that the gradient norm in the limit has a sharp transition at the critical step size.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import Integer, Real, finite_array, shown

from .linear_network import balanced_sharpness
from .single_neuron import positive

Array = NDArray[np.float64]


class TwoCycle(NamedTuple):
    """The balanced orbit of period two: all factors are ``low``, then ``high``, then ``low``, ...

    ``along`` and ``across`` are the factors by which two steps multiply a deviation that keeps the factors equal, and
    one that makes them unequal (for two factors; of the differences of squares for more). The orbit attracts while
    both are below 1 in size. ``grad_norm`` is the norm of the gradient, the same at both points.
    """

    low: float
    high: float
    along: float
    across: float
    grad_norm: float


# ------------------------------------------------------------------------------------------------------- bounded starts


def _half_axes_squared(lr: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    """Squared half axes of the ellipse in (x + y)/2 and (x - y)/2; of no ellipse, where one is not positive."""
    reach, s = 2.0 / positive("lr", lr), np.asarray(target, dtype=np.float64)
    return reach + s, reach - s


def bounded_start(x: ArrayLike, y: ArrayLike, lr: ArrayLike, target: ArrayLike = 1.0) -> NDArray[np.bool_]:
    """Whether gradient descent on (x y - s)^2/2 stays bounded: ``(x+y)^2/(4 (2/lr + s)) + (x-y)^2/(4 (2/lr - s)) < 1``.

    Parameters
    ----------
    x, y : array_like
        The start.
    lr : array_like
        Step size, > 0.
    target : array_like, default 1.0
        s; all broadcast together.

    Returns
    -------
    ndarray of bool
        False for lr |s| >= 2, where bounded starts are a null set.

    Notes
    -----
    Up to a null set. With E the sum of the two terms and r = x y - s, one step makes ``E - 1`` into ``(E - 1) (1 + lr^2
    x y r)``, exactly, and the factor is at least 1 - (lr s)^2/4 > 0: what begins inside stays inside. That almost no
    start outside stays bounded is seen in simulations. For lr |s| < 1 almost every bounded run converges, above none
    does.

    References
    ----------
    Liang and Montufar (arXiv 2509.25351) describe the region of convergence as an ellipsoid; the form is derived here.

    Examples
    --------
    >>> bounded_start([0.5, 3.0], [0.5, 0.1], lr=0.5)
    array([ True, False])
    """
    plus, minus = _half_axes_squared(lr, target)
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        form = (x + y) ** 2 / (4.0 * plus) + (x - y) ** 2 / (4.0 * minus)
    return np.asarray((plus > 0.0) & (minus > 0.0) & (form < 1.0))


def bounded_area(lr: ArrayLike, target: ArrayLike = 1.0) -> Array:
    """Area of the bounded starts (x, y), ``2 pi sqrt((2/lr + s) (2/lr - s))``; 0 for lr |s| >= 2.

    Parameters
    ----------
    lr : array_like
        Step size, > 0.
    target : array_like, default 1.0
        s.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> round(float(bounded_area(1.0)), 3)
    10.883
    """
    plus, minus = _half_axes_squared(lr, target)
    return np.asarray(2.0 * np.pi * np.sqrt(np.maximum(plus * minus, 0.0)))


def bounded_mass(lr: ArrayLike, target: ArrayLike = 1.0, std: ArrayLike = 1.0) -> Array:
    """Probability that gradient descent stays bounded from x, y ~ N(0, std^2): the Gaussian mass of the ellipse.

    Parameters
    ----------
    lr : array_like
        Step size, > 0.
    target : array_like, default 1.0
        s.
    std : array_like, default 1.0
        Standard deviation of the start, > 0.

    Returns
    -------
    ndarray
        For lr |s| < 1 also the probability to converge. Absolute error below 1e-12 for lr |s| <= 1.9.

    Notes
    -----
    In polar coordinates ``1 - mean over angles of exp(-R^2/(2 std^2))``, R the ellipse's radius; the trapezoidal rule
    converges geometrically, here with 4096 angles.

    Examples
    --------
    >>> round(float(bounded_mass(0.5)), 4)
    0.9741
    """
    plus, minus = _half_axes_squared(lr, target)
    inside = (plus > 0.0) & (minus > 0.0)
    plus, minus = (np.where(inside, one, 1.0)[..., None] for one in (plus, minus))
    angle = 2.0 * np.pi * np.arange(4096) / 4096
    spread = np.cos(angle) ** 2 / plus + np.sin(angle) ** 2 / minus  # 2 / R^2
    mass = 1.0 - np.mean(np.exp(-1.0 / (spread * positive("std", std)[..., None] ** 2)), axis=-1)
    return np.asarray(np.where(inside, mass, 0.0))


def imbalance_factor(w: ArrayLike, lr: ArrayLike, target: ArrayLike = 1.0, i: int = 0, j: int = 1) -> Array:
    """Factor by which one step multiplies ``w_i^2 - w_j^2``: ``1 - lr^2 r^2 P_ij^2``, P_ij the product of the others.

    Parameters
    ----------
    w : array_like (..., N)
        The factors, N >= 2.
    lr : array_like
        Step size, > 0.
    target : array_like, default 1.0
        s, in r = w_1 ... w_N - s.
    i, j : int
        Which two factors.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        Fewer than two factors, or i and j that are not two of them.

    Notes
    -----
    Exact. In the limit lr -> 0 differences of squares are conserved. For two factors P_ij = 1.

    Examples
    --------
    >>> float(imbalance_factor([2.0, 1.0], lr=0.5))                # r = 1
    0.75
    """
    w = finite_array("w", w)
    if w.ndim == 0 or w.shape[-1] < 2:
        raise ValueError(f"w must have at least two factors, got the shape {w.shape}")
    N = w.shape[-1]
    i, j = (Integer(most=N - 1).check(name, value) for name, value in (("i", i), ("j", j)))
    if i == j:
        raise ValueError(f"i and j must name two factors, got {i} twice")
    r = np.prod(w, axis=-1) - np.asarray(target, dtype=np.float64)
    others = np.prod(np.delete(w, [i, j], axis=-1), axis=-1)
    return np.asarray(1.0 - (positive("lr", lr) * r * others) ** 2)


# ---------------------------------------------------------------------------------------------------------- two-cycles


def two_cycle(lr: float, target: float = 1.0, depth: int = 2) -> TwoCycle:
    """The balanced orbit of period two, into which the minima turn at the critical step size.

    For two factors exact: the products are 1/(lr rho) and rho/lr with ``rho + 1/rho = 1 + lr s``, ``along = 9 - 2 (1 +
    lr s)^2`` and ``across = 3 - 2 lr s``.

    Parameters
    ----------
    lr : float
        Step size, above the critical one, ``2/balanced_sharpness(target, depth)``.
    target : float, default 1.0
        s > 0 (a sign can be put into one factor).
    depth : int, default 2
        Number of factors N, >= 2.

    Returns
    -------
    TwoCycle

    Raises
    ------
    ValueError
        A step size at which there is no such orbit, or another argument outside its range.

    Notes
    -----
    With g(w) = (w^N - s) w^(N-1) the orbit has g(high) = -g(low) and high - low = lr g(high). For more than two factors
    `low` is found by bisection: high follows from it, and lr from both, which decreases as low approaches s^(1/N). The
    relative error is of the order of 1e-16 / (lr/critical - 1).

    References
    ----------
    Chen and Bruna (arXiv 2206.04172) find the orbit of two factors; the depth-N form is derived here.

    Examples
    --------
    >>> cycle = two_cycle(1.1)
    >>> round(cycle.low**2, 6), round(cycle.high**2, 6)
    (0.663494, 1.245597)
    """
    lr, s = float(positive("lr", lr)), float(positive("target", target))
    depth = Integer(least=2).check("depth", depth)
    ratio = lr * float(balanced_sharpness(s, depth)) / 2.0
    if not ratio > 1.0:
        raise ValueError(
            f"lr must be above the critical step size {lr / ratio:g} for an orbit of period two, got {shown(lr)}"
        )
    size = s ** (1.0 / depth)
    step = lr * size ** (2 * depth - 2)  # the step size for target 1
    low, high = _two_factors(step) if depth == 2 else _low_and_high(step, depth)
    along = math.prod(1.0 - step * _slope(w, depth) for w in (low, high))
    across = math.prod(1.0 - (step * (w**depth - 1.0) * w ** (depth - 2)) ** 2 for w in (low, high))
    gradient = math.sqrt(depth) * abs(_gradient(high, depth)) * size ** (2 * depth - 1)
    return TwoCycle(low * size, high * size, along, across, gradient)


def _gradient(w: float, depth: int) -> float:
    return (w**depth - 1.0) * w ** (depth - 1)


def _slope(w: float, depth: int) -> float:
    return float((2 * depth - 1) * w ** (2 * depth - 2) - (depth - 1) * w ** (depth - 2))


def _two_factors(step: float) -> tuple[float, float]:
    excess = step - 1.0  # rho + 1/rho = 2 + excess
    rho = 1.0 + excess / 2.0 + math.sqrt(excess * (1.0 + excess / 4.0))
    return math.sqrt(1.0 / (step * rho)), math.sqrt(rho / step)


def _low_and_high(step: float, depth: int) -> tuple[float, float]:
    """The orbit for target 1: bisection for low, where high - low = step g(high) with g(high) = -g(low)."""

    def high_of(low: float) -> float:
        wanted, below, above = -_gradient(low, depth), 1.0, 2.0
        for _ in range(200):
            middle = 0.5 * (below + above)
            if middle in (below, above):
                break
            below, above = (middle, above) if _gradient(middle, depth) < wanted else (below, middle)
        return above

    below, above = 0.0, 1.0
    for _ in range(200):
        low = 0.5 * (below + above)
        if low in (below, above):
            break
        gradient = -_gradient(low, depth)
        longer = gradient <= 0.0 or high_of(low) - low > step * gradient  # the step size of this orbit is larger
        below, above = (low, above) if longer else (below, low)
    return above, high_of(above)


def two_cycle_limit(depth: int = 2) -> float:
    """Step size, over the critical one, at which `two_cycle` loses its stability to a cycle of four; sqrt(5) - 1 for
    two factors.

    Parameters
    ----------
    depth : int, default 2
        Number of factors N, >= 2.

    Returns
    -------
    float
        Where ``along`` is -1, to a relative 1e-12.

    Raises
    ------
    ValueError
        A depth below 2.

    Examples
    --------
    >>> round(two_cycle_limit(), 6)
    1.236068
    """
    depth = Integer(least=2).check("depth", depth)
    if depth == 2:
        return math.sqrt(5.0) - 1.0
    critical, below, above = 2.0 / depth, 1.01, 2.0
    while above - below > 1e-13:
        middle = 0.5 * (below + above)
        below, above = (middle, above) if two_cycle(critical * middle, 1.0, depth).along > -1.0 else (below, middle)
    return above


def asymptotic_grad_norm(lr: ArrayLike, target: float = 1.0, depth: int = 2, loss_scale: float = 1.0) -> Array:
    """Norm of the gradient in the limit of bounded runs: 0 up to the critical step size, that of `two_cycle` above.

    Two factors, kappa = 1: ``sqrt(2 (lr s - 1)) / lr^(3/2)`` for lr s > 1. Also of a matrix network of two layers with
    C = I, s = sigma_1(W*), as long as lr kappa sigma_2 stays in the stable range.

    Parameters
    ----------
    lr : array_like
        Step size, > 0.
    target : float, default 1.0
        s > 0.
    depth : int, default 2
        Number of factors N, >= 2.
    loss_scale : float, default 1.0
        kappa, by which the loss is multiplied.

    Returns
    -------
    ndarray
        NaN above `two_cycle_limit` times the critical step size, where the orbit repels and another attracts.

    Raises
    ------
    ValueError
        An argument outside its range.

    References
    ----------
    That there is a sharp transition: Craciun and Ghoshdastidar 2024 (arXiv 2402.13108), abstract. The formula is
    derived here.

    Examples
    --------
    >>> np.round(asymptotic_grad_norm([0.9, 1.1, 1.5]), 5)
    array([0.     , 0.38764,     nan])
    """
    steps, kappa = positive("lr", lr), float(positive("loss_scale", loss_scale))
    s = float(Real(above=0.0).check("target", target))
    critical = 2.0 / float(balanced_sharpness(s, depth, kappa))
    limit = two_cycle_limit(depth) * critical

    def norm(step: float) -> float:
        if step <= critical:
            return 0.0
        return kappa * two_cycle(step * kappa, s, depth).grad_norm if step < limit else math.nan

    return np.asarray(np.vectorize(norm, otypes=[np.float64])(steps))
