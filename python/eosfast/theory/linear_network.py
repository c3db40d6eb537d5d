"""The minima of deep linear networks: what they depend on, and their Hessian.

``L(W_1, ..., W_N) = (kappa/2) ||W_N ... W_1 X - Y||_F^2``, up to a constant ``(kappa/2) ||(W - W*) C^(1/2)||_F^2`` with
the product W, the least-squares solution W* (``target``) and C = X X' (``covariance``, by default the identity); kappa
is ``loss_scale``. A minimum here is a point where W = W* on the range of C: its loss is the smallest that any matrix
has, zero if the data can be fitted. Layers have sizes ``widths = (d0, ..., dN)``; hidden ones must be at least as wide
as the rank of the target, otherwise there is no such minimum.

The formulas are derived here, save where a docstring names another source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import Integer, finite_array, shown

from .single_neuron import positive

if TYPE_CHECKING:
    from typing import Any

Array = NDArray[np.float64]


class LinearProblem(NamedTuple):
    """What the minima of a deep linear network depend on, in the order in which the functions here take it."""

    target: Array
    widths: tuple[int, ...]
    covariance: Array | None
    loss_scale: float


def linear_problem(model: Any) -> LinearProblem:
    """The problem of a `LinearNetwork`: ``theory.critical_lr(*theory.linear_problem(model))``.

    Parameters
    ----------
    model : LinearNetwork

    Returns
    -------
    LinearProblem
        ``target`` is the least-squares solution of smallest norm where the model has data.

    Examples
    --------
    >>> import eosfast as eos
    >>> model = eos.LinearNetwork((2, 2, 2), target=[[2.0, 0.0], [0.0, 1.0]])
    >>> eos.theory.critical_lr(*eos.theory.linear_problem(model))
    0.5
    """
    widths = tuple(model.widths)
    if model.data is None:
        return LinearProblem(np.asarray(model.target, dtype=np.float64), widths, None, model.loss_scale)
    X, Y = model.data.X, model.data.y.reshape(model.data.n, -1)
    return LinearProblem(np.linalg.lstsq(X, Y)[0].T, widths, X.T @ X, model.loss_scale)


def root(covariance: ArrayLike | None, size: int) -> Array:
    """F with F F' = C and orthogonal columns; what is rounding of a singular C is 0."""
    if covariance is None:
        return np.eye(size)
    C = finite_array("covariance", covariance)
    if C.shape != (size, size) or not np.allclose(C, C.T, rtol=1e-10, atol=1e-12 * float(np.max(np.abs(C)))):
        raise ValueError(f"covariance must be a symmetric matrix of shape {(size, size)}, got {shown(covariance)}")
    values, vectors = np.linalg.eigh(C)
    if values[0] < -1e-10 * max(values[-1], 0.0):
        raise ValueError(f"covariance must have no negative eigenvalue, got {values[0]:g}")
    values[values < size * np.finfo(float).eps * values[-1]] = 0.0
    return np.asarray(vectors * np.sqrt(values))


def checked_problem(
    target: ArrayLike, widths: Sequence[int], covariance: ArrayLike | None, loss_scale: float
) -> tuple[Array, tuple[int, ...], Array, float]:
    """The checked W*, widths, root of C and kappa."""
    sizes = tuple(Integer(least=1).check("every width of widths", width) for width in widths)
    if len(sizes) < 2:
        raise ValueError(f"widths must name at least input and output, got {sizes}")
    W = np.atleast_2d(finite_array("target", target))
    if W.shape != (sizes[-1], sizes[0]):
        raise ValueError(f"target must have shape {(sizes[-1], sizes[0])} for widths {sizes}, got {W.shape}")
    return W, sizes, root(covariance, sizes[0]), float(positive("loss_scale", loss_scale))


# -------------------------------------------------------------------------------------------------------- the spectrum


