"""Figures of how a run comes down from above the edge: the flow's minimum, catapults, and two ratios of a step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from eosfast import GD, ScalarProduct, SingleNeuron, Stop, __version__, theory
from eosfast.papers.figure import BLACK, BLUE, GREEN, ORANGE, PAGE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# ---------------------------------------------------------------------------------------------- sharpness of the flow

FLOW_DEPTHS, FLOW_LR, FLOW_STEPS, FLOW_LEVEL = (2, 3, 4, 5), 0.1, 60_000, 2.4


def unbalanced(depth: int, sharpness: float) -> NDArray[np.float64]:
    """A point beside a minimum of (w1 ... w_depth - 1)^2/2, the flow from which ends at a minimum of this sharpness.

    Half of the factors, or one more, are small and set the sharpness; no two are equal.
    """
    small = (depth + 1) // 2
    tilt = 1.0 + 0.1 * np.arange(depth)
    low, high = 1.0, 1e3
    for _ in range(200):
        s = math.sqrt(low * high)
        w = tilt * np.where(np.arange(depth) < small, 1.0 / s, s ** (small / max(depth - small, 1)))
        w /= np.prod(w) ** (1.0 / depth)
        low, high = (s, high) if np.sum(1.0 / w**2) < sharpness else (low, s)
    return np.asarray(np.sqrt(w**2 - 0.1 * np.min(w) ** 2))  # the flow conserves differences of squares


def _flow_sharpness(progress: bool) -> xr.Dataset:
    import xarray as xr

    every = sim.spaced(FLOW_STEPS, dense=100, per_decade=150)
    loss, sharpness = np.empty((2, len(FLOW_DEPTHS), len(every)))
    for i, depth in enumerate(tracked(FLOW_DEPTHS, progress, "depths")):
        start = unbalanced(depth, FLOW_LEVEL / FLOW_LR)
        run = sim.path(ScalarProduct(depth=depth), start, FLOW_LR, FLOW_STEPS, every, ("loss", "gfs_sharpness"))
        loss[i], sharpness[i] = run.loss, run.gfs_sharpness
    variables = {
        "loss": (("depth", "step"), loss),
        "gfs_sharpness": (("depth", "step"), sharpness),
    }
    coords = {"depth": list(FLOW_DEPTHS), "step": every}
    return xr.Dataset(variables, coords, attrs={"lr": FLOW_LR, "eosfast_version": __version__})


def _draw_flow_sharpness(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    loss, sharpness = figure.subplots(1, 2)
    steps, lr = data.step + 1, data.attrs["lr"]
    for depth, colour in zip(FLOW_DEPTHS, (BLUE, VERMILION, GREEN, ORANGE), strict=True):
        run = data.sel(depth=depth)
        loss.plot(steps, run.loss, ".", color=colour, markersize=1.5)
        sharpness.plot(steps, lr * run.gfs_sharpness, color=colour, label=f"depth {depth}")
    loss.set(xlabel="step $t+1$", ylabel="loss", xscale="log", yscale="log", ylim=(1e-16, 30))
    mark_threshold(sharpness, 2.0)
    sharpness.set(
        xlabel="step $t+1$", ylabel=r"sharpness of the flow's minimum $\times\,\eta$", xscale="log", ylim=(0, 2.6)
    )
    sharpness.legend(loc="lower left")
    return figure


# ---------------------------------------------------------------------------------------------------------- catapults

WIDTH, OUTPUT = 1_000, 1.0
CATAPULTS = (1.5, 2.2, 3.0, 3.8)


def catapult_start(
    level: NDArray[np.float64] | float, lr: float, n: float, f: float
) -> tuple[NDArray[np.float64], ...]:
    """Weights of (w1 w2)^2/2 that stand for a network of width n with output f and ``lr * kernel = level``.

    Only w1 w2 = sqrt(n) f and w1^2 + w2^2 = n kernel matter; the step size becomes lr/n.
    """
    product, total = math.sqrt(n) * f, n * np.asarray(level, dtype=float) / lr
    plus, minus = np.sqrt(total + 2.0 * product), np.sqrt(total - 2.0 * product)
    return (plus + minus) / 2.0, (plus - minus) / 2.0


def catapult_ends(level: NDArray[np.float64], n: float = WIDTH, f: float = OUTPUT) -> xr.Dataset:
    """Step size times kernel at the end, ``level_end``, and ``status``, along ``level``, step size 1."""
    w1, w2 = catapult_start(level, 1.0, n, f)
    grid = {"w1": ("level", w1), "w2": ("level", w2)}
    runs = sim.ends(
        ScalarProduct(depth=2, target=0.0), grid, 10**6, ("sharpness", "max_loss"), optimizer=GD(lr=1.0 / n),
        stop=Stop(diverged=1e12 * n),
    )  # fmt: skip
    return runs.assign(level_end=runs.sharpness / n).assign_coords(level=level)


def _catapult(progress: bool) -> xr.Dataset:
    import xarray as xr

    fine = np.linspace(0.1, 3.99, 600)
    courses = []
    for level in tracked(CATAPULTS, progress, "step sizes"):
        w0 = np.array(catapult_start(level, 1.0, WIDTH, OUTPUT))
        run = sim.path(ScalarProduct(depth=2, target=0.0), w0, 1.0 / WIDTH, 40, stop=Stop(steady=False))
        courses.append((run.loss.values / WIDTH, np.sum(run.weights.values**2, axis=1) / WIDTH))
    variables = {
        "level_end": ("level", catapult_ends(fine).level_end.values),
        "loss": (("run", "step"), np.array([loss for loss, _ in courses])),
        "kernel": (("run", "step"), np.array([kernel for _, kernel in courses])),
    }
    coords = {"level": fine, "run": list(CATAPULTS), "step": np.arange(41)}
    return xr.Dataset(variables, coords, attrs={"n": WIDTH, "f0": OUTPUT, "eosfast_version": __version__})


def _draw_catapult(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    loss, kernel, end = figure.subplots(1, 3)
    for level, colour in zip(data.run.values, (SKY, BLUE, GREEN, VERMILION), strict=True):
        run = data.sel(run=level)
        loss.plot(run.step, run.loss, color=colour, label=rf"$\eta\lambda_0={level:g}$")
        kernel.plot(run.step, run.kernel, color=colour)
    loss.set(xlabel=label("step"), ylabel="loss $f^2/2$", yscale="log", ylim=(1e-8, 1e6))
    loss.legend(loc="upper right", ncols=2, columnspacing=1.0)
    mark_threshold(kernel, 2.0)
    kernel.set(xlabel=label("step"), ylabel=r"$\eta\,\lambda$", ylim=(0, 4.2))
    end.plot(data.level, data.level_end, color=BLACK, linewidth=0.8, label="measured")
    near = np.linspace(2.0, 2.8, 100)
    end.plot(near, 2.0 + theory.catapult_limit(near - 2.0), color=VERMILION, linestyle=(0, (4, 2)), label="law")
    mark_threshold(end, 2.0, axis="x")
    end.set(xlabel=r"$\eta\,\lambda_0$", ylabel=r"$\eta\,\lambda_\infty$", xlim=(0, 4), ylim=(0, 2.1))
    end.legend(loc="upper left", handlelength=1.0)
    return figure


# ---------------------------------------------------------------------------------------------- unstable convergence

RATIO_LR, RATIO_STEPS = 0.05, 12_000
RATIO_STARTS = {"stable": 1.4, "unstable": 2.6}


def ratios(lr: float, level: float, num_steps: int, every: int | NDArray[np.int64], grad_norm: float) -> xr.Dataset:
    """A run of sqrt(1 + (x y)^2) from x = 0.3 and lr y^2 = level with both ratios, until the gradient is so small.

    The relative progress divides a difference of losses near 1 by lr |gradient|^2: for less than 1e-6 rounding shows.
    """
    quantities = ("loss", "relative_progress", "directional_smoothness")
    stop = Stop(grad_norm=grad_norm, steady=False)
    return sim.path(SingleNeuron(loss="sqrt"), [0.3, math.sqrt(level / lr)], lr, num_steps, every, quantities, stop)


def _unstable_convergence(progress: bool) -> xr.Dataset:
    import xarray as xr

    variables = {}
    for name, level in tracked(list(RATIO_STARTS.items()), progress, "runs"):
        run = ratios(RATIO_LR, level, RATIO_STEPS, sim.spaced(RATIO_STEPS), 1e-5)
        variables[f"step_{name}"] = (f"record_{name}", run.step.values)
        for quantity in ("relative_progress", "directional_smoothness"):
            variables[f"{quantity}_{name}"] = (f"record_{name}", run[quantity].values)
    return xr.Dataset(variables, attrs={"lr": RATIO_LR, "eosfast_version": __version__})


def _draw_unstable_convergence(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.4), layout="constrained")
    progress, smoothness = figure.subplots(1, 2)
    for name, colour in zip(RATIO_STARTS, (BLUE, VERMILION), strict=True):
        steps = data[f"step_{name}"] + 1
        progress.plot(steps, data[f"relative_progress_{name}"], color=colour, label=f"{name} convergence")
        smoothness.plot(steps, data.attrs["lr"] * data[f"directional_smoothness_{name}"], color=colour)
    progress.axhline(0.0, color="0.7", linewidth=0.6, zorder=0)
    progress.set(xlabel="step $t+1$", ylabel="relative progress", xscale="log")
    progress.legend(loc="lower right")
    mark_threshold(smoothness, 2.0)
    smoothness.set(xlabel="step $t+1$", ylabel=r"directional smoothness $\times\,\eta$", xscale="log")
    return figure


FIGURES = (
    PaperFigure(
        "flow_sharpness",
        "Gradient descent on (w1 ... wn - 1)^2/2 from above the edge. Left: the loss, at some of the steps. Right:"
        " the sharpness of the minimum to which gradient flow would lead from each iterate never grows; it ends "
        "below 2/lr, close to it if several factors are small. After Kreisler et al. 2023.",
        _flow_sharpness,
        _draw_flow_sharpness,
    ),
    PaperFigure(
        "catapult",
        "A linear network with one hidden layer of width 1000 on one sample, output 1 at the start. Left and "
        "middle: loss and tangent kernel times step size. Right: where the kernel ends, and the law for starts a "
        "little above the edge; from 4 on runs diverge. After Lewkowycz et al. 2020.",
        _catapult,
        _draw_catapult,
    ),
    PaperFigure(
        "unstable_convergence",
        "sqrt(1 + (x y)^2), lr = 0.05, from below and from above the edge. Left: relative progress, the change of "
        "the loss in a step over lr |gradient|^2. Right: directional smoothness times the step size. At the edge "
        "they stay near 0 and 2. After Ahn, Zhang and Sra 2022.",
        _unstable_convergence,
        _draw_unstable_convergence,
    ),
)
