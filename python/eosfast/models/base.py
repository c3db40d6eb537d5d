"""What every model shares. A model is a frozen dataclass: it says which landscape ``w -> loss(w)`` is meant, and the
compiled core computes.

A new model states here, in Python, only its fields (each with what it may hold), its blocks of w and its
initialisation; a field is
* a *lane field* if the core's registry lists it: a number that may differ from run to run of one sweep,
* *structural* if the class lists it: it selects another compiled loop or another number of parameters,
* data otherwise: prepared once per object (sorted, summed), and remembered as long as the object lives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Integer, Real, finite_array, numbers_array, one_of, shown
from eosfast.spectrum import Spectrum, hessian_operator
from eosfast.value_object import ValueObject

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse.linalg import LinearOperator

    from eosfast._core import PreparedModel

LARGEST_DENSE_DIM = 4096


class Model(ValueObject):
    """Base of the models.

    A subclass is a frozen dataclass (``eq=False``) whose name is the core's; it defines `parameters` and `init`.

    Attributes
    ----------
    structural : tuple of str
        Fields that select another compiled loop or change `dim`.
    shaping : tuple of str
        Fields that may do so, depending on what they hold.
    init_fields : tuple of str
        Lane fields on which the law of `init` depends.
    quantities : tuple of str
        What can be recorded and measured of this model besides what every model has.
    makers : tuple of str
        Class methods that make a model of plain values: what a sweep described in a file may call.
    """

    structural: ClassVar[tuple[str, ...]] = ()
    shaping: ClassVar[tuple[str, ...]] = ()
    init_fields: ClassVar[tuple[str, ...]] = ()
    quantities: ClassVar[tuple[str, ...]] = ()
    makers: ClassVar[tuple[str, ...]] = ()

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`, in order: name -> shape; a scalar block has the shape ()."""
        raise NotImplementedError

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return sum(math.prod(shape) for shape in self.parameters.values())

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return the standard initialisation, shape (dim,)."""
        raise NotImplementedError

    def pack(self, **blocks: ArrayLike) -> NDArray[np.float64]:
        """Return the flat vector of the given blocks.

        Parameters
        ----------
        **blocks : array_like
            One value for each name in `parameters`, of the shape given there.

        Returns
        -------
        ndarray, shape (dim,)

        Raises
        ------
        ValueError
            An unknown or missing block, or a wrong shape.
        TypeError
            Values that are not real numbers.
        """
        parameters = self.parameters
        for name in blocks:
            if name not in parameters:
                raise ValueError(f"the blocks of {self!r} are {one_of(name, parameters)}, got {name!r}")
        missing = [name for name in parameters if name not in blocks]
        if missing:
            raise ValueError(f"the blocks of {self!r} must all be given, missing: {', '.join(missing)}")
        parts = []
        for name, shape in parameters.items():
            part = blocks[name]
            if not (type(part) is np.ndarray and part.dtype == np.float64):  # spare the many starts of a sweep this
                part = numbers_array(f"the block {name!r} of {self!r}", part)
            if part.shape != shape:
                raise ValueError(f"the block {name!r} of {self!r} must have shape {shape}, got {part.shape}")
            parts.append(part.ravel())
        return np.concatenate(parts)

    def unpack(self, w: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Return the blocks of a flat vector, the inverse of `pack`.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        dict of str to ndarray
            Name -> array of the shape in `parameters`, copied.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        w = self._weights(w)
        blocks, start = {}, 0
        for name, shape in self.parameters.items():
            stop = start + math.prod(shape)
            blocks[name] = w[start:stop].reshape(shape).copy()
            start = stop
        return blocks

    def loss(self, w: ArrayLike) -> float:
        """Return the loss at `w`.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        float
            NaN where `w` holds NaN.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        return core.loss(self._prepared(), self._inner(self._weights(w)))

    def grad(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the gradient of the loss at `w`; at a kink the almost-everywhere derivative (ReLU'(0) = 0).

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (dim,)

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        return self._outer(core.grad(self._prepared(), self._inner(self._weights(w))))

    def hvp(self, w: ArrayLike, v: ArrayLike) -> NDArray[np.float64]:
        """Return the Hessian at `w` times `v`.

        Parameters
        ----------
        w : array_like, shape (dim,)
        v : array_like, shape (dim,) or (dim, k)
            One vector, or k vectors in columns.

        Returns
        -------
        ndarray, shape of `v`

        Raises
        ------
        ValueError
            `w` or `v` has the wrong shape.
        """
        w = self._weights(w)
        v = numbers_array("v", v)
        if v.ndim not in (1, 2) or len(v) != self.dim:
            raise ValueError(f"v must have shape ({self.dim},) or ({self.dim}, k) for {self!r}, got {v.shape}")
        rows = np.ascontiguousarray(v.reshape(self.dim, -1).T)
        products = core.hvp(self._prepared(), self._inner(w), self._inner(rows))
        return np.ascontiguousarray(self._outer(products).T).reshape(v.shape)

    def hessian(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the Hessian of the loss at `w`.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (dim, dim)
            Symmetric.

        Raises
        ------
        ValueError
            `w` has the wrong shape, or `dim` > 4096: then use `hvp`.
        """
        if self.dim > LARGEST_DENSE_DIM:
            raise ValueError(
                f"the dense Hessian needs dim <= {LARGEST_DENSE_DIM}, but {self!r} has {self.dim}; "
                "use hvp(w, v) instead"
            )
        rows = self._outer(core.hessian(self._prepared(), self._inner(self._weights(w))))
        if len(rows) == self.dim:
            return rows
        whole = self._outer(np.ascontiguousarray(rows.T))
        return np.asarray(0.5 * (whole + whole.T))

    def sharpness(self, w: ArrayLike, *, k: int = 1, tol: float = 1e-8, seed: int = 0) -> Spectrum:
        """Return the k largest (algebraic) eigenvalues of the Hessian at `w`, in closed form or from the dense
        matrix.

        Parameters
        ----------
        w : array_like, shape (dim,)
        k : int
            How many, from 1 to `dim`.
        tol : float
            A value is converged when its residual is at most `tol` times the largest in magnitude.
        seed : int
            Seed of a random start, where there is one.

        Returns
        -------
        Spectrum
            Values, vectors and residuals; all NaN and not converged where the Hessian is not finite.

        Raises
        ------
        ValueError
            `w` has the wrong shape, or `k` is not in 1 ... `dim`.
        """
        k = Integer(least=1, most=self.dim).check("k", k)
        tol = Real(above=0).check("tol", tol)
        Integer().check("seed", seed)
        return Spectrum(*core.sharpness(self._prepared(), self._weights(w), k, tol, seed))

    def hessian_operator(self, w: ArrayLike) -> LinearOperator:
        """Return the Hessian at `w` as a SciPy operator, for `eosfast.lanczos` or any solver of SciPy.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            Shape (dim, dim), float64, symmetric.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        ImportError
            SciPy is not installed.
        """
        return hessian_operator(self, w)

    def with_seed(self, seed: int) -> Model:
        """Return the model with its random data drawn anew, or the model itself if nothing of it is random.

        Parameters
        ----------
        seed : int
            Seed of the data, >= 0.

        Returns
        -------
        Model
        """
        return self

    @property
    def is_random(self) -> bool:
        """Whether `with_seed` draws data anew."""
        return False

    @property
    def data_bytes(self) -> int:
        """Memory that the model and its prepared form take, about."""
        return 0

    @property
    def in_lanes(self) -> bool:
        """Whether runs go side by side in the lanes of registers, each with numbers of its own for `lane_fields`."""
        return True

    def lane_fields(self) -> tuple[str, ...]:
        """Return the fields that may differ from run to run within one call of the core."""
        return tuple(core.registry()["models"][type(self).__name__])

    def _lane_numbers(self, name: str, value: Any) -> Sequence[float]:
        """Return the numbers that a run has where the lane field `name` holds `value`."""
        return (float(value),)

    def _structure(self) -> tuple[Any, ...]:
        """Return what decides on the compiled loop and on the blocks of w, hashable."""
        return tuple(getattr(self, name) for name in self.structural)

    def _structure_of(self, name: str, value: Any) -> Any:
        """Return what the value of a field has to do with that: None if nothing."""
        return value if name in self.structural else None

    def _quantity_dim(self, name: str, k: int) -> tuple[str, int] | None:
        """Return the dimension that a quantity of the model's own has besides the step, and its size; None if it is a
        number. `k` is that of `Record`.
        """
        return None

    @property
    def _num_outputs(self) -> int:
        """How many outputs the model has, of which the tangent kernel can be recorded; 0: none."""
        return 0

    def _weights(self, w: object, name: str = "w") -> NDArray[np.float64]:
        w = numbers_array(name, w)
        if w.shape != (self.dim,):
            raise ValueError(f"{name} must have shape ({self.dim},) for {self!r}, got {w.shape}")
        return w

    def _config(self) -> dict[str, Any]:
        """Return what the core is told, plain values and arrays."""
        lane_fields = self.lane_fields()
        config = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: float(value) if name in lane_fields else value for name, value in config.items()}

    def _prepared(self) -> PreparedModel:
        """Return the core's own form of the model."""
        return core.model(type(self).__name__, self._config())

    def _inner(self, w: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return w, or rows of such vectors, in the coordinates in which the core runs."""
        return w

    def _outer(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a vector of the core, or rows of them, as a vector of length dim: `_inner` of it gives it back."""
        return v

    def _whole(
        self,
        rows: NDArray[np.float64],
        start: NDArray[np.float64],
        inner: NDArray[np.float64],
        kept: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the weights whose coordinates in the core are `rows`, of a run from `start`, there `inner`; of what
        the core does not see, the optimizer has left `kept`, a factor for each row.
        """
        return rows

    def _null_norm(self, w: NDArray[np.float64], inner: NDArray[np.float64]) -> float:
        """Return the length of what ``inner = _inner(w)`` leaves out of w."""
        return 0.0


def starting_point(model: Model, w0: object, seed: int) -> NDArray[np.float64]:
    """Return the finite vector that `w0` means: an array, a mapping from block to value, or None for ``init(seed)``."""
    if w0 is None:
        return model.init(seed)
    if isinstance(w0, Mapping):
        w = model.pack(**{_string(name): value for name, value in w0.items()})
    else:
        w = model._weights(w0, "w0")
    return finite_array(f"w0 of {model!r}", w)


def _string(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the keys of w0 must be names of blocks, got {shown(name)}")
    return name


def stream(seed: int) -> np.random.Generator:
    """Return the random numbers of an initialisation, a stream of its own: data made with the same seed are independent
    of it.
    """
    seed = Integer().check("seed", seed)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
