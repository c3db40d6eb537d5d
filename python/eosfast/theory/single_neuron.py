"""Predictions for gradient descent on f(x, y) = l(x*y), l convex, even and sub-quadratic.

Everything here follows from three facts about the iterates (x, y), with s = x*y and D = y^2 - x^2:

* D changes only through D <- D (1 - lr^2 l'(s)^2), so gradient flow conserves it;
* next to the y-axis x <- (1 - lr y^2 l'(s)/s) x: x shrinks below the curvature 2/lr and flips sign and grows above it;
* above 2/lr the growth is halted by l'(s)/s < l''(0): x jumps between +-s/y while y slowly falls.

The slow fall is described by delta = lr l''(0) y^2 - 2 and s = |x y| (the normal form)

    d log s / dt = delta - 2 c s^beta,        d delta / dt = -2 (lr l''(0))^2 s^2,

where l'(s)/s = l''(0) (1 - c |s|^beta + ...). Where a function below says "normal form" it means these two equations.
Functions accept scalars or arrays and use NumPy alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import one_of, shown

LOSSES = ("sqrt", "logcosh", "logistic", "huber", "power")


def positive(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return the value as float64, or raise a ValueError that names it if not all of it is positive."""
    array = np.asarray(value, dtype=np.float64)
    if not np.all(array > 0.0):
        raise ValueError(f"{name} must be positive, got {shown(value)}")
    return array


class Shape(NamedTuple):
    """How a loss l departs from its parabola at 0: ``l'(s)/s = curvature * (1 - c*|s|**beta + ...)``.

    ``slope`` is the limit of l'(s) for large s. ``beta`` is infinite, and ``c`` zero, for a loss that is an exact
    parabola near 0.
    """

    curvature: float
    slope: float
    beta: float
    c: float


def loss_shape(loss: str, beta: float = 2.0) -> Shape:
    """Constants of ``l'(s)/s = curvature * (1 - c*|s|**beta + ...)`` for the losses of ``SingleNeuron``.

    Parameters
    ----------
    loss : {"sqrt", "logcosh", "logistic", "huber", "power"}
        Name of the loss, as in ``SingleNeuron(loss)``.
    beta : float, default 2.0
        Exponent of the ``"power"`` loss, larger than 1; the other losses have their own and ignore it.

    Returns
    -------
    Shape
        ``curvature`` = l''(0), ``slope`` = l'(infinity), ``beta`` and ``c``.

    Raises
    ------
    ValueError
        For an unknown loss, or ``beta <= 1`` with ``"power"``.

    Notes
    -----
    For ``"power"``, l'(s) = s (1 - c |s|^beta) up to s = (beta+1)/beta, where l'' = 0 and l' = 1, and l' = 1
    beyond; hence c = (beta/(beta+1))^beta / (beta+1).

    References
    ----------
    Ahn et al. 2023 (arXiv 2212.07469), section 2.1, treat convex, even, Lipschitz losses of this kind.

    Examples
    --------
    >>> loss_shape("logcosh").c
    0.3333333333333333
    """
    if loss == "power":
        if not beta > 1.0:
            raise ValueError(f"beta must be larger than 1 for the 'power' loss, got {beta}")
        return Shape(1.0, 1.0, float(beta), (beta / (beta + 1.0)) ** beta / (beta + 1.0))
    shapes = {
        "sqrt": Shape(1.0, 1.0, 2.0, 1.0 / 2.0),
        "logcosh": Shape(1.0, 1.0, 2.0, 1.0 / 3.0),
        "logistic": Shape(1.0 / 4.0, 1.0 / 2.0, 2.0, 1.0 / 12.0),
        "huber": Shape(1.0, 1.0, math.inf, 0.0),
    }
    if loss not in shapes:
        raise ValueError(f"loss must be {one_of(loss, LOSSES)}, got {loss!r}")
    return shapes[loss]


