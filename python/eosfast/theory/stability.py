"""Which minima gradient descent can stay at: the stability class of a minimum for a step size.

At a minimum w* one step multiplies a small deviation along a Hessian eigenvector by 1 - lr times its eigenvalue:
eigenvalues below 2/lr contract, larger ones expand, and zero ones (along a manifold of minima) do neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import finite_array

from .single_neuron import positive

if TYPE_CHECKING:
    from eosfast.models.base import Model

STRONGLY_STABLE, WEAKLY_STABLE, STRICTLY_UNSTABLE = "strongly stable", "weakly stable", "strictly unstable"


class Stability(NamedTuple):
    """How gradient descent sees a minimum: the class, and what decides it.

    ``kind`` is "strongly stable" if all eigenvalues are below ``threshold`` = 2/lr, "weakly stable" if some positive
    ones are and some are not, "strictly unstable" if none is. ``largest`` and ``smallest`` are the largest and the
    smallest positive eigenvalue, 0 if there is none.
    """

    kind: str
    largest: float
    smallest: float
    threshold: float


def stability_class(minimum: ArrayLike | tuple[Model, ArrayLike], lr: float, *, tol: float = 1e-6) -> Stability:
    """Stability of a minimum under gradient descent: ``lambda_max < 2/lr``, ``lambda_min+ < 2/lr``, or neither.

    Parameters
    ----------
    minimum : array_like or (model, w)
        The Hessian's eigenvalues at the minimum, or a model and the minimum itself, of at most 4096 parameters.
    lr : float
        Step size, > 0.
    tol : float, default 1e-6
        What counts as zero: eigenvalues of at most ``tol`` times the largest in size, and a gradient of norm at most
        ``tol * sharpness * ||w||`` (a minimum at a distance of about ``tol ||w||``).

    Returns
    -------
    Stability

    Raises
    ------
    ValueError
        If this is no minimum: a negative eigenvalue, or a gradient that is not small.

    Notes
    -----
    On a manifold of minima whose tangent space is the null space of the Hessian, a strongly stable minimum is Lyapunov
    stable: the distance to the manifold falls geometrically, and the whole way is of its size. Minima with an
    eigenvalue above 2/lr are unstable, and of the starts near them only a null set stays. At lambda_max = 2/lr, here
    not strongly stable, higher derivatives decide.

    References
    ----------
    Craciun and Ghoshdastidar 2024 (arXiv 2402.13108), whose classes these are, as summarised by others: not read in
    full. The notes are derived here.

    Examples
    --------
    >>> stability_class([4.0, 1.0, 0.0], lr=0.6).kind
    'weakly stable'
    >>> import eosfast as eos
    >>> stability_class((eos.ScalarProduct(depth=2), [1.0, 1.0]), lr=0.9).kind
    'strongly stable'
    """
    threshold, tol = 2.0 / float(positive("lr", lr)), float(positive("tol", tol))
    if isinstance(minimum, tuple) and len(minimum) == 2 and hasattr(minimum[0], "hessian"):
        eigenvalues = _eigenvalues_at(*minimum, tol)
    else:
        eigenvalues = finite_array("minimum", minimum).ravel()
    if eigenvalues.size == 0:
        raise ValueError("minimum must have at least one eigenvalue, got none")
    zero = tol * float(np.max(np.abs(eigenvalues)))
    if np.min(eigenvalues) < -zero:
        raise ValueError(f"minimum must be one: the Hessian has the eigenvalue {np.min(eigenvalues):g} < 0")
    active = eigenvalues[eigenvalues > zero]
    largest, smallest = float(np.max(active, initial=0.0)), float(np.min(active)) if active.size else 0.0
    if largest < threshold:
        kind = STRONGLY_STABLE
    else:
        kind = WEAKLY_STABLE if smallest < threshold else STRICTLY_UNSTABLE
    return Stability(kind, largest, smallest, threshold)


def _eigenvalues_at(model: Model, w: ArrayLike, tol: float) -> NDArray[np.float64]:
    """Hessian eigenvalues at w, once the gradient has been found small there."""
    point = finite_array("the minimum", w)
    eigenvalues = np.linalg.eigvalsh(model.hessian(point))
    gradient = float(np.linalg.norm(model.grad(point)))
    allowed = tol * float(np.max(np.abs(eigenvalues))) * float(np.linalg.norm(point))
    if not gradient <= allowed:
        raise ValueError(f"minimum must be one: the gradient has the norm {gradient:g}, more than {allowed:.3g}")
    return np.asarray(eigenvalues)
