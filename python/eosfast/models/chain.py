"""The layers of a network, as the compiled core is told them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.activations import NAMES as PLAIN, OneActivation, activation

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Chain:
    """Fully connected layers, the last of them linear."""

    widths: tuple[int, ...]
    """Coordinates of a sample, hidden widths, outputs."""
    activation: Any
    bias: bool
    output_bias: bool
    output_weights: NDArray[np.float64]
    """Of the last layer if they are fixed; empty if they are trained."""
    output_scale: float
    degree: int
    """Of homogeneity in the trained weights, for the normalised margin."""

    def trained(self) -> list[tuple[str, int]]:
        """Return what w consists of, in order: ("weight" or "bias", number of the layer)."""
        layers = len(self.widths) - 1
        found = []
        for layer in range(layers):
            last = layer == layers - 1
            if not last or not self.output_weights.size:
                found.append(("weight", layer))
            if self.output_bias if last else self.bias:
                found.append(("bias", layer))
        return found

    def config(self, num_inputs: int) -> dict[str, Any]:
        """Return what the core needs to know; samples may have fewer coordinates than in `widths`."""
        return {
            "widths": np.array((num_inputs, *self.widths[1:]), dtype=np.float64),
            "activation": self.activation.base,
            "activation_linear": float(self.activation.linear),
            "activation_gain": float(self.activation.gain),
            "activation_h": float(self.activation.h),
            "bias": float(self.bias),
            "output_bias": float(self.output_bias),
            "output_weights": self.output_weights,
            "output_scale": float(self.output_scale),
            "degree": float(self.degree),
        }


class ActivationField(OneActivation):
    """What the field `activation` may hold: a name, or an object; an object without numbers becomes its name."""

    def check(self, name: str, value: Any) -> Any:
        """Return the name or the object."""
        found = super().check(name, value)
        return found.base if found.base in PLAIN and found == activation(found.base) else found
