"""A sweep described in a file: TOML, read strictly. ``eosfast sweep --help`` shows the layout."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast import activations, datasets, measures, models, optimizers
from eosfast.arguments import Integer, Real, one_of, shown
from eosfast.job import Job
from eosfast.optimizers import Optimizer
from eosfast.resources import require_memory
from eosfast.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

KEYS = ("num_steps", "seed", "measure", "model", "optimizer", "w0", "stop", "grid")
REQUIRED = ("num_steps", "model", "optimizer", "grid")
USUAL_MEASURES = ("loss", "sharpness", "weights")
SPACES = ("linspace", "geomspace", "range")

MODELS: dict[str, Any] = {name: getattr(models, name) for name in models.__all__ if name != "Model"}
MODELS |= {f"{title}.{maker}": getattr(cls, maker) for title, cls in MODELS.items() for maker in cls.makers}
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
type = "SingleNeuron"                  # a class of eosfast, or a class method such as "QuadraticRegression.random"
loss = "sqrt"                          # the other keys are its arguments; networks take data = {name = "xor"} and
                                       # activation = "gelu" or {type = "Leaky", phi = "silu", c = 0.5, k = 0.5}
[optimizer]
type = "GD"                            # what is not set here must be in the grid

[w0]                                   # optional: blocks of the start that the grid does not set
x = 0.3

[stop]                                 # optional: fields of Stop
grad_norm = 1e-12

[grid]                                 # arrays, or linspace, geomspace = [first, last, count], range = [first, end]
lr = {geomspace = [1e-3, 1e-1, 200]}   # (end excluded); names in full: model.loss = [...], w.x, optimizer.lr
y = {linspace = [2, 20, 300]}          # model = [{type = ...}, ...] varies the whole model

[grid.zip.run]                         # names under grid.zip.DIMENSION vary together
seed = {range = [0, 10]}
"""


def reference() -> str:
    """Return every type and every data set that a specification may name, with its keys, as text."""
    return "\n".join(
        line
        for title, known in (
            ("model", MODELS),
            ("optimizer", OPTIMIZERS),
            ("data", _generators()),
            ("activation", ACTIVATIONS),
            ("measure", MEASURES),
        )
        for line in (
            f"{title}:",
            *(f"  {name}({', '.join(inspect.signature(known[name]).parameters)})" for name in known),
        )
    )


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
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SpecificationError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise SpecificationError(f"{path}: nested too deeply") from error
    except ValueError as error:  # a TOMLDecodeError, or an int of thousands of digits
        raise SpecificationError(f"{path}: not TOML: {error}") from error
    for change in changes:
        _change(table, change)
    try:
        return _job(table)
    except RecursionError as error:
        raise SpecificationError(f"{path}: nested too deeply") from error
    except MemoryError as error:
        raise SpecificationError(f"{path}: more than the memory holds") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise SpecificationError(f"{path}: {error}") from error


def _change(table: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    path = _parts(key)
    if not equals or not path:
        raise SpecificationError(f"--set must be KEY=VALUE with a dotted key such as optimizer.lr=0.01, got {change!r}")
    value = _changed_value(".".join(path), text)
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SpecificationError(f"--set {'.'.join(path)}: {part!r} is no table")
    table[path[-1]] = value


def _parts(key: str) -> list[str]:
    """Return the parts of a dotted key, quoted ones too; none if it is no key of TOML."""
    try:
        found: Any = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        return []
    if "\n" in key.strip():  # a table before it
        return []
    parts: list[str] = []
    while isinstance(found, dict) and len(found) == 1:
        ((part, found),) = found.items()
        parts.append(part)
    return parts


def _changed_value(key: str, text: str) -> Any:
    """Return a TOML value; a plain word needs no quotes."""
    try:
        found = tomllib.loads(f"value = {text}")
        if list(found) == ["value"]:  # nothing after a line break
            return found["value"]
    except (ValueError, RecursionError):
        if re.fullmatch(r"\s*[A-Za-z][\w.-]*\s*", text):
            return text.strip()
    raise SpecificationError(
        f'--set {key}: the value must be TOML, such as 0.01, "sqrt" or [1, 2], got {shown(text)}'
    ) from None


def _job(table: Mapping[str, Any]) -> Job:
    for key in table:
        if key not in KEYS:
            raise ValueError(f"unknown key {key!r}: must be {one_of(key, KEYS)}")
    missing = [key for key in REQUIRED if key not in table]
    if missing:
        raise ValueError(f"the key {missing[0]!r} is missing")
    return Job(
        _built("model", table["model"], MODELS),
        _built("optimizer", table["optimizer"], OPTIMIZERS),
        _grid(table["grid"]),
        _start(table.get("w0")),
        table["num_steps"],
        _asked(table.get("measure", USUAL_MEASURES)),
        _called("stop", Stop, table.get("stop", {})),
        table.get("seed", 0),
    )


def _asked(measure: Any) -> Any:
    """Return the measures: names as they are, tables as what they describe; one stands for itself."""
    if isinstance(measure, dict):
        return _built("measure", measure, MEASURES)
    if not isinstance(measure, list):
        return measure
    return [_built(f"measure[{i}]", one, MEASURES) if isinstance(one, dict) else one for i, one in enumerate(measure)]


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


def _built(name: str, value: Any, known: Mapping[str, Callable[..., Any]], key: str = "type") -> Any:
    """Return what a table describes: its `key` says what makes it, the other keys are the arguments."""
    table = _table(name, value)
    if key not in table:
        nearest = f", got the keys {', '.join(map(repr, table))}" if table else ""
        raise ValueError(f"the key {key!r} is missing in {name}: must be {one_of('', known)}{nearest}")
    kind = table[key]
    if not isinstance(kind, str) or kind not in known:
        raise ValueError(f"{key} of {name} must be {one_of(str(kind), known)}, got {shown(kind)}")
    return _called(name, known[kind], {one: item for one, item in table.items() if one != key})


def _generators() -> dict[str, Any]:
    """Return what makes data, by name; ``Dataset`` takes them as arrays X and y."""
    return {name: getattr(datasets, name) for name in datasets.__all__ if name != "from_recipe"}


def _value(name: str, value: Any) -> Any:
    """Return the value of a field: data and activations are tables, arrays are lists."""
    if isinstance(value, list):
        _unmixed(name, value)
        items = [_value(name, item) for item in value]
        return tuple(items) if name.endswith(".classes") else items
    if isinstance(value, dict):
        if name.rpartition(".")[2] == "data" or ("name" in value and "type" not in value):
            return _built(name, value, _generators(), "name")
        return _built(name, value, ACTIVATIONS)
    if not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"{name} must be no date or time, got {value}")
    return value


