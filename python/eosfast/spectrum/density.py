"""The density of eigenvalues of a symmetric operator, by stochastic Lanczos quadrature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.arguments import Integer
from eosfast.spectrum.operators import products_of

if TYPE_CHECKING:
    import xarray
    from numpy.typing import NDArray

    from eosfast.spectrum.operators import Products


def spectral_density(operator: Any, *, num_vectors: int, num_matvecs: int, seed: int = 0) -> xarray.Dataset:
    """Return an estimate of the eigenvalue density of a symmetric operator H, by stochastic Lanczos quadrature.

    From each random unit vector v, m steps of Lanczos give the nodes and weights of a Gauss quadrature,
    ``sum_i weight_i p(node_i) = v' p(H) v`` for every polynomial p of degree up to 2 m - 1; its mean over v is
    ``trace p(H) / dim``, so that the weights are the share of eigenvalues near each node.

    Parameters
    ----------
    operator : array_like, sparse matrix, LinearOperator, or an object with `shape` and `matvec`
        H, as for `lanczos`.
    num_vectors : int
        Random vectors, >= 1. The error of the mean falls with ``1 / sqrt(num_vectors dim)``.
    num_matvecs : int
        Products for each vector, >= 1; m is this number or dim, whichever is less.
    seed : int
        Seed of the random vectors.

    Returns
    -------
    xarray.Dataset
        `node` and `weight` (vector, node_index), weights of one vector add up to 1; `density` (eigenvalue), the mean of
        the quadratures smoothed by a Gaussian, which integrates to 1. Its standard deviation is attribute `width`: the
        distance of the outermost nodes divided by m (or, where they coincide, a thousandth of their size). Attributes
        `matvecs` and `seed`. All NaN where products are not finite.

    Raises
    ------
    ValueError, TypeError
        As for `lanczos`.

    Notes
    -----
    Full reorthogonalisation: m vectors of memory, ``4 m^2 dim`` operations for each random vector. When a Krylov space
    is exhausted early, the rest of its nodes have weight 0.

    References
    ----------
    S. Ubaru, J. Chen, Y. Saad (2017), "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature", SIAM J. Matrix
    Anal. Appl. 38. B. Ghorbani, S. Krishnan, Y. Xiao (2019), "An investigation into neural net optimization via Hessian
    eigenvalue density", arXiv 1901.10159.

    Examples
    --------
    >>> import numpy as np
    >>> import eosfast as eos
    >>> density = eos.spectral_density(np.diag(np.arange(100.0)), num_vectors=4, num_matvecs=20)
    >>> dict(density.sizes)["vector"]
    4
    """
    import xarray

    dim, products = products_of(operator)
    num_vectors = Integer(least=1).check("num_vectors", num_vectors)
    num_matvecs = Integer(least=1).check("num_matvecs", num_matvecs)
    seed = Integer().check("seed", seed)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))  # not the stream that made the operator
    m = min(num_matvecs, dim)
    quadratures = [_quadrature(products, dim, m, rng) for _ in range(num_vectors)]
    node, weight = (np.array(part) for part in zip(*quadratures, strict=True))
    eigenvalue, density, width = _smoothed(node, weight)
    return xarray.Dataset(
        {
            "node": (("vector", "node_index"), node, {"long_name": "node of the quadrature"}),
            "weight": (("vector", "node_index"), weight, {"long_name": "weight of the quadrature"}),
            "density": ("eigenvalue", density, {"long_name": "density of eigenvalues"}),
        },
        {"eigenvalue": ("eigenvalue", eigenvalue, {"long_name": "eigenvalue"})},
        {"width": width, "matvecs": num_vectors * m, "seed": seed},
    )


def _quadrature(
    products: Products, dim: int, m: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of one random vector: eigenvalues of the Lanczos matrix, squared first components."""
    V = np.empty((m, dim))
    diagonal, off_diagonal = np.empty(m), np.zeros(m)
    V[0] = rng.standard_normal(dim)
    V[0] /= np.linalg.norm(V[0])
    for j in range(m):
        image = products(V[j].reshape(dim, 1))[:, 0]
        if not np.isfinite(image).all():
            return np.full(m, np.nan), np.full(m, np.nan)
        size = np.linalg.norm(image)
        diagonal[j] = V[j] @ image
        if j + 1 < m:
            rest, off_diagonal[j] = _outside(image, V[: j + 1])
            if off_diagonal[j] <= 1e-13 * size:  # exhausted: go on from a new vector, which has no weight
                off_diagonal[j] = 0.0
                rest, _ = _outside(rng.standard_normal(dim), V[: j + 1])
            V[j + 1] = rest
    T = np.diag(diagonal) + np.diag(off_diagonal[:-1], 1) + np.diag(off_diagonal[:-1], -1)
    node, vectors = np.linalg.eigh(T)
    return node, vectors[0] ** 2


def _outside(x: NDArray[np.float64], V: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The part of x orthogonal to the rows of V, at length one, and its length; orthogonalised twice."""
    x = x - V.T @ (V @ x)
    length = float(np.linalg.norm(x))
    if length > 0.0:
        x = x / length
        x = x - V.T @ (V @ x)
        x = x / np.linalg.norm(x)
    return x, length


def _smoothed(
    node: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Grid, density on it, and width of the Gaussian."""
    m = node.shape[1]
    low, high = float(node.min()), float(node.max())
    width = (high - low) / m
    size = max(abs(low), abs(high))
    if not width > 1e-3 / m * size:
        width = 1e-3 * (size or 1.0)
    points = 10 * (m + 10) + 1
    if not np.isfinite(width):
        return np.linspace(0.0, 1.0, points), np.full(points, np.nan), np.nan
    grid = np.linspace(low - 5.0 * width, high + 5.0 * width, points)
    density = np.zeros(points)
    for center, share in zip(node.ravel(), weight.ravel() / len(node), strict=True):
        density += share * np.exp(-0.5 * ((grid - center) / width) ** 2)
    mass = (density.sum() - 0.5 * (density[0] + density[-1])) * (grid[1] - grid[0])  # by the trapezoidal rule
    return grid, density / mass, width
