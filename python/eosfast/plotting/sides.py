"""An axis of a map: which cells of the grid are drawn, between which edges, on which scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .axes import label_of
from .reduction import blocks

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

MOST_NAMES = 30  # ticks on an axis of names


class Side(NamedTuple):
    """One axis of a map."""

    text: str
    """Its label."""
    dim: str
    cells: NDArray[np.int64]
    """Indices along `dim` of the runs that are drawn, one for each pair of neighbouring `edges`."""
    edges: NDArray[np.float64]
    scale: str
    """Of matplotlib: "linear" or "log"."""
    names: list[str] | None
    """Of the values, if they are not numbers."""

    def points(self, count: int) -> NDArray[np.float64]:
        """Return points from one end of the axis to the other, evenly spaced on its scale."""
        space = np.geomspace if self.scale == "log" else np.linspace
        return np.asarray(space(self.edges[0], self.edges[-1], count))

    def centers(self) -> NDArray[np.float64]:
        """Return the middles of the cells on the scale."""
        low, high = self.edges[:-1], self.edges[1:]
        return np.sqrt(low * high) if self.scale == "log" else (low + high) / 2.0

    def label(self, ax: Axes, name: str) -> None:
        """Set label, scale and ticks of the axis "x" or "y"."""
        ax.set(**{f"{name}label": self.text, f"{name}scale": self.scale})
        if self.names is not None:
            ticks = range(0, len(self.names), -(-len(self.names) // MOST_NAMES))
            getattr(ax, f"set_{name}ticks")(ticks, [self.names[i] for i in ticks])


def side_of(coordinate: xr.DataArray) -> Side:
    """Return the axis of a coordinate along a dimension; numbers are put in order, names stay as they are."""
    grid = coordinate.values
    dim, text = str(coordinate.dims[0]), label_of(coordinate)
    if not grid.size:
        raise ValueError(f"{coordinate.name!r} must have values, it is empty")
    if grid.dtype.kind not in "iuf":
        edges = np.arange(len(grid) + 1, dtype=np.float64) - 0.5
        bounds, cells = blocks(edges)
        return Side(text, dim, cells, edges[bounds], "linear", [str(name) for name in grid])
    order = np.argsort(grid, kind="stable")
    center = grid[order].astype(np.float64)
    if not np.isfinite(center).all() or np.any(center[1:] == center[:-1]):
        raise ValueError(f"the values of {coordinate.name!r} must be finite and different to be an axis of cells")
    position, scale = _positions(center)
    edges = _edges(position)
    bounds, cells = blocks(edges)
    edges = edges[bounds]
    return Side(text, dim, order[cells], np.exp(edges) if scale == "log" else edges, scale, None)


def _positions(center: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """Return where the values lie on a scale: the logarithmic one where that spaces them more evenly."""
    if len(center) > 1 and center[0] > 0.0:
        uneven, uneven_log = np.ptp(np.diff(center)) / center.mean(), np.ptp(np.diff(np.log(center)))
        if uneven_log < 0.5 * uneven:
            return np.log(center), "log"
    return center, "linear"


def _edges(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points half-way between neighbours, and as far beyond the outermost."""
    if len(position) == 1:
        half = 0.5 * abs(position[0]) or 0.5
        return np.array([position[0] - half, position[0] + half])
    between = (position[1:] + position[:-1]) / 2.0
    return np.concatenate([[2.0 * position[0] - between[0]], between, [2.0 * position[-1] - between[-1]]])
