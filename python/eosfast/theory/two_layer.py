"""The stable phase of gradient descent on two-layer networks with the logistic loss, and when it begins.

A run is in its stable phase from the step on after which the loss never increases; before that it is at the edge of
stability (Cai et al. 2024). The network ``f(x) = (scale/m) sum_j a_j phi(w_j.x)`` enters through its constants (rho,
beta, kappa), see `Constants`, and n is the number of samples. ``lr`` is the step size that `GD` takes (eta~ in the
paper). Functions accept scalars or arrays and use NumPy alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import numbers_array

from .margins import Constants
from .single_neuron import positive

if TYPE_CHECKING:
    from eosfast.models import TwoLayerNetwork

ROUNDING = 1e-14
"""Relative increase of a computed loss that may be rounding."""


def two_layer_constants(
    width: int, lipschitz: float, smoothness: float, kappa: float, *, radius: float = 1.0, scale: float = 1.0
) -> Constants:
    """Constants of ``f(x) = (scale/width) sum_j a_j phi(w_j.x)``, a_j = +-1, from those of the activation.

    ``rho = scale lipschitz radius / sqrt(width)``, ``beta = scale smoothness radius^2 / width``, ``kappa_f = scale
    kappa``

    Parameters
    ----------
    width : int
        Number m of hidden units.
    lipschitz, smoothness, kappa : float
        Suprema of |phi'|, |phi''| and |phi(u) - u phi'(u)|.
    radius : float, default 1.0
        Largest norm of a sample.
    scale : float, default 1.0
        Factor b of the rescaled model; 1 is the mean-field network.

    Returns
    -------
    Constants

    Notes
    -----
    The paper has radius 1 throughout; its factors here are derived. Its kappa of GELU, e^(-1/2)/sqrt(2 pi), is too
    small: phi(u) - u phi'(u) is -u^2 times the normal density, whose supremum is 2/(e sqrt(2 pi)) = 0.2935.

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), example 2.1 and appendix D (scale).

    Examples
    --------
    >>> two_layer_constants(4, lipschitz=1.0, smoothness=0.25, kappa=math.log(2.0))
    Constants(rho=0.5, beta=0.0625, kappa=0.6931471805599453)
    """
    width_, scale_, radius_ = (
        float(positive(*pair)) for pair in (("width", width), ("scale", scale), ("radius", radius))
    )
    return Constants(
        scale_ * lipschitz * radius_ / math.sqrt(width_), scale_ * smoothness * radius_**2 / width_, scale_ * kappa
    )


def network_constants(model: TwoLayerNetwork) -> Constants:
    """Constants of a `TwoLayerNetwork` whose first layer is trained, on its own data.

    As `two_layer_constants`, for any output weights a: ``rho = scale lipschitz radius ||a|| / width``, ``beta = scale
    smoothness radius^2 max|a_j| / width``, ``kappa_f = scale kappa mean|a_j|``; a bias is one more coordinate of every
    sample, equal to 1.

    Parameters
    ----------
    model : TwoLayerNetwork
        With an activation that has finite ``lipschitz``, ``smoothness`` and ``kappa``.

    Returns
    -------
    Constants

    Raises
    ------
    ValueError
        If the output weights are trained, or the activation lacks one of the constants.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.TwoLayerNetwork(eos.datasets.xor(), width=8, activation="softplus")
    >>> round(network_constants(model).rho, 12)              # sqrt(2) / sqrt(8)
    0.5
    """
    from eosfast.activations import activation

    if model.trainable != "first":
        raise ValueError(f"model must train its first layer alone, got trainable={model.trainable!r}")
    phi = activation(model.activation) if isinstance(model.activation, str) else model.activation
    numbers = [phi.lipschitz, phi.smoothness, phi.kappa]
    if any(number is None or not math.isfinite(number) for number in numbers):
        raise ValueError(f"the activation of model must have finite lipschitz, smoothness and kappa, got {phi!r}")
    given = model.output_weights
    a = np.ones(model.width) if given is None else np.abs(np.asarray(given, dtype=np.float64))
    radius = math.sqrt(float(np.max(np.sum(model.data.X**2, axis=1))) + bool(model.bias))
    one = two_layer_constants(model.width, *numbers, radius=radius, scale=model.scale)
    root_mean_square = float(np.sqrt(np.mean(a**2)))
    return Constants(one.rho * root_mean_square, one.beta * float(np.max(a)), one.kappa * float(np.mean(a)))


# --------------------------------------------------------------------------------------------------------- thresholds


def monotone_threshold(lr: ArrayLike, constants: Constants) -> NDArray[np.float64]:
    """Loss below which gradient descent never increases the loss again, ``1 / (lr (2 rho^2 + beta))``.

    Parameters
    ----------
    lr : array_like
        Step size.
    constants : Constants
        Of the network; kappa does not matter here.

    Returns
    -------
    ndarray

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), theorem 2.2, eq. (4).

    Examples
    --------
    >>> float(monotone_threshold(10.0, Constants(rho=1.0, beta=0.0, kappa=0.0)))
    0.05
    """
    return 1.0 / (positive("lr", lr) * (2.0 * constants.rho**2 + constants.beta))


def stable_threshold(lr: ArrayLike, n: ArrayLike, constants: Constants) -> NDArray[np.float64]:
    """Loss below which the margin improves and the loss falls as 1/t, ``min(1/(2 n e^(kappa+2)), 1/(lr (4 rho^2 + 2
    beta)))``.

    Parameters
    ----------
    lr : array_like
        Step size.
    n : array_like
        Number of samples.
    constants : Constants
        Of the network.

    Returns
    -------
    ndarray
        At most half of `monotone_threshold`.

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), theorem 2.2, eq. (5).
    """
    small = np.exp(-(constants.kappa + 2.0)) / (2.0 * positive("n", n))
    return np.asarray(np.minimum(small, monotone_threshold(lr, constants) / 2.0))


class PhaseTimes(NamedTuple):
    """When a run's stable phase began: seen in the losses, and guaranteed by theorem 2.2 of Cai et al. 2024.

    ``monotone`` is the step after which the loss never increased; ``below_4`` and ``below_5`` are the first steps at
    which it was at or below `monotone_threshold` and `stable_threshold`, -1 if never. Where they exist, monotone <=
    below_4 <= below_5.
    """

    monotone: int
    below_4: int
    below_5: int


def phase_times(loss: ArrayLike, lr: float, n: int, constants: Constants, rtol: float = ROUNDING) -> PhaseTimes:
    """Return when the stable phase of a recorded run began.

    Parameters
    ----------
    loss : array_like, shape (steps,)
        Loss at every step, from the start on.
    lr : float
        Step size.
    n : int
        Number of samples.
    constants : Constants
        Of the network.
    rtol : float, default 1e-14
        Relative increase of the loss that counts as rounding.

    Returns
    -------
    PhaseTimes

    Raises
    ------
    ValueError
        If the losses are not a vector with at least one entry.

    Examples
    --------
    >>> phase_times([0.7, 0.9, 0.4, 0.04, 0.01], lr=10.0, n=2, constants=Constants(1.0, 0.0, 0.0))
    PhaseTimes(monotone=1, below_4=3, below_5=4)
    """
    values = numbers_array("loss", loss)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"loss must be a vector of the losses at every step, got the shape {values.shape}")
    increases = np.flatnonzero(~(values[1:] <= values[:-1] * (1.0 + rtol)))

    def first_below(threshold: NDArray[np.float64]) -> int:
        below = values <= threshold
        return int(np.argmax(below)) if below.any() else -1

    return PhaseTimes(
        int(increases[-1]) + 1 if len(increases) else 0,
        first_below(monotone_threshold(lr, constants)),
        first_below(stable_threshold(lr, n, constants)),
    )


# ------------------------------------------------------------------------------------------- one step, and many of them


def one_step_bounds(
    loss: ArrayLike, grad_norm: ArrayLike, lr: ArrayLike, constants: Constants
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bound on the change of the loss in one step, ``L(w_{t+1}) - L(w_t)``.

    ``-lr (1 + beta lr L) ||grad L||^2`` and ``-lr (1 - (2 rho^2 + beta) lr L) ||grad L||^2``

    Parameters
    ----------
    loss, grad_norm : array_like
        L(w_t) and ||grad L(w_t)||.
    lr : array_like
        Step size.
    constants : Constants
        Of the network.

    Returns
    -------
    (ndarray, ndarray)
        NaN where L(w_t) > 1/(lr rho^2), where the bounds need not hold.

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), lemma A.3.
    """
    scaled = positive("lr", lr) * np.asarray(loss, dtype=np.float64)
    decrease = np.asarray(lr, dtype=np.float64) * np.asarray(grad_norm, dtype=np.float64) ** 2
    decrease = np.where(scaled * constants.rho**2 <= 1.0, decrease, np.nan)
    curvature = 2.0 * constants.rho**2 + constants.beta
    return -(1.0 + constants.beta * scaled) * decrease, -(1.0 - curvature * scaled) * decrease


