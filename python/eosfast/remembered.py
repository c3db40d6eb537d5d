"""What is computed once for an object and kept as long as that object lives: sorted data, compiled models. It is never
part of the object: not compared, not pickled.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")


class Remembered(Generic[Found]):
    """Values by object (its identity, not its value)."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], Found]] = {}

    def get(self, owner: Any, make: Callable[[], Found]) -> Found:
        """Return ``make()``, called once for each `owner`."""
        key = id(owner)
        entry = self._entries.get(key)
        if entry is not None and entry[0]() is owner:
            return entry[1]
        found = make()
        self._entries[key] = (weakref.ref(owner, lambda _: self._entries.pop(key, None)), found)
        return found
