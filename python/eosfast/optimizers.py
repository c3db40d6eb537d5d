"""Update rules. `lr` is the step size (learning rate), g the gradient of the loss, and every rule has its stability
threshold: the curvature above which it diverges on a quadratic, which is where the edge of stability lies.

A field that is None is left for the grid of a sweep to set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from eosfast.arguments import Real
from eosfast.value_object import ValueObject, allowed

_LR = allowed(Real(above=0, optional=True))
_MOMENTUM = allowed(Real(least=0, below=1, optional=True))
_DECAY = allowed(Real(least=0, optional=True))


class Optimizer(ValueObject):
    """Base of the optimizers: frozen dataclasses whose fields are numbers, in the core's order."""

    def stability_threshold(self) -> float:
        """Return the curvature above which the optimizer is unstable on a quadratic."""
        raise NotImplementedError

    def shrinkage(self) -> float:
        """Return the factor by which a step multiplies a weight that the loss does not depend on."""
        return 1.0

    def time_per_step(self) -> float:
        """Return the time that the gradient flow of the loss takes where the optimizer takes a small step; NaN if there
        is none.
        """
        return math.nan

    def numbers(self) -> tuple[float, ...]:
        """Return the fields, in order; ValueError if one is not set."""
        for item in fields(self):
            if getattr(self, item.name) is None:
                name = type(self).__name__
                raise ValueError(
                    f"{item.name} of {name} is not set: write {name}({item.name}=...), "
                    "or name it in the grid of a sweep"
                )
        return tuple(float(getattr(self, item.name)) for item in fields(self))


@dataclass(frozen=True, eq=False)
class GD(Optimizer):
    """Gradient descent, ``w <- (1 - lr weight_decay) w - lr g(w)``.

    Parameters
    ----------
    lr : float, optional
        Step size, > 0. None (the default) leaves it for the grid of a sweep to set.
    weight_decay : float, optional
        >= 0; 0 (the default) is plain gradient descent, at its full speed. It is not part of the recorded loss,
        gradient and Hessian. None leaves it for the grid.

    Raises
    ------
    ValueError
        `lr` is not finite or not positive, `weight_decay` not finite or negative.

    References
    ----------
    Cohen, Kaur, Li, Kolter, Talwalkar (2021), "Gradient descent on neural networks typically occurs at the edge of
    stability", arXiv 2103.00065. Lyu, Li, Arora (2022), "Understanding the generalization benefit of normalization
    layers: sharpness reduction", arXiv 2206.07085 (weight decay on scale-invariant losses).

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.GD(lr=0.01).stability_threshold()
    200.0
    >>> eos.GD(lr=0.01, weight_decay=0.5).stability_threshold()
    199.5
    """

    lr: float | None = field(default=None, metadata=_LR)
    weight_decay: float | None = field(default=0.0, metadata=_DECAY)

    def stability_threshold(self) -> float:
        """Return ``2/lr - weight_decay``, the curvature above which the error of a quadratic grows: ``|1 - lr
        (curvature + weight_decay)| > 1``. It is negative where the decay alone overshoots.

        Returns
        -------
        float
            The threshold for the sharpness.

        Raises
        ------
        ValueError
            `lr` is not set.
        """
        lr, weight_decay = self.numbers()
        return 2.0 / lr - weight_decay

    def shrinkage(self) -> float:
        """Return ``1 - lr weight_decay``, the factor by which a step multiplies a weight that the loss does not depend
        on.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            A field is not set.
        """
        lr, weight_decay = self.numbers()
        return 1.0 - lr * weight_decay

    def time_per_step(self) -> float:
        """Return `lr`. The flow is that of the loss, without the weight decay.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            A field is not set.
        """
        return self.numbers()[0]