def stable_loss_bounds(
    elapsed: ArrayLike, loss: ArrayLike, log_margin: ArrayLike, lr: ArrayLike, constants: Constants
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bound on the loss, ``elapsed`` steps after one at which the loss is below `stable_threshold`.

    ``1/(1/loss + 3 lr rho^2 elapsed)`` and ``2/(lr gamma_c^2 elapsed)``

    Parameters
    ----------
    elapsed : array_like
        Steps since then, >= 0.
    loss, log_margin : array_like
        Loss and log gamma_c then, see `log_modified_margin`.
    lr : array_like
        Step size.
    constants : Constants
        Of the network.

    Returns
    -------
    (ndarray, ndarray)

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), lemma A.14.
    """
    elapsed, lr = np.asarray(elapsed, dtype=np.float64), positive("lr", lr)
    lower = 1.0 / (1.0 / positive("loss", loss) + 3.0 * lr * constants.rho**2 * elapsed)
    with np.errstate(divide="ignore", over="ignore"):  # no bound at once, or none that a float can hold
        upper = np.exp(np.log(2.0 / (lr * elapsed)) - 2.0 * np.asarray(log_margin, dtype=np.float64))
    return lower, upper


def alignment_bound(loss: ArrayLike, n: ArrayLike, kappa: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Lower bound ``-L log(2 n e^kappa L)`` on ``v = <-grad L(w), w>``, how fast the weights grow.

    Parameters
    ----------
    loss : array_like
        Mean logistic loss L, <= 1/(2 n e^(kappa+2)).
    n : array_like
        Number of samples.
    kappa : array_like, default 0.0
        The network's distance from homogeneity.

    Returns
    -------
    ndarray

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), eq. (A.7).
    """
    loss = positive("loss", loss)
    logarithm = np.log(loss) + np.log(2.0 * positive("n", n)) + np.asarray(kappa, dtype=np.float64)
    return np.asarray(-loss * logarithm)


def norm_growth_bounds(
    loss: ArrayLike, alignment: ArrayLike, n: ArrayLike, lr: ArrayLike, kappa: ArrayLike = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bound on ``||w_{t+1}||^2 - ||w_t||^2`` in the stable phase.

    ``2 lr v`` and ``2 lr v (1 - 1/(2 log(2 n e^kappa L)))``

    Parameters
    ----------
    loss : array_like
        L(w_t), below `stable_threshold`.
    alignment : array_like
        v = <-grad L(w_t), w_t>.
    n : array_like
        Number of samples.
    lr : array_like
        Step size.
    kappa : array_like, default 0.0
        The network's distance from homogeneity.

    Returns
    -------
    (ndarray, ndarray)

    References
    ----------
    Cai et al. 2024 (arXiv 2406.08654), eq. (A.8).
    """
    lower = 2.0 * positive("lr", lr) * np.asarray(alignment, dtype=np.float64)
    excess = alignment_bound(loss, n, kappa) / np.asarray(loss, dtype=np.float64)
    return lower, lower * (1.0 + 0.5 / excess)
