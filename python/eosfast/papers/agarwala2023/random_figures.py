"""Figures of many data points with random coefficients: runs, sharpening at the start, where they end over the sizes of
residual and Jacobian, and convergence that is not one.

s = sigma_z sqrt(D P) sets the sharpening, l_0 = P sigma_J^2 (1 + sqrt(D/P))^2 the curvature at the start; D = 60 and P
= 120 are recalled from the paper, the grid, the numbers of seeds and of steps are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast import __version__
from eosfast.papers.figure import BLACK, BLUE, GREEN, GREY, PAGE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVATURE = r"curvature $\eta\lambda_{\max}(JJ^\top)$"

# ----------------------------------------------------------------------------------------------------------------- runs

CASES = ((0.1, 0.5), (0.3, 0.5), (0.5, 0.5), (0.4, 1.5))  # s and l_0
CASE_COLOURS = (BLACK, SKY, BLUE, VERMILION)
CASE_STEPS, CASE_SEED = 1_500, 0
SIZES = ((20, 40), (40, 80), (60, 120), (60, 60), (80, 40))
SIZE_SEEDS = 80


def _runs(progress: bool) -> xr.Dataset:
    import xarray as xr

    runs = [sim.random_run(s, level, CASE_SEED, CASE_STEPS) for s, level in tracked(CASES, progress, "random models")]
    data = xr.concat(runs, dim="case", combine_attrs="drop", join="exact").drop_vars("z1")
    measured = np.array([sim.rates_at_start(0.3, 0.5, SIZE_SEEDS, size) for size in tracked(SIZES, progress, "sizes")])
    relative = measured[:, :, 2] / measured[:, :, :1].mean(axis=1) / (2.0 * 0.3**2)
    data["ratio"] = ("size", relative.mean(axis=1))
    data["error"] = ("size", relative.std(axis=1) / np.sqrt(SIZE_SEEDS))
    s, level = np.array(CASES).T
    named = data.assign_coords(s=("case", s), level=("case", level), size=[f"{D} x {P}" for D, P in SIZES])
    return named.assign_attrs(D=sim.D, P=sim.P, seed=CASE_SEED, num_seeds=SIZE_SEEDS, eosfast_version=__version__)


def _draw_runs(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    loss, curvature, rate = figure.subplots(1, 3)
    for k, colour in enumerate(CASE_COLOURS):
        run = data.isel(case=k)
        steps = run.step + 1
        text = rf"$s={float(run.s):g}$, $\ell_0={float(run.level):g}$"
        loss.plot(steps, run.loss / run.loss[0], color=colour, linewidth=0.8, label=text)
        curvature.plot(steps, run.ntk_sharpness, color=colour, linewidth=0.8)
    mark_threshold(curvature, 2.0)
    loss.set(xlabel="step $t+1$", ylabel="loss $L_t/L_0$", xscale="log", yscale="log", xlim=(1, steps[-1]))
    loss.set_ylim(1e-12, 1e2)
    loss.legend(loc="lower left")
    curvature.set(xlabel="step $t+1$", ylabel=CURVATURE, xscale="log", xlim=(1, steps[-1]), ylim=(0, None))
    places = np.arange(data.sizes["size"])
    rate.errorbar(places, data.ratio, data.error, fmt="o", color=BLUE, capsize=2)
    mark_threshold(rate, 1.0)
    rate.set_xticks(places, [text.replace(" x ", "\n") for text in data["size"].values])
    rate.set(xlabel="$D$ (above), $P$ (below)", ylim=(0.8, 1.4), xlim=(-0.5, places[-1] + 0.5))
    rate.set_ylabel(r"$\mathbf{E}\ddot\lambda\,/\,(2DP\sigma_Q^2\sigma_z^2\,\mathbf{E}\lambda)$ at the start")
    return figure


# ------------------------------------------------------------------------------------------------------------- the map

MAP_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
MAP_LEVELS = (0.1, 0.25, 0.5, 1.0, 1.5, 1.9)
MAP_SEEDS, MAP_STEPS = 8, 2_500


def _map(progress: bool) -> xr.Dataset:
    data = sim.random_map(MAP_S, MAP_LEVELS, range(MAP_SEEDS), MAP_STEPS, progress)
    return data.assign_attrs(eosfast_version=__version__)


def _draw_map(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 4.3), layout="constrained")
    (median, spread), (converged, diverged) = figure.subplots(2, 2, sharex=True, sharey=True)
    ended = data.curvature.where(data.outcome == sim.CONVERGED)
    share = [(data.outcome == k).mean("seed") for k in (sim.CONVERGED, sim.DIVERGED)]
    some = (data.outcome == sim.CONVERGED).any("seed")
    middle = np.where(some, ended.where(some, 0.0).median("seed"), np.nan)
    width = (ended.max("seed") - ended.min("seed")).where((data.outcome == sim.CONVERGED).sum("seed") > 1).values
    _draw_cells(median, data, middle, (0.0, 2.0), "final curvature, median of the converged")
    _draw_cells(spread, data, width, (0.0, 0.6), "final curvature, largest minus smallest")
    _draw_cells(converged, data, share[0].values, (0.0, 1.0), "fraction converged")
    _draw_cells(diverged, data, share[1].values, (0.0, 1.0), "fraction diverged")
    for ax in (converged, diverged):
        ax.set_xlabel(r"$s=\sigma_z\sqrt{DP}$")
    for ax in (median, converged):
        ax.set_ylabel(r"$\ell_0=P\sigma_J^2(1+\sqrt{D/P})^2$")
    return figure


def _draw_cells(ax: Axes, data: xr.Dataset, values: np.ndarray, limits: tuple[float, float], title: str) -> None:
    """A table in colours with its numbers; cells without a value stay white."""
    ax.pcolormesh(np.arange(values.shape[1]), np.arange(values.shape[0]), values, vmin=limits[0], vmax=limits[1])
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = (value - limits[0]) / (limits[1] - limits[0]) < 0.55
            text = f"{value:.2f}" if limits[1] != 1.0 else f"{value:.2g}"
            style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "color": "white" if dark else BLACK}
            ax.annotate(text, (column, row), **style)
    ax.set_xticks(np.arange(values.shape[1]), [f"{s:g}" for s in data.s.values])
    ax.set_yticks(np.arange(values.shape[0]), [f"{level:g}" for level in data.level.values])
    ax.set_title(title)


# ---------------------------------------------------------------------------------------------------- false convergence

TRAP = (0.45, 0.25, 11)  # s, l_0, seed
TRAP_STEPS = 6_000
TRAP_MAP, TRAP_SEEDS, TRAP_LOSS = (0.4, 0.5), 20, 1e-8


def _trap(_progress: bool) -> xr.Dataset:
    run = sim.random_run(*TRAP, TRAP_STEPS).drop_vars("z1")
    models = [sim.random_model(*TRAP_MAP, seed) for seed in range(TRAP_SEEDS)]
    small = TRAP_LOSS * TRAP_MAP[0] ** 2 / (2.0 * sim.P)
    loss, first, _ = sim.ends_of(models, MAP_STEPS, small)
    _, last, _ = sim.ends_of(models, MAP_STEPS)
    data = run.assign(first=("seed", np.where(loss <= small, first, -1.0)), last=("seed", last))
    return data.assign_attrs(s=TRAP[0], level=TRAP[1], seed=TRAP[2], D=sim.D, P=sim.P, eosfast_version=__version__)


def _draw_trap(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    loss, curvature, both = figure.subplots(1, 3)
    steps = data.step + 1
    relative = (data.loss / data.loss[0]).values
    excess = data.ntk_sharpness.values - 2.0
    above = excess >= 0.0
    for ax, values in ((loss, relative), (curvature, excess)):
        ax.plot(steps, values, color=BLUE, linewidth=0.9)
        ax.plot(steps, np.where(above, values, np.nan), color=VERMILION, linewidth=1.1)
        ax.set(xlabel="step $t+1$", xscale="log", xlim=(1, steps[-1]))
    loss.plot([], [], color=VERMILION, label="curvature above 2")
    loss.plot([], [], color=BLUE, label="below")
    false = np.flatnonzero((relative <= 1e-12) & above)
    if false.size:
        loss.plot(steps[false[:1]], relative[false[:1]], "o", color=BLACK, label="convergence by the loss")
        curvature.plot(steps[false[:1]], excess[false[:1]], "o", color=BLACK)
    loss.set(ylabel="loss $L_t/L_0$", yscale="log", ylim=(1e-22, 10.0))
    loss.legend(loc="lower left")
    mark_threshold(curvature, 0.0)
    curvature.set_yscale("symlog", linthresh=1e-3)
    curvature.set(ylabel=r"$\eta\lambda_{\max}(JJ^\top)-2$", ylim=(-3.0, 0.1))
    known = data["first"].values > 0.0
    both.plot(data["first"][known], data["last"][known], "o", color=GREEN, fillstyle="none")
    for axis in "xy":
        mark_threshold(both, 2.0, axis=axis)
    ends = np.array([data["first"].values[known].min() - 0.02, data["first"].values[known].max() + 0.02])
    both.plot(ends, ends, color=GREY, linewidth=0.7)
    both.set(xlabel="curvature when $L_t$ first is $10^{-8}L_0$", ylabel="final curvature", xlim=ends, ylim=ends)
    return figure


FIGURES = (
    PaperFigure(
        "random_models",
        "Random models with 60 data points and 120 parameters. Left and middle: loss and curvature for several sizes "
        "s of the residual and curvatures l_0 at the start. Right: second derivative of the curvature at the start in "
        "gradient flow, over the prediction 2 D P sigma_Q^2 sigma_z^2 for large models, mean of the seeds with its "
        "standard error.",
        _runs,
        _draw_runs,
    ),
    PaperFigure(
        "random_map",
        "Where random models with 60 data points and 120 parameters end over s and l_0: the median of the final "
        "curvature, its spread, and the fractions that converge and diverge within 2500 steps (8 seeds; the rest is "
        "still oscillating). Converged means a residual below 1e-6 of the start and a curvature below 2.",
        _map,
        _draw_map,
    ),
    PaperFigure(
        "false_convergence",
        "Convergence that is not one. Left and middle: the loss falls by twelve orders of magnitude while the "
        "curvature is still above 2, and grows again. Right: curvature of 20 models (s = 0.4, l_0 = 0.5) when the loss "
        "first is 1e-8 of the start, and at the end; a rule that stops at small loss reports values above 2.",
        _trap,
        _draw_trap,
    ),
)
