"""Logistic regression: the linear predictor under the logistic loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.activations import activation
from eosfast.arguments import Integer
from eosfast.models.chain import Chain
from eosfast.models.network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class LogisticRegression(Network):
    """The mean logistic loss of a linear predictor, ``L(w) = mean_i log(1 + exp(-y_i x_i.w))``.

    Parameters
    ----------
    data : Dataset
        ``X (n, d)`` and labels ``y (n,)`` in {-1, +1}.
    dtype : {"float64", "float32"}
        Precision of the computation; results are float64 in any case.
    reduce : bool
        With n < d, run inside the row space of the data: the same numbers at a cost that does not depend on d.

    Raises
    ------
    TypeError
        `data` is not a Dataset.
    ValueError
        Labels other than -1 and +1, an unknown dtype.

    Notes
    -----
    A step costs 4 n min(n, d) operations, a product with the Hessian as much.

    References
    ----------
    Wu, Bartlett, Telgarsky, Yu (2024), "Large stepsize gradient descent for logistic loss", arXiv 2402.15926.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.LogisticRegression(eos.datasets.wu2024())
    >>> run = eos.train(model, optimizer=eos.GD(lr=8.0), num_steps=1000)
    >>> bool(run.loss.diff("step").max() > 0)
    True
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_targets()

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: the vector w itself."""
        return {"w": (self.data.d,)}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return w = 0, the start of Wu et al. (2024).

        Parameters
        ----------
        seed : int
            Not used.

        Returns
        -------
        ndarray, shape (d,)
        """
        Integer().check("seed", seed)
        return np.zeros(self.data.d)

    @property
    def _loss(self) -> str:
        return "logistic"

    @property
    def _chain(self) -> Chain:
        identity: Any = activation("identity")
        return Chain((self.data.d, 1), identity, False, False, np.empty(0), 1.0, 1)
