"""A loss of the direction of three weights alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eosfast.arguments import Real
from eosfast.models.base import Model, stream
from eosfast.value_object import allowed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ScaleInvariant(Model):
    """``f(w) = t1^2 (t2^2 + ratio t3^2)/2`` of the direction ``t = w/|w|``, w = (w1, w2, w3).

    Parameters
    ----------
    ratio : float
        Of the largest to the smallest sharpness on the circle of minima (for ratio > 1), > 0.

    Raises
    ------
    ValueError, TypeError
        A ratio outside its range.

    Notes
    -----
    As under a normalisation layer, the gradient is orthogonal to w and falls as 1/|w|, the Hessian as 1/|w|^2. On the
    unit sphere, with q = t2^2 + ratio t3^2: gradient ``(t1 q (1 - 2 t1^2), t1^2 t2 (1 - 2 q), t1^2 t3 (ratio - 2 q))``.
    The minima t1 = 0 have sharpness ``q/|w|^2``. At w = 0 there is no direction: loss and derivatives are NaN.

    Gradient descent with weight decay keeps the effective sharpness ``lr q/((1 - lr weight_decay) |w|^2)`` near 2 once
    |w| has shrunk so far, while the direction drifts to where q is least: ``dphi/dtau = -2 L'/(4 + L'^2)`` for t = (0,
    cos phi, sin phi), ``L = log q``, in the time ``tau = lr weight_decay t`` (the law is Lyu et al.'s as it is
    recalled; the clock was found by simulation here).

    References
    ----------
    Lyu, Li, Arora (2022), "Understanding the generalization benefit of normalization layers: sharpness reduction",
    arXiv 2206.07085.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.ScaleInvariant().sharpness([0.0, 0.0, 2.0]).values
    array([0.75])
    """

    ratio: float = field(default=3.0, metadata=allowed(Real(above=0)))

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: the scalars w1, w2, w3."""
        return {"w1": (), "w2": (), "w3": ()}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``w_i ~ N(0, 1)``: any direction is as likely as any other (our choice).

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0.

        Returns
        -------
        ndarray, shape (3,)
        """
        return stream(seed).standard_normal(3)
