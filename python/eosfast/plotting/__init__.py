"""Pictures of what `train`, `sweep`, `gradient_flow` and `spectral_density` return: functions that take a Dataset and
an Axes and return the Axes.

With ``ax=None`` the picture goes into a new figure of pyplot in the current style; ``plt.style.use("eosfast.paper")``
is the package's own, for print. Nothing here calls ``show()``, changes global settings, draws on other axes or computes
anything but a summary of what is too much to be seen:

* a line of more than 100,000 points is drawn as the band between the smallest and the largest value in each column of
  the picture, with the mean, because an oscillating run would fill the band anyway;
* a map of more than 800 cells along an axis is drawn in blocks about as wide as a pixel, bounded by edges of cells. A
  block has the colour of the one run in its middle: that is the value of a run and not of none, and what is scattered
  (diverged runs, the grains of a fractal boundary) keeps its share of the area, where a median or the most frequent
  value would sweep it away;
* points of an attractor, or of a long path, that fall on the same pixel are drawn once.

A line takes every property that matplotlib has for one.
"""

from .axes import label, mark_threshold
from .maps import phase_diagram
from .paths import trajectory
from .runs import loss, sharpness, spectrum, weights
from .sweeps import bifurcation, measure

__all__ = [
    "sharpness",
    "loss",
    "weights",
    "spectrum",
    "trajectory",
    "phase_diagram",
    "bifurcation",
    "measure",
    "label",
    "mark_threshold",
]
