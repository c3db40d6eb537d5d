"""Losses of a product: f(x, y) = l(x y) with l minimal at 1 or any other place, and the deep scalar network (w1 ... wn
- target)^2 / 2.

Two facts carry all of it. Gradient flow conserves w_i^2 - w_j^2, and gradient descent on l(x y) multiplies x^2 - y^2 by
1 - lr^2 l'(x y)^2. And across the valley, where e = x y - p0 is the distance from the minimum p0 of l, descent at lr
l''(p0) (x^2 + y^2) = 2 + delta is the map of `flip` with the coefficient C of l. Together, on the scale of many steps,

    d log|e| / dt = delta - C e^2,        d delta / dt = -2 (lr l''(p0))^2 e^2,

the normal form of `single_neuron` for a minimum anywhere. Functions use NumPy alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import shown

from .flip import flip_coefficient
from .single_neuron import positive


def product_edge_gap(lr: ArrayLike, second: ArrayLike, third: ArrayLike, fourth: ArrayLike) -> NDArray[np.float64]:
    """How far below 2/lr the sharpness of l(x y) ends: ``2/lr - sharpness = lr l''^2 / C = 3 lr l''^4 / (3 l'''^2 - l''
    l'''')``.

    Parameters
    ----------
    lr : array_like
        Step size, > 0. Leading order for lr -> 0, whatever the start above the edge.
    second, third, fourth : array_like, broadcast together
        Derivatives of l at its minimum, the second > 0.

    Returns
    -------
    ndarray
        NaN where C <= 0: nothing then holds the oscillation near the minimum. For l(p) = (p - target)^2 / 2, whose C is
        0, the sharpness ends well below 2/lr.

    Notes
    -----
    The trajectory of the normal form is the line delta = C e^2 - (lr l'')^2 / C, which ends at e = 0. Derived here; for
    even l it is `edge_gap` with beta = 2.

    References
    ----------
    Zhu, Wang, Wang, Zhou, Ge 2022 (arXiv 2210.03294) prove that the sharpness ends just below 2/lr for (x^2 y^2 - 1)^2.

    Examples
    --------
    >>> float(product_edge_gap(0.1, 2.0, 6.0, 6.0))                                # (p^2 - 1)^2 / 4: lr / 2
    0.05
    """
    h = positive("second", second)
    C = flip_coefficient(h, third, fourth)
    step = positive("lr", lr) * np.square(h)
    shape = np.broadcast_shapes(step.shape, C.shape)
    return np.asarray(np.divide(step, C, out=np.full(shape, np.nan), where=np.broadcast_to(C > 0.0, shape)))


def paired_edge_gap(lr: ArrayLike, depth: ArrayLike) -> NDArray[np.float64]:
    """`product_edge_gap` of the deep scalar network (w1 ... w_depth - 1)^2 / 2 with half of the factors equal x, half
    y: ``3 lr m^2 / (4 (m - 1)(5 m - 4))``, m = depth/2.

    Parameters
    ----------
    lr : array_like
        Step size, > 0.
    depth : array_like
        An even number of factors; from 4 on, for depth 2 has no such law (NaN).

    Returns
    -------
    ndarray
        lr/2 for depth 4, 27/88 lr for depth 6, lr/4 for depth 8.

    Raises
    ------
    ValueError
        An odd depth.

    Notes
    -----
    Equal factors stay equal, and descent on them is that on l(x y) with l(p) = (p^m - 1)^2 / (2 m), whose derivatives
    at p = 1 are m, 3 m (m - 1) and m (m - 1)(7 m - 11). Derived here.
    """
    depth = np.asarray(depth)
    if np.any(depth < 2) or np.any(depth % 2):
        raise ValueError(f"depth must be even and at least 2, got {shown(depth)}")
    m = depth / 2.0
    return product_edge_gap(lr, m, 3.0 * m * (m - 1.0), m * (m - 1.0) * (7.0 * m - 11.0))


# --------------------------------------------------------------------------------------------------- the flow's minimum


def product_flow_limit(w: ArrayLike, target: float = 1.0) -> NDArray[np.float64]:
    """Squares of the factors where the gradient flow of (w1 ... wn - target)^2 / 2 ends, from each w.

    Parameters
    ----------
    w : array_like, shape (..., n)
        Points, n >= 2; not on the set, of measure zero, that flows to a saddle.
    target : float, default 1.0
        Value of the product at the minimum, not 0.

    Returns
    -------
    ndarray, shape (..., n)
        ``w_i^2 + s`` with the one s > -min_i w_i^2 at which their product is target^2.

    Raises
    ------
    ValueError
        A target of 0, or a single factor.

    Notes
    -----
    The flow conserves w_i^2 - w_j^2. At most the smallest factor passes 0 on the way. Newton's method on sum_i
    log(w_i^2 + s) as a function of log(s + min w_i^2), which is convex and increasing; derived here.

    References
    ----------
    Kreisler, Nacson, Soudry, Carmon 2023, "Gradient descent monotonically decreases the sharpness of gradient flow
    solutions in scalar networks and beyond" (ICML 2023).
    """
    squares = np.square(np.asarray(w, dtype=np.float64))
    if squares.ndim == 0 or squares.shape[-1] < 2:
        raise ValueError(f"w must hold at least two factors along its last axis, got {shown(w)}")
    if target == 0.0 or not np.isfinite(target):
        raise ValueError(f"target must be finite and not 0, got {target!r}")
    beyond = squares - squares.min(axis=-1, keepdims=True)
    level = np.log(target * target)
    u = np.full(squares.shape[:-1], level / squares.shape[-1])  # an upper bound of log(s + min w^2)
    for _ in range(200):
        shifted = beyond + np.exp(u)[..., None]
        excess = np.sum(np.log(shifted), axis=-1) - level
        step = excess / np.sum(np.exp(u)[..., None] / shifted, axis=-1)
        u = u - step
        if np.all(np.abs(step) <= 1e-15 * np.maximum(np.abs(u), 1.0)):
            break
    return np.asarray(beyond + np.exp(u)[..., None])


def product_flow_sharpness(w: ArrayLike, target: float = 1.0) -> NDArray[np.float64]:
    """Sharpness of the minimum to which the gradient flow leads from w, ``target^2 sum_i 1/w_i^2`` there.

    Parameters
    ----------
    w : array_like, shape (..., n)
        As in `product_flow_limit`.
    target : float, default 1.0
        As there.

    Returns
    -------
    ndarray, shape (...)

    References
    ----------
    Kreisler et al. 2023 (ICML 2023): gradient descent never increases it.

    Examples
    --------
    >>> float(product_flow_sharpness([1.0, 1.0, 1.0]))
    3.0
    """
    return np.asarray(target * target * np.sum(1.0 / product_flow_limit(w, target), axis=-1))