def oscillation_envelope(lr: ArrayLike, y: ArrayLike, loss: str = "sqrt", beta: float = 2.0) -> NDArray[np.float64]:
    """Amplitude s of the 2-cycle x*y = +-s at frozen y: the root of ``l'(s)/s = 2/(lr*y**2)``, 0 where there is none.

    Parameters
    ----------
    lr, y : array_like, broadcast together
        Step size (> 0) and the slow coordinate.
    loss, beta
        As in `loss_shape`.

    Returns
    -------
    ndarray
        |x*y| on the 2-cycle; 0 where lr * l''(0) * y^2 <= 2, because there x decays.

    Notes
    -----
    With r = lr l''(0) y^2 / 2: sqrt(r^2 - 1) for ``"sqrt"``, r for ``"huber"``, the root of tanh(s) = s/r for
    ``"logcosh"`` (Newton from the right, where the function is convex), twice that for ``"logistic"``. Where l'' = 0
    on the cycle (``"huber"``, ``"power"`` beyond its parabola) the cycle is only neutrally stable: the mean of two
    consecutive |x*y| then follows this amplitude, the single ones need not.

    Examples
    --------
    >>> float(oscillation_envelope(0.01, 20.0))          # sqrt(2**2 - 1)
    1.7320508075688772
    """
    shape = loss_shape(loss, beta)
    r = positive("lr", lr) * shape.curvature * np.square(np.asarray(y, dtype=np.float64)) / 2.0
    above = np.maximum(r, 1.0)
    if loss == "sqrt":
        s = np.sqrt((above - 1.0) * (above + 1.0))
    elif loss == "huber":
        s = above
    elif loss == "power":
        in_parabola = ((1.0 - 1.0 / above) / shape.c) ** (1.0 / shape.beta)
        s = np.where(above < (shape.beta + 1.0) / shape.beta, in_parabola, above)
    else:
        s = _tanh_envelope(above) * (2.0 if loss == "logistic" else 1.0)
    return np.where(r > 1.0, s, 0.0)


