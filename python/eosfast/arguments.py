"""What an argument may be, and the one sentence that answers a wrong one: its name, what is allowed, what was given.

A kind (`Real`, `Integer`, `Flag`, `Choice`, `Instance`) checks one value (`check`) or a whole vector (`check_all`).
Fields of models, optimizers and options declare their kind in their metadata, and the same declaration checks the
values of a sweep's grid.
"""

from __future__ import annotations

import difflib
import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

LARGEST_INT = 2**63 - 1

READABLE = 80
"""Characters of a value in a message."""


def shown(value: object) -> str:
    """`repr(value)` on one line, cut to a readable length."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an int of thousands of digits
        text = f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= READABLE else text[: READABLE - 1] + "…"


def one_of(given: str, valid: Iterable[str]) -> str:
    """`'a', 'b' or 'c' (did you mean 'b'?)`: the valid names and the one nearest to `given`."""
    names = list(valid)
    text = ", ".join(map(repr, names[:-1])) + (" or " if len(names) > 1 else "") + repr(names[-1]) if names else "none"
    nearest = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    return f"{text} (did you mean {nearest[0]!r}?)" if nearest else text


def plain(value: object) -> object:
    """A scalar array (NumPy, xarray) as the Python number it holds; anything else as it is."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value


class Kind(Protocol):
    """What a value may be."""

    def check(self, name: str, value: Any) -> Any:
        """Return the checked value, or raise a TypeError or ValueError that names it."""

    def check_all(self, name: str, values: Any) -> NDArray[Any]:
        """Return the checked values, a vector."""


