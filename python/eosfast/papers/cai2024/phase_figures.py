"""Figures of the two phases: neurons and their network, when the second begins, acceleration, and starts that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast import Stop, __version__, activation, datasets, theory
from eosfast.papers.figure import BLACK, BLUE, GREY, ORANGE, PAGE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# -------------------------------------------------------------------------------------------------- neurons and network

NEURON_STEPS, NEURON_LR = 2**17, 3.0


def neuron_run(num_steps: int, every: NDArray[np.int64], seed: int = 0) -> xr.Dataset:
    """The run of the paper's figure 4: loss, margin of the network, and ``neuron_margin (step, neuron)``.

    A neuron's margin is ``min_i y_i a_j phi(w_j.x_i) / ||w_j||``: what it would have as a network of its own.
    """
    import xarray as xr

    model = sim.leaky(sim.five_points(), sim.HALF, 2)
    start = {"W": 0.1 * sim.normal_start(2, 3, seed)["W"]}
    run = sim.run(model, start, NEURON_LR, num_steps, every, ("loss", "margin", "weights"))
    W = run.weights.values.reshape(-1, 2, 3)
    U = np.einsum("tjd,id->tij", W, model.data.X)
    outputs = model.data.y[:, None] * np.array([1.0, -1.0]) * (U / 2.0 + activation("softplus").value(U) / 2.0)
    margins = outputs.min(axis=1) / np.linalg.norm(W, axis=2)
    run = run.drop_dims("parameter")
    return run.assign(neuron_margin=xr.Variable(("step", "neuron"), margins))


def _neurons(progress: bool) -> xr.Dataset:
    run = neuron_run(NEURON_STEPS, sim.spaced(NEURON_STEPS))
    data = sim.five_points()
    best = theory.hard_margin(data.X, data.y)
    model = sim.leaky(data, sim.HALF, 2)
    threshold = sim.monotone_threshold(model, NEURON_LR)
    return run.assign_attrs(
        hard_margin=best.margin, below_4=threshold, lr=NEURON_LR, seed=0, eosfast_version=__version__
    )


def _draw_neurons(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.4), layout="constrained")
    loss, margin = figure.subplots(1, 2)
    steps = data.step + 1
    loss.plot(steps, data.loss, color=BLACK)
    mark_threshold(loss, data.attrs["below_4"], "threshold (4)")
    loss.set(xlabel="step $t+1$", ylabel="loss $L$", xscale="log", yscale="log", xlim=(1, steps[-1]))
    margin.plot(steps, data.margin, color=BLACK, label="network")
    for j, colour in enumerate((VERMILION, BLUE)):
        margin.plot(steps, data.neuron_margin.isel(neuron=j), color=colour, label=f"neuron {j + 1}")
    margin.axhline(0.0, color="0.7", linewidth=0.6, zorder=0)
    learned = int(data.step[int(np.argmax(data.margin.values > 0.0))])
    mark_threshold(margin, learned + 1, "network separates", axis="x")
    margin.set(xlabel="step $t+1$", ylabel="normalised margin", xscale="log", xlim=(1, steps[-1]), ylim=(-1.2, 0.25))
    margin.legend(loc="lower left", bbox_to_anchor=(0.3, 0.0))
    return figure


# ----------------------------------------------------------------------------------------------------- phase transition

TRANSITION_LRS, TRANSITION_GAMMAS, TRANSITION_STEPS = np.geomspace(16.0, 2.0**17, 79), (0.05, 0.02), 200_000
TIMES = {"monotone": "last increase", "below_4": "loss below (4)", "below_5": "loss below (5)"}


def _transition(progress: bool) -> xr.Dataset:
    import xarray as xr

    times = np.empty((len(TIMES), len(TRANSITION_GAMMAS), len(TRANSITION_LRS)), dtype=np.int64)
    for i, gamma in enumerate(tracked(TRANSITION_GAMMAS, progress, "margins")):
        model = sim.leaky(datasets.two_point(gamma), sim.HALF, 2)
        constants = theory.network_constants(model)
        for j, lr in enumerate(TRANSITION_LRS):
            lowest = float(theory.stable_threshold(lr, 2, constants))
            run = sim.run(model, np.zeros(4), lr, TRANSITION_STEPS, stop=Stop(np.inf, loss=lowest, steady=False))
            times[:, i, j] = theory.phase_times(run.loss.values, lr, 2, constants)
    variables = {name: (("gamma", "lr"), values) for name, values in zip(TIMES, times, strict=True)}
    coords = {"gamma": list(TRANSITION_GAMMAS), "lr": TRANSITION_LRS}
    return xr.Dataset(variables, coords, attrs={"num_steps": TRANSITION_STEPS, "eosfast_version": __version__})


def _draw_transition(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for ax, gamma in zip(panels, data.gamma.values, strict=True):
        one = data.sel(gamma=gamma)
        for (name, text), colour, marker in zip(TIMES.items(), (BLACK, BLUE, VERMILION), "osD", strict=True):
            known = one[name].values > 0
            ax.plot(one.lr[known], one[name][known], marker, color=colour, markersize=2.5, label=text)
        quiet = one.lr.values[one.monotone.values == 0].max()
        mark_threshold(ax, quiet, "oscillates", axis="x")
        ax.set(xlabel=label("lr"), xscale="log", yscale="log", ylim=(8, 2e5), title=rf"$\gamma={gamma:g}$")
    panels[0].set_ylabel("step")
    panels[1].legend(loc="lower left", bbox_to_anchor=(0.5, 0.6))
    return figure


# --------------------------------------------------------------------------------------------------------- acceleration

GAMMA = 0.05
BEST_MONOTONE = 2.0 * 23.8667
"""Largest step size without an increase of the loss, of the network with two neurons from w = 0."""
FACTORS = (0.0003, 0.003, 0.03)


def _acceleration(progress: bool) -> xr.Dataset:
    import xarray as xr

    model, start = sim.leaky(datasets.two_point(GAMMA), sim.HALF, 2), np.zeros(4)
    budgets = np.unique(np.round(np.geomspace(10, 100_000, 41)).astype(np.int64))
    monotone = sim.run(model, start, BEST_MONOTONE, int(budgets[-1]), budgets)
    loss = np.empty((len(FACTORS), len(budgets)))
    for j, T in enumerate(tracked(budgets.tolist(), progress, "budgets")):
        for i, c in enumerate(FACTORS):
            loss[i, j] = sim.run(model, start, 2.0 * c * T, T, [0, T]).loss[-1]
    return xr.Dataset(
        {"loss": (("factor", "num_steps"), loss), "monotone": ("num_steps", monotone.loss.sel(step=budgets).values)},
        {"factor": list(FACTORS), "num_steps": budgets},
        attrs={"gamma": GAMMA, "lr_monotone": BEST_MONOTONE, "eosfast_version": __version__},
    )


def _draw_acceleration(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE / 2, 2.7), layout="constrained")
    ax = figure.subplots()
    T = data.num_steps.values
    ax.plot(T, data.monotone, color=BLACK, label=r"best monotone step size")
    for c, colour in zip(data.factor.values, (SKY, BLUE, ORANGE), strict=True):
        ax.plot(
            T, data.loss.sel(factor=c), "o-", color=colour, markersize=2.5, linewidth=0.8, label=rf"$\eta={2 * c:g}\,T$"
        )
    late = T[T >= 300]
    for power, size in ((1, 10.0), (2, 3e4)):
        ax.plot(late, size * late ** float(-power), color=GREY, linestyle=":", linewidth=0.9)
        ax.annotate(
            rf"$\propto 1/T^{power}$" if power > 1 else r"$\propto 1/T$",
            (late[-1], size * late[-1] ** float(-power)),
            xytext=(2, 0),
            textcoords="offset points",
            fontsize="small",
            color=GREY,
        )
    ax.set(
        xlabel="number of steps $T$",
        ylabel="last loss $L(w_T)$",
        xscale="log",
        yscale="log",
        xlim=(10, 5e5),
        ylim=(1e-12, 3),
    )
    ax.legend(loc="lower left")
    return figure


# ------------------------------------------------------------------------------------------------------- initialisation

WIDTHS, SCALES, INIT_SEEDS = (4, 6, 8, 10, 12, 16), (0.1, 1.0, 10.0, 100.0), range(100)
INIT_STEPS, INIT_LR = 5_000, 5.0  # the step size for each unit of width
ONE_DEAD = float(np.log(2.0) / 4.0)
"""Loss of XOR when one of the four points has output 0 and the other three none."""


def _initialisation(progress: bool) -> xr.Dataset:
    import xarray as xr

    softplus, stop = 1.0, Stop(loss=0.1, steady=False)
    dead = np.empty((len(SCALES), len(WIDTHS)))
    for j, width in enumerate(tracked(WIDTHS, progress, "widths")):
        model = sim.leaky(datasets.xor(), softplus, width, c=0.0)
        for i, scale in enumerate(SCALES):
            losses = []
            for seed in INIT_SEEDS:
                start = {"W": scale * sim.normal_start(width, 2, seed)["W"]}
                run = sim.run(model, start, INIT_LR * width, INIT_STEPS, [0, INIT_STEPS], stop=stop)
                losses.append(float(run.loss[-1]))
            dead[i, j] = np.mean(np.array(losses) >= 0.1)
    return xr.Dataset(
        {"dead": (("scale", "width"), dead)},
        {"scale": list(SCALES), "width": list(WIDTHS)},
        attrs={"num_seeds": len(INIT_SEEDS), "num_steps": INIT_STEPS, "eosfast_version": __version__},
    )


def _draw_initialisation(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE / 2, 2.6), layout="constrained")
    ax = figure.subplots()
    width = data.width.values
    for scale, colour, marker in zip(data.scale.values, (SKY, BLUE, ORANGE, VERMILION), "os^D", strict=True):
        ax.plot(width, data.dead.sel(scale=scale), marker + "-", color=colour, linewidth=0.8, label=f"{scale:g}")
    many = np.linspace(width[0], width[-1], 100)
    ax.plot(
        many,
        1.0 - (1.0 - 2.0 * 0.5 ** (many / 2.0)) ** 2,
        color=BLACK,
        linestyle=(0, (4, 2)),
        label="none at the start",
    )
    ax.set(xlabel="width $m$", ylabel="runs that miss a point", ylim=(-0.03, 1.0))
    ax.set_xticks(width)
    ax.legend(title="size of the start", loc="upper right")
    return figure


FIGURES = (
    PaperFigure(
        "neurons",
        "Five points and two neurons: the loss, and the normalised margins of the network and of either neuron alone. "
        "The network separates the points although neither neuron ever does. After figure 4 of Cai et al. 2024.",
        _neurons,
        _draw_neurons,
    ),
    PaperFigure(
        "transition",
        "When the stable phase begins on the two points of theorem 4.3 of Cai et al. 2024, from w = 0, against the "
        "step size: the last increase of the loss, and the first steps at which it is below the thresholds (4) and "
        "(5). It begins later for a smaller margin gamma, but at large step sizes no longer depends on them: there "
        "gradient descent acts as a perceptron. Left of the dashed line the loss never increases.",
        _transition,
        _draw_transition,
    ),
    PaperFigure(
        "acceleration",
        "Last loss against the number of steps T on the two points of theorem 4.3 of Cai et al. 2024: at the largest "
        "step size without an increase of the loss, which cannot do better than 1/T, and at step sizes proportional to "
        "T.",
        _acceleration,
        _draw_acceleration,
    ),
    PaperFigure(
        "initialisation",
        "Fraction of runs on XOR that end with an output of 0 on at least one of the four points, against the width "
        "and for several sizes of the start (softplus). Dashed: probability that at the start no hidden unit of its "
        "sign points at one of them.",
        _initialisation,
        _draw_initialisation,
    ),
)
