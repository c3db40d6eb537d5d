"""Agarwala et al. 2023 reproduced: every check passes and can fail, every figure comes out."""

from __future__ import annotations

import re

import numpy as np
import pytest

import eosfast as eos
from eosfast.papers import PaperFigure, agarwala2023
from eosfast.papers.agarwala2023 import datum_checks, network_figures, random_checks, random_figures, simulations
from test_papers import check_figure

# --------------------------------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize("row", datum_checks.ROWS, ids=lambda row: row.__name__)
def test_predictions_of_one_data_point_are_confirmed(row):
    checks = row()
    assert checks
    assert [check for check in checks if not check.passed] == []


def test_the_relations_over_two_steps_are_confirmed():
    assert [check for check in random_checks.top_mode() if not check.passed] == []


@pytest.mark.slow
def test_every_prediction_is_confirmed():
    checks = agarwala2023.verify()
    assert [check for check in checks if not check.passed] == []
    ids = [check.id for check in checks]
    assert len(set(ids)) == len(ids)
    assert {re.sub(r"[a-z]$", "", id) for id in ids} == {f"A{k}" for k in range(1, 19)}
    for check in checks:
        assert check.passed == (abs(check.measured - check.expected) <= check.tolerance)
        assert check.source.startswith(("Agarwala et al. 2023", "derived", "computed"))


def test_checks_fail_when_the_dynamics_are_wrong(monkeypatch):
    """With a step size that is off by a thousandth, what depends on it is refuted."""
    true_train, true_sweep = simulations.train, simulations.sweep

    def wrong_train(model, w0, optimizer, **options):
        return true_train(model, w0, eos.GD(lr=1.001 * optimizer.lr), **options)

    def wrong_sweep(model, optimizer, grid, **options):
        if "lr" in grid:
            return true_sweep(model, optimizer, grid | {"lr": 1.001 * grid["lr"]}, **options)
        return true_sweep(model, eos.GD(lr=1.001 * optimizer.lr), grid, **options)

    monkeypatch.setattr(simulations, "train", wrong_train)
    monkeypatch.setattr(simulations, "sweep", wrong_sweep)
    for row in (
        datum_checks.reduced_map,
        datum_checks.modes,
        datum_checks.limits,
        datum_checks.step_sizes,
        datum_checks.offsets,
        datum_checks.catapult,
    ):
        assert not all(check.passed for check in row()), row.__name__


def test_the_laws_over_two_steps_can_be_refuted():
    """A top mode that grows by y z instead of 2 y z."""
    rng = np.random.default_rng(0)
    curvature = 2.0 + 0.01 * np.sin(np.arange(400) / 40.0)
    z = 0.01 * np.cumprod(-np.sqrt(curvature - 1.0)) * (1.0 + 1e-6 * rng.standard_normal(400))
    law = simulations.two_step_law(z, curvature)
    slope, _ = simulations.slope_and_correlation(law.expected, law.change)
    assert slope == pytest.approx(0.5, abs=0.1)


# ---------------------------------------------------------------------------------------------------------- simulations


def test_a_run_counts_as_converged_only_below_the_edge():
    """A model that the loss calls converged while its curvature is above 2, and that then leaves again."""
    seeds, s, level = (3, 4), 0.4, 0.5
    models = [simulations.random_model(s, level, seed) for seed in seeds]
    start = np.array([model.loss(np.zeros(model.dim)) for model in models])
    loss, curvature, diverged = simulations.ends_of(models, 3_000, 1e-6 * start.min(), num_threads=1)
    assert not diverged.any()
    assert np.all(loss <= 1e-6 * start)
    assert np.all(curvature > 2.0)
    assert eos.train(models[1], None, eos.GD(1.0), num_steps=600).loss.values[120:].max() > 1e3 * loss[1]
    ended, outcome, _ = simulations.random_ends(s, level, seeds, 3_000, num_threads=1)
    assert np.all(outcome == simulations.CONVERGED)
    assert np.all(ended < 2.0)


