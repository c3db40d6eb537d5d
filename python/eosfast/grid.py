"""The grid of a sweep: which names it may hold, what each one sets, and along which dimension of the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.arguments import Instance, Integer, Real, one_of, shown
from eosfast.value_object import kinds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from eosfast.arguments import Kind
    from eosfast.models.base import Model
    from eosfast.optimizers import Optimizer

LABELLED_IN_FULL = 16
"""Arrays of at most so many numbers are labels as they are."""


@dataclass(frozen=True)
class Target:
    """What a name of the grid sets: a field of the optimizer, a scalar block of w, a field of the model, the whole
    model, or the seed.
    """

    place: str
    key: str
    kind: Kind

    @property
    def full_name(self) -> str:
        """The name that is never ambiguous."""
        return self.key if self.place == "run" else f"{self.place}.{self.key}"

    def __str__(self) -> str:
        return {"optimizer": "a field of the optimizer", "model": "a field of the model", "w": "a block of w"}.get(
            self.place, "a name of its own"
        )


@dataclass(frozen=True)
class Axis:
    """One name of the grid: the coordinate `name` along dimension number `dim`, and the values that it gives to its
    target.
    """

    name: str
    target: Target
    dim: int
    values: NDArray[Any]

    def sets(self, place: str, key: str) -> bool:
        """Return whether this is the axis of `key` in `place`."""
        return (self.target.place, self.target.key) == (place, key)

    def coordinate(self) -> NDArray[Any]:
        """Return the values if they are numbers, else labels; equal labels of different objects are numbered."""
        if self.values.dtype != object:
            return self.values
        labels = [_label(value) for value in self.values]
        if not isinstance(self.values[0], str) and len(set(labels)) < len(labels):
            labels = [f"{label} #{i}" for i, label in enumerate(labels)]
        return np.array(labels)


def _label(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.tolist()) if value.size <= LABELLED_IN_FULL else f"array of shape {value.shape}"
    return str(value) if isinstance(value, str) else repr(value)


@dataclass(frozen=True)
class Grid:
    """The dimensions of a sweep, in order, and the axes along them."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    axes: tuple[Axis, ...]
    structures: tuple[Model, ...]
    """The model as it is in the grid, once for each combination of values of its structural fields."""

    def axis(self, place: str, key: str) -> Axis | None:
        """Return the axis that sets `key` in `place`, if there is one."""
        return next((axis for axis in self.axes if axis.sets(place, key)), None)

    def coordinates(self) -> dict[str, tuple[str, NDArray[Any]]]:
        """Return name -> (dimension, values or labels)."""
        return {axis.name: (self.dims[axis.dim], axis.coordinate()) for axis in self.axes}


def read_grid(
    grid: object, model: Model, optimizer: Optimizer, variables: Collection[str], reserved: Collection[str]
) -> Grid:
    """Return the checked grid.

    `variables` are the names in the result of this sweep; `reserved` the names of all variables that a sweep may have,
    which in the grid must be written in full.
    """
    if not isinstance(grid, Mapping):
        raise TypeError(f"grid must be a mapping from names to values, got {shown(grid)}")
    if not grid:
        raise ValueError("grid must name at least one thing to vary, got an empty mapping")
    specs = {_text(name): _spec(name, spec) for name, spec in grid.items()}
    structures = _structures(specs, model)
    targets = _targets(model, optimizer, structures)
    _scalar_blocks(specs, structures)
    found = {name: _resolve(name, targets, reserved) for name in specs}
    _once(found)
    dims: dict[str, int] = {}
    axes = []
    for name, (dim, raw) in specs.items():
        values = found[name].kind.check_all(f"grid[{name!r}]", raw)
        if dims.setdefault(dim, len(values)) != len(values):
            raise ValueError(
                f"grid names that share the dimension {dim!r} must be equally long, "
                f"got {dims[dim]} and {len(values)} values"
            )
        axes.append(Axis(name, found[name], list(dims).index(dim), values))
    _no_collision(specs, dims, variables)
    return Grid(tuple(dims), tuple(dims.values()), tuple(axes), structures)


