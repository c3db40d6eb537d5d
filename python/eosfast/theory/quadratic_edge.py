"""Where gradient descent on a quadratic regression model with one data point ends: at or below the edge of stability.

The model has the eigenvalues 1 and -epsilon; z, T = lr ||J||^2, a, b and ``offset = lr E`` are those of
`quadratic_regression`. b changes slowly, a follows fast. For epsilon = 0 the run is a one-dimensional map with the
parameter b, which has a 2-cycle ``T = 2/(1 - z)`` for b > 2; for small epsilon the run comes slowly down that curve, on
an invariant curve next to it, and ends where that meets z = 0: at ``T = 2 - epsilon/2 + O(epsilon^2)``.

That the end is 2 - O(epsilon) is a theorem of Agarwala, Pedregosa, Pennington 2023 (arXiv 2210.04860); formulas with
more than that were derived for this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import shown

from .quadratic_regression import Pair, mode_weights, relative_step, two_mode_step
from .single_neuron import positive


def two_step(z: ArrayLike, T: ArrayLike, epsilon: ArrayLike, offset: ArrayLike = 0.0) -> Pair:
    """Two steps of gradient descent: `two_mode_step` twice, of degree 3 in T and 9 in z.

    Parameters
    ----------
    z, T, epsilon, offset
        As in `two_mode_step`.

    Returns
    -------
    z, T : ndarray

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.
    """
    return two_mode_step(*two_mode_step(z, T, epsilon, offset), epsilon, offset)


def z_nullcline(z: ArrayLike, epsilon: float, offset: float = 0.0) -> NDArray[np.float64]:
    """The curvature f_z(z) at which two steps return to the same z, on the curve through (0, 2).

    ``2 + (2 (1-epsilon) + epsilon offset) z + (2 (1-epsilon+epsilon^2) + epsilon (1-epsilon) offset) z^2 + ...``;
    between it and `T_nullcline` lies the end of a run at the edge of stability. The excess ``y = T - f_z(z)`` is the
    coordinate in which the edge is simplest; see `two_step_coefficients`.

    Parameters
    ----------
    z : array_like
        Below 1, where the curve for epsilon -> 0, 2/(1 - z), has its pole.
    epsilon, offset : float
        As in `two_mode_step`.

    Returns
    -------
    ndarray
        To rounding; NaN where the curve cannot be followed that far.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Notes
    -----
    Newton's iteration, followed from (0, 2); the derivative by T of the polynomial ``z_{t+2}/z_t - 1`` comes from a
    complex step. The series is the paper's idea, its coefficients are derived here.

    Examples
    --------
    >>> float(z_nullcline(0.0, 0.01))
    2.0
    """

    def growth(z: NDArray[np.complex128], T: NDArray[np.complex128]) -> NDArray[np.complex128]:
        ratio, change = relative_step(z, T, eps, shift)
        return ratio * relative_step(z * ratio, T + z * change, eps, shift)[0] - 1.0

    eps, shift = positive("epsilon", epsilon), np.asarray(offset, dtype=np.float64)
    return _followed(growth, np.asarray(z, dtype=np.float64))


def T_nullcline(z: ArrayLike, epsilon: float, offset: float = 0.0) -> NDArray[np.float64]:
    """The curvature at which two steps return to the same T, on the curve through (0, 2).

    For offset = 0: ``2 + (2 - 3 epsilon + 2 epsilon^2)/(1 - epsilon) z + ...``, steeper than `z_nullcline` by
    ``epsilon/(1 - epsilon)``.

    Parameters
    ----------
    z, epsilon, offset
        As in `z_nullcline`.

    Returns
    -------
    ndarray
        To rounding; NaN where the curve cannot be followed that far.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.
    """

    def movement(z: NDArray[np.complex128], T: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """(T_{t+2} - T_t) / z, without the cancellation of the difference."""
        ratio, change = relative_step(z, T, eps, shift)
        return change + ratio * relative_step(z * ratio, T + z * change, eps, shift)[1]

    eps, shift = positive("epsilon", epsilon), np.asarray(offset, dtype=np.float64)
    return _followed(movement, np.asarray(z, dtype=np.float64))


def _followed(
    equation: Callable[[NDArray[np.complex128], NDArray[np.complex128]], NDArray[np.complex128]],
    z: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The root T of ``equation(z, T) = 0`` that is 2 at z = 0, by Newton's iteration along the way from 0 to z."""
    tiny = 1e-100
    T = np.full(z.shape, 2.0)
    followed: NDArray[np.bool_] = z < 1.0
    with np.errstate(all="ignore"):
        for part in np.linspace(0.0, 1.0, 257)[1:]:
            before = T
            for _ in range(4):
                value = equation(part * z.astype(complex), T + 1j * tiny)
                step = tiny * value.real / value.imag
                T = T - step
            followed &= (np.abs(T - before) <= 0.2 * np.abs(before)) & (np.abs(step) <= 1e-6)  # not on another curve
    return np.where(followed, T, np.nan)


