"""What all pictures share: labels, the style for print, new axes, and the line that marks a threshold."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

LABELS = {
    "step": "step $t$",
    "time": r"time $\eta\,t$",
    "lr": r"step size $\eta$",
    "momentum": r"momentum $\mu$",
    "loss": "loss",
    "sharpness": r"sharpness $\lambda_{\max}$",
    "hessian_eigs": r"Hessian eigenvalues $\lambda_k$",
    "grad_norm": r"gradient norm $\|\nabla L\|$",
    "weight_norm": r"weight norm $\|w\|$",
    "accuracy": "accuracy",
    "x": "$x$",
    "y": "$y$",
    "b": "bias $b$",
    "a_minus": "$a^-$",
    "a_plus": "$a^+$",
    "beta": r"$\beta$",
}


def label(name: str) -> str:
    """Axis label of a variable, coordinate or parameter: its symbol where it has one, else its name in words.

    Parameters
    ----------
    name : str

    Returns
    -------
    str

    Examples
    --------
    >>> label("last_loss_increase")
    'last loss increase'
    """
    return LABELS.get(name, name.replace("_", " "))


def paper_style() -> AbstractContextManager[None]:
    """Context in which matplotlib uses the package's style for printed figures; outside of it nothing changes.

    Returns
    -------
    context manager

    Examples
    --------
    >>> with paper_style():
    ...     pass
    """
    import matplotlib.style

    context: AbstractContextManager[None] = matplotlib.style.context("eosfast.paper")
    return context


def drawn_on(ax: Axes | None) -> Axes:
    """Return the axes, or those of a new figure of pyplot."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(layout="constrained")[1]
    return ax


def variable(data: xr.Dataset, name: str, how: str) -> xr.DataArray:
    """Return a variable of the Dataset; a ValueError if there is none, which says how to get it."""
    if name not in data:
        raise ValueError(
            f"the Dataset must hold {name!r} ({how}), it has {', '.join(map(repr, data.data_vars)) or 'no variable'}"
        )
    return data[name]


def mark_threshold(ax: Axes, value: float, text: str | None = None, *, axis: str = "y", **line: Any) -> Axes:
    """Draw a dashed line at ``value`` across the axes, with its name written on it.

    Parameters
    ----------
    ax : Axes
    value : float
    text : str, optional
        Name of the line, next to its end.
    axis : {"y", "x"}
        "y": a horizontal line at y = value; "x": a vertical one.
    **line
        Properties of the line.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For another ``axis``.
    """
    if axis not in ("x", "y"):
        raise ValueError(f"axis must be 'x' or 'y', got {axis!r}")
    style: dict[str, Any] = {"color": "0.25", "linestyle": (0, (4, 2)), "linewidth": 1.0, "zorder": 3} | line
    if axis == "y":
        ax.axhline(value, **style)
        place: dict[str, Any] = {
            "xy": (1, value),
            "xycoords": ("axes fraction", "data"),
            "ha": "right",
            "va": "bottom",
            "xytext": (-2, 1),
        }
    else:
        ax.axvline(value, **style)
        place = {"xy": (value, 1), "xycoords": ("data", "axes fraction"), "ha": "left", "va": "top", "xytext": (3, -2)}
    if text:
        ax.annotate(text, textcoords="offset points", color=style["color"], fontsize="small", **place)
    return ax
