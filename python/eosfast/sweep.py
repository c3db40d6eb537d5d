"""`sweep`: many independent runs over a grid, summarised as they go."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from eosfast.job import Job
from eosfast.progress import reporter
from eosfast.resources import threads
from eosfast.results import Provenance, table
from eosfast.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor
    from os import PathLike

    import xarray
    from numpy.typing import ArrayLike

    from eosfast import measures
    from eosfast.models.base import Model
    from eosfast.optimizers import Optimizer


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
    store: str | PathLike[str] | None = None,
    executor: Executor | None = None,
    shard: tuple[int, int] | None = None,
    overwrite: bool = False,
    executor_factory: Callable[[], Executor] | None = None,
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
    store : path, optional
        A folder, a Zarr group in the end: results are written there block by block as they are finished, and the same
        call goes on where it, or another process, was stopped; damaged blocks are done again. Needs ``pip install
        'eosfast[store]'``.
    executor : concurrent.futures.Executor, optional
        Who does the blocks: threads, processes, ``dask.distributed``'s ``Client.get_executor()``. It stays open.
        `num_threads` is then that of each block, and 0 means 1.
    shard : (int, int), optional
        ``(i, n)``: only the i-th of n equal parts, counted from 0, of a `store` that n jobs fill together.
    overwrite : bool
        Begin anew where `store` holds a sweep already, which is lost; else another sweep there is an error. Not with
        `shard`.
    executor_factory : function, optional
        Makes an executor, closed here in the end; called again for the unfinished blocks if the executor breaks (a
        worker of a process pool was killed, say), up to three times in a row.

    Returns
    -------
    xarray.Dataset
        Dimensions of the grid in its order (``weights`` has ``parameter`` besides), one variable for each measure, and
        ``status`` (int8, names in its attrs ``flag_meanings``) and ``num_steps_done``. `attrs` as of `train`. That of a
        `store` is read from there when it is looked at.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range; a result that does not fit into memory (the message says how many bytes); a
        `store` that holds another sweep, or something else: nothing there is touched.
    OSError
        The `store` cannot be written. What is done is kept, and the same call goes on.
    RuntimeError
        The executor broke. What is in the `store` is kept, and the same call goes on. Or: several threads in a fork of
        a process that had used several, where they would hang.

    Notes
    -----
    A run has the bits of the `train` of the same model, start and optimizer, whatever else is swept or measured and
    however many threads there are; a run that diverges changes no other. Ctrl-C returns what is finished, the other
    runs ``interrupted`` (begun: their measures up to there) or ``pending`` (NaN, and -1 for whole numbers).

    The final ``sharpness`` of a network is that of `eosfast.lanczos` with ``tol=1e-6`` (1e-4 for float32), NaN where
    that does not converge; where it is followed over steps, residuals are at most 1e-3 of it. Certificates are not
    kept: `train` and ``model.sharpness`` have them.

    Memory is that of the result, with a `store` that of the blocks under way. In a fork of a process that has used
    several threads, ``num_threads=0`` is one: start processes by ``spawn`` or ``forkserver``.

    Examples
    --------
    >>> import numpy as np
    >>> import eosfast as eos
    >>> phase = eos.sweep(eos.SingleNeuron(), eos.GD(), {"lr": np.geomspace(1e-3, 1e-1, 5), "y": np.linspace(2, 20, 6)},
    ...                   w0={"x": 0.3}, num_steps=10_000, measure=("sharpness", "last_loss_increase"))
    >>> dict(phase.sizes)
    {'lr': 5, 'y': 6}
    """
    job = Job(model, optimizer, grid, w0, num_steps, measure, stop, seed)
    number = threads(num_threads)
    if any(given is not None for given in (store, executor, shard, executor_factory)) or overwrite is not False:
        from eosfast import engine  # on first use: few need executors and stores

        ways = engine.checked(store, executor, shard, overwrite, executor_factory, num_threads, number)
        if ways.path is not None:
            return engine.into_store(job, ways, progress=progress)
        run = partial(engine.in_parts, job, ways)
    else:
        run = partial(job.run, job.whole(), number)
    source = Provenance(job.arguments(), job.seed, number)
    with reporter(progress, job.num_runs, "run") as poll:
        out, interrupted = run(poll)
    attrs = {"status": "interrupted" if interrupted else "completed"} | job.threshold() | source.attrs()
    return table(job.space.dims, job.space.coordinates(), out, job.parameters(), attrs)
