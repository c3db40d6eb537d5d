"""The normal form of progressive sharpening and self-stabilization."""

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
class SelfStabilization(Model):
    """``f(x, y) = (sqrt(beta) y + slope x) x^2/2 - tilt x - (alpha/sqrt(beta)) y``, w = (x, y).

    Parameters
    ----------
    alpha : float
        Strength of progressive sharpening, finite: the curvature ``sqrt(beta) y`` across the valley grows by ``alpha``
        per unit of time.
    beta : float
        Squared gradient of the sharpness, > 0: how strongly an oscillation in x lowers the curvature.
    slope : float
        Change of the curvature along x, finite.
    tilt : float
        Constant force along x, finite.

    Raises
    ------
    ValueError, TypeError
        A number outside its range.

    Notes
    -----
    Gradient ``(sqrt(beta) x y + 3/2 slope x^2 - tilt, sqrt(beta) x^2/2 - alpha/sqrt(beta))``, Hessian ``[[sqrt(beta) y
    + 3 slope x, sqrt(beta) x], [sqrt(beta) x, 0]]``. The loss is not bounded below.

    With slope = tilt = 0 and ``u = sqrt(beta) y - 2/lr``, the curvature beyond the edge, a step is ``x <- -(1 + lr u)
    x, u <- u + lr (alpha - beta x^2/2)``: the reduced dynamics of Damian et al. Around ``x^2 = 2 alpha/beta, u = 0`` it
    goes round in about ``2 pi/(lr sqrt(2 alpha))`` steps (derived here). With beta = 1, slope = zeta and alpha = tilt =
    eps it is the minimal model of Berthier.

    References
    ----------
    Damian, Nichani, Lee (2023), "Self-stabilization: the implicit bias of gradient descent at the edge of stability",
    arXiv 2209.15594. Berthier (2026), "Multiple timescales of gradient descent at the edge of stability: a perturbative
    derivation of the central flow".

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.SelfStabilization().sharpness([0.0, 3.0]).values
    array([3.])
    """

    alpha: float = field(default=1.0, metadata=allowed(Real()))
    beta: float = field(default=1.0, metadata=allowed(Real(above=0)))
    slope: float = field(default=0.0, metadata=allowed(Real()))
    tilt: float = field(default=0.0, metadata=allowed(Real()))

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: the scalars x and y."""
        return {"x": (), "y": ()}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``x, y ~ N(0, 1)`` (our choice: the papers start near the edge, which depends on the step
        size).

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0.

        Returns
        -------
        ndarray, shape (2,)
        """
        return stream(seed).standard_normal(2)
