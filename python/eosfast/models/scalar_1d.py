"""One number under one loss."""

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
class Scalar1D(Model):
    """``f(x) = l(x)`` of one number, w = (x,).

    Parameters
    ----------
    loss : {"sqrt", "logcosh", "logistic", "huber", "power", "quartic"}
        ``quartic``: ``(x^2 - target)^2 / 4``; the others as of `SingleNeuron`, with s = x.
    beta : float
        Exponent of ``power``, > 1; the others do not use it.
    target : float
        Of ``quartic``, finite; the others do not use it.

    Raises
    ------
    ValueError, TypeError
        An unknown loss, or a number outside its range.

    Notes
    -----
    The sharpness is ``l''(x)``. For an even loss whose ``l'(x)/x`` falls with |x|, gradient descent with ``lr >
    2/l''(0)`` ends on the 2-cycle +-x with ``l'(x) = 2 x/lr``. For ``quartic`` the gradient is ``x (x^2 - target)``,
    the curvature ``3 x^2 - target``; the minima +-sqrt(target) have sharpness 2 target, and between ``lr target = 1``
    and sqrt(5) - 1 the 2-cycle ``x^2 = target ((1 + K) +- sqrt((K - 1)(K + 3)))/(2 K)``, K = lr target, is stable
    (derived here).

    References
    ----------
    Ma, Kunin, Wu, Ying (2022), "Beyond the quadratic approximation: the multiscale structure of neural network loss
    landscapes", arXiv 2204.11326 (even losses). Chen, Bruna (2022), "On gradient descent convergence beyond the edge of
    stability", arXiv 2206.04172 (``quartic``).

    Examples
    --------
    >>> import eosfast as eos
    >>> run = eos.train(eos.Scalar1D("sqrt"), [0.5], eos.GD(lr=3), num_steps=1000)
    >>> round(float(run.loss[-1]), 6)  # x^2 + 1 = (lr/2)^2
    1.5
    """

    structural: ClassVar = ("loss",)

    loss: LossField = LossField("sqrt", ("sqrt", "logcosh", "logistic", "huber", "power", "quartic"))  # noqa: RUF009 - a descriptor
    beta: float = field(default=2.0, metadata=allowed(Real(above=1)))
    target: float = field(default=1.0, metadata=allowed(Real()))

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Block of `w`: the scalar x."""
        return {"x": ()}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return ``x ~ N(0, 1)`` (our choice).

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0.

        Returns
        -------
        ndarray, shape (1,)
        """
        return stream(seed).standard_normal(1)
