"""The mean model: the dynamics of the threshold neuron when the network is replaced by its mean over the noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from eosfast.arguments import Real
from eosfast.models.base import Model
from eosfast.models.threshold_neuron import threshold_init
from eosfast.value_object import allowed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MeanModel(Model):
    """``f(a_minus, a_plus, b) = l(A g(b))``, ``A = d (a_minus + a_plus)``, ``g(b) = E relu(noise z + b)``, z ~ N(0, 1).

    l is the symmetrised logistic loss ``(log(1 + e^-s) + log(1 + e^s)) / 2``. This is the population loss of
    `ThresholdNeuron` with the output replaced by its mean and the signal ignored, which holds in the initial phase of
    training.

    Parameters
    ----------
    d : float
        Dimension of the data, > 0 (it need not be whole).
    noise : float
        Standard deviation of the noise, > 0.

    Raises
    ------
    ValueError, TypeError
        A number outside its range.

    Notes
    -----
    With phi and Phi the normal density and distribution function, ``g(b) = noise phi(b/noise) + b Phi(b/noise)``,
    ``g'(b) = Phi(b/noise)``, ``g''(b) = phi(b/noise)/noise``. With s = A g(b) and q = l'(s) = tanh(s/2)/2 the gradient
    is ``(q d g, q d g, q A g')``. At A = 0 the largest eigenvalue is ``d^2 g(b)^2 / 2``; it meets 2/lr at b = 0 for
    ``lr = 8 pi/(d noise)^2``. Beyond that step size the bias must fall until ``d^2 g(b)^2 lr / 2 <= 2``. The difference
    a_plus - a_minus never changes.

    References
    ----------
    Ahn, Bubeck, Chewi, Lee, Suarez, Zhang (2023), "Learning threshold neurons via the edge of stability", arXiv
    2212.07469, Section 3.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.MeanModel(d=200)
    >>> bool(abs(model.sharpness([0.0, 0.0, 0.0]).values[0] - 200**2 / (4 * 3.141592653589793)) < 1e-9)
    True
    """

    init_fields: ClassVar = ("d",)

    d: float = field(default=200, metadata=allowed(Real(above=0)))
    noise: float = field(default=1.0, metadata=allowed(Real(above=0)))

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: the scalars a_minus, a_plus and b."""
        return {"a_minus": (), "a_plus": (), "b": ()}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``a_minus, a_plus ~ N(0, 1/(2 d))`` (a variance) and b = 0, as in Ahn et al. (2023),
        Figures 1 and 2.

        The same numbers as `ThresholdNeuron.init` for data of the same d: the two can be compared run by run.

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0.

        Returns
        -------
        ndarray, shape (3,)
        """
        return threshold_init(self.d, seed)
