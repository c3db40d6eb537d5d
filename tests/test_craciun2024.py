"""Craciun and Ghoshdastidar 2024 reproduced: every check passes and can fail, every figure comes out."""

from __future__ import annotations

import re

import numpy as np
import pytest

import eosfast as eos
from eosfast import theory
from eosfast.papers import PaperFigure, craciun2024
from eosfast.papers.craciun2024 import matrix_checks, scalar_checks, simulations, transition_figures
from test_papers import check_figure

# --------------------------------------------------------------------------------------------------------------- checks


def test_every_prediction_is_confirmed():
    checks = craciun2024.verify()
    assert [check for check in checks if not check.passed] == []
    ids = [check.id for check in checks]
    assert len(set(ids)) == len(ids)
    assert {re.sub(r"[a-z]$", "", id) for id in ids} == {f"B{k}" for k in range(1, 15)}
    assert ids == sorted(ids, key=lambda id: (int(re.findall(r"\d+", id)[0]), id))
    for check in checks:
        assert check.passed == (abs(check.measured - check.expected) <= check.tolerance)
        assert check.source.startswith(("Craciun and Ghoshdastidar 2024", "derived", "computed"))


def test_checks_fail_when_the_dynamics_are_wrong(monkeypatch):
    """With a step size that is off by a fiftieth, what depends on it is refuted."""
    true_sweep, true_train = simulations.sweep, simulations.train

    def wrong_sweep(model, optimizer, grid, **options):
        result = true_sweep(model, optimizer, grid | {"lr": 0.98 * np.asarray(grid["lr"])}, **options)
        return result.assign_coords(lr=result.lr / 0.98)

    def wrong_train(model, w0, optimizer, **options):
        return true_train(model, w0, eos.GD(lr=0.98 * optimizer.lr), **options)

    monkeypatch.setattr(simulations, "sweep", wrong_sweep)
    monkeypatch.setattr(simulations, "train", wrong_train)
    monkeypatch.setattr(scalar_checks, "NUM_RUNS", 1_000)
    for row in (*scalar_checks.ROWS, matrix_checks.grad_norm):
        assert not all(check.passed for check in row()), row.__name__


def test_checks_of_minima_fail_for_other_data(monkeypatch):
    true_problem = theory.linear_problem
    monkeypatch.setattr(theory, "linear_problem", lambda model: true_problem(model)._replace(covariance=None))
    assert not matrix_checks.general_data()[0].passed


# -------------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize("name", ["minima", "grad_norm", "starts"])
def test_figures(name, tmp_path):
    check_figure(craciun2024.figures()[name], tmp_path)


SHORTER = {
    "transition": {"RATIOS": np.array([0.5, 0.9, 1.1]), "SCALAR_RUNS": 50, "MATRIX_RUNS": 8, "MATRIX_STEPS": 2_000},
    "random_data": {"RANDOM_SEEDS": 1, "RANDOM_RUNS": 2, "RANDOM_STEPS": 3_000},
    "nonlinear": {"NONLINEAR_LRS": np.array([0.2, 1.0, 3.0]), "NONLINEAR_RUNS": 8, "NONLINEAR_STEPS": 3_000},
}


@pytest.mark.parametrize("name", sorted(SHORTER))
def test_longer_figures(name, tmp_path, monkeypatch):
    for constant, value in SHORTER[name].items():
        monkeypatch.setattr(transition_figures, constant, value)
    check_figure(craciun2024.figures()[name], tmp_path)


def test_the_list_of_figures_is_complete():
    figures = craciun2024.figures()
    assert tuple(figures) == craciun2024.FIGURE_NAMES
    assert all(isinstance(figure, PaperFigure) and figure.name == name for name, figure in figures.items())


# ---------------------------------------------------------------------------------------------------------- simulations


