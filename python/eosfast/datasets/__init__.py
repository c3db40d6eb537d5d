"""Data: `Dataset`, and what makes one: drawn samples, small sets of the literature, real images.

Each generator leaves its recipe in the Dataset; `from_recipe` makes the same data again.
"""

from eosfast.datasets.cifar import cifar10
from eosfast.datasets.dataset import Dataset, from_recipe
from eosfast.datasets.drawn import separable, sparse_coding, teacher
from eosfast.datasets.optical_digits import digits
from eosfast.datasets.small_sets import chebyshev, two_point, wu2024, xor

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
