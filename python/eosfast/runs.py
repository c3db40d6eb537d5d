"""The runs of a sweep as the compiled core takes them: boxes of the grid, each with its models and one broadcast column
per number of a run.

Columns are never expanded: a number that varies along one dimension is stored once for each of its values, whatever the
size of the grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import groupby, pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.arguments import one_of
from eosfast.models.base import starting_point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from eosfast.grid import Axis, Grid
    from eosfast.models.base import Model
    from eosfast.optimizers import Optimizer

DATA_AT_ONCE = 2**28
"""Bytes of data drawn for different seeds that are held at the same time."""


@dataclass(frozen=True)
class Box:
    """A part of the grid whose runs share a compiled loop: one call of the core."""

    index: tuple[slice, ...]
    models: list[Model]
    model_index: NDArray[np.int64] | None
    columns: list[NDArray[np.float64]]
    start: NDArray[np.float64] | None = None
    """Of large models: the starts in the core's coordinates, along the last axis."""
    null_norm: NDArray[np.float64] | None = None
    """Of large models: the length of what those coordinates leave out."""
    whole_start: Callable[[tuple[int, ...]], tuple[Model, NDArray[np.float64]]] | None = None
    """Of large models: place in the box -> its model and its start, whole."""
    shrinkage: Callable[[tuple[int, ...]], float] | None = None
    """Of large models: place in the box -> its optimizer's shrinkage."""

    def expand(self, inner: NDArray[np.float64], steps: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
        """Write the weights whose coordinates in the core are `inner`, after so many steps."""
        assert self.whole_start is not None
        assert self.shrinkage is not None
        for place in np.ndindex(*self.shape):
            model, start = self.whole_start(place)
            begun = model._inner(start)
            kept = self.shrinkage(place) ** np.array([steps[place]], dtype=float)  # NumPy's power, as in train
            weights[place] = model._whole(inner[place][None, : begun.size], start, begun, kept)[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of the box."""
        return _extent(self.index)


class Runs:
    """All runs of a sweep.

    A run's model is the grid's ``model`` if there is one, else the model of the call; then come the fields that the
    grid sets; then the grid's seed, which draws random data anew. Its start comes from the grid, from `w0`, or from its
    own model's `init` with its own seed.
    """

    def __init__(self, model: Model, optimizer: Optimizer, grid: Grid, w0: object, seed: int) -> None:
        self.model, self.optimizer, self.grid, self.w0, self.seed = model, optimizer, grid, w0, seed
        self.seed_axis, self.whole = grid.axis("run", "seed"), grid.axis("run", "model")
        self.field_axes = [axis for axis in grid.axes if axis.target.place == "model"]
        self.block_axes = {axis.target.key: axis for axis in grid.axes if axis.target.place == "w"}
        for item in fields(optimizer):
            if getattr(optimizer, item.name) is None and grid.axis("optimizer", item.name) is None:
                raise ValueError(
                    f"{item.name} of {type(optimizer).__name__} is not set: give it, or name it in the grid"
                )
        if w0 is not None:
            for structure in grid.structures:
                self._given_start(structure)

    def boxes(self, region: tuple[slice, ...]) -> Iterator[Box]:
        """Yield boxes that together cover a region of the grid."""
        for index in product(*(self._segments(dim, part) for dim, part in enumerate(region))):
            corner = self._model_at({dim: part.start for dim, part in enumerate(index)})
            models, which = self._models(index, corner)
            columns = list(self._optimizer_columns(index))
            if not corner.in_lanes:
                yield self._large_box(index, models, which, columns)
            else:
                columns += [*self._lane_columns(index, corner), *self._weight_columns(index, models, which)]
                yield Box(index, models, which if len(models) > 1 else None, columns)

    def _large_box(
        self,
        index: tuple[slice, ...],
        models: list[Model],
        which: NDArray[np.int64],
        columns: list[NDArray[np.float64]],
    ) -> Box:
        """Return a box of runs that begin at whole vectors, each drawn once for all runs that share it."""
        names = (*self.model.structural, *_data_fields(models[0]))
        axes = [axis for axis in self.field_axes if axis.target.key in names]
        dims = sorted({axis.dim for axis in (*axes, self.seed_axis, self.whole) if axis})

        def whole_start(place: tuple[int, ...]) -> tuple[Model, NDArray[np.float64]]:
            model = models[which[place]]
            seed = self.seed
            if self.seed_axis:
                at = index[self.seed_axis.dim].start + place[self.seed_axis.dim]
                seed = int(self.seed_axis.values[at])
            return model, starting_point(model, self.w0, seed)

        def shrinkage(place: tuple[int, ...]) -> float:
            at = {axis.target.key: axis.values[index[axis.dim]][place[axis.dim]] for axis in rule_axes}
            return replace(self.optimizer, **at).shrinkage()

        rule_axes = [axis for axis in self.grid.axes if axis.target.place == "optimizer"]
        corner = [0] * len(index)
        inner, norms = [], []
        for places in product(*(range(_extent(index)[dim]) for dim in dims)):
            for dim, at in zip(dims, places, strict=True):
                corner[dim] = at
            model, start = whole_start(tuple(corner))
            inner.append(model._inner(start))
            norms.append(model._null_norm(start, inner[-1]))
        size = max(len(one) for one in inner)
        padded = np.array([np.pad(one, (0, size - len(one))) if len(one) < size else one for one in inner])
        extent = [_extent(index)[dim] for dim in dims]
        shape = [_extent(index)[dim] if dim in dims else 1 for dim in range(len(index))]
        return Box(
            index,
            models,
            which if len(models) > 1 else None,
            columns,
            np.broadcast_to(padded.reshape(*shape, size), (*_extent(index), size)),
            _spread(np.array(norms).reshape(extent), dims, index),
            whole_start,
            shrinkage,
        )

    # ----------------------------------------------------------------------------------------------------------- models

    @cached_property
    def _random(self) -> bool:
        """Whether the grid's seed draws data anew."""
        if self.seed_axis is None:
            return False
        candidates: list[Model] = list(self.whole.values) if self.whole else [self.model]
        for axis in self.field_axes:
            if axis.target.key in _data_fields(self.model):
                candidates += [replace(self.model, **{axis.target.key: value}) for value in axis.values]
        return any(model.is_random for model in candidates)

    def _segments(self, dim: int, part: slice) -> list[slice]:
        """Cut a part of a dimension where the compiled loop changes and where fresh data would take too much memory."""
        keys: list[Any] = []  # one for each place, for each reason to cut
        for axis in self.field_axes:
            name = axis.target.key
            if axis.dim == dim and name in (*self.model.structural, *self.model.shaping):
                keys.append([self.model._structure_of(name, value) for value in axis.values[part].tolist()])
        if self.whole and self.whole.dim == dim:
            keys.append([one._structure() for one in self.whole.values[part]])
        large = [one.dim for one in self.grid.structures if not one.in_lanes]
        if large:  # starts are held while a box runs
            at_once = max(1, DATA_AT_ONCE // (8 * max(large)))
            keys.append([i // at_once for i in range(part.start, part.stop)])
        if self._random and self.seed_axis and self.seed_axis.dim == dim:
            at_once = max(1, DATA_AT_ONCE // max(1, self.model.data_bytes))
            keys.append([i // at_once for i in range(part.start, part.stop)])
        cuts = [part.start]
        for _, group in groupby(zip(*keys, strict=True)):
            cuts.append(cuts[-1] + sum(1 for _ in group))
        return [slice(start, stop) for start, stop in pairwise(cuts)] if keys else [part]

    def _models(self, index: tuple[slice, ...], corner: Model) -> tuple[list[Model], NDArray[np.int64]]:
        """Return the different models of a box, and which one each run has (broadcast). Numbers of a run are columns,
        not models. `corner` is the model of the first run.
        """
        names = _data_fields(corner)
        axes = [axis for axis in self.field_axes if axis.target.key in names]
        axes += [axis for axis in (self.whole if names else None, self.seed_axis if self._random else None) if axis]
        dims = sorted({axis.dim for axis in axes})
        models = [self._model_at(place) for place in _places(index, dims)] if dims else [corner]
        return models, _spread(np.arange(len(models)).reshape([_extent(index)[dim] for dim in dims]), dims, index)

    def _model_at(self, place: Mapping[int, int]) -> Model:
        """Return the model at a place (dimension -> index)."""
        model = self.whole.values[place[self.whole.dim]] if self.whole else self.model
        changes = {axis.target.key: axis.values[place[axis.dim]] for axis in self.field_axes}
        if changes:
            model = replace(model, **changes)
        if self._random and self.seed_axis:
            model = model.with_seed(int(self.seed_axis.values[place[self.seed_axis.dim]]))
        return model

    # ---------------------------------------------------------------------------------------------------------- columns

    def _along(self, axis: Axis, index: tuple[slice, ...]) -> NDArray[np.float64]:
        return _spread(axis.values[index[axis.dim]].astype(np.float64), [axis.dim], index)

    def _optimizer_columns(self, index: tuple[slice, ...]) -> Iterator[NDArray[np.float64]]:
        for item in fields(self.optimizer):
            axis = self.grid.axis("optimizer", item.name)
            yield self._along(axis, index) if axis else _constant(getattr(self.optimizer, item.name), index)

    def _lane_columns(self, index: tuple[slice, ...], corner: Model) -> Iterator[NDArray[np.float64]]:
        """Yield the numbers of the lane fields, some for each field; `corner` is the model of the first run."""
        for name in corner.lane_fields():
            axis = self.grid.axis("model", name)
            if axis and axis.values.dtype != object:
                yield self._along(axis, index)
                continue
            if axis:
                rows = [corner._lane_numbers(name, value) for value in axis.values[index[axis.dim]]]
            elif self.whole:
                rows = [one._lane_numbers(name, one._value(name)) for one in self.whole.values[index[self.whole.dim]]]
            else:
                rows = [corner._lane_numbers(name, corner._value(name))]
            along = axis or self.whole
            for column in np.array(rows, dtype=np.float64).T:
                yield _spread(column, [along.dim], index) if along else _constant(column[0], index)

    def _weight_columns(
        self, index: tuple[slice, ...], models: list[Model], which: NDArray[np.int64]
    ) -> Iterator[NDArray[np.float64]]:
        model = models[0]
        blocks = [name for name, shape in model.parameters.items() for _ in range(int(np.prod(shape)))]
        others: list[NDArray[np.float64]] = []
        if self.w0 is not None:
            others = [_constant(value, index) for value in self._given_start(model)]
        elif not set(blocks) <= set(self.block_axes):
            others = self._initial(index, models, which)
        for number, name in enumerate(blocks):
            yield self._along(self.block_axes[name], index) if name in self.block_axes else others[number]

    def _given_start(self, model: Model) -> NDArray[np.float64]:
        """Return the start that `w0` gives, 0 in the blocks that are the grid's."""
        if not isinstance(self.w0, Mapping):
            return starting_point(model, self.w0, self.seed)
        twice = [name for name in self.w0 if name in self.block_axes]
        if twice:
            raise ValueError(f"w0 must leave out what the grid sets, got {twice[0]!r} in both")
        unknown = [name for name in self.w0 if name not in model.parameters]
        if unknown:
            raise ValueError(
                f"w0 must name blocks of {model!r}, {one_of(str(unknown[0]), model.parameters)}, got {unknown[0]!r}"
            )
        missing = [name for name in model.parameters if name not in self.block_axes and name not in self.w0]
        if missing:
            raise ValueError(
                f"w0 must set every block of {model!r} that the grid does not, missing: {', '.join(missing)}"
            )
        return starting_point(model, {**dict.fromkeys(self.block_axes, 0.0), **self.w0}, self.seed)

    def _initial(
        self, index: tuple[slice, ...], models: list[Model], which: NDArray[np.int64]
    ) -> list[NDArray[np.float64]]:
        """Return the columns of `init`: of each point's own model, with its own seed."""
        data_fields = _data_fields(models[0])
        names = (*data_fields, *self.model.init_fields)
        axes = [axis for axis in self.field_axes if axis.target.key in names]
        dims = sorted({axis.dim for axis in (*axes, self.seed_axis, self.whole) if axis})
        starts = []
        for place in _places(index, dims):
            inside = tuple(place[dim] - part.start for dim, part in enumerate(index))
            model = models[which[inside]] if data_fields else self._model_at(place)
            seed = int(self.seed_axis.values[place[self.seed_axis.dim]]) if self.seed_axis else self.seed
            starts.append(model.init(seed))
        values = np.array(starts).reshape([*(_extent(index)[dim] for dim in dims), -1])
        return [_spread(values[..., i], dims, index) for i in range(values.shape[-1])]


def _data_fields(model: Model) -> tuple[str, ...]:
    """Return the fields that are data: neither numbers of a run nor structural."""
    known = (*model.lane_fields(), *model.structural)
    return tuple(item.name for item in fields(model) if item.name not in known)


def _extent(index: tuple[slice, ...]) -> tuple[int, ...]:
    return tuple(part.stop - part.start for part in index)


def _places(index: tuple[slice, ...], dims: list[int]) -> Iterator[dict[int, int]]:
    """Yield the places of a box along `dims`, in the other dimensions its corner, as dimension -> index in the grid."""
    corner = {dim: part.start for dim, part in enumerate(index)}
    for place in product(*(range(index[dim].start, index[dim].stop) for dim in dims)):
        yield corner | dict(zip(dims, place, strict=True))


def _spread(values: NDArray[Any], dims: list[int], index: tuple[slice, ...]) -> NDArray[Any]:
    """Return `values`, which vary along `dims` (ascending), broadcast over the box."""
    shape = _extent(index)
    return np.broadcast_to(values.reshape([size if dim in dims else 1 for dim, size in enumerate(shape)]), shape)


def _constant(value: float, index: tuple[slice, ...]) -> NDArray[np.float64]:
    return np.broadcast_to(np.float64(value), _extent(index))
