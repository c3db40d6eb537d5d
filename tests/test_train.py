"""`train`: the iterates, where they start, and what goes on around a run."""

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import xarray as xr

import eosfast as eos
from interruption import words_after_ctrl_c
from reference import DATA, EXAMPLES, everything, iterates, losses_of_one_number, steps_of_the_core, without_provenance

OPTIMIZERS = [eos.GD(lr=0.05), eos.HeavyBall(lr=0.05, momentum=0.5), eos.Nesterov(lr=0.05, momentum=0.9)]
LOSSES = ["sqrt", "logcosh", "logistic", "huber", "power"]

every_model = pytest.mark.parametrize("model", EXAMPLES, ids=repr)


# ------------------------------------------------------------------------------------------------------------- iterates


@every_model
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_iterates_are_those_of_the_definition(model, optimizer):
    w0 = np.random.default_rng(1).standard_normal(model.dim) * 0.7
    path = steps_of_the_core(model, optimizer, w0, 15)
    expected = iterates(model, optimizer, w0, 15)
    np.testing.assert_array_equal(path[0], w0)
    np.testing.assert_allclose(path, expected, rtol=1e-9, atol=1e-11)


def test_a_quadratic_has_a_closed_form():
    model = eos.ScalarProduct(depth=1, target=3.0)
    path = steps_of_the_core(model, eos.GD(lr=0.3), [5.0], 50)[:, 0]
    np.testing.assert_allclose(path, 3 + 2 * 0.7 ** np.arange(51), rtol=1e-14)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("rule", ["GD", "HeavyBall", "Nesterov"])
def test_the_stability_threshold_separates_decay_from_growth(rule, momentum):
    make = {"GD": eos.GD, "HeavyBall": eos.HeavyBall, "Nesterov": eos.Nesterov}[rule]
    extra = {} if rule == "GD" else {"momentum": momentum}
    threshold = make(lr=1.0, **extra).stability_threshold()
    model = eos.ScalarProduct(depth=1, target=0.0)  # curvature 1
    for factor, status in ((0.99, "converged"), (1.01, "diverged")):
        stop = eos.Stop(diverged=1e6, loss=1e-12)
        run = eos.train(model, [1.0], make(lr=factor * threshold, **extra), num_steps=100_000, stop=stop)
        assert run.attrs["status"] == status
        assert run.attrs["threshold"] == pytest.approx(1 / factor)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("lr", [1e-3, 0.01, 0.1])
def test_what_gradient_descent_conserves(loss, lr):
    # D_{t+1} = D_t (1 - lr^2 l'(xy)^2), D = y^2 - x^2: row S1 of the checks of Ahn et al. (2023)
    path = steps_of_the_core(eos.SingleNeuron(loss), eos.GD(lr=lr), [0.3, 15.0], 300)
    slope = losses_of_one_number(loss, 2.0)[1]
    x, y = path.T
    D = (y - x) * (y + x)
    factor = np.array([1 - (lr * slope(s)) ** 2 for s in x * y])
    np.testing.assert_allclose(D[1:], D[:-1] * factor[:-1], rtol=1e-14)


def test_the_edge_of_stability():
    # row S3: for the square-root loss the gap 2/lr - sharpness tends to lr
    lr = 0.01
    run = eos.train(
        eos.SingleNeuron(),
        np.sqrt(2.5 / lr) * np.array([0.5, np.sqrt(1.25)]),
        eos.GD(lr),
        num_steps=400_000,
        record=eos.Record(every=1000, quantities=("loss", "sharpness")),
    )
    assert run.attrs["threshold"] == 2 / lr
    assert 2 / lr - run.sharpness.values[-1] == pytest.approx(0.0100005, abs=1e-6)
    assert run.sharpness.max() < 1.01 * 2 / lr


# ---------------------------------------------------------------------------------------------------------------- start


def test_the_start_in_all_its_forms():
    model = eos.MeanModel(d=20)
    runs = [
        eos.train(model, w0, eos.GD(0.01), num_steps=9, seed=4, record=everything(model))
        for w0 in (model.init(4), list(model.init(4)), model.unpack(model.init(4)), None)
    ]
    for run in runs[1:]:
        xr.testing.assert_identical(without_provenance(run), without_provenance(runs[0]))
    other = eos.train(model, None, eos.GD(0.01), num_steps=9, seed=5, record=everything(model))
    assert other.loss[0] != runs[0].loss[0]


def test_the_start_is_not_changed():
    w0 = np.array([0.3, 2.0])
    eos.train(eos.SingleNeuron(), w0, eos.GD(0.1), num_steps=10)
    np.testing.assert_array_equal(w0, [0.3, 2.0])


# --------------------------------------------------------------------------------------------------------- around a run


@pytest.mark.parametrize("num_threads", [0, 1, 3])
def test_results_do_not_depend_on_threads(num_threads):
    model = eos.ThresholdNeuron(DATA)
    runs = [
        eos.train(model, None, eos.GD(0.1), num_steps=50, record=everything(model), num_threads=n)
        for n in (1, num_threads)
    ]
    xr.testing.assert_identical(*map(without_provenance, runs))
    assert runs[1].attrs["num_threads"] == (num_threads or eos.build_info()["available_threads"])


def test_nothing_is_printed_and_progress_goes_to_stderr(capfd):
    run = eos.train(eos.SingleNeuron(), [0.3, 2.0], eos.GD(0.1), num_steps=100)
    assert capfd.readouterr() == ("", "")
    shown = eos.train(eos.SingleNeuron(), [0.3, 2.0], eos.GD(0.1), num_steps=100, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100/100" in err
    assert "step" in err
    xr.testing.assert_identical(without_provenance(run), without_provenance(shown))


def do_one(lr):
    return eos.train(eos.SingleNeuron(), [0.3, 15.0], eos.GD(lr), num_steps=5000, record=eos.Record(100)).loss.values


def test_runs_in_threads_and_in_spawned_processes():
    rates = [0.01, 0.02, 0.03, 0.04]
    expected = [do_one(lr) for lr in rates]
    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(list(pool.map(do_one, rates)), expected)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pickle.loads(pool.submit(pickle.dumps, eos.SingleNeuron()).result()) == eos.SingleNeuron()


LONG_RUN = """
import sys, time
import numpy as np
import eosfast as eos
data = eos.datasets.sparse_coding(n=300, d=2000)
model = {model}
print("ready", flush=True)
record = eos.Record(every=10**9, quantities=("loss", "weights"))
stop = eos.Stop(steady=False)
run = eos.train(model, {w0}, eos.GD({lr}), num_steps=10**13, record=record, stop=stop, progress={progress})
finite = np.isfinite(run.loss.values).all()
print(run.attrs["status"], run.attrs["num_steps_done"], run.step.values[-1], run.sizes["step"], finite)
"""


@pytest.mark.parametrize("progress", [False, True])
@pytest.mark.parametrize(
    ("model", "w0", "lr"),
    [("eos.SingleNeuron()", "[0.3, 15.0]", "0.01"), ("eos.ThresholdNeuron(data)", "None", "1e-9")],
)
def test_ctrl_c_returns_what_there_is_within_a_second(model, w0, lr, progress):
    status, done, last, rows, finite = words_after_ctrl_c(LONG_RUN.format(model=model, w0=w0, lr=lr, progress=progress))
    assert status == "interrupted"
    assert int(done) == int(last) > 0
    assert int(rows) >= 2
    assert finite == "True"
