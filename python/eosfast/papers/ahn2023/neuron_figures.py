"""Figures of the single neuron l(x*y): the two regimes, the phase diagram and the exponent of the gap below 2/lr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast import SingleNeuron, __version__, plotting, theory
from eosfast.papers.figure import BLACK, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# ---------------------------------------------------------------------------------------------------------- two regimes

REGIME_LR = 0.05
REGIME_STARTS = {"gradient flow": {"x": 2.0, "y": 5.5}, "edge of stability": {"x": 2.0, "y": 8.0}}
REGIME_COLOURS = {"gradient flow": BLUE, "edge of stability": VERMILION}


def _regimes(progress: bool) -> xr.Dataset:
    import xarray as xr

    starts = tracked(list(REGIME_STARTS.values()), progress, "regimes")
    runs = [sim.neuron_path(SingleNeuron(loss="sqrt"), REGIME_LR, w0, 4_000) for w0 in starts]
    data = xr.concat(runs, dim=xr.Variable("regime", list(REGIME_STARTS)), combine_attrs="drop", join="exact")
    return data.assign_attrs(lr=REGIME_LR, threshold=2.0 / REGIME_LR, loss_function="sqrt", eosfast_version=__version__)


def _draw_regimes(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.4), layout="constrained")
    plane, sharpness, oscillation = figure.subplots(1, 3)
    _draw_plane(plane, data)
    _draw_sharpness(sharpness, data)
    _draw_oscillation(oscillation, data.sel(regime="edge of stability"))
    return figure


def _draw_plane(ax: Axes, data: xr.Dataset) -> None:
    lr = data.attrs["lr"]
    for name, colour in REGIME_COLOURS.items():
        x, y = data.weights.sel(regime=name).values.T
        arrival = int(np.argmax(x < 0.0)) or len(x)
        ax.plot(x[:arrival], y[:arrival], "-", color=colour, linewidth=0.5)
        ax.plot(x, y, ".", color=colour, markersize=2)
        ax.plot(x[:1], y[:1], "o", color=colour)
        ax.annotate(
            name,
            (x[0], y[0]),
            xytext=(3, -10),
            textcoords="offset points",
            ha="right",
            va="top",
            color=colour,
            fontsize="small",
        )
    y = np.linspace(np.sqrt(2.0 / lr), 7.75, 200)
    x = theory.oscillation_envelope(lr, y) / y
    ax.plot(np.concatenate([-x[::-1], x]), np.concatenate([y[::-1], y]), color=BLACK, linewidth=0.7)
    ax.annotate("envelope", (0.11, 7.0), xytext=(8, 0), textcoords="offset points", va="center", fontsize="small")
    mark_threshold(ax, np.sqrt(2.0 / lr), r"$y=\sqrt{2/\eta}$")
    ax.set(xlabel=label("x"), ylabel=label("y"), xlim=(-0.4, 2.2), ylim=(4.4, 8.3), yticks=[5, 6, 7, 8])


def _draw_sharpness(ax: Axes, data: xr.Dataset) -> None:
    steps = data.step.values + 1
    for name, colour in REGIME_COLOURS.items():
        run = data.sel(regime=name)
        named = name == "edge of stability"
        ax.plot(steps, run.sharpness, color=colour, label="at $(x_t,y_t)$" if named else None)
        y = run.weights.sel(parameter="y")
        ax.plot(steps, y**2, color=colour, linestyle=":", label="at $(0,y_t)$" if named else None)
    mark_threshold(ax, data.attrs["threshold"], r"$2/\eta$")
    ax.set(xlabel="step $t+1$", ylabel=label("sharpness"), xscale="log", xlim=(1, steps[-1]), ylim=(0, None))
    ax.legend(loc="lower right")


def _draw_oscillation(ax: Axes, run: xr.Dataset) -> None:
    x, y = run.weights.transpose("parameter", "step").values
    envelope = theory.oscillation_envelope(run.attrs["lr"], y)
    steps = run.step.values + 1
    ax.plot(steps[::2], (x * y)[::2], ".", color=VERMILION, markersize=2.5, label="even $t$")
    ax.plot(steps[1::2], (x * y)[1::2], ".", color=SKY, markersize=2.5, label="odd $t$")
    bouncing = steps > 6
    for sign in (1.0, -1.0):
        ax.plot(
            steps[bouncing],
            sign * envelope[bouncing],
            color=BLACK,
            linewidth=0.7,
            label="envelope" if sign > 0 else None,
        )
    ax.set(
        xlabel="step $t+1$",
        ylabel="$x_t y_t$",
        xscale="log",
        xlim=(4, steps[-1]),
        ylim=(-1.6, 2.2),
        yticks=[-1, 0, 1, 2],
    )
    ax.legend(loc="upper right", markerscale=2.5)


# -------------------------------------------------------------------------------------------------------- phase diagram

PHASE_MODELS = {
    r"$\sqrt{1+s^2}$": SingleNeuron(loss="sqrt"),
    r"$\log\cosh s$": SingleNeuron(loss="logcosh"),
    r"power, $\beta=4$": SingleNeuron(loss="power", beta=4.0),
    "Huber": SingleNeuron(loss="huber"),
}
PHASE_X0 = 0.3


def _phase_diagram(progress: bool) -> xr.Dataset:
    import xarray as xr

    lr, y0 = np.geomspace(4e-3, 0.1, 120), np.geomspace(2.0, 30.0, 120)
    models = tracked(list(PHASE_MODELS.values()), progress, "losses")
    maps = [sim.regime_map(model, lr, y0, PHASE_X0, 10**8).sharpness for model in models]
    names = [model.loss for model in PHASE_MODELS.values()]
    sharpness = xr.concat(maps, dim=xr.Variable("loss", names), join="exact")
    return xr.Dataset({"sharpness": sharpness}, attrs={"x0": PHASE_X0, "eosfast_version": __version__})


def _draw_phase_diagram(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.2), layout="constrained")
    panels = figure.subplots(1, len(PHASE_MODELS), sharey=True)
    for ax, title, name in zip(panels, PHASE_MODELS, data.loss.values, strict=True):
        values = data.sharpness.sel(loss=name) * data.lr
        plotting.phase_diagram(values, ax=ax, x="lr", y="y", colorbar=False, vmin=0.0, vmax=2.0)
        lr = data.lr.values
        ax.plot(lr, np.sqrt(2.0 / lr + data.attrs["x0"] ** 2), color=BLACK, linestyle=(0, (4, 2)), linewidth=1.0)
        ax.set(title=title, ylabel="", ylim=(data.y.values[0], data.y.values[-1]))
        ax.set_yticks([2, 5, 10, 20], ["2", "5", "10", "20"])
        ax.minorticks_off()
    panels[0].set_ylabel("start $y_0$")
    place = {"xycoords": "axes fraction", "ha": "center", "fontsize": "small"}
    panels[0].annotate("edge of stability", (0.55, 0.88), **place)
    panels[0].annotate("gradient flow", (0.45, 0.12), color="white", **place)
    panels[1].annotate(r"$y_0^2-x_0^2=2/\eta$", (0.62, 0.74), **place)
    figure.colorbar(panels[-1].collections[0], ax=panels, label=r"final sharpness $\times\,\eta$", pad=0.01)
    return figure


# ------------------------------------------------------------------------------------------------------------- exponent

EXPONENT_MODELS = (  # name and law, model, marker, colour, shift of the name in points
    (r"Huber, $\propto\eta^0$", SingleNeuron(loss="huber"), "P", PURPLE, 0),
    (r"power, $\beta=4$, $\propto\eta^{1/3}$", SingleNeuron(loss="power", beta=4.0), "v", SKY, 3),
    (r"power, $\beta=3$, $\propto\eta^{1/2}$", SingleNeuron(loss="power", beta=3.0), "^", ORANGE, -4),
    (r"$\log\cosh s$, $\propto\eta$", SingleNeuron(loss="logcosh"), "D", GREEN, 6),
    (r"$\sqrt{1+s^2}$, $\propto\eta$", SingleNeuron(loss="sqrt"), "o", VERMILION, -1),
    (r"power, $\beta=1.5$, $\propto\eta^2$", SingleNeuron(loss="power", beta=1.5), "s", BLUE, -7),
)


def _exponent(progress: bool) -> xr.Dataset:
    import xarray as xr

    lr = np.geomspace(0.04, 0.005, 7)
    betas = np.array([1.4, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0])
    models = tracked([model for _, model, *_ in EXPONENT_MODELS], progress, "losses")
    gaps = [sim.settled(model, lr, 3.0, 0.5).swap_dims(run="lr").gap.drop_vars(["x", "y"]) for model in models]
    names = [
        f"{model.loss}, beta={theory.loss_shape(model.loss, model.beta).beta:g}" for _, model, *_ in EXPONENT_MODELS
    ]
    data = xr.Dataset({"gap": xr.concat(gaps, dim=xr.Variable("model", names), join="exact")})
    pair = sim.settled(SingleNeuron(loss="power"), [0.02, 0.01], 3.0, 0.5, betas=betas).gap
    data["exponent"] = np.log2(pair.isel(run=0, drop=True) / pair.isel(run=1, drop=True)).drop_vars(
        ["lr", "x", "y"], errors="ignore"
    )
    return data.assign_attrs(level=3.0, x_tilde=0.5, exponent_between="lr = 0.01 and 0.02", eosfast_version=__version__)


def _draw_exponent(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    lr = np.geomspace(0.004, 0.05, 50)
    for k, (text, model, marker, colour, shift) in enumerate(EXPONENT_MODELS):
        law = theory.edge_gap(lr, model.loss, model.beta)
        left.plot(lr, law, color=colour, linewidth=0.9)
        left.plot(data.lr, data.gap.isel(model=k), marker, color=colour)
        left.annotate(
            text,
            (lr[-1], law[-1]),
            xytext=(4, shift),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize="small",
        )
    left.set(xlabel=label("lr"), ylabel=r"gap $2/\eta-\lambda_{\max}$", xscale="log", yscale="log", xlim=(0.0038, 0.2))
    left.minorticks_off()
    left.set_xticks([0.005, 0.01, 0.02, 0.04], ["0.005", "0.01", "0.02", "0.04"])
    beta = np.linspace(1.35, 6.2, 200)
    right.plot(beta, 1.0 / (beta - 1.0), color=GREY, linewidth=0.9, label=r"$1/(\beta-1)$")
    right.plot(data.beta, data.exponent, "o", color=VERMILION, label="measured")
    right.set(xlabel=label("beta"), ylabel="exponent of the gap", ylim=(0, None))
    right.legend(loc="upper right")
    return figure


FIGURES = (
    PaperFigure(
        "two_regimes",
        "Gradient descent on sqrt(1 + (x y)^2) with lr = 0.05. Left: from below the edge it follows gradient flow "
        "to the y-axis; from above it bounces across the axis until y^2 < 2/lr. Middle: the sharpness ends at "
        "y_0^2 - x_0^2 or just below 2/lr. Right: the oscillation fills the quasi-static envelope l'(s)/s = 2/(lr "
        "y^2). In the spirit of figure 5 of Ahn et al. 2023.",
        _regimes,
        _draw_regimes,
    ),
    PaperFigure(
        "phase_diagram",
        "Final sharpness times lr over step size and start (x_0 = 0.3) for four losses. Below the dashed line "
        "y_0^2 - x_0^2 = 2/lr it is lr (y_0^2 - x_0^2), above it 2.",
        _phase_diagram,
        _draw_phase_diagram,
    ),
    PaperFigure(
        "exponent",
        "How far below 2/lr the sharpness ends in the edge-of-stability regime. Left: measured (symbols) and the "
        "law (lines) for losses of different beta. Right: exponent of lr measured between lr = 0.01 and 0.02, and "
        "1/(beta - 1).",
        _exponent,
        _draw_exponent,
    ),
)
