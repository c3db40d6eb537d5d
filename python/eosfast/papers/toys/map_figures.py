"""Figures of what takes the place of a minimum above its edge: cycles, chaos and basins on (x y - 1)^2 / 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast import GD, Scalar1D, ScalarProduct, __version__, plotting, theory
from eosfast.papers.figure import BLACK, BLUE, GREY, PAGE, VERMILION, PaperFigure
from eosfast.papers.runs import tracked

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# ----------------------------------------------------------------------------------------------------- bifurcation

START = 0.9
RANGE, ZOOM = (0.75, 2.0), (1.22, 1.31)
BURN_IN, LAST = 4_000, 150


def _residuals(lrs: NDArray[np.float64], progress: bool) -> NDArray[np.float64]:
    w = sim.attractors(ScalarProduct(depth=2), [START, START], lrs, BURN_IN, LAST, progress).weights
    return np.asarray(lrs[:, None] * (w.values[..., 0] * w.values[..., 1] - 1.0))


def _bifurcation(progress: bool) -> xr.Dataset:
    import xarray as xr

    lr, zoom = np.linspace(*RANGE, 900), np.linspace(*ZOOM, 500)
    fine = np.linspace(*RANGE, 4_000)
    quartic = Scalar1D(loss="quartic", target=1.0)
    measured = sim.ends(quartic, {"lr": fine}, 40_000, ("lyapunov", "period"), w0={"x": START})
    variables = {
        "z": (("lr", "step"), _residuals(lr, progress)),
        "z_zoom": (("lr_zoom", "step"), _residuals(zoom, progress)),
        "lyapunov": ("lr_fine", measured.lyapunov.values),
        "period": ("lr_fine", measured.period.values),
    }
    coords = {"lr": lr, "lr_zoom": zoom, "lr_fine": fine, "step": np.arange(BURN_IN, BURN_IN + LAST)}
    return xr.Dataset(variables, coords, attrs={"start": START, "eosfast_version": __version__})


def _points(ax: Axes, lr: xr.DataArray, z: xr.DataArray) -> None:
    ax.plot(
        np.repeat(lr.values, z.shape[1]),
        z.values.ravel(),
        linestyle="none",
        marker=",",
        color=GREY,
        alpha=0.35,
        rasterized=True,
        zorder=1,
    )


def _draw_bifurcation(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.6, 1.0), height_ratios=(2.2, 1.0))
    whole, near = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[:, 1])
    strip = figure.add_subplot(grid[1, 0], sharex=whole)
    phases = theory.CUBIC_PHASES
    _points(whole, data.lr, data.z)
    a = np.linspace(phases.stable, phases.doubling, 200)
    whole.plot(a, theory.cubic_two_cycle(a), color=VERMILION, linewidth=1.2)
    for lr in (phases.monotone, phases.stable, phases.doubling):
        for ax in (whole, strip):
            ax.axvline(lr, color="0.6", linewidth=0.6, zorder=0)
    whole.set(ylabel=r"$z=\eta\,(xy-1)$", xlim=RANGE, ylim=(-2.1, 2.1))
    whole.tick_params(labelbottom=False)
    place: dict[str, Any] = {"textcoords": "offset points", "fontsize": "small"}
    upright = place | {"rotation": 90, "ha": "left", "va": "top"}
    for text, where in (("loss monotone", RANGE[0]), ("catapult", phases.monotone), ("period 2", phases.stable)):
        whole.annotate(text, (where, 2.05), xytext=(3, 0), **upright)
    whole.annotate("doublings, chaos", (phases.doubling, 2.05), xytext=(3, 0), **upright)
    strip.plot(data.lr_fine, data.lyapunov, color=BLUE, linewidth=0.6)
    strip.axhline(0.0, color=BLACK, linewidth=0.6)
    strip.plot(2.0, np.log(3.0), "o", color=VERMILION, clip_on=False)
    strip.annotate(r"$\log 3$", (2.0, np.log(3.0)), xytext=(4, 4), ha="right", **place)
    strip.set(xlabel=r"step size $\eta$", ylabel="Lyapunov exp.", ylim=(-2.2, 2.1))
    _points(near, data.lr_zoom, data.z_zoom)
    near.plot(a, theory.cubic_two_cycle(a)[:, 0], color=VERMILION, linewidth=1.2, label="2-cycle, closed form")
    for k, at in enumerate(theory.cubic_doublings(5)[1:]):
        near.axvline(at, color="0.6", linewidth=0.6, zorder=0, label="doublings, computed" if k == 0 else None)
    near.set(xlabel=r"step size $\eta$", ylabel="$z$, upper band", xlim=ZOOM, ylim=(0.27, 0.56))
    near.legend(loc="lower left", facecolor="white", frameon=True, framealpha=0.9, edgecolor="none")
    return figure


# ------------------------------------------------------------------------------------------------------------- basins

BASINS = {  # panel: step size, ranges of x and y
    "whole": (0.2, (-4.6, 4.6), (-4.6, 4.6)),
    "near": (0.2, (3.3, 4.1), (1.6, 2.6)),
    "cycles": (1.1, (-2.0, 2.0), (-2.0, 2.0)),
}
BASIN_SIDE, BASIN_STEPS = 460, 10_000


def _basins(progress: bool) -> xr.Dataset:
    import xarray as xr

    variables: dict[str, Any] = {}
    for name, (lr, across, up) in tracked(list(BASINS.items()), progress, "panels"):
        x, y = np.linspace(*across, BASIN_SIDE), np.linspace(*up, BASIN_SIDE)
        runs = sim.ends(ScalarProduct(depth=2), {"w1": x, "w2": y}, BASIN_STEPS, optimizer=GD(lr=lr))
        bounded = runs.status.values != runs.status.attrs["flag_meanings"].split().index("diverged")
        dims = (f"x_{name}", f"y_{name}")
        variables |= {
            f"bounded_{name}": (dims, bounded.astype(np.int8)),
            f"level_{name}": (dims, np.where(bounded, lr * runs.sharpness.values, 0.0)),
            dims[0]: x,
            dims[1]: y,
        }
    return xr.Dataset(variables, attrs={"num_steps": BASIN_STEPS, "eosfast_version": __version__})


def _draw_basins(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    panels = figure.subplots(1, 3)
    for ax, (name, (lr, across, up)) in zip(panels, BASINS.items(), strict=True):
        level = data[f"level_{name}"].where(data[f"bounded_{name}"] == 1)
        top = 2.0 if name != "cycles" else 3.2
        plotting.phase_diagram(level, ax=ax, x=f"x_{name}", y=f"y_{name}", colorbar=False, vmin=0.0, vmax=top)
        x, y = (np.linspace(*side, 800) for side in (across, up))
        bounded = theory.bounded_start(*np.meshgrid(x, y), lr).astype(float)
        ax.contour(x, y, bounded, [0.5], colors=[VERMILION], linewidths=1.0)
        ax.set(xlabel="start $x_0$", ylabel="start $y_0$" if name == "whole" else "", xlim=across, ylim=up)
        ax.set_xscale("linear")
        ax.set_yscale("linear")
    panels[0].set_title(r"$\eta=0.2$")
    panels[1].set_title(r"$\eta=0.2$, detail")
    panels[2].set_title(r"$\eta=1.1$: 2-cycles")
    (x0, x1), (y0, y1) = BASINS["near"][1:]
    panels[0].plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=BLACK, linewidth=0.7)
    figure.colorbar(panels[1].collections[0], ax=panels[:2], label=r"final sharpness $\times\,\eta$", pad=0.01)
    figure.colorbar(panels[2].collections[0], ax=panels[2], label=r"sharpness $\times\,\eta$ at the end", pad=0.01)
    return figure


FIGURES = (
    PaperFigure(
        "bifurcation",
        "What gradient descent does on (x y - 1)^2/2 from x = y as the step size grows past the edge, 1: the residual "
        "times the step size follows a cubic map. Left: its attractor, with the closed form of the 2-cycle, and the "
        "Lyapunov exponent, log 3 at the end. Right: the cascade of doublings and where they are computed to be. After "
        "Chen and Bruna 2022 and Chen et al. 2023.",
        _bifurcation,
        _draw_bifurcation,
    ),
    PaperFigure(
        "basins",
        "Starts of gradient descent on (x y - 1)^2/2, by the sharpness where they end; grey ones diverge. The ellipse "
        "separates them from the bounded ones exactly. Left and middle: minima of all sharpnesses below 2/lr. Right: "
        "above the edge all bounded runs end in one 2-cycle, whose two phases have basins with a fractal border.",
        _basins,
        _draw_basins,
    ),
)
