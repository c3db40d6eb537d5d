"""What all networks share: fully connected layers, one compiled core for all of them.

A subclass says which layers there are (`_chain`), which labels fit, and how a start is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Choice, Flag, Instance, numbers_array
from eosfast.datasets import Dataset
from eosfast.models.large import LargeModel, quiet
from eosfast.models.on_data import DataModel
from eosfast.models.row_space import row_space
from eosfast.models.targets import as_matrix, check_targets
from eosfast.spectrum import Spectrum
from eosfast.value_object import allowed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from eosfast._core import PreparedModel
    from eosfast.models.chain import Chain
    from eosfast.models.row_space import RowSpace

DTYPES = ("float64", "float32")


@dataclass(frozen=True, eq=False, repr=False)
class Network(DataModel, LargeModel):
    """Base of the networks."""

    structural: ClassVar[tuple[str, ...]] = ("dtype", "reduce")

    dtype: str = field(default="float64", kw_only=True, metadata=allowed(Choice(DTYPES)))
    reduce: bool = field(default=True, kw_only=True, metadata=allowed(Flag()))

    def __repr__(self) -> str:
        """Return the call that makes the model; how it is computed (dtype, reduce) comes last, if not as by default."""
        items = sorted(fields(self), key=lambda item: bool(item.kw_only))
        items = [item for item in items if not item.kw_only or getattr(self, item.name) != item.default]
        return f"{type(self).__name__}({', '.join(f'{item.name}={getattr(self, item.name)!r}' for item in items)})"

    # ------------------------------------------------------------------------------------------- what a subclass says

    @property
    def _loss(self) -> str:
        raise NotImplementedError

    @property
    def _chain(self) -> Chain:
        raise NotImplementedError

    @property
    def _squared(self) -> bool:
        return self._loss == "mse"

    # ------------------------------------------------------------------------------------------------------ questions

    @property
    def quantities(self) -> tuple[str, ...]:  # type: ignore[override]
        """What can be recorded besides what every model has: ``accuracy``, ``margin`` if the labels are signs, and
        those of the tangent kernel (`LargeModel.quantities`), if the loss is ``"mse"`` those of the residual too.
        """
        return ("accuracy", *(("margin",) if self._has_signs else ()), *super().quantities)

    @property
    def _has_signs(self) -> bool:
        return self.data.y.ndim == 1 and self._targets.shape[1] == 1 and bool(np.all(np.abs(self.data.y) == 1))

    def predict(self, w: ArrayLike, X: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the raw outputs f(x).

        Parameters
        ----------
        w : array_like, shape (dim,)
        X : array_like, shape (m, d), optional
            Samples; None = those of the data.

        Returns
        -------
        ndarray, shape (m,), or (m, c) for several outputs

        Raises
        ------
        ValueError
            `w` or `X` has the wrong shape.
        """
        w = self._weights(w)
        if X is None:
            prepared, inner, samples = self._prepared(), self._inner(w), self.data.n
        else:
            X = numbers_array("X", X)
            if X.ndim != 2 or X.shape[1] != self.data.d or len(X) == 0:
                raise ValueError(f"X must have shape (m, {self.data.d}) with m >= 1 for {self!r}, got {X.shape}")
            outputs = self._targets.shape[1]
            config = self._core_config(X, np.zeros((len(X), outputs)))
            prepared, inner, samples = core.model("FeedForward", config), w, len(X)
        f = core.outputs(prepared, inner, samples)
        return f[:, 0] if f.shape[1] == 1 and self.data.y.ndim == 1 else f

    def accuracy(self, w: ArrayLike, data: Dataset | None = None) -> float:
        """Return the share of samples whose label is predicted: the sign of one output, the largest of several.

        Parameters
        ----------
        w : array_like, shape (dim,)
        data : Dataset, optional
            Other data, with labels of the same kind; None = the training data.

        Returns
        -------
        float
            From 0 to 1.

        Raises
        ------
        ValueError
            `w` has the wrong shape, or `data` another d or other labels.
        """
        if data is None or data is self.data:
            return core.accuracy(self._prepared(), self._inner(self._weights(w)), None, None)
        Instance(Dataset).check("data", data)
        if data.d != self.data.d:
            raise ValueError(f"data must have d = {self.data.d} as in {self!r}, got d = {data.d}")
        if data.y.shape[1:] != self.data.y.shape[1:]:
            labels = "(n,)" if self.data.y.ndim == 1 else f"(n, {self.data.y.shape[1]})"
            raise ValueError(f"data must have y of shape {labels} as in {self!r}, got {data.y.shape}")
        check_targets("data", self._loss, data.y)
        f = self.predict(w, data.X)
        if f.ndim == 1:
            return float(np.mean(f * data.y > 0))
        classes = data.y if data.y.ndim == 1 else np.argmax(data.y, axis=1)
        if classes.max() >= f.shape[1]:
            raise ValueError(f"data must have labels from 0 to {f.shape[1] - 1} as in {self!r}, got {classes.max():g}")
        return float(np.mean((np.argmax(f, axis=1) == classes) & ~np.isnan(f).any(axis=1)))

    def margin(self, w: ArrayLike) -> float:
        """Return the normalised margin ``min_i y_i f(x_i) / ||w||^p``, p the degree of homogeneity of f in the trained
        weights: 1 for a first layer alone, 2 for two layers, the depth for more.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        float
            NaN at w = 0.

        Raises
        ------
        ValueError
            `w` has the wrong shape, or the labels are not -1 and +1.

        References
        ----------
        Cai, Wu, Mei, Lindsey, Bartlett (2024), "Large stepsize gradient descent for non-homogeneous two-layer
        networks: margin improvement and fast optimization", arXiv 2406.08654, eq. (3).
        """
        if not self._has_signs:
            raise ValueError(f"the margin needs one output and labels -1 and +1, which {self!r} does not have")
        w = self._weights(w)
        largest = float(np.max(np.abs(w), initial=0.0))
        if not 0 < largest < math.inf:
            return math.nan
        margin = float(np.min(self.data.y * self.predict(w)))
        for _ in range(self._chain.degree):  # factor by factor: ||w||^p may be out of range
            margin = margin / largest / float(np.linalg.norm(w / largest))
        return margin

    @quiet
    def jacobian(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the derivatives of the outputs with respect to the weights.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (n c, dim)
            Output o of sample i in row ``i c + o``.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        inner = self._inner(self._weights(w))
        outputs = self._targets.shape[1]
        inputs = core.layer_inputs(self._prepared(), inner, self.data.n)
        rows = np.empty((self.data.n, outputs, inner.size))
        for output in range(outputs):
            slopes = core.layer_slopes(self._prepared(), inner, output, self.data.n)
            parts = []
            for kind, layer in self._chain.trained():
                slope = slopes[layer]
                part = slope if kind == "bias" else slope[:, :, None] * inputs[layer][:, None, :]
                parts.append(part.reshape(self.data.n, -1))
            rows[:, output] = np.concatenate(parts, axis=1)
        return self._outer(rows.reshape(-1, inner.size))

    @quiet
    def ntk(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the tangent kernel ``J J'`` of the outputs; O(n^2) memory, whatever `dim` is.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (n c, n c)
            In the order of the rows of `jacobian`; symmetric.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        inner = self._inner(self._weights(w))
        n, outputs = self.data.n, self._targets.shape[1]
        inputs = core.layer_inputs(self._prepared(), inner, n)
        slopes = [core.layer_slopes(self._prepared(), inner, output, n) for output in range(outputs)]
        kernel = np.zeros((n, outputs, n, outputs))
        for kind, layer in self._chain.trained():
            gram = np.ones((n, n)) if kind == "bias" else inputs[layer] @ inputs[layer].T
            for a in range(outputs):
                for b in range(outputs):
                    kernel[:, a, :, b] += gram * (slopes[a][layer] @ slopes[b][layer].T)
        return kernel.reshape(n * outputs, n * outputs)

    def _with_zeros(
        self,
        k: int,
        values: NDArray[np.float64],
        rows: NDArray[np.float64],
        residuals: NDArray[np.float64],
        converged: NDArray[np.bool_],
        matvecs: int,
    ) -> Spectrum:
        """Return the spectrum of the whole Hessian: that of the reduced one, and zeros."""
        zeros = min(k, self.dim - rows.shape[1])
        values = np.concatenate([values, np.zeros(zeros)])
        order = np.argsort(-values, kind="stable")[:k]
        vectors = np.concatenate([self._outer(rows), np.zeros((zeros, self.dim))])
        needed = sorted(int(i) for i in order if i >= len(residuals))
        for number, i in enumerate(needed):
            vectors[i] = self._unseen(number)
        residuals = np.concatenate([residuals, np.zeros(zeros)])
        converged = np.concatenate([converged, np.ones(zeros, dtype=bool)])
        return Spectrum(
            values[order], np.ascontiguousarray(vectors[order].T), residuals[order], converged[order], matvecs
        )

    def _unseen(self, number: int) -> NDArray[np.float64]:
        """Return the unit vector `number` of an orthonormal set outside the row space of the data."""
        space, (m, d) = self._space, (self._chain.widths[1], self.data.d)
        assert space is not None
        directions: list[NDArray[np.float64]] = []
        draws = np.random.default_rng(0)
        for _ in range(number // m + 1):
            vector = draws.standard_normal(d)
            for _ in range(2):
                vector -= space.outside(space.inside(vector[None]))[0]
                for other in directions:
                    vector -= other * (other @ vector)
            directions.append(vector / np.linalg.norm(vector))
        out = np.zeros(self.dim)
        out[number % m * d : (number % m + 1) * d] = directions[number // m]
        return out

    # ----------------------------------------------------------------------------------------------------- to the core

    @property
    def data_bytes(self) -> int:
        """Memory that the data take, with their two forms in the core, about."""
        return 3 * self.data.X.nbytes

    @property
    def _targets(self) -> NDArray[np.float64]:
        return as_matrix(self._loss, self.data.y)

    @property
    def _num_outputs(self) -> int:
        return self._targets.size

    def _check_targets(self) -> None:
        chosen = f" with loss={self._loss!r}" if any(item.name == "loss" for item in fields(self)) else ""
        check_targets(f"data of {type(self).__name__}{chosen}", self._loss, self.data.y)

    @property
    def _space(self) -> RowSpace | None:
        """The row space of the data, if a run is to stay inside it."""
        if not self.reduce or self.data.n >= self.data.d:
            return None
        return row_space(self.data)

    def _core_config(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, Any]:
        unseen = self._chain.widths[1] * (self.data.d - X.shape[1])  # numbers of w that such samples do not reach
        own = {"X": X, "y": y, "loss": self._loss, "unseen": float(unseen), "dtype": self.dtype}
        return own | self._chain.config(X.shape[1])

    def _make(self) -> PreparedModel:
        space = self._space
        X = self.data.X if space is None else space.coordinates
        return core.model("FeedForward", self._core_config(X, self._targets))

    def _first(self, space: RowSpace | None) -> int:
        """Numbers of the first layer in w, or in the core's w."""
        return self._chain.widths[1] * (self.data.d if space is None else space.size)

    def _inner(self, w: NDArray[np.float64]) -> NDArray[np.float64]:
        space = self._space
        if space is None:
            return w
        first = self._first(None)
        inside = space.inside(w[..., :first].reshape(-1, self.data.d))
        return np.concatenate([inside.reshape(*w.shape[:-1], self._first(space)), w[..., first:]], axis=-1)

    def _outer(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        space = self._space
        if space is None:
            return v
        first = self._first(space)
        outside = space.outside(v[..., :first].reshape(-1, space.size))
        return np.concatenate([outside.reshape(*v.shape[:-1], self._first(None)), v[..., first:]], axis=-1)

    def _whole(
        self,
        rows: NDArray[np.float64],
        start: NDArray[np.float64],
        inner: NDArray[np.float64],
        kept: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        if self._space is None:
            return rows
        unseen = start - self._outer(inner)
        moved = start + self._outer(rows - inner)
        return moved + np.outer(kept - 1.0, unseen) if np.any(kept != 1.0) else moved

    def _null_norm(self, w: NDArray[np.float64], inner: NDArray[np.float64]) -> float:
        """Return the length of what is outside the row space of the data, where the loss does not depend on it."""
        if self._space is None:
            return 0.0
        return float(np.sqrt(np.square(w - self._outer(inner)).sum()))