def test_scalar_runs_end_as_plain_ones():
    starts, lrs = 1.5 * simulations.normal_starts(3, 60, seed=1), np.array([0.3, 0.8])
    runs = simulations.scalar_runs(3, lrs, starts, 3_000)
    ends = {name: simulations.ended(runs, name).values for name in ("converged", "diverged")}
    for i, lr in enumerate(lrs):
        for j, w in enumerate(starts):
            loss = 0.5 * (np.prod(w) - 1.0) ** 2
            for _ in range(3_000):
                if not 1e-20 < loss < 1e12:
                    break
                w = w - lr * (np.prod(w) - 1.0) * np.array([w[1] * w[2], w[0] * w[2], w[0] * w[1]])
                loss = 0.5 * (np.prod(w) - 1.0) ** 2
            assert ends["converged"][i, j] == (loss <= 1e-20)
            assert ends["diverged"][i, j] == (loss >= 1e12)
    summary = simulations.outcomes(runs)
    np.testing.assert_allclose(summary.converged, ends["converged"].mean(axis=1))
    np.testing.assert_allclose(summary.bounded, 1.0 - ends["diverged"].mean(axis=1))
    product = np.where(ends["converged"], lrs[:, None] * runs.sharpness, np.nan)
    assert summary.largest[0] == np.nanmax(product[0])
    assert summary["median"][0] == np.nanmedian(product[0])
    assert np.isnan(summary.least[1])


def test_a_run_that_passes_a_sharp_minimum_goes_on(monkeypatch):
    """At a loss of 1e-8 some runs are where they cannot stay, the top direction having decayed before."""
    early = eos.Stop(loss=1e-8)
    monkeypatch.setattr(simulations, "UNTIL_FITTED", early)
    monkeypatch.setattr(simulations, "ZERO_LOSS", 1e-8)
    model = eos.MLP(transition_figures.four_samples(), (8,), activation="gelu", loss="mse")
    grid = {"lr": [PASSING_LR], "seed": ("run", np.arange(60))}
    stopped = eos.sweep(model, eos.GD(), grid, num_steps=20_000, measure=("loss", "sharpness"), stop=early)
    above = PASSING_LR * stopped.sharpness > 2.0
    assert above.any()
    runs = simulations.network_runs(model, PASSING_LR, 60, 20_000)
    settled = simulations.ended(runs, "converged")
    assert not (settled & (PASSING_LR * runs.sharpness > 2.0)).any()
    same = ~above.values
    np.testing.assert_array_equal(runs.sharpness.values[same], stopped.sharpness.values[same])
    np.testing.assert_array_equal(runs.status.values[same], stopped.status.values[same])
    assert np.all((runs.loss.values <= 1e-8) == settled.values)


PASSING_LR = 0.2 * 40.0 ** (4 / 11)


def test_bisection_brackets_the_critical_step_size():
    lower, upper = simulations.bisected_lr(eos.LinearNetwork((1, 1, 1), target=[[1.0]]), 8, 20_000)
    assert lower < 1.0
    assert upper > 0.98
    assert 1.0 < upper / lower <= 1.004
    with pytest.raises(ValueError, match="num_steps must let some run converge, got 3"):
        simulations.bisected_lr(eos.LinearNetwork((1, 1, 1), target=[[1.0]]), 2, 3)


def test_random_networks_can_be_fitted():
    model = simulations.random_network((3, 3, 2), 8, seed=4)
    assert model.loss_scale == 1.0 / 8.0
    assert np.mean(model.data.y**2) == pytest.approx(1.0)
    best = theory.flattest_minimum(*theory.linear_problem(model))
    w = model.pack(W1=best.weights[0], W2=best.weights[1])
    assert model.loss(w) < 1e-25
    assert model.sharpness(w).values[0] == pytest.approx(best.sharpness, rel=1e-9)


def test_late_records_the_last_steps():
    run = simulations.late(eos.ScalarProduct(), [0.4, 1.3], 1.1, 1_000, 3, ("loss", "weights"))
    whole = eos.train(eos.ScalarProduct(), [0.4, 1.3], eos.GD(1.1), num_steps=1_000)
    np.testing.assert_array_equal(run.loss.values, whole.loss.values[-3:])
