"""The measures of a sweep are what they say."""

import numpy as np
import pytest

import eosfast as eos
from reference import DATA, lyapunov
from sweep_reference import ALL_MEASURES, STATUS


@pytest.mark.parametrize(("lr", "expected"), [(0.5, 1), (1.1, 2), (1.2, 2), (1.24, 4), (1.28, 4), (1.6, 0)])
def test_period_doubling_of_the_scalar_product(lr, expected):
    # Chen and Bruna (2022): a stable 2-cycle for 1 < lr < sqrt(5) - 1 = 1.236, then 4, 8, ..., then chaos
    found = eos.sweep(
        eos.ScalarProduct(),
        eos.GD(),
        {"lr": [lr]},
        w0={"w1": 0.9, "w2": 0.95},
        num_steps=20_000,
        measure=("period", "lyapunov"),
    )
    assert int(found.period[0]) == expected
    if lr > 0.5:  # at a minimum the direction along the valley neither grows nor shrinks
        assert (found.lyapunov[0] > 0.01) == (expected == 0)


@pytest.mark.parametrize(
    ("model", "w0", "lr"),
    [
        (eos.ScalarProduct(), [0.9, 0.95], 1.6),
        (eos.ScalarProduct(), [0.9, 0.95], 1.1),
        (eos.SingleNeuron("logcosh"), [0.5, 6.0], 0.1),
        (eos.MeanModel(d=10), [0.4, -0.2, 0.0], 0.3),
    ],
    ids=repr,
)
def test_lyapunov_is_the_growth_of_a_tangent_vector(model, w0, lr):
    num_steps = 4001
    grid = {name: [value] for name, value in zip(model.parameters, w0, strict=True)}
    found = eos.sweep(model, eos.GD(lr), grid, num_steps=num_steps, measure=("lyapunov",), seed=3)
    # The direction is random: it turns to the leading one within some steps of the 2000 that count.
    assert float(found.lyapunov.squeeze()) == pytest.approx(lyapunov(model, eos.GD(lr), w0, num_steps), abs=5e-3)


def test_lyapunov_of_a_quadratic_is_exact():
    for rule, rate in ((eos.GD(0.3), np.log(0.7)), (eos.GD(2.5), np.log(1.5))):
        found = eos.sweep(
            eos.ScalarProduct(depth=1, target=0.0), rule, {"w1": [1.0]}, num_steps=50, measure=("lyapunov",)
        )
        assert float(found.lyapunov[0]) == pytest.approx(rate, rel=1e-13)


def test_increases_of_the_loss_are_those_of_the_series():
    model, lr, w0 = eos.SingleNeuron(), 0.01, [0.5, 16.0]
    loss = eos.train(model, w0, eos.GD(lr), num_steps=2000).loss.values
    t = np.flatnonzero(loss[1:] > loss[:-1])
    assert t.size
    found = eos.sweep(
        model,
        eos.GD(),
        {"lr": [lr]},
        w0={"x": 0.5, "y": 16.0},
        num_steps=2000,
        measure=("loss_increases", "last_loss_increase", "max_loss"),
    )
    assert int(found.loss_increases[0]) == t.size
    assert int(found.last_loss_increase[0]) == t[-1]
    assert float(found.max_loss[0]) == loss.max() == loss[0]


def test_accuracy_is_a_measure_of_models_that_have_it():
    model = eos.ThresholdNeuron(DATA)
    found = eos.sweep(model, eos.GD(), {"lr": [0.01, 0.1]}, num_steps=100, measure=("accuracy", "weights"))
    for i in range(2):
        assert float(found.accuracy[i]) == model.accuracy(found.weights[i])


def test_measures_may_be_named():
    measure = [
        eos.FirstBelow("loss", 2.0),
        eos.FirstBelow("loss", 1.1, name="settled"),
        eos.Mean("loss", 5, name="tail"),
    ]
    found = eos.sweep(eos.SingleNeuron(), eos.GD(), {"lr": [0.1]}, w0={"x": 1, "y": 3}, num_steps=100, measure=measure)
    assert list(found.data_vars)[:3] == ["first_below_loss", "settled", "tail"]
    assert int(found.settled[0]) > int(found.first_below_loss[0]) > 0
    assert set(eos.sweep(eos.SingleNeuron(), eos.GD(), {"lr": [0.1]}, num_steps=1, measure="loss").data_vars) == {
        "loss",
        "status",
        "num_steps_done",
    }


def test_steady_runs_are_summarised_as_if_computed():
    grid = {"lr": [0.5, 1.1, 1.2, 1.26], "w2": [0.5, 1.0, 1.5]}
    run = {
        stop: eos.sweep(
            eos.ScalarProduct(),
            eos.GD(),
            grid,
            w0={"w1": 0.7},
            num_steps=200_000,
            measure=ALL_MEASURES,
            stop=eos.Stop(steady=stop),
        )
        for stop in (True, False)
    }
    assert (run[True].status == STATUS.index("steady")).any()
    assert not (run[False].status == STATUS.index("steady")).any()
    for name in set(run[True].data_vars) - {"status"}:
        if name in ("lyapunov", "mean_loss", "mean_sharpness", "mean_grad_norm"):
            np.testing.assert_allclose(run[True][name], run[False][name], rtol=1e-9, atol=1e-300)
        else:
            np.testing.assert_array_equal(run[True][name], run[False][name], err_msg=name)
