"""Figures of one data point: the landscape, runs at the edge in the planes (z, T) and (z, y), where they end, and which
starts get there.

T is the curvature lr ||J||^2, z the residual in units of lr. Starts, step sizes and epsilon are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast import __version__, theory
from eosfast.papers.figure import BLACK, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVATURE = r"curvature $T=\eta\|J\|^2$"
EPSILON = 0.005
EVERY_SECOND = slice(None, None, 2)

# ------------------------------------------------------------------------------------------------------------ landscape

VALLEY_EPSILON, VALLEY_START = 0.1, (-1.0, 0.8)  # residual and ||J||^2 at the start
VALLEY_LRS = (0.1, 1.1)


def _landscape(progress: bool) -> xr.Dataset:
    import xarray as xr

    z, curvature = VALLEY_START
    runs = [
        sim.datum_run(lr * z, lr * curvature, VALLEY_EPSILON, 600, lr=lr)
        for lr in tracked(VALLEY_LRS, progress, "step sizes")
    ]
    data = xr.concat(runs, dim=xr.Variable("lr", list(VALLEY_LRS)), combine_attrs="drop", join="exact")
    return data.assign_attrs(epsilon=VALLEY_EPSILON, eosfast_version=__version__)


def _draw_landscape(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
    plane, curvature = figure.subplots(1, 2, width_ratios=(1.25, 1))
    epsilon = data.attrs["epsilon"]
    first, second = np.linspace(-0.2, 1.9, 211), np.linspace(3.6, 6.4, 141)
    z = (first**2 - epsilon * second[:, None] ** 2) / 2.0
    levels = np.linspace(-5.0, 0.0, 11)
    filled = plane.contourf(
        first, second, np.log10(np.maximum(z**2 / 2.0, 1e-12)), levels, cmap="Greys_r", extend="both", alpha=0.75
    )
    figure.colorbar(filled, ax=plane, label=r"$\log_{10}L$", pad=0.02)
    plane.plot(np.sqrt(epsilon) * second, second, color=BLACK, linewidth=0.8, label="minima")
    for lr, colour, marker in zip(data.lr.values, (SKY, VERMILION), (".", "o"), strict=True):
        run = data.sel(lr=lr)
        w = run.w.values
        shown = w if lr < 1.0 else w[EVERY_SECOND]
        text = rf"$\eta={lr:g}$" + ("" if lr < 1.0 else r", even $t$")
        plane.plot(*shown.T, marker + "-", color=colour, markersize=3, linewidth=0.8, label=text)
        curvature.plot(run.step + 1, run["T"] / lr, color=colour, linewidth=0.9, label=rf"$\eta={lr:g}$")
        if lr > 1.0:
            plane.plot(*w[1::2].T, marker, color=ORANGE, markersize=2.5, label=r"odd $t$")
            mark_threshold(curvature, 2.0 / lr, rf"$2/\eta$, $\eta={lr:g}$", color=colour)
    plane.set(xlabel="$w_1$", ylabel="$w_2$", xlim=(first[0], first[-1]), ylim=(second[0], second[-1]))
    plane.legend(loc="upper left")
    curvature.set(xlabel="step $t+1$", ylabel=r"$\|J\|^2$", xscale="log", xlim=(1, data.step[-1] + 1), ylim=(0, None))
    curvature.legend(loc="lower right")
    return figure


# ----------------------------------------------------------------------------------------------------------- the planes

START = (-0.4, 0.4)  # residual and ||J||^2, not scaled
STEP_SIZES = (1.0, 1.5, 1.7, 1.75, 1.9)
SIZE_COLOURS = (BLACK, SKY, BLUE, GREEN, VERMILION)
PLANE_STEPS = 4_000


def _planes(progress: bool) -> xr.Dataset:
    import xarray as xr

    z, curvature = START
    runs = []
    for lr in tracked(STEP_SIZES, progress, "step sizes"):
        run = sim.datum_run(lr * z, lr * curvature, EPSILON, PLANE_STEPS, lr=lr)[["z", "T"]]
        runs.append(run.assign(y=run["T"] - theory.z_nullcline(np.minimum(run.z.values, 0.9), EPSILON)))
    data = xr.concat(runs, dim=xr.Variable("lr", list(STEP_SIZES)), combine_attrs="drop", join="exact")
    return data.assign_attrs(epsilon=EPSILON, z0=z, curvature0=curvature, eosfast_version=__version__)


def _draw_planes(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    time, plane, excess = figure.subplots(1, 3)
    for lr, colour in zip(data.lr.values, SIZE_COLOURS, strict=True):
        run = data.sel(lr=lr)
        even = run.isel(step=EVERY_SECOND)
        time.plot(even.step + 1, even["T"], color=colour, linewidth=0.9, label=f"{lr:g}")
        if lr > 1.5:
            late = even.isel(step=slice(1, None))  # without the jump from the start
            plane.plot(late.z, late["T"], ".-", color=colour, markersize=2.5, linewidth=0.5)
            excess.plot(late.z, late.y, ".-", color=colour, markersize=2.5, linewidth=0.5)
    z = np.linspace(-0.5, 0.25, 151)
    plane.plot(z, theory.z_nullcline(z, EPSILON), color=BLACK, linewidth=0.9, label="$z$ returns")
    plane.plot(z, theory.T_nullcline(z, EPSILON), ":", color=BLACK, linewidth=1.3, label="$T$ returns")
    mark_threshold(time, 2.0)
    mark_threshold(plane, 2.0)
    excess.plot(z, theory.T_nullcline(z, EPSILON) - theory.z_nullcline(z, EPSILON), ":", color=BLACK, linewidth=1.3)
    mark_threshold(excess, 0.0)
    excess.axhline(theory.edge_excess(EPSILON), color=BLACK, linewidth=0.9, label=r"$y^*$", zorder=1)
    time.set(xlabel="step $t+1$", ylabel=CURVATURE, xscale="log", xlim=(1, PLANE_STEPS), ylim=(0, 3.6))
    time.legend(loc="upper left", title=r"$\eta$", ncols=2, columnspacing=1.0)
    plane.set(xlabel=r"residual $z$, every second step", ylabel=CURVATURE, xlim=(-0.5, 0.25), ylim=(1.2, 2.75))
    plane.legend(loc="upper left")
    excess.set(xlabel=r"residual $z$, every second step", ylabel="excess $y=T-f_z(z)$", xlim=(-0.5, 0.25))
    excess.set_ylim(-0.006, 0.02)
    excess.legend(loc="upper center", bbox_to_anchor=(0.38, 1.0))
    return figure


# --------------------------------------------------------------------------------------------------------------- limits

LIMIT_EPSILONS = np.geomspace(0.001, 0.2, 17)
LIMIT_STARTS = ((-1.0, 0.3), (-1.0, 1.0))
LIMIT_OFFSETS = np.linspace(-3.0, 1.75, 20)
OFFSET_EPSILONS = (0.005, 0.02)
SWEPT_LRS = np.linspace(0.1, 3.6, 71)


def _limits(progress: bool) -> xr.Dataset:
    import xarray as xr

    z, T = np.array(LIMIT_STARTS)[:, :, None].transpose(1, 0, 2)
    ends = sim.datum_ends(z, T, LIMIT_EPSILONS)
    by_offset = sim.datum_ends(-1.0, 0.9, np.array(OFFSET_EPSILONS)[:, None], LIMIT_OFFSETS)
    swept, _ = sim.datum_step_sizes(theory.two_mode_start(*START, EPSILON), SWEPT_LRS, EPSILON)
    return xr.Dataset(
        {
            "gap": (("start", "epsilon"), np.where(np.isfinite(ends), 2.0 - ends, -1.0), {"missing": "-1: no such w"}),
            "gap_of_offset": (("small_epsilon", "offset"), 2.0 - by_offset),
            "swept": ("lr", np.where(np.isfinite(swept), swept, -1.0), {"missing": "-1: diverged"}),
        },
        {
            "epsilon": LIMIT_EPSILONS,
            "offset": LIMIT_OFFSETS,
            "small_epsilon": list(OFFSET_EPSILONS),
            "lr": SWEPT_LRS,
            "start": [f"({a:g}, {b:g})" for a, b in LIMIT_STARTS],
        },
        {"epsilon_of_swept": EPSILON, "eosfast_version": __version__},
    )


def _draw_limits(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    by_epsilon, by_offset, by_lr = figure.subplots(1, 3)
    epsilon = np.geomspace(0.0009, 0.22, 60)
    for start, marker, colour, size in zip(data.start.values, "os", (SKY, VERMILION), (6, 3), strict=True):
        gap = data.gap.sel(start=start)
        place = (data.epsilon[gap > 0.0], gap[gap > 0.0])
        by_epsilon.plot(*place, marker, color=colour, markersize=size, label=start, fillstyle="none")
    by_epsilon.plot(epsilon, 2.0 - theory.quadratic_edge_limit(epsilon), color=BLACK, linewidth=0.9, label="series")
    by_epsilon.plot(epsilon, epsilon / 2.0, ":", color=BLACK, label=r"$\epsilon/2$")
    by_epsilon.set(xlabel=r"$\epsilon$", ylabel=r"gap $2-T_\infty$", xscale="log", yscale="log")
    by_epsilon.legend(loc="upper left", title="start $(z_0,T_0)$")
    offset = np.linspace(-3.1, 2.0, 60)
    for eps, marker, colour in zip(data.small_epsilon.values, "o^", (BLUE, ORANGE), strict=True):
        gap = data.gap_of_offset.sel(small_epsilon=eps)
        by_offset.plot(data.offset, gap / eps, marker, color=colour, fillstyle="none", label=rf"$\epsilon={eps:g}$")
        by_offset.plot(offset, (2.0 - theory.quadratic_edge_limit(eps, offset)) / eps, color=colour, linewidth=0.9)
    by_offset.plot(offset, (2.0 - offset) / 4.0, ":", color=BLACK, label=r"$(2-\tilde E)/4$")
    by_offset.set(xlabel=r"offset $\tilde E=\eta E$", ylabel=r"gap $(2-T_\infty)/\epsilon$", ylim=(0, None))
    by_offset.legend(loc="upper right")
    _draw_swept(by_lr, data)
    return figure


def _draw_swept(ax: Axes, data: xr.Dataset) -> None:
    ended = data.swept.values > 0.0
    lr = data.lr.values
    flow = lr * float(theory.quadratic_flow_limit(*START, EPSILON))
    ax.plot(lr, flow, color=GREY, linewidth=0.9, label="gradient flow")
    ax.plot(lr[ended], data.swept.values[ended], "o", color=VERMILION, markersize=2.5, label="gradient descent")
    mark_threshold(ax, 2.0)
    if not ended.all():
        ax.axvspan(lr[~ended][0] - 0.025, lr[-1], color="0.88", linewidth=0)
        ax.annotate(
            "diverges",
            ((lr[~ended][0] + lr[-1]) / 2.0, 1.0),
            ha="center",
            va="center",
            rotation=90,
            fontsize="small",
        )
    ax.set(xlabel=label("lr"), ylabel=r"final curvature $T_\infty$", xlim=(0, lr[-1]), ylim=(0, 2.6))
    ax.legend(loc="lower right", bbox_to_anchor=(0.93, 0.0))


# --------------------------------------------------------------------------------------------------------------- starts

STARTS_Z, STARTS_T = np.linspace(-2.2, 0.9, 93), np.linspace(0.05, 3.0, 60)
CATAPULT_STARTS = ((0.5, 2.5), (0.3, 3.5), (0.9, 3.0), (0.05, 2.2))


def _starts(progress: bool) -> xr.Dataset:
    import xarray as xr

    rows = [sim.datum_ends(STARTS_Z, T, EPSILON, num_steps=40_000) for T in tracked(list(STARTS_T), progress, "starts")]
    exist = theory.realisable_z(STARTS_T, EPSILON)[1][:, None] >= STARTS_Z
    ends = np.array(rows)
    paths = np.array([sim.catapult_path(*start, 400) for start in CATAPULT_STARTS])
    return xr.Dataset(
        {
            "end": (("T0", "z0"), np.where(np.isfinite(ends), ends, -1.0), {"missing": "-1: no convergence"}),
            "exists": (("T0", "z0"), exist),
            "path": (("catapult", "step", "coordinate"), paths),
        },
        {"z0": STARTS_Z, "T0": STARTS_T, "coordinate": ["z", "T"]},
        {"epsilon": EPSILON, "num_steps": 40_000, "eosfast_version": __version__},
    )


def _draw_starts(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.7), layout="constrained")
    plane, catapult = figure.subplots(1, 2, width_ratios=(1.5, 1))
    ends = data.end.where(data.end > 0.0)
    filled = plane.pcolormesh(data.z0, data.T0, ends, vmin=0.0, vmax=2.0, shading="nearest", rasterized=True)
    figure.colorbar(filled, ax=plane, label=r"final curvature $T_\infty$", pad=0.02)
    T = np.array([0.0, 3.05])
    plane.plot((T - 2.0) / 2.0, T, color=VERMILION, linewidth=1.0)
    plane.plot(T / 2.0, T, color=BLACK, linewidth=0.8)
    place: dict[str, Any] = {"fontsize": "small", "ha": "center"}
    plane.annotate("$T_0-2z_0=2$", (0.02, 2.02), xytext=(-4, 6), textcoords="offset points", rotation=52, **place)
    plane.annotate("no such $w$", (0.62, 0.35), **place)
    plane.annotate("diverges", (-1.85, 2.2), **place)
    plane.annotate("edge of\nstability", (-1.35, 0.6), **place)
    plane.set(xlabel="start $z_0$", ylabel="start $T_0$", xlim=(STARTS_Z[0], STARTS_Z[-1]), ylim=(0.02, 3.0))
    for k, colour in enumerate((VERMILION, BLUE, GREEN, PURPLE)):
        z, T = data.path.isel(catapult=k).transpose("coordinate", "step").values
        catapult.plot(np.abs(z), T, ".-", color=colour, markersize=2.5, linewidth=0.6)
        catapult.plot(np.abs(z[:1]), T[:1], "o", color=colour)
    mark_threshold(catapult, 2.0, "$T=2$")
    catapult.set(
        xlabel=r"$|z_t|$", ylabel="curvature $T_t$", xlim=(0, None), ylim=(0, 4), title="eigenvalues 1 and $-1$"
    )
    return figure


FIGURES = (
    PaperFigure(
        "landscape",
        "One data point with the eigenvalues 1 and -0.1: the loss is the square of a hyperbolic paraboloid. Gradient "
        "descent from one start with a small and with a large step size, of the latter every second step; right: the "
        "curvature ||J||^2, which rises on the way to the minima, and with the large step is brought below 2/lr.",
        _landscape,
        _draw_landscape,
    ),
    PaperFigure(
        "one_datum",
        "Eigenvalues 1 and -0.005, several step sizes from one start (z, ||J||^2) = (-0.4, 0.4). Left: the curvature "
        "ends at lr times what gradient flow gives, or just below 2. Middle: every second step in the plane (z, T) "
        "with the curves on which two steps return to the same z or T. Right: the excess over the first of them, "
        "which settles at y* while z dies out.",
        _planes,
        _draw_planes,
    ),
    PaperFigure(
        "limits",
        "How far below 2 the curvature ends. Left: over epsilon from two starts, with the fourth-order series and its "
        "leading term; for larger epsilon the weaker start has no time to settle. Middle: over the offset E, scaled "
        "by epsilon. Right: end of runs from one start over the step size, epsilon = 0.005.",
        _limits,
        _draw_limits,
    ),
    PaperFigure(
        "starts",
        "Left: final curvature over the start (z_0, T_0), epsilon = 0.005: T_0 - 2 z_0 where that is below 2, and the "
        "edge of stability beyond the line, until the run diverges (white). Right: with the eigenvalues 1 and -1 the "
        "curvature can only fall below 4: jumps to flatter minima, but no edge of stability.",
        _starts,
        _draw_starts,
    ),
)
