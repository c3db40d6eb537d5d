"""Many runs of one very small network go side by side: each must have the bits of the same run alone, however it ends
and whatever is measured.
"""

import numpy as np
import pytest

import eosfast as eos
from network_reference import samples

MEASURES = ("loss", "weights", "max_loss", "loss_increases", "last_loss_increase", eos.FirstBelow("loss", 0.4))
MODELS = [
    eos.TwoLayerNetwork(eos.datasets.xor(), 20, eos.Leaky("softplus", 0.5, 0.125)),
    eos.TwoLayerNetwork(eos.datasets.xor(), 3, "gelu", trainable="both"),
    eos.TwoLayerNetwork(samples(5, 3), 8, "tanh", bias=True, trainable="both"),
    eos.TwoLayerNetwork(samples(7, 2, "numbers"), 9, "silu", loss="mse", trainable="both", scale=3.0),
    eos.TwoLayerNetwork(samples(4, 1), 1, "relu", bias=True),
    eos.LinearNetwork((2, 3, 2), target=[[2.0, 0.5], [0.0, 1.0]], loss_scale=0.5),
    eos.LinearNetwork((3, 7, 5, 1), samples(5, 3), loss_scale=0.01),
    eos.LinearNetwork((2, 1, 5), samples(9, 2, 5), loss_scale=0.02),
]


def alone(model, optimizer, lr, seed, num_steps, stop):
    """The same run by `train`, every iterate's loss recorded."""
    rule = type(optimizer)(lr, *([optimizer.momentum] if hasattr(optimizer, "momentum") else []))
    record = eos.Record(1, ("loss", "weights"))
    return eos.train(model, model.init(seed), rule, num_steps=num_steps, record=record, stop=stop)


def assert_same(phase, i, run, status):
    loss = run.loss.values
    np.testing.assert_array_equal(phase.weights.values[i], run.weights.values[-1])
    np.testing.assert_array_equal(phase.loss.values[i], loss[-1])
    assert phase.num_steps_done.values[i] == run.num_steps_done
    assert status[phase.status.values[i]] == run.status
    increases = np.flatnonzero(loss[1:] > loss[:-1])
    np.testing.assert_array_equal(phase.max_loss.values[i], np.nanmax(loss))
    assert phase.loss_increases.values[i] == len(increases)
    assert phase.last_loss_increase.values[i] == (increases[-1] if len(increases) else -1)
    below = np.flatnonzero(loss < 0.4)
    assert phase.first_below_loss.values[i] == (below[0] if len(below) else -1)


@pytest.mark.parametrize("model", MODELS, ids=range(len(MODELS)))
@pytest.mark.parametrize("optimizer", [eos.GD(), eos.HeavyBall(momentum=0.6)], ids=repr)
@pytest.mark.parametrize("stop", [eos.Stop(steady=False), eos.Stop(loss=0.35), eos.Stop(diverged=2.0)], ids=repr)
def test_runs_that_end_apart_have_the_bits_of_train(model, optimizer, stop):
    count, num_steps = 21, 50
    lrs = np.geomspace(0.1, 300.0, count)
    grid = {"lr": ("run", lrs), "seed": ("run", np.arange(count) % 4)}
    phase = eos.sweep(model, optimizer, grid, num_steps=num_steps, measure=MEASURES, stop=stop, num_threads=2)
    status = phase.status.flag_meanings.split()
    for i in range(count):
        assert_same(phase, i, alone(model, optimizer, lrs[i], i % 4, num_steps, stop), status)
    plain = eos.sweep(model, optimizer, grid, num_steps=num_steps, measure=("loss", "weights"), stop=stop)
    np.testing.assert_array_equal(plain.weights, phase.weights)


def test_runs_that_repeat_are_filled_in():
    """A step so small that nothing moves, and a step that lands on a cycle, among others that go on."""
    model = eos.TwoLayerNetwork(eos.datasets.xor(), 2, "relu", loss="logistic")
    lrs = np.array([1e-300, 1.0, 1e-290, 50.0, 4.0, 1e-280, 9.0])
    measure = ("loss", "weights", "loss_increases", eos.Mean("loss", last=500))
    num_steps = 2500
    phase = eos.sweep(model, eos.GD(), {"lr": lrs}, num_steps=num_steps, measure=measure, num_threads=1)
    status = phase.status.flag_meanings.split()
    for i, lr in enumerate(lrs):
        run = alone(model, eos.GD(), lr, 0, num_steps, eos.Stop())
        assert status[phase.status.values[i]] == run.status
        np.testing.assert_array_equal(phase.weights.values[i], run.weights.values[-1])
        assert phase.loss_increases.values[i] == np.sum(run.loss.values[1:] > run.loss.values[:-1])
        assert phase.mean_loss.values[i] == pytest.approx(run.loss.values[-500:].mean(), rel=1e-12)
    assert (phase.status.values[[0, 2, 5]] == status.index("steady")).all()


@pytest.mark.parametrize("measure", ["sharpness", "mean_sharpness", "period", "lyapunov", "grad_norm", "margin"])
def test_a_measure_of_the_last_steps_takes_over_from_the_lanes(measure):
    model, lrs = MODELS[0], np.linspace(5.0, 90.0, 11)
    together = eos.sweep(model, eos.GD(), {"lr": lrs}, num_steps=400, measure=("loss", "weights", measure))
    for i, lr in enumerate(lrs):
        one = eos.sweep(model, eos.GD(), {"lr": [lr]}, num_steps=400, measure=(measure, "loss", "weights"))
        for name in ("weights", "loss", measure):
            np.testing.assert_array_equal(one[name].values[0], together[name].values[i])


@pytest.mark.parametrize("count", [4, 5, 8, 13, 40])
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_any_number_of_runs_and_threads(count, num_threads):
    model, lrs = MODELS[1], np.linspace(1.0, 20.0, 40)
    whole = eos.sweep(model, eos.GD(), {"lr": lrs}, num_steps=60, measure=("weights",), num_threads=1)
    part = eos.sweep(model, eos.GD(), {"lr": lrs[:count]}, num_steps=60, measure=("weights",), num_threads=num_threads)
    np.testing.assert_array_equal(part.weights, whole.weights[:count])


def test_networks_on_different_data_take_turns():
    data = eos.datasets.separable(6, 2, 0.1, 0)
    model = eos.TwoLayerNetwork(data, 5, "softplus")
    grid = {"seed": np.arange(3), "lr": np.linspace(0.5, 5.0, 7)}
    phase = eos.sweep(model, eos.GD(), grid, num_steps=30, measure=("weights",))
    for s in range(3):
        for i, lr in enumerate(grid["lr"]):
            own = model.with_seed(s)
            run = eos.train(own, own.init(s), eos.GD(lr), num_steps=30, record=eos.Record(30, ("weights",)))
            np.testing.assert_array_equal(phase.weights.values[s, i], run.weights.values[-1])
