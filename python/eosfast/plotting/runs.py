"""Pictures of one run, or of a few side by side, against the step or the time: from `eosfast.train` and
`eosfast.gradient_flow`; and of the density of a spectrum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eosfast.arguments import one_of, shown

from .axes import coordinate, dataset, drawn_on, label, label_of, mark_threshold, variable
from .reduction import MOST_POINTS, band
from .thresholds import stability_threshold, threshold_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

RECORD = "record it with Record(quantities=...)"
FAINTEST = 1e-6  # of a density, relative to its peak: what is drawn on a logarithmic axis


def draw_line(ax: Axes, x: NDArray[Any], y: NDArray[Any], **line: Any) -> Line2D:
    """Draw y against x without what is not finite, as a band with its mean where there are too many points."""
    known = np.isfinite(y)
    if not known.all():
        x, y = x[known], y[known]
    if len(x) <= MOST_POINTS:
        return ax.plot(x, y, **line)[0]
    if not np.all(x[1:] >= x[:-1]):
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    columns = band(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    mean = ax.plot(columns.center, columns.mean, **line)[0]
    low, high = (np.append(side, side[-1]) for side in (columns.low, columns.high))
    ax.fill_between(columns.edges, low, high, step="post", color=mean.get_color(), alpha=0.35, linewidth=0)
    return mean


def _along(values: xr.DataArray) -> str:
    """Return the dimension in which a run goes on."""
    for dim in ("step", "time"):
        if dim in values.dims:
            return dim
    raise ValueError(
        f"{values.name!r} must have the dimension 'step' or 'time', as `train` and `gradient_flow` return it; "
        f"it has {one_of('', map(str, values.dims))} (for a sweep there are phase_diagram and measure)"
    )


def _across(values: xr.DataArray, x: str | None) -> xr.DataArray:
    """Return what goes on the horizontal axis."""
    along = _along(values)
    across = coordinate(values, along if x is None else x, "x")
    if across.dims != (along,):
        raise ValueError(f"x must be a coordinate along {along!r}, got {x!r} along {', '.join(map(str, across.dims))}")
    return across


def _runs(values: xr.DataArray) -> Iterator[tuple[dict[str, int], str | None]]:
    """Return the place of each run in the other dimensions, and its name: None if it is the only one."""
    dims = [str(dim) for dim in values.dims if dim != _along(values)]
    for place in np.ndindex(*(values.sizes[dim] for dim in dims)):
        indices = dict(zip(dims, place, strict=True))
        if dims == ["eig"]:
            yield indices, rf"$\lambda_{{{place[0] + 1}}}$"
        else:
            names = [f"{label(dim)} = {_text(values[dim].values[index])}" for dim, index in indices.items()]
            yield indices, ", ".join(names) or None


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _draw_runs(
    ax: Axes, values: xr.DataArray, across: xr.DataArray, **line: Any
) -> list[tuple[dict[str, int], Line2D]]:
    drawn = []
    for place, name in _runs(values):
        named = {} if name is None else {"label": name}
        drawn.append((place, draw_line(ax, across.values, values.isel(place).values, **named | line)))
    ax.set(xlabel=label_of(across), ylabel=label_of(values))
    return drawn


def loss(run: xr.Dataset, ax: Axes | None = None, *, x: str | None = None, **line: Any) -> Axes:
    """Loss against the step, on a logarithmic axis when it is positive.

    Parameters
    ----------
    run : Dataset
        From `eosfast.train` or `eosfast.gradient_flow`, with ``loss`` recorded. Further dimensions (runs side by side)
        are lines of their own, labelled by their coordinates.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, optional
        Coordinate for the horizontal axis, along the run; ``step`` or ``time`` by default.
    **line
        Properties of the line (``label``, ``color``, ...).

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the run has no ``loss``, or no coordinate ``x``.

    Notes
    -----
    Values that are not finite are left out. Of more than 100,000 points the band between the smallest and the largest
    in each column of the picture is drawn, with the mean: half a second for 1e7.

    Examples
    --------
    >>> import eosfast as eos
    >>> from matplotlib.figure import Figure
    >>> run = eos.train(eos.SingleNeuron(), [0.5, 8.0], eos.GD(lr=0.05), num_steps=100)
    >>> loss(run, Figure().add_subplot()).get_ylabel()
    'loss'
    """
    values = variable(run, "loss", RECORD)
    across = _across(values, x)
    ax = drawn_on(ax)
    _draw_runs(ax, values, across, **line)
    heights = np.asarray(values.values, dtype=np.float64)
    lowest = np.min(heights, where=np.isfinite(heights), initial=np.inf)
    if 0.0 < lowest < np.inf:
        ax.set_yscale("log")
    return ax


def sharpness(
    run: xr.Dataset, ax: Axes | None = None, *, x: str | None = None, threshold: bool | float = True, **line: Any
) -> Axes:
    r"""Sharpness against the step, with the optimizer's stability threshold.

    Parameters
    ----------
    run : Dataset
        From `eosfast.train` or `eosfast.gradient_flow`, with ``sharpness`` recorded, or ``hessian_eigs``, the first of
        which it is; steps at which it was not solved for are skipped. Further dimensions (runs side by side) are lines
        of their own, labelled by their coordinates, each with its threshold where the optimizer varies.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, optional
        Coordinate for the horizontal axis, along the run; ``step`` or ``time`` by default.
    threshold : bool or float, default True
        Draw a dashed line at the stability threshold of ``run.attrs``, 2/lr for gradient descent; or at this value.
    **line
        Properties of the line.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the run has neither variable, or no coordinate ``x``.

    Notes
    -----
    Of more than 100,000 points the band between the smallest and the largest in each column of the picture is drawn,
    with the mean: half a second for 1e7.

    Examples
    --------
    >>> import eosfast as eos
    >>> from matplotlib.figure import Figure
    >>> record = eos.Record(quantities=("sharpness",))
    >>> run = eos.train(eos.SingleNeuron(), [0.5, 8.0], eos.GD(lr=0.05), num_steps=100, record=record)
    >>> ax = sharpness(run, Figure().add_subplot())
    >>> ax.texts[0].get_text()
    '$2/\\eta$'
    """
    if "sharpness" not in dataset(run) and "hessian_eigs" in run:
        values = run.hessian_eigs.isel(eig=0, drop=True).rename("sharpness").drop_attrs()
    else:
        values = variable(run, "sharpness", RECORD)
    across = _across(values, x)
    ax = drawn_on(ax)
    drawn = _draw_runs(ax, values, across, **line)
    if threshold is True:
        _mark_thresholds(ax, run, drawn)
    elif threshold is not False:
        mark_threshold(ax, threshold, threshold_name(run))
    return ax


def _mark_thresholds(ax: Axes, run: xr.Dataset, drawn: list[tuple[dict[str, int], Line2D]]) -> None:
    """Draw the threshold of each run: one line if all have the same, else each in the colour of its run."""
    found = [(stability_threshold(run.isel(place)), line.get_color()) for place, line in drawn]
    values = {value for value, _ in found if value is not None}
    if len(values) == 1:
        mark_threshold(ax, float(values.pop()), threshold_name(run))
    else:
        for value, color in found:
            if value is not None:
                mark_threshold(ax, float(value), color=color)


def weights(
    run: xr.Dataset,
    ax: Axes | None = None,
    *,
    x: str | None = None,
    parameters: list[Any] | None = None,
    **line: Any,
) -> Axes:
    """Weights against the step, one line for each parameter.

    Parameters
    ----------
    run : Dataset
        From `eosfast.train`, with ``weights`` recorded.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, optional
        Coordinate for the horizontal axis, along the run; ``step`` or ``time`` by default.
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
        If the run has no ``weights``, or for an unknown parameter or coordinate.
    """
    values = variable(run, "weights", RECORD)
    across = _across(values, x)
    chosen = [weight_of(values, name) for name in (values.parameter.values if parameters is None else parameters)]
    ax = drawn_on(ax)
    for column in chosen:
        draw_line(ax, across.values, column.values, **{"label": label(str(column.parameter.values))} | line)
    ax.set(xlabel=label_of(across), ylabel="weights $w$")
    return ax


def weight_of(values: xr.DataArray, name: Any) -> xr.DataArray:
    """Return one parameter of ``weights``; a ValueError if it has none of this name."""
    known = values.parameter.values
    if not np.any(known == name):
        texts = [str(k) for k in known[:12]] + (["..."] if len(known) > 12 else [])
        raise ValueError(f"the parameters of the run are {', '.join(texts)}; got {shown(name)}")
    return values.sel(parameter=name)


def spectrum(
    data: xr.Dataset, ax: Axes | None = None, *, x: str | None = None, threshold: bool | float = True, **line: Any
) -> Axes:
    r"""A density of eigenvalues, or the largest Hessian eigenvalues against the step.

    Parameters
    ----------
    data : Dataset
        From `eosfast.spectral_density`: the density on a logarithmic axis, down to a millionth of its peak. Or from
        `eosfast.train` or `eosfast.gradient_flow` with ``hessian_eigs`` recorded: a line for each.
    ax : Axes, optional
        Where to draw; a new figure by default.
    x : str, optional
        Coordinate for the horizontal axis, along the run; ``step`` or ``time`` by default.
    threshold : bool or float, default True
        Draw a dashed line at the stability threshold of ``data.attrs``, if it is there; or at this value. It stands
        upright in a density, which knows no optimizer: give ``threshold=optimizer.stability_threshold()``.
    **line
        Properties of the line.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the data have neither ``density`` nor ``hessian_eigs``, or no coordinate ``x``.

    Examples
    --------
    >>> import eosfast as eos
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> density = eos.spectral_density(np.diag(np.arange(100.0)), num_vectors=4, num_matvecs=20)
    >>> ax = spectrum(density, Figure().add_subplot(), threshold=90.0)
    >>> ax.get_xlabel(), ax.get_yscale()
    ('eigenvalue $\\lambda$', 'log')
    """
    is_density = "density" in dataset(data)
    values = data.density if is_density else variable(data, "hessian_eigs", f"{RECORD}, or use spectral_density")
    across = values.eigenvalue if is_density else _across(values, x)
    ax = drawn_on(ax)
    if is_density:
        ax.plot(across.values, values.where(values > FAINTEST * values.max()).values, **line)
        ax.set(xlabel=label("eigenvalue"), ylabel=label_of(values), yscale="log")
    else:
        _draw_runs(ax, values, across, **line)
    value = stability_threshold(data) if threshold is True else threshold
    if value is not None and value is not False:
        mark_threshold(ax, float(value), threshold_name(data), axis="x" if is_density else "y")
    return ax
