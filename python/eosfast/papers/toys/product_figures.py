"""Figures of losses of a product: where the sharpness ends, alignment, the flow's minimum, catapults, two ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast import Scalar1D, ScalarProduct, SingleNeuron, __version__, theory
from eosfast.papers.figure import BLACK, BLUE, GREEN, ORANGE, PAGE, PURPLE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# -------------------------------------------------------------------------------------------------------- minimalist

DEPTHS = (4, 6, 8)
LEVELS = (2.2, 2.6, 3.2)
MINIMALIST_LR, MINIMALIST_STEPS = 0.05, 8_000


def edge_run(depth: int, level: float, lr: float, num_steps: int) -> xr.Dataset:
    """A run of (w1 ... w_depth - 1)^2/2 from w = (x, y, x, y, ...) beside the minimum with ``lr*sharpness = level``."""
    x, y = sim.on_minima(depth / 2.0, level, lr)
    return sim.path(ScalarProduct(depth=depth), np.tile([1.01 * x, y], depth // 2), lr, num_steps)


def _minimalist(progress: bool) -> xr.Dataset:
    import xarray as xr

    every = sim.spaced(MINIMALIST_STEPS)
    lr = np.geomspace(0.01, 0.2, 12)
    sharpness = np.empty((2, len(LEVELS), len(every)))
    for i, depth in enumerate(tracked((4, 2), progress, "networks")):
        for j, level in enumerate(LEVELS):
            w = edge_run(depth, level, MINIMALIST_LR, MINIMALIST_STEPS).weights.values
            sharpness[i, j] = theory.product_flow_sharpness(w[every])
            if (depth, level) == (4, LEVELS[0]):
                trajectory = w[:, :2]
    gaps = np.array([sim.paired_ends(depth, lr).gap.values for depth in tracked(DEPTHS, progress, "depths")])
    variables = {
        "level": (("network", "start", "step"), MINIMALIST_LR * sharpness),
        "trajectory": (("every_step", "parameter"), trajectory),
        "gap": (("depth", "lr"), gaps),
    }
    coords = {"network": [4, 2], "start": list(LEVELS), "step": every, "depth": list(DEPTHS), "lr": lr}
    return xr.Dataset(variables, coords, attrs={"lr_of_runs": MINIMALIST_LR, "eosfast_version": __version__})


def _draw_minimalist(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    plane, course, law = figure.subplots(1, 3)
    x, y = data.trajectory.values.T
    for parity, colour, name in ((0, BLUE, "even $t$"), (1, VERMILION, "odd $t$")):
        plane.plot(x[parity::2], y[parity::2], ".", color=colour, markersize=2.0, label=name, rasterized=True)
    low, high = 0.995 * y.min(), 1.01 * y.max()
    valley = np.linspace(low, high, 100)
    plane.plot(1.0 / valley, valley, color=BLACK, linewidth=0.8)
    plane.legend(loc="upper left", bbox_to_anchor=(0.18, 0.8), markerscale=3)
    edge = sim.on_minima(2.0, 2.0, data.attrs["lr_of_runs"])[1]
    plane.axhline(edge, color="0.25", linestyle=(0, (4, 2)), linewidth=1.0)
    plane.annotate(
        r"sharpness $2/\eta$", (x.min(), edge), xytext=(0, 2), textcoords="offset points", fontsize="small", va="bottom"
    )
    plane.set(xlabel="$x$", ylabel="$y$", ylim=(low, high), title=r"$(x^2y^2-1)^2/4$")
    for i, colours in enumerate(((SKY, BLUE, BLACK), (ORANGE, VERMILION, PURPLE))):
        for j, colour in enumerate(colours):
            title = {0: r"$(x^2y^2-1)^2/4$", 1: "$(xy-1)^2/2$"}[i] if j == 1 else None
            course.plot(data.step + 1, data.level[i, j], color=colour, label=title, linewidth=0.9)
    mark_threshold(course, 2.0)
    course.set(
        xlabel="step $t+1$", ylabel=r"sharpness of the flow's minimum $\times\,\eta$", xscale="log", ylim=(0, 3.4)
    )
    course.legend(loc="lower right", bbox_to_anchor=(1.0, 0.06))
    for depth, colour, marker in zip(DEPTHS, (BLUE, VERMILION, GREEN), "osv", strict=True):
        constant = float(theory.paired_edge_gap(1.0, depth))
        law.axhline(constant, color=colour, linewidth=0.9)
        law.plot(data.lr, data.gap.sel(depth=depth) / data.lr, marker, color=colour, label=f"depth {depth}")
    law.set(xlabel=label("lr"), ylabel=r"gap $(2/\eta-\lambda_{\max})\,/\,\eta$", xscale="log", ylim=(0, 0.58))
    law.legend(loc="lower left")
    return figure


# --------------------------------------------------------------------------------------------------------- alignment

ALIGN_LR, ALIGN_STEPS = 0.125, 4_000
ALIGN_Y = (4.3, 4.8, 5.4, 6.1, 7.0)
BOUNCING = (("sqrt", r"$\sqrt{1+x^2}$", BLUE), ("logcosh", r"$\log\cosh x$", VERMILION), ("huber", "Huber", GREEN))


def _alignment(progress: bool) -> xr.Dataset:
    import xarray as xr

    lr = np.linspace(1.63, 4.0, 40)
    cycles = []
    for loss, _, _ in tracked(BOUNCING, progress, "losses"):
        two = [
            sim.ends(Scalar1D(loss=loss), {"lr": lr}, 20_000 + k, ("weights",), w0={"x": 0.7}).weights for k in (0, 1)
        ]
        cycles.append([np.abs(w.values[:, 0]) for w in two])
    model = SingleNeuron(loss="logcosh")
    runs = [sim.path(model, [0.4, y], ALIGN_LR, ALIGN_STEPS) for y in ALIGN_Y]
    weights = np.array([run.weights.values for run in runs])
    variables = {
        "amplitude": (("loss", "parity", "lr"), np.array(cycles)),
        "p": (("start", "step"), weights[..., 0] * weights[..., 1]),
        "q": (("start", "step"), 2.0 / (ALIGN_LR * weights[..., 1] ** 2)),
        "sharpness": (("start", "step"), np.array([run.sharpness.values for run in runs])),
    }
    coords = {"lr": lr, "loss": [row[0] for row in BOUNCING], "start": list(ALIGN_Y), "step": runs[0].step.values}
    return xr.Dataset(variables, coords, attrs={"lr_of_runs": ALIGN_LR, "x0": 0.4, "eosfast_version": __version__})


def _draw_alignment(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    cycle, plane, course = figure.subplots(1, 3)
    fine = np.linspace(1.6, 4.0, 300)
    for loss, name, colour in BOUNCING:
        measured = data.amplitude.sel(loss=loss)
        cycle.plot(fine, theory.oscillation_envelope(fine, 1.0, loss), color=colour, linewidth=0.9)
        mean = measured.mean("parity")
        cycle.plot(data.lr, mean, "o", color=colour, markersize=2.5, label=name)
    cycle.set(xlabel=label("lr"), ylabel=r"2-cycle $|x|$, one dimension", xlim=(1.6, 4.0), ylim=(-0.05, 2.6))
    cycle.legend(loc="upper left")
    colours = (SKY, BLUE, GREEN, ORANGE, PURPLE)
    p = np.linspace(-3.2, 3.2, 400)
    for colour, start in zip(colours, data.start.values, strict=True):
        run = data.sel(start=start)
        plane.plot(run.p, run.q, ".", color=colour, markersize=1.5, zorder=1)
        plane.plot(run.p[0], run.q[0], "o", color=colour, markersize=4.5, markeredgecolor=BLACK, markeredgewidth=0.5)
        course.plot(run.step + 1, run.sharpness, color=colour, linewidth=0.9)
    curve = np.where(p == 0.0, 1.0, np.tanh(p) / np.where(p == 0.0, 1.0, p))
    plane.plot(p, curve, color=BLACK, linewidth=0.9, label=r"$q=\ell'(p)/p$")
    plane.set(xlabel="$p=xy$", ylabel=r"$q=2/(\eta y^2)$", xlim=(-3.3, 3.3), ylim=(0.25, 1.12))
    plane.legend(loc="upper right")
    mark_threshold(course, 2.0 / data.attrs["lr_of_runs"], r"$2/\eta$")
    course.set(xlabel="step $t+1$", ylabel=label("sharpness"), xscale="log", ylim=(0, 20))
    return figure


FIGURES = (
    PaperFigure(
        "minimalist",
        "Where the sharpness of (w1 ... wn - 1)^2/2 ends when equal factors come in pairs, so that x and y remain."
        " Left: a run of depth 4 bounces across the valley until the sharpness there is below 2/lr. Middle: "
        "sharpness of the minimum to which gradient flow would lead, from three starts; (x y - 1)^2/2 ends well "
        "below the edge. Right: the gap 2/lr - sharpness over lr, and its law. After Zhu et al. 2022.",
        _minimalist,
        _draw_minimalist,
    ),
    PaperFigure(
        "alignment",
        "Sub-quadratic losses. Left: |x| on the 2-cycle in one dimension (symbols) and the root of l'(x)/x = 2/lr "
        "(lines); mean of two consecutive steps, for Huber's loss fixes only that. Middle and right: log cosh(x "
        "y), lr = 1/8; runs from five starts (circles) align on one curve and end at the same sharpness. After Ma "
        "et al. 2022 and Song and Yun 2023.",
        _alignment,
        _draw_alignment,
    ),
)
