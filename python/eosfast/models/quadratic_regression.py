"""Least squares on outputs that are quadratic in the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Instance, Integer, Real
from eosfast.datasets import Dataset
from eosfast.models.array_field import Array, ArrayField, Curvatures, diagonals
from eosfast.models.large import LargeModel
from eosfast.resources import require_memory

LARGEST_LANE_DIM = 8
"""Models with so many weights at most run in the lanes of registers, if they have one output and a diagonal Q."""

SHOWN_IN_FULL = 16
"""Numbers that `repr` writes down; larger models are described."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from eosfast._core import PreparedModel


@dataclass(frozen=True, eq=False, repr=False, init=False)
class QuadraticRegression(LargeModel):
    """Second-order regression: D outputs that are quadratic in P weights, ``f(w) = |z|^2 / 2`` with::

        z_a = y_a + sum_i G_ai w_i + 1/2 sum_ij Q_aij w_i w_j

    Parameters
    ----------
    Q : array_like, shape (D, P, P)
        Second derivatives of the residuals, symmetric in the last two indices, finite.
    y : array_like, shape (D,)
        The residuals z at w = 0, finite.
    G : array_like, shape (D, P), optional
        Their Jacobian at w = 0, finite; 0 if it is None.

    Raises
    ------
    ValueError
        Shapes that do not fit each other, entries that are not finite, or a Q that is not symmetric (the message says
        by how much).
    TypeError
        Entries that are not real numbers.

    Notes
    -----
    Jacobian ``J = G + Q(w, .)``, gradient ``J' z``, Hessian ``J'J + sum_a z_a Q_a``. Gradient descent is closed in z
    and J: with g = J'z, ``z' = z - lr J g + lr^2 Q(g, g) / 2`` and ``J' = J - lr Q(g, .)``. The edge of stability of
    such models is stated for the tangent kernel: the largest eigenvalue of ``J J'`` against 2/lr; where z = 0 it is
    that of the Hessian.

    A step reads half of Q once, D P^2 / 2 numbers; where every Q_a is diagonal, only the diagonals are kept and a step
    costs D P. A product with the Hessian costs P^2 + 2 D P operations, after one more pass over Q at each w. Outputs
    are padded to a multiple of eight.

    References
    ----------
    Agarwala, Pedregosa, Pennington (2022), "Second-order regression models exhibit progressive sharpening to the edge
    of stability", arXiv 2210.04860.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.QuadraticRegression.random(60, 120, sigma_z=0.006, sigma_J=0.04)
    >>> run = eos.train(model, optimizer=eos.GD(lr=1.0), num_steps=500, record=eos.Record(100, ("loss", "sharpness")))
    >>> bool(run.sharpness[-1] > run.sharpness[0])
    True
    """

    shaping: ClassVar = ("Q",)
    makers: ClassVar = ("diagonal", "random", "diagonal_network")

    Q: Curvatures = Curvatures()  # noqa: RUF009 - a descriptor
    y: ArrayField = ArrayField(Array(("D",)))  # noqa: RUF009
    G: ArrayField = ArrayField(Array(("D", "P"), optional=True))  # noqa: RUF009

    def __init__(self, Q: ArrayLike, y: ArrayLike, G: ArrayLike | None = None) -> None:
        of = f"of {type(self).__name__}"
        matrices = Curvatures.kind.check(f"Q {of}", Q)
        residuals = Array(("D",)).check(f"y {of}", y)
        slopes = Array(("D", "P"), optional=True).check(f"G {of}", G)
        D, P = matrices.shape[:2]
        if residuals.shape != (D,):
            raise ValueError(f"y {of} must have shape ({D},), one number for each matrix of Q, got {residuals.shape}")
        if slopes is None:
            slopes = np.zeros((D, P))
        elif slopes.shape != (D, P):
            raise ValueError(f"G {of} must have shape ({D}, {P}) to fit Q, got {slopes.shape}")
        self._hold(diagonals(matrices), residuals, slopes, None)

    def _hold(
        self,
        curvatures: NDArray[np.float64],
        y: NDArray[np.float64],
        G: NDArray[np.float64],
        recipe: dict[str, Any] | None,
    ) -> None:
        self.__setstate__({"_curvatures": curvatures, "y": y, "G": G, "_recipe": recipe})

    @classmethod
    def _of(cls, *held: Any) -> Self:
        """Return the model that holds these arrays; they are not looked at."""
        model = object.__new__(cls)
        model._hold(*held)
        return model

    # -------------------------------------------------------------------------------------------------- constructions

    @classmethod
    def diagonal(cls, eigenvalues: ArrayLike, offset: float = 0.0) -> Self:
        """Return the model of one data point, ``z = (sum_i eigenvalues_i w_i^2 - offset) / 2``.

        Parameters
        ----------
        eigenvalues : array_like, shape (P,)
            Eigenvalues of Q, finite; the weights are coordinates along its eigenvectors.
        offset : float
            The E of Agarwala et al., finite.

        Returns
        -------
        QuadraticRegression
            With D = 1.

        Raises
        ------
        ValueError, TypeError
            Eigenvalues that are not a vector of finite numbers, or an offset that is not finite.

        References
        ----------
        Agarwala, Pedregosa, Pennington (2022), arXiv 2210.04860, Section 2.1.

        Examples
        --------
        >>> import eosfast as eos
        >>> eos.QuadraticRegression.diagonal([-0.005, 1.0]).loss([0.0, 1.0])
        0.125
        """
        values = Array(("P",)).check("eigenvalues", eigenvalues)
        offset = float(Real().check("offset", offset))
        return cls._of(values[None], np.array([-0.5 * offset + 0.0]), np.zeros((1, len(values))), None)

    @classmethod
    def random(cls, D: int, P: int, sigma_z: float, sigma_J: float, sigma_Q: float = 1.0, seed: int = 0) -> Self:
        """Return a random model: ``y ~ sigma_z N(0, 1)`` and ``G ~ sigma_J N(0, 1)``, the residuals and the Jacobian at
        the start w = 0, and symmetric matrices Q_a whose entries on and above the diagonal are ``sigma_Q N(0, 1)``, all
        independent.

        In a sweep, ``"seed"`` in the grid draws such a model anew.

        Parameters
        ----------
        D : int
            Number of outputs, >= 1.
        P : int
            Number of weights, >= 1.
        sigma_z : float
            Standard deviation of the residuals at the start, >= 0.
        sigma_J : float
            Standard deviation of the entries of their Jacobian, >= 0.
        sigma_Q : float
            Standard deviation of the entries of Q, >= 0.
        seed : int
            Seed of the draw, >= 0. The same seed gives the same standard normal numbers whatever the sigmas are.

        Returns
        -------
        QuadraticRegression

        Raises
        ------
        ValueError, TypeError
            An argument outside its range; a Q that does not fit into memory.

        Notes
        -----
        The largest eigenvalue of ``J J'`` is at first about ``P sigma_J^2 (1 + sqrt(D/P))^2`` (Marchenko and Pastur).

        References
        ----------
        Agarwala, Pedregosa, Pennington (2022), arXiv 2210.04860, Section 3. The paper leaves open how the matrices are
        made symmetric; here the variance off the diagonal is ``sigma_Q^2``.

        Examples
        --------
        >>> import eosfast as eos
        >>> eos.QuadraticRegression.random(60, 120, sigma_z=0.01, sigma_J=0.1)
        QuadraticRegression.random(D=60, P=120, sigma_z=0.01, sigma_J=0.1, sigma_Q=1.0, seed=0)
        """
        D, P = Integer(least=1).check("D", D), Integer(least=1).check("P", P)
        given = {"sigma_z": sigma_z, "sigma_J": sigma_J, "sigma_Q": sigma_Q}
        sigmas = {name: float(Real(least=0).check(name, value)) for name, value in given.items()}
        seed = Integer().check("seed", seed)
        require_memory(
            16 * D * P * (P + 1), f"Q (D, P, P) with D={D}, P={P}", "give fewer outputs D or fewer weights P"
        )
        draws = np.random.default_rng(seed)
        y = sigmas["sigma_z"] * draws.standard_normal(D)
        G = sigmas["sigma_J"] * draws.standard_normal((D, P))
        Q = np.triu(draws.standard_normal((D, P, P)))
        Q += np.triu(Q, 1).transpose(0, 2, 1)
        Q *= sigmas["sigma_Q"]
        return cls._of(diagonals(Q), y, G, {"D": D, "P": P, **sigmas, "seed": seed})

    @classmethod
    def diagonal_network(cls, data: Dataset) -> Self:
        """Return a diagonal linear network on `data`, which learns ``x -> x.(u^2 - v^2)`` (squares of each coordinate)
        by ``sum_i (x_i.(u^2 - v^2) - y_i)^2 / (2 n)``.

        Its weights are w = (u, v), its outputs ``z = (X (u^2 - v^2) - y) / sqrt(n)``: exactly quadratic, with diagonal
        matrices Q_a.

        Parameters
        ----------
        data : Dataset
            ``X (n, d)`` and ``y (n,)``.

        Returns
        -------
        QuadraticRegression
            With D = n and P = 2 d.

        Raises
        ------
        ValueError, TypeError
            `data` is not a Dataset, or has several outputs.

        References
        ----------
        Woodworth, Gunasekar, Lee, Moroshko, Savarese, Golan, Soudry, Srebro (2020), "Kernel and rich regimes in
        overparametrized models", arXiv 2002.09277 (the network with depth 2).

        Examples
        --------
        >>> import eosfast as eos
        >>> model = eos.QuadraticRegression.diagonal_network(eos.Dataset([[1.0, 2.0]], y=[1.0]))
        >>> model.residual([1.0, 1.0, 0.5, 0.0])
        array([1.75])
        """
        data = Instance(Dataset).check("data", data)
        if data.y.ndim != 1:
            raise ValueError(f"data of a diagonal network must have y of shape (n,), got {data.y.shape}")
        root = np.sqrt(data.n)
        slopes = 2.0 * data.X / root
        return cls._of(np.concatenate([slopes, -slopes], axis=1), -data.y / root, np.zeros((data.n, 2 * data.d)), None)

    # -------------------------------------------------------------------------------------------------------- the model

    @property
    def in_lanes(self) -> bool:
        """Whether runs go side by side, each with its own Q, y and G: one output, a diagonal Q and at most 8 weights,
        and arrays that were given.
        """
        return _fits_lanes(self._held) and not self.is_random

    def lane_fields(self) -> tuple[str, ...]:
        """Return the names of all fields if runs go side by side, else ()."""
        return ("Q", "y", "G") if self.in_lanes else ()

    def _lane_numbers(self, name: str, value: Any) -> Sequence[float]:
        shape = {"Q": self._held.shape, "y": self.y.shape, "G": self.G.shape}[name]
        if value is None:
            return [0.0] * shape[-1]
        numbers = diagonals(value) if name == "Q" and value.ndim == 3 else value
        if numbers.shape != shape:
            raise ValueError(f"{name} of QuadraticRegression must have shape {shape}, got {numbers.shape}")
        return numbers.ravel().tolist()

    def _structure(self) -> tuple[Any, ...]:
        return (*self._held.shape[:2], self.in_lanes)

    def _structure_of(self, name: str, value: Any) -> Any:
        return (*value.shape[:2], _fits_lanes(diagonals(value))) if name == "Q" else None

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Blocks of `w`: w (P,)."""
        return {"w": (int(self.G.shape[1]),)}

    def init(self, seed: int = 0) -> NDArray[np.float64]:
        """Return w = 0, where the residuals are y and their Jacobian is G: the start of Agarwala et al.'s random
        models. Where G = 0 too, as in `diagonal`, it is a critical point: give a start.

        Parameters
        ----------
        seed : int
            Not used, >= 0.

        Returns
        -------
        ndarray, shape (P,)
        """
        Integer().check("seed", seed)
        return np.zeros(self.dim)

    @property
    def recipe(self) -> dict[str, Any] | None:
        """Arguments of `random` that made this model; None for given arrays."""
        recipe: dict[str, Any] | None = self.__dict__["_recipe"]
        return None if recipe is None else dict(recipe)

    @property
    def is_random(self) -> bool:
        """Whether `random` made this model."""
        return self.recipe is not None

    def with_seed(self, seed: int) -> Self:
        """Return the model drawn anew by `random`, or itself if its arrays were given.

        Parameters
        ----------
        seed : int
            Seed of the draw, >= 0.

        Returns
        -------
        QuadraticRegression
        """
        recipe = self.recipe
        return self if recipe is None else type(self).random(**(recipe | {"seed": seed}))

    @property
    def data_bytes(self) -> int:
        """Memory that Q takes, here and in the core, about."""
        return 2 * self._held.nbytes

    def __repr__(self) -> str:
        recipe = self.recipe
        if recipe is not None:
            return f"QuadraticRegression.random({', '.join(f'{name}={value!r}' for name, value in recipe.items())})"
        D, P = self.G.shape
        if D == 1 and self._held.ndim == 2 and P <= SHOWN_IN_FULL and not self.G.any():
            return f"QuadraticRegression.diagonal({self._held[0].tolist()}, offset={-2.0 * self.y[0] + 0.0})"
        if D * P * P <= SHOWN_IN_FULL:
            return f"QuadraticRegression({self.Q.tolist()}, {self.y.tolist()}, {self.G.tolist()})"
        return f"QuadraticRegression(D={D}, P={P}{', diagonal' if self._held.ndim == 2 else ''})"

    def _value(self, name: str) -> Any:
        return self._held if name == "Q" else getattr(self, name)

    def _written(self, name: str) -> Any:
        if name == "Q" and self._held.ndim == 2 and self.dim > SHOWN_IN_FULL:  # Q itself may not fit into memory
            return {"diagonals": self._held}
        return super()._written(name)

    @property
    def _held(self) -> NDArray[np.float64]:
        held: NDArray[np.float64] = self.__dict__["_curvatures"]
        return held

    def _config(self) -> dict[str, Any]:
        in_lanes = float(self.in_lanes)
        return {"Q": self._held.reshape(len(self._held), -1), "y": self.y, "G": self.G, "in_lanes": in_lanes}

    def _make(self) -> PreparedModel:
        return core.model("QuadraticRegression", self._config())


def _fits_lanes(curvatures: NDArray[np.float64]) -> bool:
    return curvatures.ndim == 2 and len(curvatures) == 1 and curvatures.shape[1] <= LARGEST_LANE_DIM
