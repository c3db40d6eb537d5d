"""Pictures of what `train` and `sweep` return: functions that take a Dataset and an Axes and return the Axes.

With ``ax=None`` the picture goes into a new figure of pyplot in the current style. Nothing here calls ``show()``,
changes global settings or computes anything but the summary of a crowded line: above 100,000 points a line is drawn as
the band between its smallest and largest values, with the median, because an oscillating run would fill the band
anyway.
"""

from .axes import label, mark_threshold, paper_style
from .runs import plot_loss, plot_sharpness, plot_trajectory, plot_weights
from .sweeps import plot_bifurcation, plot_measure, plot_phase_diagram

__all__ = [
    "label",
    "mark_threshold",
    "paper_style",
    "plot_bifurcation",
    "plot_loss",
    "plot_measure",
    "plot_phase_diagram",
    "plot_sharpness",
    "plot_trajectory",
    "plot_weights",
]