@dataclass(frozen=True, eq=False)
class NormalizedGD(Optimizer):
    """Gradient descent with steps of one length, ``w <- w - lr g(w)/|g(w)|``; where g = 0 it stays.

    Parameters
    ----------
    lr : float, optional
        Length of a step, > 0. None leaves it for the grid of a sweep to set.

    Raises
    ------
    ValueError
        `lr` is not finite or not positive.

    Notes
    -----
    At a minimum it never settles: the iterate jumps to and fro across the valley, each time by `lr`, and drifts along
    the valley towards smaller sharpness. Its small steps follow ``w' = -g/|g|``, not the gradient flow at any matched
    time, so that ``distance_to_flow`` cannot be recorded.

    References
    ----------
    Arora, Li, Panigrahi (2022), "Understanding gradient descent on edge of stability in deep learning", arXiv
    2205.09745.

    Examples
    --------
    >>> import eosfast as eos
    >>> w = eos.train(eos.CurvedValley(), [0.01, 1.0], eos.NormalizedGD(lr=0.02), num_steps=5000,
    ...               record=eos.Record(every=5000, quantities=("weights",))).weights
    >>> w.round(3).values.tolist()
    [[0.01, 1.0], [0.01, 0.528]]
    """

    lr: float | None = field(default=None, metadata=_LR)

    def stability_threshold(self) -> float:
        """Return 0: on a quadratic of any curvature it oscillates at the scale of `lr`.

        Returns
        -------
        float
            The threshold for the sharpness.
        """
        return 0.0


@dataclass(frozen=True, eq=False)
class HeavyBall(Optimizer):
    """Polyak's momentum: ``v <- momentum v - lr g(w)``, ``w <- w + v``, with v = 0 at the start.

    Parameters
    ----------
    lr : float, optional
        Step size, > 0. None leaves it for the grid of a sweep to set.
    momentum : float, optional
        In [0, 1); 0 is gradient descent. None leaves it for the grid.

    Raises
    ------
    ValueError
        A number outside its range.

    References
    ----------
    Cohen et al. (2021), "Gradient descent on neural networks typically occurs at the edge of stability", arXiv
    2103.00065.
    """

    lr: float | None = field(default=None, metadata=_LR)
    momentum: float | None = field(default=None, metadata=_MOMENTUM)

    def stability_threshold(self) -> float:
        """Return ``2 (1 + momentum) / lr``.

        Returns
        -------
        float
            The threshold for the sharpness.

        Raises
        ------
        ValueError
            A field is not set.
        """
        lr, momentum = self.numbers()
        return 2.0 * (1.0 + momentum) / lr

    def time_per_step(self) -> float:
        """Return ``lr / (1 - momentum)``: at small speed a step moves by ``-lr grad / (1 - momentum)``.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            A field is not set.
        """
        lr, momentum = self.numbers()
        return lr / (1.0 - momentum)


@dataclass(frozen=True, eq=False)
class Nesterov(Optimizer):
    """Nesterov's momentum: ``v <- momentum v - lr g(w + momentum v)``, ``w <- w + v``, with v = 0 at the start.

    Parameters
    ----------
    lr : float, optional
        Step size, > 0. None leaves it for the grid of a sweep to set.
    momentum : float, optional
        In [0, 1); 0 is gradient descent. None leaves it for the grid.

    Raises
    ------
    ValueError
        A number outside its range.

    References
    ----------
    Cohen et al. (2021), "Gradient descent on neural networks typically occurs at the edge of stability", arXiv
    2103.00065.
    """

    lr: float | None = field(default=None, metadata=_LR)
    momentum: float | None = field(default=None, metadata=_MOMENTUM)

    def stability_threshold(self) -> float:
        """Return ``2 (1 + momentum) / ((1 + 2 momentum) lr)``.

        Returns
        -------
        float
            The threshold for the sharpness.

        Raises
        ------
        ValueError
            A field is not set.
        """
        lr, momentum = self.numbers()
        return 2.0 * (1.0 + momentum) / ((1.0 + 2.0 * momentum) * lr)

    def time_per_step(self) -> float:
        """Return ``lr / (1 - momentum)``: at small speed a step moves by ``-lr grad / (1 - momentum)``.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            A field is not set.
        """
        lr, momentum = self.numbers()
        return lr / (1.0 - momentum)
