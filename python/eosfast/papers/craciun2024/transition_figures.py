"""Figures of the transition at the critical step size: linear networks, random data, and nonlinear networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast import MLP, Dataset, __version__, theory
from eosfast.papers.figure import BLACK, BLUE, GREEN, ORANGE, PAGE, PURPLE, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# ----------------------------------------------------------------------------------------------------------- transition

RATIOS = np.array(
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.985, 1.0, 1.015, 1.03, 1.1, 1.2, 1.3]
)
SCALAR = {"depth 2": 2, "depth 3": 3, "depth 4": 4}
SCALAR_RUNS, SCALAR_STEPS = 4_000, 200_000
MATRIX = {"depth 2, width 2": (2,), "depth 2, width 4": (4,), "depth 3, width 3": (3, 3), "depth 4, width 3": (3, 3, 3)}
MATRIX_RUNS, MATRIX_STEPS = 300, 40_000
COLOURS = (BLUE, ORANGE, GREEN, PURPLE)


def _transition(progress: bool) -> xr.Dataset:
    import xarray as xr

    rows = []
    for depth in tracked(list(SCALAR.values()), progress, "scalar networks"):
        critical = 2.0 / float(theory.balanced_sharpness(1.0, depth))
        starts = sim.normal_starts(depth, SCALAR_RUNS)
        rows.append(sim.scalar_runs(depth, RATIOS * critical, starts, SCALAR_STEPS))
    for hidden in tracked(list(MATRIX.values()), progress, "matrix networks"):
        model = sim.matrix_network(hidden)
        critical = theory.critical_lr(*theory.linear_problem(model))
        rows.append(sim.network_runs(model, RATIOS * critical, MATRIX_RUNS, MATRIX_STEPS))
    fractions = [sim.outcomes(row).assign_coords(lr=RATIOS).rename(lr="ratio") for row in rows]
    names = xr.Variable("network", [*SCALAR, *(f"matrix, {name}" for name in MATRIX)])
    data = xr.concat(fractions, dim=names, join="exact").fillna(-1.0)
    return data.assign_attrs(
        scalar_runs=SCALAR_RUNS,
        scalar_steps=SCALAR_STEPS,
        matrix_runs=MATRIX_RUNS,
        matrix_steps=MATRIX_STEPS,
        none_converged=-1.0,
        eosfast_version=__version__,
    )


def _draw_transition(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(PAGE, 4.3), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    for column, names in enumerate((list(SCALAR), [f"matrix, {name}" for name in MATRIX])):
        fraction, product = panels[:, column]
        for name, colour in zip(names, COLOURS, strict=False):
            one = data.sel(network=name)
            fraction.plot(one.ratio, one.converged, "o-", color=colour, markersize=2.5, label=name.split(", ", 1)[-1])
            fraction.plot(one.ratio, one.bounded, color=colour, linestyle=":", linewidth=1.0)
            _draw_product(product, one.ratio.values, one, colour)
        mark_threshold(fraction, 1.0, None, axis="x")
        fraction.legend(loc="lower left")
        product.plot([0.0, 1.0], [0.0, 2.0], color=BLACK, linewidth=0.8)
        mark_threshold(product, 2.0, r"$2$")
        product.set(xlabel=r"step size $\eta/\eta_C$", xlim=(0.05, 1.32), ylim=(0.0, 2.25))
        product.annotate("flattest minimum", (0.62, 1.2), rotation=36, fontsize="small", ha="center", va="top")
    panels[0, 0].plot(_FINE, theory.bounded_mass(_FINE), color=BLACK, linewidth=0.7, zorder=1)
    panels[0, 0].set(title="scalars, target 1", ylabel="fraction of runs", ylim=(-0.03, 1.03))
    panels[0, 1].set(title=r"matrices, target $\mathrm{diag}(2,1)$")
    panels[1, 0].set_ylabel(r"final sharpness $\times\,\eta$")
    handles = [
        Line2D([], [], color=BLACK, marker="o", markersize=2.5, linewidth=0.9, label="converge"),
        Line2D([], [], color=BLACK, linestyle=":", linewidth=0.9, label="stay bounded"),
        Line2D([], [], color=BLACK, linewidth=0.7, label="mass of the ellipse"),
    ]
    panels[0, 0].add_artist(panels[0, 0].legend(loc="lower left"))
    panels[0, 0].legend(handles=handles, loc="lower left", bbox_to_anchor=(0.27, 0.0))
    return figure


_FINE = np.linspace(0.05, 1.32, 200)


def _draw_product(ax: Axes, x: NDArray[np.float64], one: xr.Dataset, colour: str) -> None:
    """Range and median of lr times sharpness where runs converged."""
    some = one["converged"].values > 0.0
    ax.fill_between(x[some], one.least.values[some], one.largest.values[some], color=colour, alpha=0.15, linewidth=0)
    ax.plot(x[some], one["median"].values[some], "o-", color=colour, markersize=2.5, linewidth=0.9)


# ---------------------------------------------------------------------------------------------------------- random data

RANDOM_WIDTHS = ((2, 2, 2), (3, 3, 2), (3, 4, 3), (2, 3, 1), (2, 2, 2, 2), (3, 3, 3, 2), (1, 2, 2, 3), (2, 3, 3, 2))
RANDOM_SAMPLES, RANDOM_SEEDS, RANDOM_RUNS, RANDOM_STEPS = 8, 3, 16, 40_000


def _random_data(progress: bool) -> xr.Dataset:
    import xarray as xr

    problems = [(widths, seed) for widths in RANDOM_WIDTHS for seed in range(RANDOM_SEEDS)]
    rows = []
    for widths, seed in tracked(problems, progress, "problems"):
        model = sim.random_network(widths, RANDOM_SAMPLES, seed)
        problem = theory.linear_problem(model)
        rows.append((*sim.bisected_lr(model, RANDOM_RUNS, RANDOM_STEPS), theory.critical_lr(*problem)))
    lower, upper, critical = np.array(rows).T
    return xr.Dataset(
        {
            "lower": ("problem", lower),
            "upper": ("problem", upper),
            "critical": ("problem", critical),
            "depth": ("problem", [len(widths) - 1 for widths, _ in problems]),
        },
        {"widths": ("problem", ["-".join(map(str, widths)) for widths, _ in problems])},
        attrs={"n": RANDOM_SAMPLES, "num_runs": RANDOM_RUNS, "eosfast_version": __version__},
    )


def _draw_random_data(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
    measured, ratio = figure.subplots(1, 2)
    ends = np.array([0.6 * float(data.critical.min()), 1.6 * float(data.critical.max())])
    measured.plot(ends, ends, color=BLACK, linewidth=0.8)
    for depth, colour, marker in ((2, BLUE, "o"), (3, ORANGE, "D")):
        some = data.where(data.depth == depth, drop=True)
        middle = np.sqrt(some.lower * some.upper)
        measured.plot(some.critical, middle, marker, color=colour, markersize=3, label=f"depth {depth}")
    measured.set(xlabel=r"$\eta_C=2/\min\lambda_{\max}$, formula", ylabel=r"largest $\eta$ that converges")
    measured.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    for axis in (measured.xaxis, measured.yaxis):
        axis.set_ticks([0.3, 0.5, 1.0, 2.0], ["0.3", "0.5", "1", "2"])
    measured.minorticks_off()
    measured.legend(loc="upper left")
    _draw_brackets(ratio, data)
    return figure


def _draw_brackets(ax: Axes, data: xr.Dataset) -> None:
    place = np.arange(data.sizes["problem"])
    for depth, colour in ((2, BLUE), (3, ORANGE)):
        of = data.depth.values == depth
        ax.vlines(
            place[of], (data.lower / data.critical)[of], (data.upper / data.critical)[of], color=colour, linewidth=2.5
        )
    mark_threshold(ax, 1.0)
    widths, first = np.unique(data.widths.values, return_index=True)
    order = np.argsort(first)
    per_network = len(place) / len(widths)
    ax.set_xticks(first[order] + (per_network - 1) / 2, widths[order], rotation=60)
    ax.set_yticks([0.99, 0.995, 1.0, 1.005])
    ax.set(ylabel=r"bracket of $\eta\,/\,\eta_C$", ylim=(0.99, 1.006), xlabel="widths")


# ------------------------------------------------------------------------------------------------------------ nonlinear

NONLINEAR_LRS = np.geomspace(0.2, 3.2, 25)
ACTIVATIONS = {"tanh": VERMILION, "gelu": BLUE, "softplus": GREEN}
NONLINEAR_WIDTH, NONLINEAR_RUNS, NONLINEAR_STEPS = 8, 100, 15_000


def four_samples() -> Dataset:
    """Four Gaussian samples in four dimensions, with labels of both signs."""
    rng = np.random.default_rng(0)
    return Dataset(rng.standard_normal((4, 4)), 0.7 * np.array([1.0, -1.0, 1.0, -1.0]))


def _nonlinear(progress: bool) -> xr.Dataset:
    import xarray as xr

    rows = []
    for name in tracked(list(ACTIVATIONS), progress, "activations"):
        model = MLP(four_samples(), (NONLINEAR_WIDTH,), activation=name, loss="mse")
        rows.append(sim.outcomes(sim.network_runs(model, NONLINEAR_LRS, NONLINEAR_RUNS, NONLINEAR_STEPS)))
    data = xr.concat(rows, dim=xr.Variable("activation", list(ACTIVATIONS)), join="exact").fillna(-1.0)
    return data.assign_attrs(
        width=NONLINEAR_WIDTH,
        num_runs=NONLINEAR_RUNS,
        num_steps=NONLINEAR_STEPS,
        none_converged=-1.0,
        eosfast_version=__version__,
    )


def _draw_nonlinear(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
    fraction, product = figure.subplots(1, 2, sharex=True)
    for name, colour in ACTIVATIONS.items():
        one = data.sel(activation=name)
        fraction.plot(one.lr, one.converged, "o-", color=colour, markersize=2.5, label=name)
        fraction.plot(one.lr, one.bounded, color=colour, linestyle=":", linewidth=1.0)
        _draw_product(product, one.lr.values, one, colour)
        last = float(one.lr.values[one.converged.values > 0.0].max())
        fraction.axvline(last, color=colour, linewidth=0.6, linestyle=(0, (4, 2)), zorder=0)
    fraction.set(xlabel=label("lr"), ylabel="fraction of runs", xscale="log", ylim=(-0.03, 1.03))
    fraction.legend(loc="lower left")
    mark_threshold(product, 2.0, "$2$")
    product.set(xlabel=label("lr"), ylabel=r"final sharpness $\times\,\eta$", xscale="log", ylim=(0.0, 2.25))
    for ax in (fraction, product):
        ax.minorticks_off()
        ax.set_xticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
    return figure


FIGURES = (
    PaperFigure(
        "transition",
        "Gradient descent on deep linear networks from Gaussian starts, against the step size in units of the critical "
        "one, eta_C = 2/(sharpness of the flattest minimum). Above: the fraction of runs that converge, which is 0 "
        "from eta_C on, and that stay bounded. Below: range and median of eta times the sharpness at the minimum that "
        "was found: it lies between that of the flattest minimum and 2, two lines that meet at eta_C. The statement is "
        "that of Craciun and Ghoshdastidar 2024; the value of eta_C and the settings are ours.",
        _transition,
        _draw_transition,
    ),
    PaperFigure(
        "random_data",
        "Linear networks on random data: the largest step size at which any of sixteen random starts converges, "
        "bracketed by bisection to 0.4 per cent, and the formula for the flattest minimum on general data. A start "
        "just below the critical step size needs many steps to become balanced, so the brackets lie a little below it. "
        "After the statement of Craciun and Ghoshdastidar 2024; formula and settings are ours.",
        _random_data,
        _draw_random_data,
    ),
    PaperFigure(
        "nonlinear",
        "The same transition in networks that are not linear: two-layer perceptrons of eight hidden units on four "
        "random samples. Left: the fraction of 100 random starts that converge to zero loss, and that stay bounded "
        "(dotted); dashed, the largest step size at which any converges. Right: range and median of eta times the "
        "sharpness where they converged: never above 2. Craciun and Ghoshdastidar 2024 report such experiments; the "
        "settings are ours.",
        _nonlinear,
        _draw_nonlinear,
    ),
)
