"""Figures of slow motion at the edge: self-stabilisation, its minimal model, and three drifts along a valley."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from eosfast import GD, CurvedValley, NormalizedGD, ScaleInvariant, SelfStabilization, Stop, __version__, theory
from eosfast.papers.figure import BLACK, BLUE, GREEN, GREY, ORANGE, PAGE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

EVERY_STEP = Stop(steady=False)

# ------------------------------------------------------------------------------------------------- self-stabilisation

LOOP_LR, LOOP_STEPS = 0.01, 520
LOOP_STARTS = (1.1, 1.5, 2.0)  # x/delta, at y = 0
DELTA = math.sqrt(2.0)  # for alpha = beta = 1


def loop(start: float, lr: float, num_steps: int) -> xr.Dataset:
    """A run of the reduced model, alpha = beta = 1, from x = start * delta at sharpness 2/lr; ``x``, and ``y`` above
    2/lr, along ``step``.
    """
    w0 = {"x": start * DELTA, "y": 2.0 / lr}
    run = sim.path(SelfStabilization(), w0, lr, num_steps, 1, ("weights",), EVERY_STEP)
    w = run.weights
    run = run.assign(x=w.sel(parameter="x", drop=True), y=w.sel(parameter="y", drop=True) - 2.0 / lr)
    return run.drop_vars(["weights", "parameter"])


def loop_periods(run: xr.Dataset) -> NDArray[np.float64]:
    """Steps between successive upward crossings of y = 0, interpolated; a NaN if there are fewer than two."""
    y = run.y.values
    before = np.flatnonzero((y[:-1] < 0.0) & (y[1:] >= 0.0))
    found = np.diff(before - y[before] / (y[before + 1] - y[before]))
    return found if len(found) else np.array([np.nan])


def _self_stabilization(progress: bool) -> xr.Dataset:
    import xarray as xr

    runs = [loop(start, LOOP_LR, LOOP_STEPS) for start in LOOP_STARTS]
    starts, lrs = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0]), (0.01, 0.001)
    periods = [
        [lr * loop_periods(loop(start, lr, int(30.0 / lr)))[0] for start in starts]
        for lr in tracked(lrs, progress, "step sizes")
    ]
    variables = {
        "x": (("start", "step"), [run.x.values for run in runs]),
        "y": (("start", "step"), [run.y.values for run in runs]),
        "period": (("lr", "wide"), periods),
    }
    coords = {"start": list(LOOP_STARTS), "step": runs[0].step.values, "lr": list(lrs), "wide": starts}
    return xr.Dataset(variables, coords, attrs={"lr_of_loops": LOOP_LR, "eosfast_version": __version__})


def _draw_self_stabilization(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    plane, course, period = figure.subplots(1, 3)
    x, y = np.meshgrid(np.linspace(0.02, 3.3, 300), np.linspace(-2.2, 2.2, 300))
    energy = theory.stabilization_energy(x, y)
    levels = [float(theory.stabilization_energy(start * DELTA, 0.0)) for start in data.start.values]
    plane.contour(x, y, energy, levels, colors=[BLACK], linewidths=0.7)
    for start, colour in zip(data.start.values, (SKY, BLUE, VERMILION), strict=True):
        run = data.sel(start=start)
        plane.plot(np.abs(run.x), run.y, ".", color=colour, markersize=1.8)
        course.plot(run.step, run.y, color=colour, label=rf"$x_0={start:g}\,\delta$")
    plane.set(xlabel=r"displacement $|x|$", ylabel=r"sharpness $-\,2/\eta$")
    course.axhline(0.0, color="0.25", linestyle=(0, (4, 2)), linewidth=1.0)
    course.set(xlabel=label("step"), ylabel=r"sharpness $-\,2/\eta$", ylim=(-2.2, 3.4))
    course.legend(loc="upper left")
    start = np.geomspace(0.04, 3.2, 300)
    period.plot(
        start, theory.stabilization_period(1.0, start=start), color=BLACK, linewidth=0.9, label="conserved energy"
    )
    for lr, marker, colour in zip(data.lr.values, "os", (VERMILION, BLUE), strict=True):
        period.plot(data.wide, data.period.sel(lr=lr), marker, color=colour, markersize=3, label=rf"$\eta={lr:g}$")
    period.axhline(math.pi * math.sqrt(2.0), color="0.7", linewidth=0.6, zorder=0)
    period.set(xlabel=r"start $x_0/\delta$", ylabel=r"period $\times\,\eta$", xscale="log", ylim=(4.2, 8.0))
    period.legend(loc="upper center")
    return figure


# -------------------------------------------------------------------------------------------------- the minimal model

EPSILONS = (1e-2, 1e-3, 1e-4)
MINIMAL_LR, ZETA, MINIMAL_Y0 = 0.3, 1.0, 5.0


def minimal_run(eps: float, scaled_time: float, every: int | NDArray[np.int64] = 1) -> xr.Dataset:
    """The minimal model from (0, 5), for ``scaled_time`` = lr eps num_steps; variables ``x`` and ``y``."""
    model = SelfStabilization(alpha=eps, beta=1.0, slope=ZETA, tilt=eps)
    num_steps = round(scaled_time / (MINIMAL_LR * eps))
    run = sim.path(model, {"x": 0.0, "y": MINIMAL_Y0}, MINIMAL_LR, num_steps, every, ("weights",), EVERY_STEP)
    x, y = (run.weights.sel(parameter=name, drop=True) for name in "xy")
    return run.assign(x=x, y=y).drop_vars(["weights", "parameter"])


def _multiscale(progress: bool) -> xr.Dataset:
    import xarray as xr

    time = np.linspace(0.0, 12.0, 2401)
    arrival = 2.0 / MINIMAL_LR - MINIMAL_Y0
    y, squares, means = [], [], []
    for eps in tracked(EPSILONS, progress, "perturbations"):
        run = minimal_run(eps, 20.0)
        at = np.round(time / (MINIMAL_LR * eps)).astype(int)
        y.append(run.y.values[at])
        begin = int(np.argmax(run.y.values >= 2.0 / MINIMAL_LR))
        total = np.cumsum(np.where(run.step.values >= begin, run.x.values**2, 0.0))
        squares.append(total[at] / (eps * np.maximum(at - begin + 1, 1)))
        tail = run.isel(step=slice(-len(run.step) // 10, None))
        means.append((float((tail.x**2).mean()) / eps, (float(tail.y.mean()) - 2.0 / MINIMAL_LR) / eps))
    variables = {
        "y": (("eps", "time"), y),
        "square": (("eps", "time"), squares),
        "mean_square": ("eps", [one for one, _ in means]),
        "mean_shift": ("eps", [two for _, two in means]),
    }
    attrs = {"lr": MINIMAL_LR, "zeta": ZETA, "arrival": arrival, "eosfast_version": __version__}
    return xr.Dataset(variables, {"eps": list(EPSILONS), "time": time}, attrs)


def _draw_multiscale(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.4), layout="constrained")
    height, square = figure.subplots(1, 2)
    lr, arrival = data.attrs["lr"], data.attrs["arrival"]
    for eps, colour in zip(data.eps.values, (ORANGE, VERMILION, BLUE), strict=True):
        run = data.sel(eps=eps)
        height.plot(run.time, run.y, color=colour, linewidth=0.7, label=rf"$\epsilon={eps:g}$")
        later = run.time > arrival + 0.3
        square.plot(run.time[later], run.square[later], color=colour, linewidth=0.8)
    corners = [0.0, arrival, 12.0], [MINIMAL_Y0, 2.0 / lr, 2.0 / lr]
    height.plot(*corners, color=BLACK, linewidth=0.8, label=r"$\epsilon\to0$")
    height.set(xlabel=r"$\eta\,\epsilon\,t$", ylabel="sharpness $y$", xlim=(0, 12))
    height.legend(loc="lower right")
    mark_threshold(square, 2.0)
    name = r"mean of $x^2/\epsilon$ since $2/\eta$"
    square.set(xlabel=r"$\eta\,\epsilon\,t$", ylabel=name, ylim=(0, 5), xlim=(0, 12))
    text = "\n".join(f"{shift:.4f}" for shift in data.mean_shift.values)
    text = "end: (mean $y-2/\\eta)/\\epsilon$\n" + text + "\nlaw 0.9"
    place = {"xycoords": "axes fraction", "ha": "right", "va": "top", "fontsize": "small"}
    square.annotate(text, (0.97, 0.97), **place)
    return figure


# ------------------------------------------------------------------------------------------------------------- drifts

VALLEY_LRS = (0.2, 0.02)
VALLEY_TIME = 4.0
SPHERE_LR, DECAY, SPHERE_RATIO = 1.0, 1e-4, 3.0
SPHERE_STARTS, SPHERE_TIME = (0.6, 1.0, 1.4), 1.6


def valley_run(lr: float, time: float, root: bool, every: int | NDArray[np.int64] = 1) -> xr.Dataset:
    """Normalised descent on (1 + y^2) x^2, or descent on its square root, from (lr/4, 1), for lr^2 num_steps = time."""
    optimizer = GD(lr=lr) if root else NormalizedGD(lr=lr)
    num_steps = round(time / lr**2)
    w0 = {"x": lr / 4.0, "y": 1.0}
    return sim.path(CurvedValley(root=root), w0, optimizer, num_steps, every, ("weights",), EVERY_STEP)


def sphere_run(phi0: float, time: float, decay: float = DECAY, beside: float = 1.0) -> xr.Dataset:
    """Descent with weight decay on the scale-invariant loss from the edge, beside the minimum at angle phi0 by
    ``beside`` times the amplitude of the slow motion; variables ``phi`` and ``level``, effective step size times
    sharpness on the sphere.
    """
    model = ScaleInvariant(ratio=SPHERE_RATIO)
    lam = math.cos(phi0) ** 2 + SPHERE_RATIO * math.sin(phi0) ** 2
    norm = math.sqrt(SPHERE_LR * lam / 2.0)
    amplitude = beside * float(theory.sphere_oscillation(phi0, SPHERE_LR, decay, SPHERE_RATIO))
    direction = np.array([amplitude, math.cos(phi0), math.sin(phi0)])
    optimizer = GD(lr=SPHERE_LR, weight_decay=decay)
    num_steps = round(time / (SPHERE_LR * decay))
    run = sim.path(model, norm * direction, optimizer, num_steps, 1, ("weights",), EVERY_STEP)
    w = run.weights.values
    phi = np.arctan2(w[:, 2], w[:, 1])
    lam = np.cos(phi) ** 2 + SPHERE_RATIO * np.sin(phi) ** 2
    level = theory.effective_lr(SPHERE_LR, decay, np.linalg.norm(w, axis=1)) * lam
    return run.assign(phi=("step", phi), level=("step", level)).drop_vars(["weights", "parameter"])


def _drifts(progress: bool) -> xr.Dataset:
    import xarray as xr

    time, sphere_time = np.linspace(0.0, VALLEY_TIME, 21), np.linspace(0.0, SPHERE_TIME, 801)
    y = np.empty((2, len(VALLEY_LRS), len(time)))
    for i, root in enumerate((False, True)):
        for j, lr in enumerate(tracked(VALLEY_LRS, progress, "step sizes")):
            at = np.round(time / lr**2).astype(np.int64)
            y[i, j] = valley_run(lr, VALLEY_TIME, root, at).weights.values[:, 1]
    runs = [sphere_run(phi0, SPHERE_TIME, beside=3.0) for phi0 in SPHERE_STARTS]
    at = np.round(sphere_time / (SPHERE_LR * DECAY)).astype(int)
    variables = {
        "y": (("root", "lr", "time"), y),
        "phi": (("start", "sphere_time"), [run.phi.values[at] for run in runs]),
        "level": (("start", "sphere_time"), [run.level.values[at] for run in runs]),
    }
    coords = {"root": [0, 1], "lr": list(VALLEY_LRS), "time": time, "start": list(SPHERE_STARTS)}
    attrs = {"weight_decay": DECAY, "lr_on_sphere": SPHERE_LR, "eosfast_version": __version__}
    return xr.Dataset(variables, coords | {"sphere_time": sphere_time}, attrs)


def _draw_drifts(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    valley, sphere, level = figure.subplots(1, 3)
    fine = np.linspace(0.0, VALLEY_TIME, 200)
    for i, (root, colour, name) in enumerate(
        ((False, BLUE, "normalised steps"), (True, VERMILION, r"steps on $\sqrt{L}$"))
    ):
        valley.plot(fine, theory.valley_drift(fine, 1.0, root), color=colour, linewidth=0.9, label=name)
        for lr, marker in zip(data.lr.values, "x.", strict=True):
            valley.plot(data.time, data.y.isel(root=i).sel(lr=lr), marker, color=colour, markersize=3.5)
    for lr, marker in zip(data.lr.values, "x.", strict=True):
        valley.plot([], [], marker, color=GREY, markersize=3.5, label=rf"$\eta={lr:g}$")
    valley.set(xlabel=r"$\eta^2t$", ylabel="$y$", ylim=(0, 1.25), title="$L=(1+y^2)\\,x^2$")
    valley.legend(loc="upper right")
    late = np.linspace(0.0, SPHERE_TIME, 200)
    for start, colour in zip(data.start.values, (GREEN, BLUE, VERMILION), strict=True):
        run = data.sel(start=start)
        sphere.plot(late, theory.sphere_drift(late, start, SPHERE_RATIO), color=colour, linewidth=0.9)
        sphere.plot(run.sphere_time[::40], run.phi[::40], "o", color=colour, markersize=2.5)
        level.plot(run.sphere_time, run.level, color=colour, linewidth=0.8)
    sphere.set(xlabel=r"$\eta\hat\lambda t$", ylabel=r"angle $\varphi$", ylim=(0, None), title="weight decay")
    mark_threshold(level, 2.0)
    level.set(xlabel=r"$\eta\hat\lambda t$", ylabel=r"effective step $\times$ sharpness", ylim=(1.9, 2.1))
    return figure


FIGURES = (
    PaperFigure(
        "self_stabilization",
        "The reduced dynamics of self-stabilisation, alpha = beta = 1. Left: the loops of sharpness and "
        "displacement (lr = 0.01) spiral slowly outwards from the curves of constant energy (black). Middle: the "
        "sharpness. Right: the first period and that of the closed curves; horizontal, 2 pi/sqrt(2 alpha). After "
        "Damian et al. 2023.",
        _self_stabilization,
        _draw_self_stabilization,
    ),
    PaperFigure(
        "multiscale",
        "The minimal model (y + x) x^2/2 - eps (x + y), lr = 0.3, from (0, 5). Left: y rises to 2/lr in (2/lr - "
        "5)/(lr eps) steps, overshoots and settles. Right: the mean of x^2/eps since then tends to 2; the final y,"
        " less 2/lr, is 0.9 eps. After Berthier 2026.",
        _multiscale,
        _draw_multiscale,
    ),
    PaperFigure(
        "drifts",
        "Slow drifts along a valley: gradient flows of a function of the sharpness (lines), and runs (symbols). "
        "Left: normalised steps on (1 + y^2) x^2, and gradient descent on its square root. Middle: weight decay on"
        " a scale-invariant loss whose sharpness grows with the angle. Right: its effective step size times the "
        "sharpness, from three times the amplitude of the slow motion. After Arora et al. 2022 and Lyu et al. "
        "2022.",
        _drifts,
        _draw_drifts,
    ),
)
