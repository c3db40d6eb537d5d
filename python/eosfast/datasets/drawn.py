"""Random data. Everything is drawn with ``numpy.random.default_rng(seed)``, in the order that each docstring names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eosfast.arguments import Integer, Real
from eosfast.datasets.dataset import Dataset, generated, generator

if TYPE_CHECKING:
    from numpy.typing import NDArray


@generator
def sparse_coding(n: int = 300, d: int = 200, signal: float = 3.0, noise: float = 1.0, seed: int = 0) -> Dataset:
    """Return samples ``x = signal y e_j + noise xi``: a signal of the label's sign in one random coordinate, and
    Gaussian noise in all.

    The label y is +1 or -1, j one of the d coordinates (both uniform), and ``xi ~ N(0, I_d)``; everything is
    independent.

    Parameters
    ----------
    n : int
        Number of samples, >= 1.
    d : int
        Number of coordinates, >= 1.
    signal : float
        Size of the signal, lambda in the paper; finite.
    noise : float
        Standard deviation of the noise, >= 0.
    seed : int
        Seed of ``numpy.random.default_rng``, >= 0. Drawn in the order: y, j, xi.

    Returns
    -------
    Dataset
        ``X (n, d)``, ``y (n,)`` in {-1, +1}.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range.

    References
    ----------
    Ahn, Bubeck, Chewi, Lee, Suarez, Zhang (2023), "Learning threshold neurons via the edge of stability", arXiv
    2212.07469, eq. (1).

    Examples
    --------
    >>> import eosfast as eos
    >>> data = eos.datasets.sparse_coding(n=300, d=200, seed=7)
    >>> data.X.shape
    (300, 200)
    """
    n, d = Integer(least=1).check("n", n), Integer(least=1).check("d", d)
    signal, noise = Real().check("signal", signal), Real(least=0).check("noise", noise)
    seed = Integer().check("seed", seed)
    rng = np.random.default_rng(seed)
    y = np.where(rng.integers(2, size=n) == 1, 1.0, -1.0)
    j = rng.integers(d, size=n)
    X = rng.standard_normal((n, d))
    X *= noise
    X[np.arange(n), j] += signal * y
    return generated(X, y, name="sparse_coding", n=n, d=d, signal=signal, noise=noise, seed=seed)


@generator
def separable(n: int, d: int, margin: float, seed: int = 0) -> Dataset:
    """Return linearly separable samples in the unit ball whose maximum margin is `margin`.

    ``x = y a w + z`` with a random unit vector w, labels y = +1 or -1 (uniform), ``a`` uniform in [margin, 1), and z
    uniform in the ball of radius ``sqrt(1 - a^2)`` orthogonal to w; everything is independent, except that the first
    two samples are support vectors, ``y_1 x_1 = margin w + z`` and ``y_2 x_2 = margin w - z``.

    Parameters
    ----------
    n : int
        Number of samples, >= 1. A single one is ``x = y margin w``.
    d : int
        Number of coordinates, >= 1.
    margin : float
        Margin gamma, 0 < margin < 1.
    seed : int
        Seed of ``numpy.random.default_rng``, >= 0. Drawn in the order: w (a normal vector, divided by its length),
        y, a, direction of z, length of z.

    Returns
    -------
    Dataset
        ``X (n, d)``, ``||x|| <= 1``; ``y (n,)`` in {-1, +1}.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range.

    Notes
    -----
    ``y_i x_i.w >= margin`` for all i. The two support vectors make w the direction of the largest margin and `margin`
    its value: for any unit vector v, ``min_i y_i x_i.v <= (y_1 x_1 + y_2 x_2).v / 2 = margin w.v <= margin``. All this
    holds to rounding.

    References
    ----------
    Cai, Wu, Mei, Lindsey, Bartlett (2024), "Large Stepsize Gradient Descent for Non-Homogeneous Two-Layer Networks:
    Margin Improvement and Fast Optimization", arXiv 2406.08654, Assumption 3.

    Examples
    --------
    >>> import eosfast as eos
    >>> data = eos.datasets.separable(n=20, d=5, margin=0.1, seed=7)
    >>> bool((np.linalg.norm(data.X, axis=1) <= 1).all())
    True
    """
    n, d = Integer(least=1).check("n", n), Integer(least=1).check("d", d)
    margin = Real(above=0, below=1).check("margin", margin)
    seed = Integer().check("seed", seed)
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(d)
    w /= np.sqrt(np.square(w).sum())
    y = np.where(rng.integers(2, size=n) == 1, 1.0, -1.0)
    a = margin + (1 - margin) * rng.random(n)
    z = rng.standard_normal((n, d))
    u = rng.random(n)
    a[:2] = margin
    if d == 1:
        z[:] = 0.0
    else:
        z -= np.outer(_product(z, w[None]), w)
        z *= (np.sqrt((1 - a) * (1 + a)) * u ** (1 / (d - 1)) / np.linalg.norm(z, axis=1))[:, None]
        z[:1] = -z[1:2] if n > 1 else 0.0
    X = y[:, None] * (a[:, None] * w + z)
    return generated(X, y, name="separable", n=n, d=d, margin=margin, seed=seed)


@generator
def teacher(n: int, d: int, width: int, seed: int = 0) -> Dataset:
    """Return Gaussian samples with the outputs of a random network, ``y = sum_j a_j tanh(w_j.x) / sqrt(width)``.

    ``x ~ N(0, I_d)``, ``w_j ~ N(0, I_d / d)``, ``a_j ~ N(0, 1)``, all independent; no biases, no noise. At any width
    and d the outputs are of order one: their variance is 0.394 where d is large.

    Parameters
    ----------
    n : int
        Number of samples, >= 1.
    d : int
        Number of coordinates, >= 1.
    width : int
        Number of hidden neurons of the teacher, >= 1.
    seed : int
        Seed of ``numpy.random.default_rng``, >= 0. Drawn in the order: w, a, x.

    Returns
    -------
    Dataset
        ``X (n, d)``, ``y (n,)``. With another n the teacher is the same, and the common samples are too.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.datasets.teacher(n=100, d=20, width=5, seed=7)
    teacher(n=100, d=20, width=5, seed=7)
    """
    n, d = Integer(least=1).check("n", n), Integer(least=1).check("d", d)
    width, seed = Integer(least=1).check("width", width), Integer().check("seed", seed)
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((width, d)) / np.sqrt(d)
    a = rng.standard_normal(width)
    X = rng.standard_normal((n, d))
    y = _product(np.tanh(_product(X, W)), a[None])[:, 0] / np.sqrt(width)
    return generated(X, y, name="teacher", n=n, d=d, width=width, seed=seed)


def _product(A: NDArray[np.float64], B: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``A B'``, whose bits, unlike those of ``@``, do not depend on how many threads NumPy's BLAS has."""
    return np.asarray(np.einsum("ik,jk->ij", A, B))
