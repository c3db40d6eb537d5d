"""Relative progress and directional smoothness: the definition, values at the edge, and that looking moves nothing."""

import numpy as np
import pytest
import xarray as xr

import eosfast as eos
from network_reference import samples
from reference import EXAMPLES, everything, without_provenance

BOTH = ("relative_progress", "directional_smoothness")
NETWORKS = [
    eos.TwoLayerNetwork(samples(7, 3), 3, activation="tanh", loss="mse", trainable="both"),
    eos.MLP(samples(4, 9), [3], loss="mse"),
]
OPTIMIZERS = [
    eos.GD(0.05),
    eos.GD(0.05, 0.3),
    eos.NormalizedGD(0.05),
    eos.HeavyBall(0.05, 0.5),
    eos.Nesterov(0.05, 0.9),
]


def by_definition(model, w, lr):
    g = model.grad(w)
    ahead = w - lr * g
    return (model.loss(ahead) - model.loss(w)) / (lr * (g @ g)), g @ (g - model.grad(ahead)) / (lr * (g @ g))


@pytest.mark.parametrize("model", [*EXAMPLES, *NETWORKS], ids=repr)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_they_are_what_their_definition_says(model, optimizer):
    run = eos.train(model, model.init(6), optimizer, num_steps=12, record=eos.Record(3, ("weights", *BOTH)))
    for row, *found in zip(run.weights.values, *(run[name].values for name in BOTH), strict=True):
        with np.errstate(invalid="ignore"):
            expected = by_definition(model, row, optimizer.lr)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("model", [eos.SingleNeuron(), EXAMPLES[12], eos.CurvedValley(), *NETWORKS], ids=repr)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_looking_ahead_changes_no_other_bit(model, optimizer):
    order = {"num_steps": 40, "seed": 2}
    record = {"every": 3, "k": 2}
    plain = ("loss", "sharpness", "hessian_eigs", "grad_norm", "weights", "weight_norm", *model.quantities)
    without = eos.train(model, None, optimizer, record=eos.Record(quantities=plain, **record), **order)
    both = eos.train(model, None, optimizer, record=eos.Record(quantities=(*plain, *BOTH), **record), **order)
    xr.testing.assert_identical(without_provenance(both.drop_vars(BOTH)), without_provenance(without))


@pytest.mark.parametrize("lr", [0.01, 0.05])
def test_at_the_edge_of_stability_a_step_gets_nowhere(lr):
    """On the 2-cycle of sqrt(1 + s^2) in x the next gradient is nearly opposite: RP = -lr^2/2, DS = (2 - lr^2)/lr."""
    y = np.sqrt(3 / lr) * np.sqrt(1.25)
    steps = np.arange(1000, 1001 + int(0.3 / lr**2), 97)
    start = [np.sqrt(3 / lr) * 0.5, y]
    run = eos.train(eos.SingleNeuron(), start, eos.GD(lr), num_steps=int(steps[-1]), record=eos.Record(steps, BOTH))
    np.testing.assert_allclose(run.relative_progress, -(lr**2) / 2, atol=1e-7 if lr == 0.01 else 1e-5)
    np.testing.assert_allclose(lr * run.directional_smoothness, 2 - lr**2, atol=1e-6 if lr == 0.01 else 1e-4)


def test_on_a_quadratic_they_are_its_curvature():
    lr = 0.4
    model = eos.ScalarProduct(depth=1, target=-1.7)  # a quadratic of curvature 1
    run = eos.train(model, [5.0], eos.GD(lr), num_steps=10, record=eos.Record(quantities=BOTH))
    np.testing.assert_allclose(run.relative_progress, -1 + lr / 2, rtol=1e-9)
    np.testing.assert_allclose(run.directional_smoothness, 1.0, rtol=1e-9)


def test_they_are_nan_without_a_gradient_and_need_no_square_of_it():
    run = eos.train(eos.SingleNeuron(), [0.0, 2.0], eos.GD(0.1), num_steps=3000, record=eos.Record(1000, BOTH))
    assert run.attrs["status"] == "steady"
    assert np.isnan(run.relative_progress).all()
    assert np.isnan(run.directional_smoothness).all()
    run = eos.train(eos.ScalarProduct(1, target=0.0), [1e-170], eos.GD(0.5), num_steps=1, record=eos.Record(1, BOTH))
    np.testing.assert_allclose(run.directional_smoothness, 1.0, rtol=1e-12)


def test_repeating_runs_are_filled_in_with_them():
    model, optimizer = eos.Scalar1D("sqrt"), eos.GD(3.0)
    order = {"num_steps": 9000, "record": everything(model, every=7)}
    filled = eos.train(model, [0.5], optimizer, **order)
    computed = eos.train(model, [0.5], optimizer, stop=eos.Stop(steady=False), **order)
    xr.testing.assert_equal(filled, computed)
