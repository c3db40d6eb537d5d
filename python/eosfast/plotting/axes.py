"""What all pictures share: labels, what is asked of the data, new axes, and the line that marks a threshold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from eosfast.arguments import one_of, shown
from eosfast.results import LONG_NAMES

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
    "mean_sharpness": r"mean sharpness $\overline{\lambda}_{\max}$",
    "eigenvalue": r"eigenvalue $\lambda$",
    "x": "$x$",
    "y": "$y$",
    "b": "bias $b$",
    "a_minus": "$a^-$",
    "a_plus": "$a^+$",
    "beta": r"$\beta$",
}

THRESHOLD: dict[str, Any] = {"color": "0.25", "linestyle": (0, (4, 2)), "linewidth": 1.0, "zorder": 3}
"""Properties of the line at a stability threshold."""


def label(name: str) -> str:
    """Axis label of a variable, coordinate or parameter: its symbol where it has one, else what it is in words.

    Parameters
    ----------
    name : str

    Returns
    -------
    str

    Examples
    --------
    >>> label("last_loss_increase")
    'last step that increases the loss'
    """
    name = name.removeprefix("optimizer.").removeprefix("model.").removeprefix("w.")
    if re.fullmatch(r"[a-z]\d+", name):
        return f"${name[0]}_{{{name[1:]}}}$"
    return LABELS.get(name) or LONG_NAMES.get(name) or name.replace("_", " ")


def label_of(values: xr.DataArray) -> str:
    """Axis label of a variable: the ``long_name`` that its owner gave it, else that of its name; with units if any."""
    own = values.attrs.get("long_name")
    text = (
        str(own) if own and own not in LONG_NAMES.values() else "" if values.name is None else label(str(values.name))
    )
    return f"{text} ({values.attrs['units']})" if "units" in values.attrs else text


def drawn_on(ax: Axes | None) -> Axes:
    """Return the axes, or those of a new figure of pyplot."""
    from matplotlib.axes import Axes

    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be Axes of matplotlib or None, got {shown(ax)}")
    return ax


def dataset(data: object) -> xr.Dataset:
    """Return the Dataset; a TypeError for anything else."""
    import xarray

    if not isinstance(data, xarray.Dataset):
        raise TypeError(f"the data must be an xarray.Dataset, got {shown(type(data).__name__)}")
    return data


def variable(data: xr.Dataset, name: str, how: str) -> xr.DataArray:
    """Return a variable of the Dataset; a ValueError if there is none, which says how to get it."""
    if name not in dataset(data):
        raise ValueError(f"the Dataset must hold {name!r} ({how}); it has {one_of(name, map(str, data.data_vars))}")
    return data[name]


def variable_or_itself(data: xr.Dataset | xr.DataArray, name: str, how: str) -> xr.DataArray:
    """Return a variable of a Dataset; of a DataArray itself."""
    import xarray

    return data if isinstance(data, xarray.DataArray) else variable(data, name, how)


def coordinate(values: xr.DataArray, name: str, name_of_argument: str) -> xr.DataArray:
    """Return a dimension, or a coordinate along one, as values along it; a ValueError if there is none of this name."""
    known = [
        *map(str, values.dims),
        *(str(key) for key, c in values.coords.items() if c.ndim == 1 and key not in values.dims),
    ]
    if name not in known:
        raise ValueError(f"{name_of_argument} must be {one_of(str(name), known)}, got {shown(name)}")
    return values[name]


def mark_threshold(ax: Axes, value: float, text: str | None = None, *, axis: str = "y", **line: Any) -> Axes:
    """Draw a dashed line at ``value`` across the axes, with its name written on it.

    Parameters
    ----------
    ax : Axes
    value : float
    text : str, optional
        Name of the line, next to its end; of a vertical one on the side with more room, as the axis is now.
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
    style = THRESHOLD | line
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
        across = ax.get_xaxis_transform().transform((value, 0.0))
        on_the_left = ax.transAxes.inverted().transform(across)[0] > 0.5
        place = {
            "xy": (value, 1),
            "xycoords": ("data", "axes fraction"),
            "ha": "right" if on_the_left else "left",
            "va": "top",
            "xytext": (-3 if on_the_left else 3, -2),
        }
    if text:
        ax.annotate(text, textcoords="offset points", color=style["color"], fontsize="small", **place)
    return ax