class TwoSteps(NamedTuple):
    """Leading coefficients of two steps in (z, y), ``y = T - z_nullcline(z)``.

    ``z_{t+2} - z_t = growth y z + ...`` and ``y_{t+2} - y_t = damping y z^2 + drift z^2 + ...``
    """

    growth: float
    damping: float
    drift: float


def two_step_coefficients(epsilon: float, offset: float = 0.0) -> TwoSteps:
    """Return how z and the excess y over the nullcline change in two steps, close to z = y = 0.

    ``z_{t+2} - z_t = 2 y z + ...`` and ``y_{t+2} - y_t = -2 (4 - 3 epsilon + 4 epsilon^2) y z^2 - 4 epsilon z^2 + ...``
    for offset = 0: z grows while y > 0, y falls while z is large, and settles just below 0.

    Parameters
    ----------
    epsilon : float
        > 0.
    offset : float, default 0.0
        lr E.

    Returns
    -------
    TwoSteps
        growth = 2; damping = ``-(e^2 E^2 + 8 e (1-e) E + 16 - 12 e + 16 e^2)/2`` and drift = ``e (E - 2) (2 + e E)``
        with e = epsilon, E = offset.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Notes
    -----
    The remainders are O(y^2 z) + O(y z^2) in z_{t+2} - z_t and O(z^3) + O(y^2 z^2) in y_{t+2} - y_t, there also
    ``-epsilon offset y^2 z``. Coefficients for offset = 0 as recalled from the paper; all of them derived here.

    Examples
    --------
    >>> two_step_coefficients(0.5)
    TwoSteps(growth=2.0, damping=-7.0, drift=-2.0)
    """
    e, E = float(positive("epsilon", epsilon)), float(offset)
    damping = -(e * e * E * E + 8.0 * e * (1.0 - e) * E + 16.0 - 12.0 * e + 16.0 * e * e) / 2.0
    return TwoSteps(2.0, damping, e * (E - 2.0) * (2.0 + e * E))


def edge_excess(epsilon: float, offset: float = 0.0) -> float:
    """Where the excess y over the nullcline settles, to leading order: ``-2 epsilon/(4 - 3 epsilon + 4 epsilon^2)`` for
    offset = 0.

    The root of ``damping y + drift = 0`` of `two_step_coefficients`. The curvature then ends at about 2 plus this; for
    the end to higher order see `quadratic_edge_limit`.

    Parameters
    ----------
    epsilon : float
        > 0.
    offset : float, default 0.0
        lr E.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Examples
    --------
    >>> edge_excess(0.5)
    -0.2857142857142857
    """
    _, damping, drift = two_step_coefficients(epsilon, offset)
    return -drift / damping


# ---------------------------------------------------------------------------------------------------------- limits


