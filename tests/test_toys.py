"""The related toys reproduced: every check passes and can fail, every figure comes out."""

from __future__ import annotations

import re

import numpy as np
import pytest

import eosfast as eos
from eosfast.papers import PaperFigure, toys
from eosfast.papers.toys import (
    descent_figures,
    diagonal_checks,
    diagonal_figures,
    drift_checks,
    drift_figures,
    map_checks,
    product_checks,
    product_figures,
    simulations,
)
from test_papers import check_figure

ROWS = (*map_checks.ROWS, *product_checks.ROWS, *drift_checks.ROWS, *diagonal_checks.ROWS)

# --------------------------------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_predictions_are_confirmed(row):
    checks = row()
    assert checks
    assert [check for check in checks if not check.passed] == []
    for check in checks:
        assert check.passed == (abs(check.measured - check.expected) <= check.tolerance)


SOURCES = ("derived", "computed", "Berthier 2026", "Damian et al. 2023", "Kreisler et al. 2023", "Feigenbaum")


@pytest.mark.slow
def test_the_list_of_checks_is_complete():
    checks = toys.verify()
    ids = [check.id for check in checks]
    assert len(set(ids)) == len(ids)
    groups = "A1 B1 B2 D1 E1 E2 E3 E4 E5 E6 E7 E8 E9 E12 F1 G1 G2 K1 L1 U1 V1 Y1 Z1"
    assert {re.sub(r"[a-z]$", "", id) for id in ids} == set(groups.split())
    assert all(check.source.startswith(SOURCES) for check in checks)


def test_checks_fail_when_the_dynamics_are_wrong(monkeypatch):
    """With a step size that is off by a hundredth, what depends on it is refuted."""
    true_sweep, true_train = simulations.sweep, simulations.train

    def longer(optimizer):
        values = {name: getattr(optimizer, name) for name in optimizer.__dataclass_fields__}
        return type(optimizer)(**values | {"lr": None if values["lr"] is None else 1.01 * values["lr"]})

    def wrong_sweep(model, optimizer, grid, **options):
        off = dict(grid)
        if "lr" in grid:
            name, lr = grid["lr"] if isinstance(grid["lr"], tuple) else ("lr", grid["lr"])
            off["lr"] = (name, 1.01 * np.asarray(lr))
        result = true_sweep(model, longer(optimizer), off, **options)
        return result.assign_coords(lr=result.lr / 1.01) if "lr" in grid else result

    monkeypatch.setattr(simulations, "sweep", wrong_sweep)
    monkeypatch.setattr(
        simulations, "train", lambda model, w0, rule, **rest: true_train(model, w0, longer(rule), **rest)
    )
    standing = [
        row.__name__ for row in ROWS if row is not diagonal_checks.large_steps and all(one.passed for one in row())
    ]
    assert standing == []


# -------------------------------------------------------------------------------------------------------------- figures

SHORTER = {  # sizes of which the drawing does not depend
    "alignment": (product_figures, "ALIGN_STEPS", 300),
    "flow_sharpness": (descent_figures, "FLOW_STEPS", 500),
    "unstable_convergence": (descent_figures, "RATIO_STEPS", 1_000),
    "self_stabilization": (drift_figures, "LOOP_STEPS", 100),
    "drifts": (drift_figures, "SPHERE_TIME", 0.1),
    "diagonal_network": (diagonal_figures, "FACTORS", (0.4, 0.8, 1.04)),
}
LONGER = ("bifurcation", "basins", "minimalist")


@pytest.mark.parametrize("name", sorted(set(toys.FIGURE_NAMES) - set(LONGER)))
def test_figures(name, tmp_path, monkeypatch):
    if name in SHORTER:
        monkeypatch.setattr(*SHORTER[name])
    check_figure(toys.figures()[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", LONGER)
def test_longer_figures(name, tmp_path):
    check_figure(toys.figures()[name], tmp_path)


def test_the_list_of_figures_is_complete():
    figures = toys.figures()
    assert tuple(figures) == toys.FIGURE_NAMES
    assert all(isinstance(figure, PaperFigure) and figure.name == name for name, figure in figures.items())
    assert all(len(figure.caption) > 100 for figure in figures.values())


# ---------------------------------------------------------------------------------------------------------- simulations


def test_starts_are_where_they_say():
    lr = np.array([0.1, 0.02])
    x, y = simulations.on_minima(2.0, 2.6, lr)
    np.testing.assert_allclose(x * y, 1.0, rtol=1e-14)
    for one, u, v in zip(lr, x, y, strict=True):
        sharpness = eos.ScalarProduct(depth=4).sharpness([u, v, u, v]).values[0]
        assert one * sharpness == pytest.approx(2.6, rel=1e-12)
    for depth in (2, 3, 4, 5):
        w = descent_figures.unbalanced(depth, 30.0)
        assert eos.theory.product_flow_sharpness(w) == pytest.approx(30.0, rel=1e-9)
        assert eos.ScalarProduct(depth=depth).loss(w) > 0.0
    w1, w2 = descent_figures.catapult_start(3.0, 0.5, 400.0, 2.0)
    assert w1 * w2 == pytest.approx(40.0)
    assert w1**2 + w2**2 == pytest.approx(400.0 * 6.0)


def test_attractors_are_the_last_steps_of_runs():
    model, w0 = eos.ScalarProduct(depth=2), [0.9, 0.95]
    found = simulations.attractors(model, w0, [0.5, 1.1], 30, 4, progress=False).weights
    assert dict(found.sizes) == {"lr": 2, "step": 4, "parameter": 2}
    for lr in (0.5, 1.1):
        run = eos.train(model, w0, eos.GD(lr), num_steps=40, record=eos.Record(quantities=("weights",)))
        np.testing.assert_array_equal(found.sel(lr=lr), run.weights.isel(step=slice(30, 34)))


def test_periods_are_those_of_crossings():
    run = drift_figures.loop(1.2, 0.01, 2_000)
    y = run.y.values
    up = [t - y[t] / (y[t + 1] - y[t]) + 0.0 for t in range(len(y) - 1) if y[t] < 0.0 <= y[t + 1]]
    np.testing.assert_allclose(drift_figures.loop_periods(run), np.diff(up), rtol=1e-12)
    assert len(up) >= 3


def test_spaced_steps_begin_dense_and_end_with_the_last():
    for num_steps in (1, 150, 200, 201, 5_000):
        steps = simulations.spaced(num_steps)
        assert (steps[0], steps[-1]) == (0, num_steps)
        assert np.all(np.diff(steps) >= 1)
        np.testing.assert_array_equal(steps[: min(num_steps, 200) + 1], np.arange(min(num_steps, 200) + 1))
