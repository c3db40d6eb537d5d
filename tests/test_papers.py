"""Papers reproduced: every check passes, every figure comes out, and both can fail."""

from __future__ import annotations

import csv
import io
import math
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import eosfast as eos
from eosfast import papers
from eosfast.papers import Check, PaperFigure, ahn2023
from eosfast.papers.ahn2023 import network_checks, network_figures, neuron_checks, neuron_figures, simulations
from eosfast.papers.check import compare, farthest, format_table, to_csv
from eosfast.papers.runs import finished

# --------------------------------------------------------------------------------------------------------------- checks


def test_a_check_passes_within_its_tolerance():
    check = compare("T1", "a number", "derived", 1.0, np.float64(1.5), xr.DataArray(0.5))
    assert check == Check("T1", "a number", "derived", 1.0, 1.5, 0.5, passed=True)
    assert type(check.measured) is float
    assert type(check.passed) is bool
    assert not compare("T1", "", "", 1.0, 1.51, 0.5).passed
    assert not compare("T1", "", "", 1.0, math.nan, math.inf).passed
    assert compare("T1", "", "", 0.0, 0, 0).passed
    with pytest.raises(AttributeError):
        check.passed = False


def test_farthest_finds_the_worst():
    assert farthest([[1.0, 2.0], [-3.0, 2.5]], 1.0) == -3.0
    assert math.isnan(farthest([1.0, math.nan, 100.0], 1.0))
    assert farthest(4.0, 1.0) == 4.0


def test_table_and_csv_say_the_same():
    checks = [
        compare("A1", "short", "derived", 1.0, 1.0, 0.0),
        compare("A10b", "x" * 30 + " y" * 90, "paper, p. 1", 1, 2, 0.5),
    ]
    table = format_table(checks, width=100)
    assert "A1    passed" in table
    assert "A10b  FAILED" in table
    assert table.splitlines()[-1] == "1 of 2 checks passed"
    assert max(map(len, table.splitlines())) <= 100
    assert "[paper, p. 1]" in " ".join(table.split())
    rows = list(csv.DictReader(io.StringIO(to_csv(checks))))
    assert [row["id"] for row in rows] == ["A1", "A10b"]
    assert [row["passed"] for row in rows] == ["True", "False"]
    assert float(rows[1]["measured"]) == 2.0
    assert rows[1]["statement"] == checks[1].statement


@pytest.mark.slow
def test_every_prediction_of_ahn2023_is_confirmed(ahn2023_checks):
    checks = ahn2023_checks
    assert [check for check in checks if not check.passed] == []
    ids = [check.id for check in checks]
    assert len(set(ids)) == len(ids)
    rows = {f"S{k}" for k in range(1, 12)} | {f"M{k}" for k in range(1, 8)} | {f"N{k}" for k in range(1, 9)}
    assert {id.rstrip("abcdefgh") for id in ids} == rows
    for check in checks:
        assert check.passed == (abs(check.measured - check.expected) <= check.tolerance)
        assert check.source.startswith(("Ahn et al. 2023, ", "derived", "computed"))


def test_checks_fail_when_the_dynamics_are_wrong(monkeypatch):
    """With the step size that the model sees off by a thousandth, what depends on it is refuted."""
    true_sweep, true_train = simulations.sweep, simulations.train

    def wrong_sweep(model, optimizer, grid, **options):
        name, lr = grid["lr"] if isinstance(grid["lr"], tuple) else ("lr", grid["lr"])
        result = true_sweep(model, optimizer, grid | {"lr": (name, 1.001 * np.asarray(lr))}, **options)
        return result.assign_coords(lr=result.lr / 1.001)

    def wrong_train(model, w0, optimizer, **options):
        return true_train(model, w0, eos.GD(lr=1.001 * optimizer.lr), **options)

    monkeypatch.setattr(simulations, "sweep", wrong_sweep)
    monkeypatch.setattr(simulations, "train", wrong_train)
    for row in (neuron_checks.conservation, neuron_checks.edge_gap_constants, network_checks.final_biases):
        assert not all(check.passed for check in row()), row.__name__


# -------------------------------------------------------------------------------------------------------------- figures


def assert_written(folder, name):
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.nc", f"{name}.png"]
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    data = xr.load_dataset(folder / f"{name}.nc", engine="h5netcdf")
    assert data.attrs["eosfast_version"] == eos.__version__
    assert data.attrs["title"] == name
    assert len(data.attrs["comment"]) > 50
    for variable in data.data_vars.values():
        assert np.isfinite(variable.values).all(), variable.name
    return data


