"""`train`: one run of an optimizer on a model, recorded along the way."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Integer, shown
from eosfast.checkpoint import Checkpoint
from eosfast.models.base import Model, starting_point
from eosfast.optimizers import Optimizer
from eosfast.progress import reporter
from eosfast.record import QUANTITIES, Record, check_quantities, rows_needed, steps_to_record
from eosfast.resources import require_memory, threads
from eosfast.results import STATUS, Provenance, trajectory
from eosfast.stop import Stop, rules

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import xarray
    from numpy.typing import ArrayLike, NDArray

LARGEST_NUM_STEPS = 2**53
"""Up to here the core counts steps exactly."""

CERTIFICATE = {"sharpness_residual": np.float64, "sharpness_converged": np.bool_, "sharpness_matvecs": np.int64}


def train(
    model: Model,
    w0: ArrayLike | Mapping[str, ArrayLike] | None = None,
    optimizer: Optimizer | None = None,
    *,
    num_steps: int,
    record: Record = Record(),  # noqa: B008 - immutable
    stop: Stop = Stop(),  # noqa: B008
    seed: int = 0,
    num_threads: int = 1,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> xarray.Dataset:
    """Iterate ``w <- optimizer(w, grad loss(w))`` from `w0` and record quantities along the way.

    Parameters
    ----------
    model : Model
        The loss landscape.
    w0 : array_like (dim,), mapping from block to value, or None
        The start, finite; a mapping names every block. None = ``model.init(seed)``.
    optimizer : Optimizer
        Such as ``GD(lr=0.01)``; all its fields must be set.
    num_steps : int
        Number of steps, >= 0.
    record : Record
        What to record, and when.
    stop : Stop
        When to end early.
    seed : int
        Seed of ``model.init``, >= 0; not used where `w0` is given.
    num_threads : int
        Threads that share the matrix products of a network, 0 = all available. The results do not depend on it; the
        small models use one.
    progress : bool
        Show steps done, speed and remaining time on stderr.
    checkpoint : path of a file, optional
        Where the state of the run is kept (its folder is made if need be), so that a run that was stopped, or killed
        at any moment, continues when the same call is made again; see Notes. None = nowhere.

    Returns
    -------
    xarray.Dataset
        Dimension ``step``, its coordinate the recorded steps (0 is the start); one variable for each quantity:
        ``(step,)``, ``weights (step, parameter)``, ``hessian_eigs`` and ``ntk_eigs (step, eig)`` descending, ``residual
        (step, residual_dim)``. With ``sharpness`` come
        ``sharpness_residual`` (the Hessian has an eigenvalue no farther away), ``sharpness_converged`` and
        ``sharpness_matvecs`` (products with the Hessian; 0 for small models, which are solved whole). `attrs` hold
        ``status``, ``num_steps_done``, ``threshold`` (the optimizer's stability threshold), and ``config`` (all
        arguments, as JSON), ``seed``, ``eosfast_version``, ``isa``, ``num_threads``, ``wall_seconds``, ``created``;
        after a steady run also ``steady_from`` and ``steady_period``.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range; a record that does not fit into memory (the message says how many bytes); a
        checkpoint that is another run's, damaged, or another file: the message names it, and it is left as it is.
    OSError
        The checkpoint cannot be written: noticed before the work where possible, the file is then what it was.

    Notes
    -----
    Status: ``completed`` all steps were done; ``converged`` a rule of `stop` ended the run; ``diverged`` the loss
    became too large or was not finite, the last record is that iterate; ``steady`` the iterate repeats bitwise, and the
    rest of the run was filled in exactly; ``interrupted`` Ctrl-C, everything up to there is returned.

    ``distance_to_flow`` is ``||w_t - w(lr t)||``, w(.) the gradient flow from the same start, followed alongside with
    the tolerances of `gradient_flow`; with momentum it is taken at the time ``lr t / (1 - momentum)``, because a ball
    that moves slowly has the velocity ``-lr grad / (1 - momentum)`` per step. The flow is that of the loss alone, also
    where the optimizer has weight decay. NaN from where the flow has taken a million steps; `NormalizedGD` has no
    matched time, a ValueError.

    Memory is that of the record, whatever `num_steps` is.

    The checkpoint is renewed every two seconds, less often where it is large (writing takes 3 % of the time at most),
    and when the run ends. A resumed run is bit-identical to an uninterrupted one, whatever is recorded; only
    ``wall_seconds`` (the sum over all parts) and ``created`` differ. A run is the same if `model`, `optimizer`, start,
    `num_steps`, `record`, `stop`, `seed`, the version of eosfast and the instruction set are; `num_threads` and
    `progress` may differ. After Ctrl-C, what there is is returned, and the same call continues from there. The file of
    a finished run stays, and the same call returns its result at once. It holds the rows so far and the state (an
    ``.npz`` without pickles, with a SHA-256); it is for one process at a time.

    Examples
    --------
    >>> import eosfast as eos
    >>> run = eos.train(eos.SingleNeuron(), w0=[0.3, 15.0], optimizer=eos.GD(lr=0.01), num_steps=500_000,
    ...                 record=eos.Record(every=100, quantities=("loss", "sharpness")))
    >>> bool(199.9 < run.sharpness[-1] < 200)
    True
    """
    model, optimizer, stop = checked_model(model), checked_optimizer(optimizer), checked_stop(stop)
    fields = np.array(optimizer.numbers())
    num_steps = Integer(most=LARGEST_NUM_STEPS).check("num_steps", num_steps)
    seed = Integer().check("seed", seed)
    _check_record(record, model, optimizer)
    steps = steps_to_record(record, num_steps)
    start = starting_point(model, w0, seed)
    given = {"verb": "train", "model": model, "optimizer": optimizer, "w0": start, "num_steps": num_steps}
    source = Provenance({**given, "record": record, "stop": stop}, seed, threads(num_threads))
    inner = model._inner(start)
    out = storage(model, record, (rows_needed(steps, num_steps),), inner.size)
    saved = None if checkpoint is None else Checkpoint(checkpoint, source, out)
    done = saved.outcome["num_steps_done"] if saved else 0
    with reporter(progress, num_steps, "step", done) as report, saved.continued() if saved else nullcontext():
        poll = None if report is None else lambda now: report(max(now - done, 0))
        outcome = (saved and saved.finished) or core.train(
            model._prepared(),
            type(optimizer).__name__,
            fields,
            inner,
            model._null_norm(start, inner),
            num_steps,
            steps,
            out,
            [name for name in record.quantities if name not in QUANTITIES],
            rules(stop),
            {"every": record.sharpness_every or 0, "tol": float(record.tol), "seed": seed},
            optimizer.time_per_step(),
            source.num_threads,
            poll,
            saved.for_the_core() if saved else None,
        )
        if poll:
            poll(outcome["num_steps_done"])
    return _result(model, optimizer, start, inner, out, outcome, source)


def _check_record(record: Record, model: Model, optimizer: Optimizer) -> None:
    check_quantities(record, model)
    if "distance_to_flow" in record.quantities and math.isnan(optimizer.time_per_step()):
        raise ValueError(
            f"quantities of Record must be without 'distance_to_flow' for {optimizer!r}, "
            "whose steps correspond to no time of the gradient flow"
        )


def checked_model(model: object) -> Model:
    """Return the argument `model`, or raise a TypeError if it is none."""
    if not isinstance(model, Model):
        raise TypeError(f"model must be a model such as SingleNeuron(), got {shown(model)}")
    return model


def checked_optimizer(optimizer: object) -> Optimizer:
    """Return the argument `optimizer`, or raise a TypeError if it is none."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be given, as an optimizer such as GD(lr=0.01), got {shown(optimizer)}")
    return optimizer


