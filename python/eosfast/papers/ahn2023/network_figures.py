"""Figures of the ReLU network and its mean model: figures 1 and 2 of the paper, and how long the mean model describes
the network.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast import MeanModel, __version__, plotting, theory
from eosfast.papers.figure import BLACK, BLUE, GREEN, PAGE, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EDGE = float(theory.edge_lr(sim.DIM))
EDGE_NAME = r"$8\pi/d^2$"
SMALL, MEDIUM, LARGE = 2.5e-5, 2.5e-4, 2.5e-3  # step sizes of figure 2
MEAN_MODEL_LINE: dict[str, Any] = {"color": BLACK, "linestyle": (0, (3, 1.5)), "linewidth": 0.9, "zorder": 4}


def _setting(**more: Any) -> dict[str, Any]:
    """Attributes that every data file carries."""
    return {"d": sim.DIM, "n": sim.SAMPLES, "signal": sim.SIGNAL, "eosfast_version": __version__} | more


def _power_of_ten(value: float) -> str:
    exponent = math.floor(math.log10(value))
    return rf"{value / 10.0**exponent:.2g}\times10^{{{exponent}}}"


# ------------------------------------------------------------------------------------------------------------- figure 1


def _transition(progress: bool) -> xr.Dataset:
    lrs = 2.5e-5 * np.r_[4:24:2, 24:32, 32:60:2, 60:481:20]  # finer towards the edge
    data = sim.final_bias(list(lrs), range(10), test_samples=20_000, progress=progress)
    return data.assign_attrs(_setting(edge_lr=EDGE, time=sim.END_TIME, test_samples=20_000))


def _draw_transition(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.7), layout="constrained")
    data = data.assign(percent=100.0 * data.accuracy).assign_coords(lr=1e3 * data.lr)
    bias, accuracy = figure.subplots(1, 2)
    for ax, name, text, limits, inset in (
        (bias, "b", "final bias $b$", (-2.0, 0.05), (0.47, 0.56, 0.51, 0.43)),
        (accuracy, "percent", r"test accuracy (%)", (49.0, 74.0), (0.47, 0.11, 0.51, 0.40)),
    ):
        zoom = ax.inset_axes(inset)
        for part, last in ((ax, 12.0), (zoom, 1.5)):
            plotting.measure(data.sel(lr=slice(0, last)), name, part, x="lr", color=BLUE, label="mean")
            mark_threshold(part, 1e3 * EDGE, EDGE_NAME, axis="x")
            part.set(xlabel=r"step size $\eta$ ($10^{-3}$)", ylabel=text, xlim=(0.0, last))
            part.locator_params(axis="y", nbins=5)
        ax.set_ylim(limits)
        zoom.set(xlabel="", ylabel="")
        zoom.tick_params(labelsize=7)
    bias.plot([], [], color=BLUE, alpha=0.3, linewidth=0.5, label=f"{data.sizes['seed']} seeds")
    bias.legend(loc="lower left", bbox_to_anchor=(0.08, 0.0))
    return figure


# ------------------------------------------------------------------------------------------------------------- figure 2


def _three_step_sizes(progress: bool) -> xr.Dataset:
    import xarray as xr

    model, w0 = sim.draw(seed=0)
    runs = []
    for lr in tracked((SMALL, MEDIUM, LARGE), progress, "step sizes"):
        run = sim.training_curves(model, lr, w0, every=round(LARGE / lr))
        runs.append(
            run.swap_dims(step="time").drop_vars("step").assign_coords(time=LARGE * np.arange(run.sizes["step"]))
        )
    data = xr.concat(runs, dim=xr.Variable("lr", [SMALL, MEDIUM, LARGE]), combine_attrs="drop", join="exact")
    return data.assign_attrs(_setting(seed=0))


def _draw_three_step_sizes(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.2), layout="constrained")
    panels = figure.subplots(1, 3)
    for ax, name, text in zip(
        panels, ("b", "loss", "A"), ("bias $b$", "training loss", r"$d\,(a^-+a^+)$"), strict=True
    ):
        for lr, colour, width in ((LARGE, VERMILION, 0.7), (MEDIUM, BLUE, 2.2), (SMALL, BLACK, 0.8)):
            run = data.sel(lr=lr)
            ax.plot(run.time[1:], run[name][1:], color=colour, linewidth=width, label=rf"$\eta={_power_of_ten(lr)}$")
        ax.set(xlabel=label("time"), ylabel=text, xscale="log", xlim=(LARGE, sim.END_TIME))
    panels[1].set_ylim(0.0, None)
    panels[0].legend(
        loc="lower left",
        title=rf"edge at {EDGE_NAME}$={_power_of_ten(EDGE)}$",
        title_fontsize="small",
        alignment="left",
    )
    return figure


# ----------------------------------------------------------------------------------------------- mean model and network


def _mean_model(progress: bool) -> xr.Dataset:
    import xarray as xr

    seeds, lrs = [0, 1, 2], [MEDIUM, LARGE]
    runs = []
    for seed in tracked(seeds, progress, "seeds"):
        network, w0 = sim.draw(seed)
        for lr in lrs:
            for name, model in (("network", network), ("mean model", MeanModel(d=sim.DIM))):
                run = sim.training_curves(model, lr, w0, quantities=("weights",), every=round(LARGE / lr))
                run = (
                    run.swap_dims(step="time")
                    .drop_vars("step")
                    .assign_coords(time=LARGE * np.arange(run.sizes["step"]))
                )
                runs.append(run.expand_dims(lr=[lr], model=[name], seed=[seed]))
    data = xr.combine_by_coords(runs, combine_attrs="drop", join="outer")
    assert isinstance(data, xr.Dataset)  # for the type checker: Datasets were combined
    return data.assign_attrs(_setting(edge_lr=EDGE))


def _draw_mean_model(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for lr, colour in ((MEDIUM, BLUE), (LARGE, VERMILION)):
        for seed in data.seed.values:
            run = data.sel(lr=lr, seed=seed)
            text = rf"$\eta={_power_of_ten(lr)}$" if seed == data.seed[0] else None
            left.plot(data.time[1:], run.b.sel(model="network")[1:], color=colour, linewidth=1.0, label=text)
            left.plot(data.time[1:], run.b.sel(model="mean model")[1:], **MEAN_MODEL_LINE)
    left.plot([], [], **MEAN_MODEL_LINE, label="mean model")
    left.set(xlabel=label("time"), ylabel=label("b"), xscale="log", xlim=(LARGE, sim.END_TIME))
    left.legend(loc="lower left")
    edge = float(theory.edge_bias(LARGE, sim.DIM))
    mark_threshold(left, edge, r"$g^{-1}(2/d\sqrt{\eta})$")
    _draw_amplitude(right, data.sel(lr=LARGE))
    return figure


def _draw_amplitude(ax: Axes, data: xr.Dataset) -> None:
    """Mean of two consecutive |A| against b, for the initial phase, with the envelope that quasi-static oscillation
    predicts.
    """
    data = data.sel(time=slice(0.0, 0.75))
    size = abs(data.A)
    size = ((size + size.shift(time=-1)) / 2.0).sel(time=slice(5 * LARGE, None))
    b = np.linspace(float(theory.edge_bias(LARGE, sim.DIM)), 0.0, 300)
    ax.plot(
        b,
        theory.output_envelope(LARGE, sim.DIM, b),
        color=GREEN,
        linewidth=3.5,
        alpha=0.6,
        label="quasi-static envelope",
    )
    for name, style in (("network", {"color": VERMILION, "linewidth": 0.9}), ("mean model", MEAN_MODEL_LINE)):
        for seed in data.seed.values:
            run = {"seed": seed, "model": name}
            ax.plot(
                data.b.sel(run).reindex_like(size), size.sel(run), **style, label=name if seed == data.seed[0] else None
            )
    ax.set(xlabel=label("b"), ylabel=r"amplitude of $d\,(a^-+a^+)$", xlim=(-0.53, 0.0), ylim=(0, None))
    ax.locator_params(axis="y", nbins=5)
    ax.legend(loc="lower right", title=rf"$\eta={_power_of_ten(LARGE)}$", title_fontsize="small", alignment="left")


FIGURES = (
    PaperFigure(
        "fig1",
        "Final bias and test accuracy of the ReLU network against the step size at lr * num_steps = 10, for ten "
        "draws of the data and the start (faint) and their mean. A threshold is learned only above 8 pi / d^2. "
        "After figure 1 of Ahn et al. 2023.",
        _transition,
        _draw_transition,
    ),
    PaperFigure(
        "fig2",
        "Bias, training loss and d (a_minus + a_plus) of the ReLU network against time lr * step at three step "
        "sizes. Only the largest, above 8 pi / d^2, oscillates and learns the bias quickly. After figure 2 of Ahn "
        "et al. 2023.",
        _three_step_sizes,
        _draw_three_step_sizes,
    ),
    PaperFigure(
        "mean_model",
        "Left: bias of the network (three seeds) and of the mean model from the same starts, below and above the "
        "edge. Right: size of the oscillation against the bias above the edge, with the quasi-static envelope.",
        _mean_model,
        _draw_mean_model,
    ),
)