def quadratic_edge_limit(epsilon: ArrayLike, offset: ArrayLike = 0.0, order: int = 4) -> NDArray[np.float64]:
    """The curvature at which runs at the edge of stability end: ``2 - e/2 - 27 e^2/32 - 153 e^3/128 - ...``, with e =
    epsilon, for offset = 0.

    With E = offset the coefficients are ``(E-2)/4``, ``-(E-2)(11 E-54)/128``, ``(E-2)^2 (47 E-306)/1024`` and
    ``-(E-2)^2 (3849 E^2 - 41572 E + 69540)/131072``.

    Parameters
    ----------
    epsilon : array_like
        > 0, small: for offset = 0 the fourth order is exact to 1e-8 at 0.02.
    offset : array_like, default 0.0
        lr E.
    order : {1, 2, 3, 4}, default 4
        Highest power of epsilon.

    Returns
    -------
    ndarray
        NaN where offset > 2: there T >= offset at every minimum (a = b + offset), so none is stable.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive, or for another ``order``.

    Notes
    -----
    An invariant curve ``T = W(z)`` of `two_mode_step` attracts the runs. Put ``W = 2/(1 - z) + epsilon W_1(z) + ...``
    into ``W(z') = T'`` and solve for one power of epsilon and z after the other: W_1 = (E - 2)/4 + (E - 2) z + (15 E -
    38) z^2/16 + ..., and the limit is W(0). Derived here; that the limit is 2 - O(epsilon) is a theorem of the paper. A
    run follows the curve if z^2 is still large against epsilon when it arrives: distances from it shrink by exp(-8
    sum z^2), summed over pairs of steps, while z shrinks by exp(-epsilon/2) a step. At epsilon >= 0.05 the limit
    therefore begins to depend on the start.

    References
    ----------
    Agarwala, Pedregosa, Pennington 2023 (arXiv 2210.04860), theorem on the two-dimensional model.

    Examples
    --------
    >>> round(float(quadratic_edge_limit(0.005)), 8)
    1.99747876
    """
    if order not in (1, 2, 3, 4):
        raise ValueError(f"order must be 1, 2, 3 or 4, got {shown(order)}")
    e, E = positive("epsilon", epsilon), np.asarray(offset, dtype=np.float64)
    gap = E - 2.0
    coefficients = (
        gap / 4.0,
        -gap * (11.0 * E - 54.0) / 128.0,
        gap * gap * (47.0 * E - 306.0) / 1024.0,
        -gap * gap * (3849.0 * E * E - 41572.0 * E + 69540.0) / 131072.0,
    )
    series = sum((c * e**k for k, c in enumerate(coefficients[:order], start=1)), np.zeros(np.broadcast(e, E).shape))
    return np.where(gap <= 0.0, 2.0 + series, np.nan)


def quadratic_limit(z: ArrayLike, T: ArrayLike, epsilon: ArrayLike, offset: ArrayLike = 0.0) -> NDArray[np.float64]:
    """The curvature at the end of a run from (z, T), to leading order in epsilon: ``T - 2 z`` below the edge, else
    `quadratic_edge_limit`.

    Parameters
    ----------
    z, T, epsilon, offset : array_like
        As in `two_mode_step`.

    Returns
    -------
    ndarray
        ``min(T - 2 z, limit)``; NaN where no parameters have this z and T, and where no minimum is stable.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Notes
    -----
    ``T - 2 z = offset + (1 + epsilon) b`` changes by O(epsilon z) a step only, and is the curvature once z = 0; the
    edge is reached from ``T - 2 z > 2``. It says nothing of the divergence from large abs(z). Derived here.

    Examples
    --------
    >>> round(float(quadratic_limit(-0.25, 0.5, 0.005)), 6), round(float(quadratic_limit(-1.0, 0.5, 0.005)), 6)
    (1.0, 1.997479)
    """
    a, b = mode_weights(z, T, epsilon, offset)
    direct = np.asarray(T, dtype=np.float64) - 2.0 * np.asarray(z, dtype=np.float64)
    return np.where((a >= 0.0) & (b >= 0.0), np.minimum(direct, quadratic_edge_limit(epsilon, offset)), np.nan)


def quadratic_flow_limit(z: ArrayLike, T: ArrayLike, epsilon: ArrayLike) -> NDArray[np.float64]:
    """The curvature at the end of gradient flow from (z, T), for offset = 0: ``(1 + epsilon) (a^epsilon b)^(1/(1 +
    epsilon))``, a and b from `mode_weights`.

    Parameters
    ----------
    z, T, epsilon : array_like
        As in `two_mode_step`.

    Returns
    -------
    ndarray
        NaN where no parameters have this z and T.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Notes
    -----
    The flow ``a' = -2 z a``, ``b' = 2 epsilon z b`` conserves a^epsilon b and ends at a = b. Derived here.
    """
    a, b = mode_weights(z, T, epsilon)
    e = np.asarray(epsilon, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        limit: NDArray[np.float64] = (1.0 + e) * a ** (e / (1.0 + e)) * b ** (1.0 / (1.0 + e))
    return limit