def checked_stop(stop: object) -> Stop:
    """Return the argument `stop`, or raise a TypeError if it is none."""
    if not isinstance(stop, Stop):
        raise TypeError(f"stop must be a Stop, got {shown(stop)}")
    return stop


def storage(
    model: Model,
    record: Record,
    rows: tuple[int, ...],
    inner_dim: int,
    remedy: str = "a larger every, every='log2', or fewer quantities",
) -> dict[str, NDArray[Any]]:
    """Return an array for each quantity, its first axes are `rows`; weights in the core's coordinates. `remedy` says
    how to record less where they do not fit into memory.
    """
    own = {name: model._quantity_dim(name, record.k) for name in record.quantities if name not in QUANTITIES}
    widths = {"weights": (inner_dim,), "hessian_eigs": (record.k,)}
    widths |= {name: (dim[1],) for name, dim in own.items() if dim}
    dtypes: dict[str, Any] = {"step": np.int64, **dict.fromkeys(record.quantities, np.float64)}
    if "sharpness" in dtypes:
        dtypes |= CERTIFICATE
    shapes = {name: (*rows, *widths.get(name, ())) for name in dtypes}
    wanted = sum(np.dtype(dtypes[name]).itemsize * math.prod(shape) for name, shape in shapes.items())
    if "weights" in dtypes and inner_dim != model.dim:
        wanted += 8 * math.prod(rows) * model.dim
    require_memory(wanted, f"record of {math.prod(rows)} rows", f"record less: {remedy}")
    return {name: np.empty(shapes[name], dtypes[name]) for name in dtypes}


def _result(
    model: Model,
    optimizer: Optimizer,
    start: NDArray[np.float64],
    inner: NDArray[np.float64],
    out: dict[str, NDArray[Any]],
    outcome: Mapping[str, int],
    source: Provenance,
) -> xarray.Dataset:
    rows = outcome["rows"]
    # A view keeps all the rows alive that were set aside: copy what there is unless it is most of them.
    columns = {name: array[:rows] if 2 * rows > len(array) else array[:rows].copy() for name, array in out.items()}
    if "weights" in columns:
        kept = optimizer.shrinkage() ** columns["step"].astype(np.float64)
        columns["weights"] = model._whole(columns["weights"], start, inner, kept)
    status = STATUS[outcome["status"]]
    attrs = {
        "status": status,
        "num_steps_done": outcome["num_steps_done"],
        "threshold": optimizer.stability_threshold(),
    }
    if status == "steady":
        attrs |= {"steady_from": outcome["steady_from"], "steady_period": outcome["steady_period"]}
    return trajectory(model, ("step",), columns, attrs | source.attrs())
