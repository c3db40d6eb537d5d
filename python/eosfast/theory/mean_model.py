"""Predictions for the mean model and for the threshold-neuron network it stands for.

The mean model is gradient descent on l(A g(b)), l(s) = (log(1 + e^-s) + log(1 + e^s))/2, in the variables (a_minus,
a_plus, b), with A = d (a_minus + a_plus) and the noise-averaged ReLU g(b) = E relu(noise*z + b), z ~ N(0, 1):

    A <- A - 2 d^2 lr l'(A g) g,        b <- b - lr l'(A g) A g'.

The curvature along A at A = 0 is l''(0) d^2 g(b)^2 in each of the two a's, d^2 g(b)^2 / 2 together: stable while lr
d^2 g(b)^2 / 2 <= 2. At b = 0 this puts the edge at lr = 8 pi / (d noise)^2; beyond it A oscillates and drives b down
until g(b) is small enough. Functions accept scalars or arrays unless they say otherwise and use NumPy alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .single_neuron import oscillation_envelope, positive

_erfc = np.frompyfunc(math.erfc, 1, 1)


def normal_cdf(z: ArrayLike) -> NDArray[np.float64]:
    """Standard normal distribution function, ``Phi(z) = erfc(-z/sqrt(2))/2``, relatively accurate in the left tail.

    Parameters
    ----------
    z : array_like

    Returns
    -------
    ndarray
    """
    return np.asarray(_erfc(-np.asarray(z, dtype=np.float64) / math.sqrt(2.0)), dtype=np.float64) / 2.0


def smoothed_relu(b: ArrayLike, noise: float = 1.0) -> NDArray[np.float64]:
    """Noise-averaged ReLU, ``g(b) = E relu(noise*z + b) = noise*(phi(u) + u*Phi(u))`` with ``u = b/noise``.

    Parameters
    ----------
    b : array_like
        Bias.
    noise : float, default 1.0
        Standard deviation of the noise, > 0.

    Returns
    -------
    ndarray
        Relatively accurate for all b; its slope is ``normal_cdf(b / noise)``.

    Notes
    -----
    For u < -1.5 the two terms cancel; there phi(u) K/(t + K) is used, t = -u and K = 1/(t + 2/(t + 3/(t + ...))),
    which follows from the continued fraction of Mills' ratio.

    References
    ----------
    Ahn et al. 2023 (arXiv 2212.07469), section 3.1.

    Examples
    --------
    >>> float(smoothed_relu(0.0))                        # 1/sqrt(2 pi)
    0.3989422804014327
    """
    u = np.asarray(b, dtype=np.float64) / positive("noise", noise)
    density = np.exp(-u * u / 2.0) / math.sqrt(2.0 * math.pi)
    t = np.maximum(-u, 1.5)
    tail = np.zeros_like(t)
    for n in range(200, 0, -1):
        tail = n / (t + tail)
    return noise * np.where(u < -1.5, density * tail / (t + tail), density + u * normal_cdf(u))


def smoothed_relu_inverse(value: ArrayLike, noise: float = 1.0) -> NDArray[np.float64]:
    """The b with ``smoothed_relu(b, noise) = value``.

    Parameters
    ----------
    value : array_like
        > 0.
    noise : float, default 1.0

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If a value is not positive.

    Notes
    -----
    Newton on log g, which is increasing and concave: it approaches from the left. The start is the value itself
    or, for small values, the u < 0 where the normal density, which exceeds g there, has the value.
    """
    target = positive("value", value) / positive("noise", noise)
    small = -np.sqrt(2.0 * np.maximum(-np.log(math.sqrt(2.0 * math.pi) * target), 0.0))
    u = np.where(small < 0.0, small, target)
    for _ in range(100):
        g = smoothed_relu(u)
        step = np.log(target / g) * g / normal_cdf(u)
        u = u + step
        if np.all(np.abs(step) <= 1e-15 * np.maximum(np.abs(u), 1.0)):
            break
    return noise * u


def edge_lr(d: ArrayLike, noise: float = 1.0) -> NDArray[np.float64]:
    """Step size above which the bias is driven away from 0, ``8*pi / (d*noise)**2``.

    Parameters
    ----------
    d : array_like
        Dimension of the input.
    noise : float, default 1.0

    Returns
    -------
    ndarray

    References
    ----------
    Ahn et al. 2023 (arXiv 2212.07469), section 1.2 and figure 1.

    Examples
    --------
    >>> float(edge_lr(200))
    0.0006283185307179586
    """
    return 8.0 * math.pi / np.square(positive("d", d) * positive("noise", noise))


def edge_bias(lr: ArrayLike, d: ArrayLike, noise: float = 1.0) -> NDArray[np.float64]:
    """Bias at which the step size is exactly at the edge, ``g^{-1}(2 / (d*sqrt(lr)))``.

    Parameters
    ----------
    lr : array_like
        Step size, > 0.
    d : array_like
        Dimension of the input.
    noise : float, default 1.0

    Returns
    -------
    ndarray
        Negative above `edge_lr`, where it bounds the final bias from above; positive below it.

    Examples
    --------
    >>> round(float(edge_bias(10 * math.pi / 200**2, 200)), 6)
    -0.087271
    """
    return smoothed_relu_inverse(2.0 / (positive("d", d) * np.sqrt(positive("lr", lr))), noise)


def edge_bias_limit(lr: ArrayLike, d: ArrayLike, noise: float = 1.0) -> NDArray[np.float64]:
    """Final bias of the mean model above the edge, ``b_e - (3/4)*lr*g'(b_e)/g(b_e)`` with ``b_e = edge_bias(lr, d)``.

    Parameters
    ----------
    lr, d, noise
        As in `edge_bias`; ``lr`` above `edge_lr`. The error is O(lr^2); the start does not matter to this order.

    Returns
    -------
    ndarray

    Notes
    -----
    Near the edge the mean model is the normal form of `eosfast.theory.single_neuron` with c = 1/12, delta = lr
    d^2 g^2 / 2 - 2 and (lr l''(0))^2 replaced by lr (g'/g)^2 / 2. Hence delta ends at -3 lr (g'/g)^2, and d delta/d b
    = 4 g'/g.
    """
    b = edge_bias(lr, d, noise)
    return b - 0.75 * np.asarray(lr, dtype=np.float64) * normal_cdf(b / noise) / smoothed_relu(b, noise)


def stable_bias_limit(lr: float, d: float, A0: float, noise: float = 1.0) -> float:
    """Final bias below the edge for small A0, ``-(g'(0)/g(0)) * A0**2 / (2*d**2*(2 - h))`` with ``h =
    lr*d**2*g(0)**2/2``.

    Parameters
    ----------
    lr : float
        Step size below `edge_lr`.
    d : float
        Dimension of the input.
    A0 : float
        Start A = d (a_minus + a_plus), at b = 0. The error is O(A0^4).
    noise : float, default 1.0

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``lr`` is not below the edge.

    Notes
    -----
    With s = A g small, A <- (1 - h) A and b <- b - lr A^2 g g'/4; the sum over steps is geometric. It is of size
    1/d^2 for fixed h.
    """
    g = float(smoothed_relu(0.0, noise))
    h = lr * d * d * g * g / 2.0
    if not 0.0 < h < 2.0:
        raise ValueError(f"lr must be positive and below edge_lr(d, noise) = {float(edge_lr(d, noise)):.6g}, got {lr}")
    return -0.5 / g * A0 * A0 / (2.0 * d * d * (2.0 - h))


def flow_bias_limit(d: float, A0: float, noise: float = 1.0) -> float:
    """Final bias of the mean model under gradient flow from (A0, b = 0): ``K(b) = -A0**2/(4*d**2)``, K(b) the integral
    of g/g'.

    Parameters
    ----------
    d : float
        Dimension of the input.
    A0 : float
        Start A = d (a_minus + a_plus).
    noise : float, default 1.0

    Returns
    -------
    float
        About ``-0.31333 * (A0/d)**2`` for noise 1 and A0 much smaller than d.

    Notes
    -----
    The flow conserves A^2/2 - 2 d^2 K(b). The inverse of K solves db/dK = g'/g, here by fourth-order Runge-Kutta.
    """

    def slope(b: float) -> float:
        return float(normal_cdf(b / noise) / smoothed_relu(b, noise))

    num_steps = 200
    h = -((A0 / d) ** 2) / (4.0 * num_steps)
    b = 0.0
    for _ in range(num_steps):
        k1 = slope(b)
        k2 = slope(b + h / 2.0 * k1)
        k3 = slope(b + h / 2.0 * k2)
        k4 = slope(b + h * k3)
        b += h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return b


def output_envelope(lr: ArrayLike, d: ArrayLike, b: ArrayLike, noise: float = 1.0) -> NDArray[np.float64]:
    """Amplitude of the oscillation of A at frozen b: the root of ``l'(s)/s = 1/(lr*d**2*g(b)**2)``, s = |A| g(b).

    Parameters
    ----------
    lr, d, b : array_like, broadcast together
        Step size, dimension, bias.
    noise : float, default 1.0

    Returns
    -------
    ndarray
        |A|; 0 where the bias is stable. Compare it with the mean of two consecutive |A|: large oscillations are only
        neutrally stable.
    """
    g = smoothed_relu(b, noise)
    width = math.sqrt(2.0) * positive("d", d) * g  # x = A/(sqrt(2) d), y = sqrt(2) d g make it l(x y) at frozen y
    return oscillation_envelope(lr, width, "logistic") / g


def origin_sharpness(d: int, signal: float = 3.0, noise: float = 1.0) -> float:
    """Sharpness of the threshold-neuron network at a_minus = a_plus = b = 0 for infinitely many samples, ``E(sum_j
    |x_j|)**2 / 8``.

    Parameters
    ----------
    d : int
        Dimension of the input.
    signal : float, default 3.0
        Height of the spike on one coordinate of each sample.
    noise : float, default 1.0

    Returns
    -------
    float
        Tends to d^2 noise^2 / (4 pi) (1 + O(1/d)), the mean model's value. The coupling between a's and b, of order 1,
        is left out.
    """
    r = signal / noise
    spike = math.sqrt(2.0 / math.pi) * math.exp(-r * r / 2.0) + r * math.erf(r / math.sqrt(2.0))
    mean = (d - 1) * math.sqrt(2.0 / math.pi) + spike
    variance = (d - 1) * (1.0 - 2.0 / math.pi) + 1.0 + r * r - spike * spike
    return noise * noise * (mean * mean + variance) / 8.0


def linear_accuracy(d: ArrayLike, signal: float = 3.0, noise: float = 1.0) -> NDArray[np.float64]:
    """Accuracy of the network that has not learned a threshold (b = 0, a_plus = -a_minus > 0): ``Phi(signal /
    (noise*sqrt(d)))``.

    Parameters
    ----------
    d : array_like
        Dimension of the input.
    signal, noise : float

    Returns
    -------
    ndarray

    Notes
    -----
    There relu(x) - relu(-x) = x and the output is proportional to the sum of the inputs, normal with mean
    +-signal and variance d noise^2.

    Examples
    --------
    >>> round(float(linear_accuracy(200)), 4)
    0.584
    """
    return normal_cdf(signal / (positive("noise", noise) * np.sqrt(positive("d", d))))