def _unmixed(name: str, values: list[Any]) -> None:
    """Refuse an array of numbers and booleans: NumPy would take them for numbers."""
    found = set(map(type, _leaves(values)))
    if bool in found and len(found) > 1:
        raise TypeError(f"{name} must not mix booleans with other values, got {shown(values)}")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _start(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return _value("w0", value)
    start = {}
    for block, numbers in _table("w0", value).items():
        if isinstance(numbers, dict):
            raise TypeError(f"w0.{block} must be a number or an array, got {shown(numbers)}")
        start[block] = _value(f"w0.{block}", numbers)
    return start


# ---------------------------------------------------------------------------------------------------------------- grid


def _grid(value: Any) -> dict[str, Any]:
    """Return the grid in the order of the file."""
    grid: dict[str, Any] = {}
    for key, item in _table("grid", value).items():
        if key != "zip":
            for name, spec in _in_full({key: item}):
                _add(grid, f"grid.{name}", name, _values(f"grid.{name}", spec))
            continue
        for dim, names in _table("grid.zip", item).items():
            for name, spec in _in_full(_table(f"grid.zip.{dim}", names)):
                path = f"grid.zip.{dim}.{name}"
                _add(grid, path, name, (dim, _values(path, spec)))
    return grid


def _add(grid: dict[str, Any], path: str, name: str, values: Any) -> None:
    if name in grid:
        raise ValueError(f"{path} sets {name!r}, which is in the grid already")
    grid[name] = values


def _in_full(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield names and values; TOML takes ``model.loss = [...]`` for a table ``model``."""
    for name, item in table.items():
        if name in ("optimizer", "w", "model") and isinstance(item, dict) and not set(item) & set(SPACES):
            yield from ((f"{name}.{key}", spec) for key, spec in item.items())
        else:
            yield name, item


def _values(name: str, spec: Any) -> NDArray[Any] | list[Any]:
    """Return the values of a name of the grid."""
    if isinstance(spec, list):
        if name.rpartition(".")[2] == "model":
            return [_built(f"{name}[{i}]", item, MODELS) for i, item in enumerate(spec)]
        _unmixed(name, spec)
        return [_value(name, item) for item in spec]
    if not isinstance(spec, dict):
        raise TypeError(f"{name} must be an array or a table such as {{linspace = [0, 1, 11]}}, got {shown(spec)}")
    if len(spec) != 1 or next(iter(spec)) not in SPACES:
        key = next(iter(spec), "")
        raise ValueError(f"{name} must have exactly one key, {one_of(key, SPACES)}, got {shown(spec)}")
    ((kind, numbers),) = spec.items()
    if not isinstance(numbers, list) or len(numbers) != (2 if kind == "range" else 3):
        wanted = "[first, end], two integers" if kind == "range" else "[first, last, count]"
        raise ValueError(f"{name}.{kind} must be {wanted}, got {shown(numbers)}")
    return _range(f"{name}.range", *numbers) if kind == "range" else _space(f"{name}.{kind}", kind, *numbers)


def _range(name: str, first: Any, end: Any) -> NDArray[Any]:
    int64 = Integer(least=-(2**63), most=2**63 - 1)
    first, end = int64.check(f"first of {name}", first), int64.check(f"end of {name}", end)
    if end <= first:
        raise ValueError(f"{name} must be [first, end] with first < end, got [{first}, {end}]")
    _fits(name, end - first)
    return np.arange(first, end)


def _space(name: str, kind: str, first: Any, last: Any, count: Any) -> NDArray[Any]:
    end = Real() if kind == "linspace" else Real(above=0)
    first, last = float(end.check(f"first of {name}", first)), float(end.check(f"last of {name}", last))
    count = Integer(least=1).check(f"count of {name}", count)
    _fits(name, count)
    with np.errstate(all="ignore"):
        values = np.linspace(first, last, count) if kind == "linspace" else np.geomspace(first, last, count)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must have values that do not overflow, got [{first}, {last}, {count}]")
    return values


def _fits(name: str, count: int) -> None:
    copies = 4  # what NumPy takes on the way
    require_memory(8 * copies * count, f"the {count} values of {name}", "ask for fewer")