def _text(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise TypeError(f"the names of grid must be non-empty strings, got {shown(name)}")
    return name


def _spec(name: str, spec: Any) -> tuple[str, Any]:
    """Return the dimension and the raw values of ``name -> values`` or ``name -> (dim, values)``."""
    zipped = isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[0], str) and not isinstance(spec[1], str)
    dim, values = spec if zipped else (name, spec)
    shape = getattr(values, "shape", None)
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__") or shape == ():
        raise TypeError(
            f"grid[{name!r}] must be a list or array of values, or a pair (dimension, values), got {shown(spec)}"
        )
    if shape is not None and len(shape) != 1:
        raise ValueError(f"grid[{name!r}] must be one-dimensional, got the shape {shape}")
    if not dim:
        raise ValueError(f"the dimension of grid[{name!r}] must have a name, got ''")
    if "/" in dim or "\0" in dim or dim == ".":  # NetCDF would take it for a path
        raise ValueError(f"the dimension of grid[{name!r}] must have a name without '/', got {dim!r}")
    if len(values) == 0:
        raise ValueError(f"grid[{name!r}] must hold at least one value, got {shown(spec)}")
    return dim, values


def _structures(specs: Mapping[str, tuple[str, Any]], model: Model) -> tuple[Model, ...]:
    """Return one model for each combination of structural values in the grid; they decide which blocks w has."""
    bases: Iterable[Model] = (model,)
    values: dict[str, list[Any]] = {}
    for name, (_, raw) in specs.items():
        key = name.removeprefix("model.")
        if name == "model":
            bases = {one._structure(): one for one in _models(raw, model)}.values()
        elif key in (*model.structural, *model.shaping):
            checked = kinds(type(model))[key].check_all(f"grid[{name!r}]", raw)
            values[key] = list({model._structure_of(key, value): value for value in checked.tolist()}.values())
    return tuple(
        replace(base, **dict(zip(values, combination, strict=True))) if values else base
        for base in bases
        for combination in product(*values.values())
    )


def _models(raw: Any, model: Model) -> NDArray[np.object_]:
    return Instance(type(model)).check_all("grid['model']", raw)


def _targets(model: Model, optimizer: Optimizer, structures: tuple[Model, ...]) -> list[Target]:
    """Return everything that a grid may set."""
    scalars = [
        name
        for name, shape in structures[0].parameters.items()
        if all(one.parameters.get(name) == shape == () for one in structures)
    ]
    return [
        *(Target("optimizer", name, _without_none(kind)) for name, kind in kinds(type(optimizer)).items()),
        *(Target("w", name, Real()) for name in scalars),
        *(Target("model", name, kind) for name, kind in kinds(type(model)).items()),
        Target("run", "seed", Integer()),
        Target("run", "model", Instance(type(model))),
    ]


def _scalar_blocks(names: Iterable[str], structures: tuple[Model, ...]) -> None:
    for name in names:
        for one in structures:
            shape = one.parameters.get(name.removeprefix("w."), ())
            if shape:
                raise ValueError(f"a block of w in grid must be a scalar, got {name!r} of shape {shape}: set it in w0")


def _without_none(kind: Kind) -> Kind:
    """Return the kind without None."""
    return replace(kind, optional=False) if isinstance(kind, (Real, Integer)) else kind


def _resolve(name: str, targets: list[Target], reserved: Collection[str]) -> Target:
    """Return what `name` means; ValueError if that is unknown or not clear."""
    for target in targets:
        if name == target.full_name:
            return target
    meant = [target for target in targets if target.key == name]
    if len(meant) > 1:
        choice = " or ".join(repr(target.full_name) for target in meant)
        raise ValueError(f"grid name {name!r} is ambiguous, {' and '.join(map(str, meant))}: write {choice}")
    if not meant:
        keys = [target.key for target in targets]
        valid = [
            target.full_name if keys.count(target.key) > 1 or target.key in reserved else target.key
            for target in targets
        ]
        raise ValueError(f"grid must hold names among {one_of(name, valid)}, got {name!r}")
    if name in reserved:
        raise ValueError(
            f"grid name {name!r} is ambiguous, {meant[0]} and a variable of the result: write {meant[0].full_name!r}"
        )
    return meant[0]


def _once(found: Mapping[str, Target]) -> None:
    first: dict[str, str] = {}
    for name, target in found.items():
        if target.full_name in first:
            raise ValueError(f"grid sets {target.full_name!r} twice, by {first[target.full_name]!r} and {name!r}")
        first[target.full_name] = name


def _no_collision(specs: Mapping[str, tuple[str, Any]], dims: Iterable[str], variables: Collection[str]) -> None:
    """Refuse names that xarray could not tell apart."""
    for name in (*specs, *dims):
        if name in variables:
            raise ValueError(
                f"grid uses the name {name!r}, which is a variable of the result; give one of them another name"
            )
    for dim in dims:
        if dim in specs and specs[dim][0] != dim:
            raise ValueError(
                f"grid uses {dim!r} as a dimension and as a name along {specs[dim][0]!r}; "
                "give the dimension another name"
            )
