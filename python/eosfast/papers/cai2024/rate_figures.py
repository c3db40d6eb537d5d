"""Figures of the loss, its rate lr t L and the margin at several step sizes: on XOR, on real data and on a toy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from eosfast import Dataset, LogisticRegression, __version__, datasets, theory
from eosfast.papers.figure import BLACK, BLUE, ORANGE, PAGE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLACK, SKY, BLUE, ORANGE, VERMILION)  # from the smallest step size to the largest


def _name(lr: float) -> str:
    exponent = round(math.log10(lr))
    return rf"$\eta=10^{exponent}$" if lr == 10.0**exponent and exponent > 3 else rf"$\eta={lr:g}$"


def _draw_loss(ax: Axes, data: xr.Dataset, texts: Sequence[str]) -> None:
    """Loss against t + 1, with a dot where it has fallen below the threshold of its step size."""
    for k, text in enumerate(texts):
        run = data.isel(lr=k)
        ax.plot(run.step + 1, run.loss, color=COLOURS[k], linewidth=1.0, label=text)
        below = int(run.below_4)
        if below >= 0:
            ax.plot([below + 1], run.loss.sel(step=[below]), "o", color=COLOURS[k], markersize=4, zorder=4)
    ax.set(xlabel="step $t+1$", ylabel="loss $L$", xscale="log", yscale="log", xlim=(1, data.step[-1]))


def _draw_rate(ax: Axes, data: xr.Dataset) -> None:
    """``lr t L`` against t, with its limit where one is known."""
    for k, lr in enumerate(data.lr.values):
        run = data.isel(lr=k, step=slice(1, None))
        ax.plot(run.step, lr * run.step * run.loss, color=COLOURS[k], linewidth=1.0)
    ax.set(xlabel=label("step"), ylabel=r"$\eta\,t\,L$", xscale="log", yscale="log", xlim=(1, data.step[-1]))


def _draw_margin(ax: Axes, data: xr.Dataset) -> None:
    """Normalised margin against t, with a dot where the loss has fallen below its threshold."""
    for k in range(data.sizes["lr"]):
        run = data.isel(lr=k)
        ax.plot(run.step + 1, run.margin, color=COLOURS[k], linewidth=1.0)
        below = int(run.below_4)
        if below >= 0:
            ax.plot([below + 1], run.margin.sel(step=[below]), "o", color=COLOURS[k], markersize=4, zorder=4)
    ax.axhline(0.0, color="0.7", linewidth=0.6, zorder=0)
    ax.set(xlabel="step $t+1$", ylabel="normalised margin", xscale="log", xlim=(1, data.step[-1]))


# ------------------------------------------------------------------------------------------------------------------ XOR

XOR_WIDTH, XOR_STEPS = 20, 10**6
XOR_LRS = {sim.LEAKY: (100.0, 500.0, 1_000.0, 3_000.0), sim.HALF: (30.0, 300.0, 700.0, 1_500.0)}
FRACTIONS = {sim.LEAKY: r"\frac{1}{8}", sim.HALF: r"\frac{1}{2}"}


def _xor(progress: bool) -> xr.Dataset:
    import xarray as xr

    data, rows = datasets.xor(), []
    for k in tracked(list(XOR_LRS), progress, "activations"):
        model = sim.leaky(data, k, XOR_WIDTH)
        row = sim.at_step_sizes(model, sim.normal_start(XOR_WIDTH, 2), XOR_LRS[k], XOR_STEPS, progress=progress)
        a = np.repeat([1.0, -1.0], XOR_WIDTH // 2)
        counts = [theory.xor_counts(W.reshape(XOR_WIDTH, 2), a, data.X, data.y) for W in row.W.values]
        row["limit"] = xr.Variable("lr", [theory.xor_rate(one, k) for one in counts])
        row["counts"] = xr.Variable(("lr", "sample"), np.array(counts))
        row = row.drop_dims("parameter").rename(lr="run").drop_vars("run")
        rows.append(row.assign_coords(lr=("run", list(XOR_LRS[k]))))
    data_of_k = xr.concat(rows, dim=xr.Variable("k", list(XOR_LRS)), combine_attrs="drop", join="exact", coords=["lr"])
    return data_of_k.assign_attrs(width=XOR_WIDTH, c=0.5, seed=0, eosfast_version=__version__)


def _draw_xor(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 4.2), layout="constrained")
    for row, k in zip(figure.subplots(2, 3, sharex=True), data.k.values, strict=True):
        one = data.sel(k=k).swap_dims(run="lr")
        _draw_loss(row[0], one, [_name(lr) for lr in one.lr.values])
        row[0].set_title(rf"$\phi(u)=\frac{{1}}{{2}}u+{FRACTIONS[k]}\,\mathrm{{softplus}}(u)$")
        _draw_rate(row[1], one)
        _draw_margin(row[2], one)
        row[2].legend(*row[0].get_legend_handles_labels(), loc="lower right", bbox_to_anchor=(1.0, 0.08))
        for i, limit in enumerate(np.unique(one.limit.values)):
            mark_threshold(row[1], limit, "limit" if i == 0 else None)
            mark_threshold(row[2], 1.0 / math.sqrt(limit), "limit" if i == 0 else None)
    for ax in figure.axes[:3]:
        ax.set_xlabel("")
    return figure


# ------------------------------------------------------------------------------------------------------------ real data

REAL_WIDTH, REAL_STEPS, GIVEN_STEPS = 40, 20_000, 1_000  # fewer steps on larger images
REAL_LRS = (100.0, 1_000.0, 10_000.0, 100_000.0)


def _real_data(data: Dataset | None, progress: bool) -> xr.Dataset:
    training, test, name = sim.two_classes(data)
    model = sim.leaky(training, sim.LEAKY, REAL_WIDTH)
    start = sim.normal_start(REAL_WIDTH, training.d)
    num_steps = REAL_STEPS if data is None else GIVEN_STEPS
    runs = sim.at_step_sizes(model, start, REAL_LRS, num_steps, test=test, num_threads=0, progress=progress)
    return runs.drop_dims("parameter").assign_attrs(
        data=name, width=REAL_WIDTH, n=training.n, d=training.d, num_test=test.n, seed=0, eosfast_version=__version__
    )


def _draw_real_data(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 4.0), layout="constrained")
    loss, rate, margin, accuracy = figure.subplots(2, 2).ravel()
    _draw_loss(loss, data, [_name(lr) for lr in data.lr.values])
    loss.legend(loc="lower left", title=data.attrs["data"])
    _draw_rate(rate, data)
    _draw_margin(margin, data)
    top, bottom = float(data.margin.max()), float(data.margin.min())
    if top > 0.0:  # the early oscillation would hide what comes after it
        margin.set_ylim(max(1.2 * bottom, -3.0 * top), 1.2 * top)
    for k in range(data.sizes["lr"]):
        accuracy.plot(data.step + 1, 100.0 * data.accuracy.isel(lr=k), color=COLOURS[k], linewidth=1.0)
    accuracy.set(xlabel="step $t+1$", ylabel="test accuracy (%)", xscale="log", xlim=(1, data.step[-1]))
    return figure


# ------------------------------------------------------------------------------------------------------------- Wu's toy

TOY_LRS, TOY_STEPS = (4.0, 8.0, 16.0, 32.0), 2**20


def _toy(progress: bool) -> xr.Dataset:
    data = datasets.wu2024()
    runs = sim.at_step_sizes(LogisticRegression(data), np.zeros(2), TOY_LRS, TOY_STEPS, progress=progress)
    limit = float(theory.loss_rate(theory.hard_margin(data.X, data.y).margin))
    return runs.drop_dims("parameter").assign_attrs(limit=limit, eosfast_version=__version__)


def _draw_toy(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
    loss, rate = figure.subplots(1, 2)
    _draw_loss(loss, data, [_name(lr) for lr in data.lr.values])
    loss.legend(loc="lower left")
    _draw_rate(rate, data)
    mark_threshold(rate, data.attrs["limit"], r"$1/\gamma^2=25$")
    for ax in (loss, rate):
        ax.set_xscale("log", base=2)
        ax.set_yscale("log", base=2)
        ax.set_xlim(1, TOY_STEPS)
        ax.set_xticks([2.0**k for k in range(0, 21, 4)])
    return figure


XOR = PaperFigure(
    "xor",
    "Loss, lr t L and normalised margin of the mean-field network with 20 hidden units on XOR, from one start at four "
    "step sizes, for two leaky activations. Dots: the loss is below the threshold (4), from where on it decreases. "
    "Dashed: limits in closed form. After figure 2 (a-c) of Cai et al. 2024.",
    _xor,
    _draw_xor,
)
TOY = PaperFigure(
    "logistic_toy",
    "Logistic regression on four points: loss and lr t L at four step sizes, of which 4 is monotone. Dots: the loss is "
    "below the threshold (4). Dashed: one over the squared margin. After figure 1 of Wu et al. 2024, arXiv 2402.15926.",
    _toy,
    _draw_toy,
)


def figures(data: Dataset | None) -> tuple[PaperFigure, ...]:
    """The figures; that of real data is on `data` if given, else on two classes of digits."""
    real_data = PaperFigure(
        "real_data",
        "Loss, lr t L, normalised margin and test accuracy of the mean-field network with 40 hidden units (leaky "
        "softplus) on two classes of images, from one start at four step sizes. Dots: the loss is below the threshold "
        "(4). After figures 2 (d-f) and 3 of Cai et al. 2024.",
        partial(_real_data, data),
        _draw_real_data,
    )
    return XOR, real_data, TOY
