"""Two-layer networks, of which the first layer or both are trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eosfast.activations import activation
from eosfast.arguments import Choice, Flag, Integer, Real
from eosfast.models.base import stream
from eosfast.models.chain import ActivationField, Chain, OutputWeightsField
from eosfast.models.loss_field import LossField
from eosfast.models.network import Network
from eosfast.value_object import allowed

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class TwoLayerNetwork(Network):
    """A two-layer network in the mean-field scaling::

        f(x) = (scale / width) sum_j a_j phi(w_j.x + b_j)

    Parameters
    ----------
    data : Dataset
        ``X (n, d)`` and ``y (n,)``: labels in {-1, +1} for the logistic loss, numbers for mse.
    width : int
        Number of neurons m, >= 1.
    activation : str or activation object
        phi: ``"gelu"``, ``"silu"``, ``"softplus"``, ``"tanh"``, ``"relu"``, ``"sigmoid"``, ``"identity"``, ``"erf"``,
        ``HuberizedReLU(h)`` or ``Leaky(phi, c, k)``.
    loss : {"logistic", "mse"}
        ``mean_i log(1 + exp(-y_i f(x_i)))``, or ``mean_i (f(x_i) - y_i)^2 / 2``.
    trainable : {"first", "both"}
        Whether the output weights a stay as they are.
    scale : float
        The b of Cai et al., Section 4: 1 is the mean-field scaling, sqrt(width) the one of the tangent kernel.
    bias : bool
        Whether neurons have biases b_j (trained).
    output_weights : array_like (width,), optional
        a, fixed or (``trainable="both"``) where `init` starts; +1 for the first ceil(width/2) neurons and -1 for the
        others if it is None.
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
    With only the first layer trained, w is W alone. A step costs 4 n min(n, d) m operations, a product with the
    Hessian as much.

    References
    ----------
    Cai, Wu, Mei, Lindsey, Bartlett (2024), "Large stepsize gradient descent for non-homogeneous two-layer networks:
    margin improvement and fast optimization", arXiv 2406.08654.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.TwoLayerNetwork(eos.datasets.xor(), width=20, activation=eos.Leaky("softplus", 0.5, 0.5))
    >>> run = eos.train(model, optimizer=eos.GD(lr=100.0), num_steps=1000,
    ...                 record=eos.Record("log2", ("loss", "margin", "sharpness")))
    >>> bool(run.margin[-1] > 0)
    True
    """

    structural: ClassVar = (*Network.structural, "width", "trainable", "bias")

    width: int = field(metadata=allowed(Integer(least=1)))
    activation: Any = field(default="gelu", metadata=allowed(ActivationField()))
    loss: LossField = LossField("logistic", ("logistic", "mse"))  # noqa: RUF009 - a descriptor
    trainable: str = field(default="first", metadata=allowed(Choice(("first", "both"))))
    scale: float = field(default=1.0, metadata=allowed(Real(above=0)))
    bias: bool = field(default=False, metadata=allowed(Flag()))
    output_weights: NDArray[np.float64] | None = field(default=None, metadata=allowed(OutputWeightsField()))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.y.ndim != 1:
            raise ValueError(f"data of TwoLayerNetwork must have y of shape (n,), got {self.data.y.shape}")
        self._check_targets()
        if self.output_weights is not None and len(self.output_weights) != self.width:
            raise ValueError(
                f"output_weights of TwoLayerNetwork must have shape ({self.width},), one for each neuron, "
                f"got {self.output_weights.shape}"
            )

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: W (width, d), then b (width,) with ``bias=True``, then a (width,) with
        ``trainable="both"``.
        """
        blocks: dict[str, tuple[int, ...]] = {"W": (self.width, self.data.d)}
        if self.bias:
            blocks["b"] = (self.width,)
        if self.trainable == "both":
            blocks["a"] = (self.width,)
        return blocks

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``W ~ N(0, 1/d)`` (a variance), b = 0, and a = `output_weights`.

        Cai et al. only say that their start is random; this law gives pre-activations of unit size for samples of
        norm sqrt(d), whatever d is.

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0; the stream differs from that of data made with the same seed.

        Returns
        -------
        ndarray, shape (dim,)
        """
        W = stream(seed).standard_normal((self.width, self.data.d)) / np.sqrt(self.data.d)
        blocks = {"W": W, "b": np.zeros(self.width), "a": self._signs()}
        return self.pack(**{name: blocks[name] for name in self.parameters})

    def _signs(self) -> NDArray[np.float64]:
        if self.output_weights is not None:
            return self.output_weights
        return np.where(np.arange(self.width) < (self.width + 1) // 2, 1.0, -1.0)

    @property
    def _loss(self) -> str:
        return str(self.loss)

    @property
    def _chain(self) -> Chain:
        both = self.trainable == "both"
        return Chain(
            widths=(self.data.d, self.width, 1),
            activation=activation(self.activation),
            bias=self.bias,
            output_bias=False,
            output_weights=np.empty(0) if both else self._signs(),
            output_scale=self.scale / self.width,
            degree=2 if both else 1,
        )
