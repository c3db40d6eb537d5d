"""What a picture can show of more data than it has pixels. Arrays in, arrays out: nothing here knows matplotlib."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 100_000
"""Of a line or a cloud of points that is drawn as it is."""

MOST_STEPS = 10_000
"""Of a path that is drawn as it is: where it leaps from side to side, a renderer takes 30 microseconds for each."""

FIRST_STEPS = 1_000
"""Of a longer path, drawn as a line."""

COLUMNS = 1_000
"""Of a band that stands for a longer line, on a linear and again on a logarithmic axis."""

MOST_CELLS = 800
"""Of a map, along each axis."""

RASTER = 1_200
"""Cells across and up, in each of which one of too many points is drawn."""


CHUNK = 1 << 18
"""Points treated at a time."""


class Band(NamedTuple):
    """Columns of a long line: `edges`, one more than columns; the least and the largest y between them; and the means
    of y with the places for them.
    """

    edges: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    center: NDArray[np.float64]
    mean: NDArray[np.float64]


def band(x: NDArray[np.float64], y: NDArray[np.float64]) -> Band:
    """Return the columns of y(x), with x ascending: column i holds the points with edges[i] <= x < edges[i + 1], the
    last one those at its end as well.

    Columns are narrow enough for a linear and for a logarithmic axis, whichever the picture will have. Means, and not
    medians: that of a cycle of two values is one of them, now the one, now the other.
    """
    starts = np.unique(np.append(np.searchsorted(x, _targets(x)), 0))
    ends = np.append(starts[1:], len(x))
    with np.errstate(over="ignore"):
        mean = np.add.reduceat(y, starts) / (ends - starts)
    return Band(
        np.append(x[starts], x[-1]),
        np.minimum.reduceat(y, starts),
        np.maximum.reduceat(y, starts),
        (x[starts] + x[ends - 1]) / 2.0,
        mean,
    )


def _targets(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where columns shall begin: evenly in the logarithm as long as that is finer, then evenly.

    Columns of (b - a)/N and of x log(b/p)/N, where p is the least positive x, are as wide at x = (b - a)/log(b/p).
    """
    even = np.linspace(x[0], x[-1], COLUMNS + 1)[:-1]
    positive = x[np.searchsorted(x, 0.0, side="right") :]
    if not positive.size or positive[0] == x[-1]:
        return even
    decades = np.log(x[-1] / positive[0])
    turn = (x[-1] - x[0]) / decades
    if turn <= positive[0]:
        return even
    fine = int(COLUMNS * np.log(turn / positive[0]) / decades) + 1
    coarse = int(COLUMNS * (x[-1] - turn) / (x[-1] - x[0])) + 1
    late = np.linspace(turn, x[-1], coarse + 1)[:-1]
    return np.concatenate([even[even <= 0.0], np.geomspace(positive[0], turn, fine + 1)[:-1], late])


def one_per_cell(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int64]:
    """Return the indices, ascending, of one finite point in each cell of a raster over the ranges of x and y.

    Vectors of one length. They are gone through in chunks: new memory costs more than the arithmetic.
    """
    parts = [slice(start, start + CHUNK) for start in range(0, len(x), CHUNK)]
    known = [np.isfinite(x[part]) & np.isfinite(y[part]) for part in parts]
    (left, width), (bottom, height) = _extent(x, parts, known), _extent(y, parts, known)
    chosen = np.full(RASTER * RASTER, -1)
    for part, good in zip(parts, known, strict=True):
        column, row = _cells(x[part][good], left, width), _cells(y[part][good], bottom, height)
        chosen[column * RASTER + row] = part.start + np.flatnonzero(good)
    return np.sort(chosen[chosen >= 0])


def _extent(values: NDArray[Any], parts: list[slice], known: list[NDArray[np.bool_]]) -> tuple[float, float]:
    """Return the least value and the distance of the largest."""
    low, high = np.inf, -np.inf
    for part, good in zip(parts, known, strict=True):
        chunk = values[part].astype(np.float64, copy=False)
        low = min(low, np.min(chunk, where=good, initial=np.inf))
        high = max(high, np.max(chunk, where=good, initial=-np.inf))
    return float(low), float(high - low)


def _cells(values: NDArray[Any], low: float, width: float) -> NDArray[np.int64]:
    scaled = (values - low) * (RASTER / width if width > 0.0 else 0.0)
    cells: NDArray[np.int64] = np.minimum(scaled.astype(np.int64), RASTER - 1)
    return cells


def ranks(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each value in their order."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def blocks(edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join cells to at most `MOST_CELLS` blocks of about the same width, cells that are wider left alone.

    Parameters
    ----------
    edges : ndarray, shape (n + 1,)
        Ascending, in the scale of the picture.

    Returns
    -------
    bounds : ndarray of int, shape (m + 1,)
        Which edges bound the blocks, from 0 to n.
    middle : ndarray of int, shape (m,)
        The cell in the middle of each block.
    """
    n = len(edges) - 1
    if n <= MOST_CELLS:
        return np.arange(n + 1), np.arange(n)
    bounds = np.unique(np.searchsorted(edges, np.linspace(edges[0], edges[-1], MOST_CELLS + 1)))
    bounds = np.unique(np.concatenate([[0], bounds[bounds < n], [n]]))
    centers = (edges[bounds[:-1]] + edges[bounds[1:]]) / 2.0
    middle = np.searchsorted(edges, centers, side="right") - 1
    return bounds, np.clip(middle, bounds[:-1], bounds[1:] - 1)
