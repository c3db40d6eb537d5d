"""`gradient_flow`: many starts and threads, ends before the last time, Ctrl-C, wrong calls; and the distance of a run
from the flow.
"""

import dataclasses
import json

import numpy as np
import pytest

import eosfast as eos
from interruption import words_after_ctrl_c
from reference import DATA, EXAMPLES

XOR = eos.MLP(eos.datasets.xor(), (3,))
NAN = float("nan")


def flow(model=EXAMPLES[0], w0=(0.3, 2.0), times=(0.0, 1.0), **options):
    return eos.gradient_flow(model, w0, times=times, **options)


# ------------------------------------------------------------------------------------------------- many starts, threads


@pytest.mark.parametrize("model", [eos.SingleNeuron("logcosh"), eos.ScalarProduct(depth=3), eos.MeanModel(), XOR])
def test_a_start_does_not_depend_on_the_others(model):
    starts = np.random.default_rng(0).standard_normal((21, model.dim))
    times, names = [0.0, 0.5, 20.0], ("loss", "sharpness", "weights", "hessian_eigs", *model.quantities)
    together = eos.gradient_flow(model, starts, times=times, quantities=names, k=2)
    assert together.weights.dims == ("run", "time", "parameter")
    assert together.hessian_eigs.shape == (21, 3, 2)
    spread = eos.gradient_flow(model, starts, times=times, quantities=names, k=2, num_threads=3)
    part = eos.gradient_flow(model, starts[5:8], times=times, quantities=names, k=2)
    for name in (*names, "num_steps", "status", "sharpness_residual", "sharpness_matvecs"):
        np.testing.assert_array_equal(spread[name], together[name])
        np.testing.assert_array_equal(part[name], together[name][5:8])
    for i in (0, 13, 20):
        alone = eos.gradient_flow(model, starts[i], times=times, quantities=names, k=2, num_threads=2)
        for name in names:
            np.testing.assert_array_equal(alone[name], together[name][i])
        assert alone.attrs["num_steps"] == together.num_steps[i]


def test_the_forms_of_a_start():
    model = eos.ScalarProduct(depth=3)
    for w0 in (model.init(4), list(model.init(4)), model.unpack(model.init(4)), None):
        run = flow(model, w0, seed=4, quantities="weights")
        np.testing.assert_array_equal(run.weights[0], model.init(4))
        assert run.weights.dims == ("time", "parameter")
    assert flow(model, [list(model.init(4))]).loss.dims == ("run", "time")


def test_the_result_says_where_it_comes_from():
    run = flow(times=[0.5, 2.0], rtol=1e-5)
    np.testing.assert_array_equal(run.time, [0.5, 2.0])
    config = json.loads(run.attrs["config"])
    assert config["verb"] == "gradient_flow"
    assert config["rtol"] == 1e-5
    assert config["times"] == [0.5, 2.0]
    assert {"seed", "eosfast_version", "isa", "num_threads", "wall_seconds", "created"} < set(run.attrs)
    assert run.attrs["num_steps"] > 1


# ----------------------------------------------------------------------------------------------- before the last time


@pytest.mark.parametrize("model", [eos.SingleNeuron(), XOR], ids=repr)
def test_a_budget_ends_the_flow(model):
    full = flow(model, None, times=[0.0, 0.01, 1e5], quantities=("loss",), max_steps=10**5)
    run = flow(model, None, times=[0.0, 0.01, 1e5], quantities=("loss",), max_steps=9)
    assert run.attrs["status"] == "budget"
    assert run.attrs["num_steps"] == 9
    assert 1 <= run.sizes["time"] < 3
    np.testing.assert_array_equal(run.loss, full.loss[: run.sizes["time"]])
    many = flow(model, [model.init(0), model.init(0)], times=[0.0, 1e5], quantities=("loss",), max_steps=9)
    assert many.status.attrs["flag_meanings"].split()[int(many.status[1])] == "budget"
    assert np.isnan(many.loss[:, 1]).all()
    assert many.attrs["status"] == "completed"


def test_impossible_tolerances_end():
    for model in (eos.ScalarProduct(), XOR):
        run = flow(model, None, times=[1.0], rtol=1e-300, atol=1e-300, max_steps=10**4)
        assert run.attrs["status"] in ("stalled", "budget")
        assert run.sizes["time"] == 0


def test_a_gradient_that_is_not_finite():
    run = flow(eos.ScalarProduct(depth=3), [1e200, 1e200, 1.0], times=[0.0, 1.0], quantities=("loss",))
    assert run.attrs["status"] == "diverged"
    assert run.sizes["time"] == 1
    starts = [[1e200, 1e200, 1.0], [0.5, 0.7, 1.0]]
    many = flow(eos.ScalarProduct(depth=3), starts, times=[0.0, 1.0], quantities=("loss",))
    alone = flow(eos.ScalarProduct(depth=3), starts[1], times=[0.0, 1.0], quantities=("loss",))
    np.testing.assert_array_equal(many.loss[1], alone.loss)
    assert list(many.status) == [3, 0]


