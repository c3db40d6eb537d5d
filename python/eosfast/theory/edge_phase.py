"""Bounds for the edge-of-stability phase of two-layer networks with a leaky activation (Cai et al. 2024).

The setting is ``f(x) = (1/m) sum_j a_j phi(w_j.x)``, a_j = +-1 fixed, on n samples in the unit ball that a unit vector
separates with margin ``gamma``, and an activation with ``alpha <= |phi'| <= 1``, |phi''| <= ``smoothness`` and
``|phi(u) - u phi'(u)| <= kappa`` (assumptions 2 and 3). ``eta = lr/m`` is the step size without the width: the step
that `GD` takes is lr = m eta. Samples outside the unit ball: divide X by their largest norm R, which multiplies the
weights by R and the step size by R^2.

The constants are far from sharp: on small data the bounds exceed what happens by factors of 10^2 to 10^5. Functions
accept scalars or arrays and use NumPy alone.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .single_neuron import positive


class LeakyBounds(NamedTuple):
    """What assumption 2 asks of an activation: ``alpha <= |phi'| <= 1``, ``|phi''| <= smoothness``,
    ``|phi(u) - u phi'(u)| <= kappa``.
    """

    alpha: float
    smoothness: float
    kappa: float


def average_loss_bound(
    t: ArrayLike, eta: ArrayLike, gamma: ArrayLike, bounds: LeakyBounds, start: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """Bound on the mean of the losses L(w_0), ..., L(w_{t-1}), at any step size.

    ``[1 + 8 log^2(gamma^2 eta t)/alpha^2 + 8 kappa^2/alpha^2 + eta^2] / (gamma^2 eta t) + start^2 / (eta t)``

    Parameters
    ----------
    t : array_like
        Number of steps, > 0.
    eta : array_like
        Step size without the width, lr/m.
    gamma : array_like
        Margin of the data.
    bounds : LeakyBounds
        Of the activation.
    start : array_like, default 0.0
        ``||w_0|| / sqrt(m)``.

    Returns
    -------
    ndarray

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), theorem 3.2.
    """
    eta, gamma = positive("eta", eta), positive("gamma", gamma)
    time = eta * positive("t", t)
    logarithm = np.log(gamma**2 * time)
    bracket = 1.0 + 8.0 * (logarithm**2 + bounds.kappa**2) / bounds.alpha**2 + eta**2
    return bracket / (gamma**2 * time) + np.asarray(start, dtype=np.float64) ** 2 / time


def _spread(t: ArrayLike, eta: ArrayLike, gamma: ArrayLike, bounds: LeakyBounds) -> NDArray[np.float64]:
    eta, gamma = positive("eta", eta), positive("gamma", gamma)
    logarithm = np.log(gamma**2 * eta * positive("t", t))
    return 2.0 + 8.0 * (logarithm + bounds.kappa) / bounds.alpha + 4.0 * eta


def average_potential_bound(
    t: ArrayLike, eta: ArrayLike, gamma: ArrayLike, bounds: LeakyBounds, start: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """Bound on the mean over the first t steps of the gradient potential ``G = mean_i 1/(1 + exp(y_i f(x_i)))``.

    ``[2 + 8 log(gamma^2 eta t)/alpha + 8 kappa/alpha + 4 eta] / (alpha gamma^2 eta t) + 3 start / (alpha gamma eta t)``

    Parameters
    ----------
    t, eta, gamma, bounds, start
        As in `average_loss_bound`.

    Returns
    -------
    ndarray

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), lemma C.3 as its proof ends.
    """
    gamma = positive("gamma", gamma)
    time = bounds.alpha * gamma * positive("eta", eta) * positive("t", t)
    return _spread(t, eta, gamma, bounds) / (gamma * time) + 3.0 * np.asarray(start, dtype=np.float64) / time


def weight_norm_bound(
    t: ArrayLike, eta: ArrayLike, gamma: ArrayLike, bounds: LeakyBounds, start: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """Bound on ``||w_t|| / sqrt(m)``, at any step size.

    ``[2 + 8 log(gamma^2 eta t)/alpha + 8 kappa/alpha + 4 eta] / gamma + 2 start``

    Parameters
    ----------
    t, eta, gamma, bounds, start
        As in `average_loss_bound`.

    Returns
    -------
    ndarray

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), lemma C.2.
    """
    return _spread(t, eta, gamma, bounds) / positive("gamma", gamma) + 2.0 * np.asarray(start, dtype=np.float64)


def phase_transition_bound(
    eta: ArrayLike, gamma: ArrayLike, n: ArrayLike, bounds: LeakyBounds, start: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """Step tau by which the stable phase has begun: `stable_threshold` is met at some t <= tau.

    ``tau = 128 (1 + 4 kappa)/(alpha gamma)^2 * max(c2 eta, c1 n, e, r log r, r start)`` with ``r = (c2 eta + c1
    n)/eta``, ``c1 = 4 e^(kappa+2)``, ``c2 = 8 + 4 smoothness``.

    Parameters
    ----------
    eta, gamma, bounds, start
        As in `average_loss_bound`.
    n : array_like
        Number of samples.

    Returns
    -------
    ndarray

    Notes
    -----
    The theorem as printed lacks gamma^2 and exchanges c1 and c2; this is the form that its proof arrives at and that
    corollary 4.2 uses.

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), theorem 4.1, proof in appendix C.1.
    """
    c1, c2 = _transition_constants(bounds)
    eta, n = positive("eta", eta), positive("n", n)
    r = c2 + c1 * n / eta
    longest = largest(c2 * eta, c1 * n, math.e, r * np.log(r), r * np.asarray(start, dtype=np.float64))
    return _difficulty(gamma, bounds) / 2.0 * longest


def largest(*terms: ArrayLike) -> NDArray[np.float64]:
    """Largest of the terms, broadcast together."""
    return np.asarray(functools.reduce(np.maximum, terms), dtype=np.float64)


def _transition_constants(bounds: LeakyBounds) -> tuple[float, float]:
    return 4.0 * float(np.exp(bounds.kappa + 2.0)), 8.0 + 4.0 * bounds.smoothness


def _difficulty(gamma: ArrayLike, bounds: LeakyBounds) -> NDArray[np.float64]:
    return 256.0 * (1.0 + 4.0 * bounds.kappa) / (bounds.alpha * positive("gamma", gamma)) ** 2


def stable_rate_bound(elapsed: ArrayLike, eta: ArrayLike, gamma: ArrayLike, bounds: LeakyBounds) -> NDArray[np.float64]:
    """Bound ``2 / (alpha^2 gamma^2 eta (t - s))`` on the loss t - s steps after the stable phase began.

    Parameters
    ----------
    elapsed : array_like
        t - s, > 0.
    eta, gamma, bounds
        As in `average_loss_bound`.

    Returns
    -------
    ndarray

    Notes
    -----
    The proof takes the gradient potential for the loss. At the start of the stable phase they differ by a factor of at
    most 1.04, so that the bound holds up to this factor. (Lemma C.4 as printed drops eta.)

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), theorem 4.1.
    """
    return 2.0 / ((bounds.alpha * positive("gamma", gamma)) ** 2 * positive("eta", eta) * positive("elapsed", elapsed))


class Acceleration(NamedTuple):
    """A step size proportional to the number of steps, and what it achieves; see `accelerated_step`.

    ``eta`` is lr/m, ``loss`` bounds L(w_T), and both hold from ``least_steps`` on.
    """

    eta: NDArray[np.float64]
    loss: NDArray[np.float64]
    least_steps: NDArray[np.float64]


def accelerated_step(
    T: ArrayLike, gamma: ArrayLike, n: ArrayLike, bounds: LeakyBounds, start: ArrayLike = 0.0
) -> Acceleration:
    """Step size for a budget of T steps with which the loss falls as 1/T^2.

    ``eta = alpha^2 gamma^2 T / (256 (1 + 4 kappa) c2)`` gives ``L(w_T) <= 2048 (1 + 4 kappa) c2 / (alpha^4 gamma^4
    T^2)`` once ``T >= 256 (1 + 4 kappa)/(alpha gamma)^2 * max(c1 n, 4 c2^2, 2 c2 start)``, with c1 and c2 as in
    `phase_transition_bound`.

    Parameters
    ----------
    T : array_like
        Number of steps.
    gamma, n, bounds, start
        As in `phase_transition_bound`.

    Returns
    -------
    Acceleration

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), corollary 4.2.

    Examples
    --------
    >>> example = LeakyBounds(alpha=0.25, smoothness=1.0, kappa=1.0)             # example 3.1
    >>> f"{accelerated_step(1e8, gamma=1.0, n=7, bounds=example).least_steps:.3g}"
    '1.18e+07'
    """
    c1, c2 = _transition_constants(bounds)
    T, difficulty = positive("T", T), _difficulty(gamma, bounds)
    loss = 8.0 * c2 * difficulty / (bounds.alpha * positive("gamma", gamma) * T) ** 2
    longest = largest(c1 * positive("n", n), 4.0 * c2**2, 2.0 * c2 * np.asarray(start, dtype=np.float64))
    return Acceleration(T / (difficulty * c2), loss, difficulty * longest)
