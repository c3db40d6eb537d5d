"""Figures of the top mode: two steps of a random model and of a network on digits at the edge of stability, and the
curvature of the network's outputs along the top eigenvector of its tangent kernel.

z_1 is the residual along that eigenvector v_1, the curvature is lr lambda_1(J J')/n for a mean over n samples. The
paper has such figures for 5000 images of CIFAR-10, as recalled; data, widths, step size and window are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast import __version__, spectral_density
from eosfast.papers.figure import BLACK, BLUE, GREEN, ORANGE, PAGE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# ------------------------------------------------------------------------------------------------------------ two steps

RANDOM_CASE, RANDOM_WINDOW = (0.4, 1.0, 9), (60, 400)  # s, l_0, seed
FIRST, LAST = 2_000, 3_200


def _top_mode(_progress: bool) -> xr.Dataset:
    import xarray as xr

    run = sim.network_run(FIRST, LAST, ("loss", "z1", "ntk_sharpness"))
    network = xr.Dataset({"z1": run.z1, "curvature": sim.LR / sim.SAMPLES * run.ntk_sharpness, "loss": run.loss})
    other = sim.random_run(*RANDOM_CASE, RANDOM_WINDOW[1]).sel(step=slice(*RANDOM_WINDOW))
    random = other.rename(step="random_step", z1="random_z1", ntk_sharpness="random_curvature").drop_vars("loss")
    data = network.merge(random)
    return data.assign_attrs(
        lr=sim.LR,
        n=sim.SAMPLES,
        s=RANDOM_CASE[0],
        level=RANDOM_CASE[1],
        random_seed=RANDOM_CASE[2],
        seed=0,
        eosfast_version=__version__,
    )


def _draw_top_mode(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 4.6), layout="constrained")
    (curvature, residual, plane), (growth, fall, random) = figure.subplots(2, 3)
    even = slice(None, None, 2)
    for part, colour in ((even, VERMILION), (slice(1, None, 2), SKY)):
        curvature.plot(data.step[part], data.curvature[part], color=colour, linewidth=0.9)
    mark_threshold(curvature, 2.0)
    curvature.set(xlabel="step $t$", ylabel=r"curvature $\eta\lambda_1/n$")
    residual.plot(data.step[even], data.z1[even], color=VERMILION, linewidth=0.9, label="even $t$")
    residual.plot(data.step[1::2], data.z1[1::2], color=SKY, linewidth=0.9, label="odd $t$")
    residual.set(xlabel="step $t$", ylabel="residual $z_1$")
    residual.legend(loc="upper right")
    for ax in (curvature, residual):
        ax.set_xlim(data.step[0], data.step[-1])
    plane.plot(data.z1[even], data.curvature[even], ".-", color=VERMILION, markersize=2, linewidth=0.5)
    plane.plot(data.z1[:1], data.curvature[:1], "o", color=BLACK)
    mark_threshold(plane, 2.0)
    plane.set(xlabel="residual $z_1$, every second step", ylabel=r"curvature $\eta\lambda_1/n$")
    law = sim.two_step_law(data.z1.values, data.curvature.values)
    _draw_law(growth, law.expected, law.change, GREEN, "digits")
    fall.plot(law.square, 1e3 * law.excess_change, ".", color=GREEN, markersize=2)
    fall.set(xlabel="$z_1^2$", ylabel=r"$y_{t+2}-y_t$ ($10^{-3}$)")
    mark_threshold(fall, 0.0)
    law = sim.two_step_law(data.random_z1.values, data.random_curvature.values)
    _draw_law(random, law.expected, law.change, ORANGE, "random model")
    return figure


def _draw_law(ax: Axes, x: np.ndarray, y: np.ndarray, colour: str, text: str) -> None:
    """Changes of z_1 over two steps against 2 y z_1, with the line on which they are equal."""
    reach = 1.05 * np.max(np.abs(x))
    ax.plot([-reach, reach], [-reach, reach], color=BLACK, linewidth=0.8)
    ax.plot(x, y, ".", color=colour, markersize=2.5, label=text)
    ax.set(xlabel="$2yz_1$", ylabel="$z_1(t+2)-z_1(t)$")
    ax.legend(loc="upper left", markerscale=3)


# ------------------------------------------------------------------------------------------------------- the curvature

PLACES_COLOURS = (SKY, BLUE, GREEN, VERMILION)
PLACES_EVERY, EXTREMES_EVERY = 400, 25
NUM_VECTORS, NUM_MATVECS, RANDOM_DIRECTIONS = 4, 60, 4


def _curvature(progress: bool) -> xr.Dataset:
    import xarray as xr

    model = sim.network()
    weights = sim.network_run(FIRST, LAST, ("weights",), PLACES_EVERY).weights
    rng = np.random.default_rng(0)
    directions = sim.top_directions(model, weights.values)
    directions += list(rng.standard_normal((RANDOM_DIRECTIONS, len(directions[0]))))
    operators = [
        model.curvature_operator(weights.values[min(k, len(weights) - 1)], u / np.linalg.norm(u))
        for k, u in enumerate(directions)
    ]
    densities = [
        spectral_density(operator, num_vectors=NUM_VECTORS, num_matvecs=NUM_MATVECS, seed=k)[["node", "weight"]]
        for k, operator in enumerate(tracked(operators, progress, "densities"))
    ]
    data = xr.concat(densities, dim="direction", combine_attrs="drop", join="exact")
    extremes = sim.network_run(FIRST, LAST, ("q1_max", "q1_min"), EXTREMES_EVERY).drop_attrs()
    data = data.merge(extremes).assign_coords(place=("place", weights.step.values))
    return data.assign_attrs(lr=sim.LR, n=sim.SAMPLES, dim=model.dim, seed=0, eosfast_version=__version__)


def _draw_curvature(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
    density, extremes = figure.subplots(1, 2, width_ratios=(1.3, 1))
    places = data.place.values
    reach = 1.1 * float(np.abs(data.node).max())
    edges = np.linspace(-reach, reach, 60)
    for k, colour in enumerate((*PLACES_COLOURS[: len(places)], BLACK)):
        chosen = data.isel(direction=[k] if k < len(places) else slice(len(places), None))
        share, _ = np.histogram(chosen.node.values, edges, weights=chosen.weight.values)
        share /= chosen.weight.values.sum()
        text = f"$v_1$, $t={places[k]}$" if k < len(places) else "random $u$"
        density.stairs(np.where(share > 0.0, share, np.nan), edges, color=colour, linewidth=0.9, label=text)
    density.set(xlabel=r"eigenvalue of $\sum_a u_a\,\nabla^2 f_a$", ylabel="share", yscale="log", xlim=(-reach, reach))
    density.legend(loc="upper right")
    extremes.plot(data.step, data.q1_max, color=VERMILION, label="largest")
    extremes.plot(data.step, -data.q1_min, color=BLUE, label="minus the smallest")
    extremes.set(xlabel="step $t$", ylabel=r"eigenvalue of $\sum_a v_{1a}\,\nabla^2 f_a$", ylim=(0, None))
    extremes.set_xlim(data.step[0], data.step[-1])
    extremes.legend(loc="lower right")
    return figure


FIGURES = (
    PaperFigure(
        "top_mode",
        "A network with two hidden tanh layers on 100 digits at the edge of stability: curvature and residual along "
        "the top eigenvector, every second step in their plane, the change of the residual over two steps against 2 y "
        "z_1, and that of the excess y against z_1^2. Last: the first of these laws in a random model with 60 data "
        "points.",
        _top_mode,
        _draw_top_mode,
    ),
    PaperFigure(
        "output_curvature",
        "The same network: eigenvalues of the second derivative of its outputs, along the top eigenvector v_1 of the "
        "tangent kernel at several steps, and along random directions u; right: the extreme ones along v_1. They "
        "hardly move in the window and are far larger than along a random direction.",
        _curvature,
        _draw_curvature,
    ),
)
