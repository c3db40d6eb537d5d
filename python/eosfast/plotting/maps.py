"""Phase diagrams: a measure of a sweep as colour over two axes of its grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .axes import coordinate, drawn_on, label_of, variable_or_itself
from .categories import categories_of
from .contours import draw_contours, halo, theories
from .sides import Side, side_of
from .sweeps import SHARPNESSES
from .thresholds import stability_threshold

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.colorbar import Colorbar

MISSING = "0.8"  # the grey of runs without a value


def phase_diagram(
    result: xr.Dataset | xr.DataArray,
    measure: str = "sharpness",
    ax: Axes | None = None,
    *,
    x: str | None = None,
    y: str | None = None,
    colorbar: bool = True,
    contours: Any = None,
    levels: Any = (0.0,),
    **mesh: Any,
) -> Axes:
    """A measure of a sweep as colour over two axes of its grid.

    Runs without a finite value are grey, and so are, where a sweep's real numbers are drawn, those that diverged: what
    their last iterate had is no value of an attractor, and would take up the colours.

    Categories (variables with ``flag_values`` and ``flag_meanings``, such as ``status``) have a colour each, the same
    in every diagram, and a legend of those that occur.

    Parameters
    ----------
    result : Dataset or DataArray
        From `eosfast.sweep`, or one variable of it, with two dimensions; others must have the length 1.
    measure : str, default "sharpness"
        Variable to draw, if a Dataset is given.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x, y : str, optional
        Dimensions of the two axes, or coordinates along them (of zipped names); the first dimension goes across by
        default. An axis whose values are evenly spaced in the logarithm is logarithmic.
    colorbar : bool, default True
        Draw the colour bar, on which the stability threshold is marked if it is the same for all runs; for categories
        the legend.
    contours : callable, array or mapping, optional
        Theory, as lines where it has the values ``levels``. A callable gets x and y as two arrays of 300 x 300 points
        and returns one; an array has the shape of the drawn variable, or is a DataArray with its dimensions. A mapping
        gives several, with their names for a legend: ``{"edge": lambda lr, y: y**2 - 2 / lr}`` is the line y^2 = 2/lr.
    levels : float or sequence of float, default (0.0,)
        Values of the contours.
    **mesh
        Arguments of ``Axes.pcolormesh`` (``vmin``, ``vmax``, ``cmap``, ``norm``, ...); the map is cividis by default.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For an unknown measure or axis, more than two dimensions, coordinates that are repeated or not finite, contours
        of the wrong shape, or over an axis of names.

    Notes
    -----
    Cells end half-way between neighbouring values of the grid (of their logarithms on a logarithmic axis). Axes of more
    than 800 cells are drawn in blocks, bounded by edges of cells, in the colour of the run in their middle: see
    `eosfast.plotting`. Of a Dataset opened from a store only those are read.

    Examples
    --------
    >>> import eosfast as eos
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> grid = {"lr": np.geomspace(0.01, 0.1, 5), "y": np.linspace(2.0, 10.0, 4)}
    >>> result = eos.sweep(eos.SingleNeuron(), eos.GD(), grid, w0={"x": 0.3}, num_steps=5000)
    >>> ax = phase_diagram(result, "status", Figure().add_subplot())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['completed', 'steady']
    """
    import xarray

    values = variable_or_itself(result, measure, "name it in measure=...")
    sides = _sides(values, x, y)
    theory = theories(contours, values)
    ax = drawn_on(ax)
    shown = _drawn(values, sides)
    if isinstance(result, xarray.Dataset) and values.dtype.kind == "f":
        shown = shown.where(~_diverged(result, values, sides))
    categories = categories_of(values)
    if categories is None:
        image = _colours(ax, sides, np.ma.masked_invalid(shown.values.astype(float)), **mesh)
        handles = []
    else:
        image = _colours(ax, sides, categories.places(shown.values), **categories.style() | mesh)
        handles = categories.handles(image, MISSING) if colorbar else []
    for side, name in zip(sides, "xy", strict=True):
        side.label(ax, name)
    handles += draw_contours(ax, theory, levels, sides)
    if handles:
        beside = {"bbox_to_anchor": (1.0, 1.0)} if categories else {"frameon": True}
        ax.legend(handles=handles, loc="upper left", **beside)
    if colorbar and categories is None:
        bar = ax.figure.colorbar(image, ax=ax, label=label_of(values))
        if isinstance(result, xarray.Dataset) and measure in SHARPNESSES:
            _mark_threshold(bar, stability_threshold(result))
    return ax


def _sides(values: xr.DataArray, x: str | None, y: str | None) -> tuple[Side, Side]:
    """Return the two axes; a ValueError that names what is wrong with x, y or the dimensions."""
    given = {name: coordinate(values, key, name) for name, key in (("x", x), ("y", y)) if key is not None}
    taken = {str(side.dims[0]) for side in given.values()}
    free = [str(dim) for dim in values.dims if dim not in taken]
    free.sort(key=lambda dim: values.sizes[dim] == 1)  # those of length 1 last
    for name in ("x", "y"):
        if name not in given and free:
            given[name] = values[free.pop(0)]
    if len(given) < 2 or len({side.dims for side in given.values()}) < 2:
        dims = ", ".join(map(str, values.dims)) or "none"
        raise ValueError(f"a phase diagram needs two dimensions, x and y; the values have ({dims}), got {x=}, {y=}")
    if any(values.sizes[dim] > 1 for dim in free):
        rest = ", ".join(f"{dim}=0" for dim in free)
        raise ValueError(
            f"a phase diagram has two dimensions, the values have ({', '.join(map(str, values.dims))}): name x and y, "
            f"and choose among the others first, for example with .isel({rest})"
        )
    return side_of(given["x"]), side_of(given["y"])


def _colours(ax: Axes, sides: tuple[Side, Side], colours: np.ma.MaskedArray[Any, Any], **mesh: Any) -> QuadMesh:
    """Draw the cells, those that are masked in grey."""
    import matplotlib

    style: dict[str, Any] = {"cmap": "cividis", "rasterized": True} | mesh
    if isinstance(style["cmap"], str):
        style["cmap"] = matplotlib.colormaps[style["cmap"]]
    if style["cmap"] is not mesh.get("cmap"):  # a map that the caller made stays as it is
        style["cmap"] = style["cmap"].with_extremes(bad=MISSING)
    across, up = sides
    return ax.pcolormesh(across.edges, up.edges, colours, **style)


def _mark_threshold(bar: Colorbar, value: float | None) -> None:
    """Draw the threshold across the colour bar, if it is among its colours."""
    low, high = sorted(bar.ax.get_ylim())
    if value is not None and low <= value <= high:
        bar.ax.axhline(value, color="black", linewidth=1.1, path_effects=halo())


def _drawn(values: xr.DataArray, sides: tuple[Side, Side]) -> xr.DataArray:
    """Return the values of the runs that are drawn, (up, across)."""
    across, up = sides
    plane = values.squeeze([dim for dim in values.dims if dim not in (across.dim, up.dim)])
    return plane.isel({side.dim: side.cells for side in sides}).transpose(up.dim, across.dim)


def _diverged(result: xr.Dataset, values: xr.DataArray, sides: tuple[Side, Side]) -> Any:
    """Return which of the drawn runs diverged."""
    status = result.get("status")
    flags = None if status is None else categories_of(status)
    if status is None or flags is None or "diverged" not in flags.meanings or set(status.dims) != set(values.dims):
        return np.False_
    return _drawn(status, sides) == flags.values[flags.meanings.index("diverged")]
