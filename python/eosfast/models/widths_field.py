"""The field `widths` of networks of any depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eosfast.arguments import Integer, objects, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class WidthsField:
    """What the field `widths` may hold: a sequence of ints >= 1, `least` of them or more."""

    described: str
    least: int = 0

    def __str__(self) -> str:
        return self.described

    def check(self, name: str, value: Any) -> tuple[int, ...]:
        """Return a tuple."""
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            raise TypeError(f"{name} must be {self}, got {shown(value)}")
        if len(value) < self.least:
            raise ValueError(f"{name} must be {self}, got {shown(value)}")
        return tuple(Integer(least=1).check(f"every width in {name}", width) for width in value)

    def check_all(self, name: str, values: Any) -> NDArray[np.object_]:
        """Return an object array of tuples."""
        return objects([self.check(name, value) for value in values])
