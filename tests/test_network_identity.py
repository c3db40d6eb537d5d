"""Networks as values: blocks, starts, equality, and the same numbers from automatic differentiation."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import eosfast as eos
from network_reference import DEFINITIONS, EXAMPLES, network, samples

every_network = pytest.mark.parametrize("model", EXAMPLES, ids=repr)


# ---------------------------------------------------------------------------------------------------- blocks and starts


@every_network
def test_pack_and_unpack_are_inverse(model):
    w = np.random.default_rng(0).standard_normal(model.dim)
    blocks = model.unpack(w)
    assert {name: block.shape for name, block in blocks.items()} == model.parameters
    np.testing.assert_array_equal(model.pack(**blocks), w)
    np.testing.assert_array_equal(np.concatenate([block.ravel() for block in blocks.values()]), w)


def test_the_blocks_of_each_network():
    data = samples(6, 3)
    assert eos.LogisticRegression(data).parameters == {"w": (3,)}
    assert eos.TwoLayerNetwork(data, 4).parameters == {"W": (4, 3)}
    full = eos.TwoLayerNetwork(data, 4, trainable="both", bias=True)
    assert list(full.parameters.items()) == [("W", (4, 3)), ("b", (4,)), ("a", (4,))]
    assert full.dim == 20
    deep = eos.MLP(samples(6, 3, 2), (4, 5))
    blocks = [("W1", (4, 3)), ("b1", (4,)), ("W2", (5, 4)), ("b2", (5,)), ("W3", (2, 5)), ("b3", (2,))]
    assert list(deep.parameters.items()) == blocks
    assert eos.MLP(data, (4,), bias=False).parameters == {"W1": (4, 3), "W2": (1, 4)}


@every_network
def test_starts_are_reproducible(model):
    starts = [model.init(seed) for seed in range(4)]
    assert all(start.shape == (model.dim,) and np.isfinite(start).all() for start in starts)
    np.testing.assert_array_equal(model.init(), model.init(seed=0))
    np.testing.assert_array_equal(model.init(3), starts[3])
    if not isinstance(model, eos.LogisticRegression):
        assert len({start.tobytes() for start in starts}) == 4


def test_logistic_regression_starts_at_zero():
    np.testing.assert_array_equal(eos.LogisticRegression(samples(4, 3)).init(7), np.zeros(3))


def test_weights_start_normal_with_variance_one_over_fan_in():
    data = samples(4, 50, 3)
    deep = eos.MLP(data, (60, 40))
    wide = eos.TwoLayerNetwork(samples(4, 50), 200, trainable="both", bias=True)
    given = eos.TwoLayerNetwork(samples(4, 50), 3, trainable="both", output_weights=[1.0, 2.0, -0.5])
    for model, fan_in in ((deep, {"W1": 50, "W2": 60, "W3": 40}), (wide, {"W": 50})):
        starts = [model.unpack(model.init(seed)) for seed in range(30)]
        for name, size in fan_in.items():
            values = np.array([start[name] for start in starts])
            np.testing.assert_allclose(values.var() * size, 1, rtol=0.06)
            np.testing.assert_allclose(values.mean(), 0, atol=0.05 / np.sqrt(size))
            standard = values.ravel() * np.sqrt(size)
            np.testing.assert_allclose(np.mean(np.abs(standard) < 1), 0.6827, atol=0.02)  # normal, not uniform
        for name in model.parameters:
            if name.startswith("b"):
                assert all((start[name] == 0).all() for start in starts)
    np.testing.assert_array_equal(wide.unpack(wide.init(5))["a"], np.repeat([1.0, -1.0], 100))
    np.testing.assert_array_equal(given.unpack(given.init(5))["a"], [1.0, 2.0, -0.5])


def test_the_first_half_of_the_output_weights_is_positive_and_the_larger():
    model = eos.TwoLayerNetwork(samples(4, 2), 5, trainable="both")
    np.testing.assert_array_equal(model.unpack(model.init())["a"], [1, 1, 1, -1, -1])
    fixed = eos.TwoLayerNetwork(samples(4, 2), 5, "identity")
    w = np.ones(10)
    np.testing.assert_allclose(fixed.predict(w, [[1.0, 2.0]]), [3 / 5 * (3 - 2)])


def test_starts_do_not_share_their_random_numbers_with_data_of_the_same_seed():
    data = eos.datasets.sparse_coding(n=30, d=16, signal=0.0, seed=5)
    start = eos.TwoLayerNetwork(data, 20).init(5)
    assert not np.isin(start * 4, data.X).any()  # the law of the start is that of the data, divided by sqrt(16)


# ------------------------------------------------------------------------------------------------------------- identity


@every_network
def test_networks_are_values(model):
    twin = pickle.loads(pickle.dumps(model))
    assert twin == model
    assert hash(twin) == hash(model)
    assert repr(twin) == repr(model)
    assert copy.deepcopy(model) == model
    assert dataclasses.replace(model) == model
    w = model.init(1)
    before = pickle.dumps(model)
    assert twin.loss(w) == model.loss(w)
    assert pickle.dumps(model) == before  # nothing compiled is kept in it
    for field in dataclasses.fields(model):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(model, field.name, getattr(model, field.name))
    assert type(model).__name__ in repr(model)
    assert "\n" not in repr(model)


def test_every_network_has_a_definition_and_an_example():
    networks = {
        name for name in eos.models.__all__ if issubclass(getattr(eos.models, name), eos.models.network.Network)
    }
    assert set(DEFINITIONS) == networks == {type(model).__name__ for model in EXAMPLES}


def test_networks_differ_by_class_fields_and_data():
    data, other = samples(6, 3), samples(6, 3, seed=1)
    base = eos.TwoLayerNetwork(data, 4)
    assert base == eos.TwoLayerNetwork(samples(6, 3), 4, "gelu", "logistic", "first", 1.0, False, None)
    for different in (
        eos.TwoLayerNetwork(other, 4),
        eos.TwoLayerNetwork(data, 5),
        eos.TwoLayerNetwork(data, 4, "silu"),
        eos.TwoLayerNetwork(data, 4, loss="mse"),
        eos.TwoLayerNetwork(data, 4, trainable="both"),
        eos.TwoLayerNetwork(data, 4, scale=2.0),
        eos.TwoLayerNetwork(data, 4, bias=True),
        eos.TwoLayerNetwork(data, 4, output_weights=[1.0, 1.0, -1.0, -2.0]),
        eos.TwoLayerNetwork(data, 4, reduce=False),
        eos.MLP(data, (4,)),
    ):
        assert different != base
    assert eos.MLP(data, (4,)) == eos.MLP(data, [4]) != eos.MLP(data, (4, 4))


def test_the_field_loss_of_a_network_is_a_name_and_a_function():
    model = eos.TwoLayerNetwork(samples(6, 3), 4, loss="mse")
    assert model.loss == "mse"
    assert f"{model.loss}" == "mse"
    assert model.loss(model.init()) == pytest.approx(network(model).loss(model.init()), rel=1e-13)
    assert dataclasses.replace(model, width=2).loss == "mse"


def test_data_drawn_anew():
    model = eos.MLP(eos.datasets.sparse_coding(n=8, d=4, seed=1), (3,), loss="logistic")
    assert model.is_random
    assert model.with_seed(5) == dataclasses.replace(model, data=eos.datasets.sparse_coding(n=8, d=4, seed=5))
    given = eos.MLP(samples(6, 3), (3,))
    assert not given.is_random
    assert given.with_seed(5) == given


# -------------------------------------------------------------------------------------------- automatic differentiation


def test_torch_computes_the_same():
    torch = pytest.importorskip("torch")
    data = samples(9, 4, "labels")
    model = eos.MLP(data, (6, 5), "gelu", loss="cross_entropy")
    w, v = np.random.default_rng(1).standard_normal((2, model.dim)) * 0.5
    X, labels = torch.tensor(data.X), torch.tensor(data.y.astype(int))

    def loss(w):
        W1, b1, W2, b2, W3, b3 = torch.split(w, [24, 6, 30, 5, 15, 3])
        h = torch.nn.functional.gelu(X @ W1.reshape(6, 4).T + b1)
        h = torch.nn.functional.gelu(h @ W2.reshape(5, 6).T + b2)
        return torch.nn.functional.cross_entropy(h @ W3.reshape(3, 5).T + b3, labels)

    at = torch.tensor(w, requires_grad=True)
    value = loss(at)
    (grad,) = torch.autograd.grad(value, at, create_graph=True)
    (product,) = torch.autograd.grad(grad @ torch.tensor(v), at)
    assert model.loss(w) == pytest.approx(value.item(), rel=1e-14)
    np.testing.assert_allclose(model.grad(w), grad.detach().numpy(), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(model.hvp(w, v), product.numpy(), rtol=1e-10, atol=1e-13)


def test_jax_computes_the_same():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    data = samples(9, 4)
    model = eos.TwoLayerNetwork(data, 6, "softplus", trainable="both", bias=True, scale=3.0)
    w, v = np.random.default_rng(1).standard_normal((2, model.dim)) * 0.5

    def loss(w):
        W, b, a = w[:24].reshape(6, 4), w[24:30], w[30:]
        f = 3.0 / 6 * jax.nn.softplus(data.X @ W.T + b) @ a
        return jnp.mean(jax.nn.softplus(-data.y * f))

    assert model.loss(w) == pytest.approx(float(loss(w)), rel=1e-14)
    np.testing.assert_allclose(model.grad(w), jax.grad(loss)(w), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(model.hvp(w, v), jax.jvp(jax.grad(loss), (w,), (v,))[1], rtol=1e-10, atol=1e-13)
