"""Pictures, judged by what is drawn: lines, labels, limits, colours (test_plotting_images.py compares them as wholes).
Nothing is shown, no global setting changes.
"""

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


# ------------------------------------------------------------------------------------------------------------- one run


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


def test_sharpness_is_the_first_of_the_recorded_eigenvalues(run, ax):
    plotting.sharpness(run.drop_vars("sharpness"), ax, threshold=17.0)
    curve, threshold = ax.lines
    np.testing.assert_array_equal(curve.get_ydata(), run.hessian_eigs[:, 0])
    assert set(threshold.get_ydata()) == {17.0}


def test_runs_side_by_side_have_their_names_and_thresholds(ax):
    record, lrs = eos.Record(quantities=("sharpness", "loss")), [0.02, 0.05]
    runs = [eos.train(eos.SingleNeuron(), [0.5, 3.0], eos.GD(lr), num_steps=20, record=record) for lr in lrs]
    both = xr.concat(runs, dim=xr.Variable("lr", lrs), combine_attrs="override")
    plotting.sharpness(both, ax)
    curves, thresholds = ax.lines[:2], ax.lines[2:]
    for lr, curve, threshold, single in zip(lrs, curves, thresholds, runs, strict=True):
        np.testing.assert_array_equal(curve.get_ydata(), single.sharpness)
        assert curve.get_label() == rf"step size $\eta$ = {lr}"
        assert threshold.get_ydata() == pytest.approx([2.0 / lr] * 2)
        assert threshold.get_color() == curve.get_color()


def test_the_gradient_flow_has_a_time_and_no_threshold(ax):
    flow = eos.gradient_flow(eos.SingleNeuron(), [0.5, 3.0], times=[0.0, 0.5, 2.0])
    plotting.sharpness(flow, ax)
    (curve,) = ax.lines
    np.testing.assert_array_equal(curve.get_xydata(), np.column_stack([flow.time, flow.sharpness]))
    assert ax.get_xlabel() == r"time $\eta\,t$"


def test_spectrum_of_a_run(run, ax):
    plotting.spectrum(run, ax)
    first, second, threshold = ax.lines
    assert [line.get_label() for line in (first, second)] == [r"$\lambda_{1}$", r"$\lambda_{2}$"]
    np.testing.assert_array_equal(second.get_ydata(), run.hessian_eigs[:, 1])
    assert set(threshold.get_ydata()) == {40.0}


def test_spectrum_of_a_density(ax):
    density = eos.spectral_density(np.diag(np.arange(50.0)), num_vectors=3, num_matvecs=15)
    plotting.spectrum(density, ax, threshold=30.0, color="green")
    curve, threshold = ax.lines
    shown = np.isfinite(curve.get_ydata())
    np.testing.assert_array_equal(curve.get_ydata()[shown], density.density[shown])
    assert density.density[~shown].max() <= 1e-6 * density.density.max() < density.density[shown].min()
    assert set(threshold.get_xdata()) == {30.0}
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"eigenvalue $\lambda$", "density of eigenvalues")


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


def test_trajectory_over_the_contours_of_its_loss(run, ax):
    model = eos.SingleNeuron()
    plotting.trajectory(run, ax, x="y", y="x", model=model, levels=9)
    (contours,) = ax.collections
    assert 7 <= len(contours.levels) <= 9
    drawn = 0
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        for y, x in path.vertices:  # to the accuracy of linear interpolation between a hundred points
            assert model.loss([x, y]) == pytest.approx(level, abs=2e-3)
            drawn += 1
    assert drawn > 100
    assert (
        ax.get_xlim()[0]
        < run.weights.sel(parameter="y").min()
        < run.weights.sel(parameter="y").max()
        < ax.get_xlim()[1]
    )


def test_trajectory_that_cannot_be_drawn(run):
    with pytest.raises(ValueError, match="the parameters of the run are x, y; got 'z'"):
        plotting.trajectory(run, x="z")
    with pytest.raises(ValueError, match="x and y must be two parameters, got 'y' twice"):
        plotting.trajectory(run, x="y", y="y")
    with pytest.raises(ValueError, match=r"MeanModel.* has 3 parameters, the run has 2"):
        plotting.trajectory(run, model=eos.MeanModel())
    with pytest.raises(TypeError, match="model must be a model of eosfast or None, got 3"):
        plotting.trajectory(run, model=3)


@pytest.mark.parametrize("draw", [plotting.loss, plotting.sharpness, plotting.weights, plotting.spectrum])
def test_what_is_wrong_is_named(draw, run, phase):
    with pytest.raises(ValueError, match=r"x must be 'step'.*, got 'stop'"):
        draw(run, x="stop")
    with pytest.raises(TypeError, match="ax must be Axes of matplotlib or None, got 3"):
        draw(run, 3)
    with pytest.raises(TypeError, match="got 'int'"):
        draw(3)
    if draw in (plotting.loss, plotting.sharpness):
        with pytest.raises(ValueError, match=r"must have the dimension 'step' or 'time'.* it has 'lr' or 'y'"):
            draw(phase)


def test_a_missing_variable_is_named():
    run = eos.train(
        eos.SingleNeuron(), [0.5, 3.0], eos.GD(0.1), num_steps=3, record=eos.Record(quantities=("grad_norm",))
    )
    for draw in (plotting.loss, plotting.sharpness, plotting.weights, plotting.trajectory):
        with pytest.raises(ValueError, match=r"must hold '\w+' \(record it .*it has 'grad_norm'"):
            draw(run)


