"""Cai et al. 2024 reproduced: every check passes and can fail, every figure comes out, on real images too."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

import eosfast as eos
from eosfast.papers import PaperFigure, cai2024
from eosfast.papers.cai2024 import data_figures, logistic_checks, rate_figures, simulations, theorem_checks, xor_checks
from test_papers import check_figure

QUICK = (
    theorem_checks.constants_of_activations,
    logistic_checks.oscillation_of_the_toy,
    logistic_checks.cascade,
    logistic_checks.acceleration,
    logistic_checks.exponential_loss,
    xor_checks.trajectory,
    xor_checks.onset,
    xor_checks.neurons,
)

# --------------------------------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.__name__)
def test_predictions_are_confirmed(row):
    checks = row()
    assert checks
    assert [check for check in checks if not check.passed] == []


@pytest.mark.slow
def test_every_prediction_is_confirmed():
    checks = cai2024.verify()
    assert [check for check in checks if not check.passed] == []
    ids = [check.id for check in checks]
    assert len(set(ids)) == len(ids)
    assert {re.sub(r"[a-z]$", "", id) for id in ids} == {f"C{k}" for k in range(1, 30)}
    sources = (
        "Cai et al. 2024",
        "Wu et al. 2024",
        "Wu, Braverman, Lee 2023",
        "Meng et al. 2024",
        "derived",
        "computed",
    )
    for check in checks:
        assert check.passed == (abs(check.measured - check.expected) <= check.tolerance)
        assert check.source.startswith(sources)


def test_checks_fail_when_the_dynamics_are_wrong(monkeypatch):
    """With a step size that is off by a fiftieth, what depends on it is refuted."""
    true_train = simulations.train

    def wrong_train(model, w0, optimizer, **options):
        return true_train(model, w0, eos.GD(lr=1.02 * optimizer.lr), **options)

    monkeypatch.setattr(simulations, "train", wrong_train)
    for row in (xor_checks.trajectory, xor_checks.neurons, xor_checks.onset):
        assert not all(check.passed for check in row()), row.__name__


def test_the_theorems_are_refuted_by_another_network(monkeypatch):
    """Constants that are ten times too small make thresholds that do not hold what the theorem says of them."""
    true_constants = simulations.theory.network_constants

    def too_small(model):
        return simulations.theory.Constants(*(0.1 * value for value in true_constants(model)))

    monkeypatch.setattr(simulations.theory, "network_constants", too_small)
    monkeypatch.setattr(theorem_checks, "NUM_STEPS", 2_000)
    theorem_checks.runs.cache_clear()
    checks = [*theorem_checks.monotone_phase(), *theorem_checks.stable_phase()]
    theorem_checks.runs.cache_clear()
    assert {"C2", "C4", "C3d"} <= {check.id for check in checks if not check.passed}


# -------------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize("name", ["neurons", "transition", "acceleration"])
def test_figures(name, tmp_path):
    check_figure(cai2024.figures()[name], tmp_path)


SHORTER = {  # constants of data_figures: a drawing does not care how long the runs were
    "label_noise": ("NOISE_STEPS", 1_000),
    "choices": ("CHOICE_STEPS", 100),
    "edge_of_stability": ("DEEP_STEPS", 600),
    "four_layers": ("LAYERS_STEPS", 1_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(cai2024.FIGURE_NAMES) - {"neurons", "transition", "acceleration"}))
def test_longer_figures(name, tmp_path, monkeypatch):
    if name in SHORTER:
        monkeypatch.setattr(data_figures, *SHORTER[name])
    check_figure(cai2024.figures()[name], tmp_path)


def test_the_list_of_figures_is_complete():
    figures = cai2024.figures()
    assert tuple(figures) == cai2024.FIGURE_NAMES
    assert all(isinstance(figure, PaperFigure) and figure.name == name for name, figure in figures.items())


def test_real_images_are_those_of_the_folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for batch in range(1, 6):
        labels = np.repeat(np.arange(10, dtype=np.uint8), 4)
        pixels = rng.integers(256, size=(40, 3072), dtype=np.uint8)
        (folder / f"data_batch_{batch}.bin").write_bytes(np.column_stack([labels, pixels]).tobytes())
    monkeypatch.setattr(cai2024, "CIFAR_SAMPLES", 30)
    monkeypatch.setattr(rate_figures, "GIVEN_STEPS", 20)
    cai2024.figures(tmp_path)["real_data"](tmp_path / "out")
    data = xr.load_dataset(tmp_path / "out/real_data.nc", engine="h5netcdf")
    assert data.attrs["data"] == "CIFAR-10, two classes"
    assert (data.attrs["n"], data.attrs["num_test"], data.attrs["d"]) == (20, 10, 3072)
    assert data.step[-1] == 20
    with pytest.raises(FileNotFoundError, match="nowhere"):
        cai2024.figures(tmp_path / "nowhere")


# ---------------------------------------------------------------------------------------------------------- simulations


def test_spaced_steps_begin_dense_and_end_with_the_last():
    for num_steps in (1, 7, 200, 201, 5_000, 10**6):
        steps = simulations.spaced(num_steps)
        assert steps[0] == 0
        assert steps[-1] == num_steps
        assert np.all(np.diff(steps) >= 1)
        dense = min(num_steps, 200)
        np.testing.assert_array_equal(steps[: dense + 1], np.arange(dense + 1))
        assert len(steps) < 201 + 45 * 4


def test_split_and_flipped_keep_what_they_say():
    data = eos.datasets.digits((3, 8))
    training, test = simulations.split(data, 100, seed=1)
    assert (training.n, test.n) == (data.n - 100, 100)
    together = np.vstack([training.X, test.X])
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(data.X, axis=0))
    wrong = simulations.flipped(training, 0.1)
    assert np.sum(wrong.y != training.y) == round(0.1 * training.n)
    np.testing.assert_array_equal(wrong.X, training.X)


def test_runs_at_several_step_sizes_are_those_of_train():
    model, start = simulations.separable_network(0)
    runs = simulations.at_step_sizes(model, start, [4.0, 64.0], 300, test=model.data)
    for lr in (4.0, 64.0):
        alone = eos.train(model, start, eos.GD(lr=lr), num_steps=300)
        one = runs.sel(lr=lr)
        np.testing.assert_array_equal(one.loss, alone.loss.sel(step=one.step))
        below = one.loss.values <= simulations.monotone_threshold(model, lr)
        assert one.below_4 == (one.step.values[np.argmax(below)] if below.any() else -1)
        assert one.accuracy[-1] == model.accuracy(one.W.values)
