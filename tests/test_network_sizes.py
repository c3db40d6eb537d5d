"""Networks of all sizes, at and beside any blocking of the products, in one thread, in many, and in several at once."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import eosfast as eos
from interruption import words_after_ctrl_c
from network_reference import H, network, samples

SIZES = [1, 2, 7, 8, 9, 31, 32, 33, 64, 65, 129]


def close(found, expected, tol=1e-12):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tol * float(np.abs(expected).max()))


def agree(model):
    reference, rng = network(model), np.random.default_rng(0)
    w = rng.standard_normal(model.dim) / np.sqrt(max(model.data.d, 8))
    assert model.loss(w) == pytest.approx(reference.loss(w), rel=1e-12)
    close(model.grad(w), reference.grad(w))
    V = rng.standard_normal((model.dim, 3))
    close(model.hvp(w, V), np.stack([reference.grad(w + 1j * H * v).imag / H for v in V.T], axis=1))


@pytest.mark.parametrize("size", SIZES)
def test_every_number_of_samples_neurons_and_coordinates(size):
    agree(eos.LogisticRegression(samples(size, 5)))
    agree(eos.LogisticRegression(samples(40, size)))
    for n, d, width in ((size, 5, 6), (20, size, 6), (20, 5, size)):
        agree(eos.TwoLayerNetwork(samples(n, d), width, "silu", trainable="both", bias=True))
        agree(eos.MLP(samples(n, d, 2), (width, 3), "tanh"))
        agree(eos.MLP(samples(n, d, 2), (3, width), "gelu", bias=False))
    agree(eos.MLP(samples(12, 4, size), (5,), "softplus"))


@pytest.mark.parametrize("columns", SIZES)
def test_every_number_of_vectors(columns):
    for model in (eos.TwoLayerNetwork(samples(20, 9), 7), eos.MLP(samples(5, 12, 2), (6, 4), "erf")):
        w = model.init(1)
        V = np.random.default_rng(2).standard_normal((model.dim, columns))
        close(model.hvp(w, V), model.hessian(w) @ V)
        for i in {0, columns // 2, columns - 1}:
            close(model.hvp(w, V)[:, i], model.hvp(w, V[:, i]))


@pytest.mark.parametrize(("n", "d"), [(60, 40), (60, 64), (100, 90), (30, 70)])
def test_samples_with_zeros(n, d):
    """As images have: empty first and last coordinates, and blocks of samples that know only some of them."""
    data = samples(n, d)
    X = data.X.copy()
    X[:, :3] = X[:, -30:-5] = 0.0
    X[: n // 2, : d // 3] = X[n // 2 :, d // 2 :] = 0.0
    holes = eos.Dataset(X, data.y)
    for reduce in (True, False):
        agree(eos.LogisticRegression(holes, reduce=reduce))
        agree(eos.TwoLayerNetwork(holes, 9, "tanh", trainable="both", bias=True, reduce=reduce))
        agree(eos.MLP(holes, (9, 5), "gelu", "logistic", reduce=reduce))


@pytest.mark.parametrize(("n", "reduce"), [(40, True), (40, False), (90, True)])
def test_zeros_hide_no_nan(n, reduce):
    X = samples(n, 60).X.copy()
    X[:, :2] = X[:, -2:] = 0.0
    data = eos.Dataset(X, np.sign(X[:, 30]))
    for model in (eos.MLP(data, (4,), "tanh", "logistic", reduce=reduce), eos.LogisticRegression(data, reduce=reduce)):
        w, v = model.init(0), np.ones(model.dim)
        for at in (0, 1, 59):
            poisoned = w.copy()
            poisoned[at] = np.nan
            assert np.isnan(model.loss(poisoned))
            assert np.isnan(model.grad(poisoned)).all()
            assert np.isnan(model.hvp(poisoned, v)).all()
            assert not model.sharpness(poisoned).converged.any()
            direction = v.copy()
            direction[at] = np.nan
            products = model.hvp(w, np.stack([v, direction], axis=1))
            assert np.isfinite(products[:, 0]).all()
            assert np.isnan(products[:, 1]).all()


def test_one_network_in_several_threads_of_python_at_once():
    model = eos.MLP(samples(150, 30, 3), (40, 30), "gelu")
    starts = [model.init(seed) for seed in range(12)]
    record = eos.Record(5, quantities=("loss", "sharpness", "weights"))

    def everything(w):
        run = eos.train(model, w, eos.GD(0.1), num_steps=20, record=record, num_threads=2)
        return [model.loss(w), model.grad(w), model.hvp(w, w), *(run[name].values for name in record.quantities)]

    expected = [everything(w) for w in starts]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(everything, starts), expected, strict=True):
            for one, two in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("reduce", [True, False])
def test_networks_forget_data_that_nobody_holds(reduce):
    data = samples(5, 9)
    alive = weakref.ref(data)
    model = eos.TwoLayerNetwork(data, 4, reduce=reduce)
    model.loss(model.init())
    model.sharpness(model.init())
    eos.train(model, optimizer=eos.GD(0.1), num_steps=2)
    del data, model
    gc.collect()
    assert alive() is None


def test_nothing_is_printed_and_progress_goes_to_stderr(capfd):
    model = eos.TwoLayerNetwork(samples(5, 3), 4)
    eos.train(model, optimizer=eos.GD(0.1), num_steps=50)
    eos.sweep(model, eos.GD(), {"lr": [0.1, 0.2]}, num_steps=50)
    assert capfd.readouterr() == ("", "")
    eos.train(model, optimizer=eos.GD(0.1), num_steps=50, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "50/50" in err
    eos.sweep(model, eos.GD(), {"lr": [0.1, 0.2]}, num_steps=50, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err


LONG_SWEEP = """
import numpy as np
import eosfast as eos
rng = np.random.default_rng(0)
data = eos.Dataset(rng.standard_normal((100, 10)), np.where(np.arange(100) % 2, 1.0, -1.0))
model = eos.TwoLayerNetwork(data, 10)
print("ready", flush=True)
measure = ("loss", "weights", "mean_sharpness")
grid = {"lr": np.linspace(1e-5, 1e-3, 20)}
phase = eos.sweep(model, eos.GD(), grid, num_steps=10**12, measure=measure, num_threads=2)
begun, pending = (phase.status.isin([code]).values for code in (4, 5))
good = [
    (begun | pending).all(),
    np.isfinite(phase.loss.values[begun]).all() and (phase.num_steps_done.values[begun] > 0).all(),
    np.isnan(phase.loss.values[pending]).all() and (phase.num_steps_done.values[pending] == 0).all(),
]
print(phase.attrs["status"], begun.sum(), *good)
"""


def test_ctrl_c_returns_a_sweep_within_a_second():
    status, begun, *good = words_after_ctrl_c(LONG_SWEEP)
    assert status == "interrupted"
    assert int(begun) > 0
    assert good == ["True"] * 3