def test_where_nothing_moves():
    run = flow(eos.SingleNeuron(), [0.0, 3.0], times=[0.0, 1e300], quantities=("weights",))
    np.testing.assert_array_equal(run.weights, [[0, 3], [0, 3]])
    assert flow(eos.ScalarProduct(), [0.0, 0.0], times=[1e9]).attrs["status"] == "completed"


LONG_FLOW = """
import numpy as np, xarray
import eosfast as eos
model, w0 = {model}
eos.gradient_flow(eos.SingleNeuron(), times=[0.0])  # loads xarray, and Dask where it is installed
print("ready", flush=True)
run = eos.gradient_flow(model, w0, times=[0.0, 1e-3, 1e12], max_steps=10**12, rtol={rtol}, num_threads={threads},
                        quantities=("loss",), progress={progress})
print(run.attrs["status"], run.sizes["time"], bool(np.isfinite(run.loss.values[..., :2]).all()))
"""


@pytest.mark.parametrize(
    ("model", "threads", "rtol"),
    [
        ("eos.MLP(eos.datasets.xor(), (8,)), None", 1, 1e-8),
        ("eos.ThresholdNeuron(eos.datasets.sparse_coding(n=300, d=2000)), None", 2, 1e-8),
    ],
)
def test_ctrl_c_returns_what_there_is(model, threads, rtol):
    status, rows, finite = words_after_ctrl_c(
        LONG_FLOW.format(model=model, threads=threads, rtol=rtol, progress=threads > 1), 1.5
    )
    assert (status, finite) == ("interrupted", "True")
    assert int(rows) < 3


# ---------------------------------------------------------------------------------------------------------- wrong calls

