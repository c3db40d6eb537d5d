"""Figures of one input and one output: the minima, the gradient norm in the limit, and which starts stay bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast import LinearNetwork, ScalarProduct, __version__, theory
from eosfast.papers.figure import BLACK, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import label, mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# --------------------------------------------------------------------------------------------------------------- minima

MINIMA_LRS, MINIMA_RUNS = (0.35, 0.6, 0.9), 400
MATRIX_LR = 0.5


def _minima(progress: bool) -> xr.Dataset:
    import xarray as xr

    starts = 1.5 * sim.normal_starts(2, MINIMA_RUNS)
    runs = sim.scalar_runs(2, MINIMA_LRS, starts, 100_000, ("sharpness", "weights"), progress=progress)
    found = sim.ended(runs, "converged")
    x, y = (runs.weights.sel(parameter=name, drop=True) for name in ("w1", "w2"))
    arrived = found & (x > 0.0)  # each minimum has a mirror image
    a = np.geomspace(1.0, 4.0, 25)
    model = LinearNetwork((2, 2, 2), target=np.eye(2))
    pairs = [(np.diag([1.0 / one, one]), np.diag([one, 1.0 / one])) for one in a]
    spectra = [np.linalg.eigvalsh(model.hessian(model.pack(W1=W1, W2=W2)))[:-5:-1] for W1, W2 in pairs]
    return xr.Dataset(
        {
            "arrived": arrived,
            "sharpness": runs.sharpness.where(arrived, -1.0),
            "imbalance": (x**2 - y**2).where(arrived, 0.0),
            "matrix_eigs": (("a", "eig"), np.array(spectra)),
        },
        {"lr": runs.lr, "a": a},
        attrs={"num_runs": MINIMA_RUNS, "eosfast_version": __version__},
    )


def _draw_minima(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    plane, sharpness, matrix = figure.subplots(1, 3)
    angle, x = np.linspace(0.0, 0.5 * np.pi, 200), np.geomspace(0.15, 7.0, 1000)
    plane.plot(x, 1.0 / x, color=GREY, linewidth=0.8)
    line = np.linspace(-6.5, 6.5, 400)
    sharpness.plot(line, np.hypot(2.0, line), color=GREY, linewidth=0.8)
    for lr, colour in zip(data.lr.values, (SKY, BLUE, VERMILION), strict=True):
        radius = np.sqrt(2.0 / lr)
        plane.plot(radius * np.cos(angle), radius * np.sin(angle), color=colour, linestyle=(0, (4, 2)), linewidth=0.8)
        arc = x[x**2 + x**-2 < 2.0 / lr]
        plane.plot(arc, 1.0 / arc, color=colour, linewidth=2.2, label=rf"$\eta={lr:g}$")
        mark_threshold(sharpness, 2.0 / lr, None, color=colour)
        text = rf"$2/\eta$, $\eta={lr:g}$"
        place = 0.0 if lr < 0.8 else 4.3  # beside the curve where it is too narrow
        sharpness.annotate(text, (place, 2.0 / lr + 0.06), ha="center", va="bottom", fontsize="small", color=colour)
        run = data.sel(lr=lr)
        sharpness.plot(run.imbalance[run.arrived], run.sharpness[run.arrived], ".", color=colour, markersize=2.5)
    plane.set(xlabel=label("x"), ylabel=label("y"), xlim=(0, 2.8), ylim=(0, 2.8), aspect="equal")
    plane.legend(loc="upper right", title="stable minima")
    sharpness.set(xlabel="imbalance $x^2-y^2$", ylabel=label("sharpness"), ylim=(1.5, 6.9), xlim=(-6.5, 6.5))
    _draw_matrix_minima(matrix, data)
    return figure


def _draw_matrix_minima(ax: Axes, data: xr.Dataset) -> None:
    a = data.a.values
    many = np.geomspace(a[0], a[-1], 200)
    pairs = [(np.diag([1.0 / one, one]), np.diag([one, 1.0 / one])) for one in many]
    formula = np.array([theory.minimum_eigenvalues(pair) for pair in pairs])
    names = {0: (r"$\lambda_{\max}$", VERMILION), 1: (r"$\lambda_2=\lambda_3$", GREY), 3: (r"$\lambda_{\min}^+$", BLUE)}
    for eig, (name, colour) in names.items():
        ax.plot(many, formula[:, eig], color=colour, linewidth=0.9)
        ax.plot(a[::2], data.matrix_eigs.isel(eig=eig)[::2], "o", color=colour, markersize=2.5, label=name)
    mark_threshold(ax, 2.0 / MATRIX_LR, rf"$2/\eta$, $\eta={MATRIX_LR:g}$")
    ax.axvline(np.sqrt(1.0 / MATRIX_LR), color="0.7", linewidth=0.6, zorder=0)
    for at, text in ((0.125, "strongly"), (0.6, "weakly stable")):
        ax.annotate(text, (at, 0.93), xycoords="axes fraction", fontsize="small", ha="center", color=GREY)
    ax.set(xlabel="$a$ in $W_2=\\mathrm{diag}(a,1/a)$", ylabel="Hessian eigenvalues", xscale="log", yscale="log")
    ax.set(xlim=(1, a[-1]), ylim=(0.08, 90))
    ax.minorticks_off()
    ax.set_xticks([1, 2, 4], ["1", "2", "4"])
    ax.legend(loc="lower left", bbox_to_anchor=(0.25, 0.0))


# ------------------------------------------------------------------------------------------------------------ grad norm

CASCADE_LRS, CASCADE_STEPS, CASCADE_LAST = np.linspace(0.9, 1.99, 741), 20_000, 64
RATIOS = np.concatenate([np.linspace(0.95, 1.0, 6), np.linspace(1.005, 1.23, 16)])
DEPTHS = {2: BLUE, 3: ORANGE, 4: GREEN}


def _grad_norm(progress: bool) -> xr.Dataset:
    import xarray as xr

    cascade = np.array(
        [
            sim.late(ScalarProduct(), [0.9, 0.91], lr, CASCADE_STEPS, CASCADE_LAST, ("grad_norm",)).grad_norm.values
            for lr in tracked(CASCADE_LRS.tolist(), progress, "step sizes")
        ]
    )
    norms = []
    for depth in DEPTHS:
        critical = 2.0 / float(theory.balanced_sharpness(1.0, depth))
        runs = sim.scalar_runs(depth, RATIOS * critical, sim.normal_starts(depth, 50), 200_000, ("grad_norm",))
        norms.append(_spread(runs))
    model = sim.matrix_network((2,))
    critical = theory.critical_lr(*theory.linear_problem(model))
    norms.append(_spread(sim.network_runs(model, RATIOS * critical, 20, 50_000, ("grad_norm",))))
    return xr.Dataset(
        {
            "cascade": (("cascade_lr", "late_step"), cascade),
            "limit": (("network", "ratio", "bound"), np.array(norms)),
        },
        {
            "cascade_lr": CASCADE_LRS,
            "ratio": RATIOS,
            "network": [*(f"depth {depth}" for depth in DEPTHS), "matrix"],
            "bound": ["least", "largest"],
        },
        attrs={"critical_lr_matrix": critical, "eosfast_version": __version__},
    )


def _spread(runs: xr.Dataset) -> NDArray[np.float64]:
    """Smallest and largest final gradient norm of the runs that stay bounded, (lr, 2)."""
    norms = runs.grad_norm.where(~sim.ended(runs, "diverged"))
    return np.column_stack([norms.min("run"), norms.max("run")])


def _draw_grad_norm(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.8), layout="constrained")
    cascade, limit = figure.subplots(1, 2, width_ratios=(1.4, 1))
    lrs = data.cascade_lr.values
    points = data.cascade.values
    cascade.plot(
        np.repeat(lrs, points.shape[1]),
        points.ravel(),
        ".",
        color=BLUE,
        markersize=0.8,
        markeredgewidth=0.0,
        rasterized=True,
    )
    beyond = np.linspace(1.0, lrs[-1], 400)[1:]
    stable = beyond < theory.two_cycle_limit()
    curve = np.array([theory.two_cycle(lr).grad_norm for lr in beyond])
    law = r"$\sqrt{2(\eta-1)}\,\eta^{-3/2}$"
    cascade.plot(beyond[stable], curve[stable], color=VERMILION, linestyle=(0, (3, 2)), label=law)
    cascade.plot(beyond[~stable], curve[~stable], color=VERMILION, linestyle=":", label="the same, repelling")
    mark_threshold(cascade, 1.0, r"$\eta_C$", axis="x")
    mark_threshold(cascade, theory.two_cycle_limit(), r"$\sqrt{5}-1$", axis="x")
    cascade.set(
        xlabel=label("lr"), ylabel=r"late gradient norms $\|\nabla L\|$", xlim=(lrs[0], 2.0), ylim=(-0.03, 1.75)
    )
    cascade.legend(loc="upper left", bbox_to_anchor=(0.34, 0.92))
    _draw_limits(limit, data)
    return figure


def _draw_limits(ax: Axes, data: xr.Dataset) -> None:
    fine = np.linspace(data.ratio.values[0], data.ratio.values[-1], 300)
    critical = {f"depth {depth}": 2.0 / float(theory.balanced_sharpness(1.0, depth)) for depth in DEPTHS}
    settings = [(name, critical[name], 1.0, depth, DEPTHS[depth]) for name, depth in zip(critical, DEPTHS, strict=True)]
    settings.append(("matrix", data.attrs["critical_lr_matrix"], 2.0, 2, PURPLE))
    for name, lr, target, depth, colour in settings:
        ax.plot(fine, theory.asymptotic_grad_norm(fine * lr, target, depth), color=colour, linewidth=0.9)
        for bound, marker in (("least", "o"), ("largest", "+")):
            text = {"matrix": "matrix, depth 2"}.get(name, name) if bound == "least" else None
            values = data.limit.sel(network=name, bound=bound)
            ax.plot(data.ratio, values, marker, color=colour, markersize=2.5 if marker == "o" else 4, label=text)
    mark_threshold(ax, 1.0, None, axis="x")
    ax.set(xlabel=r"step size $\eta/\eta_C$", ylabel=r"limit of $\|\nabla L\|$", ylim=(-0.03, 1.5))
    ax.legend(loc="center right", bbox_to_anchor=(1.0, 0.52))


# --------------------------------------------------------------------------------------------------------------- starts

START_LRS, START_SIDE, START_PIXELS, START_STEPS = (0.5, 0.95, 1.1, 1.6), 2.5, 300, 20_000
OUTCOMES = {"converges": SKY, "bounded": ORANGE, "diverges": "#F2F2F2"}


def _starts(progress: bool) -> xr.Dataset:
    import xarray as xr

    axis = START_SIDE * ((np.arange(START_PIXELS) + 0.5) / START_PIXELS * 2.0 - 1.0)
    off = 0.2 * (axis[1] - axis[0])  # else a diagonal of the raster leads to the saddle at the origin
    x, y = np.meshgrid(axis, axis + off, indexing="xy")
    points = np.column_stack([x.ravel(), y.ravel()])
    runs = sim.scalar_runs(2, START_LRS, points, START_STEPS, ("loss",), progress=progress)
    outcome = np.where(sim.ended(runs, "converged"), 0, np.where(sim.ended(runs, "diverged"), 2, 1))
    shape = (len(START_LRS), START_PIXELS, START_PIXELS)
    return xr.Dataset(
        {"outcome": (("lr", "y", "x"), outcome.reshape(shape).astype(np.int8))},
        {"lr": list(START_LRS), "x": axis, "y": axis + off},
        attrs={"outcomes": " ".join(OUTCOMES), "num_steps": START_STEPS, "eosfast_version": __version__},
    )


def _draw_starts(data: xr.Dataset) -> Figure:
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(PAGE, 2.3), layout="constrained")
    panels = figure.subplots(1, data.sizes["lr"], sharey=True)
    angle = np.linspace(0.0, 2.0 * np.pi, 400)
    extent = (-START_SIDE, START_SIDE, -START_SIDE, START_SIDE)
    hyperbola = np.geomspace(1.0 / START_SIDE, START_SIDE, 200)
    for ax, lr in zip(panels, data.lr.values, strict=True):
        colours = ListedColormap(list(OUTCOMES.values()))
        ax.imshow(data.outcome.sel(lr=lr), origin="lower", extent=extent, cmap=colours, vmin=0, vmax=2)
        plus, minus = np.sqrt(2.0 / lr + 1.0) * np.cos(angle), np.sqrt(2.0 / lr - 1.0) * np.sin(angle)
        ax.plot(plus + minus, plus - minus, color=BLACK, linewidth=0.9)
        for sign in (1.0, -1.0):
            ax.plot(sign * hyperbola, sign / hyperbola, color=GREY, linewidth=0.6)
            arc = hyperbola[hyperbola**2 + hyperbola**-2 < 2.0 / lr]
            ax.plot(sign * arc, sign / arc, color=VERMILION, linewidth=1.6)
        ax.set(xlabel="start $x_0$", title=rf"$\eta={lr:g}$", xlim=extent[:2], ylim=extent[2:], xticks=[-2, 0, 2])
    panels[0].set_ylabel("start $y_0$")
    patches = [Patch(facecolor=colour, edgecolor="0.6", linewidth=0.4, label=name) for name, colour in OUTCOMES.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "minima",
        "The minima of (x y - 1)^2/2 that are stable at a step size eta form a bounded arc, which shrinks to the "
        "balanced point at eta = 1. Left: the arcs, within circles of squared radius 2/eta. Middle: their sharpness, "
        "and where 400 random runs at each step size arrived (dots), always below 2/eta. Right: a product of two 2 x 2 "
        "matrices, W_2 W_1 = I: Hessian eigenvalues (dots) and the formula (lines); the smallest positive one goes to "
        "0, so that weakly stable minima exist at any step size. The ideas are those of Craciun and Ghoshdastidar "
        "2024, the settings ours.",
        _minima,
        _draw_minima,
    ),
    PaperFigure(
        "grad_norm",
        "The gradient norm in the limit has a sharp transition at the critical step size. Left: its last 64 values for "
        "(x y - 1)^2/2, the closed form of the orbit of period two, and the cascade where that repels. Right: the "
        "smallest (dots) and largest (crosses) final value of all bounded runs from random starts, for scalar networks "
        "of depth 2 to 4 and for matrices with the target diag(2, 1), against the formulas (lines). The transition is "
        "reported by Craciun and Ghoshdastidar 2024; formulas and settings are ours.",
        _grad_norm,
        _draw_grad_norm,
    ),
    PaperFigure(
        "starts",
        "What becomes of gradient descent on (x y - 1)^2/2 from each start: it converges, stays bounded without "
        "converging, or diverges. The ellipse is the closed form of the bounded starts, the hyperbola holds the minima "
        "and its thick part the stable ones. At step sizes above 1 none is stable and no run converges. After the "
        "statement of Craciun and Ghoshdastidar 2024; ellipse and settings are ours.",
        _starts,
        _draw_starts,
    ),
)
