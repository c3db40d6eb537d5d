"""Pictures of many runs: measures of `eosfast.sweep` over one axis of its grid, and attractors against a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.arguments import Integer

from .axes import THRESHOLD, coordinate, drawn_on, label_of, mark_threshold, variable, variable_or_itself
from .reduction import MOST_POINTS, one_per_cell, ranks
from .runs import RECORD, draw_line
from .thresholds import threshold_name, thresholds_along

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

MOST_LINES = 100  # of single runs; more are drawn as the band that they fill
POINTS: dict[str, Any] = {
    "linestyle": "none",
    "marker": ".",
    "markersize": 1.5,
    "markeredgewidth": 0.0,
    "color": "0.1",
}
SHARPNESSES = ("sharpness", "mean_sharpness")


def measure(
    result: xr.Dataset, name: str, ax: Axes | None = None, *, x: str | None = None, each: bool = True, **line: Any
) -> Axes:
    """A measure of a sweep against one axis of its grid: the mean over the other axes, with the single runs behind it.

    Parameters
    ----------
    result : Dataset
        From `eosfast.sweep`.
    name : str
        Variable to draw. A sharpness is drawn with its stability threshold.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, optional
        Dimension for the horizontal axis, or a coordinate along one; the measure's first dimension by default.
    each : bool, default True
        Draw every run of the other dimensions as a faint line; if there are more than 100, the band that they fill.
    **line
        Properties of the line of the mean.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For an unknown measure or dimension.

    Examples
    --------
    >>> import eosfast as eos
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> grid = {"lr": np.geomspace(0.01, 0.1, 5), "y": [4.0, 8.0]}
    >>> result = eos.sweep(eos.SingleNeuron(), eos.GD(), grid, w0={"x": 0.3}, num_steps=200)
    >>> ax = measure(result, "sharpness", Figure().add_subplot())
    >>> len(ax.lines)  # the mean, two runs for each lr, and 2/lr
    4
    """
    values = variable(result, name, "name it in measure=...")
    across = coordinate(values, str(values.dims[0]) if x is None else x, "x")
    along = str(across.dims[0])
    ax = drawn_on(ax)
    columns = values.transpose(along, ...).values.reshape(values.sizes[along], -1).astype(float)
    mean = draw_line(ax, across.values, columns.mean(axis=1), **{"zorder": 3} | line)
    if each and columns.shape[1] > MOST_LINES:
        low, high = columns.min(axis=1), columns.max(axis=1)
        ax.fill_between(across.values, low, high, color=mean.get_color(), alpha=0.3, linewidth=0, zorder=2)
    elif each and columns.shape[1] > 1:
        for column in columns.T:
            draw_line(ax, across.values, column, color=mean.get_color(), alpha=0.3, linewidth=0.5, zorder=2)
    if name in SHARPNESSES:
        _mark_threshold(ax, result, across)
    ax.set(xlabel=label_of(across), ylabel=label_of(values))
    return ax


def _mark_threshold(ax: Axes, data: xr.Dataset, across: xr.DataArray, **line: Any) -> None:
    """Draw the threshold, a curve where it varies along the axis; nothing where it varies along another one."""
    curve = thresholds_along(data, str(across.dims[0]))
    if curve is None:
        return
    if curve.ndim == 0:
        mark_threshold(ax, float(curve), threshold_name(data), **line)
        return
    style = THRESHOLD | line
    ax.plot(across.values, curve, **style)
    place = int(np.argmax(np.where(np.isfinite(curve), curve, -np.inf)))
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": "small", "color": style["color"]}
    ax.annotate(threshold_name(data), (across.values[place], curve[place]), (4, 0), **text)


def bifurcation(
    runs: xr.Dataset | xr.DataArray,
    quantity: str = "loss",
    ax: Axes | None = None,
    *,
    x: str = "lr",
    last: int = 200,
    **points: Any,
) -> Axes:
    """The values that a quantity takes at the end of each run, as points above the parameter of the run.

    Parameters
    ----------
    runs : Dataset or DataArray
        Runs of `eosfast.train` side by side, with the dimensions ``step`` and ``x``, or a sweep, whose runs of one
        ``x`` then lie above each other; or one variable (one parameter of ``weights``, say).
    quantity : str, default "loss"
        Variable to draw, if a Dataset is given. The sharpness is drawn with its stability threshold.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, default "lr"
        Dimension of the parameter, or a coordinate along one.
    last : int, default 200
        How many recorded steps of each run, the last ones; those that are not finite are skipped.
    **points
        Properties of the points.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For an unknown quantity, or one without the dimension ``x``.

    Notes
    -----
    More than 100,000 points are thinned to one in each cell of a raster of 1200 x 1200: 1 s for 1e7.

    Examples
    --------
    >>> import eosfast as eos
    >>> import numpy as np
    >>> import xarray as xr
    >>> from matplotlib.figure import Figure
    >>> lrs = np.linspace(0.9, 1.3, 5)
    >>> model, record = eos.ScalarProduct(depth=2), eos.Record(quantities=("loss",))
    >>> runs = [eos.train(model, [0.9, 1.1], eos.GD(lr), num_steps=1000, record=record) for lr in lrs]
    >>> data = xr.concat(runs, dim=xr.Variable("lr", lrs), combine_attrs="drop", join="outer")
    >>> ax = bifurcation(data, "loss", Figure().add_subplot())
    """
    import xarray

    values = variable_or_itself(runs, quantity, RECORD)
    last = Integer(least=1).check("last", last)
    across = coordinate(values, x, "x")
    ax = drawn_on(ax)
    along = str(across.dims[0])
    tail = values.isel(step=slice(-last, None)) if "step" in values.dims else values
    rows = tail.transpose(along, ...).values.reshape(values.sizes[along], -1)
    up, run = rows.ravel(), np.repeat(np.arange(len(rows)), rows.shape[1])
    few = one_per_cell(ranks(across.values)[run], up) if len(up) > MOST_POINTS else np.flatnonzero(np.isfinite(up))
    up, run = up[few], run[few]
    ax.plot(across.values[run], up, **POINTS | points)
    if values.name in SHARPNESSES and isinstance(runs, xarray.Dataset):
        _mark_threshold(ax, runs, across, color="#D55E00")  # to be seen among the points
    ax.set(xlabel=label_of(across), ylabel=label_of(values))
    return ax
