"""Streaming summaries of the runs of a sweep: each keeps one number per run (`weights`: dim numbers), however long the
run.

`Measure` says what the compiled core computes and what the result is called; `named` is the list of those that have a
plain name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from eosfast.arguments import Choice, Integer, Name, Real, one_of, shown
from eosfast.value_object import ValueObject, allowed

if TYPE_CHECKING:
    from eosfast.models.base import Model

REDUCED = ("loss", "sharpness", "grad_norm")
"""Quantities that can be followed along a run."""


@dataclass(frozen=True, eq=False)
class FirstBelow(ValueObject):
    """The index of the first step at which a quantity is below a value, -1 if there is none.

    Parameters
    ----------
    quantity : {"loss", "sharpness", "grad_norm"}
        What is followed. The sharpness costs one Hessian and its eigenvalues every step, or a few products with that of
        a network.
    value : float
        The level, finite.
    name : str, optional
        Name of the variable in the result; ``first_below_<quantity>`` by default.

    Raises
    ------
    ValueError, TypeError
        An unknown quantity, or a value that is not a finite number.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.FirstBelow("loss", 1e-3)
    FirstBelow(quantity='loss', value=0.001, name=None)
    """

    quantity: str = field(metadata=allowed(Choice(REDUCED)))
    value: float = field(metadata=allowed(Real()))
    name: str | None = field(default=None, metadata=allowed(Name()))


@dataclass(frozen=True, eq=False)
class Mean(ValueObject):
    """The mean of a quantity over the last steps of the run.

    Parameters
    ----------
    quantity : {"loss", "sharpness", "grad_norm"}
        What is averaged. The sharpness costs one Hessian and its eigenvalues for each of these steps, or a few products
        with that of a network.
    last : int
        How many steps, >= 1.
    name : str, optional
        Name of the variable in the result; ``mean_<quantity>`` by default.

    Raises
    ------
    ValueError, TypeError
        An unknown quantity, or a number of steps below 1.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.Mean("loss", last=1000)
    Mean(quantity='loss', last=1000, name=None)
    """

    quantity: str = field(metadata=allowed(Choice(REDUCED)))
    last: int = field(metadata=allowed(Integer(least=1)))
    name: str | None = field(default=None, metadata=allowed(Name()))


@dataclass(frozen=True)
class Measure:
    """A variable of a sweep's result: its name, its type, and the core's reducer (None: the core knows the name)."""

    name: str
    dtype: type = np.float64
    reducer: tuple[str, str, float] | None = None
    own: bool = False
    """Whether it is a quantity of the model's own."""


def named(num_steps: int) -> dict[str, Measure]:
    """Return the measures that every model has and that are asked for by name."""
    tenth = float(max(1, num_steps // 10))
    every = (
        Measure("loss"),
        Measure("sharpness"),
        Measure("weights"),
        Measure("grad_norm"),
        Measure("max_loss", np.float64, ("max", "loss", 0.0)),
        Measure("loss_increases", np.int64, ("increases", "loss", 0.0)),
        Measure("last_loss_increase", np.int64, ("last_increase", "loss", 0.0)),
        Measure("mean_sharpness", np.float64, ("mean_last", "sharpness", tenth)),
        Measure("period", np.int64),
        Measure("lyapunov"),
    )
    return {measure.name: measure for measure in every}


NAMES = tuple(named(0))


def _measure(asked: FirstBelow | Mean) -> Measure:
    if isinstance(asked, FirstBelow):
        name = asked.name or f"first_below_{asked.quantity}"
        return Measure(name, np.int64, ("first_below", asked.quantity, float(asked.value)))
    return Measure(asked.name or f"mean_{asked.quantity}", np.float64, ("mean_last", asked.quantity, float(asked.last)))


def listed(measure: object) -> list[object]:
    """Return the argument `measure` as a list; one measure stands for itself."""
    if isinstance(measure, (str, FirstBelow, Mean)):
        return [measure]
    if not isinstance(measure, Iterable):
        raise TypeError(f"measure must be a sequence of names, FirstBelow or Mean, got {shown(measure)}")
    return list(measure)


def chosen(measure: list[object], model: Model, num_steps: int) -> list[Measure]:
    """Return the measures of a sweep, checked: known to the model, and each variable named once."""
    numbers = [name for name in model.quantities if model._quantity_dim(name, 1) is None]
    valid = named(num_steps) | {name: Measure(name, own=True) for name in numbers}
    found: list[Measure] = []
    for item in measure:
        if isinstance(item, (FirstBelow, Mean)):
            found.append(_measure(item))
        elif not isinstance(item, str):
            raise TypeError(f"measure must hold names, FirstBelow or Mean, got {shown(item)}")
        elif item not in valid:
            raise ValueError(f"measure must be among {one_of(item, valid)}, FirstBelow(...) or Mean(...), got {item!r}")
        else:
            found.append(valid[item])
    taken = ["status", "num_steps_done", "parameter"]
    for one in found:
        if one.name in taken:
            raise ValueError(
                f"measure uses the name {one.name!r} of the result twice; give one another name with name="
            )
        taken.append(one.name)
    return found
