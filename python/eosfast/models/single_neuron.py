"""One neuron: a loss of the product of two numbers, the smallest landscape with an edge of stability."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from eosfast.arguments import Real
from eosfast.models.base import Model, stream
from eosfast.models.loss_field import LossField
from eosfast.value_object import allowed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SingleNeuron(Model):
    r"""``f(x, y) = l(x y)`` with an even convex loss l, w = (x, y).

    Parameters
    ----------
    loss : {"sqrt", "logcosh", "logistic", "huber", "power"}
        With s = x y:

        * ``sqrt``: ``sqrt(1 + s^2)``
        * ``logcosh``: ``log cosh s``
        * ``logistic``: ``(log(1 + e^-s) + log(1 + e^s)) / 2``, the symmetrised logistic loss; l''(0) = 1/4, for the
          others 1
        * ``huber``: ``s^2/2`` for \|s\| <= 1, ``|s| - 1/2`` beyond
        * ``power``: ``s^2/2 - c |s|^(beta + 2)/(beta + 2)``, that is ``l'(s) = s (1 - c |s|^beta)``, for \|s\| <= r =
          (beta + 1)/beta, and slope 1 beyond; ``c = (beta/(beta + 1))^beta / (beta + 1)``
    beta : float
        Exponent of ``power``, > 1; the others do not use it.

    Raises
    ------
    ValueError, TypeError
        An unknown loss, or beta <= 1.

    Notes
    -----
    With p = l''(s), q = l'(s) and S = x^2 + y^2: gradient ``(q y, q x)``, Hessian ``p (y, x)(y, x)^T + q [[0, 1], [1,
    0]]``, sharpness ``(p S + sqrt(p^2 S^2 + 4 q^2 + 8 p q s)) / 2``. The minima are the two axes, with sharpness l''(0)
    (x^2 + y^2).

    Gradient descent keeps ``D = y^2 - x^2`` up to ``D <- D (1 - lr^2 l'(s)^2)``. From ``D < 2/lr`` it ends near
    sharpness D, from ``D > 2/lr`` just below 2/lr: the edge of stability.

    References
    ----------
    Ahn, Bubeck, Chewi, Lee, Suarez, Zhang (2023), "Learning threshold neurons via the edge of stability", arXiv
    2212.07469, Section 2.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.SingleNeuron(loss="huber")
    >>> model.loss([0.5, 4.0])
    1.5
    >>> model.sharpness([0.0, 3.0]).values
    array([9.])
    """

    structural: ClassVar = ("loss",)

    loss: LossField = LossField("sqrt", ("sqrt", "logcosh", "logistic", "huber", "power"))  # noqa: RUF009 - a descriptor
    beta: float = field(default=2.0, metadata=allowed(Real(above=1)))

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: the scalars x and y."""
        return {"x": (), "y": ()}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``x, y ~ N(0, 1)``.

        The law is ours: the paper prescribes no random start, but points ``(x, y) = ((2 + delta)/lr)^(1/2) (x~, y~)``
        that depend on the step size.

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0.

        Returns
        -------
        ndarray, shape (2,)
        """
        return stream(seed).standard_normal(2)
