"""Pictures as wholes, compared with images of how they shall look (tests/images); test_plotting.py judges the artists.

Data are closed forms, and text is removed: fonts differ between machines. The distance of two images is the root mean
square of their difference over all pixels, each from 0 to 255. From these images it is 0.0 with matplotlib 3.9.2,
3.10.0 and 3.11.2 (FreeType 2.6.1 and 2.14.3, NumPy 1.26.4 and 2.4.6); of the changes below the smallest, the mark on a
colour bar left out, makes 2.5, no dot at the start of a path 3.1, no threshold 7.5, other colours 31, swapped axes 34.
The tolerance leaves room for processors that round otherwise.

After a wanted change of a picture, ``python tests/test_plotting_images.py`` draws the images anew: look at them before
they are committed, and at the pictures with their text, which ``--with-text FOLDER`` draws in the resolution of print.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from matplotlib.text import Text
from matplotlib.ticker import NullFormatter

import eosfast as eos
from eosfast import plotting
from eosfast.results import STATUS

IMAGES = Path(__file__).parent / "images"
TOLERANCE = 1.0
STATUS_FLAGS = {"flag_values": np.arange(len(STATUS), dtype=np.int8), "flag_meanings": " ".join(STATUS)}


def config(**optimizer):
    """Return the part of a configuration in which pictures look for the threshold."""
    return {"config": json.dumps({"optimizer": {"type": "GD"} | optimizer})}


# ------------------------------------------------------------------------------------------------------------- pictures


def long_run():
    """Return the sharpness of a run that rises to 2/lr = 40 and oscillates there, too long to be drawn as a line."""
    t = np.arange(120_001)
    rise = 40.0 - 28.0 * np.exp(-t / 12_000)
    swing = 9.0 / (1.0 + np.exp((50_000 - t) / 4_000)) * np.exp(-t / 120_000)
    return xr.Dataset({"sharpness": ("step", rise + swing * np.cos(np.pi * t))}, {"step": t}, config(lr=0.05))


def sharpness(ax):
    plotting.sharpness(long_run(), ax)


def loss(ax):
    """Two runs, the larger step with a catapult."""
    t = np.arange(151)
    small, large = np.exp(-t / 25), 0.05 * np.exp(-t / 8) + 4.0 * np.exp(-(((t - 30) / 12) ** 2)) + 1e-3 * 0.96**t
    runs = {"loss": (("lr", "step"), np.stack([small, large * (1.0 + 0.5 * (-1.0) ** t)]))}
    plotting.loss(xr.Dataset(runs, {"lr": [0.1, 0.4], "step": t}), ax)
    ax.legend()


def basin():
    """Return a sweep of w0 for loss (x y - 1)^2/2 at lr 0.5 as if runs ended at the minimum that the gradient flow
    finds: on x y = 1 the sharpness is x^2 + y^2, and the flow keeps x^2 - y^2.
    """
    x, y = np.linspace(0.05, 2.5, 50), np.linspace(0.05, 2.1, 40)
    X, Y = np.meshgrid(x, y, indexing="ij")
    flat = np.sqrt((X**2 - Y**2) ** 2 + 4.0)
    status = np.select(
        [X * Y > 3.0, flat > 4.0, flat < 2.5], [STATUS.index(s) for s in ("diverged", "steady", "converged")]
    )
    data = {"sharpness": (("x", "y"), flat), "status": (("x", "y"), status.astype(np.int8), STATUS_FLAGS)}
    return xr.Dataset(data, {"x": x, "y": y}, config(lr=0.5))


def edge(x, y):
    return (x**2 - y**2) ** 2 - 12.0


def status(ax):
    plotting.phase_diagram(
        basin(), "status", ax, contours={"$\\lambda_0 = 2/\\eta$": edge, "$x y = 1$": lambda x, y: x * y - 1.0}
    )


def phase_diagram(ax):
    plotting.phase_diagram(basin(), "sharpness", ax, contours=edge)


def branches():
    """Return the sharpness on the branches of a pitchfork at lr = 1 that become bands at lr = 1.25."""
    lr, step = np.linspace(0.8, 1.5, 71), np.arange(60)
    side = np.where(step % 2 == 0, 1.0, -1.0)
    fork = np.sqrt(np.maximum(lr - 1.0, 0.0))[:, None]
    band = np.maximum(lr - 1.25, 0.0)[:, None] * np.cos(2.4 * step)
    return xr.Dataset(
        {"sharpness": (("lr", "step"), 2.0 / lr[:, None] + side * fork + band)}, {"lr": lr, "step": step}, config()
    )


def bifurcation(ax):
    plotting.bifurcation(branches(), "sharpness", ax)


def trajectory(ax):
    """A zigzag across the valley x = 0, down to where its sharpness is below 2/lr."""
    t = np.arange(41)
    w = np.column_stack([1.2 * (-0.92) ** t, 6.0 - 3.0 * (1.0 - np.exp(-t / 16))])
    run = xr.Dataset({"weights": (("step", "parameter"), w)}, {"step": t, "parameter": ["x", "y"]})
    plotting.trajectory(run, ax, model=eos.SingleNeuron(), levels=6)


def spectrum(ax):
    """A bulk at 0 with three outliers, the last beyond the threshold."""
    at = np.linspace(-1.5, 12.0, 541)
    bulk = np.exp(-np.abs(at) / 0.2) / 0.4
    outliers = sum(0.002 * np.exp(-(((at - place) / 0.12) ** 2)) for place in (3.0, 6.5, 10.5))
    density = xr.Dataset({"density": ("eigenvalue", bulk + outliers)}, {"eigenvalue": at})
    plotting.spectrum(density, ax, threshold=10.0)


def measure(ax):
    """The final sharpness of runs from several starts: what they had, at most 2/lr."""
    lr, start = np.geomspace(0.01, 0.3, 40), np.arange(7)
    final = np.minimum(20.0 * 1.6 ** (start - 3.0)[None, :], 2.0 / lr[:, None])
    ax.set(xscale="log", yscale="log")
    plotting.measure(
        xr.Dataset({"sharpness": (("lr", "start"), final)}, {"lr": lr, "start": start}, config()),
        "sharpness",
        ax,
        x="lr",
    )


PICTURES = {
    draw.__name__: draw for draw in (sharpness, loss, status, phase_diagram, bifurcation, trajectory, spectrum, measure)
}


# ----------------------------------------------------------------------------------------------------------- comparison


def save(draw, file, *, text=False):
    """Draw the picture of this name in the style of the package, at its size in print."""
    width = 0.74 if file.stem == "status" else 0.88  # with room for the legend
    with style.context(["default", "eosfast.paper", {"text.hinting": "none"}]):
        figure = Figure(layout="constrained" if text else None)
        draw(figure.add_subplot() if text else figure.add_axes((0.08, 0.08, width, 0.88)))
        if not text:
            for axes in figure.axes:
                for axis in (axes.xaxis, axes.yaxis):
                    axis.set_major_formatter(NullFormatter())
                    axis.set_minor_formatter(NullFormatter())
            for artist in figure.findobj(Text):
                artist.set(text="", fontsize=1)  # rows of a legend are no lower than a line of its font
        figure.savefig(file, dpi=250 if text else 64, metadata={"Software": None})


def distance(draw, file, folder):
    """Return the message of a difference between a picture and an image, "" if there is none."""
    drawn = folder / file.name
    save(draw, drawn)
    return compare_images(str(file), str(drawn), TOLERANCE) or ""


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_what_it_was(name, tmp_path):
    assert distance(PICTURES[name], IMAGES / f"{name}.png", tmp_path) == ""


def without(draw, find):
    """Return a function that draws all but the artists that `find` returns for the axes."""

    def draw_the_rest(ax):
        draw(ax)
        for artist in find(ax):
            artist.remove()

    return draw_the_rest


CHANGES = {
    "no threshold": (sharpness, lambda ax: plotting.sharpness(long_run(), ax, threshold=False)),
    "no band": (sharpness, without(sharpness, lambda ax: ax.collections)),
    "no mean": (sharpness, without(sharpness, lambda ax: ax.lines[:1])),
    "no second run": (loss, without(loss, lambda ax: ax.lines[1:])),
    "linear axis": (loss, lambda ax: (loss(ax), ax.set_yscale("linear"))),
    "no legend": (status, without(status, lambda ax: [ax.get_legend()])),
    "no second contour": (status, without(status, lambda ax: ax.collections[2:])),
    "other axes": (status, lambda ax: plotting.phase_diagram(basin(), "status", ax, x="y")),
    "other colours": (phase_diagram, lambda ax: plotting.phase_diagram(basin(), ax=ax, contours=edge, cmap="viridis")),
    "diverged runs": (phase_diagram, lambda ax: plotting.phase_diagram(basin().sharpness, ax=ax, contours=edge)),
    "no mark on the bar": (phase_diagram, without(phase_diagram, lambda ax: ax.figure.axes[1].lines)),
    "no curve": (bifurcation, without(bifurcation, lambda ax: ax.lines[1:])),
    "fewer points": (bifurcation, lambda ax: plotting.bifurcation(branches(), "sharpness", ax, last=2)),
    "no start": (trajectory, without(trajectory, lambda ax: ax.lines[1:])),
    "no landscape": (trajectory, without(trajectory, lambda ax: ax.collections)),
    "no outlier": (spectrum, without(spectrum, lambda ax: ax.lines[:1])),
    "threshold elsewhere": (spectrum, lambda ax: (spectrum(ax), ax.lines[1].set_xdata([9.9, 9.9]))),
    "no single runs": (measure, without(measure, lambda ax: ax.lines[1:-1])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(change, tmp_path):
    of, draw = CHANGES[change]
    message = distance(draw, IMAGES / f"{of.__name__}.png", tmp_path)
    assert str(tmp_path / f"{of.__name__}-failed-diff.png") in message


def main():
    """Draw all images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with-text", type=Path, metavar="FOLDER")
    folder = parser.parse_args().with_text
    for name, draw in PICTURES.items():
        save(draw, (folder or IMAGES) / f"{name}.png", text=folder is not None)


if __name__ == "__main__":
    main()
