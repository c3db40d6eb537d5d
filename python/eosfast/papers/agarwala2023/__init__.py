"""Agarwala, Pedregosa, Pennington: "Second-order regression models exhibit progressive sharpening to the edge of
stability" (arXiv 2210.04860, ICML 2023).

The paper studies least squares on outputs that are quadratic in the parameters, the next simplest model after a linear
one. With one data point and two eigenvalues, 1 and -epsilon, it proves that the curvature of the tangent kernel rises
to 2/lr less something of order epsilon; with many data points and random coefficients it finds the same without any
structure of a network, and it finds the same relations over two steps in a real network.

`figures` and `verify` reproduce these statements. The text of the paper was at hand only in part: its figures'
parameters are recalled or ours, which the captions say, and constants that it does not print were derived for this
package (`eosfast.theory`) or computed. Real data are UCI digits. A run counts as converged only where its residual is
tiny and its curvature below 2/lr: a small loss alone is no convergence, as the figure "false_convergence" shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eosfast.papers.check import Check
    from eosfast.papers.figure import PaperFigure

FIGURE_NAMES = (
    "landscape",
    "one_datum",
    "limits",
    "starts",
    "random_models",
    "random_map",
    "false_convergence",
    "top_mode",
    "output_curvature",
)

__all__ = ["FIGURE_NAMES", "figures", "verify"]


def figures() -> dict[str, PaperFigure]:
    """Return the figures by name; each is called as ``figure(out=None, progress=False)`` and returns a matplotlib
    Figure.

    Returns
    -------
    dict of str to PaperFigure
        "landscape", "one_datum", "limits", "starts", "random_models", "random_map", "false_convergence", "top_mode",
        "output_curvature".

    Examples
    --------
    >>> figures()["limits"].caption.split(".")[0]
    'How far below 2 the curvature ends'
    """
    from . import datum_figures, network_figures, random_figures

    drawn = (*datum_figures.FIGURES, *random_figures.FIGURES, *network_figures.FIGURES)
    found = {figure.name: figure for figure in drawn}
    return {name: found[name] for name in FIGURE_NAMES}


def verify(progress: bool = False) -> list[Check]:
    """Return the checks of the paper's statements and of their consequences, each computed anew.

    Parameters
    ----------
    progress : bool, default False
        Show on stderr how many groups of checks are done.

    Returns
    -------
    list of Check
        A1 to A10 (one data point), A11 to A15 and A18 (random models), A16 and A17 (the top mode of a random model and
        of a network on digits).
    """
    from eosfast.papers.runs import computed

    from . import datum_checks, random_checks

    rows = (*datum_checks.ROWS, *random_checks.ROWS)
    return computed(rows, progress)
