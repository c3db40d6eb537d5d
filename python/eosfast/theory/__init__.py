"""Closed forms for what gradient descent does at the edge of stability, to compare simulations with.

`single_neuron` treats f(x, y) = l(x*y), `mean_model` the mean model of a threshold neuron and the network behind it.
Nothing here uses the compiled core, so an agreement of the two is a test of both.
"""

from .mean_model import (
    edge_bias,
    edge_bias_limit,
    edge_lr,
    flow_bias_limit,
    linear_accuracy,
    normal_cdf,
    origin_sharpness,
    output_envelope,
    smoothed_relu,
    smoothed_relu_inverse,
    stable_bias_limit,
)
from .single_neuron import (
    Shape,
    edge_gap,
    edge_gap_factor,
    flow_regime_sharpness,
    loss_shape,
    oscillation_envelope,
    regime_sharpness,
    slow_line,
    steps_to_edge,
)

__all__ = [
    "Shape",
    "edge_bias",
    "edge_bias_limit",
    "edge_gap",
    "edge_gap_factor",
    "edge_lr",
    "flow_bias_limit",
    "flow_regime_sharpness",
    "linear_accuracy",
    "loss_shape",
    "normal_cdf",
    "origin_sharpness",
    "oscillation_envelope",
    "output_envelope",
    "regime_sharpness",
    "slow_line",
    "smoothed_relu",
    "smoothed_relu_inverse",
    "stable_bias_limit",
    "steps_to_edge",
]
