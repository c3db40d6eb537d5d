"""Lines of theory over a map: the contours of functions of its two axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eosfast.arguments import shown

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from .sides import Side

POINTS = 300  # along each axis, where a callable is evaluated
MOST_CENTERS = 400  # along each axis, of an array
DASHES: Sequence[Any] = ("-", (0, (4, 2)), (0, (1, 1)), (0, (5, 1, 1, 1)))


def theories(contours: Any, values: xr.DataArray) -> dict[str | None, Any]:
    """Return callables and DataArrays by their names, None for one without: a ValueError for arrays that do not fit the
    values.
    """
    import xarray

    if contours is None:
        return {}
    found: dict[str | None, Any] = dict(contours) if isinstance(contours, Mapping) else {None: contours}
    for name, theory in found.items():
        if callable(theory):
            continue
        labelled = isinstance(theory, xarray.DataArray)
        shape = dict(theory.sizes) if labelled else np.shape(theory)
        if shape != (dict(values.sizes) if labelled else values.shape):
            sizes = ", ".join(f"{dim}: {size}" for dim, size in values.sizes.items())
            of = "" if name is None else f" of {shown(name)}"
            given = f"an array of the shape {shape}" if np.ndim(theory) else shown(theory)
            raise ValueError(f"contours{of} must be a callable or an array of the shape ({sizes}), got {given}")
        found[name] = theory if labelled else xarray.DataArray(theory, dims=values.dims)
    return found


def halo() -> list[Any]:
    """Return path effects of a black line that is to be seen on every colour: a white edge."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.6, foreground="white")]


def draw_contours(ax: Axes, theory: dict[str | None, Any], levels: Any, sides: tuple[Side, Side]) -> list[Artist]:
    """Draw black lines with a white edge, visible on every colour, and return handles for a legend of their names."""
    if not theory:
        return []
    from matplotlib.lines import Line2D

    for side in sides:
        if side.names is not None:
            raise ValueError(f"contours need two axes of numbers, the values of {side.dim!r} are names")
    heights = np.unique(np.atleast_1d(np.asarray(levels, dtype=np.float64)))
    handles: list[Artist] = []
    for number, (name, function) in enumerate(theory.items()):
        across, up, surface = _surface(function, sides)
        style: dict[str, Any] = {
            "colors": "black",
            "linewidths": 1.1,
            "linestyles": [DASHES[number % len(DASHES)]],
            "zorder": 3,
        }
        within = heights[(heights >= surface.min()) & (heights <= surface.max())] if surface.count() else []
        if len(within):
            ax.contour(across, up, surface, levels=within, **style).set_path_effects(halo())
        if name is not None:
            line = Line2D([], [], color="black", linewidth=1.1, linestyle=DASHES[number % len(DASHES)])
            line.set(label=str(name), path_effects=halo())
            handles.append(line)
    return handles


def _surface(
    function: Any, sides: tuple[Side, Side]
) -> tuple[NDArray[np.float64], NDArray[np.float64], np.ma.MaskedArray[Any, Any]]:
    """Return points along both axes and the function at each pair of them, (up, across)."""
    across, up = sides
    if callable(function):
        x, y = across.points(POINTS), up.points(POINTS)
        found = np.asarray(function(*np.meshgrid(x, y)), dtype=np.float64)
        if found.shape not in ((), (POINTS, POINTS)):
            raise ValueError(
                f"contours must be a function of two arrays of one shape that returns another of it, "
                f"got the shape {found.shape} for {(POINTS, POINTS)}"
            )
        return x, y, np.ma.masked_invalid(np.broadcast_to(found, (POINTS, POINTS)))
    others = [dim for dim in function.dims if dim not in (across.dim, up.dim)]
    thinned = [slice(None, None, -(-len(side.cells) // MOST_CENTERS)) for side in sides]
    x, y = (side.centers()[part] for side, part in zip(sides, thinned, strict=True))
    cells = {side.dim: side.cells[part] for side, part in zip(sides, thinned, strict=True)}
    surface = function.squeeze(others).isel(cells).transpose(up.dim, across.dim).values.astype(float)
    return x, y, np.ma.masked_invalid(surface)
