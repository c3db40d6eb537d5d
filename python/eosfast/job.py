"""A sweep as a thing: what was asked, checked; what its results look like; and how a part of its grid is done, here or
in another process. A job is plain values: it can be pickled and sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast import measures
from eosfast._dispatch import core
from eosfast.arguments import Integer
from eosfast.grid import read_grid
from eosfast.resources import require_memory, threads
from eosfast.results import PENDING, configuration, parameter_labels
from eosfast.runs import Box, Runs
from eosfast.stop import rules
from eosfast.train import LARGEST_NUM_STEPS, checked_model, checked_optimizer, checked_stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ALWAYS = ("status", "num_steps_done")

Region = tuple[slice, ...]
Arrays = dict[str, "NDArray[Any]"]


@dataclass(frozen=True)
class Variable:
    """A variable of the result: its type, whether it has the axis ``parameter``, and what stands for a run that is not
    done.
    """

    dtype: np.dtype[Any]
    extra: tuple[int, ...]
    pending: float


class Job:
    """What `eosfast.sweep` is asked to do. Everything that identifies the results is here; how they are computed
    (threads, executors, stores) is not.
    """

    def __init__(
        self,
        model: object,
        optimizer: object,
        grid: object,
        w0: object,
        num_steps: object,
        measure: object,
        stop: object,
        seed: object,
    ) -> None:
        self.model, self.optimizer, self.stop = checked_model(model), checked_optimizer(optimizer), checked_stop(stop)
        self.num_steps = int(Integer(most=LARGEST_NUM_STEPS).check("num_steps", num_steps))
        self.seed = int(Integer().check("seed", seed))
        self.asked = measures.listed(measure)
        self.measures = measures.chosen(self.asked, self.model, self.num_steps)
        names = [one.name for one in self.measures]
        reserved = {*measures.NAMES, *self.model.quantities, *ALWAYS}
        variables = {*names, *ALWAYS, *(["parameter"] if "weights" in names else [])}
        self.space = read_grid(grid, self.model, self.optimizer, variables, reserved)
        self.w0 = _plain(w0)
        self.runs = Runs(self.model, self.optimizer, self.space, self.w0, self.seed)
        self._given = (model, optimizer, grid, self.w0, num_steps, self.asked, stop, seed)
        self._check_weights()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given

    def with_num_steps(self, num_steps: int) -> Job:
        """Return the same runs of another length."""
        model, optimizer, grid, w0, _, measure, stop, seed = self._given
        return Job(model, optimizer, grid, w0, num_steps, measure, stop, seed)

    def _check_weights(self) -> None:
        dims = {one.dim for one in self.space.structures}
        if len(dims) > 1 and any(one.name == "weights" for one in self.measures):
            sizes = ", ".join(map(str, sorted(dims)))
            raise ValueError(
                f"measure must leave out 'weights' (it is among the default measures) where the grid varies the number "
                f"of parameters, here {sizes}"
            )

    # ------------------------------------------------------------------------------------------------- what it will be

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of the grid."""
        return self.space.shape

    @property
    def num_runs(self) -> int:
        """Number of runs."""
        return math.prod(self.shape)

    def variables(self) -> dict[str, Variable]:
        """Return the variables of the result, the status last."""
        out = {}
        for one in self.measures:
            extra = (self.space.structures[0].dim,) if one.name == "weights" else ()
            dtype = np.dtype(one.dtype)
            out[one.name] = Variable(dtype, extra, -1 if dtype == np.int64 else math.nan)
        out["num_steps_done"] = Variable(np.dtype(np.int64), (), 0)
        out["status"] = Variable(np.dtype(np.int8), (), PENDING)
        return out

    def bytes_per_run(self) -> int:
        """Return the memory that the results of a run take."""
        return sum(one.dtype.itemsize * math.prod(one.extra) for one in self.variables().values())

    def parameters(self) -> NDArray[Any] | None:
        """Return the coordinate of the weights, if they are measured."""
        return parameter_labels(self.space.structures[0]) if any(m.name == "weights" for m in self.measures) else None

    def arguments(self) -> dict[str, Any]:
        """Return what identifies the results, for the provenance."""
        swept = {axis.name: {"dim": self.space.dims[axis.dim], "values": axis.values} for axis in self.space.axes}
        what = {"verb": "sweep", "model": self.model, "optimizer": self.optimizer, "grid": swept}
        return what | {"w0": self.w0, "num_steps": self.num_steps, "measure": self.asked, "stop": self.stop}

    def identity(self) -> dict[str, Any]:
        """Return what identifies the results, as plain JSON."""
        return configuration(self.arguments(), self.seed)

    def threshold(self) -> dict[str, float]:
        """Return the attribute ``threshold``, if it is the same for all runs and finite."""
        if any(axis.target.place == "optimizer" for axis in self.space.axes):
            return {}
        threshold = self.optimizer.stability_threshold()
        return {"threshold": threshold} if math.isfinite(threshold) else {}  # JSON, and so Zarr, has no infinity

    # --------------------------------------------------------------------------------------------------- how it is done

    def whole(self) -> Region:
        """Return the region that is the whole grid."""
        return tuple(slice(0, size) for size in self.shape)

    def storage(self, region: Region) -> Arrays:
        """Return an array for each variable; reducers count in float64 and become whole numbers in place at the end."""
        shape = tuple(part.stop - part.start for part in region)
        reduced = {one.name for one in self.measures if one.reducer}
        dtypes = {
            name: np.dtype(np.float64) if name in reduced else one.dtype for name, one in self.variables().items()
        }
        shapes = {name: (*shape, *one.extra) for name, one in self.variables().items()}
        require_memory(
            sum(dtypes[name].itemsize * math.prod(shapes[name]) for name in dtypes),
            f"the results of {math.prod(shape)} runs",
            "keep less: fewer points in the grid, or fewer measures; or write them to a store",
        )
        out: Arrays = {name: np.empty(shapes[name], dtypes[name]) for name in shapes}
        out["status"].fill(PENDING)
        return out

    def pending(self, region: Region) -> Arrays:
        """Return the results of a region in which nothing is done."""
        out = self.storage(region)
        self._finish(out)
        return out

    def run(self, region: Region, num_threads: int, poll: Callable[[int], object] | None = None) -> tuple[Arrays, bool]:
        """Do the runs of a region, or those that are finished before Ctrl-C; return their results and whether it was
        heard. `poll` is told how many are done. RuntimeError for several threads where they would hang: in a worker
        that is a fork.
        """
        num_threads = threads(num_threads)
        out = self.storage(region)
        interrupted = self._run_boxes(region, out, num_threads, poll)
        self._finish(out)
        return out, interrupted

    def _run_boxes(self, region: Region, out: Arrays, num_threads: int, poll: Callable[[int], object] | None) -> bool:
        done = 0
        try:
            for box in self.runs.boxes(region):
                finished, interrupted = self._carry_out(box, region, out, num_threads, poll, done)
                done += finished
                if interrupted:
                    return True
                if poll:
                    poll(done)
        except KeyboardInterrupt:  # between two boxes
            return True
        return False

    def _carry_out(
        self,
        box: Box,
        region: Region,
        out: Arrays,
        num_threads: int,
        poll: Callable[[int], object] | None,
        done: int,
    ) -> tuple[int, bool]:
        """Do the runs of a box; return how many of them are finished, and whether Ctrl-C was heard. `done` others were
        finished before.
        """
        inside = tuple(
            slice(part.start - whole.start, part.stop - whole.start)
            for part, whole in zip(box.index, region, strict=True)
        )
        reduced = [one for one in self.measures if one.reducer]
        core_names = {one.name: f"reducer{i}" for i, one in enumerate(reduced)}
        targets = {core_names.get(name, name): array[inside] for name, array in out.items()}
        weights = targets.get("weights")
        if weights is not None and box.start is not None and box.start.shape != weights.shape:
            targets["weights"] = np.array(box.start)
        outcome = core.sweep(
            [model._prepared() for model in box.models],
            box.model_index,
            type(self.optimizer).__name__,
            box.shape,
            box.columns,
            box.start,
            box.null_norm,
            self.num_steps,
            [one.reducer for one in reduced if one.reducer],
            targets,
            [one.name for one in self.measures if one.own],
            rules(self.stop),
            self.seed,
            num_threads if box.start is not None else min(num_threads, math.prod(box.shape)),
            (lambda finished: poll(done + finished)) if poll else None,
        )
        if weights is not None and targets["weights"] is not weights:
            box.expand(targets["weights"], targets["num_steps_done"], weights)
        return outcome

    def _finish(self, out: Arrays) -> None:
        """Make whole numbers of the reducers that are, and fill in what was not begun."""
        pending = out["status"] == PENDING
        some_pending = bool(pending.any())
        for name, variable in self.variables().items():
            if some_pending and name != "status":
                out[name][pending] = variable.pending
            if out[name].dtype != variable.dtype:
                out[name] = _whole(out[name])


def _plain(start: Any) -> Any:
    """Return the start with the arrays of other packages (pandas, xarray, PyTorch) as NumPy's: what identifies a sweep
    must not be a text that abbreviates them.
    """
    if isinstance(start, Mapping):
        return {name: _plain(value) for name, value in start.items()}
    if isinstance(start, (list, tuple)):
        return [_plain(value) for value in start]
    if start is None or isinstance(start, (bool, int, float, str, np.ndarray)):
        return start
    try:
        return np.asarray(start)
    except (ValueError, TypeError):
        return start


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the same memory as int64, converted piece by piece."""
    source = values.reshape(-1)
    target = source.view(np.int64)
    for start in range(0, source.size, 2**16):
        target[start : start + 2**16] = source[start : start + 2**16].astype(np.int64)
    return target.reshape(values.shape)