@pytest.mark.parametrize("name", ["fig2", "two_regimes", "mean_model"])
def test_figures_of_ahn2023(name, tmp_path):
    check_figure(ahn2023.figures()[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fig1", "phase_diagram", "exponent"])
def test_longer_figures_of_ahn2023(name, tmp_path):
    check_figure(ahn2023.figures()[name], tmp_path)


def check_figure(figure, tmp_path):
    """Its files hold finite data, its type is legible, it changes no setting, and it can be drawn from the file."""
    settings = dict(mpl.rcParams)
    drawn = figure(tmp_path / "made")
    assert dict(mpl.rcParams) == settings
    data = assert_written(tmp_path / "made", figure.name)
    width = drawn.get_size_inches()[0]
    assert width <= 7.0
    again = figure.draw(data)
    assert isinstance(again, Figure)
    assert [line.get_color() for ax in again.axes for line in ax.lines] == [
        line.get_color() for ax in drawn.axes for line in ax.lines
    ]
    for ax in drawn.axes:
        labels = [*ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts, ax.xaxis.label, ax.yaxis.label]
        assert all(text.get_fontsize() >= 7.0 for text in labels)
        assert all(
            not line.get_color().startswith("C") for line in ax.lines
        )  # fixed, whatever the style when it is saved


def test_the_list_of_figures_is_complete():
    figures = ahn2023.figures()
    assert tuple(figures) == ahn2023.FIGURE_NAMES
    assert all(isinstance(figure, PaperFigure) and figure.name == name for name, figure in figures.items())
    assert len(network_figures.FIGURES) + len(neuron_figures.FIGURES) == len(figures)


def test_a_figure_does_not_touch_pyplot():
    script = (
        "import sys; from eosfast.papers import ahn2023; figure = ahn2023.figures()['two_regimes'](); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# ---------------------------------------------------------------------------------------------------------- simulations


def test_the_draw_of_a_seed_is_one_stream():
    model, w0 = simulations.draw(3)
    rng = np.random.default_rng(3)
    y = 2.0 * rng.integers(2, size=300) - 1.0
    j = rng.integers(200, size=300)
    X = rng.standard_normal((300, 200))
    X[np.arange(300), j] += 3.0 * y
    a = rng.normal(0.0, 0.05, size=2)
    np.testing.assert_array_equal(model.data.X, X)
    np.testing.assert_array_equal(model.data.y, y)
    np.testing.assert_allclose(w0, [*a, 0.0], rtol=1e-15)


def test_final_bias_keeps_samples_and_start_of_a_seed():
    result = simulations.final_bias([2e-3, 5e-3], [4, 7], test_samples=100)
    assert dict(result.sizes) == {"lr": 2, "seed": 2}
    for lr in (2e-3, 5e-3):
        model, w0 = simulations.draw(7)
        run = simulations.training_curves(model, lr, w0, every=10**6)
        assert run.time[-1] == pytest.approx(10.0)
        assert result.b.sel(lr=lr, seed=7) == run.b[-1]
    assert ((result.accuracy > 0.4) & (result.accuracy < 1.0)).all()
    assert "accuracy" not in simulations.final_bias([5e-3], [4])


def test_what_ctrl_c_cut_short_is_not_used():
    model, w0 = eos.SingleNeuron(), {"x": 0.5, "y": 3.0}
    run = eos.train(model, w0, eos.GD(0.1), num_steps=3)
    runs = eos.sweep(model, eos.GD(), {"lr": [0.1, 0.2]}, w0=w0, num_steps=3)
    for result in (run, runs):
        assert finished(result) is result
        with pytest.raises(KeyboardInterrupt):
            finished(result.assign_attrs(status="interrupted"))


# ---------------------------------------------------------------------------------------------------------------- names


def test_papers_load_on_first_use():
    script = (
        "import sys, eosfast; eosfast.papers.NAMES; assert 'eosfast.papers.ahn2023' not in sys.modules; "
        "eosfast.papers.ahn2023.FIGURE_NAMES; print(*sorted({'matplotlib', 'xarray', 'tqdm'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split() == []
    )
    assert set(papers.NAMES) < set(dir(papers))
    for name in papers.NAMES:
        assert getattr(papers, name).__name__ == f"eosfast.papers.{name}"
    with pytest.raises(AttributeError, match="no attribute 'ahn2032'"):
        papers.ahn2032  # noqa: B018