def test_runs_stopped_too_early_are_run_again(monkeypatch):
    """With a first run that stops at once, as if the loss were tiny, the second decides."""
    true_ends, calls = simulations.ends_of, []

    def ends_of(models, num_steps, loss=None, num_threads=0):
        calls.append((len(models), loss))
        found = true_ends(models, num_steps, loss, num_threads)
        if loss is None:
            return found
        return np.zeros(len(models)), np.where(np.arange(len(models)) == 1, 2.1, found[1]), found[2]

    monkeypatch.setattr(simulations, "ends_of", ends_of)
    _, outcome, early = simulations.random_ends(0.2, 0.5, range(3), 1_500, num_threads=1)
    assert early == 1
    assert [count for count, _ in calls] == [3, 1]
    assert calls[1][1] is None
    assert np.all(outcome == simulations.CONVERGED)


def test_ends_of_one_data_point_are_those_of_train():
    ends = simulations.datum_ends([-1.0, -0.3, 0.4, -3.0], [0.9, 0.6, 0.2, 3.0], 0.02)
    for k, start in enumerate([(-1.0, 0.9), (-0.3, 0.6)]):
        run = simulations.datum_run(*start, 0.02, 20_000, every=20_000)
        assert abs(run.z[-1]) < 1e-9
        assert ends[k] == pytest.approx(float(run["T"][-1]), abs=1e-9)
    assert np.isnan(ends[2:]).all()  # no such parameters; diverges


def test_derivatives_at_the_start_are_those_of_a_short_flow():
    model = simulations.random_model(0.4, 0.5, 1, (6, 9))
    top, first, second = simulations.first_and_second_rate(model)
    lr, w, tops = 1e-4, np.zeros(model.dim), []
    for _ in range(41):
        tops.append(simulations.top_curvature(model, w))
        w = w - lr * model.grad(w + -0.5 * lr * model.grad(w))  # midpoint
    fit = np.polyfit(lr * np.arange(41), np.array(tops) - top, 4)
    assert tops[0] == pytest.approx(top, rel=1e-12)
    assert fit[-2] == pytest.approx(first, rel=1e-4)
    assert 2.0 * fit[-3] == pytest.approx(second, rel=1e-2)


# -------------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize("name", ["landscape", "one_datum", "limits"])
def test_figures(name, tmp_path):
    check_figure(agarwala2023.figures()[name], tmp_path)


SHORTER = {
    "random_models": (random_figures, {"SIZES": ((6, 12), (20, 40)), "SIZE_SEEDS": 8, "CASE_STEPS": 200}),
    "random_map": (random_figures, {"MAP_SEEDS": 3, "MAP_STEPS": 300, "MAP_S": (0.1, 0.5, 1.0), "MAP_LEVELS": (0.5,)}),
    "false_convergence": (random_figures, {"TRAP_SEEDS": 6, "TRAP_STEPS": 400, "MAP_STEPS": 500}),
    "top_mode": (network_figures, {"FIRST": 2_000, "LAST": 2_100}),
    "output_curvature": (network_figures, {"LAST": 2_400, "EXTREMES_EVERY": 200, "NUM_MATVECS": 20}),
}


@pytest.mark.parametrize("name", ["starts", *SHORTER])
@pytest.mark.slow
def test_longer_figures(name, tmp_path, monkeypatch):
    if name in SHORTER:
        module, values = SHORTER[name]
        for constant, value in values.items():
            monkeypatch.setattr(module, constant, value)
    check_figure(agarwala2023.figures()[name], tmp_path)


def test_the_list_of_figures_is_complete():
    figures = agarwala2023.figures()
    assert tuple(figures) == agarwala2023.FIGURE_NAMES
    assert all(isinstance(figure, PaperFigure) and figure.name == name for name, figure in figures.items())
