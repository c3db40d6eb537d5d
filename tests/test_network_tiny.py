"""Two-layer networks at and beside the widths and samples that fill lanes, with opposite samples and without."""

import numpy as np
import pytest

import eosfast as eos
from network_reference import ACTIVATIONS, H, iterates, network, samples

WIDTHS = [1, 2, 7, 8, 9, 16, 20]


def agree(model, tol=1e-12):
    reference, rng = network(model), np.random.default_rng(0)
    w = rng.standard_normal(model.dim)
    assert model.loss(w) == pytest.approx(reference.loss(w), rel=tol)
    scale = np.abs(reference.grad(w)).max()
    np.testing.assert_allclose(model.grad(w), reference.grad(w), rtol=0, atol=tol * scale)
    v = rng.standard_normal(model.dim)
    expected = reference.grad(w + 1j * H * v).imag / H
    np.testing.assert_allclose(model.hvp(w, v), expected, rtol=0, atol=tol * max(np.abs(expected).max(), 1e-3))


def with_opposites(n, d, seed=0):
    """n samples of which the last n // 2 are the opposites of the first, one twice if n > 4; both signs of labels."""
    X = np.random.default_rng(seed).standard_normal((n, d))
    X[n - n // 2 :] = -X[: n // 2]
    if n > 4:
        X[1] = X[0]
    return eos.Dataset(X, np.where(np.arange(n) % 3 == 0, 1.0, -1.0))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 9, 10, 11])
def test_every_width_and_number_of_coordinates(width, d):
    for n in (1, 3, 10):
        agree(eos.TwoLayerNetwork(samples(n, d), width, "softplus"))
        agree(eos.TwoLayerNetwork(samples(n, d), width, "tanh", trainable="both", bias=True))
        agree(eos.TwoLayerNetwork(samples(n, d, "numbers"), width, "silu", loss="mse", trainable="both", scale=2.0))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("n", [2, 3, 4, 7, 30])
def test_every_activation_on_opposite_samples(activation, n):
    for width in (1, 5, 8, 20):
        agree(eos.TwoLayerNetwork(with_opposites(n, 2), width, activation))
        agree(eos.TwoLayerNetwork(with_opposites(n, 3), width, activation, trainable="both"))


@pytest.mark.parametrize("activation", [*ACTIVATIONS, eos.Leaky("tanh", 3.0, -2.0)], ids=repr)
def test_opposite_samples_share_work_without_another_bit(activation):
    """A bias, although zero, leaves no samples opposite to each other."""
    data = with_opposites(7, 3)
    for width in (1, 9, 20):
        together, apart = (eos.TwoLayerNetwork(data, width, activation, bias=bias) for bias in (False, True))
        W = np.random.default_rng(width).standard_normal((width, 3)) * 3
        w, w_and_bias = together.pack(W=W), apart.pack(W=W, b=np.zeros(width))
        assert together.loss(w) == apart.loss(w_and_bias)
        np.testing.assert_array_equal(together.grad(w), apart.unpack(apart.grad(w_and_bias))["W"].ravel())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_train_run_and_the_same_run_in_a_sweep(width):
    model = eos.TwoLayerNetwork(eos.datasets.xor(), width, eos.Leaky("softplus", 0.5, 0.125))
    lrs = np.linspace(1.0, 3.0 * width, 5)
    for optimizer in (eos.GD(), eos.HeavyBall(momentum=0.5), eos.Nesterov(momentum=0.9)):
        phase = eos.sweep(model, optimizer, {"lr": lrs}, seed=3, num_steps=40, measure=("loss", "weights"))
        for i, lr in enumerate(lrs):
            rule = type(optimizer)(lr, *([optimizer.momentum] if hasattr(optimizer, "momentum") else []))
            run = eos.train(model, model.init(3), rule, num_steps=40, record=eos.Record(1, ("loss", "weights")))
            np.testing.assert_array_equal(phase.weights.values[i], run.weights.values[-1])
            assert phase.loss.values[i] == run.loss.values[-1] == model.loss(run.weights.values[-1])
            expected = iterates(model, rule, model.init(3), 40)
            np.testing.assert_allclose(run.weights.values, expected, rtol=1e-8, atol=1e-8)


def test_what_is_recorded_belongs_to_the_same_weights():
    model = eos.TwoLayerNetwork(eos.datasets.xor(), 20, "gelu")
    names = ("loss", "weights", "grad_norm", "accuracy", "margin", "sharpness")
    run = eos.train(model, model.init(1), eos.GD(20.0), num_steps=30, record=eos.Record(3, names))
    for i, w in enumerate(run.weights.values):
        assert run.loss.values[i] == model.loss(w)
        assert run.grad_norm.values[i] == pytest.approx(np.linalg.norm(model.grad(w)), rel=1e-14)
        assert run.margin.values[i] == pytest.approx(network(model).margin(w), rel=1e-12)
        assert run.accuracy.values[i] == np.mean(network(model).outputs(w, model.data.X) * model.data.y > 0)
        assert run.sharpness.values[i] == pytest.approx(np.linalg.eigvalsh(model.hessian(w)).max(), rel=1e-2)


@pytest.mark.parametrize("width", [1, 3, 9])
def test_an_output_that_is_infinite_and_right_leaves_the_other_samples_alone(width):
    """The lanes behind the last neuron of a sample hold numbers of the next one."""
    X = np.array([[1.0], [1e200], [0.5]])
    model = eos.TwoLayerNetwork(eos.Dataset(X, [1.0, 1.0, -1.0]), width, "relu", output_weights=np.ones(width))
    few = eos.TwoLayerNetwork(eos.Dataset(X[[0, 2]], [1.0, -1.0]), width, "relu", output_weights=np.ones(width))
    w = np.full(width, 2.0)
    w[0] = 1e109  # times 1e200 is infinite
    assert model.loss(w) == pytest.approx(few.loss(w) * 2 / 3, rel=1e-13)
    np.testing.assert_allclose(model.grad(w), few.grad(w) * 2 / 3, rtol=1e-13)


def test_samples_and_widths_up_to_where_another_form_takes_over():
    for n, width in ((1024, 8), (1025, 8), (8192, 1), (8193, 1), (91, 90), (91, 91)):
        agree(eos.TwoLayerNetwork(samples(n, 2), width, "softplus", trainable="both"), 1e-11)