# ----------------------------------------------------------------------------------------------------------- many runs


def test_measure_shows_the_mean_and_every_run(phase, ax):
    plotting.measure(phase, "sharpness", ax, x="lr", label="mean")
    mean, *single, threshold = ax.lines
    np.testing.assert_allclose(threshold.get_xydata(), np.column_stack([phase.lr, 2.0 / phase.lr]))
    np.testing.assert_allclose(mean.get_ydata(), phase.sharpness.mean("y"))
    np.testing.assert_array_equal([line.get_ydata() for line in single], phase.sharpness.transpose("y", "lr"))
    assert {line.get_color() for line in single} == {mean.get_color()}
    assert ax.get_xlabel() == r"step size $\eta$"
    plotting.measure(phase.isel(lr=0), "sharpness", ax)
    assert len(ax.lines) == 9
    assert set(ax.lines[-1].get_ydata()) == {2.0 / phase.lr.values[0]}
    plotting.measure(phase, "sharpness", ax, x="y", each=False)  # over y the threshold is not the same for all
    assert len(ax.lines) == 10


def test_measure_of_an_unknown_axis(phase):
    with pytest.raises(ValueError, match="x must be 'lr' or 'y', got 'z'"):
        plotting.measure(phase, "loss", x="z")


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
    with pytest.raises(ValueError, match=r"x must be 'lr' or 'step'.*, got 'momentum'"):
        plotting.bifurcation(data, "loss", x="momentum")


def test_bifurcation_of_a_sweep(phase, ax):
    plotting.bifurcation(phase, "sharpness", ax)
    points, threshold = ax.lines
    np.testing.assert_array_equal(points.get_xdata(), np.repeat(phase.lr, 5))
    np.testing.assert_array_equal(points.get_ydata(), phase.sharpness.values.ravel())
    np.testing.assert_allclose(threshold.get_ydata(), 2.0 / phase.lr)


# ------------------------------------------------------------------------------------------------------ what is shared


@pytest.mark.parametrize("axis", ["x", "y"])
def test_mark_threshold(ax, axis):
    assert plotting.mark_threshold(ax, 3.0, "edge", axis=axis, color="red") is ax
    line = ax.lines[0]
    assert set(line.get_xdata() if axis == "x" else line.get_ydata()) == {3.0}
    assert texts(ax) == ["edge"]
    assert ax.texts[0].get_color() == line.get_color() == "red"


@pytest.mark.parametrize(("value", "side"), [(2.0, "left"), (9.0, "right"), (40.0, "left"), (60.0, "right")])
def test_the_name_of_an_upright_threshold_is_where_there_is_room(ax, value, side):
    ax.set(xlim=(0, 10)) if value < 10 else ax.set(xscale="log", xlim=(1, 2500))
    plotting.mark_threshold(ax, value, "edge", axis="x")
    assert ax.texts[0].get_horizontalalignment() == side


def test_mark_threshold_on_an_unknown_axis(ax):
    with pytest.raises(ValueError, match="axis must be 'x' or 'y', got 'z'"):
        plotting.mark_threshold(ax, 3.0, axis="z")


def test_without_axes_a_new_figure_is_made(run):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    ax = plotting.loss(run)
    assert len(plt.get_fignums()) == len(before) + 1
    plt.close(ax.figure)


def test_nothing_global_changes_and_other_axes_stay(run, phase):
    before = dict(mpl.rcParams)
    left, right = Figure().subplots(1, 2)
    other = left.get_xlim(), left.get_ylim(), left.get_xlabel(), len(left.get_children())
    plotting.sharpness(run, right)
    plotting.trajectory(run, right, model=eos.SingleNeuron())
    plotting.phase_diagram(phase, "status", right)
    assert dict(mpl.rcParams) == before
    assert (left.get_xlim(), left.get_ylim(), left.get_xlabel(), len(left.get_children())) == other


def test_the_style_is_part_of_the_package_and_ends_with_its_context():
    import matplotlib.style

    before = dict(mpl.rcParams)
    with matplotlib.style.context("eosfast.paper"):
        assert mpl.rcParams["savefig.dpi"] == 200
        assert mpl.rcParams["font.size"] >= 7
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"][0] == "#0072B2"
    assert dict(mpl.rcParams) == before


def test_labels():
    assert plotting.label("lr") == plotting.label("optimizer.lr") == r"step size $\eta$"
    assert plotting.label("w12") == "$w_{12}$"
    assert plotting.label("gfs_sharpness") == "sharpness at the end of the gradient flow"
    assert plotting.label("a_new_name") == "a new name"


def test_labels_that_the_owner_of_the_data_gave(run, ax):
    run = run.assign(loss=run.loss.assign_attrs(long_name="excess risk", units="nats"))
    plotting.loss(run, ax)
    assert ax.get_ylabel() == "excess risk (nats)"


def test_importing_the_functions_is_light():
    script = "import sys, eosfast.plotting; print(*sorted({'matplotlib', 'xarray'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split() == []
    )


def test_every_function_is_documented():
    for name in plotting.__all__:
        assert "Returns\n    -------" in getattr(plotting, name).__doc__, name
