"""The models, one module each, in the order of the documentation."""

from __future__ import annotations

from eosfast.models.base import Model
from eosfast.models.mean_model import MeanModel
from eosfast.models.scalar_product import ScalarProduct
from eosfast.models.single_neuron import SingleNeuron
from eosfast.models.threshold_neuron import ThresholdNeuron

__all__ = ["MeanModel", "Model", "ScalarProduct", "SingleNeuron", "ThresholdNeuron"]
