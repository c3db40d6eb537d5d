"""A sweep described in a file: TOML, read strictly. ``eosfast sweep --help`` shows the layout."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast import activations, datasets, measures, models, optimizers
from eosfast.arguments import one_of, shown
from eosfast.job import Job
from eosfast.optimizers import Optimizer
from eosfast.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

KEYS = ("num_steps", "seed", "measure", "model", "optimizer", "w0", "stop", "grid")
REQUIRED = ("num_steps", "model", "optimizer", "grid")
USUAL_MEASURES = ("loss", "sharpness", "weights")

MODELS: dict[str, Any] = {name: getattr(models, name) for name in models.__all__ if name != "Model"}
OPTIMIZERS: dict[str, Any] = {
    name: one for name, one in vars(optimizers).items() if inspect.isclass(one) and issubclass(one, Optimizer)
}
OPTIMIZERS.pop("Optimizer")
ACTIVATIONS = {"HuberizedReLU": activations.HuberizedReLU, "Leaky": activations.Leaky}
MEASURES = {"FirstBelow": measures.FirstBelow, "Mean": measures.Mean}

LAYOUT = """\
num_steps = 200_000
seed = 0                               # optional
measure = ["sharpness", "last_loss_increase", {type = "FirstBelow", quantity = "loss", value = 1e-3}]

[model]
type = "SingleNeuron"                  # a class of eosfast; the other keys are its fields
loss = "sqrt"                          # networks: data = {name = "xor"}, activation = "gelu" or {type = "Leaky", ...}

[optimizer]
type = "GD"                            # what is not set here must be in the grid

[w0]                                   # optional: blocks of the start that the grid does not set
x = 0.3

[stop]                                 # optional: fields of Stop

[grid]                                 # arrays, or linspace, geomspace = [first, last, count], range = [first, end]
lr = {geomspace = [1e-3, 1e-1, 200]}
y = {linspace = [2, 20, 300]}

[grid.zip.run]                         # names under grid.zip.DIMENSION vary together
seed = {range = [0, 10]}
"""


class SpecificationError(ValueError):
    """A specification that says something wrong; the message is one line that names the file and the key."""


def read(path: Path, changes: Iterable[str] = ()) -> Job:
    """Return the sweep that a file describes.

    Parameters
    ----------
    path : Path
        A TOML file.
    changes : iterable of str
        ``key=value`` with a dotted key and a TOML value, which replace what the file says.

    Returns
    -------
    Job

    Raises
    ------
    SpecificationError
        The file cannot be read, is not TOML, has unknown or missing keys, or values that do not fit.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecificationError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpecificationError(f"{path}: not TOML: {error}") from error
    for change in changes:
        _change(table, change)
    try:
        return _job(table)
    except (ValueError, TypeError, OverflowError) as error:
        raise SpecificationError(f"{path}: {error}") from error


