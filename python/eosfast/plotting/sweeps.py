"""Pictures of many runs: measures of `eosfast.sweep` over one or two axes of its grid, and attractors against a
parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .axes import drawn_on, label, variable

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_measure(
    result: xr.Dataset, measure: str, ax: Axes | None = None, *, x: str | None = None, each: bool = True, **line: Any
) -> Axes:
    """A measure of a sweep against one axis of its grid: the mean over the other axes, with the single runs behind it.

    Parameters
    ----------
    result : Dataset
        From `eosfast.sweep`.
    measure : str
        Variable to draw.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, optional
        Dimension for the horizontal axis, the measure's first one by default.
    each : bool, default True
        Draw every run of the other dimensions as a faint line.
    **line
        Properties of the line of the mean.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For an unknown measure or dimension.
    """
    values = variable(result, measure, "name it in measure=...")
    x = str(values.dims[0]) if x is None else x
    if x not in values.dims:
        raise ValueError(f"x must be a dimension of {measure!r} ({', '.join(map(str, values.dims))}), got {x!r}")
    ax = drawn_on(ax)
    columns = values.transpose(x, ...).values.reshape(values.sizes[x], -1).astype(float)
    mean = ax.plot(result[x].values, columns.mean(axis=1), **{"zorder": 3} | line)[0]
    if each and columns.shape[1] > 1:
        ax.plot(result[x].values, columns, color=mean.get_color(), alpha=0.3, linewidth=0.5, zorder=2)
    ax.set(xlabel=label(x), ylabel=label(measure))
    return ax


def plot_bifurcation(
    runs: xr.Dataset, quantity: str, ax: Axes | None = None, *, x: str = "lr", last: int = 200, **points: Any
) -> Axes:
    """The values that a quantity takes at the end of each run, as points above the parameter of the run.

    Parameters
    ----------
    runs : Dataset
        Runs of `eosfast.train` side by side, with the dimensions ``step`` and ``x``.
    quantity : str
        Variable to draw.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, default "lr"
        Dimension of the parameter.
    last : int, default 200
        How many recorded steps of each run, the last ones; those that are NaN are skipped.
    **points
        Properties of the points.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For an unknown quantity, or one without these two dimensions.

    Examples
    --------
    >>> import eosfast as eos
    >>> import numpy as np
    >>> import xarray as xr
    >>> lrs = np.linspace(0.9, 1.3, 5)
    >>> model, record = eos.ScalarProduct(depth=2), eos.Record(quantities=("loss",))
    >>> runs = [eos.train(model, [0.9, 1.1], eos.GD(lr), num_steps=1000, record=record) for lr in lrs]
    >>> data = xr.concat(runs, dim=xr.Variable("lr", lrs), combine_attrs="drop", join="outer")
    >>> ax = plot_bifurcation(data, "loss")
    """
    values = variable(runs, quantity, "record it with Record(quantities=...)")
    if set(values.dims) != {x, "step"}:
        raise ValueError(
            f"{quantity!r} must have the dimensions {x!r} and 'step', it has {', '.join(map(repr, values.dims))}"
        )
    ax = drawn_on(ax)
    tail = values.transpose(x, "step").values[:, -last:]
    across = np.repeat(runs[x].values, tail.shape[1])
    style: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 1.0, "color": "0.1"} | points
    ax.plot(across, tail.ravel(), **style)
    ax.set(xlabel=label(x), ylabel=label(quantity))
    return ax


def _cells(values: xr.DataArray, dim: str) -> tuple[NDArray[np.float64], str, list[str] | None]:
    """Return the edges of the cells around the grid values of an axis, its scale, and names for its ticks if the
    values are not numbers.

    The scale is logarithmic where that spaces the values more evenly.
    """
    grid = values[dim].values
    if grid.dtype.kind not in "iuf":
        return np.arange(len(grid) + 1, dtype=np.float64) - 0.5, "linear", [str(name) for name in grid]
    c = np.asarray(grid, dtype=np.float64)
    if len(c) == 1:
        return np.array([c[0] - 0.5, c[0] + 0.5]), "linear", None
    is_log = bool(np.all(c > 0.0) and np.ptp(np.diff(np.log(c))) < 0.5 * np.ptp(np.diff(c)) / np.mean(c))
    position = np.log(c) if is_log else c
    between = (position[1:] + position[:-1]) / 2.0
    edges = np.concatenate([[2.0 * position[0] - between[0]], between, [2.0 * position[-1] - between[-1]]])
    return (np.exp(edges), "log", None) if is_log else (edges, "linear", None)


def plot_phase_diagram(
    result: xr.Dataset | xr.DataArray,
    measure: str = "sharpness",
    ax: Axes | None = None,
    *,
    x: str | None = None,
    y: str | None = None,
    colorbar: bool = True,
    **mesh: Any,
) -> Axes:
    """A measure of a sweep as colour over two axes of its grid; runs without a finite value are grey.

    Parameters
    ----------
    result : Dataset or DataArray
        From `eosfast.sweep`, or one variable of it, with two dimensions.
    measure : str, default "sharpness"
        Variable to draw, if a Dataset is given.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x, y : str, optional
        Dimensions of the two axes; the first goes across by default. An axis whose values are evenly spaced in the
        logarithm is logarithmic.
    colorbar : bool, default True
    **mesh
        Arguments of ``Axes.pcolormesh`` (``vmin``, ``vmax``, ``cmap``, ``norm``, ...); the map is cividis by default.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are not exactly two dimensions, or ``x`` and ``y`` are not these.
    """
    import matplotlib
    import xarray

    values = result if isinstance(result, xarray.DataArray) else variable(result, measure, "name it in measure=...")
    dims = [str(dim) for dim in values.dims]
    x = x or next((dim for dim in dims if dim != y), "")
    y = y or next((dim for dim in dims if dim != x), "")
    if len(dims) != 2 or {x, y} != set(dims):
        raise ValueError(
            f"a phase diagram needs two dimensions, x and y; the values have ({', '.join(dims)}), got x={x!r}, y={y!r}"
        )
    ax = drawn_on(ax)
    (across, x_scale, x_names), (up, y_scale, y_names) = _cells(values, x), _cells(values, y)
    colours = np.ma.masked_invalid(values.transpose(y, x).values.astype(float))
    style: dict[str, Any] = {"cmap": "cividis", "rasterized": True} | mesh
    style["cmap"] = (
        matplotlib.colormaps[style["cmap"]].with_extremes(bad="0.8")
        if isinstance(style["cmap"], str)
        else style["cmap"]
    )
    image = ax.pcolormesh(across, up, colours, **style)
    ax.set(xlabel=label(x), ylabel=label(y), xscale=x_scale, yscale=y_scale)
    if x_names is not None:
        ax.set_xticks(range(len(x_names)), x_names)
    if y_names is not None:
        ax.set_yticks(range(len(y_names)), y_names)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label=label(measure if values.name is None else str(values.name)))
    return ax
