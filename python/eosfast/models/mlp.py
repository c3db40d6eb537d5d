"""Multi-layer perceptrons of any depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eosfast.activations import activation
from eosfast.arguments import Flag
from eosfast.models.base import stream
from eosfast.models.chain import ActivationField, Chain
from eosfast.models.loss_field import LossField
from eosfast.models.network import Network
from eosfast.models.widths_field import WidthsField
from eosfast.value_object import allowed

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class MLP(Network):
    """A fully connected network, ``f(x) = W_N phi(... phi(W_1 x + b_1) ...) + b_N``.

    Parameters
    ----------
    data : Dataset
        ``X (n, d)``; ``y (n,)`` for one output or ``y (n, c)`` for c outputs.
    widths : sequence of int
        Hidden widths, each >= 1; () is a linear model.
    activation : str or activation object
        phi, as in `TwoLayerNetwork`.
    loss : {"mse", "cross_entropy", "logistic"}
        ``mean_i ||f(x_i) - y_i||^2 / 2``; ``mean_i sum_j y_ij (log sum_k exp(f_k(x_i)) - f_j(x_i))``, y with rows that
        sum to 1 or integer labels 0, 1, ... of shape (n,); or ``mean_i log(1 + exp(-y_i f(x_i)))`` with labels in
        {-1, +1}.
    bias : bool
        Whether the layers, the last one too, have biases (trained).
    dtype : {"float64", "float32"}
        Precision of the computation; results are float64 in any case.
    reduce : bool
        With n < d, run inside the row space of the data: the same numbers at a cost that does not depend on d.

    Raises
    ------
    TypeError, ValueError
        A field outside its range; labels that do not suit the loss.

    Notes
    -----
    Blocks of w are ``W1 (widths[0], d)``, ``b1``, ``W2``, and so on: matrices are (out, in). A step costs 4 n
    operations for each weight of the first layer, of which no more than n for each neuron count, and 6 n for each other
    weight; a product with the Hessian 4 n and 12 n.

    References
    ----------
    Cohen, Kaur, Li, Kolter, Talwalkar (2021), "Gradient descent on neural networks typically occurs at the edge of
    stability", arXiv 2103.00065.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.MLP(eos.datasets.chebyshev(degree=4, n=20), widths=(20, 20))
    >>> run = eos.train(model, optimizer=eos.GD(lr=0.2), num_steps=100,
    ...                 record=eos.Record(every=10, quantities=("loss", "sharpness")))
    >>> bool(run.sharpness_converged.all())
    True
    """

    structural: ClassVar = (*Network.structural, "widths", "bias")

    widths: tuple[int, ...] = field(metadata=allowed(WidthsField("a sequence of hidden widths, ints >= 1")))
    activation: Any = field(default="tanh", metadata=allowed(ActivationField()))
    loss: LossField = LossField("mse", ("mse", "cross_entropy", "logistic"))  # noqa: RUF009 - a descriptor
    bias: bool = field(default=True, metadata=allowed(Flag()))

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_targets()

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: W1 (out, in), b1 (out,) with ``bias=True``, W2, ..."""
        widths = self._chain.widths
        blocks: dict[str, tuple[int, ...]] = {}
        for layer, (before, after) in enumerate(pairwise(widths), start=1):
            blocks[f"W{layer}"] = (after, before)
            if self.bias:
                blocks[f"b{layer}"] = (after,)
        return blocks

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``W_l ~ N(0, 1/fan_in)`` (a variance; LeCun's law) and b = 0.

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0; the stream differs from that of data made with the same seed.

        Returns
        -------
        ndarray, shape (dim,)

        References
        ----------
        LeCun, Bottou, Orr, Mueller (1998), "Efficient BackProp", Section 4.6.
        """
        draws = stream(seed)
        blocks = {
            name: draws.standard_normal(shape) / np.sqrt(shape[1]) if len(shape) == 2 else np.zeros(shape)
            for name, shape in self.parameters.items()
        }
        return self.pack(**blocks)

    @property
    def _loss(self) -> str:
        return str(self.loss)

    @property
    def _chain(self) -> Chain:
        return Chain(
            widths=(self.data.d, *self.widths, self._targets.shape[1]),
            activation=activation(self.activation),
            bias=self.bias,
            output_bias=self.bias,
            output_weights=np.empty(0),
            output_scale=1.0,
            degree=len(self.widths) + 1,
        )
