"""Phase diagrams, judged by what is drawn: cells, colours, legends, contours."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import eosfast as eos
from eosfast import plotting


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture(scope="module")
def phase():
    grid = {"lr": np.geomspace(0.01, 0.1, 4), "y": np.linspace(2.0, 10.0, 5)}
    return eos.sweep(
        eos.SingleNeuron(), eos.GD(lr=1.0), grid, w0={"x": 0.3}, num_steps=50, measure=("sharpness", "loss")
    )


@pytest.fixture(scope="module")
def basin():
    """Some starts lead to infinity."""
    grid = {"w1": np.linspace(-5.0, 5.0, 9), "w2": np.linspace(-4.0, 4.0, 7)}
    return eos.sweep(eos.ScalarProduct(), eos.GD(lr=0.2), grid, num_steps=2000)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_cells_and_their_colours(phase, ax):
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


def test_one_variable_turned_round(phase, ax):
    plotting.phase_diagram(np.log10(phase.loss), ax=ax, x="y", colorbar=False)
    np.testing.assert_array_equal(ax.collections[0].get_array(), np.log10(phase.loss))
    assert ax.get_xlabel() == "$y$"
    assert len(ax.figure.axes) == 1


def test_missing_values_in_grey_and_names_as_ticks(ax):
    values = xr.DataArray([[1.0, np.inf], [np.nan, 2.0]], dims=("loss", "beta"), coords={"loss": ["sqrt", "huber"]})
    plotting.phase_diagram(values.assign_coords(beta=[2, 3]), ax=ax, y="loss")
    (mesh,) = ax.collections
    np.testing.assert_array_equal(mesh.get_array().mask, [[False, True], [True, False]])
    assert mesh.get_cmap()(mesh.get_array())[0, 1] == pytest.approx([0.8, 0.8, 0.8, 1.0])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["sqrt", "huber"]


def test_the_dimensions_must_be_two(phase):
    with pytest.raises(ValueError, match=r"needs two dimensions.*\(lr\)"):
        plotting.phase_diagram(phase.isel(y=0))
    with pytest.raises(ValueError, match=r"needs two dimensions.*got x='lr', y='lr'"):
        plotting.phase_diagram(phase, x="lr", y="lr")
    with pytest.raises(ValueError, match=r"has two dimensions.*\(lr, y, seed\).*\.isel\(seed=0\)"):
        plotting.phase_diagram(phase.sharpness.expand_dims(seed=2, axis=2))
    plotting.phase_diagram(phase.sharpness.expand_dims(seed=1), Figure().add_subplot(), x="y")


def test_names_that_do_not_exist(phase):
    with pytest.raises(ValueError, match="x must be 'lr' or 'y', got 'z'"):
        plotting.phase_diagram(phase, x="z")
    with pytest.raises(ValueError, match=r"must hold 'sharpnes' .*did you mean 'sharpness'\?"):
        plotting.phase_diagram(phase, "sharpnes")


@pytest.mark.parametrize("lr", [[0.1, 0.2, 0.2, 0.3], [0.1, np.nan, 0.2, 0.3]])
def test_values_that_are_no_axis(phase, lr):
    with pytest.raises(ValueError, match="the values of 'lr' must be finite and different"):
        plotting.phase_diagram(phase.assign_coords(lr=lr))


def test_an_axis_in_any_order_is_put_in_order(phase, ax):
    plotting.phase_diagram(phase.isel(lr=[2, 0, 3, 1]), ax=ax)
    np.testing.assert_array_equal(ax.collections[0].get_array(), phase.sharpness.transpose("y", "lr"))


def test_a_coordinate_along_a_dimension_can_be_an_axis(phase, ax):
    zipped = phase.rename(lr="run").assign_coords(time=("run", [4.0, 3.0, 2.0, 1.0]))
    plotting.phase_diagram(zipped, ax=ax, x="time")
    np.testing.assert_array_equal(ax.collections[0].get_array(), phase.sharpness.transpose("y", "lr")[:, ::-1])


# ----------------------------------------------------------------------------------------------------------- categories


def test_status_has_a_colour_each_and_a_legend_of_what_occurs(basin, ax):
    plotting.phase_diagram(basin, "status", ax)
    mesh, codes = ax.collections[0], basin.status.transpose("w2", "w1").values
    names = basin.status.attrs["flag_meanings"].split()
    present = [names[code] for code in np.unique(codes)]
    assert "diverged" in present
    assert 2 <= len(present) < len(names)
    assert legend(ax) == present
    colors = mesh.get_cmap()(mesh.norm(mesh.get_array()))
    patches = {text: patch.get_facecolor() for text, patch in zip(present, ax.get_legend().get_patches(), strict=True)}
    assert len(set(patches.values())) == len(present)
    for place, code in np.ndenumerate(codes):
        assert tuple(colors[place]) == patches[names[code]]


def test_a_status_has_the_same_colour_in_every_diagram(basin):
    def colour_of(data, name):
        ax = plotting.phase_diagram(data, "status", Figure().add_subplot())
        return dict(zip(legend(ax), (p.get_facecolor() for p in ax.get_legend().get_patches()), strict=True))[name]

    diverged = basin.status.attrs["flag_meanings"].split().index("diverged")
    alone = basin.assign(status=basin.status.copy(data=np.full(basin.status.shape, diverged, np.int8)))
    assert colour_of(alone, "diverged") == colour_of(basin, "diverged")


def test_codes_without_a_meaning_are_grey(ax):
    values = xr.DataArray([[5, 7], [9, 5]], dims=("a", "b"), name="kind", coords={"a": [1, 2], "b": [1, 2]})
    values.attrs.update(flag_values=[7, 5], flag_meanings="left right_hand")
    plotting.phase_diagram(values, ax=ax, x="b", y="a")
    np.testing.assert_array_equal(ax.collections[0].get_array().filled(-1), [[1, 0], [-1, 1]])
    assert legend(ax) == ["left", "right hand", "no value"]
    with pytest.raises(ValueError, match="flag_values and flag_meanings of 'kind' must be as many, got 2 and 1"):
        plotting.phase_diagram(values.assign_attrs(flag_meanings="left"), ax=ax)


def test_diverged_runs_are_grey_where_numbers_are_drawn(basin, ax):
    plotting.phase_diagram(basin, "loss", ax)
    mesh = ax.collections[0]
    diverged = basin.status == basin.status.attrs["flag_meanings"].split().index("diverged")
    np.testing.assert_array_equal(np.ma.getmaskarray(mesh.get_array()), diverged.transpose("w2", "w1"))
    assert mesh.get_clim()[1] == basin.loss.where(~diverged).max()
    assert mesh.get_cmap()(mesh.get_array())[0, 0] == pytest.approx(to_rgba("0.8"))


def test_the_threshold_is_marked_on_the_colour_bar(ax):
    grid = {"x": np.linspace(0.1, 2.0, 4), "y": np.linspace(2.0, 7.0, 4)}
    result = eos.sweep(eos.SingleNeuron(), eos.GD(lr=0.1), grid, num_steps=1)
    plotting.phase_diagram(result, ax=ax)
    (bar,) = (other for other in ax.figure.axes if other is not ax)
    assert [set(line.get_ydata()) for line in bar.lines] == [{20.0}]


# ------------------------------------------------------------------------------------------------------------- contours


def test_contours_of_a_function(phase, ax):
    plotting.phase_diagram(phase, ax=ax, contours={"edge": lambda lr, y: y**2 - 2.0 / lr}, colorbar=False)
    vertices = np.concatenate([path.vertices for path in ax.collections[1].get_paths()])
    assert len(vertices) > 100
    np.testing.assert_allclose(vertices[:, 1] ** 2, 2.0 / vertices[:, 0], rtol=1e-3)
    assert legend(ax) == ["edge"]


@pytest.mark.parametrize("labelled", [False, True])
def test_contours_of_an_array(phase, ax, labelled):
    y = phase.y.broadcast_like(phase.sharpness).transpose("lr", "y")
    plotting.phase_diagram(
        phase, "status", ax, contours=y.transpose("y", "lr") if labelled else y.values, levels=[5.0, 7.0]
    )
    contours = ax.collections[1]
    np.testing.assert_array_equal(contours.levels, [5.0, 7.0])
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        np.testing.assert_allclose(path.vertices[:, 1], level)
    assert "edge" not in legend(ax)


def test_contours_that_cannot_be_drawn(phase, ax):
    with pytest.raises(ValueError, match=r"contours of 'a' must be .* of the shape \(lr: 4, y: 5\), got .*\(5, 4\)"):
        plotting.phase_diagram(phase, ax=ax, contours={"a": np.zeros((5, 4))})
    with pytest.raises(ValueError, match=r"contours must be a function .*, got the shape \(3,\)"):
        plotting.phase_diagram(phase, ax=ax, contours=lambda lr, y: np.zeros(3))
    with pytest.raises(ValueError, match="contours need two axes of numbers, the values of 'lr' are names"):
        plotting.phase_diagram(phase.assign_coords(lr=list("abcd")), ax=ax, contours=lambda lr, y: y)
    plotting.phase_diagram(phase, ax=ax, contours=lambda lr, y: y, levels=1e9)  # nowhere in the picture
    assert not any(isinstance(artist, mpl.contour.ContourSet) for artist in ax.collections)
