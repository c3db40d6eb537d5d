"""What the models that learn from data share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from eosfast.arguments import Instance
from eosfast.datasets import Dataset
from eosfast.models.base import Model
from eosfast.value_object import allowed


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
        return replace(self, data=self.data.with_seed(seed)) if self.is_random else self

    @property
    def is_random(self) -> bool:
        """Whether the data come from a generator that takes a seed."""
        return self.data.random
