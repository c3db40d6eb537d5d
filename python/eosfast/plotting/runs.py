"""Pictures of one run: what `eosfast.train` returns, against the step or in the plane of two weights."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .axes import drawn_on, label, mark_threshold, variable

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

MOST_POINTS = 100_000  # of a line drawn as it is
BAND_COLUMNS = 1_000  # of a band that stands for a longer one


def _line(ax: Axes, x: NDArray[Any], y: NDArray[Any], **line: Any) -> None:
    """Draw y against x without its NaN, as a band with its median where there are too many points."""
    known = ~np.isnan(y)
    x, y = x[known], y[known]
    if len(x) <= MOST_POINTS:
        ax.plot(x, y, **line)
        return
    edges = np.linspace(0, len(x), BAND_COLUMNS + 1).astype(int)
    columns = [y[a:b] for a, b in pairwise(edges)]
    middle = x[(edges[:-1] + edges[1:] - 1) // 2]
    low, high = [c.min() for c in columns], [c.max() for c in columns]
    median = ax.plot(middle, [float(np.median(c)) for c in columns], **line)[0]
    ax.fill_between(middle, low, high, color=median.get_color(), alpha=0.35, linewidth=0)


def plot_loss(run: xr.Dataset, ax: Axes | None = None, *, x: str = "step", **line: Any) -> Axes:
    """Loss against the step, on a logarithmic axis when it is positive.

    Parameters
    ----------
    run : Dataset
        From `eosfast.train`, with ``loss`` recorded.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, default "step"
        Coordinate for the horizontal axis, along the dimension ``step``.
    **line
        Properties of the line (``label``, ``color``, ...).

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the run has no ``loss``.
    """
    loss = variable(run, "loss", "record it with Record(quantities=...)")
    ax = drawn_on(ax)
    _line(ax, run[x].values, loss.values, **line)
    finite = loss.values[np.isfinite(loss.values)]
    if finite.size and finite.min() > 0.0:
        ax.set_yscale("log")
    ax.set(xlabel=label(x), ylabel=label("loss"))
    return ax


def plot_sharpness(
    run: xr.Dataset, ax: Axes | None = None, *, x: str = "step", threshold: bool = True, **line: Any
) -> Axes:
    """Sharpness (or all recorded Hessian eigenvalues) against the step, with the optimizer's stability threshold.

    Parameters
    ----------
    run : Dataset
        From `eosfast.train`, with ``sharpness`` or ``hessian_eigs`` recorded; steps at which they were not solved are
        skipped.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, default "step"
        Coordinate for the horizontal axis, along the dimension ``step``.
    threshold : bool, default True
        Draw the dashed line at ``run.attrs["threshold"]``, 2/lr for gradient descent.
    **line
        Properties of the line.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the run has neither variable.
    """
    name = "hessian_eigs" if "hessian_eigs" in run and "sharpness" not in run else "sharpness"
    values = variable(run, name, "record it with Record(quantities=...)")
    ax = drawn_on(ax)
    columns = values.transpose("step", ...).values.reshape(values.sizes["step"], -1)
    for k, column in enumerate(columns.T):
        _line(ax, run[x].values, column, **({"label": rf"$\lambda_{k + 1}$"} if name == "hessian_eigs" else {}) | line)
    if threshold and np.isfinite(run.attrs.get("threshold", np.nan)):
        optimizer = json.loads(run.attrs.get("config", "{}")).get("optimizer", {})
        mark_threshold(
            ax, run.attrs["threshold"], r"$2/\eta$" if optimizer.get("type") == "GD" else "stability threshold"
        )
    ax.set(xlabel=label(x), ylabel=label(name))
    return ax


def plot_weights(
    run: xr.Dataset, ax: Axes | None = None, *, x: str = "step", parameters: list[Any] | None = None, **line: Any
) -> Axes:
    """Weights against the step, one line for each parameter.

    Parameters
    ----------
    run : Dataset
        From `eosfast.train`, with ``weights`` recorded.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, default "step"
        Coordinate for the horizontal axis, along the dimension ``step``.
    parameters : list, optional
        Which, as in the coordinate ``parameter``; all by default.
    **line
        Properties of the lines.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the run has no ``weights``.
    KeyError
        For an unknown parameter.
    """
    weights = variable(run, "weights", "record it with Record(quantities=...)")
    ax = drawn_on(ax)
    for name in weights.parameter.values if parameters is None else parameters:
        _line(ax, run[x].values, weights.sel(parameter=name).values, **{"label": label(str(name))} | line)
    ax.set(xlabel=label(x), ylabel="weights $w$")
    return ax


def plot_trajectory(run: xr.Dataset, ax: Axes | None = None, *, x: Any = "x", y: Any = "y", **line: Any) -> Axes:
    """Path of a run in the plane of two parameters, with a dot where it starts.

    Parameters
    ----------
    run : Dataset
        From `eosfast.train`, with ``weights`` recorded.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x, y : label
        The two parameters, as in the coordinate ``parameter``.
    **line
        Properties of the line.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the run has no ``weights``.
    KeyError
        For an unknown parameter.
    """
    weights = variable(run, "weights", "record it with Record(quantities=...)")
    across, up = weights.sel(parameter=x).values, weights.sel(parameter=y).values
    ax = drawn_on(ax)
    path = ax.plot(across, up, **line)[0]
    ax.plot(across[:1], up[:1], "o", color=path.get_color())
    ax.set(xlabel=label(str(x)), ylabel=label(str(y)))
    return ax