def _tanh_envelope(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positive root of s = r*tanh(s) for r > 1."""
    s = np.array(np.minimum(r, np.sqrt(3.0 * (r - 1.0) * (1.0 + r))))  # both lie right of the root
    for _ in range(60):
        t = np.tanh(s)
        slope = 1.0 - r * (1.0 - t * t)
        step = np.where(slope > 0.0, (s - r * t) / np.where(slope > 0.0, slope, 1.0), 0.0)
        s -= step
        if np.all(np.abs(step) <= 4e-16 * s):
            break
    return s


def regime_sharpness(
    lr: ArrayLike, x0: ArrayLike, y0: ArrayLike, loss: str = "sqrt", beta: float = 2.0
) -> NDArray[np.float64]:
    """Sharpness at the limit of gradient descent, to leading order: ``min(l''(0)*abs(y0**2 - x0**2), 2/lr)``.

    The first entry is the gradient-flow regime (the flow conserves y^2 - x^2 and ends at (0, sqrt(y0^2 - x0^2))), the
    second the edge of stability.

    Parameters
    ----------
    lr, x0, y0 : array_like, broadcast together
        Step size (> 0) and start.
    loss, beta
        As in `loss_shape`.

    Returns
    -------
    ndarray
        Predicted largest Hessian eigenvalue at the limit.

    References
    ----------
    Ahn et al. 2023 (arXiv 2212.07469), section 2.2, with Lemma 4 for the conserved quantity.
    """
    x, y = np.asarray(x0, dtype=np.float64), np.asarray(y0, dtype=np.float64)
    conserved: NDArray[np.float64] = np.abs((y - x) * (y + x))
    limit: NDArray[np.float64] = np.minimum(loss_shape(loss, beta).curvature * conserved, 2.0 / positive("lr", lr))
    return limit


def flow_regime_sharpness(lr: float, delta: float, x_tilde: float, loss: str = "sqrt", beta: float = 2.0) -> float:
    """Limit sharpness below the edge to next order: ``(2 - delta) * (1/lr - l'(infinity)*asinh(x_tilde))``.

    Parameters
    ----------
    lr : float
        Step size, > 0; the error vanishes with it.
    delta : float
        In (0, 2): the start has lr l''(0) (y0^2 - x0^2) = 2 - delta.
    x_tilde : float
        Shape of the start: (x0, y0) = sqrt(y0^2 - x0^2) * (x_tilde, sqrt(1 + x_tilde^2)).
    loss, beta
        As in `loss_shape`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``lr`` or ``delta`` is out of range, or the loss unknown.

    Notes
    -----
    Far from the axis l' is constant, m say, and the flow hyperbolic: x = sqrt(D) sinh(asinh(x_tilde) - lr m t) with
    D = y^2 - x^2. The y-axis is reached after t = asinh(x_tilde)/(lr m) steps, each of which multiplies D by
    1 - lr^2 m^2.
    """
    positive("lr", lr)
    if not 0.0 < delta < 2.0:
        raise ValueError(f"delta must be between 0 and 2, got {delta}")
    return (2.0 - delta) * (1.0 / lr - loss_shape(loss, beta).slope * math.asinh(x_tilde))


def edge_gap_factor(beta: float) -> float:
    """Universal factor k_beta of `edge_gap`, from the scaled normal form; k_2 = 1/2 and k_inf = 1 exactly.

    Parameters
    ----------
    beta : float
        Exponent of the loss, > 1; infinity allowed.

    Returns
    -------
    float
        Relative error below 1e-8 for beta >= 1.2.

    Raises
    ------
    ValueError
        If ``beta <= 1``.

    Notes
    -----
    In units of s and delta that remove lr and c the normal form reads d log s/dt = p - s^beta, dp/dt = -s^2. The
    trajectory that comes down the slow curve p = s^beta - s^(2-beta)/beta + ... ends at s = 0, p = -k_beta. For beta =
    2 it is the line p = s^2 - 1/2. Integrated with fourth-order Runge-Kutta (about 20 ms) until s < 1e-9, where p^2 +
    s^2 is conserved. It starts where the slow curve has contracted errors by exp(-120).
    """
    if not beta > 1.0:
        raise ValueError(f"beta must be larger than 1, got {beta}")
    if math.isinf(beta):
        return 1.0
    if beta == 2.0:
        return 0.5
    s_start = max(1.0, (240.0 * (beta - 1.0) / beta**2) ** (0.5 / (beta - 1.0)))
    r, p = math.log(s_start), s_start**beta - s_start ** (2.0 - beta) / beta

    def velocity(r: float, p: float) -> tuple[float, float]:
        return p - math.exp(beta * r), -math.exp(2.0 * r)

    while r > math.log(1e-9):
        h = 0.02 / (1.0 + beta * math.exp(beta * r))
        r1, p1 = velocity(r, p)
        r2, p2 = velocity(r + h / 2 * r1, p + h / 2 * p1)
        r3, p3 = velocity(r + h / 2 * r2, p + h / 2 * p2)
        r4, p4 = velocity(r + h * r3, p + h * p3)
        r += h / 6 * (r1 + 2 * r2 + 2 * r3 + r4)
        p += h / 6 * (p1 + 2 * p2 + 2 * p3 + p4)
    return math.hypot(p, math.exp(r))


def edge_gap(lr: ArrayLike, loss: str = "sqrt", beta: float = 2.0) -> NDArray[np.float64]:
    """How far below 2/lr the sharpness ends at the edge of stability: ``2/lr - sharpness = k_beta * Delta / lr``.

    ``Delta = ((sqrt(2) * lr * l''(0))**beta / (2*c)) ** (1/(beta-1))``, so the gap scales as lr^(1/(beta-1)). For beta
    = 2 it is l''(0)^2 lr / (2 c): lr for ``"sqrt"``, 1.5 lr for ``"logcosh"``, 0.375 lr for ``"logistic"``. For
    ``"huber"`` it tends to sqrt(2).

    Parameters
    ----------
    lr : array_like
        Step size, > 0. Leading order for lr -> 0, whatever the start.
    loss, beta
        As in `loss_shape`.

    Returns
    -------
    ndarray
        Predicted gap 2/lr - sharpness, >= 0.

    Notes
    -----
    The trajectory of the normal form that comes down the slow curve delta = 2 c s^beta ends at s = 0, delta =
    -k_beta Delta, where the sharpness is l''(0) y^2 = (2 + delta)/lr.

    Examples
    --------
    >>> round(float(edge_gap(0.01, "logcosh")), 9)
    0.015
    """
    shape = loss_shape(loss, beta)
    step = positive("lr", lr)
    root2_step = math.sqrt(2.0) * shape.curvature * step
    power = 1.0 if math.isinf(shape.beta) else shape.beta / (shape.beta - 1.0)
    flatness = 1.0 if math.isinf(shape.beta) else (2.0 * shape.c) ** (1.0 / (shape.beta - 1.0))
    gap: NDArray[np.float64] = edge_gap_factor(shape.beta) * root2_step**power / flatness / step
    return gap


def slow_line(lr: float, s: ArrayLike, loss: str = "sqrt") -> NDArray[np.float64]:
    """Slow curve of the normal form for beta = 2, exact there: ``delta = 2*c*s**2 - (lr*l''(0))**2 / (2*c)``.

    Parameters
    ----------
    lr : float
        Step size, > 0.
    s : array_like
        |x*y|, small.
    loss : {"sqrt", "logcosh", "logistic"}
        A loss with beta = 2.

    Returns
    -------
    ndarray
        delta = lr * l''(0) * y^2 - 2 along the approach to the minimiser.

    Raises
    ------
    ValueError
        For a loss whose beta is not 2.
    """
    shape = loss_shape(loss)
    if shape.beta != 2.0 or loss == "power":
        raise ValueError(f"loss must be 'sqrt', 'logcosh' or 'logistic', which have beta = 2, got {loss!r}")
    step = float(positive("lr", lr)) * shape.curvature
    line: NDArray[np.float64] = 2.0 * shape.c * np.square(np.asarray(s, dtype=np.float64))
    return line - step * step / (2.0 * shape.c)


def steps_to_edge(lr: float, delta: float, x_tilde: float) -> float:
    """Steps until lr*y**2 first falls to 2 for l(s) = sqrt(1 + s**2), from ``sqrt((2+delta)/lr) * (x_tilde,
    sqrt(1+x_tilde**2))``.

    Parameters
    ----------
    lr : float
        Step size, > 0; the relative error vanishes with it.
    delta : float
        > 0: how far above the edge the run starts, lr*(y0^2 - x0^2) = 2 + delta.
    x_tilde : float
        Shape of the start, > 0.

    Returns
    -------
    float
        asinh(x_tilde)/lr + log((u^2 - 1)/lr^2) / (2 lr^2), where u = (1 + delta/2) (1 - lr asinh(x_tilde)).

    Raises
    ------
    ValueError
        If the y-axis is not reached above the edge.

    Notes
    -----
    First the y-axis is reached (see `flow_regime_sharpness`) with lr*y^2/2 = u. There the 2-cycle has s^2 = u^2 - 1 and
    du/dt = -lr^2 (u^2 - 1)/u, hence log(u^2 - 1) falls at the rate 2 lr^2; `slow_line` puts the crossing at s = lr.
    """
    positive("lr", lr)
    u = (1.0 + delta / 2.0) * (1.0 - lr * math.asinh(x_tilde))
    if not u > 1.0:
        raise ValueError(f"delta must put the start above the edge, got {delta} with lr = {lr}, x_tilde = {x_tilde}")
    return math.asinh(x_tilde) / lr + math.log((u * u - 1.0) / lr**2) / (2.0 * lr**2)
