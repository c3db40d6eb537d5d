"""Related toys: small models from some fifteen papers on the edge of stability, reproduced and compared with closed
forms.

Cycles and chaos (Chen and Bruna 2022, arXiv 2206.04172; Chen et al. 2023, 2310.01687; Ma et al. 2022, 2204.11326),
where the sharpness ends (Zhu et al. 2022, 2210.03294; Song and Yun 2023, 2307.04204; Kreisler et al. 2023), how a run
comes down from above (Lewkowycz et al. 2020, 2003.02218; Ahn, Zhang and Sra 2022, 2204.01050), slow motion at the edge
(Damian et al. 2023, 2209.15594; Berthier 2026; Arora et al. 2022, 2205.09745; Lyu et al. 2022, 2206.07085), and
diagonal linear networks (Even et al. 2023, 2302.08982).

These are not copies of the papers' figures: step sizes, starts and numbers of steps are ours. Most laws that they are
compared with are derived in `eosfast.theory`; each check says where its expected value comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eosfast.papers.check import Check
    from eosfast.papers.figure import PaperFigure

FIGURE_NAMES = (
    "bifurcation",
    "basins",
    "minimalist",
    "alignment",
    "flow_sharpness",
    "catapult",
    "unstable_convergence",
    "self_stabilization",
    "multiscale",
    "drifts",
    "diagonal_network",
)

__all__ = ["FIGURE_NAMES", "figures", "verify"]


def figures() -> dict[str, PaperFigure]:
    """Return the figures by name; each is called as ``figure(out=None, progress=False)`` and returns a matplotlib
    Figure.

    Returns
    -------
    dict of str to PaperFigure
        "bifurcation", "basins", "minimalist", "alignment", "flow_sharpness", "catapult", "unstable_convergence",
        "self_stabilization", "multiscale", "drifts", "diagonal_network".

    Examples
    --------
    >>> figures()["drifts"].caption.split(":")[0]
    'Slow drifts along a valley'
    """
    from . import descent_figures, diagonal_figures, drift_figures, map_figures, product_figures

    modules = (map_figures, product_figures, descent_figures, drift_figures, diagonal_figures)
    found = {figure.name: figure for module in modules for figure in module.FIGURES}
    return {name: found[name] for name in FIGURE_NAMES}


def verify(progress: bool = False) -> list[Check]:
    """Return the checks, each computed anew (about ten seconds in all).

    Parameters
    ----------
    progress : bool, default False
        Show on stderr how many groups of checks are done.

    Returns
    -------
    list of Check
        A1 (one dimension), B1, B2, E1 to E4 (cycles and chaos), F1 (basins), Z1, E5, E6, Y1 (end sharpness), E7
        (conserved quantities, thresholds), E8 (mean model), E12, K1 (catapult), U1 (ratios of a step), D1, E9
        (self-stabilisation), G1, G2, L1 (drifts), V1 (diagonal networks).
    """
    from eosfast.papers.runs import computed

    from . import diagonal_checks, drift_checks, map_checks, product_checks

    rows = (*map_checks.ROWS, *product_checks.ROWS, *drift_checks.ROWS, *diagonal_checks.ROWS)
    return computed(rows, progress)