def minimum_eigenvalues(
    weights: Sequence[ArrayLike], covariance: ArrayLike | None = None, loss_scale: float = 1.0
) -> Array:
    """Eigenvalues of the Hessian at a minimum, descending, without the zeros of directions that leave W as it is:
    those of ``kappa sum_k (A_k A_k') x (F' B_k' B_k F)``, x the Kronecker product.

    ``A_k = W_N ... W_{k+1}``, ``B_k = W_{k-1} ... W_1`` and ``F F' = C``.

    Parameters
    ----------
    weights : sequence of array_like
        W_1, ..., W_N, W_k of shape (d_k, d_{k-1}); with W = W* (not checked, W* being unknown here).
    covariance : array_like (d0, d0), optional
        C; the identity by default.
    loss_scale : float, default 1.0
        kappa.

    Returns
    -------
    ndarray, shape (dN * d0,)
        The full Hessian has these eigenvalues, up to zeros among them, and zeros.

    Raises
    ------
    ValueError
        Matrices that cannot be multiplied, or a covariance that is none.

    Notes
    -----
    Where W = W* the Hessian is kappa J'J, J the derivative of W F, and this is kappa J J': the two have the same
    nonzero eigenvalues. Two layers and C = I: ``kappa (sigma_i(W_2)^2 + sigma_j(W_1)^2)``. Costs ``(dN d0)^3``.

    References
    ----------
    Derived here; for balanced weights and C = I it gives what Ghosh et al. (arXiv 2502.20531) state.

    Examples
    --------
    >>> minimum_eigenvalues([[[2.0]], [[0.5]]])          # x = 2, y = 1/2: x^2 + y^2
    array([4.25])
    """
    layers = [np.atleast_2d(finite_array(f"weights[{k}]", one)) for k, one in enumerate(weights)]
    if not layers:
        raise ValueError("weights must hold at least one matrix, got none")
    for k in range(1, len(layers)):
        if layers[k].shape[1] != layers[k - 1].shape[0]:
            raise ValueError(
                f"weights must be matrices W_1, ..., W_N that can be multiplied, got {layers[k - 1].shape} "
                f"before {layers[k].shape}"
            )
    inputs, outputs = layers[0].shape[1], layers[-1].shape[0]
    before, after = [np.eye(inputs)], [np.eye(outputs)]
    for below, above in zip(layers[:-1], layers[:0:-1], strict=True):
        before.append(below @ before[-1])
        after.append(after[-1] @ above)
    sides = list(zip(after[::-1], before, strict=True))
    return kronecker_eigenvalues(sides, root(covariance, inputs), float(positive("loss_scale", loss_scale)))


def kronecker_eigenvalues(sides: Sequence[tuple[Array, Array]], root: Array, loss_scale: float) -> Array:
    """The eigenvalues of `minimum_eigenvalues`, descending, from the pairs (A_k, B_k) and any F with F F' = C."""
    kernel = sum(np.kron(after @ after.T, (before @ root).T @ (before @ root)) for after, before in sides)
    return np.asarray(loss_scale * np.linalg.eigvalsh(kernel)[::-1])


def balanced_eigenvalues(singular_values: ArrayLike, depth: int, loss_scale: float = 1.0) -> Array:
    """Hessian eigenvalues at a balanced minimum for C = I: ``kappa sum_l (s_i^((N-1-l)/N) s_j^(l/N))^2``.

    Balanced: W_{k+1}' W_{k+1} = W_k W_k' for all k, where every layer has the singular values s_i^(1/N).

    Parameters
    ----------
    singular_values : array_like (r,)
        Those of W*; zeros may be among them.
    depth : int
        N, the number of layers, >= 1.
    loss_scale : float, default 1.0
        kappa.

    Returns
    -------
    ndarray, shape (r, r)
        Eigenvalue (i, j); the largest is `balanced_sharpness` of the largest singular value.

    References
    ----------
    Ghosh et al. (arXiv 2502.20531).

    Examples
    --------
    >>> balanced_eigenvalues([4.0, 1.0], depth=2)
    array([[8., 5.],
           [5., 2.]])
    """
    depth = Integer(least=1).check("depth", depth)
    s = np.abs(finite_array("singular_values", singular_values)).ravel()
    powers = s[:, None] ** (2.0 * np.arange(depth) / depth)
    return float(positive("loss_scale", loss_scale)) * (powers[:, ::-1] @ powers.T)


def balanced_sharpness(sigma: ArrayLike, depth: ArrayLike, loss_scale: ArrayLike = 1.0) -> Array:
    """Smallest sharpness of a minimum for C = I: ``kappa N sigma^(2 - 2/N)``, sigma the largest singular value of W*.

    Parameters
    ----------
    sigma : array_like
        Largest singular value of W*; with one input and one output, and ``ScalarProduct``, the target.
    depth : array_like of int
        N, the number of layers, >= 1.
    loss_scale : array_like, default 1.0
        kappa; broadcast together.

    Returns
    -------
    ndarray

    Notes
    -----
    Sharpness >= kappa sum_k ||A_k' u||^2 ||B_k v||^2 for unit vectors u, v. By the inequality of the means this is at
    least kappa N (prod_k ||A_k' u|| ||B_k v||)^(2/N), and ||A_k' u|| ||B_{k+1} v|| >= |u' W* v|. Balanced minima
    attain it. See `flattest_minimum` for other data.

    References
    ----------
    Mulayoff and Michaeli (2020) study the flattest minima of linear networks; this proof is derived here.

    Examples
    --------
    >>> [round(float(balanced_sharpness(2.0, depth)), 6) for depth in (2, 3, 4)]
    [4.0, 7.559526, 11.313708]
    """
    N = positive("depth", depth)
    return np.asarray(positive("loss_scale", loss_scale) * N * np.abs(np.asarray(sigma, float)) ** (2.0 - 2.0 / N))
