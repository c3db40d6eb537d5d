"""The runs behind the figures and checks, as xarray Datasets. Nothing here knows what the result ought to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast import GD, MeanModel, Record, SingleNeuron, Stop, ThresholdNeuron, datasets, sweep, train
from eosfast.papers.runs import finished, tracked

if TYPE_CHECKING:
    import xarray as xr

DIM, SAMPLES, SIGNAL = 200, 300, 3.0  # the setting of the paper's figures 1 and 2
TEST_SEED = 10**6
END_TIME = 10.0  # num_steps * lr in figures 1 and 2
AT_REST = Stop(grad_norm=1e-5)
"""Ends a single-neuron run: the rest would change the gap 2/lr - sharpness by a fraction (lr s/delta)^2 < 1e-5."""


# ---------------------------------------------------------------------------------------------------- the single neuron


def start(lr: ArrayLike, level: ArrayLike, x_tilde: float) -> dict[str, NDArray[np.float64]]:
    """Start with ``lr*(y**2 - x**2) = level`` and ``x/sqrt(y**2 - x**2) = x_tilde``."""
    root = np.sqrt(np.asarray(level, dtype=float) / np.asarray(lr, dtype=float))
    return {"x": root * x_tilde, "y": root * math.hypot(1.0, x_tilde)}


def settled(
    model: SingleNeuron,
    lr: ArrayLike,
    level: ArrayLike,
    x_tilde: float,
    *,
    betas: ArrayLike | None = None,
    stop: Stop = AT_REST,
) -> xr.Dataset:
    """Sharpness at the limit from `start`, with ``gap = 2/lr - sharpness``; dimensions ([beta,] run), ``lr`` along
    ``run``.
    """
    w0 = start(lr, level, x_tilde)
    grid: dict[str, object] = {} if betas is None else {"beta": np.asarray(betas, dtype=float)}
    grid |= {
        "lr": ("run", np.broadcast_to(np.asarray(lr, dtype=float), w0["x"].shape)),
        "x": ("run", w0["x"]),
        "y": ("run", w0["y"]),
    }
    result = finished(sweep(model, GD(lr=1.0), grid, num_steps=10**9, measure=("sharpness",), stop=stop))
    return result.assign(gap=2.0 / result.lr - result.sharpness)


def regime_map(model: SingleNeuron, lr: ArrayLike, y0: ArrayLike, x0: float, num_steps: int) -> xr.Dataset:
    """Final sharpness over (lr, y); each run lasts until it rests or ``num_steps`` are done."""
    grid = {"lr": np.asarray(lr, dtype=float), "y": np.asarray(y0, dtype=float)}
    return finished(
        sweep(
            model,
            GD(lr=1.0),
            grid,
            w0={"x": x0},
            num_steps=num_steps,
            measure=("sharpness",),
            stop=Stop(grad_norm=1e-4),
        )
    )


def neuron_path(model: SingleNeuron, lr: float, w0: dict[str, float], num_steps: int) -> xr.Dataset:
    """One run with its loss, sharpness and weights at every step."""
    record = Record(quantities=("loss", "sharpness", "weights"))
    return finished(train(model, w0, GD(lr=lr), num_steps=num_steps, record=record))


# ------------------------------------------------------------------------------------------------------- the mean model


def mean_model_limit(d: int, lr: ArrayLike, A0: ArrayLike) -> xr.Dataset:
    """Final bias ``b`` of the mean model from A = d (a_minus + a_plus) = A0 and b = 0; dimensions (lr, A0)."""
    half = np.asarray(A0, dtype=float) / (2.0 * d)  # only the sum of the two a's matters
    grid = {"lr": np.asarray(lr, dtype=float), "a_minus": ("A0", half), "a_plus": ("A0", half)}
    result = sweep(
        MeanModel(d=d),
        GD(lr=1.0),
        grid,
        w0={"b": 0.0},
        num_steps=10**8,
        measure=("weights",),
        stop=Stop(grad_norm=1e-13),
    )
    result = finished(result).assign_coords(A0=np.asarray(A0, dtype=float))
    return result.assign(b=result.weights.sel(parameter="b", drop=True)).drop_vars(["weights", "parameter"])


# ----------------------------------------------------------------------------------------------------- the ReLU network


def draw(seed: int) -> tuple[ThresholdNeuron, NDArray[np.float64]]:
    """The network on its own 300 samples, and its start: a_minus, a_plus ~ N(0, 1/(2 d)), b = 0.

    Samples and start come from one generator, in this order, so that they are independent for every seed.
    """
    data = datasets.sparse_coding(SAMPLES, DIM, SIGNAL, seed=seed)
    rng = np.random.default_rng(seed)
    rng.integers(2, size=SAMPLES), rng.integers(DIM, size=SAMPLES), rng.standard_normal((SAMPLES, DIM))  # the samples
    return ThresholdNeuron(data), np.append(rng.normal(0.0, math.sqrt(1.0 / (2.0 * DIM)), size=2), 0.0)


def final_bias(
    lrs: Sequence[float], seeds: Sequence[int], *, test_samples: int = 0, progress: bool = False
) -> xr.Dataset:
    """Final bias ``b`` and test ``accuracy`` at time ``num_steps*lr = END_TIME``; dimensions (lr, seed).

    Every seed keeps its samples and its start at all step sizes. The test samples are the same for all; without any,
    no accuracy.
    """
    import xarray as xr

    models, starts = zip(*(draw(seed) for seed in seeds), strict=True)
    grid = {"model": ("run", list(models))} | {
        name: ("run", column) for name, column in zip(("a_minus", "a_plus", "b"), np.transpose(starts), strict=True)
    }
    test = datasets.sparse_coding(test_samples, DIM, SIGNAL, seed=TEST_SEED) if test_samples else None
    weights = np.empty((len(lrs), len(models), 3))
    accuracy = np.full((len(lrs), len(models)), np.nan)
    for i, lr in enumerate(tracked(lrs, progress, "step sizes")):
        num_steps = round(END_TIME / lr)
        result = finished(sweep(models[0], GD(lr=lr), grid, num_steps=num_steps, measure=("weights",)))
        weights[i] = result.weights.values
        if test is not None:
            accuracy[i] = [model.accuracy(w, test) for model, w in zip(models, weights[i], strict=True)]
    dims = ("lr", "seed")
    variables = {"b": (dims, weights[:, :, 2])} | ({"accuracy": (dims, accuracy)} if test is not None else {})
    return xr.Dataset(variables, coords={"lr": np.asarray(lrs, dtype=float), "seed": list(seeds)})


def training_curves(
    model: ThresholdNeuron | MeanModel,
    lr: float,
    w0: ArrayLike,
    time: float = END_TIME,
    quantities: tuple[str, ...] = ("loss", "weights"),
    *,
    every: int = 1,
) -> xr.Dataset:
    """One run to ``time``: ``b``, ``A = d*(a_minus + a_plus)`` and the other quantities against the coordinate ``time
    = lr*step``.
    """
    d = model.d if isinstance(model, MeanModel) else model.data.d
    record = Record(every=every, quantities=quantities)
    run = finished(train(model, np.asarray(w0), GD(lr=lr), num_steps=round(time / lr), record=record))
    w = run.weights
    A = d * (w.sel(parameter="a_minus", drop=True) + w.sel(parameter="a_plus", drop=True))
    run = run.assign(A=A, b=w.sel(parameter="b", drop=True)).drop_vars(["weights", "parameter"])
    return run.assign_coords(time=("step", lr * run.step.values))
