"""The flattest minimum of a deep linear network, and the step size above which no minimum is stable.

Craciun and Ghoshdastidar (arXiv 2402.13108) show that the stable minima form a bounded set, and that there is a step
size above which gradient descent converges from almost no start. Which step size that is, for any data, depth and rank,
is derived here. Notation as in `linear_network`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .linear_network import Array, checked_problem


class FlattestMinimum(NamedTuple):
    """The minimum with the smallest sharpness, and a bound that proves it.

    No minimum has a sharpness below ``lower_bound``; that of ``weights`` (W_1, ..., W_N) is ``sharpness``, and the two
    agree up to rounding.
    """

    sharpness: float
    lower_bound: float
    weights: tuple[Array, ...]


def flattest_minimum(
    target: ArrayLike, widths: Sequence[int], covariance: ArrayLike | None = None, loss_scale: float = 1.0
) -> FlattestMinimum:
    """The minimum with the smallest sharpness, ``kappa N max_{||v||=1} (||C^(1/2) v|| ||W* C^(1/2) v||^(N-1))^(2/N)``.

    Parameters
    ----------
    target : array_like (dN, d0)
        W*; a number where there is one input and one output.
    widths : sequence of int
        (d0, ..., dN).
    covariance : array_like (d0, d0), optional
        C, which may be singular; the identity by default.
    loss_scale : float, default 1.0
        kappa.

    Returns
    -------
    FlattestMinimum
        ``sharpness`` and ``lower_bound`` differ by rounding, a relative 1e-12.

    Raises
    ------
    ValueError
        A hidden layer that is narrower than the rank of the target: no minimum exists that fits as well as W*. Shapes
        that do not agree.

    Notes
    -----
    Write T = W* C^(1/2). The proof of `balanced_sharpness` with C^(1/2) v for v gives the bound from below. From above:
    let U be an orthonormal basis of the range of T, and take ``W_1 = g^(1-N) U' W*``, ``W_k = g I`` and ``W_N = g U``.
    The sharpness there is the largest eigenvalue of ``kappa (a C + (N-1) a^(-1/(N-1)) T'T)``, a = g^(2N-2), which is
    convex in log a. Its smallest value over a is the bound: minimum and maximum may be exchanged for ``min_a max_P tr
    P(a C + ...)`` over density matrices P, and the maximum over P is attained by a P = v v', since the pairs (v'Cv,
    v'T'Tv) of unit vectors reach every upper right boundary point of their convex hull (Brickman 1961). So the formula
    is exact for any data, depth and rank. Solved by bisection on the derivative in log a, about 60 eigenproblems of
    size d0; ``lower_bound`` is the formula's value at one v.

    Examples
    --------
    >>> best = flattest_minimum([[2.0, 0.0], [0.0, 1.0]], (2, 2, 2, 2))
    >>> round(best.sharpness, 6), round(best.lower_bound, 6)
    (7.559526, 7.559526)
    """
    W, sizes, F, kappa = checked_problem(target, widths, covariance, loss_scale)
    depth = len(sizes) - 1
    scale_C, TF = float(np.max(np.sum(F * F, axis=0))), W @ F
    U, singular, _ = np.linalg.svd(TF, full_matrices=False)
    rank = int(np.sum(singular > max(TF.shape) * np.finfo(float).eps * singular[0]))
    bottleneck = min(sizes[1:-1], default=rank)
    if bottleneck < rank:
        raise ValueError(
            f"widths must have no hidden layer below the rank of the target, else no zero-loss minimum exists: "
            f"the rank is {rank}, the bottleneck {bottleneck}"
        )
    if depth == 1:
        return FlattestMinimum(kappa * scale_C, kappa * scale_C, (W,))
    if rank == 0:
        zeros = tuple(np.zeros((sizes[k + 1], sizes[k])) for k in range(depth))
        return FlattestMinimum(0.0, 0.0, zeros)
    C, S = np.diag(np.sum(F * F, axis=0)) / scale_C, TF.T @ TF / singular[0] ** 2
    upper, lower, log_a = _least_top_eigenvalue(C, S, depth)
    top = float(singular[0])
    unit = kappa * scale_C ** (1.0 / depth) * top ** (2.0 - 2.0 / depth)
    log_g = log_a / (2 * depth - 2) + math.log(top**2 / scale_C) / (2 * depth)
    weights = [np.zeros((sizes[k + 1], sizes[k])) for k in range(depth)]
    inside = F @ np.linalg.pinv(F)  # W* matters on the range of C only
    weights[0][:rank] = math.exp(log_g * (1 - depth)) * U[:, :rank].T @ W @ inside
    for k in range(1, depth - 1):
        weights[k][:rank, :rank] = math.exp(log_g) * np.eye(rank)
    weights[-1][:, :rank] = math.exp(log_g) * U[:, :rank]
    return FlattestMinimum(unit * upper, unit * lower, tuple(weights))


def _least_top_eigenvalue(C: Array, S: Array, depth: int) -> tuple[float, float, float]:
    """Smallest top eigenvalue of ``a C + (N-1) a^(-1/(N-1)) S`` over a > 0, a bound from below, and log a.

    C and S have the largest eigenvalue 1. At the solution v'(a C - a^(-1/(N-1)) S)v = 0, so that a = (t/c)^((N-1)/N)
    with c = v'Cv and t = v'Sv; the bracket holds any such a.
    """
    power = 1.0 / (depth - 1)

    def top(log_a: float) -> tuple[float, Array, float]:
        a, b = math.exp(log_a), math.exp(-log_a * power)
        values, vectors = np.linalg.eigh(a * C + b / power * S)
        v = vectors[:, -1]
        return float(values[-1]), v, float(v @ (a * C - b * S) @ v)

    def bound(v: Array) -> float:
        c, t = max(float(v @ C @ v), 0.0), max(float(v @ S @ v), 0.0)
        return float(depth * c ** (1.0 / depth) * t ** (1.0 - 1.0 / depth))

    steepest = np.linalg.eigh(S)[1][:, -1]
    low = math.log(float(steepest @ C @ steepest)) / depth - 1e-9
    ratios = np.linalg.eigvalsh(_whitened(C, S))
    high = math.log(float(ratios[-1])) * (1.0 - 1.0 / depth) + 1e-9
    (value_low, v_low, _), (value_high, v_high, _) = top(low), top(high)
    while high - low > 1e-15 * max(1.0, abs(low)):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        value, v, slope = top(middle)
        if slope < 0.0:
            low, value_low, v_low = middle, value, v
        else:
            high, value_high, v_high = middle, value, v
    value, log_a = min((value_low, low), (value_high, high))
    basis = np.linalg.qr(np.column_stack([v_low, v_high]))[0]
    slopes, turned = np.linalg.eigh(basis.T @ (math.exp(log_a) * C - math.exp(-log_a * power) * S) @ basis)
    candidates = [v_low, v_high]
    if slopes[0] < 0.0 < slopes[-1]:  # two eigenvectors meet: between them the derivative vanishes
        parts = np.sqrt(np.array([slopes[-1], -slopes[0]]) / (slopes[-1] - slopes[0]))
        candidates += [basis @ turned @ parts, basis @ turned @ (parts * [1.0, -1.0])]
    return value, min(max(map(bound, candidates)), value), log_a


def _whitened(C: Array, S: Array) -> Array:
    """C^(-1/2) S C^(-1/2) on the range of the diagonal matrix C."""
    c = np.diag(C)
    inverse = np.divide(1.0, np.sqrt(c), out=np.zeros_like(c), where=c > 0.0)
    return np.asarray(inverse[:, None] * S * inverse)


def critical_lr(
    target: ArrayLike, widths: Sequence[int], covariance: ArrayLike | None = None, loss_scale: float = 1.0
) -> float:
    """Step size above which no minimum is stable, and almost no start converges to one: ``2 / sharpness`` of the
    flattest.

    Parameters
    ----------
    target, widths, covariance, loss_scale
        As in `flattest_minimum`.

    Returns
    -------
    float
        Infinite for a target of rank 0.

    Raises
    ------
    ValueError
        As `flattest_minimum`.

    References
    ----------
    Craciun and Ghoshdastidar 2024 (arXiv 2402.13108) prove that there is such a step size; its value is derived here.
    The paper is known to us by its abstract and by a summary, which names two critical step sizes. The smaller one
    suffices: near a minimum with an eigenvalue above 2/lr only a null set stays, countably many such neighbourhoods
    cover the minima, and preimages of null sets are null (the paper's result).

    Examples
    --------
    >>> critical_lr([[2.0, 0.0], [0.0, 1.0]], (2, 2, 2))
    0.5
    """
    sharpness = flattest_minimum(target, widths, covariance, loss_scale).sharpness
    return 2.0 / sharpness if sharpness > 0.0 else math.inf
