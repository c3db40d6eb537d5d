"""The models, one module each, in the order of the documentation."""

from __future__ import annotations

from eosfast.models.base import Model
from eosfast.models.curved_valley import CurvedValley
from eosfast.models.linear_network import LinearNetwork
from eosfast.models.logistic_regression import LogisticRegression
from eosfast.models.mean_model import MeanModel
from eosfast.models.mlp import MLP
from eosfast.models.quadratic_regression import QuadraticRegression
from eosfast.models.scalar_1d import Scalar1D
from eosfast.models.scalar_product import ScalarProduct
from eosfast.models.scale_invariant import ScaleInvariant
from eosfast.models.self_stabilization import SelfStabilization
from eosfast.models.single_neuron import SingleNeuron
from eosfast.models.threshold_neuron import ThresholdNeuron
from eosfast.models.two_layer_network import TwoLayerNetwork

__all__ = [
    "MLP",
    "LinearNetwork",
    "LogisticRegression",
    "MeanModel",
    "Model",
    "QuadraticRegression",
    "CurvedValley",
    "Scalar1D",
    "ScalarProduct",
    "ScaleInvariant",
    "SelfStabilization",
    "SingleNeuron",
    "ThresholdNeuron",
    "TwoLayerNetwork",
]
