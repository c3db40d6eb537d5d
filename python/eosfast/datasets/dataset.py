"""`Dataset`, and the recipes of those that a generator made.

A generated Dataset remembers its generator and its arguments, so that a sweep over `seed` can draw it anew; two
Datasets are equal when their arrays are.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from eosfast.arguments import finite_array, one_of, shown
from eosfast.value_object import ValueObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

P = ParamSpec("P")
_GENERATORS: dict[str, Callable[..., Dataset]] = {}


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
        return from_recipe(recipe | {"seed": seed})

    def __repr__(self) -> str:
        recipe = self.recipe
        outputs = f", c={self.y.shape[1]}" if self.y.ndim == 2 else ""
        if recipe is None:
            return f"Dataset(n={self.n}, d={self.d}{outputs})"
        return f"{recipe.pop('name')}({', '.join(f'{name}={value!r}' for name, value in recipe.items())})"


def generator(make: Callable[P, Dataset]) -> Callable[P, Dataset]:
    """Register a function that makes data, under its own name, so that a recipe can call it."""
    _GENERATORS[make.__name__] = make
    return make


def generated(X: NDArray[np.float64], y: NDArray[np.float64], **recipe: Any) -> Dataset:
    """Return the Dataset of a generator, which gives its ``name`` and arguments. The arrays are held, not copied."""
    data = object.__new__(Dataset)
    data._hold(X, y, recipe)
    return data


def from_recipe(recipe: Mapping[str, Any]) -> Dataset:
    """Return the data that a recipe describes, such as `Dataset.recipe` or a table in a file.

    Parameters
    ----------
    recipe : mapping
        ``name``: a generator of `eosfast.datasets`; the other keys are its arguments.

    Returns
    -------
    Dataset
        What the generator makes.

    Raises
    ------
    ValueError, TypeError
        No such generator or argument, an argument missing or outside its range.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.datasets.from_recipe({"name": "xor", "dim": 3})
    xor(dim=3)
    """
    if not isinstance(recipe, Mapping):
        raise TypeError(f"a recipe of data must be a mapping with a name and arguments, got {shown(recipe)}")
    arguments = dict(recipe)
    name = arguments.pop("name", None)
    import_module("eosfast.datasets.cifar")  # the generator that is loaded on first use
    if not isinstance(name, str) or name not in _GENERATORS:
        raise ValueError(f"name of data must be {one_of(str(name), _GENERATORS)}, got {shown(name)}")
    parameters = inspect.signature(_GENERATORS[name]).parameters
    for argument in arguments:
        if argument not in parameters:
            raise ValueError(f"arguments of {name} must be {one_of(str(argument), parameters)}, got {shown(argument)}")
    missing = [p.name for p in parameters.values() if p.default is p.empty and p.name not in arguments]
    if missing:
        raise ValueError(f"{name} needs {' and '.join(missing)}, got {shown(dict(recipe))}")
    return _GENERATORS[name](**arguments)
