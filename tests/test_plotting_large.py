"""Pictures of more data than they have pixels: what is left out, and that it takes no time."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from eosfast import plotting

STATUS = {"flag_values": np.arange(4, dtype=np.int8), "flag_meanings": "completed converged diverged steady"}
PATIENCE = 20.0  # seconds, for pictures of half a second: machines are shared


@pytest.fixture
def ax():
    return Figure().add_subplot()


def run_of(x, y, name="sharpness"):
    return xr.Dataset({name: ("step", y)}, coords={"step": x}, attrs={"threshold": 40.0})


# ---------------------------------------------------------------------------------------------------------------- lines


@pytest.mark.parametrize("spacing", ["even", "geometric", "shuffled"])
def test_the_band_holds_every_point_and_no_more(ax, spacing):
    rng, num = np.random.default_rng(0), 150_000
    x = np.arange(num) if spacing != "geometric" else np.geomspace(1e-3, 1e6, num)
    y = 40.0 + np.cos(np.pi * np.arange(num)) * np.exp(-x / x[-1]) + 0.1 * rng.standard_normal(num)
    order = rng.permutation(num) if spacing == "shuffled" else slice(None)
    plotting.sharpness(run_of(x[order], y[order]), ax)
    (band,), mean, threshold = ax.collections, *ax.lines
    vertices = band.get_paths()[0].vertices
    edges = np.unique(vertices[:, 0])
    assert (edges[0], edges[-1]) == (x[0], x[-1])
    column = np.minimum(np.searchsorted(edges, x, side="right") - 1, len(edges) - 2)
    for k in range(0, len(edges) - 1, 29):
        inside = y[column == k]
        middle = (edges[k] + edges[k + 1]) / 2.0
        assert inside.size
        assert edges[k] <= mean.get_xdata()[k] <= edges[k + 1]
        assert mean.get_ydata()[k] == pytest.approx(inside.mean())
        assert not band.get_paths()[0].contains_point((middle, inside.max() + 1e-6))
        assert not band.get_paths()[0].contains_point((middle, inside.min() - 1e-6))
        if np.ptp(inside) > 1e-4:
            assert band.get_paths()[0].contains_point((middle, inside.max() - 1e-6))
            assert band.get_paths()[0].contains_point((middle, inside.min() + 1e-6))
    assert set(threshold.get_ydata()) == {40.0}


def test_columns_are_narrow_on_either_scale(ax):
    plotting.sharpness(run_of(np.arange(1_000_000), np.zeros(1_000_000)), ax)
    edges = np.unique(ax.collections[0].get_paths()[0].vertices[:, 0])
    assert len(edges) < 2000
    assert np.diff(edges).max() <= 1001
    assert np.sum(edges >= 1e5) < 920  # where columns are those of a linear axis, none is a splinter
    late = edges[edges >= 1000]
    assert np.diff(np.log(late)).max() <= 1.001 * np.log(1e6) / 1000 + 1e-3


def test_values_that_are_not_finite_are_left_out(ax):
    y = np.ones(200_001)
    y[::3], y[-1] = np.nan, np.inf
    plotting.loss(run_of(np.arange(200_001), y, "loss"), ax)
    assert set(ax.lines[0].get_ydata()) == {1.0}
    assert ax.get_yscale() == "log"


def test_a_long_path_is_a_line_and_points(ax):
    num, t = 300_000, np.arange(300_000)
    w = np.column_stack([np.cos(np.pi * t) * np.exp(-t / num), t / num])
    run = xr.Dataset({"weights": (("step", "parameter"), w)}, coords={"step": t, "parameter": ["x", "y"]})
    plotting.trajectory(run, ax, color="red")
    line, points, start = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), w[:1001])
    assert {line.get_color(), points.get_color(), start.get_color()} == {"red"}
    drawn = points.get_xydata()
    assert len(drawn) < num / 10
    assert set(map(tuple, drawn)) <= set(map(tuple, w))
    for x, y in w[:: num // 50]:  # each iterate has a point within its cell of the raster
        assert np.min(np.maximum(abs(drawn[:, 0] - x) / 2.0, abs(drawn[:, 1] - y))) <= 1.0 / 1200


def test_a_crowded_attractor_keeps_every_parameter_and_its_extremes(ax):
    rng = np.random.default_rng(1)
    values = rng.uniform(-1.0, 1.0, (300, 1000))
    values[0] = 0.5
    values[1, :500] = np.nan
    runs = xr.Dataset({"loss": (("lr", "step"), values)}, coords={"lr": np.geomspace(1e-3, 1.0, 300)})
    plotting.bifurcation(runs, "loss", ax, last=1000)
    x, y = ax.lines[0].get_xydata().T
    assert set(x) == set(runs.lr.values)
    assert np.sum(x == 1e-3) == 1
    for k in (1, 150, 299):
        own = np.sort(y[x == runs.lr.values[k]])
        assert set(own) <= set(values[k])
        assert own[0] == pytest.approx(np.nanmin(values[k]), abs=2 / 1200)
        assert own[-1] == pytest.approx(np.nanmax(values[k]), abs=2 / 1200)


# ----------------------------------------------------------------------------------------------------------------- maps


def large_map(x, y):
    rng = np.random.default_rng(2)
    codes = rng.choice(4, p=[0.6, 0.0, 0.1, 0.3], size=(len(x), len(y))).astype(np.int8)
    place = np.arange(len(x) * len(y), dtype=np.float64).reshape(len(x), len(y))
    return xr.Dataset(
        {"sharpness": (("lr", "y"), place), "status": (("lr", "y"), codes, STATUS)}, coords={"lr": x, "y": y}
    )


@pytest.mark.parametrize("spacing", ["linear", "log", "uneven"])
def test_blocks_end_at_edges_of_cells_and_show_a_run_inside(ax, spacing):
    x = {
        "linear": np.linspace(-1.0, 1.0, 1700),
        "log": np.geomspace(1e-3, 1.0, 1700),
        "uneven": np.sort(np.r_[np.linspace(0.0, 0.1, 1650), np.linspace(0.2, 1.0, 50)]),
    }[spacing]
    data = large_map(x, np.arange(3.0)).drop_vars("status")
    plotting.phase_diagram(data, "sharpness", ax)
    mesh = ax.collections[0]
    drawn = mesh.get_coordinates()[0, :, 0]
    shown = (mesh.get_array()[0] // 3).astype(int)  # index of the run along x
    assert len(drawn) <= 801
    assert (ax.get_xscale() == "log") == (spacing == "log")
    p, d = (np.log(x), np.log(drawn)) if spacing == "log" else (x, drawn)
    edges = np.r_[1.5 * p[0] - 0.5 * p[1], (p[1:] + p[:-1]) / 2, 1.5 * p[-1] - 0.5 * p[-2]]
    assert np.abs(edges[:, None] - d[None, :]).min(axis=0).max() < 1e-12
    assert (d[0], d[-1]) == pytest.approx((edges[0], edges[-1]))
    middle = (d[1:] + d[:-1]) / 2
    assert np.all((edges[shown] <= middle + 1e-12) & (middle <= edges[shown + 1] + 1e-12))
    if spacing == "uneven":  # cells wider than a pixel are not joined
        assert set(range(1650, 1700)) <= set(shown)


def test_scattered_runs_keep_their_share(ax):
    data = large_map(np.arange(2000.0), np.arange(1500.0))
    plotting.phase_diagram(data, "status", ax)
    codes = ax.collections[0].get_array()
    assert codes.shape[0] <= 800
    assert codes.shape[1] <= 800
    for code, share in ((0, 0.6), (2, 0.1), (3, 0.3)):
        assert np.mean(codes == code) == pytest.approx(share, abs=0.01)


# ----------------------------------------------------------------------------------------------------------------- time


def seconds(draw):
    figure = Figure()
    ax = figure.add_subplot()
    began = time.perf_counter()
    draw(ax)
    figure.savefig(io.BytesIO(), format="png", dpi=200)
    return time.perf_counter() - began


@pytest.mark.slow
def test_ten_million_steps_are_drawn_at_once():
    step = np.arange(10**7)
    y = 40.0 + np.cos(np.pi * step) * np.exp(-step / 3e6)
    w = np.column_stack([y, step / 1e7])
    run = run_of(step, y).assign(weights=(("step", "parameter"), w)).assign_coords(parameter=["x", "y"])
    assert seconds(lambda ax: plotting.sharpness(run, ax)) < PATIENCE
    assert seconds(lambda ax: plotting.trajectory(run, ax)) < PATIENCE


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["sharpness", "status"])
def test_sixteen_million_runs_are_drawn_at_once(measure):
    data = large_map(np.geomspace(1e-3, 1.0, 4096), np.linspace(0.0, 10.0, 4096) ** 2)
    theory = {"edge": lambda lr, y: y - 2.0 / lr}
    assert seconds(lambda ax: plotting.phase_diagram(data, measure, ax, contours=theory)) < PATIENCE