CASES = {
    "no times": (lambda: flow(times=[]), ValueError, ["times", "(0,)"]),
    "a single time": (lambda: flow(times=1.0), ValueError, ["times", "()"]),
    "a table of times": (lambda: flow(times=[[1.0]]), ValueError, ["times", "(1, 1)"]),
    "times that fall": (lambda: flow(times=[0, 2, 1]), ValueError, ["times", "increase", "2.0", "1.0", "index 2"]),
    "a time twice": (lambda: flow(times=[1, 1]), ValueError, ["times", "increase"]),
    "negative time": (lambda: flow(times=[-1, 1]), ValueError, ["times", ">= 0", "-1.0"]),
    "time nan": (lambda: flow(times=[0, NAN]), ValueError, ["times", "finite", "nan"]),
    "time text": (lambda: flow(times=["1"]), TypeError, ["times", "'1'"]),
    "rtol 0": (lambda: flow(rtol=0), ValueError, ["rtol", "> 0", "0"]),
    "rtol text": (lambda: flow(rtol="1"), TypeError, ["rtol", "'1'"]),
    "atol negative": (lambda: flow(atol=-1e-9), ValueError, ["atol", "> 0", "-1e-09"]),
    "atol nan": (lambda: flow(atol=NAN), ValueError, ["atol", "nan"]),
    "max_steps": (lambda: flow(max_steps=0), ValueError, ["max_steps", ">= 1", "0"]),
    "max_steps float": (lambda: flow(max_steps=1e6), TypeError, ["max_steps", "1000000.0"]),
    "k": (lambda: flow(k=0), ValueError, ["k", ">= 1", "0"]),
    "k above dim": (lambda: flow(k=3, quantities="hessian_eigs"), ValueError, ["k", "at most 2", "3"]),
    "tol": (lambda: flow(tol=0.0), ValueError, ["tol", "> 0"]),
    "seed": (lambda: flow(seed=-1), ValueError, ["seed", "-1"]),
    "num_threads": (lambda: flow(num_threads=True), TypeError, ["num_threads", "True"]),
    "progress": (lambda: flow(progress=None), TypeError, ["progress", "None"]),
    "model": (lambda: flow(model=None), TypeError, ["model", "None"]),
    "quantity": (lambda: flow(quantities=["los"]), ValueError, ["quantities", "'los'", "did you mean 'loss'"]),
    "quantity of a run": (
        lambda: flow(quantities="distance_to_flow"),
        ValueError,
        ["quantities", "'distance_to_flow'"],
    ),
    "no matched time": (
        lambda: distances(EXAMPLES[0], None, eos.NormalizedGD(0.1), 3),
        ValueError,
        ["quantities", "'distance_to_flow'", "NormalizedGD(lr=0.1)"],
    ),
    "quantity twice": (lambda: flow(quantities=("loss", "loss")), ValueError, ["quantities", "'loss'", "2 times"]),
    "start": (lambda: flow(w0=[1.0]), ValueError, ["w0", "(2,)", "(1,)"]),
    "starts": (lambda: flow(w0=np.ones((2, 3))), ValueError, ["w0", "(runs, 2)", "(2, 3)"]),
    "no starts": (lambda: flow(w0=np.ones((0, 2))), ValueError, ["w0", "runs >= 1", "(0, 2)"]),
    "starts in a cube": (lambda: flow(w0=np.ones((1, 1, 2))), ValueError, ["w0", "(1, 1, 2)"]),
    "start nan": (lambda: flow(w0=[[0.3, NAN]]), ValueError, ["w0", "finite", "nan"]),
    "start incomplete": (lambda: flow(w0={"x": 1.0}), ValueError, ["missing", "y"]),
    "too long": (lambda: flow(w0=np.ones((10**5, 2)), times=np.arange(1e7)), ValueError, ["bytes", "available"]),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_calls_are_answered_in_one_sentence(case, capfd):
    call, error, words = CASES[case]
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    for word in words:
        assert word in message, message
    assert "\n" not in message
    assert not message.endswith(".")
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------------------------------------- distance to the flow


def distances(model, w0, optimizer, num_steps, record=1, **options):
    record = eos.Record(record, quantities=("weights", "distance_to_flow"))
    return eos.train(model, w0, optimizer, num_steps=num_steps, record=record, **options)


@pytest.mark.parametrize("model", [eos.SingleNeuron(), eos.ThresholdNeuron(DATA), XOR], ids=repr)
@pytest.mark.parametrize("optimizer", [eos.GD(0.01), eos.HeavyBall(0.01, 0.5), eos.Nesterov(0.001, 0.9)], ids=repr)
def test_distances_are_those_from_the_flow_at_the_matched_time(model, optimizer):
    w0 = np.array([0.4, -0.3, 0.9])[: model.dim] if model.dim < 4 else model.init(1)
    run = distances(model, w0, optimizer, 40, record=[0, 7, 40])
    times = optimizer.lr * run.step.values / (1 - getattr(optimizer, "momentum", 0.0))
    along = flow(model, w0, times=times, quantities="weights").weights.values
    np.testing.assert_array_equal(run.distance_to_flow[0], 0)
    expected = np.linalg.norm(run.weights.values - along, axis=1)
    np.testing.assert_allclose(run.distance_to_flow, expected, rtol=1e-6, atol=1e-9)


def test_a_slow_heavy_ball_is_near_the_flow():
    gaps = [distances(XOR, None, eos.HeavyBall(lr, 0.9), round(0.2 / lr)).distance_to_flow[-1] for lr in (2e-3, 1e-3)]
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("trainable", ["first", "both"])
def test_distances_under_weight_decay_count_what_the_data_do_not_see(trainable):
    # two samples of nine coordinates: most of the start is outside the row space, where the flow of the loss rests
    data = eos.Dataset(np.random.default_rng(1).standard_normal((2, 9)), [1.0, -1.0])
    reduced = eos.TwoLayerNetwork(data, 4, "tanh", loss="mse", trainable=trainable)
    whole = dataclasses.replace(reduced, reduce=False)
    rule, steps = eos.GD(0.05, weight_decay=0.7), [0, 1, 10, 30]
    run = distances(reduced, None, rule, 30, record=steps)
    along = flow(whole, None, times=0.05 * np.array(steps), quantities="weights").weights.values
    expected = np.linalg.norm(run.weights.values - along, axis=1)
    assert expected[-1] > 1
    np.testing.assert_allclose(run.distance_to_flow, expected, rtol=1e-6, atol=1e-9)
    other = distances(whole, None, rule, 30, record=steps)
    np.testing.assert_allclose(run.distance_to_flow, other.distance_to_flow, rtol=1e-9)


@pytest.mark.parametrize("w0", [[0.6, 1.5], [0.9, 1.0]])
def test_distances_of_a_cycle_are_filled_in(w0):
    optimizer, num_steps = eos.GD(1.1 if w0[0] < 0.7 else 1.26), 9001  # a 2-cycle and a 4-cycle of (xy - 1)^2/2
    filled = distances(eos.ScalarProduct(), w0, optimizer, num_steps, record=7)
    computed = distances(eos.ScalarProduct(), w0, optimizer, num_steps, record=7, stop=eos.Stop(steady=False))
    assert filled.attrs["status"] == "steady"
    np.testing.assert_array_equal(filled.distance_to_flow, computed.distance_to_flow)


def test_a_run_that_diverges_leaves_the_flow():
    run = distances(eos.ScalarProduct(), [2.0, 1.6], eos.GD(0.9), 1000)
    assert run.attrs["status"] == "diverged"
    assert run.distance_to_flow[-1] > 1e3