def _change(table: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path):
        raise SpecificationError(f"--set must be KEY=VALUE with a dotted key such as optimizer.lr=0.01, got {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        if not re.fullmatch(r"\s*[A-Za-z][\w.-]*\s*", text):
            raise SpecificationError(
                f'--set {key.strip()}: the value must be TOML, such as 0.01, "sqrt" or [1, 2], got {text!r}'
            ) from None
        value = text.strip()  # a plain word needs no quotes
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SpecificationError(f"--set {key.strip()}: {part!r} is no table")
    table[path[-1]] = value


def _job(table: Mapping[str, Any]) -> Job:
    for key in table:
        if key not in KEYS:
            raise ValueError(f"unknown key {key!r}: must be {one_of(key, KEYS)}")
    missing = [key for key in REQUIRED if key not in table]
    if missing:
        raise ValueError(f"the key {missing[0]!r} is missing")
    measure = table.get("measure", USUAL_MEASURES)
    asked = [_built("measure", one, MEASURES) for one in measure] if isinstance(measure, list) else measure
    return Job(
        _model("model", table["model"]),
        _built("optimizer", table["optimizer"], OPTIMIZERS),
        _grid(table["grid"]),
        _start(table.get("w0")),
        table["num_steps"],
        asked,
        _called("stop", Stop, table.get("stop", {})),
        table.get("seed", 0),
    )


# ------------------------------------------------------------------------------------------------------------- objects


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a table, got {shown(value)}")
    return value


def _called(name: str, make: Callable[..., Any], arguments: Any) -> Any:
    """Return ``make(**arguments)`` with the names of the arguments checked."""
    arguments = _table(name, arguments)
    parameters = inspect.signature(make).parameters
    for key in arguments:
        if key not in parameters:
            raise ValueError(f"unknown key {key!r} in {name}: must be {one_of(key, parameters)}")
    absent = [key for key, one in parameters.items() if one.default is one.empty and key not in arguments]
    if absent:
        raise ValueError(f"the key {absent[0]!r} is missing in {name}")
    return make(**{key: _value(f"{name}.{key}", value) for key, value in arguments.items()})


def _built(name: str, value: Any, classes: Mapping[str, Callable[..., Any]]) -> Any:
    """Return what a table with a ``type`` describes; other values as they are."""
    if not isinstance(value, dict):
        if classes is OPTIMIZERS:
            _table(name, value)
        return value
    kind = value.get("type")
    if kind is None:
        raise ValueError(f"the key 'type' is missing in {name}: must be {one_of('', classes)}")
    if kind not in classes:
        raise ValueError(f"type of {name} must be {one_of(str(kind), classes)}, got {shown(kind)}")
    return _called(name, classes[kind], {key: item for key, item in value.items() if key != "type"})


def _model(name: str, value: Any) -> Any:
    """Return the model of a table; ``type = "Class.maker"`` calls a class method that makes one."""
    table = _table(name, value)
    known = dict(MODELS)
    for title, cls in MODELS.items():
        for maker in getattr(cls, "makers", ()):
            known[f"{title}.{maker}"] = getattr(cls, maker)
    return _built(name, table, known)


def _value(name: str, value: Any) -> Any:
    """Return the value of a field: data and activations are tables, arrays are lists."""
    if isinstance(value, list):
        items = [_value(name, item) for item in value]
        return tuple(items) if name.endswith(("widths", "classes")) else items
    if not isinstance(value, dict):
        return value
    if "name" in value and "type" not in value:
        generators = {one: getattr(datasets, one) for one in datasets.__all__ if one != "Dataset"}
        kind = value["name"]
        if kind not in generators:
            raise ValueError(f"name of {name} must be {one_of(str(kind), generators)}, got {shown(kind)}")
        return _called(name, generators[kind], {key: item for key, item in value.items() if key != "name"})
    return _built(name, value, ACTIVATIONS)


def _start(value: Any) -> Any:
    if value is None or isinstance(value, list):
        return value
    return _table("w0", value)


# ---------------------------------------------------------------------------------------------------------------- grid


def _grid(value: Any) -> dict[str, Any]:
    table = dict(_table("grid", value))
    zipped = _table("grid.zip", table.pop("zip", {}))
    grid: dict[str, Any] = {name: _values(f"grid.{name}", spec) for name, spec in table.items()}
    for dim, names in zipped.items():
        for name, spec in _table(f"grid.zip.{dim}", names).items():
            if name in grid:
                raise ValueError(f"grid.zip.{dim} names {name!r}, which is in the grid already")
            grid[name] = (dim, _values(f"grid.zip.{dim}.{name}", spec))
    return grid


def _values(name: str, spec: Any) -> NDArray[Any] | list[Any]:
    """Return the values of a name of the grid."""
    if isinstance(spec, list):
        make = _model if name.rpartition(".")[2] == "model" else _value
        return [make(name, item) for item in spec]
    if not isinstance(spec, dict):
        raise TypeError(f"{name} must be an array or a table such as {{linspace = [0, 1, 11]}}, got {shown(spec)}")
    spaces = ("linspace", "geomspace", "range")
    if len(spec) != 1 or next(iter(spec)) not in spaces:
        key = next(iter(spec), "")
        raise ValueError(f"{name} must have exactly one key, {one_of(key, spaces)}, got {shown(spec)}")
    ((kind, numbers),) = spec.items()
    count = 2 if kind == "range" else 3
    is_number = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in numbers or [None])
    if not isinstance(numbers, list) or len(numbers) != count or not is_number:
        wanted = "[first, end], two integers" if kind == "range" else "[first, last, count]"
        raise ValueError(f"{name}.{kind} must be {wanted}, got {shown(numbers)}")
    if kind == "range":
        if not all(isinstance(one, int) for one in numbers) or numbers[1] <= numbers[0]:
            raise ValueError(f"{name}.range must be [first, end], two integers with first < end, got {numbers}")
        return np.arange(numbers[0], numbers[1])
    first, last, size = numbers
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"{name}.{kind} must end in a count, an int >= 1, got {shown(size)}")
    if kind == "geomspace" and not (first > 0 and last > 0):
        raise ValueError(f"{name}.geomspace must have first > 0 and last > 0, got {first} and {last}")
    return np.linspace(first, last, size) if kind == "linspace" else np.geomspace(first, last, size)
