"""A deep linear network of width one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from eosfast.arguments import Integer, Real
from eosfast.models.base import Model, stream
from eosfast.value_object import allowed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST_DEPTH = 64


@dataclass(frozen=True, eq=False)
class ScalarProduct(Model):
    """``f(w) = (w1 w2 ... w_depth - target)^2 / 2``.

    Parameters
    ----------
    depth : int
        Number of factors, from 1 to 64.
    target : float
        Value that the product shall reach, finite.

    Raises
    ------
    ValueError, TypeError
        A depth or target outside its range.

    Notes
    -----
    With P the product, ``P_i`` and ``P_ij`` the products without the factors named, and r = P - target: gradient ``r
    P_i``, Hessian ``P_i P_j + r P_ij`` (the second term off the diagonal). At a minimum P = target the sharpness is
    ``target^2 sum_i 1/w_i^2``, at least ``depth |target|^(2 - 2/depth)``, where all factors have the same size: no step
    size above twice its inverse converges. For depth 2, gradient descent changes ``w1^2 - w2^2`` by the factor ``1 -
    lr^2 r^2``.

    The quantity ``gfs_sharpness`` is the sharpness where the gradient flow from the present iterate ends. The flow
    keeps all ``w_i^2 - w_j^2``, so that it ends in ``w_i^2 = w0_i^2 + s`` with the s at which their product is
    target^2, also where the product has the wrong sign at first: the smallest factor, and no other, crosses zero. Only
    where several factors share the smallest size and the sign is wrong the flow ends in a saddle, whose sharpness is
    given (with two of them ``|target|`` times the others at the end, with more 0; derived here, as is target 0). NaN
    where w is not finite.

    References
    ----------
    Kreisler, Nacson, Soudry, Carmon (2023), "Gradient descent monotonically decreases the sharpness of gradient flow
    solutions in scalar networks and beyond", arXiv 2305.13064.
    Chen, Bruna (2022), "On gradient descent convergence beyond the edge of stability", arXiv 2206.04172 (depth 2).
    Zhu, Wang, Wang, Zhou, Ge (2022), "Understanding edge-of-stability training dynamics with a minimalist example",
    arXiv 2210.03294 (depth 4, on the diagonal ``w1 = w3, w2 = w4``).

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.ScalarProduct(depth=3, target=2.0)
    >>> list(model.parameters)
    ['w1', 'w2', 'w3']
    >>> model.loss([1.0, 1.0, 1.0])
    0.5
    """

    structural: ClassVar = ("depth",)
    quantities: ClassVar = ("gfs_sharpness",)

    depth: int = field(default=2, metadata=allowed(Integer(least=1, most=LARGEST_DEPTH)))
    target: float = field(default=1.0, metadata=allowed(Real()))

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: the scalars w1, w2, ..., w{depth}."""
        return {f"w{i}": () for i in range(1, self.depth + 1)}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``w_i ~ N(0, 1)``, the law for which the fraction of converging starts is usually asked
        (it is our choice).

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0.

        Returns
        -------
        ndarray, shape (depth,)
        """
        return stream(seed).standard_normal(self.depth)
