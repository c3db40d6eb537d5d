"""Results are xarray Datasets, made here, with the provenance that tells how to compute them again."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast._dispatch import isa
from eosfast._version import __version__
from eosfast.arguments import READABLE, shown
from eosfast.datasets import Dataset
from eosfast.remembered import Remembered
from eosfast.value_object import ValueObject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray
    from numpy.typing import NDArray

    from eosfast.models.base import Model

STATUS = ("completed", "converged", "diverged", "steady", "interrupted", "pending")
"""Names of the status codes of the core."""

PENDING = STATUS.index("pending")

LONG_NAMES = {
    "step": "step",
    "time": "time",
    "loss": "loss",
    "sharpness": "sharpness",
    "sharpness_residual": "residual of the sharpness",
    "sharpness_converged": "sharpness within tolerance",
    "sharpness_matvecs": "Hessian-vector products for the sharpness",
    "hessian_eigs": "largest Hessian eigenvalues",
    "grad_norm": "norm of the gradient",
    "weight_norm": "norm of the weights",
    "relative_progress": "relative progress",
    "directional_smoothness": "directional smoothness",
    "weights": "weights",
    "accuracy": "accuracy",
    "gfs_sharpness": "sharpness at the end of the gradient flow",
    "distance_to_flow": "distance from the gradient flow",
    "residual": "residual f - y",
    "ntk_sharpness": "largest eigenvalue of the tangent kernel",
    "ntk_eigs": "largest eigenvalues of the tangent kernel",
    "z1": "residual along the top eigenvector of the tangent kernel",
    "q1_max": "largest curvature of the outputs along the top eigenvector of the tangent kernel",
    "q1_min": "smallest curvature of the outputs along the top eigenvector of the tangent kernel",
    "lr": "step size (learning rate)",
    "max_loss": "largest loss of the run",
    "loss_increases": "number of steps that increase the loss",
    "last_loss_increase": "last step that increases the loss",
    "mean_sharpness": "mean sharpness over the last tenth of the run",
    "period": "period of the attractor",
    "lyapunov": "largest Lyapunov exponent per step",
    "num_steps_done": "steps done",
}
"""Labels that xarray writes on axes."""

_CHECKSUMS: Remembered[str] = Remembered()

SHOWN_IN_FULL = 64
"""Arrays of at most so many elements are written out in the provenance; larger ones as shape, ends and checksum."""


def described(value: Any) -> Any:
    """Return `value` as plain JSON: objects by type and fields, large arrays by shape and SHA-256, numbers that are not
    finite as strings.
    """
    if isinstance(value, Dataset):
        checksum = _CHECKSUMS.get(value, lambda: _checksum(value.X, value.y))
        return {"type": "Dataset", "n": value.n, "d": value.d, **_made_by(value), "sha256": checksum}
    if isinstance(value, ValueObject):
        return {
            "type": type(value).__name__,
            **_made_by(value),
            **{item.name: described(value._written(item.name)) for item in fields(value)},
        }
    if isinstance(value, np.ndarray) and value.dtype != object and value.size > SHOWN_IN_FULL:
        ends = {"first": described(value[0]), "last": described(value[-1])} if value.ndim == 1 else {}
        return {"shape": list(value.shape), "dtype": value.dtype.name, **ends, "sha256": _checksum(value)}
    if isinstance(value, np.ndarray) and value.size > SHOWN_IN_FULL:
        return {"shape": list(value.shape), "first": described(value.flat[0]), "sha256": _checksum(*value.flat)}
    if isinstance(value, np.floating):
        return described(float(value))  # `tolist` of a long double gives it back
    if isinstance(value, (np.ndarray, np.generic)):
        return described(value.tolist())
    if isinstance(value, dict):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(item) for item in value]
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float)) else repr(value)


def configuration(arguments: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return all arguments of a call as plain JSON."""
    return {name: described(value) for name, value in arguments.items()} | {"seed": seed}


def differences(stored: Any, wanted: Any, name: str = "") -> list[str]:
    """Return what differs between two configurations as plain JSON, one text for each."""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        out = []
        for key in dict.fromkeys([*stored, *wanted]):
            inner = f"{name}.{key}" if name else str(key)
            out += differences(stored.get(key), wanted.get(key), inner)
        if name == "grid" and not out and list(stored) != list(wanted):  # the order of the dimensions
            out = [f"the order of grid is {', '.join(stored)} there and {', '.join(wanted)} here"]
        return out
    if _same(stored, wanted):
        return []
    if isinstance(stored, list) and isinstance(wanted, list) and max(len(repr(stored)), len(repr(wanted))) > READABLE:
        return _first_difference(stored, wanted, name)
    return [f"{name} is {shown(stored)} there and {shown(wanted)} here"]


def _first_difference(stored: list[Any], wanted: list[Any], name: str) -> list[str]:
    """Return what differs first between two lists, too long to be shown whole."""
    if len(stored) != len(wanted):
        return [f"{name} has {len(stored)} values there and {len(wanted)} here"]
    places = [i for i, (one, other) in enumerate(zip(stored, wanted, strict=True)) if not _same(one, other)]
    first, *others = differences(stored[places[0]], wanted[places[0]], f"{name}[{places[0]}]")
    more = f" ({len(places) - 1} more of its values differ)" if len(places) > 1 else ""
    return [first + more, *others]


