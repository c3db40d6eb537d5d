"""Figures of networks on real digits: label noise, activations and output scales, and the edge of stability of deep
networks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast import GD, MLP, Dataset, HuberizedReLU, Leaky, TwoLayerNetwork, __version__, datasets, sweep
from eosfast.papers.figure import BLACK, BLUE, GREEN, ORANGE, PAGE, PURPLE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import finished, tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# ---------------------------------------------------------------------------------------------------------- label noise

NOISE, NOISE_LRS, NOISE_STEPS, NOISE_WIDTH = (0.0, 0.1, 0.2), (1_000.0, 10_000.0), 10_000, 40


def _label_noise(progress: bool) -> xr.Dataset:
    import xarray as xr

    training, test, name = sim.two_classes(None)
    start, every = sim.normal_start(NOISE_WIDTH, training.d), sim.spaced(NOISE_STEPS)
    rows = []
    for fraction in tracked(NOISE, progress, "label noise"):
        model = sim.leaky(sim.flipped(training, fraction), sim.LEAKY, NOISE_WIDTH)
        runs = []
        for lr in NOISE_LRS:
            run = sim.run(model, start, lr, NOISE_STEPS, every, ("loss", "sharpness", "weights"))
            run["accuracy"] = xr.Variable("step", [model.accuracy(w, test) for w in run.weights.values])
            runs.append(run[["loss", "sharpness", "accuracy"]])
        rows.append(xr.concat(runs, dim=xr.Variable("lr", list(NOISE_LRS)), combine_attrs="drop", join="exact"))
    data = xr.concat(rows, dim=xr.Variable("noise", list(NOISE)), combine_attrs="drop", join="exact")
    return data.assign_attrs(data=name, n=training.n, width=NOISE_WIDTH, seed=0, eosfast_version=__version__)


def _draw_label_noise(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 4.2), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True)
    steps = data.step + 1
    for row, lr in zip(panels, data.lr.values, strict=True):
        loss, sharpness, accuracy = row
        for fraction, colour in zip(data.noise.values, (BLACK, BLUE, VERMILION), strict=True):
            one = data.sel(lr=lr, noise=fraction)
            loss.plot(steps, one.loss, color=colour, linewidth=1.0, label=f"{100 * fraction:g} %")
            sharpness.plot(steps, one.sharpness, color=colour, linewidth=1.0)
            accuracy.plot(steps, 100.0 * one.accuracy, color=colour, linewidth=1.0)
        mark_threshold(sharpness, 2.0 / lr, r"$2/\eta$")
        loss.set(ylabel="loss $L$", yscale="log", xscale="log", xlim=(1, steps[-1]), title=rf"$\eta={lr:g}$")
        sharpness.set(ylabel=label("sharpness"), yscale="log", ylim=(1e-6, 4e-3))
        accuracy.set(ylabel="test accuracy (%)", ylim=(40, 101))
    panels[0, 0].legend(title="labels flipped", loc="lower left")
    for ax in panels[1]:
        ax.set_xlabel("step $t+1$")
    return figure


# ----------------------------------------------------------------------------------------- activations and output scale

ACTIVATIONS: tuple[tuple[str, Any, str, str], ...] = (  # name, activation, colour, marker
    ("GELU", "gelu", BLUE, "o"),
    ("SiLU", "silu", SKY, "s"),
    ("softplus", "softplus", GREEN, "^"),
    ("Huberised ReLU", HuberizedReLU(1.0), PURPLE, "v"),
    ("leaky softplus", Leaky("softplus", 0.5, 0.125), VERMILION, "D"),
    ("leaky tanh", Leaky("tanh", 0.5, 0.5), ORANGE, "P"),
)
SCALES = (0.5, 1.0, 2.0, math.sqrt(40.0))
SCALE_COLOURS = (SKY, BLUE, ORANGE, VERMILION)
CHOICE_LRS, CHOICE_STEPS, CHOICE_WIDTH = np.geomspace(16.0, 65_536.0, 13), 1_000, 40


def _choices(progress: bool) -> xr.Dataset:
    import xarray as xr

    training, _, name = sim.two_classes(None)
    start = sim.normal_start(CHOICE_WIDTH, training.d)
    phi = [activation for _, activation, *_ in ACTIVATIONS]
    models = [TwoLayerNetwork(training, CHOICE_WIDTH, activation=one) for one in phi]
    models += [TwoLayerNetwork(training, CHOICE_WIDTH, activation=phi[4], scale=scale) for scale in SCALES]
    found = []
    for model in tracked(models, progress, "networks"):
        swept = sweep(
            model,
            GD(),
            {"lr": CHOICE_LRS},
            w0=start,
            num_steps=CHOICE_STEPS,
            measure=("loss", "last_loss_increase"),
            stop=sim.ON_AND_ON,
        )
        found.append(finished(swept)[["loss", "last_loss_increase"]])
    k = len(phi)
    names = xr.Variable("activation", [text for text, *_ in ACTIVATIONS])
    by_activation = xr.concat(found[:k], dim=names, combine_attrs="drop", join="exact")
    by_scale = xr.concat(found[k:], dim=xr.Variable("scale", list(SCALES)), combine_attrs="drop", join="exact")
    data = by_activation.merge(by_scale.rename(loss="loss_of_scale", last_loss_increase="last_loss_increase_of_scale"))
    return data.assign_attrs(
        data=name, n=training.n, width=CHOICE_WIDTH, num_steps=CHOICE_STEPS, seed=0, eosfast_version=__version__
    )


def _draw_choices(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for text, _, colour, marker in ACTIVATIONS:
        one = data.sel(activation=text)
        left.plot(data.lr, one.loss, color=colour, linewidth=0.9)
        left.plot([], [], marker + "-", color=colour, linewidth=0.9, markersize=3.5, label=text)
        _mark_oscillating(left, data.lr.values, one.loss.values, one.last_loss_increase.values, colour, marker)
    for scale, colour in zip(data.scale.values, SCALE_COLOURS, strict=True):
        one = data.sel(scale=scale)
        text = r"$\sqrt{40}$" if scale == math.sqrt(40.0) else f"{scale:g}"
        increases = one.last_loss_increase_of_scale.values
        right.plot(data.lr, one.loss_of_scale, color=colour, linewidth=0.9, label=text)
        _mark_oscillating(right, data.lr.values, one.loss_of_scale.values, increases, colour, "D")
    for ax in (left, right):
        ax.set(xlabel=label("lr"), xscale="log", yscale="log", xlim=(data.lr[0], data.lr[-1]))
    left.set(ylabel=f"loss after {data.attrs['num_steps']} steps")
    left.legend(loc="lower left")
    right.legend(loc="lower left", title="leaky softplus, scale $b$")
    return figure


def _mark_oscillating(ax: Any, lr: Any, loss: Any, last_increase: Any, colour: str, marker: str) -> None:
    """Filled symbols where the loss increased at least once, open ones where it did not."""
    for some, style in ((last_increase >= 0, "full"), (last_increase < 0, "none")):
        ax.plot(lr[some], loss[some], marker, color=colour, fillstyle=style, markersize=3.5, markeredgewidth=0.7)


# ------------------------------------------------------------------------------- deep networks at the edge of stability

DEEP = {"two layers": (32,), "three layers": (32, 32)}
DEEP_LRS = {"two layers": (0.3, 0.4, 0.6), "three layers": (0.2, 0.3, 0.4)}
DEEP_STEPS, DEEP_SAMPLES = 4_000, 300


def _ten_digits() -> Dataset:
    """All ten digits, centred, with a root mean square norm of 3; the targets are one-hot."""
    whole = datasets.digits(tuple(range(10)))
    some = np.random.default_rng(0).permutation(whole.n)[:DEEP_SAMPLES]
    X = whole.X[some] - whole.X[some].mean(axis=0)
    return Dataset(3.0 * X / np.sqrt(np.mean(np.sum(X**2, axis=1))), whole.y[some])


def _edge(progress: bool) -> xr.Dataset:
    import xarray as xr

    data = _ten_digits()
    rows = []
    for name in tracked(list(DEEP), progress, "networks"):
        model = MLP(data, DEEP[name], activation="tanh", loss="mse")
        runs = []
        for lr in tracked(DEEP_LRS[name], progress, "step sizes"):
            run = sim.run(model, None, lr, DEEP_STEPS, quantities=("loss", "sharpness"))
            runs.append(run[["loss", "sharpness"]])
        row = xr.concat(runs, dim="run", combine_attrs="drop", join="exact")
        rows.append(row.assign_coords(lr=("run", list(DEEP_LRS[name]))))
    joined = xr.concat(rows, dim=xr.Variable("network", list(DEEP)), combine_attrs="drop", join="exact", coords=["lr"])
    return joined.assign_attrs(n=data.n, seed=0, eosfast_version=__version__)


def _draw_edge(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 4.0), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for (loss, sharpness), name in zip(panels.T, data.network.values, strict=True):
        for k, colour in enumerate((SKY, BLUE, VERMILION)):
            one = data.sel(network=name).isel(run=k)
            loss.plot(data.step, one.loss, color=colour, linewidth=0.8, label=rf"$\eta={float(one.lr):g}$")
            sharpness.plot(data.step, one.sharpness, color=colour, linewidth=0.8)
            mark_threshold(sharpness, 2.0 / float(one.lr), rf"$2/{float(one.lr):g}$", color=colour)
        loss.set(title=f"tanh, {name}", yscale="log")
        highest = 2.0 / float(data.sel(network=name).lr.min())
        sharpness.set(xlabel=label("step"), ylim=(0.0, 1.12 * highest), xlim=(0, data.step[-1]))
        loss.legend(loc="upper right")
    panels[0, 0].set_ylabel("loss $L$")
    panels[1, 0].set_ylabel(label("sharpness"))
    return figure


FIGURES = (
    PaperFigure(
        "label_noise",
        "The mean-field network with 40 hidden units on two classes of digits, a fraction of the training labels "
        "flipped: loss, sharpness with 2/lr, and accuracy on test digits, at a small and a large step size.",
        _label_noise,
        _draw_label_noise,
    ),
    PaperFigure(
        "choices",
        "Loss after a fixed number of steps against the step size, on two classes of digits. Left: six activations. "
        "Right: leaky softplus with the output scaled by b (b = 1 is the mean-field, sqrt(40) the NTK scaling). Filled "
        "symbols: runs whose loss increased at least once.",
        _choices,
        _draw_choices,
    ),
    PaperFigure(
        "edge_of_stability",
        "Fully connected tanh networks on digits with the squared loss: loss and sharpness at every step of "
        "full-batch gradient descent at three step sizes. The sharpness rises (progressive sharpening) until it "
        "reaches 2/lr (dashed), and stays there while the loss falls, no longer monotonically.",
        _edge,
        _draw_edge,
    ),
)
