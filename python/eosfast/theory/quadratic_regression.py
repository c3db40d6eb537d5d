"""The steps of gradient descent on ``||z||^2/2`` with z quadratic in the parameters, in function space.

One data point, ``z = (w'Qw - E)/2`` and ``J = Qw``: a step of size lr involves nothing but lr z, sqrt(lr) J and lr E.
Functions of one data point take z, ``T = lr ||J||^2`` (the curvature, with the edge of stability at 2) and ``offset =
lr E`` in these units. Two eigenvalues of Q, 1 and -epsilon, suffice for progressive sharpening and the edge of
stability, which `quadratic_edge` treats. With ``a = J_1^2`` and ``b = J_2^2/epsilon``, J_1 and J_2 along their
eigenvectors,

    a <- a (1 - z)^2,   b <- b (1 + epsilon z)^2,   z = (a - b - offset)/2,   T = a + epsilon b.

The eigenvalues omega and -omega with E = 0 are a linear network with one hidden layer: `catapult_step` with lr = 1, n =
1/omega^2, of (z, T). There T only falls below 4: no sharpening, no edge of stability.

Many data points with random coefficients: `residual_step`, and what is known of their start. What is said to be derived
was derived for this package. Functions accept scalars or arrays and use NumPy alone.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .single_neuron import positive

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
Array = TypeVar("Array", NDArray[np.float64], NDArray[np.complex128])


def two_mode_step(z: ArrayLike, T: ArrayLike, epsilon: ArrayLike, offset: ArrayLike = 0.0) -> Pair:
    """One step of gradient descent, exactly, in the coordinates (z, T) of the model with eigenvalues 1 and -epsilon.

    With ``M = 2 z + offset`` and ``A = (1 - epsilon) T + epsilon M``::

        z <- z (1 - T) + z^2 A / 2
        T <- T - 2 z A + z^2 ((1 - epsilon + epsilon^2) T + epsilon (1 - epsilon) M)

    Parameters
    ----------
    z, T : array_like
        Where the step starts; see `realisable_z` for which values occur.
    epsilon : array_like
        Minus the negative eigenvalue of Q, > 0; the positive one is 1.
    offset : array_like, default 0.0
        lr E.

    Returns
    -------
    z, T : ndarray

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Notes
    -----
    With moments ``S_k = sum_i omega_i^k J_i^2`` over the eigenvalues of Q, any number of them, a step is ``z <- z (1 -
    S_0) + z^2 S_1 / 2``, ``S_k <- S_k - 2 z S_{k+1} + z^2 S_{k+2}``, and two eigenvalues close the sums: S_{-1} = 2 z +
    offset gives S_1 and S_2. No truncation, since z is quadratic. Derived here.

    References
    ----------
    Agarwala, Pedregosa, Pennington 2023 (arXiv 2210.04860), section 2.1 for the model.

    Examples
    --------
    >>> z, T = two_mode_step(-0.5, 1.0, 0.0078125)
    >>> float(z), float(T)
    (0.123046875, 2.230499267578125)
    """
    eps = positive("epsilon", epsilon)
    z, T = np.asarray(z, dtype=np.float64), np.asarray(T, dtype=np.float64)
    ratio, change = relative_step(z, T, eps, np.asarray(offset, dtype=np.float64))
    return z * ratio, T + z * change


def relative_step(z: Array, T: Array, eps: NDArray[np.float64], offset: NDArray[np.float64]) -> tuple[Array, Array]:
    """``z'/z`` and ``(T' - T)/z`` of a step from (z, T) to (z', T'): polynomials, of complex arguments too."""
    M = 2.0 * z + offset
    A = (1.0 - eps) * T + eps * M
    return 1.0 - T + z * A / 2.0, z * ((1.0 - eps + eps * eps) * T + eps * (1.0 - eps) * M) - 2.0 * A


def mode_weights(z: ArrayLike, T: ArrayLike, epsilon: ArrayLike, offset: ArrayLike = 0.0) -> Pair:
    """Return ``a = J_1^2`` and ``b = J_2^2/epsilon`` at (z, T): ``(T + epsilon M)/(1 + epsilon)``, ``(T - M)/(1 +
    epsilon)`` with ``M = 2 z + offset``.

    Parameters
    ----------
    z, T, epsilon, offset
        As in `two_mode_step`.

    Returns
    -------
    a, b : ndarray
        Negative where no parameters have this z and T.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    See Also
    --------
    curvature_of_modes : The inverse.

    Examples
    --------
    >>> a, b = mode_weights(-0.5, 1.5, 0.25)
    >>> float(a), float(b)
    (1.0, 2.0)
    """
    eps = positive("epsilon", epsilon)
    M = 2.0 * np.asarray(z, dtype=np.float64) + np.asarray(offset, dtype=np.float64)
    T = np.asarray(T, dtype=np.float64)
    return (T + eps * M) / (1.0 + eps), (T - M) / (1.0 + eps)


def curvature_of_modes(a: ArrayLike, b: ArrayLike, epsilon: ArrayLike, offset: ArrayLike = 0.0) -> Pair:
    """Return ``z = (a - b - offset)/2`` and ``T = a + epsilon b``, the inverse of `mode_weights`.

    Parameters
    ----------
    a, b : array_like
        J_1^2 and J_2^2/epsilon.
    epsilon, offset
        As in `two_mode_step`.

    Returns
    -------
    z, T : ndarray

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.
    """
    eps = positive("epsilon", epsilon)
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return (a - b - np.asarray(offset, dtype=np.float64)) / 2.0, a + eps * b


def mode_step(a: ArrayLike, b: ArrayLike, epsilon: ArrayLike, offset: ArrayLike = 0.0) -> Pair:
    """One step of gradient descent in the weights of the modes: ``a (1 - z)^2`` and ``b (1 + epsilon z)^2``.

    The same step as `two_mode_step`, in coordinates that cannot leave what is realisable: a, b >= 0.

    Parameters
    ----------
    a, b : array_like
        J_1^2 and J_2^2/epsilon.
    epsilon, offset
        As in `two_mode_step`.

    Returns
    -------
    a, b : ndarray

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Notes
    -----
    ``J_i <- (1 - z omega_i) J_i`` for every eigenvalue. Derived here.
    """
    z, _ = curvature_of_modes(a, b, epsilon, offset)
    return np.multiply(a, np.square(1.0 - z)), np.multiply(b, np.square(1.0 + np.multiply(epsilon, z)))


def two_mode_start(
    z: ArrayLike, T: ArrayLike, epsilon: ArrayLike, offset: ArrayLike = 0.0, lr: ArrayLike = 1.0
) -> NDArray[np.float64]:
    """Parameters at which the model with ``Q = diag(1, -epsilon)`` and E = offset/lr has this z and T.

    ``w = (sqrt(a), sqrt(b/epsilon)) / sqrt(lr)`` with a, b from `mode_weights`: then lr (w'Qw - E)/2 = z and lr
    ||Qw||^2 = T.

    Parameters
    ----------
    z, T, epsilon, offset : array_like, broadcast together
        As in `two_mode_step`.
    lr : array_like, default 1.0
        Step size, > 0.

    Returns
    -------
    ndarray
        w, in a last dimension of length 2; NaN where no w has this z and T.

    Raises
    ------
    ValueError
        If ``epsilon`` or ``lr`` is not positive.

    Examples
    --------
    >>> two_mode_start(-0.5, 1.5, 0.25).tolist()
    [1.0, 2.8284271247461903]
    """
    a, b = mode_weights(z, T, epsilon, offset)
    step, eps = positive("lr", lr), positive("epsilon", epsilon)
    with np.errstate(invalid="ignore"):
        w: NDArray[np.float64] = np.stack(np.broadcast_arrays(np.sqrt(a / step), np.sqrt(b / (eps * step))), axis=-1)
    return np.where(np.isnan(w).any(axis=-1, keepdims=True), np.nan, w)


def realisable_z(T: ArrayLike, epsilon: ArrayLike, offset: ArrayLike = 0.0) -> Pair:
    """The smallest and the largest z that some parameters have at curvature T: ``-(T/epsilon + offset)/2`` and
    ``(T - offset)/2``.

    Parameters
    ----------
    T, epsilon, offset
        As in `two_mode_step`, T >= 0.

    Returns
    -------
    lowest, highest : ndarray

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive.

    Notes
    -----
    There a = 0 or b = 0. Steps never leave the region between them.
    """
    eps = positive("epsilon", epsilon)
    T, offset = np.asarray(T, dtype=np.float64), np.asarray(offset, dtype=np.float64)
    return -(T / eps + offset) / 2.0, (T - offset) / 2.0


# ----------------------------------------------------------------------------------------------------- many data points


def residual_step(
    z: NDArray[np.float64], J: NDArray[np.float64], Q: NDArray[np.float64], lr: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One step of gradient descent on ``||z||^2/2`` in function space, exactly, z quadratic in the parameters.

    With ``w = J'z`` and ``B = Q(w, .)``: ``z <- z - lr J w + lr^2 B w / 2``, ``J <- J - lr B``.

    Parameters
    ----------
    z : ndarray (D,)
        Residuals.
    J : ndarray (D, P)
        Their Jacobian.
    Q : ndarray (D, P, P)
        Their second derivatives, symmetric in the last two indices.
    lr : float, default 1.0

    Returns
    -------
    z, J : ndarray

    Raises
    ------
    ValueError
        For shapes that do not belong together.

    Notes
    -----
    The residuals move by ``J dw + Q(dw, dw)/2``, dw = -lr w, without remainder. One contraction, D P^2 operations.

    References
    ----------
    Agarwala, Pedregosa, Pennington 2023 (arXiv 2210.04860), for the model.

    Examples
    --------
    >>> z, J = residual_step(np.array([0.5]), np.array([[1.0, 2.0]]), np.diag([1.0, -1.0])[None], lr=0.5)
    >>> z.tolist(), J.tolist()
    ([-0.84375], [[0.75, 2.5]])
    """
    if J.ndim != 2 or z.shape != J.shape[:1] or Q.shape != (*J.shape, J.shape[1]):
        raise ValueError(f"z, J, Q must have shapes (D,), (D, P), (D, P, P), got {z.shape}, {J.shape}, {Q.shape}")
    w = z @ J
    B = Q @ w
    return z - lr * (J @ w) + 0.5 * lr * lr * (B @ w), J - lr * B


def initial_curvature(D: ArrayLike, P: ArrayLike, sigma_J: ArrayLike) -> NDArray[np.float64]:
    """Largest eigenvalue of JJ' for J (D, P) with independent entries of variance sigma_J^2: ``P sigma_J^2 (1 +
    sqrt(D/P))^2``.

    Parameters
    ----------
    D, P : array_like
        Data points and parameters, both large and > 0; at (60, 120) the mean is 5 % below.
    sigma_J : array_like

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If ``D`` or ``P`` is not positive.

    Notes
    -----
    Upper edge of the Marchenko-Pastur law, to which the eigenvalue tends at fixed D/P.

    Examples
    --------
    >>> round(float(initial_curvature(60, 120, 0.1)), 6)
    3.497056
    """
    D, P = positive("D", D), positive("P", P)
    top: NDArray[np.float64] = P * np.square(sigma_J) * np.square(1.0 + np.sqrt(D / P))
    return top


def sharpening_rate(D: ArrayLike, P: ArrayLike, sigma_z: ArrayLike, sigma_Q: ArrayLike = 1.0) -> NDArray[np.float64]:
    """Second derivative of the largest eigenvalue of JJ' at the start, relative to it: ``2 D P sigma_Q^2 sigma_z^2``.

    For gradient flow on ``||z||^2/2`` in its own time, from independent z, J, Q of mean 0 and variances sigma_z^2,
    sigma_J^2, sigma_Q^2 (off the diagonal of the symmetric Q): ``E lambda'(0) = 0`` and ``E lambda''(0) / E lambda(0)``
    is this, whatever sigma_J, for D, P -> infinity at fixed D/P.

    Parameters
    ----------
    D, P : array_like
        Data points and parameters, > 0.
    sigma_z : array_like
    sigma_Q : array_like, default 1.0

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If ``D`` or ``P`` is not positive.

    Notes
    -----
    J moves along ``-Q(J'z, .)``, whose entries are independent of J with variance ``sigma_Q^2 ||J'z||^2``, about
    ``sigma_Q^2 D P sigma_J^2 sigma_z^2``; J after a short time t is therefore again a matrix of independent entries, of
    variance ``sigma_J^2 (1 + t^2 D P sigma_Q^2 sigma_z^2)``, and its largest eigenvalue is proportional to it. That it
    sharpens in the mean, in proportion to sigma_z^2, is a theorem of the paper; the constant is derived here.

    References
    ----------
    Agarwala, Pedregosa, Pennington 2023 (arXiv 2210.04860).

    Examples
    --------
    >>> round(float(sharpening_rate(60, 120, 0.01)), 6)
    1.44
    """
    rate: NDArray[np.float64] = 2.0 * positive("D", D) * positive("P", P) * np.square(np.multiply(sigma_Q, sigma_z))
    return rate
