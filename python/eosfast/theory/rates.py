"""The constant of the rate 1/t at which the logistic loss falls: on any data, and in closed form on XOR.

Functions use NumPy alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast.arguments import numbers_array

from .single_neuron import positive


def loss_rate(margin: ArrayLike) -> NDArray[np.float64]:
    """Limit of ``lr t L(w_t)`` for a network that ends with the normalised margin ``margin``: ``1/margin^2``.

    Parameters
    ----------
    margin : array_like
        lim min_i y_i f(x_i)/||w||; the largest margin of the data for a linear predictor.

    Returns
    -------
    ndarray

    Notes
    -----
    Derived, for 1-homogeneous growth: the direction converges to a KKT point of the margin problem, hence ||grad L|| ~
    margin L and dL/dt ~ -lr (margin L)^2. The product converges fast, the margin itself as 1/log t.

    Examples
    --------
    >>> round(float(loss_rate(0.2)), 12)
    25.0
    """
    return 1.0 / positive("margin", margin) ** 2


def xor_rate(counts: ArrayLike, k: float, scale: float = 1.0) -> float:
    """Limit of ``lr t L(w_t)`` on `datasets.xor` with the activation ``c u + k softplus(u)``, first layer trained.

    ``m^2/(2 k^2 scale^2) sum_i 1/n_i``, where n_i is the number of hidden units with the sign of sample i whose final
    weights point at it, and m the width, their sum.

    Parameters
    ----------
    counts : array_like, shape (4,)
        n_1, ..., n_4, at least 0.
    k : float
        Factor of the softplus; c does not matter, since it cancels on the four points.
    scale : float, default 1.0
        Factor of the network's output.

    Returns
    -------
    float
        Infinite if an n_i is 0: that sample's output stays at 0, and the loss ends at log(2)/4 for each such sample.

    Notes
    -----
    Derived: every sample's units become parallel to it and share its gradient, a margin problem with the solution
    margin^-2 = m^2/(2 k^2 scale^2) sum_i 1/n_i. It counts every unit as one of the four classes.

    Examples
    --------
    >>> xor_rate([5, 5, 5, 5], k=1.0)
    160.0
    """
    n = numbers_array("counts", counts)
    if n.shape != (4,) or not np.all(n >= 0.0):
        raise ValueError(f"counts must hold four numbers >= 0, got {counts!r}")
    with np.errstate(divide="ignore"):
        return float(np.sum(n) ** 2 / (2.0 * (k * scale) ** 2) * np.sum(1.0 / n))


def xor_counts(W: ArrayLike, output_weights: ArrayLike, X: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
    """Number of hidden units that work for each sample: their weights point at it and they have its sign.

    Parameters
    ----------
    W : array_like, shape (m, d)
        Weights of the units.
    output_weights : array_like, shape (m,)
        a_j, of which the sign counts.
    X, y : array_like, shapes (n, d) and (n,)
        Samples and labels.

    Returns
    -------
    ndarray of int64, shape (n,)
        Units whose largest w_j.x_i belongs to a sample of the other sign count for none.

    Examples
    --------
    >>> X, y = [[-1, -1], [1, 1], [1, -1], [-1, 1]], [1, 1, -1, -1]
    >>> xor_counts([[-2.0, -1.0], [1.0, 3.0], [1.0, -1.0]], [1, 1, -1], X, y).tolist()
    [1, 1, 1, 0]
    """
    labels = np.asarray(y)
    nearest = np.argmax(np.asarray(W, dtype=np.float64) @ np.asarray(X, dtype=np.float64).T, axis=1)
    working = np.sign(np.asarray(output_weights)) == np.sign(labels[nearest])
    return np.bincount(nearest[working], minlength=len(labels)).astype(np.int64)