def _same(a: Any, b: Any) -> bool:
    """Return whether values of JSON are equal; 0.0 and -0.0 are not, since runs from there may differ."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b) and not (a == 0 and str(float(a)) != str(float(b)))


def _made_by(value: ValueObject) -> dict[str, Any]:
    """Return the recipe of data or of a model that is drawn anew for each seed of a grid: equal arrays that were given
    are not.
    """
    recipe = getattr(value, "recipe", None)
    return {"recipe": recipe} if recipe else {}


def _checksum(*values: Any) -> str:
    import hashlib  # on first use

    digest = hashlib.sha256()

    def take(value: Any) -> None:
        if isinstance(value, ValueObject):
            digest.update(f"{type(value).__name__}{_made_by(value)}".encode())
            for held in value._values():
                take(held)
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(f"{value!r};".encode())

    for value in values:
        take(value)
    return digest.hexdigest()


def load_xarray() -> None:
    """Load xarray before the work, not after it: then Ctrl-C would have to wait for it. It loads more (Dask, where that
    is installed: a second) when it makes its first Dataset.
    """
    import xarray

    xarray.Dataset({"step": ("step", [0])})


@dataclass
class Provenance:
    """Where a result comes from. Made when the work begins, so that it knows how long it took."""

    arguments: Mapping[str, Any]
    seed: int
    num_threads: int
    began: float = field(init=False)

    def __post_init__(self) -> None:
        load_xarray()
        self.began = time.perf_counter()

    def config(self) -> dict[str, Any]:
        """Return all arguments as plain JSON."""
        return configuration(self.arguments, self.seed)

    def identity(self) -> dict[str, Any]:
        """Return what decides on the bits of the results, as plain JSON."""
        return self.config() | {"eosfast_version": __version__, "isa": isa}

    def wall_seconds(self) -> float:
        """Return how long the work has taken so far."""
        return time.perf_counter() - self.began

    def attrs(self) -> dict[str, Any]:
        """Return plain numbers and strings for `attrs`, the configuration as one JSON string."""
        return {
            "config": json.dumps(self.config(), allow_nan=False),
            "seed": self.seed,
            "eosfast_version": __version__,
            "isa": isa,
            "num_threads": self.num_threads,
            "wall_seconds": self.wall_seconds(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def parameter_labels(model: Model) -> NDArray[Any]:
    """Return the coordinate `parameter`: the names of the blocks if all are scalars, else 0, 1, ..., dim - 1."""
    parameters = model.parameters
    return np.array(list(parameters)) if all(shape == () for shape in parameters.values()) else np.arange(model.dim)


def trajectory(
    model: Model, dims: tuple[str, ...], columns: Mapping[str, NDArray[Any]], attrs: Mapping[str, Any]
) -> xarray.Dataset:
    """Return the result of `train` or `gradient_flow`. The last of `dims` is the name of a column, its coordinate; the
    other columns are quantities whose first axes are `dims`.
    """
    import xarray

    extra = {"weights": ("parameter",), "hessian_eigs": ("eig",)}
    own = {name: model._quantity_dim(name, 1) for name in columns if name in model.quantities}
    extra |= {name: (dim[0],) for name, dim in own.items() if dim}
    along = dims[-1]
    variables = {
        name: _variable(name, (along,) if name == along else (*dims, *extra.get(name, ())), values)
        for name, values in columns.items()
    }
    if "weights" in columns:
        variables["parameter"] = _variable("parameter", ("parameter",), parameter_labels(model))
    coordinates = {name: variables.pop(name) for name in (along, "parameter") if name in variables}
    return xarray.Dataset(variables, coordinates, attrs)


def table(
    dims: Sequence[str],
    coordinates: Mapping[str, tuple[str, NDArray[Any]]],
    columns: Mapping[str, NDArray[Any]],
    parameters: NDArray[Any] | None,
    attrs: Mapping[str, Any],
) -> xarray.Dataset:
    """Return the result of `sweep`: the dimensions of the grid, a variable per measure, the status of each run."""
    import xarray

    variables = {
        name: _variable(name, (*dims, "parameter") if name == "weights" else tuple(dims), values)
        for name, values in columns.items()
    }
    variables["status"][2].update(flag_values=np.arange(len(STATUS), dtype=np.int8), flag_meanings=" ".join(STATUS))
    along = {name: _variable(name, (dim,), values) for name, (dim, values) in coordinates.items()}
    if parameters is not None:
        along["parameter"] = _variable("parameter", ("parameter",), parameters)
    return xarray.Dataset(variables, along, attrs)


def _variable(
    name: str, dims: tuple[str, ...], values: NDArray[Any]
) -> tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]:
    long_name = LONG_NAMES.get(name)
    return dims, values, {"long_name": long_name} if long_name else {}
