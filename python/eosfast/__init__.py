"""eosfast: gradient descent at the edge of stability, one run or a million.

`train` does one run, `sweep` many, `gradient_flow` what they do in the limit of small steps, `lanczos` finds the
largest eigenvalues of any symmetric operator; models, optimizers and options are small immutable objects; results are
xarray Datasets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eosfast import datasets
from eosfast._dispatch import isa
from eosfast._version import __version__
from eosfast.activations import HuberizedReLU, Leaky, activation
from eosfast.datasets import Dataset
from eosfast.flow import gradient_flow
from eosfast.measures import FirstBelow, Mean
from eosfast.models import (
    MLP,
    CurvedValley,
    LinearNetwork,
    LogisticRegression,
    MeanModel,
    QuadraticRegression,
    Scalar1D,
    ScalarProduct,
    ScaleInvariant,
    SelfStabilization,
    SingleNeuron,
    ThresholdNeuron,
    TwoLayerNetwork,
)
from eosfast.optimizers import GD, HeavyBall, Nesterov, NormalizedGD
from eosfast.record import Record
from eosfast.resources import build_info
from eosfast.spectrum import Spectrum, lanczos, spectral_density
from eosfast.stop import Stop
from eosfast.sweep import sweep
from eosfast.train import train

if TYPE_CHECKING:
    from eosfast import papers, plotting, theory

__all__ = [
    "train",
    "sweep",
    "gradient_flow",
    "lanczos",
    "spectral_density",
    "Record",
    "Stop",
    "FirstBelow",
    "Mean",
    "GD",
    "HeavyBall",
    "Nesterov",
    "NormalizedGD",
    "SingleNeuron",
    "ScalarProduct",
    "MeanModel",
    "ThresholdNeuron",
    "Scalar1D",
    "SelfStabilization",
    "CurvedValley",
    "ScaleInvariant",
    "LogisticRegression",
    "TwoLayerNetwork",
    "MLP",
    "LinearNetwork",
    "QuadraticRegression",
    "activation",
    "HuberizedReLU",
    "Leaky",
    "Dataset",
    "datasets",
    "Spectrum",
    "papers",
    "plotting",
    "theory",
    "build_info",
    "isa",
    "__version__",
]

_LOADED_ON_FIRST_USE = ("papers", "plotting", "theory")


def __getattr__(name: str) -> Any:
    if name in _LOADED_ON_FIRST_USE:
        return import_module(f"eosfast.{name}")
    raise AttributeError(f"module 'eosfast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
