"""Deep linear networks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Instance, Integer, Real, numbers_array
from eosfast.datasets import Dataset
from eosfast.models.base import stream
from eosfast.models.large import LargeModel, quiet
from eosfast.models.matrix_field import MatrixField
from eosfast.models.widths_field import WidthsField
from eosfast.value_object import allowed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from eosfast._core import PreparedModel

SHOWN_IN_FULL = 64
"""Numbers of a target that `repr` writes out."""


@dataclass(frozen=True, eq=False, repr=False)
class LinearNetwork(LargeModel):
    """A deep linear network with squared loss, ``f(w) = loss_scale/2 |W_N ... W_1 X - Y|^2`` (Frobenius norm), or with
    the identity for X: ``f(w) = loss_scale/2 |W_N ... W_1 - target|^2``.

    Parameters
    ----------
    widths : sequence of int
        Every width, input first: ``(d_0, ..., d_N)``, two or more, each >= 1.
    data : Dataset, optional
        ``X`` is ``data.X`` transposed, (d_0, n), and ``Y`` its targets, (d_N, n); ``y (n,)`` is one output.
    target : array_like, shape (d_N, d_0), optional
        The matrix that the product shall reach. Exactly one of `data` and `target` must be given. A rank above the
        least width is allowed; it cannot be reached then.
    loss_scale : float
        > 0. The loss is a sum over samples; ``1/n`` makes it a mean.

    Raises
    ------
    TypeError, ValueError
        A field outside its range; both or none of `data` and `target`; widths that do not fit them.

    Notes
    -----
    Blocks of w are ``W1 (d_1, d_0)``, ..., ``WN (d_N, d_(N-1))``. For widths (1, ..., 1) and a target it is
    `ScalarProduct`, which is faster.

    With the square root L of ``X X' = L L'`` and ``T L' = Y X'`` the loss is ``loss_scale/2 (|W L - T|^2 + rest)``, W
    the product, rest a constant. The core knows L, T and rest and nothing else of the data, so that a step does not
    depend on n; it costs ``6 s sum_k d_k d_(k-1)`` operations, s the smaller of the widths of input and output, and a
    product with the Hessian twice as much. L comes from Householder reflections of the samples, once for each model, 2
    n d_0 (d_0 + 2 d_N) operations. The loss is never negative, and relatively accurate near its minimum.

    Gradient flow keeps ``W_(k+1)' W_(k+1) - W_k W_k'`` (Arora, Cohen, Golowich, Hu 2019); a step of gradient descent
    changes it by ``lr^2 (G_(k+1)' G_(k+1) - G_k G_k')``, G_k the blocks of the gradient.

    References
    ----------
    Craciun, Ghoshdastidar (2024), "On the stability of gradient descent for large learning rate", arXiv 2402.13108.
    Saxe, McClelland, Ganguli (2014), "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", arXiv 1312.6120.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.LinearNetwork((2, 2, 2), target=[[2.0, 0.0], [0.0, 1.0]])
    >>> w = model.pack(W1=[[2.0**0.5, 0.0], [0.0, 1.0]], W2=[[2.0**0.5, 0.0], [0.0, 1.0]])
    >>> bool(model.loss(w) < 1e-30)
    True
    >>> [round(float(value), 9) for value in model.minimum_spectrum(w)]
    [4.0, 3.0, 3.0, 2.0]
    """

    structural: ClassVar = ("widths",)

    widths: tuple[int, ...] = field(
        metadata=allowed(WidthsField("a sequence of two or more widths, input first, ints >= 1", least=2))
    )
    data: Dataset | None = field(default=None, metadata=allowed(Instance(Dataset, optional=True)))
    target: NDArray[np.float64] | None = field(default=None, metadata=allowed(MatrixField("(widths[-1], widths[0])")))
    loss_scale: float = field(default=1.0, metadata=allowed(Real(above=0)))

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.data is None) == (self.target is None):
            given = "neither" if self.data is None else "both"
            raise ValueError(f"exactly one of data and target of LinearNetwork must be given, got {given}")
        ends = (self.widths[0], self.widths[-1])
        if self.target is not None and self.target.shape != ends[::-1]:
            raise ValueError(
                f"target of LinearNetwork must have shape {ends[::-1]} for widths={self.widths}, "
                f"got {self.target.shape}"
            )
        if self.data is not None and (self.data.d, self.data.y.reshape(self.data.n, -1).shape[1]) != ends:
            raise ValueError(
                f"data of LinearNetwork must have {ends[0]} coordinates and {ends[1]} outputs for "
                f"widths={self.widths}, got {self.data.d} and {self.data.y.reshape(self.data.n, -1).shape[1]}"
            )

    def __repr__(self) -> str:
        """Return the call that makes the model; a large target is shown by its shape."""
        shown = [f"widths={self.widths}"]
        if self.target is None:
            shown.append(f"data={self.data!r}")
        else:
            small = self.target.size <= SHOWN_IN_FULL
            shown.append(f"target={self.target.tolist() if small else f'<{self.target.shape} matrix>'}")
        if self.loss_scale != 1:
            shown.append(f"loss_scale={self.loss_scale!r}")
        return f"LinearNetwork({', '.join(shown)})"

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: W1 (d_1, d_0), ..., WN (d_N, d_(N-1))."""
        return {f"W{k}": (after, before) for k, (before, after) in enumerate(pairwise(self.widths), start=1)}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return independent ``W_k ~ N(0, 1/d_(k-1))`` (a variance), so that a layer keeps the mean squared length of a
        vector; scalar factors are N(0, 1), as those of `ScalarProduct`.

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
        return self.pack(
            **{name: draws.standard_normal(shape) / np.sqrt(shape[1]) for name, shape in self.parameters.items()}
        )

    @property
    def quantities(self) -> tuple[str, ...]:  # type: ignore[override]
        """What can be recorded besides what every model has: that of all large models, and ``gfs_sharpness``, the
        sharpness where the gradient flow from the present iterate ends (Kreisler, Nacson, Soudry, Carmon 2023, arXiv
        2305.13064).

        The flow is integrated as `gradient_flow` does it, to 1e-8, until a Newton step shorter than 1e-6 of the weights
        leads to the minimum; the value is good to about 1e-6. It costs some thousand gradients at every record. NaN if
        300,000 do not suffice, or if the flow ends in a saddle.
        """
        return (*super().quantities, "gfs_sharpness")

    # -------------------------------------------------------------------------------------------------------- questions

    @quiet
    def product(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the matrix that the network is.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (d_N, d_0)
            ``W_N ... W_1``.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        return _product(list(self.unpack(w).values()), self.widths[0])

    @quiet
    def predict(self, w: ArrayLike, X: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the outputs ``W_N ... W_1 x``.

        Parameters
        ----------
        w : array_like, shape (dim,)
        X : array_like, shape (m, d_0), optional
            Samples; None = those of the data, or the identity if a `target` was given.

        Returns
        -------
        ndarray, shape (m,), or (m, d_N) for several outputs

        Raises
        ------
        ValueError
            `w` or `X` has the wrong shape.
        """
        product = self.product(w)
        if X is None:
            X = self._inputs
        X = numbers_array("X", X)
        if X.ndim != 2 or X.shape[1] != self.widths[0] or len(X) == 0:
            raise ValueError(f"X must have shape (m, {self.widths[0]}) with m >= 1 for {self!r}, got {X.shape}")
        f = X @ product.T
        return f[:, 0] if self.data is not None and self.data.y.ndim == 1 else f

    def residual(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return what half `loss_scale` times the squared norm of is the loss.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (D,)
            With data: ``f(x_i) - y_i`` sample by sample, D = n d_N; with a target: ``W_N ... W_1 - target`` row by row,
            D = d_N d_0.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        return super().residual(w)

    @quiet
    def jacobian(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the derivatives of the outputs with respect to the weights.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (D, dim)
            In the order of `residual`.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        blocks = []
        for after, before in self._sides(w):
            if self.data is None:  # d(W)_oj / d(W_k)_ab = after_oa before_bj
                block = np.einsum("oa,bj->ojab", after, before)
            else:  # d(W x_i)_o / d(W_k)_ab = after_oa (before x_i)_b
                block = np.einsum("oa,ib->ioab", after, self.data.X @ before.T)
            blocks.append(block.reshape(block.shape[0] * block.shape[1], -1))
        return np.concatenate(blocks, axis=1)

    @quiet
    def ntk(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the tangent kernel ``J J'`` of the outputs, without the Jacobian J: O(D^2) memory.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (D, D)
            In the order of `residual`; symmetric.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        inputs, outputs = self._inputs, self.widths[-1]
        kernel = np.zeros((len(inputs), outputs, len(inputs), outputs))
        for after, before in self._sides(w):
            features = inputs @ before.T
            kernel += np.einsum("ij,op->iojp", features @ features.T, after @ after.T)
        if self.data is None:  # row by row of W
            kernel = kernel.transpose(1, 0, 3, 2)
        size = len(inputs) * outputs
        return kernel.reshape(size, size)

    def minimum_spectrum(self, w: ArrayLike, k: int | None = None, *, tol: float = 1e-6) -> NDArray[np.float64]:
        """Return the eigenvalues of the Hessian at a global minimum that need not be zero, from a matrix of the size of
        W.

        Where the residual vanishes they are those of ``loss_scale sum_k (A_k A_k') x (C^(1/2) B_k' B_k C^(1/2))``
        (Kronecker product), ``A_k = W_N ... W_(k+1)``, ``B_k = W_(k-1) ... W_1``, ``C = X X'``; all others are 0.

        Parameters
        ----------
        w : array_like, shape (dim,)
            A point where the residual is zero, or orthogonal to the data: ``W X X' = Y X'``.
        k : int, optional
            How many of the largest; None = all of them.
        tol : float
            How far from zero ``|W X X' - Y X'|`` may be, in units of ``|Y| |X|``, > 0.

        Returns
        -------
        ndarray, shape (k,)
            Descending; ``d_N min(d_0, n)`` in all, or `dim` if that is less.

        Raises
        ------
        ValueError
            `w` has the wrong shape or is no such point; `k` is not in 1 ... the number of them.

        References
        ----------
        The formula is derived here from the Hessian of a squared loss, ``J' J`` where the residual vanishes. For two
        layers, where the sharpness is ``|W_2|^2 + |W_1|^2`` (spectral norms): Mulayoff, Michaeli (2020), "Unique
        properties of flat minima in deep networks", ICML.
        """
        from eosfast.theory.linear_network import kronecker_eigenvalues

        tol = float(Real(above=0).check("tol", tol))
        root = self._root
        size = min(self.widths[-1] * root.shape[1], self.dim)
        k = size if k is None else Integer(least=1, most=size).check("k", k)
        self._check_minimum(w, tol)
        return kronecker_eigenvalues(self._sides(w), root, self.loss_scale)[:k]

    def _check_minimum(self, w: ArrayLike, tol: float) -> None:
        X, Y = self._inputs, self._outputs
        error = np.linalg.norm((self.predict(w, X).reshape(Y.shape) - Y).T @ X)
        size = (np.linalg.norm(Y) or np.linalg.norm(X)) * np.linalg.norm(X)
        if not error <= tol * size:
            raise ValueError(
                "w must be a global minimum, with a residual of zero or orthogonal to the data, "
                f"got |W X X' - Y X'| = {error:.3g}, above {tol:g} |Y| |X|"
            )

    # --------------------------------------------------------------------------------------------------------- the data

    @property
    def _inputs(self) -> NDArray[np.float64]:
        """X' (n, d_0)."""
        return np.eye(self.widths[0]) if self.data is None else self.data.X

    @property
    def _outputs(self) -> NDArray[np.float64]:
        """Y' (n, d_N)."""
        return self.data.y.reshape(self.data.n, -1) if self.data is not None else np.asarray(self.target).T

    @property
    def _root(self) -> NDArray[np.float64]:
        """L (d_0, min(d_0, n)) with L L' = X X'."""
        if self.data is None:
            return np.eye(self.widths[0])
        return np.asarray(np.linalg.qr(self.data.X, mode="r")).T

    def _sides(self, w: ArrayLike) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return ``W_N ... W_(k+1)`` and ``W_(k-1) ... W_1`` for every layer k."""
        weights = list(self.unpack(w).values())
        return [
            (_product(weights[k + 1 :], self.widths[k + 1]), _product(weights[:k], self.widths[0]))
            for k in range(len(weights))
        ]

    def with_seed(self, seed: int) -> Self:
        """Return the model on data drawn anew by their generator, or itself if nothing of it is random.

        Parameters
        ----------
        seed : int
            Seed of the data, >= 0.

        Returns
        -------
        LinearNetwork
        """
        return replace(self, data=self.data.with_seed(seed)) if self.data is not None and self.data.random else self

    @property
    def is_random(self) -> bool:
        """Whether the data come from a generator that takes a seed."""
        return self.data is not None and self.data.random

    @property
    def data_bytes(self) -> int:
        """Memory that the data take, with their copy in the core, about."""
        return 0 if self.data is None else 2 * (self.data.X.nbytes + self.data.y.nbytes)

    def _make(self) -> PreparedModel:
        config: dict[str, Any] = {
            "widths": np.array(self.widths, dtype=np.float64),
            "loss_scale": float(self.loss_scale),
            "X": np.empty((0, self.widths[0])) if self.data is None else self.data.X,
            "y": self.target if self.data is None else self.data.y.reshape(self.data.n, -1),
        }
        return core.model("LinearNetwork", config)


def _product(weights: list[NDArray[np.float64]], inputs: int) -> NDArray[np.float64]:
    """Return ``W_k ... W_1`` of a list W_1 ... W_k; the identity of the size `inputs` if it is empty."""
    return reduce(lambda product, W: W @ product, weights) if weights else np.eye(inputs)
