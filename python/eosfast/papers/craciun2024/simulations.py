"""The networks, starts and runs behind the figures and checks. Nothing here knows what the result ought to be.

A run converges when its loss falls to `ZERO_LOSS` and stays there (rounding would keep slow runs, next to the critical
step size, from reaching less than 1e-24). Runs that do not diverge are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast import GD, Dataset, LinearNetwork, Record, ScalarProduct, Stop, sweep, train
from eosfast.papers.runs import finished

if TYPE_CHECKING:
    import xarray as xr

    from eosfast.models import Model

ZERO_LOSS = 1e-20
UNTIL_FITTED = Stop(loss=ZERO_LOSS)
TARGET = ((2.0, 0.0), (0.0, 1.0))
"""The matrix that the networks with C = I shall become."""


def normal_starts(depth: int, num_runs: int, seed: int = 0) -> NDArray[np.float64]:
    """Starts (num_runs, depth) with all factors N(0, 1)."""
    return np.random.default_rng(seed).standard_normal((num_runs, depth))


def scalar_runs(
    depth: int,
    lrs: ArrayLike,
    starts: NDArray[np.float64],
    num_steps: int,
    measure: Sequence[str] = ("loss", "sharpness"),
    *,
    progress: bool = False,
) -> xr.Dataset:
    """Runs of `ScalarProduct` with target 1 at every step size from every start; dimensions (lr, run)."""
    factors = {f"w{k + 1}": ("run", column) for k, column in enumerate(starts.T)}
    grid = {"lr": np.atleast_1d(np.asarray(lrs, dtype=float)), **factors}
    model = ScalarProduct(depth=depth)
    runs = sweep(model, GD(), grid, num_steps=num_steps, measure=measure, stop=UNTIL_FITTED, progress=progress)
    return finished(runs)


def network_runs(
    model: Model, lrs: ArrayLike, num_runs: int, num_steps: int, measure: Sequence[str] = ("loss", "sharpness")
) -> xr.Dataset:
    """Runs of a network at every step size from the model's own starts, seeds 0, 1, ...; dimensions (lr, run).

    A run whose loss is small only because it passes a minimum that it cannot stay at goes on: in deep networks the top
    direction can have decayed to rounding before the sharpness rises above 2/lr, and regrows in thousands of steps.
    """
    grid = {"lr": np.atleast_1d(np.asarray(lrs, dtype=float)), "seed": ("run", np.arange(num_runs))}
    asked = tuple(dict.fromkeys([*measure, "loss", "sharpness"]))
    runs = finished(sweep(model, GD(), grid, num_steps=num_steps, measure=(*asked, "weights"), stop=UNTIL_FITTED))
    passing = ended(runs, "converged") & (runs.lr * runs.sharpness > 2.0)
    for i, j in np.argwhere(passing.values):
        one = late(model, runs.weights.values[i, j], float(runs.lr[i]), num_steps, 1, asked)
        for name in asked:
            runs[name].values[i, j] = one[name].values[-1]
        if not one.loss.values[-1] <= ZERO_LOSS:
            runs.status.values[i, j] = _code(runs, one.attrs["status"])
    return runs.drop_dims("parameter")


def _code(runs: xr.Dataset, status: str) -> int:
    place = runs.status.attrs["flag_meanings"].split().index(status)
    return int(runs.status.attrs["flag_values"][place])


def ended(runs: xr.Dataset, status: str) -> xr.DataArray:
    """Whether each run ended with this status."""
    is_it: xr.DataArray = runs.status == _code(runs, status)
    return is_it


def outcomes(runs: xr.Dataset) -> xr.Dataset:
    """For each step size the fractions ``converged`` and ``bounded`` (converged or not, but not diverged), and the
    smallest, median and largest lr times sharpness where runs converged, NaN if none did.
    """
    import xarray as xr

    converged = ended(runs, "converged")
    product = (runs.lr * runs.sharpness).where(converged)
    found = {
        "converged": converged.mean("run"),
        "bounded": 1.0 - ended(runs, "diverged").mean("run"),
        "least": product.min("run"),
        "median": product.median("run"),
        "largest": product.max("run"),
    }
    return xr.Dataset(found)


def matrix_network(hidden: Sequence[int]) -> LinearNetwork:
    """A linear network with C = I and the target `TARGET`."""
    return LinearNetwork((2, *hidden, 2), target=np.array(TARGET))


def random_network(widths: Sequence[int], n: int, seed: int) -> LinearNetwork:
    """A linear network on n Gaussian samples with stretched coordinates and exact labels, loss_scale = 1/n.

    Samples X_ij ~ N(0, 1), coordinate j scaled by 2^(-j/2); y = M x with Gaussian M, of mean square 1.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, widths[0])) * 2.0 ** (-0.5 * np.arange(widths[0]))
    Y = X @ rng.standard_normal((widths[-1], widths[0])).T
    Y /= np.sqrt(np.mean(Y**2))
    return LinearNetwork(tuple(widths), data=Dataset(X, Y), loss_scale=1.0 / n)


def bisected_lr(model: Model, num_runs: int, num_steps: int, ratio: float = 1.004) -> tuple[float, float]:
    """Step sizes, at most this ratio apart, of which the smaller lets some runs converge and the larger none."""

    def some_converge(lr: float) -> bool:
        return bool(ended(network_runs(model, lr, num_runs, num_steps, ("loss",)), "converged").any())

    first = 2.0 / float(model.sharpness(model.init(0)).values[0])
    lower = next((lr for lr in first * 0.5 ** np.arange(12) if some_converge(lr)), None)
    if lower is None:
        raise ValueError(f"num_steps must let some run converge, got {num_steps}")
    upper = 2.0 * lower
    while some_converge(upper):
        lower, upper = upper, 2.0 * upper
    while upper / lower > ratio:
        middle = float(np.sqrt(lower * upper))
        lower, upper = (middle, upper) if some_converge(middle) else (lower, middle)
    return lower, upper


def late(model: Model, w0: ArrayLike, lr: float, num_steps: int, last: int, quantities: tuple[str, ...]) -> xr.Dataset:
    """The ``last`` steps of one run."""
    record = Record(every=np.arange(num_steps - last + 1, num_steps + 1), quantities=quantities)
    return finished(train(model, w0, GD(lr=lr), num_steps=num_steps, record=record, stop=Stop()))
