"""`sweep`: many independent runs over a grid, summarised as they go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast import measures
from eosfast._dispatch import core
from eosfast.arguments import Integer
from eosfast.grid import Grid, read_grid
from eosfast.progress import reporter
from eosfast.resources import require_memory, threads
from eosfast.results import PENDING, Provenance, parameter_labels, table
from eosfast.runs import Box, Runs
from eosfast.stop import Stop, rules
from eosfast.train import LARGEST_NUM_STEPS, checked_model, checked_optimizer, checked_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray
    from numpy.typing import ArrayLike, NDArray

    from eosfast.models.base import Model
    from eosfast.optimizers import Optimizer

ALWAYS = {"status": np.int8, "num_steps_done": np.int64}


def sweep(
    model: Model,
    optimizer: Optimizer,
    grid: Mapping[str, Any],
    *,
    w0: Mapping[str, ArrayLike] | ArrayLike | None = None,
    num_steps: int,
    measure: Sequence[str | measures.FirstBelow | measures.Mean] = ("loss", "sharpness", "weights"),
    stop: Stop = Stop(),  # noqa: B008 - immutable
    seed: int = 0,
    num_threads: int = 0,
    progress: bool = False,
) -> xarray.Dataset:
    """Run the optimizer from every point of a grid, and keep a few numbers of each run.

    Parameters
    ----------
    model : Model
        The loss landscape.
    optimizer : Optimizer
        Such as ``GD()``; what it leaves unset, the grid must set.
    grid : mapping
        Name -> values (one-dimensional): the cartesian product, one dimension for each name; or name -> ``(dimension,
        values)``: names that share a dimension vary together. A name is a field of the optimizer, a scalar block of w,
        a field of the model, ``"seed"`` (of `init`, and of generated data), or ``"model"`` (a list of models of one
        class). A name that could mean two things, or that is a variable of the result, is written in full:
        ``"optimizer.lr"``, ``"w.x"``, ``"model.loss"``.
    w0 : mapping from block to value, array_like (dim,), or None
        The start: a mapping sets exactly the blocks that the grid does not, of an array the grid replaces some entries.
        None = for each point its own model's ``init`` with its own seed.
    num_steps : int
        Number of steps of each run, >= 0.
    measure : sequence
        What to keep of each run. At its end: ``loss``, ``sharpness``, ``weights``, ``grad_norm``, and the model's own,
        such as ``accuracy``. Over its course: ``max_loss``; ``loss_increases`` (number of t with loss[t + 1] >
        loss[t]); ``last_loss_increase`` (the last such t, -1 = none); ``mean_sharpness`` (over the last tenth of the
        steps); ``period`` (the smallest p <= 64 with which the last 4 p iterates repeat to 1e-6, 0 = none);
        ``lyapunov`` (largest exponent per step, over the second half); ``FirstBelow(...)``; ``Mean(...)``.
    stop : Stop
        When a run ends early.
    seed : int
        Seed of `init` where the grid has none, and of the tangent vector of ``lyapunov``, >= 0.
    num_threads : int
        Threads that share the runs; 0 = all available, which respects the affinity of the process and
        ``OMP_NUM_THREADS``.
    progress : bool
        Show runs done, speed and remaining time on stderr.

    Returns
    -------
    xarray.Dataset
        Dimensions of the grid in its order (``weights`` has ``parameter`` besides), one variable for each measure, and
        ``status`` (int8, names in its attrs ``flag_meanings``) and ``num_steps_done``. `attrs` as of `train`.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range; a result that does not fit into memory (the message says how many bytes).

    Notes
    -----
    A run has the bits of the `train` of the same model, start and optimizer, whatever else is swept or measured and
    however many threads there are; a run that diverges changes no other. Ctrl-C returns what is finished, the other
    runs ``interrupted`` (begun: their measures up to there) or ``pending`` (NaN, and -1 for whole numbers).

    The final ``sharpness`` of a network is that of `eosfast.lanczos` with ``tol=1e-6`` (1e-4 for float32), NaN where
    that does not converge; where it is followed over steps, residuals are at most 1e-3 of it. Certificates are not
    kept: `train` and ``model.sharpness`` have them.

    Memory is that of the result. Never fork a process that has swept with several threads: use ``spawn`` or
    ``forkserver``.

    Examples
    --------
    >>> import numpy as np
    >>> import eosfast as eos
    >>> phase = eos.sweep(eos.SingleNeuron(), eos.GD(), {"lr": np.geomspace(1e-3, 1e-1, 5), "y": np.linspace(2, 20, 6)},
    ...                   w0={"x": 0.3}, num_steps=10_000, measure=("sharpness", "last_loss_increase"))
    >>> dict(phase.sizes)
    {'lr': 5, 'y': 6}
    """
    model, optimizer, stop = checked_model(model), checked_optimizer(optimizer), checked_stop(stop)
    num_steps = Integer(most=LARGEST_NUM_STEPS).check("num_steps", num_steps)
    seed = Integer().check("seed", seed)
    asked = measures.listed(measure)
    chosen = measures.chosen(asked, model, num_steps)
    names = [one.name for one in chosen]
    reserved = {*measures.NAMES, *model.quantities, *ALWAYS}
    variables = {*names, *ALWAYS, *(["parameter"] if "weights" in names else [])}
    space = read_grid(grid, model, optimizer, variables, reserved)
    runs = Runs(model, optimizer, space, w0, seed)
    swept = {axis.name: {"dim": space.dims[axis.dim], "values": axis.values} for axis in space.axes}
    rest = {"w0": w0, "num_steps": num_steps, "measure": asked, "stop": stop}
    given = {"verb": "sweep", "model": model, "optimizer": optimizer, "grid": swept, **rest}
    source = Provenance(given, seed, threads(num_threads))
    out = _storage(chosen, space)
    with reporter(progress, math.prod(space.shape), "run") as poll:
        order = _Order(type(optimizer).__name__, num_steps, chosen, stop, seed, source.num_threads, poll)
        interrupted = _run_all(runs, order, out)
    _finish(chosen, out)
    parameters = parameter_labels(space.structures[0]) if "weights" in names else None
    attrs: dict[str, str | float] = {"status": "interrupted" if interrupted else "completed"}
    if not any(axis.target.place == "optimizer" for axis in space.axes):
        attrs["threshold"] = optimizer.stability_threshold()
    return table(space.dims, space.coordinates(), out, parameters, attrs | source.attrs())


@dataclass(frozen=True)
class _Order:
    """What is asked of every run, whichever box of the grid it is in."""

    optimizer: str
    num_steps: int
    measures: list[measures.Measure]
    stop: Stop
    seed: int
    num_threads: int
    poll: Callable[[int], object] | None

    def carry_out(self, box: Box, out: Mapping[str, NDArray[Any]], done: int) -> tuple[int, bool]:
        """Do the runs of a box; return how many of them are finished, and whether Ctrl-C was heard. `done` others were
        finished before.
        """
        poll = self.poll
        reduced = [one for one in self.measures if one.reducer]
        core_names = {one.name: f"reducer{i}" for i, one in enumerate(reduced)}
        targets = {core_names.get(name, name): array[box.index] for name, array in out.items()}
        weights = targets.get("weights")
        if weights is not None and box.start is not None and box.start.shape != weights.shape:
            targets["weights"] = np.array(box.start)
        outcome = core.sweep(
            [model._prepared() for model in box.models],
            box.model_index,
            self.optimizer,
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
            self.num_threads if box.start is not None else min(self.num_threads, math.prod(box.shape)),
            (lambda finished: poll(done + finished)) if poll else None,
        )
        if weights is not None and targets["weights"] is not weights:
            box.expand(targets["weights"], targets["num_steps_done"], weights)
        return outcome


def _run_all(runs: Runs, order: _Order, out: Mapping[str, NDArray[Any]]) -> bool:
    """Do all runs, or those that are finished before Ctrl-C; return whether it was heard."""
    done = 0
    try:
        for box in runs.boxes():
            finished, interrupted = order.carry_out(box, out, done)
            done += finished
            if interrupted:
                return True
            if order.poll:
                order.poll(done)
    except KeyboardInterrupt:  # between two boxes
        return True
    return False


def _storage(chosen: list[measures.Measure], grid: Grid) -> dict[str, NDArray[Any]]:
    """Return an array for each variable; reducers count in float64 and become whole numbers in place at the end."""
    dims = {one.dim for one in grid.structures}
    if len(dims) > 1 and any(one.name == "weights" for one in chosen):
        sizes = ", ".join(map(str, sorted(dims)))
        raise ValueError(
            f"measure must leave out 'weights' (it is among the default measures) where the grid varies the number of "
            f"parameters, here {sizes}"
        )
    shapes = {one.name: (*grid.shape, *((grid.structures[0].dim,) if one.name == "weights" else ())) for one in chosen}
    dtypes: dict[str, Any] = {one.name: np.float64 if one.reducer else one.dtype for one in chosen}
    shapes |= dict.fromkeys(ALWAYS, grid.shape)
    dtypes |= ALWAYS
    wanted = sum(np.dtype(dtypes[name]).itemsize * math.prod(shape) for name, shape in shapes.items())
    require_memory(
        wanted, f"the results of {math.prod(grid.shape)} runs", "keep less: fewer points in the grid, or fewer measures"
    )
    out = {name: np.empty(shapes[name], dtypes[name]) for name in shapes}
    out["status"].fill(PENDING)
    return out


def _finish(chosen: list[measures.Measure], out: dict[str, NDArray[Any]]) -> None:
    """Make whole numbers of the reducers that are, and fill in what was not begun."""
    pending = out["status"] == PENDING
    some_pending = bool(pending.any())
    for one in chosen:
        if one.reducer and one.dtype is np.int64:
            if some_pending:
                out[one.name][pending] = -1.0
            out[one.name] = _whole(out[one.name])
        elif some_pending:
            out[one.name][pending] = -1 if one.dtype is np.int64 else np.nan
    if some_pending:
        out["num_steps_done"][pending] = 0


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the same memory as int64, converted piece by piece."""
    source = values.reshape(-1)
    target = source.view(np.int64)
    for start in range(0, source.size, 2**16):
        target[start : start + 2**16] = source[start : start + 2**16].astype(np.int64)
    return target.reshape(values.shape)
