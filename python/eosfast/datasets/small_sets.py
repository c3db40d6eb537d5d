"""Small sets of points from the literature on large steps. Nothing in them is random."""

from __future__ import annotations

import numpy as np

from eosfast.arguments import Integer, Real
from eosfast.datasets.dataset import Dataset, generated, generator


@generator
def xor(dim: int = 2) -> Dataset:
    """Return all 2^dim sign vectors x in {-1, +1}^dim, each labelled with the product of its signs, ``y = prod_i x_i``.

    Those with y = +1 come first; within a label, the sign of the last coordinate varies most slowly. In two dimensions
    these are the points (-1, -1), (1, 1) with label +1 and (1, -1), (-1, 1) with label -1.

    Parameters
    ----------
    dim : int
        Number of coordinates, from 1 to 20.

    Returns
    -------
    Dataset
        ``X (2^dim, dim)``, ``y (2^dim,)``; entries are -1 and +1.

    Raises
    ------
    ValueError, TypeError
        `dim` outside its range.

    References
    ----------
    Cai, Wu, Mei, Lindsey, Bartlett (2024), "Large Stepsize Gradient Descent for Non-Homogeneous Two-Layer Networks:
    Margin Improvement and Fast Optimization", arXiv 2406.08654, Section 5 (dim = 2).

    Examples
    --------
    >>> import eosfast as eos
    >>> data = eos.datasets.xor()
    >>> data.X.tolist()
    [[-1.0, -1.0], [1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]
    >>> data.y.tolist()
    [1.0, 1.0, -1.0, -1.0]
    """
    dim = Integer(least=1, most=20).check("dim", dim)
    X = np.where(np.arange(2**dim)[:, None] >> np.arange(dim) & 1, 1.0, -1.0)
    y = X.prod(axis=1)
    order = np.argsort(-y, kind="stable")
    return generated(X[order], y[order], name="xor", dim=dim)


@generator
def two_point(gamma: float) -> Dataset:
    """Return the points ``(gamma, sqrt(1 - gamma^2))`` and ``(gamma, -sqrt(1 - gamma^2)/2)``, both with label +1.

    A loss that never increases on them falls no faster than 1/t, whatever the step size.

    Parameters
    ----------
    gamma : float
        Common first coordinate, the margin of the direction (1, 0); 0 < gamma < 1. The theorem takes gamma < 0.1.

    Returns
    -------
    Dataset
        ``X (2, 2)``, ``y = (1, 1)``.

    Raises
    ------
    ValueError, TypeError
        `gamma` outside its range.

    References
    ----------
    Cai, Wu, Mei, Lindsey, Bartlett (2024), arXiv 2406.08654, Theorem 4.3.
    Wu, Bartlett, Telgarsky, Yu (2024), arXiv 2402.15926, Theorem 3.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.datasets.two_point(0.6).X.tolist()
    [[0.6, 0.8], [0.6, -0.4]]
    """
    gamma = Real(above=0, below=1).check("gamma", gamma)
    height = np.sqrt((1 - gamma) * (1 + gamma))
    X = np.array([[gamma, height], [gamma, -height / 2]], dtype=np.float64)
    return generated(X, np.ones(2), name="two_point", gamma=gamma)


@generator
def wu2024() -> Dataset:
    """Return four separable points in the plane: (1, 0.2), (-2, 0.2) with label +1 and (-1, -0.2), (2, -0.2) with -1.

    Their maximum margin is 0.2, in the direction (0, 1).

    Returns
    -------
    Dataset
        ``X (4, 2)``, ``y (4,)`` in {-1, +1}.

    References
    ----------
    Wu, Bartlett, Telgarsky, Yu (2024), "Large Stepsize Gradient Descent for Logistic Loss: Non-Monotonicity of the
    Loss Improves Optimization Efficiency", arXiv 2402.15926, Figure 1.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.datasets.wu2024().y.tolist()
    [1.0, 1.0, -1.0, -1.0]
    """
    X = np.array([[1.0, 0.2], [-2.0, 0.2], [-1.0, -0.2], [2.0, -0.2]])
    return generated(X, np.array([1.0, 1.0, -1.0, -1.0]), name="wu2024")


@generator
def chebyshev(degree: int = 4, n: int = 20) -> Dataset:
    """Return a Chebyshev polynomial on a uniform grid, ``y = T_degree(x)``, where ``T_k(cos t) = cos(k t)``.

    Parameters
    ----------
    degree : int
        Degree of the polynomial, from 0 to 1000.
    n : int
        Number of points, >= 2: from -1 to 1, both included, equally spaced.

    Returns
    -------
    Dataset
        ``X (n, 1)``, ``y (n,)`` in [-1, 1].

    Raises
    ------
    ValueError, TypeError
        An argument outside its range.

    References
    ----------
    Cohen, Kaur, Li, Kolter, Talwalkar (2021), "Gradient Descent on Neural Networks Typically Occurs at the Edge of
    Stability", arXiv 2103.00065 (degrees 3 to 5, 20 points).

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.datasets.chebyshev(degree=2, n=3).y.tolist()
    [1.0, -1.0, 1.0]
    """
    degree, n = Integer(most=1000).check("degree", degree), Integer(least=2).check("n", n)
    x = np.linspace(-1.0, 1.0, n)
    y = np.polynomial.chebyshev.chebval(x, [0.0] * degree + [1.0])
    return generated(x[:, None], np.asarray(y, np.float64), name="chebyshev", degree=degree, n=n)
