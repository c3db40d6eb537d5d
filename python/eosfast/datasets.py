"""Data: `Dataset`, and the generators that make one.

A generated Dataset remembers its generator, so that a sweep over `seed` can draw it anew; two Datasets are equal when
their arrays are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.arguments import Integer, Real, finite_array
from eosfast.value_object import ValueObject

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Dataset", "sparse_coding"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(ValueObject):
    """Samples ``X[i]`` with targets ``y[i]``.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Samples, one in each row; finite. Copied as float64, read-only.
    y : array_like, shape (n,) or (n, c)
        Targets: labels, numbers, or c numbers a sample; finite. Copied as float64, read-only.

    Raises
    ------
    ValueError
        Wrong shapes, no sample, or an entry that is not finite.
    TypeError
        Entries that are not real numbers.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.Dataset([[1.0, 2.0], [3.0, 4.0]], y=[1, -1])
    Dataset(n=2, d=2)
    """

    X: NDArray[np.float64]
    y: NDArray[np.float64]

    def __init__(self, X: ArrayLike, y: ArrayLike) -> None:
        X, y = finite_array("X of Dataset", X), finite_array("y of Dataset", y)
        if X.ndim != 2 or 0 in X.shape:
            raise ValueError(f"X of Dataset must have shape (n, d) with n, d >= 1, got {X.shape}")
        if y.ndim not in (1, 2) or len(y) != len(X) or 0 in y.shape:
            raise ValueError(f"y of Dataset must have shape (n,) or (n, c) with n = {len(X)} as in X, got {y.shape}")
        self._hold(X.copy(), y.copy(), None)

    def _hold(self, X: NDArray[np.float64], y: NDArray[np.float64], recipe: dict[str, Any] | None) -> None:
        self.__setstate__({"X": X, "y": y, "_recipe": recipe})

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.X)

    @property
    def d(self) -> int:
        """Number of coordinates of a sample."""
        return int(self.X.shape[1])

    @property
    def recipe(self) -> dict[str, Any] | None:
        """Generator of `eosfast.datasets` and arguments that made this, ``{"name": "sparse_coding", "n": 300, ...}``;
        None for given arrays.
        """
        recipe: dict[str, Any] | None = self.__dict__["_recipe"]
        return None if recipe is None else dict(recipe)

    @property
    def random(self) -> bool:
        """Whether a generator with a seed made this."""
        return "seed" in (self.recipe or {})

    def with_seed(self, seed: int) -> Dataset:
        """Return the data drawn anew by their generator.

        Parameters
        ----------
        seed : int
            Seed for the generator, >= 0.

        Returns
        -------
        Dataset
            New data; this object itself if its arrays were given or are not random.
        """
        recipe = self.recipe
        if recipe is None or not self.random:
            return self
        return _GENERATORS[recipe.pop("name")](**recipe | {"seed": seed})

    def __repr__(self) -> str:
        recipe = self.recipe
        outputs = f", c={self.y.shape[1]}" if self.y.ndim == 2 else ""
        if recipe is None:
            return f"Dataset(n={self.n}, d={self.d}{outputs})"
        return f"{recipe.pop('name')}({', '.join(f'{name}={value!r}' for name, value in recipe.items())})"


def _generated(X: NDArray[np.float64], y: NDArray[np.float64], **recipe: Any) -> Dataset:
    data = object.__new__(Dataset)
    data._hold(X, y, recipe)
    return data


def sparse_coding(n: int = 300, d: int = 200, signal: float = 3.0, noise: float = 1.0, seed: int = 0) -> Dataset:
    """Return samples ``x = signal y e_j + noise xi``: a signal of the label's sign in one random coordinate, and
    Gaussian noise in all.

    The label y is +1 or -1, j one of the d coordinates (both uniform), and ``xi ~ N(0, I_d)``; everything is
    independent.

    Parameters
    ----------
    n : int
        Number of samples, >= 1.
    d : int
        Number of coordinates, >= 1.
    signal : float
        Size of the signal, lambda in the paper; finite.
    noise : float
        Standard deviation of the noise, >= 0.
    seed : int
        Seed of ``numpy.random.default_rng``, >= 0. Drawn in the order: y, j, xi.

    Returns
    -------
    Dataset
        ``X (n, d)``, ``y (n,)`` in {-1, +1}.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range.

    References
    ----------
    Ahn, Bubeck, Chewi, Lee, Suarez, Zhang (2023), "Learning threshold neurons via the edge of stability", arXiv
    2212.07469, eq. (1).

    Examples
    --------
    >>> import eosfast as eos
    >>> data = eos.datasets.sparse_coding(n=300, d=200, seed=7)
    >>> data.X.shape
    (300, 200)
    """
    n, d = Integer(least=1).check("n", n), Integer(least=1).check("d", d)
    signal, noise = Real().check("signal", signal), Real(least=0).check("noise", noise)
    seed = Integer().check("seed", seed)
    rng = np.random.default_rng(seed)
    y = np.where(rng.integers(2, size=n) == 1, 1.0, -1.0)
    j = rng.integers(d, size=n)
    X = rng.standard_normal((n, d))
    X *= noise
    X[np.arange(n), j] += signal * y
    return _generated(X, y, name="sparse_coding", n=n, d=d, signal=signal, noise=noise, seed=seed)


_GENERATORS = {"sparse_coding": sparse_coding}
