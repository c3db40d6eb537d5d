"""Data: `Dataset`, and what makes one: drawn samples, small sets of the literature, real images.

Each generator leaves its recipe in the Dataset; `from_recipe` makes the same data again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eosfast.datasets.dataset import Dataset, from_recipe
from eosfast.datasets.drawn import separable, sparse_coding, teacher
from eosfast.datasets.optical_digits import digits
from eosfast.datasets.small_sets import chebyshev, two_point, wu2024, xor

if TYPE_CHECKING:
    from eosfast.datasets.cifar import cifar10

__all__ = [
    "Dataset",
    "from_recipe",
    "sparse_coding",
    "xor",
    "separable",
    "two_point",
    "wu2024",
    "chebyshev",
    "teacher",
    "digits",
    "cifar10",
]


def __getattr__(name: str) -> Any:
    if name == "cifar10":  # on first use: it reads files, which takes more of the standard library than all the rest
        from eosfast.datasets.cifar import cifar10

        return cifar10
    raise AttributeError(f"module 'eosfast.datasets' has no attribute {name!r}")
