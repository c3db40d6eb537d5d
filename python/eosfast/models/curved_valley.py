"""A valley of minima that is steeper the farther out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from eosfast.arguments import Flag
from eosfast.models.base import Model, stream
from eosfast.value_object import allowed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CurvedValley(Model):
    """``f(x, y) = (1 + y^2) x^2``, or its square root ``|x| sqrt(1 + y^2)``, w = (x, y).

    Parameters
    ----------
    root : bool
        Whether the square root is taken.

    Raises
    ------
    TypeError
        `root` is not a bool.

    Notes
    -----
    The minima are x = 0, with sharpness ``2 (1 + y^2)``; gradient ``(2 (1 + y^2) x, 2 x^2 y)``, Hessian ``[[2 (1 +
    y^2), 4 x y], [4 x y, 2 x^2]]``. With h = sqrt(1 + y^2), the root has the gradient ``(sign(x) h, |x| y/h)`` and the
    Hessian ``[[0, sign(x) y/h], [sign(x) y/h, |x|/h^3]]`` where x is not 0. At x = 0 the sign is taken as 0, as of
    ReLU: a run that gets there stays.

    In the limit of small steps, tau = lr^2 t, `NormalizedGD` on the square jumps across x = 0, ``|x_t| + |x_{t+1}| =
    lr``, and follows ``dy/dtau = -y/(2 (1 + y^2))``; `GD` on the root jumps by lr h and follows ``dy/dtau = -y/2``
    (derived here for jumps from lr/2 to -lr/2).

    References
    ----------
    Arora, Li, Panigrahi (2022), "Understanding gradient descent on edge of stability in deep learning", arXiv
    2205.09745.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.CurvedValley().loss([0.5, 1.0]), eos.CurvedValley(root=True).grad([-3.0, 0.0])
    (0.5, array([-1.,  0.]))
    """

    structural: ClassVar = ("root",)

    root: bool = field(default=False, metadata=allowed(Flag()))

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: the scalars x and y."""
        return {"x": (), "y": ()}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``x, y ~ N(0, 1)`` (our choice).

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0.

        Returns
        -------
        ndarray, shape (2,)
        """
        return stream(seed).standard_normal(2)
