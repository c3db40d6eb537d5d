"""The starts and runs behind the figures and checks, as xarray Datasets. Nothing here knows what the result ought to
be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast import GD, Record, ScalarProduct, Stop, sweep, train
from eosfast.papers.runs import finished, tracked

if TYPE_CHECKING:
    import xarray as xr

    from eosfast.models import Model
    from eosfast.optimizers import Optimizer

STEADY = Stop()
"""Ends a run where it repeats bit by bit; what follows is filled in."""


def path(
    model: Model,
    w0: ArrayLike | Mapping[str, float],
    optimizer: Optimizer | float,
    num_steps: int,
    every: int | str | ArrayLike = 1,
    quantities: tuple[str, ...] = ("loss", "sharpness", "weights"),
    stop: Stop = STEADY,
) -> xr.Dataset:
    """One run, recorded; a number for the optimizer is the step size of gradient descent."""
    steps = every if isinstance(every, int | str) else np.asarray(every, dtype=np.int64)
    rule = GD(lr=float(optimizer)) if isinstance(optimizer, int | float) else optimizer
    record = Record(every=steps, quantities=quantities)
    return finished(train(model, w0, rule, num_steps=num_steps, record=record, stop=stop))


def ends(
    model: Model,
    grid: Mapping[str, Any],
    num_steps: int,
    measure: tuple[Any, ...] = ("sharpness",),
    w0: ArrayLike | Mapping[str, float] | None = None,
    optimizer: Optimizer | None = None,
    stop: Stop = STEADY,
) -> xr.Dataset:
    """A sweep of gradient descent, or of another optimizer."""
    rule = GD() if optimizer is None else optimizer
    return finished(sweep(model, rule, grid, w0=w0, num_steps=num_steps, measure=measure, stop=stop))


def attractors(
    model: Model, w0: ArrayLike, lrs: Sequence[float] | NDArray[np.float64], burn_in: int, last: int, progress: bool
) -> xr.Dataset:
    """Weights in the last steps of burn_in + last, dimensions (lr, step, parameter); no run may diverge."""
    import xarray as xr

    every = np.arange(burn_in, burn_in + last)
    runs = [
        path(model, w0, float(lr), burn_in + last - 1, every, ("weights",)).weights
        for lr in tracked(list(lrs), progress, "step sizes")
    ]
    w: xr.DataArray = xr.concat(runs, dim=xr.Variable("lr", np.asarray(lrs)), join="exact", combine_attrs="drop")
    return w.to_dataset(name="weights")


# --------------------------------------------------------------------------------------------------------------- starts


def on_minima(product_curvature: float, level: ArrayLike, lr: ArrayLike) -> tuple[Any, Any]:
    """Minima x y = 1, 0 < x < y, of l(x y) at which ``lr * sharpness = level``, with l'' = product_curvature there.

    The sharpness is l'' (x^2 + y^2).
    """
    S = np.asarray(level, dtype=float) / (np.asarray(lr, dtype=float) * product_curvature)
    y = np.sqrt((S + np.sqrt((S - 2.0) * (S + 2.0))) / 2.0)
    return 1.0 / y, y


def paired_ends(depth: int, lr: ArrayLike, level: ArrayLike = 2.4, shift: float = 0.01) -> xr.Dataset:
    """Where descent on (w1 ... w_depth - 1)^2/2 ends from w = (x, y, x, y, ...) beside the minimum of that level; the
    variable ``gap`` is 2/lr - sharpness, ``lr`` runs along ``run``.
    """
    lr = np.atleast_1d(np.asarray(lr, dtype=float))
    x, y = on_minima(depth / 2.0, np.broadcast_to(np.asarray(level, dtype=float), lr.shape), lr)
    blocks = {f"w{i + 1}": ("run", (1.0 + shift) * x if i % 2 == 0 else y) for i in range(depth)}
    result = ends(ScalarProduct(depth=depth), {"lr": ("run", lr)} | blocks, 10**8, stop=Stop(grad_norm=1e-9))
    return result.assign(gap=2.0 / result.lr - result.sharpness)


def spaced(num_steps: int, dense: int = 200, per_decade: int = 60) -> NDArray[np.int64]:
    """Every step up to ``dense``, then so many per decade; the last one included."""
    decades = np.log10(max(num_steps, dense) / dense)
    later = np.geomspace(dense, max(num_steps, dense), round(per_decade * decades) + 2)
    steps = np.concatenate([np.arange(min(dense, num_steps) + 1), np.round(later[later <= num_steps]), [num_steps]])
    return np.unique(steps).astype(np.int64)