@dataclass(frozen=True)
class Real:
    """A finite real number within bounds: `above` and `below` are excluded, `least` included."""

    above: float | None = None
    least: float | None = None
    below: float | None = None
    optional: bool = False
    infinite: bool = False

    def __str__(self) -> str:
        bounds = [
            f"{sign} {bound:g}"
            for sign, bound in ((">", self.above), (">=", self.least), ("<", self.below))
            if bound is not None
        ]
        return f"a {'' if self.infinite else 'finite '}number {' and '.join(bounds)}".rstrip() + (
            " or None" if self.optional else ""
        )

    def _allowed(self, values: Any) -> Any:
        good = ~np.isnan(values) if self.infinite else np.isfinite(values)
        if self.above is not None:
            good &= values > self.above
        if self.least is not None:
            good &= values >= self.least
        if self.below is not None:
            good &= values < self.below
        return good

    def check(self, name: str, value: Any) -> Any:
        """Return a Python float (an int stays an int)."""
        value = plain(value)
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{name} must be {self}, got {shown(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = np.nan
        if not self._allowed(np.float64(number)):
            raise ValueError(f"{name} must be {self}, got {shown(value)}")
        return int(value) if isinstance(value, numbers.Integral) else number

    def check_all(self, name: str, values: Any) -> NDArray[Any]:
        """Return float64 values; integers stay integers."""
        array = _vector(name, self, values, "iuf")
        if array.dtype.kind == "f":
            array = array.astype(np.float64, copy=False)
        _refuse(name, self, array, self._allowed(array))
        return array


@dataclass(frozen=True)
class Integer:
    """An int (never a bool) from `least` to `most`, both included."""

    least: int = 0
    most: int = LARGEST_INT
    optional: bool = False

    def __str__(self) -> str:
        bounds = f">= {self.least}" if self.most == LARGEST_INT else f"from {self.least} to {self.most}"
        return f"an int {bounds}" + (" or None" if self.optional else "")

    def check(self, name: str, value: Any) -> Any:
        """Return a Python int."""
        value = plain(value)
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{name} must be {self}, got {shown(value)}")
        if not self.least <= int(value) <= self.most:
            unbounded = self.most == LARGEST_INT and int(value) > LARGEST_INT
            wanted = f"an int from {self.least} to 2**63 - 1" if unbounded else str(self)
            raise ValueError(f"{name} must be {wanted}, got {shown(value)}")
        return int(value)

    def check_all(self, name: str, values: Any) -> NDArray[Any]:
        """Return int64 values."""
        array = _vector(name, self, values, "iu")
        _refuse(name, self, array, (array >= self.least) & (array <= self.most))
        return array.astype(np.int64, copy=False)


class _OneByOne:
    """Kinds whose vectors are checked value by value."""

    def check(self, name: str, value: Any) -> Any:
        raise NotImplementedError

    def check_all(self, name: str, values: Any) -> NDArray[Any]:
        """Return an object array."""
        return objects([self.check(name, value) for value in values])


@dataclass(frozen=True)
class Flag(_OneByOne):
    """True or False."""

    def check(self, name: str, value: Any) -> bool:
        """Return a Python bool."""
        value = plain(value)
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {shown(value)}")
        return value


@dataclass(frozen=True)
class Name(_OneByOne):
    """A Python identifier, or None."""

    def check(self, name: str, value: Any) -> str | None:
        """Return the str, or None."""
        value = plain(value)
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a name or None, got {shown(value)}")
        if value is not None and not value.isidentifier():
            raise ValueError(f"{name} must be a name of letters, digits and underscores, got {value!r}")
        return value


@dataclass(frozen=True)
class Choice(_OneByOne):
    """One of a few names."""

    names: tuple[str, ...]

    def check(self, name: str, value: Any) -> str:
        """Return a plain str."""
        value = plain(value)
        if not isinstance(value, str):
            raise TypeError(f"{name} must be {one_of('', self.names)}, got {shown(value)}")
        if value not in self.names:
            raise ValueError(f"{name} must be {one_of(value, self.names)}, got {shown(value)}")
        return str(value)


@dataclass(frozen=True)
class Instance(_OneByOne):
    """An object of a class, a Dataset say."""

    wanted: type
    optional: bool = False

    def check(self, name: str, value: Any) -> Any:
        """Return the object itself."""
        if value is None and self.optional:
            return None
        if not isinstance(value, self.wanted):
            or_none = " or None" if self.optional else ""
            raise TypeError(f"{name} must be a {self.wanted.__name__}{or_none}, got {shown(value)}")
        return value


def _vector(name: str, kind: Real | Integer, values: Any, dtype_kinds: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        raise ValueError(f"{name} must be one-dimensional, got {shown(values)}") from None
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got the shape {array.shape}")
    if array.dtype.kind not in dtype_kinds:
        raise TypeError(f"every value of {name} must be {kind}, got {shown(values)}")
    return array


def _refuse(name: str, kind: Real | Integer, array: NDArray[Any], good: NDArray[np.bool_]) -> None:
    if not good.all():
        at = int(np.argmin(good))
        raise ValueError(f"every value of {name} must be {kind}, got {shown(array[at].item())} at index {at}")


def objects(values: list[Any]) -> NDArray[np.object_]:
    """Return a vector of objects, whatever they are (`np.array` would look inside)."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def numbers_array(name: str, value: Any) -> NDArray[np.float64]:
    """Return `value` as a C-contiguous float64 array of any shape; TypeError if it holds anything but real numbers."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        raise ValueError(f"{name} must be an array of numbers, got {shown(value)}") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got {shown(value)}")
    return np.asarray(array, dtype=np.float64, order="C")


def finite_array(name: str, value: Any) -> NDArray[np.float64]:
    """Return `value` as by `numbers_array`; ValueError where it is not finite."""
    array = numbers_array(name, value)
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        where = f" at index {at[0] if len(at) == 1 else at}" if at else ""
        raise ValueError(f"{name} must be finite, got {array[at]}{where}")
    return array


def names(name: str, value: Any) -> tuple[str, ...]:
    """Return a sequence of different strings as a tuple; a single string stands for itself."""
    if isinstance(value, str):
        return (value,)
    try:
        found = tuple(value)
    except TypeError:
        raise TypeError(f"{name} must be a sequence of names, got {shown(value)}") from None
    for item in found:
        if not isinstance(item, str):
            raise TypeError(f"{name} must be a sequence of names, got {shown(item)} in it")
        if found.count(item) > 1:
            raise ValueError(f"{name} must hold each name once, got {item!r} {found.count(item)} times")
    return found
