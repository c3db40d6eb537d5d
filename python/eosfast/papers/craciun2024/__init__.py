"""Craciun, Ghoshdastidar: "On the convergence of gradient descent for large learning rates" (arXiv 2402.13108; the
first version is called "On the stability of gradient descent for large learning rate").

The paper proves for deep linear networks that the minima at which gradient descent can stay form a bounded set, which
is empty when the step size is too large, and that gradient descent then converges from almost no start; it reports a
sharp transition of the gradient norm in the limit, and the same for networks that are not linear.

`figures` shows these statements, `verify` compares them, and closed forms for the critical step size and for what comes
beyond it (`eosfast.theory`), with simulations. The ideas are the paper's. Its figures, their parameters and its
normalisation of the loss were not available: all settings here are ours, and the closed forms are derived here. The
loss is ``(kappa/2) ||W_N ... W_1 X - Y||_F^2``; every critical step size is proportional to 1/kappa.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eosfast.papers.check import Check
    from eosfast.papers.figure import PaperFigure

FIGURE_NAMES = ("transition", "minima", "grad_norm", "starts", "random_data", "nonlinear")

__all__ = ["FIGURE_NAMES", "figures", "verify"]


def figures() -> dict[str, PaperFigure]:
    """Return the figures by name; each is called as ``figure(out=None, progress=False)`` and returns a matplotlib
    Figure.

    Returns
    -------
    dict of str to PaperFigure
        "transition", "minima", "grad_norm", "starts", "random_data", "nonlinear".

    Examples
    --------
    >>> figures()["starts"].caption.split(":")[0]
    'What becomes of gradient descent on (x y - 1)^2/2 from each start'
    """
    from . import scalar_figures, transition_figures

    found = {figure.name: figure for figure in (*scalar_figures.FIGURES, *transition_figures.FIGURES)}
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
        B1, B2, B13, B14 (minima and their spectra), B3 to B5 (which starts converge, and where to), B6 (the ellipse of
        bounded starts), B7 to B11 (beyond the critical step size), B12 (one run against gradient flow).
    """
    from eosfast.papers.runs import computed

    from . import matrix_checks, scalar_checks

    rows = (*matrix_checks.ROWS, *scalar_checks.ROWS)
    return sorted(computed(rows, progress), key=lambda check: (int("".join(filter(str.isdigit, check.id))), check.id))
