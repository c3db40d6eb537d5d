"""A ReLU network with tied weights that can learn a threshold neuron, with three trainable numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Instance
from eosfast.datasets import Dataset
from eosfast.models.base import stream
from eosfast.models.on_data import DataModel
from eosfast.models.targets import check_signs
from eosfast.remembered import Remembered

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from eosfast._core import PreparedModel

_PREPARED: Remembered[PreparedModel] = Remembered()


@dataclass(frozen=True, eq=False)
class ThresholdNeuron(DataModel):
    """The mean logistic loss of a tied ReLU network, w = (a_minus, a_plus, b)::

        L(w) = mean_i log(1 + exp(-y_i f(x_i)))
        f(x) = a_minus sum_j relu(-x_j + b) + a_plus sum_j relu(x_j + b)

    Parameters
    ----------
    data : Dataset
        ``X (n, d)`` and labels ``y (n,)`` in {-1, +1}, such as `eosfast.datasets.sparse_coding`.

    Raises
    ------
    TypeError
        `data` is not a Dataset.
    ValueError
        Labels other than -1 and +1.

    Notes
    -----
    With S+- = sum_j relu(+-x_j + b), N+- = #{j: +-x_j + b > 0} and c = -y sigma(-y f): gradient ``mean c (S-, S+,
    a_minus N- + a_plus N+)``. The sums are piecewise linear in b: each sample is sorted once, O(n d log d), and a step
    costs O(n) whatever d is. The prepared data are kept as long as the Dataset lives.

    References
    ----------
    Ahn, Bubeck, Chewi, Lee, Suarez, Zhang (2023), "Learning threshold neurons via the edge of stability", arXiv
    2212.07469, eq. (2). The paper writes the loss as a sum over the samples; its figures, and the threshold lr = 8
    pi/d^2, belong to the mean.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=300, d=200))
    >>> run = eos.train(model, optimizer=eos.GD(lr=2.5e-3), num_steps=4000)
    >>> run.attrs["status"]
    'completed'
    """

    quantities: ClassVar = ("accuracy",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_signs("data of ThresholdNeuron", self.data.y)

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: the scalars a_minus, a_plus and b."""
        return {"a_minus": (), "a_plus": (), "b": ()}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``a_minus, a_plus ~ N(0, 1/(2 d))`` (a variance) and b = 0, as in Ahn et al. (2023),
        Figures 1 and 2.

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0; the stream differs from that of data made with the same seed.

        Returns
        -------
        ndarray, shape (3,)
        """
        return threshold_init(self.data.d, seed)

    def accuracy(self, w: ArrayLike, data: Dataset | None = None) -> float:
        """Return the share of samples with ``sign(f(x)) == y``.

        Parameters
        ----------
        w : array_like, shape (dim,)
        data : Dataset, optional
            Other data with labels in {-1, +1}, evaluated in O(n d); None = the training data.

        Returns
        -------
        float
            From 0 to 1.

        Raises
        ------
        ValueError
            `w` has the wrong shape, or `data` another d or other labels.
        """
        w = self._weights(w)
        if data is None or data is self.data:
            return core.accuracy(self._prepared(), w, None, None)
        Instance(Dataset).check("data", data)
        check_signs("data", data.y)
        if data.d != self.data.d:
            raise ValueError(f"data must have d = {self.data.d} as in {self!r}, got d = {data.d}")
        return core.accuracy(self._prepared(), w, data.X, data.y)

    @property
    def data_bytes(self) -> int:
        """Memory that the data and their sorted form (values, two prefix sums) take, about."""
        return 4 * self.data.X.nbytes

    def _config(self) -> dict[str, Any]:
        return {"X": self.data.X, "y": self.data.y}

    def _prepared(self) -> PreparedModel:
        return _PREPARED.get(self.data, lambda: core.model("ThresholdNeuron", self._config()))


def threshold_init(d: float, seed: int) -> NDArray[np.float64]:
    """Return a_minus, a_plus ~ N(0, 1/(2 d)) and b = 0, for data of dimension d."""
    a_minus, a_plus = stream(seed).standard_normal(2) / np.sqrt(2.0 * d)
    return np.array([a_minus, a_plus, 0.0])
