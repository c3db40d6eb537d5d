"""Cai, Wu, Mei, Lindsey, Bartlett: "Large stepsize gradient descent for non-homogeneous two-layer networks: margin
improvement and fast optimization" (arXiv 2406.08654, NeurIPS 2024).

The paper shows that gradient descent on the logistic loss of a two-layer network, at any step size, leaves the edge of
stability in finite time, that from then on the loss falls as 1/(lr t) and the margin grows, and that a step size
proportional to the number of steps accelerates this to 1/t^2. `figures` has the paper's figures 1 to 4, the toy of Wu
et al. 2024 (arXiv 2402.15926) that it builds on, and more that its statements suggest; `verify` compares the statements
with simulations. Step sizes, starts and numbers of steps of the paper's figures are not printed in it: here they are
ours. Real data are two classes of the UCI digits, or of CIFAR-10 where a folder with it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from eosfast.papers.check import Check
    from eosfast.papers.figure import PaperFigure

FIGURE_NAMES = (
    "xor",
    "real_data",
    "neurons",
    "transition",
    "acceleration",
    "initialisation",
    "label_noise",
    "choices",
    "logistic_toy",
    "four_layers",
    "edge_of_stability",
)

CIFAR_SAMPLES = 1_500
"""Of airplanes and automobiles: fewer than the paper's 6000, to end in minutes."""

__all__ = ["FIGURE_NAMES", "figures", "verify"]


def figures(data: str | os.PathLike[str] | None = None) -> dict[str, PaperFigure]:
    """Return the figures by name; each is called as ``figure(out=None, progress=False)`` and returns a matplotlib
    Figure.

    Parameters
    ----------
    data : path, optional
        Folder with the batches of CIFAR-10, of which "real_data" then uses airplanes and automobiles; two classes of
        digits by default.

    Returns
    -------
    dict of str to PaperFigure
        "xor", "real_data", "neurons", "transition", "acceleration", "initialisation", "label_noise", "choices",
        "logistic_toy", "four_layers", "edge_of_stability".

    Raises
    ------
    ValueError, FileNotFoundError
        If the folder does not hold CIFAR-10.

    Examples
    --------
    >>> figures()["neurons"].caption.split(":")[0]
    'Five points and two neurons'
    """
    from eosfast import datasets

    from . import data_figures, phase_figures, rate_figures

    images = None if data is None else datasets.cifar10(data, classes=(0, 1), n=CIFAR_SAMPLES)
    drawn = (*rate_figures.figures(images), *phase_figures.FIGURES, *data_figures.FIGURES)
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
        C1 (activations), C2 to C6 (theorems on random data), C7 to C13 (the toy of Wu et al.), C14 to C18 (the data of
        theorem 4.3), C19 to C24 and C27 (XOR), C25 and C26 (single neurons), C28 (the exponential loss), C29 (a
        cascade).
    """
    from eosfast.papers.runs import computed

    from . import logistic_checks, theorem_checks, xor_checks

    rows = (*theorem_checks.ROWS, *logistic_checks.ROWS, *xor_checks.ROWS)
    return computed(rows, progress)
