"""What the models that learn from data share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from eosfast.arguments import Instance
from eosfast.datasets import Dataset
from eosfast.models.base import Model
from eosfast.value_object import allowed

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class DataModel(Model):
    """A model whose first field is a Dataset."""

    data: Dataset = field(metadata=allowed(Instance(Dataset)))

    def with_seed(self, seed: int) -> Self:
        """Return the model on data drawn anew by their generator, or itself if the data were given.

        Parameters
        ----------
        seed : int
            Seed of the data, >= 0.

        Returns
        -------
        Model
            Of the same class.
        """
        return replace(self, data=self.data.with_seed(seed)) if self.random else self

    @property
    def random(self) -> bool:
        """Whether the data come from a generator that takes a seed."""
        return self.data.random


def check_signs(name: str, y: NDArray[np.float64]) -> None:
    """Raise a ValueError unless `y` are labels -1 and +1 of shape (n,)."""
    if y.ndim != 1:
        raise ValueError(f"{name} must have labels y of shape (n,), got {y.shape}")
    wrong = y[np.abs(y) != 1]
    if not wrong.size:
        return
    values = np.unique(y)
    hint = f"; np.where(y == {values[1]:g}, 1, -1) maps them" if len(values) == 2 else ""
    raise ValueError(f"{name} must have labels -1 and +1, got {wrong[0]:g}{hint}")
