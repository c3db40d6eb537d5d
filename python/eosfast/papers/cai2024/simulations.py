"""The networks, starts and runs behind the figures and checks. Nothing here knows what the result ought to be.

Step sizes are those that `GD` takes, eta~ in the paper; with its eta = lr/width they are m eta.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast import GD, Dataset, Leaky, Record, Stop, TwoLayerNetwork, datasets, theory, train
from eosfast.papers.runs import finished, tracked

if TYPE_CHECKING:
    import xarray as xr

    from eosfast import LogisticRegression
    from eosfast.models import Model

    Classifier = TwoLayerNetwork | LogisticRegression

LEAKY = 0.125
"""k of ``u/2 + k softplus(u)`` in the paper's example 3.1 with c = 1/2, its figure 2."""
HALF = 0.5
"""k in its figure 4, ``(u + softplus(u))/2``."""

ON_AND_ON = Stop(diverged=np.inf, steady=False)
"""No run here diverges for good, and late losses are too small to lose."""


def leaky(data: Dataset, k: float, width: int, c: float = 0.5) -> TwoLayerNetwork:
    """The paper's network: ``f = (1/width) sum_j +-(c u_j + k softplus(u_j))``, u_j = w_j.x, first layer trained."""
    return TwoLayerNetwork(data, width, activation=Leaky("softplus", c, k))


def normal_start(width: int, d: int, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """W ~ N(0, 1), drawn row by row."""
    return {"W": np.random.default_rng(seed).standard_normal((width, d))}


def circle(width: int) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """Start on the unit circle, ``w_j = (cos, sin)(2 pi j/width)``, and output weights that alternate +1, -1."""
    angle = 2.0 * np.pi * np.arange(width) / width
    return {"W": np.column_stack([np.cos(angle), np.sin(angle)])}, np.where(np.arange(width) % 2 == 0, 1.0, -1.0)


def five_points() -> Dataset:
    """The five points of the paper's figure 4, with the max-margin direction (1, 0, 0) and margin 0.05."""
    X = [[0.05, 1.0, 2.0], [0.05, -2.0, 1.0], [-1.0, 0.0, 2.0], [0.05, -2.0, -2.0], [0.05, 1.0, -2.0]]
    return Dataset(X, [1.0, 1.0, -1.0, 1.0, 1.0])


def separable(seed: int, n: int = 10, d: int = 5) -> Dataset:
    """Gaussian samples with the labels of a random direction, scaled into the unit ball."""
    rng = np.random.default_rng(seed)
    X, direction = rng.standard_normal((n, d)), rng.standard_normal(d)
    return Dataset(X / np.max(np.linalg.norm(X, axis=1)), np.where(X @ direction > 0.0, 1.0, -1.0))


def split(data: Dataset, num_test: int, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Training and test samples, drawn without replacement."""
    order = np.random.default_rng(seed).permutation(data.n)
    train_rows, test_rows = order[num_test:], order[:num_test]
    return Dataset(data.X[train_rows], data.y[train_rows]), Dataset(data.X[test_rows], data.y[test_rows])


def in_unit_ball(data: Dataset) -> Dataset:
    """The samples divided by the largest norm among them."""
    return Dataset(data.X / np.max(np.linalg.norm(data.X, axis=1)), data.y)


def two_classes(data: Dataset | None) -> tuple[Dataset, Dataset, str]:
    """Training samples, test samples and their name: of the given data, or of the digits 3 and 8."""
    whole = datasets.digits((3, 8)) if data is None else data
    name = "digits 3 and 8" if data is None else "CIFAR-10, two classes"
    training, test = split(in_unit_ball(whole), whole.n // 3)
    return training, test, name


def flipped(data: Dataset, fraction: float, seed: int = 0) -> Dataset:
    """The same samples, a fraction of the labels wrong."""
    y = data.y.copy()
    wrong = np.random.default_rng(seed).permutation(data.n)[: round(fraction * data.n)]
    y[wrong] *= -1.0
    return Dataset(data.X, y)


def spaced(num_steps: int, dense: int = 200, per_decade: int = 40) -> NDArray[np.int64]:
    """Every step up to ``dense``, then so many per decade; the last one included."""
    first = np.arange(min(dense, num_steps) + 1)
    decades = np.log10(max(num_steps, dense) / dense)
    later = np.geomspace(dense, max(num_steps, dense), round(per_decade * decades) + 2)
    return np.unique(np.concatenate([first, np.round(later[later <= num_steps]), [num_steps]])).astype(np.int64)


def run(
    model: Model,
    w0: ArrayLike | dict[str, NDArray[np.float64]] | None,
    lr: float,
    num_steps: int,
    every: int | str | ArrayLike = 1,
    quantities: tuple[str, ...] = ("loss",),
    stop: Stop = ON_AND_ON,
) -> xr.Dataset:
    """One run of gradient descent, recorded."""
    steps = every if isinstance(every, int | str) else np.asarray(every, dtype=np.int64)
    record = Record(every=steps, quantities=quantities)
    return finished(train(model, w0, GD(lr=lr), num_steps=num_steps, record=record, stop=stop))


def at_step_sizes(
    model: Classifier,
    w0: ArrayLike | dict[str, NDArray[np.float64]] | None,
    lrs: Sequence[float],
    num_steps: int,
    *,
    test: Dataset | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Loss and margin (none from w0 = 0) of runs from one start, dimensions (lr, step), recorded at `spaced` steps.

    ``below_4`` is the first recorded step at which the loss is below the monotone threshold, -1 if none; ``W`` are the
    last weights. With a test set also ``accuracy`` on it.
    """
    import xarray as xr

    every = spaced(num_steps)
    quantities = ("loss", "weights") if np.all(np.asarray(w0) == 0.0) else ("loss", "margin", "weights")
    runs = []
    for lr in tracked(lrs, progress, "step sizes"):
        one = run(model, w0, lr, num_steps, every, quantities)
        below = one.loss.values <= monotone_threshold(model, lr)
        one["below_4"] = xr.Variable((), int(one.step.values[np.argmax(below)]) if below.any() else -1)
        if test is not None:
            one["accuracy"] = xr.Variable("step", [model.accuracy(w, test) for w in one.weights.values])
        one["W"] = one.weights.isel(step=-1, drop=True)
        runs.append(one.drop_vars("weights"))
    lr_axis = xr.Variable("lr", np.asarray(lrs, dtype=float))
    return xr.concat(runs, dim=lr_axis, combine_attrs="drop", join="exact")


def monotone_threshold(model: Classifier, lr: float) -> float:
    """Loss below which the run cannot oscillate any more, (4) of the paper."""
    return float(theory.monotone_threshold(lr, constants(model)))


def constants(model: Classifier) -> theory.Constants:
    """Constants of assumption 1; those of a linear predictor are (radius, 0, 0)."""
    if isinstance(model, TwoLayerNetwork):
        return theory.network_constants(model)
    return theory.Constants(float(np.max(np.linalg.norm(model.data.X, axis=1))), 0.0, 0.0)


def separable_network(seed: int, width: int = 8) -> tuple[TwoLayerNetwork, dict[str, NDArray[np.float64]]]:
    """A network on ten separable samples in the unit ball of R^5, and its start."""
    return leaky(separable(seed), HALF, width), normal_start(width, 5, seed)
