"""How a run ends: at the first step at which a rule holds, exactly there, and on a cycle without computing the rest."""

import time

import numpy as np
import pytest
import xarray as xr

import eosfast as eos
from reference import everything, steps_of_the_core

CADENCES = [1, 7, 1000, 10**7, "log2", [5]]


def first(condition):
    return int(np.argmax(condition))


@pytest.mark.parametrize("every", CADENCES, ids=str)
@pytest.mark.parametrize("optimizer", [eos.GD(lr=0.9), eos.HeavyBall(lr=0.9, momentum=0.1)], ids=repr)
def test_divergence_ends_a_run_at_the_first_step_above(optimizer, every):
    model, w0 = eos.ScalarProduct(), [2.0, 1.6]
    full = eos.train(model, w0, optimizer, num_steps=100, stop=eos.Stop(diverged=np.inf))
    assert full.attrs["status"] == "diverged"  # the loss overflows
    assert not np.isfinite(full.loss[-1])
    for level in (10.0, 1e12, 1e100):
        expected = first(~(full.loss.values <= level))
        run = eos.train(model, w0, optimizer, num_steps=10**7, stop=eos.Stop(diverged=level), record=eos.Record(every))
        assert run.attrs["status"] == "diverged"
        assert run.attrs["num_steps_done"] == run.step.values[-1] == expected
        assert run.loss.values[-1] == full.loss.values[expected]
        assert (run.loss.values[:-1] <= level).all()


@pytest.mark.parametrize("every", CADENCES, ids=str)
@pytest.mark.parametrize("rule", ["loss", "grad_norm"])
def test_convergence_ends_a_run_at_the_first_step_below(rule, every):
    model, w0 = eos.ScalarProduct(depth=3), [1.5, 0.3, 0.8]
    full = eos.train(model, w0, eos.GD(0.05), num_steps=3000, record=eos.Record(quantities=("loss", "grad_norm")))
    for level in (1e-2, 1e-5, 1e-9):
        expected = first(full[rule].values < level)
        assert expected > 0
        stop = eos.Stop(**{rule: level})
        record = eos.Record(every, quantities=("loss", "grad_norm"))
        run = eos.train(model, w0, eos.GD(0.05), num_steps=10**7, stop=stop, record=record)
        assert run.attrs["status"] == "converged"
        assert run.attrs["num_steps_done"] == run.step.values[-1] == expected
        assert run[rule].values[-1] == full[rule].values[expected]


def test_a_run_may_end_where_it_starts():
    model = eos.SingleNeuron()
    for num_steps in (0, 10):
        run = eos.train(model, [1e200, 1e200], eos.GD(0.1), num_steps=num_steps)
        assert run.attrs["status"] == "diverged"
        assert run.attrs["num_steps_done"] == 0
        assert list(run.step.values) == [0]
        run = eos.train(model, [0.1, 1.0], eos.GD(0.1), num_steps=num_steps, stop=eos.Stop(loss=2.0))
        assert run.attrs["status"] == "converged"
        assert run.attrs["num_steps_done"] == 0


def test_a_rule_that_holds_at_the_last_step_holds():
    model, w0 = eos.ScalarProduct(), [2.0, 1.6]
    full = eos.train(model, w0, eos.GD(0.9), num_steps=100, stop=eos.Stop(diverged=np.inf))
    last = first(full.loss.values > 1e12)
    assert eos.train(model, w0, eos.GD(0.9), num_steps=last).attrs["status"] == "diverged"
    assert eos.train(model, w0, eos.GD(0.9), num_steps=last - 1).attrs["status"] == "completed"


# Fixed points and cycles: (xy - 1)^2/2 has a stable 2-cycle at lr = 1.1 and a 4-cycle at lr = 1.26.
ORBITS = [
    (eos.SingleNeuron(), [0.3, 3.0], eos.GD(0.1), 1),
    (eos.SingleNeuron("huber"), [0.0, 3.0], eos.GD(0.1), 1),
    (eos.ScalarProduct(), [0.6, 1.5], eos.GD(1.1), 2),
    (eos.ScalarProduct(), [0.9, 1.0], eos.GD(1.26), 4),
    (eos.ScalarProduct(depth=1), [4.0], eos.GD(2.0), 2),
    (eos.ScalarProduct(depth=3), [0.5, 1.5, 1.0], eos.HeavyBall(0.1, 0.5), None),
    (eos.ThresholdNeuron(eos.Dataset([[1.0, 0.5]], [1])), [0.0, 0.0, -2.0], eos.GD(1.0), 1),
]


@pytest.mark.parametrize(("model", "w0", "optimizer", "period"), ORBITS, ids=lambda value: repr(value))
@pytest.mark.parametrize("every", [1, 7, "log2", [11, 12_000]], ids=str)
def test_a_steady_run_is_filled_in_exactly(model, w0, optimizer, period, every):
    num_steps = 20_001
    record = everything(model, every=every, sharpness_every=3)
    filled = eos.train(model, w0, optimizer, num_steps=num_steps, record=record)
    computed = eos.train(model, w0, optimizer, num_steps=num_steps, record=record, stop=eos.Stop(steady=False))
    assert computed.attrs["status"] == "completed"
    assert "steady_from" not in computed.attrs
    assert filled.attrs["status"] == "steady"
    assert filled.attrs["num_steps_done"] == num_steps
    xr.testing.assert_equal(filled, computed)
    path = steps_of_the_core(model, optimizer, w0, num_steps)
    p, since = filled.attrs["steady_period"], filled.attrs["steady_from"]
    assert period is None or p == period
    np.testing.assert_array_equal(path[since + p :], path[since:-p])
    if optimizer == eos.GD(optimizer.lr) and since > 0:
        assert (path[since - 1 + p] != path[since - 1]).any()


def test_a_run_of_a_billion_steps_that_has_converged_takes_no_time():
    began = time.perf_counter()
    record = eos.Record(every=10**6, quantities=("loss", "sharpness", "weights"))
    run = eos.train(eos.SingleNeuron(), [0.3, 15.0], eos.GD(0.1), num_steps=10**9, record=record)
    assert time.perf_counter() - began < 5
    assert run.attrs["status"] == "steady"
    assert run.sizes["step"] == 1001
    assert run.step[-1] == 10**9
    assert run.attrs["steady_period"] == 2  # x alternates between the two smallest numbers
    assert 10 < run.attrs["steady_from"] < 10**6
    assert (run.loss[1:] == run.loss[-1]).all()
