"""Small immutable objects (models, optimizers, options, data) that are compared, hashed and checked by the values of
their fields.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from eosfast.arguments import Kind


def allowed(kind: Kind) -> dict[str, Kind]:
    """Return the metadata of a dataclass field that says what it may hold: ``field(default=2.0,
    metadata=allowed(Real(above=1)))``.
    """
    return {"kind": kind}


def kinds(cls: type[ValueObject]) -> dict[str, Kind]:
    """Return what each field of `cls` may hold, in order, for the fields that declare it in their metadata or by a
    descriptor with a `kind`.
    """
    found = {}
    for field in fields(cls):
        kind = field.metadata.get("kind") or getattr(cls.__dict__.get(field.name), "kind", None)
        if kind is not None:
            found[field.name] = kind
    return found


class ValueObject:
    """Base of frozen dataclasses (with ``eq=False``: fields that are arrays are compared elementwise here).

    Declared fields are checked after `__init__`; arrays are read-only, also after unpickling.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            object.__setattr__(self, name, kind.check(f"{name} of {type(self).__name__}", getattr(self, name)))

    def _values(self) -> list[Any]:
        return [self._value(field.name) for field in fields(self)]

    def _value(self, name: str) -> Any:
        """Return what a field holds, in the form in which fields are compared."""
        return getattr(self, name)

    def _written(self, name: str) -> Any:
        """Return what the provenance writes down of a field."""
        return getattr(self, name)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_same(mine, its) for mine, its in zip(self._values(), other._values(), strict=True))

    def __hash__(self) -> int:
        return hash((type(self), *map(_hashable, self._values())))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and np.array_equal(a, b)
    return bool(a == b)


def _hashable(value: Any) -> Any:
    # Equal arrays have equal shapes and sums. Hashing their bytes would tell -0.0 from 0.0, which are equal.
    return (value.shape, float(value.sum())) if isinstance(value, np.ndarray) else value
