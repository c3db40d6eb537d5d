"""Weight decay and normalised gradients: plain loops, thresholds on quadratics, Jacobians, and the bits of plain GD."""

import numpy as np
import pytest

import eosfast as eos
from network_reference import samples
from reference import EXAMPLES, definition, iterates, steps_of_the_core

RULES = [eos.GD(0.03, weight_decay=0.4), eos.NormalizedGD(0.03)]
NETWORKS = [
    eos.TwoLayerNetwork(samples(7, 3), 3, activation="tanh", loss="mse", trainable="both"),
    eos.MLP(samples(4, 9), [3], loss="mse"),  # in the row space of the data
    eos.LogisticRegression(samples(3, 6)),
]
DATA = eos.datasets.sparse_coding(n=9, d=5, seed=1)


def final_weights(model, w0, optimizer, num_steps, **options):
    record = eos.Record(every=max(1, num_steps), quantities=("weights", "weight_norm"))
    return eos.train(model, w0, optimizer, num_steps=num_steps, record=record, **options).isel(step=-1)


@pytest.mark.parametrize("model", EXAMPLES, ids=repr)
@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_small_models_follow_a_plain_loop(model, optimizer):
    w0 = model.init(4)
    np.testing.assert_allclose(
        steps_of_the_core(model, optimizer, w0, 30), iterates(model, optimizer, w0, 30), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("model", NETWORKS, ids=repr)
@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_networks_follow_a_plain_loop(model, optimizer):
    w = model.init(1)
    run = eos.train(
        model, w, optimizer, num_steps=25, record=eos.Record(quantities=("weights", "weight_norm", "grad_norm"))
    )
    for row, norm, grad_norm in zip(run.weights.values, run.weight_norm.values, run.grad_norm.values, strict=True):
        np.testing.assert_allclose(row, w, rtol=1e-10, atol=1e-12)
        g = model.grad(w)
        np.testing.assert_allclose([norm, grad_norm], [np.linalg.norm(w), np.linalg.norm(g)], rtol=1e-10)
        if isinstance(optimizer, eos.GD):
            w = (1 - optimizer.lr * optimizer.weight_decay) * w - optimizer.lr * g
        else:
            w = w - optimizer.lr * g / np.linalg.norm(g)


def test_what_the_data_do_not_reach_decays_too():
    model = eos.LogisticRegression(samples(2, 5))
    grid = {"lr": [0.1, 0.5], "weight_decay": [0.0, 0.3]}
    result = eos.sweep(model, eos.GD(), grid, w0=model.init(3), num_steps=2000, measure=("weights",))
    for lr in grid["lr"]:
        for decay in grid["weight_decay"]:
            kept = (1 - lr * decay) ** 2000.0
            unseen = np.linalg.svd(model.data.X)[2][2:]
            swept = result.weights.sel(lr=lr, weight_decay=decay).values
            np.testing.assert_allclose(unseen @ swept, kept * (unseen @ model.init(3)), rtol=1e-9, atol=1e-13)
            single = final_weights(model, model.init(3), eos.GD(lr, decay), 2000)
            np.testing.assert_array_equal(swept, single.weights)
            np.testing.assert_allclose(single.weight_norm, np.linalg.norm(swept), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_weight_decay_zero_of_a_sweep_has_the_bits_of_plain_gradient_descent(dtype):
    small = [eos.SingleNeuron("logcosh"), eos.ScalarProduct(5), eos.MeanModel(d=3.0), eos.ThresholdNeuron(DATA)]
    networks = [eos.TwoLayerNetwork(DATA, 4, dtype=dtype), eos.MLP(samples(3, 6), [2], dtype=dtype)]
    for model in [*small, *networks]:
        w0 = model.init(2)
        grid = {"weight_decay": [0.0, 0.1], "lr": [0.05, 0.3]}
        result = eos.sweep(model, eos.GD(), grid, w0=w0, num_steps=400, measure=("weights", "lyapunov", "max_loss"))
        plain = eos.sweep(model, eos.GD(), {"lr": [0.05, 0.3]}, w0=w0, num_steps=400, measure=("lyapunov", "max_loss"))
        for name in ("lyapunov", "max_loss"):
            np.testing.assert_array_equal(result[name].sel(weight_decay=0.0), plain[name])
        for lr in (0.05, 0.3):
            expected = final_weights(model, w0, eos.GD(lr), 400).weights
            np.testing.assert_array_equal(result.weights.sel(weight_decay=0.0, lr=lr), expected)
            decayed = final_weights(model, w0, eos.GD(lr, weight_decay=0.1), 400).weights
            np.testing.assert_array_equal(result.weights.sel(weight_decay=0.1, lr=lr), decayed)
            assert not np.array_equal(decayed, expected)


@pytest.mark.parametrize("weight_decay", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("lr", [0.1, 1.0])
def test_the_threshold_of_gradient_descent_divides_growth_from_decay(lr, weight_decay):
    threshold = eos.GD(lr, weight_decay).stability_threshold()
    assert threshold == pytest.approx(2 / lr - weight_decay)
    for factor, grows in ((0.99, False), (1.01, True)):
        # x^4/4 with target -c has curvature c at 0, where it is as good as a quadratic
        curvature = max(threshold, 0.0) * factor + (0.05 if threshold <= 0 and grows else 0.0)
        if curvature == 0:
            continue
        model = eos.Scalar1D("quartic", target=-curvature)
        end = final_weights(model, [1e-30], eos.GD(lr, weight_decay), 1000).weights
        assert (abs(float(end[0])) > 1e-30) == grows


def test_normalized_steps_all_have_one_length():
    for model in [eos.SelfStabilization(), eos.MeanModel(), eos.ThresholdNeuron(DATA), NETWORKS[1]]:
        record = eos.Record(quantities=("weights",))
        run = eos.train(model, model.init(0), eos.NormalizedGD(0.01), num_steps=200, record=record)
        steps = np.linalg.norm(np.diff(run.weights.values, axis=0), axis=1)
        np.testing.assert_allclose(steps, 0.01, rtol=1e-11)
    assert eos.NormalizedGD(0.01).stability_threshold() == 0.0


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e250])
def test_normalized_steps_of_any_size_of_gradient(scale):
    model = eos.SelfStabilization(alpha=0.0, tilt=scale)  # a constant force along x where x = y = 0
    w = final_weights(model, [0.0, 0.0], eos.NormalizedGD(0.25), 1).weights
    np.testing.assert_array_equal(w, [0.25, 0.0])


def test_without_a_gradient_a_normalized_step_stays():
    result = eos.sweep(
        eos.CurvedValley(), eos.NormalizedGD(), {"lr": [0.1], "y": [-3.0, 2.0]}, w0={"x": 0.0}, num_steps=5000
    )
    np.testing.assert_array_equal(result.weights[0, :, 1], [-3.0, 2.0])
    assert (result.status == 3).all()  # steady
    network = eos.MLP(eos.Dataset(np.eye(2), np.zeros(2)), [2], loss="mse")
    np.testing.assert_array_equal(final_weights(network, np.zeros(network.dim), eos.NormalizedGD(1.0), 9).weights, 0.0)


def normalised_jacobian(lr, g, H):
    """Of w - lr g/|g|: I - lr (I - g g'/|g|^2) H/|g|."""
    size = np.linalg.norm(g)
    return np.eye(len(g)) - lr * (np.eye(len(g)) - np.outer(g, g) / size**2) @ H / size


@pytest.mark.parametrize(
    ("model", "w0"),
    [(eos.MeanModel(d=4.0), [0.4, 0.3, 0.2]), (eos.ScalarProduct(5), [0.9, 1.2, 1.1, 0.8, 1.0]), (NETWORKS[0], None)],
    ids=repr,
)
def test_the_lyapunov_exponent_takes_the_jacobian_of_the_normalised_step(model, w0):
    lr, steps = 0.05, 600
    w0 = model.init(0) if w0 is None else np.array(w0)
    measured = eos.sweep(model, eos.NormalizedGD(), {"lr": [lr]}, w0=w0, num_steps=steps, measure=("lyapunov",))
    path = steps_of_the_core(model, eos.NormalizedGD(lr), w0, steps)
    landscape = model if isinstance(model, eos.TwoLayerNetwork) else definition(model)
    u, growth = np.random.default_rng(0).standard_normal(model.dim), 0.0
    for t, w in enumerate(path[:-1]):
        u = normalised_jacobian(lr, landscape.grad(w), landscape.hessian(w)) @ u
        growth += np.log(np.linalg.norm(u)) if t >= steps // 2 else 0.0
        u /= np.linalg.norm(u)
    assert float(measured.lyapunov[0]) == pytest.approx(growth / (steps - steps // 2), abs=0.02)


def test_weight_decay_and_steps_of_a_normal_kind_are_rules_of_a_sweep():
    model = eos.SingleNeuron()
    grid = {"weight_decay": [0.0, 0.01, 0.1], "y": [2.0, 9.0]}
    result = eos.sweep(model, eos.GD(lr=0.05), grid, w0={"x": 0.3}, num_steps=300, measure=("weights", "lyapunov"))
    assert "threshold" not in result.attrs
    for decay in grid["weight_decay"]:
        for y in grid["y"]:
            single = final_weights(model, [0.3, y], eos.GD(0.05, decay), 300)
            assert single.attrs["threshold"] == 40 - decay
            np.testing.assert_array_equal(result.weights.sel(weight_decay=decay, y=y), single.weights)
    path = steps_of_the_core(model, eos.GD(0.05, 0.1), [0.3, 9.0], 300)
    u, growth = np.array([0.6, 0.8]), 0.0
    for t, w in enumerate(path[:-1]):
        u = (1 - 0.05 * 0.1) * u - 0.05 * definition(model).hessian(w) @ u
        growth += np.log(np.linalg.norm(u)) if t >= 150 else 0.0
        u /= np.linalg.norm(u)
    assert float(result.lyapunov.sel(weight_decay=0.1, y=9.0)) == pytest.approx(growth / 150, abs=0.02)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: eos.GD(0.1, weight_decay=-1e-9), ValueError, ["weight_decay of GD", ">= 0", "-1e-09"]),
        (lambda: eos.GD(0.1, weight_decay=np.inf), ValueError, ["weight_decay of GD", "finite", "inf"]),
        (lambda: eos.GD(0.1, weight_decay="a"), TypeError, ["weight_decay of GD", "'a'"]),
        (lambda: eos.NormalizedGD(0.0), ValueError, ["lr of NormalizedGD", "> 0", "0.0"]),
        (lambda: eos.GD(0.1, None).stability_threshold(), ValueError, ["weight_decay of GD", "not set"]),
        (
            lambda: eos.sweep(eos.SingleNeuron(), eos.GD(0.1), {"weight_decay": [0.1, -1.0]}, num_steps=1),
            ValueError,
            ["weight_decay", ">= 0", "-1"],
        ),
        (
            lambda: eos.sweep(eos.SingleNeuron(), eos.NormalizedGD(0.1), {"weight_decay": [0.1]}, num_steps=1),
            ValueError,
            ["grid", "'weight_decay'"],
        ),
    ],
)
def test_bad_numbers_are_refused(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)
