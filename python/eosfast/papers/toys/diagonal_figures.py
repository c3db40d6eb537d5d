"""Figure of diagonal linear networks: what a large step does to the interpolator that descent finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eosfast import Dataset, QuadraticRegression, Stop, __version__, theory
from eosfast.papers.figure import BLUE, PAGE, VERMILION, PaperFigure
from eosfast.papers.runs import tracked
from eosfast.plotting import mark_threshold

from . import simulations as sim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

SAMPLES, DIM, SUPPORT, ALPHA = 20, 40, 3, 0.1
MEANS = (0.0, 1.0)
FACTORS = (0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.04, 1.08, 1.12, 1.16, 1.2)
"""Step size times the sharpness of the flow's limit, over 2."""


class Regression(NamedTuple):
    """Sparse regression without noise: the network, its data, the sparse solution, and where the flow ends."""

    model: QuadraticRegression
    X: NDArray[np.float64]
    beta: NDArray[np.float64]
    flow: NDArray[np.float64]
    flow_sharpness: float

    def run(self, lr: float, num_steps: int = 200_000) -> xr.Dataset:
        """Descent from u = v = ALPHA until the loss is 1e-24; recorded at its ends."""
        quantities = ("loss", "sharpness", "weights")
        return sim.path(
            self.model, np.full(2 * DIM, ALPHA), lr, num_steps, num_steps, quantities, Stop(loss=1e-24, steady=False)
        )


def sparse_regression(mean: float, seed: int = 0) -> Regression:
    """X ~ N(mean, 1), (20, 40), and y = X beta with three entries of 1 in beta."""
    X = np.random.default_rng(seed).standard_normal((SAMPLES, DIM)) + mean
    beta = np.where(np.arange(DIM) < SUPPORT, 1.0, 0.0)
    y = X @ beta
    flow = theory.diagonal_flow_limit(X, y, ALPHA)
    root = np.sqrt(ALPHA**4 + flow**2 / 4.0)  # u^2 v^2 = ALPHA^4
    sharpness = theory.diagonal_network_sharpness(X, np.sqrt(root + flow / 2.0), np.sqrt(root - flow / 2.0))
    return Regression(QuadraticRegression.diagonal_network(Dataset(X, y)), X, beta, flow, sharpness)


def _diagonal_network(progress: bool) -> xr.Dataset:
    import xarray as xr

    names = ("error", "on_support", "off_support", "level")
    values = np.empty((len(names), len(MEANS), len(FACTORS)))
    flow_error = []
    for i, mean in enumerate(MEANS):
        task = sparse_regression(mean)
        flow_error.append(float(np.sum(np.abs(task.flow - task.beta))))
        for j, factor in enumerate(tracked(FACTORS, progress, "step sizes")):
            lr = 2.0 * factor / task.flow_sharpness
            run = task.run(lr)
            u, v = np.split(run.weights.values[-1], 2)
            scale = np.sqrt(np.abs(u * v)) / ALPHA
            error = np.sum(np.abs(u * u - v * v - task.beta))
            level = lr * float(run.sharpness[-1])
            values[:, i, j] = error, scale[:SUPPORT].mean(), scale[SUPPORT:].mean(), level
    variables = {name: (("mean", "factor"), one) for name, one in zip(names, values, strict=True)}
    coords = {"mean": list(MEANS), "factor": list(FACTORS)}
    attrs = {"n": SAMPLES, "d": DIM, "alpha": ALPHA, "eosfast_version": __version__}
    return xr.Dataset(variables | {"flow_error": ("mean", flow_error)}, coords, attrs)


def _draw_diagonal_network(data: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAGE, 2.4), layout="constrained")
    error, scale, level = figure.subplots(1, 3)
    for mean, colour in zip(data["mean"].values, (BLUE, VERMILION), strict=True):
        one = data.sel(mean=mean)
        name = "centred data" if mean == 0.0 else f"mean {mean:g}"
        error.plot(one.factor, one.error, "o-", color=colour, label=name, markersize=3)
        error.axhline(float(one.flow_error), color=colour, linewidth=0.7, linestyle=":")
        scale.plot(one.factor, one.on_support, "o-", color=colour, markersize=3, label="on the support")
        hollow = {"markersize": 3, "markerfacecolor": "white"}
        scale.plot(one.factor, one.off_support, "s--", color=colour, label="off it", **hollow)
        level.plot(one.factor, one.level, "o-", color=colour, markersize=3)
    for ax in (error, scale, level):
        ax.axvline(1.0, color="0.7", linewidth=0.6, zorder=0)
        ax.set_xlabel(r"step size $\times\,\lambda_{\mathrm{flow}}/2$")
    error.set(ylabel=r"$\|\beta-\beta^*\|_1$", ylim=(0, None))
    error.legend(loc="lower left")
    scale.set(ylabel=r"$\sqrt{|uv|}$ over its start", ylim=(0, 1.05))
    scale.legend(*(entries[:2] for entries in scale.get_legend_handles_labels()), loc="lower left")
    mark_threshold(level, 2.0)
    level.set(ylabel=r"final sharpness $\times\,\eta$", ylim=(0, 2.2))
    return figure


FIGURES = (
    PaperFigure(
        "diagonal_network",
        "Diagonal linear networks on sparse regression. Left: distance to the sparse solution; dotted, that of "
        "gradient flow. A large step hurts on centred data and helps on data with a mean. Middle: the scale sqrt|u v| "
        "from which a flow would have come, on the three coordinates of the support and off it. Right: beyond "
        "2/sharpness of the flow's limit, runs end just below the edge.",
        _diagonal_network,
        _draw_diagonal_network,
    ),
)
