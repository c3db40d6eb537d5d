"""The path of a run in the plane of two parameters, over the landscape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eosfast.arguments import Integer, shown
from eosfast.models.base import Model

from .axes import drawn_on, label, variable
from .reduction import FIRST_STEPS, MOST_STEPS, one_per_cell
from .runs import RECORD, weight_of
from .sweeps import POINTS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

MARGIN = 0.15  # of the landscape around the path, relative to the path's range
SIDE = 100  # points of the landscape along each axis

Interval = tuple[float, float]


def trajectory(
    run: xr.Dataset,
    ax: Axes | None = None,
    *,
    x: Any = None,
    y: Any = None,
    model: Model | None = None,
    levels: int = 14,
    **line: Any,
) -> Axes:
    """Path of a run in the plane of two parameters, with a dot where it starts, over the contours of the loss.

    Parameters
    ----------
    run : Dataset
        From `eosfast.train`, with ``weights`` recorded.
    ax : Axes, optional
        Where to draw; a new figure by default. Contours cover what the axes show already, and the path.
    x, y : label, optional
        The two parameters, as in the coordinate ``parameter``; the first two by default.
    model : Model, optional
        Draw the contours of its loss. Parameters other than x and y have their values at the end of the run.
    levels : int, default 14
        Number of contours, with the same area of the picture between any two of them: the loss may vary by orders of
        magnitude.
    **line
        Properties of the line of the path.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the run has no ``weights``, for an unknown parameter, or a model with other parameters than the run.
    TypeError
        If ``model`` is not a model.

    Notes
    -----
    The contours take 10,000 evaluations of the loss. Of a path of more than 10,000 steps the first 1000 are a line, and
    the iterates are points, one in each cell of a raster of 1200 x 1200: the lines of a path that leaps from side to
    side would fill all the area between, and hide where it is.

    Examples
    --------
    >>> import eosfast as eos
    >>> from matplotlib.figure import Figure
    >>> model, record = eos.SingleNeuron(), eos.Record(quantities=("weights",))
    >>> run = eos.train(model, [0.5, 8.0], eos.GD(lr=0.05), num_steps=100, record=record)
    >>> ax = trajectory(run, Figure().add_subplot(), model=model)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$x$', '$y$')
    """
    values = variable(run, "weights", RECORD)
    if values.ndim != 2 or "parameter" not in values.dims:
        raise ValueError(f"'weights' of one run must have two dimensions, got {', '.join(map(str, values.dims))}")
    names = _names(values, x, y)
    levels = Integer(least=1).check("levels", levels)
    if model is not None:
        _check(model, values)
    path = (weight_of(values, names[0]).values, weight_of(values, names[1]).values)
    ax = drawn_on(ax)
    if model is not None and values.size:
        _draw_contours(ax, model, values.transpose("parameter", ...), names, levels)
    long = len(path[0]) > MOST_STEPS
    drawn = ax.plot(*(side[: FIRST_STEPS + 1 if long else None] for side in path), **line)[0]
    if long:
        few = one_per_cell(*path)
        ax.plot(*(side[few] for side in path), **POINTS | {"color": drawn.get_color(), "zorder": drawn.get_zorder()})
    ax.plot(*(side[:1] for side in path), "o", color=drawn.get_color(), zorder=drawn.get_zorder())
    ax.set(xlabel=label(str(names[0])), ylabel=label(str(names[1])))
    return ax


def _names(values: xr.DataArray, x: Any, y: Any) -> tuple[Any, Any]:
    known = list(values.parameter.values)
    if len(known) < 2:
        raise ValueError(f"a trajectory needs two parameters, the run has {', '.join(map(str, known)) or 'none'}")
    x = next(name for name in known if name != y) if x is None else x
    y = next(name for name in known if name != x) if y is None else y
    for name in (x, y):
        weight_of(values, name)
    if x == y:
        raise ValueError(f"x and y must be two parameters, got {shown(x)} twice")
    return x, y


def _check(model: Any, values: xr.DataArray) -> None:
    if not isinstance(model, Model):
        raise TypeError(f"model must be a model of eosfast or None, got {shown(model)}")
    if model.dim != values.sizes["parameter"]:
        raise ValueError(f"{model!r} has {model.dim} parameters, the run has {values.sizes['parameter']}")


def _draw_contours(ax: Axes, model: Model, weights: xr.DataArray, names: tuple[Any, Any], levels: int) -> None:
    finite = np.isfinite(weights.values).all(axis=0)
    if not finite.any():
        return
    shown_already = (ax.get_xlim(), ax.get_ylim()) if ax.has_data() else (None, None)
    sides = [weight_of(weights, name).values for name in names]
    grid = [np.linspace(*_range(side[finite], also), SIDE) for side, also in zip(sides, shown_already, strict=True)]
    across, up = (int(np.flatnonzero(weights.parameter.values == name)[0]) for name in names)
    w = weights.values[:, np.flatnonzero(finite)[-1]].copy()
    landscape = np.empty((SIDE, SIDE))
    for i, j in np.ndindex(SIDE, SIDE):
        w[across], w[up] = grid[0][j], grid[1][i]
        landscape[i, j] = model.loss(w)
    loss = np.ma.masked_invalid(landscape)
    if not loss.count():
        return
    heights = np.unique(np.quantile(loss.compressed(), (np.arange(levels) + 0.5) / levels))
    heights = heights[(heights > loss.min()) & (heights < loss.max())]
    if heights.size:
        ax.contour(*grid, loss, levels=heights, colors="0.65", linewidths=0.6, zorder=1)


def _range(side: NDArray[np.float64], also: Interval | None) -> Interval:
    low, high = float(side.min()), float(side.max())
    margin = MARGIN * (high - low) or 0.5
    low, high = low - margin, high + margin
    return (low, high) if also is None else (min(low, *also), max(high, *also))
