"""Where the edge of stability lies for the runs of a Dataset, from what it says of its optimizer."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eosfast import optimizers

if TYPE_CHECKING:
    import xarray as xr


def _config(data: xr.Dataset) -> dict[str, Any]:
    try:
        config = json.loads(data.attrs.get("config", "{}"))
    except (TypeError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _optimizer(data: xr.Dataset) -> optimizers.Optimizer | None:
    """Return the optimizer in the provenance; None if there is none that is known here."""
    numbers = dict(_config(data).get("optimizer", {}))
    made = getattr(optimizers, str(numbers.pop("type", None)), None)
    try:
        return made(**numbers) if made is not None else None
    except (TypeError, ValueError):
        return None


def stability_threshold(data: xr.Dataset) -> float | None:
    """Return the threshold of all runs of the data; None where they do not say it, or differ."""
    found = thresholds_along(data, None)
    return None if found is None else float(found)


def thresholds_along(data: xr.Dataset, dim: str | None) -> NDArray[np.float64] | None:
    """Return the thresholds of the runs along a dimension, one number if all have the same.

    Fields of the optimizer that are coordinates of the data have their values there. None where the Dataset does not
    say enough, or where the threshold depends on another dimension.
    """
    optimizer = _optimizer(data)
    recorded = float(data.attrs.get("threshold", np.nan))
    if optimizer is None:
        return np.array(recorded) if np.isfinite(recorded) else None
    swept = set(_config(data).get("grid", {}))
    varied: dict[str, xr.DataArray] = {}
    for name in (field.name for field in fields(optimizer)):
        full = f"optimizer.{name}"
        key = next((key for key in (full, name) if key in data.coords), None)
        if key is None and swept & {name, full}:
            return None
        if key is not None:
            varied[name] = data.coords[key]
    if any(values.dims not in ((), (dim,)) for values in varied.values()):
        return None
    if not varied and np.isfinite(recorded):
        return np.array(recorded)
    columns = np.broadcast_arrays(*(values.values for values in varied.values())) if varied else []
    if all(column.ndim == 0 for column in columns):
        value = _value(optimizer, {name: column.item() for name, column in zip(varied, columns, strict=True)})
        return None if value is None else np.array(value)
    each = [_value(optimizer, dict(zip(varied, row, strict=True))) for row in zip(*columns, strict=True)]
    return np.array([np.nan if value is None else value for value in each])


def _value(optimizer: optimizers.Optimizer, numbers: dict[str, Any]) -> float | None:
    try:
        value = float(replace(optimizer, **numbers).stability_threshold())
    except (TypeError, ValueError):  # a number that is not set, or none that the optimizer can have
        return None
    return value if np.isfinite(value) else None


def threshold_name(data: xr.Dataset) -> str:
    """Return how the threshold is written: 2/lr for plain gradient descent."""
    optimizer = _optimizer(data)
    plain = isinstance(optimizer, optimizers.GD) and not optimizer.weight_decay
    return r"$2/\eta$" if plain else "stability threshold"
