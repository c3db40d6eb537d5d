"""The row-space reduction is invisible: `reduce=True` and `reduce=False` are the same network, whatever the rank."""

import dataclasses
import time

import numpy as np
import pytest

import eosfast as eos
from network_reference import network, samples


def of_rank(n, d, rank, seed=0):
    """Data whose rows span a space of dimension `rank`, the first row repeated, with both signs as targets."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
    X[-1] = X[0]
    return eos.Dataset(X, samples(n, d).y)


WIDE, REPEATED, DEFICIENT, LOW = of_rank(5, 12, 5), of_rank(6, 9, 6), of_rank(6, 8, 2), of_rank(9, 6, 3)
TALL, ZERO = samples(9, 3), eos.Dataset(np.zeros((3, 5)), [1, -1, 1])

NETWORKS = [
    *(eos.LogisticRegression(data) for data in (WIDE, REPEATED, DEFICIENT, LOW, TALL, ZERO)),
    *(eos.TwoLayerNetwork(data, 4, "silu", trainable="both", bias=True) for data in (WIDE, DEFICIENT, LOW, ZERO)),
    eos.TwoLayerNetwork(REPEATED, 3, "gelu", scale=3.0),
    eos.TwoLayerNetwork(WIDE, 3, "relu", loss="mse"),
    *(eos.MLP(data, (4, 3), "tanh") for data in (WIDE, DEFICIENT, LOW, TALL)),
    eos.MLP(REPEATED, (3,), "erf", loss="logistic", bias=False),
    eos.MLP(eos.Dataset(WIDE.X, np.arange(5) % 3), (4,), "softplus", loss="cross_entropy"),
]

every_network = pytest.mark.parametrize("model", NETWORKS, ids=lambda m: f"{m!r}-rank{np.linalg.matrix_rank(m.data.X)}")


def unreduced(model):
    assert model.reduce
    return dataclasses.replace(model, reduce=False)


def close(found, expected, tol=1e-12):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tol * max(1e-3, float(np.abs(expected).max())))


@every_network
def test_values_and_derivatives_agree(model):
    rng, full = np.random.default_rng(3), unreduced(model)
    for w in 0.7 * rng.standard_normal((3, model.dim)):
        V = rng.standard_normal((model.dim, 4))
        assert model.loss(w) == pytest.approx(full.loss(w), rel=1e-13)
        close(model.grad(w), full.grad(w))
        close(model.hvp(w, V), full.hvp(w, V))
        close(model.hessian(w), full.hessian(w))
        close(model.hessian(w), network(model).hessian(w))
        X = rng.standard_normal((7, model.data.d))  # samples outside of the row space
        close(model.predict(w, X), full.predict(w, X))
        close(model.jacobian(w), full.jacobian(w))
        close(model.ntk(w), full.ntk(w))
        assert model.accuracy(w) == full.accuracy(w)


@every_network
def test_the_spectrum_is_that_of_the_full_hessian_with_its_zeros(model):
    w = 0.7 * np.random.default_rng(4).standard_normal(model.dim)
    H = network(model).hessian(w)
    exact = np.linalg.eigvalsh(H)[::-1]
    rank = np.linalg.matrix_rank(model.data.X)
    neurons = next(iter(model.parameters.values()))[0] if len(next(iter(model.parameters.values()))) == 2 else 1
    zeros = neurons * (model.data.d - rank)
    assert np.sum(np.abs(exact) <= 1e-12 * max(1, np.abs(exact).max())) >= zeros
    for these in (model, unreduced(model)):
        for k in (1, model.dim):
            spectrum = these.sharpness(w, k=k)
            close(spectrum.values, exact[:k], 1e-7)
            assert spectrum.vectors.shape == (model.dim, k)
            close(spectrum.vectors.T @ spectrum.vectors, np.eye(k), 1e-9)
            close(H @ spectrum.vectors, spectrum.vectors * spectrum.values, 1e-7)
            assert spectrum.converged.all()


@every_network
@pytest.mark.parametrize("optimizer", [eos.GD(0.1), eos.Nesterov(0.05, 0.8)], ids=repr)
def test_trajectories_agree(model, optimizer):
    own = tuple(name for name in ("margin", "accuracy") if name in model.quantities)
    if model.loss != "logistic" and not isinstance(model, eos.LogisticRegression):
        own = tuple(name for name in own if name != "margin")
    quantities = ("loss", "grad_norm", "weights", "weight_norm", "sharpness", *own)
    record = eos.Record(every=5, quantities=quantities, tol=1e-9)
    w0 = 0.5 * np.random.default_rng(5).standard_normal(model.dim)
    runs = [
        eos.train(this, w0, optimizer, num_steps=100, record=record, stop=eos.Stop(steady=False))
        for this in (model, unreduced(model))
    ]
    assert dict(runs[0].sizes) == dict(runs[1].sizes) == {"step": 21, "parameter": model.dim}
    for name in ("loss", "grad_norm", "weights", "weight_norm", *own):
        close(runs[0][name], runs[1][name], 1e-10)
    close(runs[0].sharpness, runs[1].sharpness, 1e-6)
    np.testing.assert_allclose(runs[0].weights[0], w0, rtol=0, atol=1e-15)
    np.testing.assert_allclose(runs[0].weight_norm, np.linalg.norm(runs[0].weights, axis=1), rtol=1e-12)


@pytest.mark.parametrize("model", [NETWORKS[0], NETWORKS[10], NETWORKS[12]], ids=repr)
def test_hessian_eigenvalues_of_a_run_include_the_zeros(model):
    record = eos.Record(every=10, quantities=("hessian_eigs", "weights"), k=model.dim, tol=1e-8)
    run = eos.train(model, np.full(model.dim, 0.1), eos.GD(0.1), num_steps=20, record=record)
    for eigs, w in zip(run.hessian_eigs.values, run.weights.values, strict=True):
        close(eigs, np.linalg.eigvalsh(network(model).hessian(w))[::-1], 1e-6)


@pytest.mark.parametrize("condition", [1e5, 1e8])
def test_nearly_dependent_samples_are_told_apart(condition):
    # Samples with singular values from 1 down to 1/condition, and weights to which all of them matter.
    rng, sizes = np.random.default_rng(0), np.geomspace(1, 1 / condition, 6)
    U, V = np.linalg.qr(rng.standard_normal((6, 6)))[0], np.linalg.qr(rng.standard_normal((12, 6)))[0]
    model = eos.TwoLayerNetwork(eos.Dataset((U * sizes) @ V.T, [1, -1] * 3), 3, "tanh", loss="mse")
    full, tol = unreduced(model), 1e-14 * condition
    w = (rng.standard_normal((3, 6)) / sizes @ V.T).ravel()
    v = rng.standard_normal(model.dim)
    assert model.loss(w) == pytest.approx(full.loss(w), rel=tol)
    close(model.grad(w), full.grad(w), 10 * tol)
    close(model.hvp(w, v), full.hvp(w, v), 10 * tol)
    record = eos.Record(50, quantities=("loss", "weights", "weight_norm", "margin"))
    runs = [eos.train(this, w / condition, eos.GD(0.5), num_steps=200, record=record) for this in (model, full)]
    for name in record.quantities:
        close(runs[0][name], runs[1][name], 1e-10)


def test_what_lies_outside_of_the_row_space_does_not_move():
    model = eos.TwoLayerNetwork(WIDE, 4)
    w0 = np.random.default_rng(6).standard_normal(model.dim)
    run = eos.train(model, w0, eos.GD(1.0), num_steps=50, record=eos.Record(quantities=("weights",)))
    rows = np.linalg.svd(WIDE.X, full_matrices=True)[2]
    outside = rows[np.linalg.matrix_rank(WIDE.X) :]
    moved = (run.weights.values - w0).reshape(-1, 4, WIDE.d)
    assert np.abs(moved).max() > 0.01
    np.testing.assert_allclose(moved @ outside.T, 0, atol=1e-14)


@pytest.mark.parametrize("reduce", [True, False])
def test_a_sweep_may_be_reduced(reduce):
    model = eos.TwoLayerNetwork(WIDE, 3, reduce=reduce)
    phase = eos.sweep(model, eos.GD(), {"lr": [0.1, 1.0], "seed": [0, 1]}, num_steps=60)
    other = eos.sweep(
        dataclasses.replace(model, reduce=not reduce), eos.GD(), {"lr": [0.1, 1.0], "seed": [0, 1]}, num_steps=60
    )
    close(phase.weights, other.weights, 1e-11)
    close(phase.loss, other.loss, 1e-11)
    close(phase.sharpness, other.sharpness, 1e-3)


def test_decay_outside_of_the_row_space_has_the_same_bits_in_a_sweep():
    """What shrinks there is multiplied by the same power: NumPy's, which differs from libm's in the last bit."""
    model, w0, stop = eos.LogisticRegression(WIDE), np.linspace(-1, 1, WIDE.d), eos.Stop(steady=False)
    lrs, decay, record = np.geomspace(1e-3, 0.1, 40), 0.09113126742902013, eos.Record(quantities=("weights",))
    swept = eos.sweep(
        model, eos.GD(weight_decay=decay), {"lr": lrs}, w0=w0, num_steps=65, stop=stop, measure=["weights"]
    )
    for lr, weights in zip(lrs, swept.weights.values, strict=True):
        run = eos.train(model, w0, eos.GD(lr, decay), num_steps=65, stop=stop, record=record)
        np.testing.assert_array_equal(weights, run.weights.values[-1])


def test_the_cost_does_not_depend_on_the_dimension_of_the_samples():
    rng = np.random.default_rng(0)
    data = eos.Dataset(rng.standard_normal((50, 200_000)) / np.sqrt(200_000), np.where(np.arange(50) % 2, 1.0, -1.0))
    model = eos.TwoLayerNetwork(data, 8)
    record = eos.Record(every=1000, quantities=("loss", "sharpness", "weight_norm", "margin"))
    w0 = model.init()
    model.loss(w0)  # the rotation, once
    began = time.thread_time()  # of this thread: what else the machine does is not counted
    run = eos.train(model, w0, eos.GD(10.0), num_steps=10_000, record=record)
    assert time.thread_time() - began < 10  # 10_000 gradients in full are 6e12 operations
    assert run.attrs["num_steps_done"] == 10_000
    assert run.loss[-1] < run.loss[0]
    np.testing.assert_allclose(run.weight_norm[0], np.linalg.norm(w0), rtol=1e-12)
    last = eos.train(model, w0, eos.GD(10.0), num_steps=20, record=eos.Record(20, quantities=("weights", "loss")))
    W = last.weights.values[1].reshape(8, -1)
    f = [network_output(W, x) for x in data.X]
    assert last.loss.values[1] == pytest.approx(np.mean(np.logaddexp(0, -data.y * f)), rel=1e-12)


def network_output(W, x):
    from scipy.special import ndtr

    u = W @ x
    return np.sum(np.repeat([1.0, -1.0], 4) * u * ndtr(u)) / 8
