"""Ahn, Bubeck, Chewi, Lee, Suarez, Zhang: "Learning threshold neurons via the edge of stability" (arXiv 2212.07469,
NeurIPS 2023).

The paper asks how a ReLU network learns a negative bias from sparse-coding data and finds that it takes a step size
above 8 pi / d^2, so that gradient descent runs at the edge of stability. It explains this with two smaller models: the
single neuron l(x*y), where the sharpness ends at y_0^2 - x_0^2 or just below 2/lr, and the mean model of the network.
All three are simulated here.

`figures` has the paper's figures 1 and 2, one in the spirit of its figure 5, and three more that the models suggest;
`verify` compares its statements, and what follows from them, with simulations. Section numbers are those of the first
arXiv version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eosfast.papers.check import Check
    from eosfast.papers.figure import PaperFigure

FIGURE_NAMES = ("fig1", "fig2", "two_regimes", "mean_model", "phase_diagram", "exponent")

__all__ = ["FIGURE_NAMES", "figures", "verify"]


def figures() -> dict[str, PaperFigure]:
    """Return the figures by name; each is called as ``figure(out=None, progress=False)`` and returns a matplotlib
    Figure.

    Returns
    -------
    dict of str to PaperFigure
        "fig1", "fig2", "two_regimes", "mean_model", "phase_diagram", "exponent".

    Examples
    --------
    >>> figures()["exponent"].caption.split(".")[0]
    'How far below 2/lr the sharpness ends in the edge-of-stability regime'
    """
    from . import network_figures, neuron_figures

    found = {figure.name: figure for figure in (*network_figures.FIGURES, *neuron_figures.FIGURES)}
    return {name: found[name] for name in FIGURE_NAMES}


def verify(progress: bool = False) -> list[Check]:
    """Return the checks of the paper's statements and of their consequences, each computed anew (a few seconds in all).

    Parameters
    ----------
    progress : bool, default False
        Show on stderr how many groups of checks are done.

    Returns
    -------
    list of Check
        S1 to S11 (single neuron), M1 to M7 (mean model), N1 to N8 (ReLU network, on the paper's d = 200, n = 300,
        signal 3).
    """
    from eosfast.papers.runs import computed

    from . import network_checks, neuron_checks

    rows = (*neuron_checks.ROWS, *network_checks.ROWS)
    return computed(rows, progress)
