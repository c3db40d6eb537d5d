"""Pictures, judged by what is drawn: lines, labels, limits, colours. Nothing is shown, no global setting changes."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import eosfast as eos
from eosfast import plotting


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture(scope="module")
def run():
    record = eos.Record(quantities=("loss", "sharpness", "weights", "hessian_eigs"), k=2)
    return eos.train(eos.SingleNeuron(), {"x": 0.5, "y": 8.0}, eos.GD(lr=0.05), num_steps=300, record=record)


@pytest.fixture(scope="module")
def phase():
    grid = {"lr": np.geomspace(0.01, 0.1, 4), "y": np.linspace(2.0, 10.0, 5)}
    return eos.sweep(
        eos.SingleNeuron(), eos.GD(lr=1.0), grid, w0={"x": 0.3}, num_steps=50, measure=("sharpness", "loss")
    )


def texts(ax):
    return [text.get_text() for text in ax.texts]


# -------------------------------------------------------------------------------------------------------------- one run


def test_loss(run, ax):
    assert plotting.loss(run, ax, label="GD", color="red") is ax
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([run.step, run.loss]))
    assert (line.get_label(), line.get_color()) == ("GD", "red")
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step $t$", "loss")


def test_loss_that_vanishes_is_drawn_on_a_linear_axis(run, ax):
    plotting.loss(run.assign(loss=run.loss - run.loss.min()), ax)
    assert ax.get_yscale() == "linear"


def test_sharpness_with_its_threshold(run, ax):
    plotting.sharpness(run, ax)
    curve, threshold = ax.lines
    np.testing.assert_array_equal(curve.get_ydata(), run.sharpness)
    assert set(threshold.get_ydata()) == {2.0 / 0.05}
    assert texts(ax) == [r"$2/\eta$"]
    assert r"\lambda_{\max}" in ax.get_ylabel()


def test_sharpness_without_its_threshold(run, ax):
    plotting.sharpness(run, ax, threshold=False)
    assert len(ax.lines) == 1
    assert texts(ax) == []


def test_sharpness_skips_the_steps_where_it_is_not_known(run, ax):
    sparse = run.assign(sharpness=run.sharpness.where(run.step % 10 == 0))
    plotting.sharpness(sparse, ax)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.arange(0, 301, 10))


def test_the_threshold_of_another_optimizer_is_not_called_2_over_lr(ax):
    record = eos.Record(quantities=("sharpness",))
    run = eos.train(eos.SingleNeuron(), [0.5, 3.0], eos.HeavyBall(0.05, 0.5), num_steps=20, record=record)
    plotting.sharpness(run, ax)
    assert ax.lines[1].get_ydata() == pytest.approx([60.0, 60.0])
    assert texts(ax) == ["stability threshold"]


def test_hessian_eigenvalues(run, ax):
    plotting.sharpness(run.drop_vars("sharpness"), ax)
    assert [line.get_label() for line in ax.lines[:2]] == [r"$\lambda_1$", r"$\lambda_2$"]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), run.hessian_eigs[:, 1])


def test_weights(run, ax):
    plotting.weights(run.assign_coords(time=0.05 * run.step), ax, x="time", parameters=["y"])
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([0.05 * run.step, run.weights.sel(parameter="y")]))
    assert ax.get_xlabel() == r"time $\eta\,t$"
    plotting.weights(run, ax)
    assert [line.get_label() for line in ax.lines[1:]] == ["$x$", "$y$"]


def test_trajectory(run, ax):
    plotting.trajectory(run, ax, color="green")
    path, start = ax.lines
    np.testing.assert_array_equal(path.get_xydata(), run.weights)
    np.testing.assert_array_equal(start.get_xydata(), [[0.5, 8.0]])
    assert start.get_color() == "green"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x$", "$y$")


def test_a_crowded_line_becomes_a_band_with_its_median(ax):
    num_steps = 250_001
    step = np.arange(num_steps)
    loss = 2.0 + np.cos(np.pi * step) * np.exp(-step / 1e5)
    plotting.loss(xr.Dataset({"loss": ("step", loss)}, coords={"step": step}), ax)
    (line,), (band,) = ax.lines, ax.collections
    assert len(line.get_xdata()) == 1000
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx(3.0)
    assert corners[:, 1].min() == pytest.approx(1.0, abs=1e-4)
    late = np.abs(corners[:, 0] - 2.0e5) < 200
    assert np.ptp(corners[late, 1]) == pytest.approx(2 * np.exp(-2.0), rel=0.01)
    assert np.abs(line.get_ydata() - 2.0).max() < 1.0


def test_a_missing_variable_is_named():
    run = eos.train(
        eos.SingleNeuron(), [0.5, 3.0], eos.GD(0.1), num_steps=3, record=eos.Record(quantities=("grad_norm",))
    )
    for draw in (plotting.loss, plotting.sharpness, plotting.weights, plotting.trajectory):
        with pytest.raises(ValueError, match=r"must hold '\w+' \(record it .*it has 'grad_norm'"):
            draw(run)


# ------------------------------------------------------------------------------------------------------------ many runs


def test_measure_shows_the_mean_and_every_run(phase, ax):
    plotting.measure(phase, "sharpness", ax, x="lr", label="mean")
    mean, *single = ax.lines
    np.testing.assert_allclose(mean.get_ydata(), phase.sharpness.mean("y"))
    np.testing.assert_array_equal([line.get_ydata() for line in single], phase.sharpness.transpose("y", "lr"))
    assert {line.get_color() for line in single} == {mean.get_color()}
    assert ax.get_xlabel() == r"step size $\eta$"
    plotting.measure(phase.isel(lr=0), "sharpness", ax)
    assert len(ax.lines) == 7


def test_measure_of_an_unknown_axis(phase):
    with pytest.raises(ValueError, match=r"x must be a dimension of 'loss' \(lr, y\), got 'z'"):
        plotting.measure(phase, "loss", x="z")


def test_phase_diagram(phase, ax):
    assert plotting.phase_diagram(phase, ax=ax, vmin=0.0) is ax
    (mesh,) = ax.collections
    np.testing.assert_array_equal(mesh.get_array(), phase.sharpness.transpose("y", "lr"))
    edges = mesh.get_coordinates()
    np.testing.assert_allclose(edges[0, :, 0], np.geomspace(0.01 / 10 ** (1 / 6), 0.1 * 10 ** (1 / 6), 5))
    np.testing.assert_allclose(edges[:, 0, 1], [1.0, 3.0, 5.0, 7.0, 9.0, 11.0])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"step size $\eta$", "$y$")
    assert mesh.get_clim()[0] == 0.0
    assert mesh.get_cmap().name == "cividis"
    assert [other.get_ylabel() for other in ax.figure.axes] == ["$y$", r"sharpness $\lambda_{\max}$"]


def test_phase_diagram_of_one_variable_turned_round(phase, ax):
    plotting.phase_diagram(np.log10(phase.loss), ax=ax, x="y", colorbar=False)
    np.testing.assert_array_equal(ax.collections[0].get_array(), np.log10(phase.loss))
    assert ax.get_xlabel() == "$y$"
    assert len(ax.figure.axes) == 1


def test_phase_diagram_shows_missing_values_in_grey_and_names_as_ticks(ax):
    values = xr.DataArray([[1.0, np.inf], [np.nan, 2.0]], dims=("loss", "beta"), coords={"loss": ["sqrt", "huber"]})
    plotting.phase_diagram(values.assign_coords(beta=[2, 3]), ax=ax, y="loss")
    (mesh,) = ax.collections
    np.testing.assert_array_equal(mesh.get_array().mask, [[False, True], [True, False]])
    assert mesh.get_cmap()(mesh.get_array())[0, 1] == pytest.approx([0.8, 0.8, 0.8, 1.0])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["sqrt", "huber"]


def test_phase_diagram_needs_two_dimensions(phase):
    with pytest.raises(ValueError, match=r"needs two dimensions.*\(lr\)"):
        plotting.phase_diagram(phase.isel(y=0))
    with pytest.raises(ValueError, match="got x='z'"):
        plotting.phase_diagram(phase, x="z")


def test_bifurcation(ax):
    lrs = [0.9, 1.1, 1.2]
    runs = [eos.train(eos.ScalarProduct(), [0.9, 1.1], eos.GD(lr), num_steps=3000) for lr in lrs]
    data = xr.concat(runs, dim=xr.Variable("lr", lrs), combine_attrs="drop", join="outer")
    plotting.bifurcation(data, "loss", ax, last=8)
    x, y = ax.lines[0].get_xydata().T
    assert ax.lines[0].get_linestyle() == "None"
    np.testing.assert_array_equal(np.unique(x), lrs)
    # The residual z of the 2-cycle solves z^2 + (lr - 1)(z - 1) = 0, so that the loss z^2/(2 lr^2) takes two values.
    assert np.ptp(y[x == 0.9]) == pytest.approx(0.0, abs=1e-12)
    for lr in lrs[1:]:
        z = np.roots([1.0, lr - 1.0, 1.0 - lr])
        np.testing.assert_allclose(np.unique(y[x == lr].round(9)), np.sort(z**2 / (2 * lr**2)).round(9))
    with pytest.raises(ValueError, match="must have the dimensions 'momentum' and 'step'"):
        plotting.bifurcation(data, "loss", x="momentum")


# ------------------------------------------------------------------------------------------------------- what is shared


@pytest.mark.parametrize("axis", ["x", "y"])
def test_mark_threshold(ax, axis):
    assert plotting.mark_threshold(ax, 3.0, "edge", axis=axis, color="red") is ax
    line = ax.lines[0]
    assert set(line.get_xdata() if axis == "x" else line.get_ydata()) == {3.0}
    assert texts(ax) == ["edge"]
    assert ax.texts[0].get_color() == line.get_color() == "red"


def test_mark_threshold_on_an_unknown_axis(ax):
    with pytest.raises(ValueError, match="axis must be 'x' or 'y', got 'z'"):
        plotting.mark_threshold(ax, 3.0, axis="z")


def test_without_axes_a_new_figure_is_made(run):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    ax = plotting.loss(run)
    assert len(plt.get_fignums()) == len(before) + 1
    plt.close(ax.figure)


def test_paper_style_ends_with_its_context():
    before = dict(mpl.rcParams)
    with plotting.paper_style():
        assert mpl.rcParams["savefig.dpi"] == 200
        assert mpl.rcParams["font.size"] >= 7
    assert dict(mpl.rcParams) == before


def test_the_style_can_be_named():
    import matplotlib.style

    with matplotlib.style.context("eosfast.paper"):
        colours = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    assert colours[0] == "#0072B2"


def test_importing_the_functions_is_light():
    script = "import sys, eosfast.plotting; print(*sorted({'matplotlib', 'xarray'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split() == []
    )


def test_every_function_is_documented():
    for name in plotting.__all__:
        assert "Returns\n    -------" in getattr(plotting, name).__doc__, name
