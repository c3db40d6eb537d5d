"""Update rules. `lr` is the step size (learning rate), g the gradient of the loss, and every rule has its stability
threshold: the curvature above which it diverges on a quadratic, which is where the edge of stability lies.

A field that is None is left for the grid of a sweep to set.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from eosfast.arguments import Real
from eosfast.value_object import ValueObject, allowed

_LR = allowed(Real(above=0, optional=True))
_MOMENTUM = allowed(Real(least=0, below=1, optional=True))


class Optimizer(ValueObject):
    """Base of the optimizers: frozen dataclasses whose fields are numbers, in the core's order."""

    def stability_threshold(self) -> float:
        """Return the curvature above which the optimizer is unstable on a quadratic: c/lr with c its own."""
        raise NotImplementedError

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
    """Gradient descent, ``w <- w - lr g(w)``.

    Parameters
    ----------
    lr : float, optional
        Step size, > 0. None (the default) leaves it for the grid of a sweep to set.

    Raises
    ------
    ValueError
        `lr` is not finite or not positive.

    References
    ----------
    Cohen, Kaur, Li, Kolter, Talwalkar (2021), "Gradient descent on neural networks typically occurs at the edge of
    stability", arXiv 2103.00065.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.GD(lr=0.01).stability_threshold()
    200.0
    """

    lr: float | None = field(default=None, metadata=_LR)

    def stability_threshold(self) -> float:
        """Return ``2 / lr``, the curvature above which the error of a quadratic grows: ``|1 - lr curvature| > 1``.

        Returns
        -------
        float
            The threshold for the sharpness.

        Raises
        ------
        ValueError
            `lr` is not set.
        """
        (lr,) = self.numbers()
        return 2.0 / lr


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
