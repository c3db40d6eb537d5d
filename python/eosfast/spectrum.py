"""Eigenvalues of Hessians and of other people's symmetric operators, with their certificates."""

from __future__ import annotations

import operator as python_operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Integer, Real, finite_array, numbers_array, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse.linalg import LinearOperator

    from eosfast.models.base import Model

    Products = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    """The k largest eigenpairs of a symmetric matrix H, each with a bound on its error.

    Parameters
    ----------
    values : ndarray, shape (k,)
        Eigenvalues, descending (largest algebraic first).
    vectors : ndarray, shape (dim, k)
        Orthonormal eigenvectors, one in each column.
    residuals : ndarray, shape (k,)
        ``||H v - value v||``: some eigenvalue of H is at most this far from the value.
    converged : ndarray of bool, shape (k,)
        Whether the residual is at most `tol` times the largest value in magnitude, and nothing is left to suggest that
        a larger eigenvalue was missed.
    matvecs : int
        Products with H that it took; 0 where the Hessian was formed and solved whole.
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    converged: NDArray[np.bool_]
    matvecs: int

    def __repr__(self) -> str:
        with np.printoptions(precision=6, threshold=8):
            return f"Spectrum(values={self.values}, converged={self.converged}, matvecs={self.matvecs})"


def lanczos(
    operator: Any,
    k: int = 1,
    *,
    v0: ArrayLike | None = None,
    tol: float = 1e-8,
    max_matvecs: int | None = None,
    seed: int = 0,
) -> Spectrum:
    """Return the k largest (algebraic) eigenvalues of a symmetric operator H, each with its residual.

    Block Lanczos with full reorthogonalisation and thick restarts, from k + 1 random vectors, so that repeated and
    clustered eigenvalues are found as often as they occur. A residual proves that a value is an eigenvalue, not that it
    is among the largest: a value counts as converged only when the next Ritz value has settled too or lies far below.

    Parameters
    ----------
    operator : array_like, sparse matrix, LinearOperator, or an object with `shape` and `matvec`
        H, real, symmetric, of shape (dim, dim). `matvec` takes a float64 array of shape (dim,) and returns an array of
        that shape, of any real type; `matmat`, if there is one, the same for (dim, j). Results are float64 whatever the
        operator's type.
    k : int
        How many, from 1 to dim.
    v0 : array_like, shape (dim,), optional
        Guess at the top eigenvector. One wrong guess costs products, never the answer.
    tol : float
        Converged: residual <= `tol` times the largest Ritz value in magnitude. A float32 operator has no digits
        below about 1e-6.
    max_matvecs : int, optional
        Largest number of products. Default: ``10 dim`` between 1000 and 20000, plus ``100 k``.
    seed : int
        Seed of the random start: the same bits every time.

    Returns
    -------
    Spectrum
        Unconverged values are flagged, not raised; where products are not finite, all is NaN.

    Raises
    ------
    ValueError
        A shape that is not square, a matrix that is not symmetric or not finite, `k` > dim, a product of the wrong
        shape.
    TypeError
        Complex values, or an operator that is none of the above. Exceptions of the operator pass through.

    Notes
    -----
    Up to dim = 64, or 4 (k + 1), the matrix is formed by dim products and solved whole. Otherwise the cost is that of
    the products and of about 200 dim operations each; memory is about 80 vectors, fewer where dim exceeds a million.

    References
    ----------
    K. Wu, H. Simon (2000), "Thick-restart Lanczos method for large symmetric eigenvalue problems", SIAM J. Matrix Anal.
    Appl. 22. J. Kuczynski, H. Wozniakowski (1992), "Estimating the largest eigenvalue by the power and Lanczos
    algorithms with a random start", SIAM J. Matrix Anal. Appl. 13.

    Examples
    --------
    >>> import numpy as np
    >>> import eosfast as eos
    >>> float(eos.lanczos(np.diag([1.0, 5.0, -7.0])).values[0])
    5.0

    Anything with `shape` and `matvec` will do, here the Hessian of a loss in PyTorch:

    >>> class Hessian:                                                      # doctest: +SKIP
    ...     def __init__(self, loss, w):
    ...         self.loss, self.w, self.shape = loss, w, (w.numel(), w.numel())
    ...     def matvec(self, v):
    ...         v = torch.as_tensor(v, dtype=self.w.dtype)
    ...         return torch.autograd.functional.vhp(self.loss, self.w, v)[1]
    >>> eos.lanczos(Hessian(loss, w), k=3, tol=1e-4)                        # doctest: +SKIP

    and in JAX:

    >>> class Hessian:                                                      # doctest: +SKIP
    ...     def __init__(self, loss, w):
    ...         self.shape = (w.size, w.size)
    ...         self.matvec = jax.jit(lambda v: jax.jvp(jax.grad(loss), (w,), (v.astype(w.dtype),))[1])
    """
    dim, products = _products_of(operator)
    k = Integer(least=1, most=dim).check("k", k)
    tol = float(Real(above=0).check("tol", tol))
    seed = Integer().check("seed", seed)
    if max_matvecs is None:
        max_matvecs = max(1000, min(10 * dim, 20_000)) + 100 * k
    max_matvecs = Integer(least=1).check("max_matvecs", max_matvecs)
    start = None
    if v0 is not None:
        start = finite_array("v0", v0)
        if start.shape != (dim,):
            raise ValueError(f"v0 must have shape ({dim},), got {start.shape}")
        if not start.any():
            raise ValueError("v0 must not be zero")
    return Spectrum(*core.lanczos(products, dim, k, start, tol, max_matvecs, seed))


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

    dim, products = _products_of(operator)
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


def hessian_operator(model: Model, w: ArrayLike) -> LinearOperator:
    """Return the Hessian of a model's loss at `w` as a SciPy operator, for `lanczos` or any solver of SciPy.

    Parameters
    ----------
    model : Model
    w : array_like, shape (dim,)
        Copied: later changes of it do not change the operator.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        Shape (dim, dim), float64, symmetric.

    Raises
    ------
    ValueError
        `w` has the wrong shape.
    ImportError
        SciPy is not installed.
    """
    at = model._weights(w).copy()
    try:
        from scipy.sparse.linalg import LinearOperator
    except ImportError as error:
        raise ImportError("hessian_operator needs SciPy: pip install scipy") from error

    def product(v: NDArray[np.float64]) -> NDArray[np.float64]:
        return model.hvp(at, v)

    products = dict.fromkeys(("matvec", "rmatvec", "matmat", "rmatmat"), product)
    return LinearOperator((model.dim, model.dim), dtype=np.float64, **products)


def hessian_spectrum(products: Products, dim: int, k: int, tol: float, seed: int) -> Spectrum:
    """Return the k largest eigenvalues of the Hessian that `products` applies to columns."""
    return Spectrum(*core.lanczos(products, dim, k, None, tol, 1000 + 100 * k, seed))


# ------------------------------------------------------------------------------------------------------------ operators


def _products_of(operator: Any) -> tuple[int, Products]:
    """Return `dim` and the function that multiplies the columns of a (dim, j) array."""
    is_operator = callable(getattr(operator, "matvec", None))
    if not (is_operator or callable(getattr(operator, "tocsr", None))):
        matrix = _checked_matrix(operator)
        return len(matrix), lambda V: matrix @ V
    dim = _checked_dim(getattr(operator, "shape", None))
    if getattr(getattr(operator, "dtype", None), "kind", "f") == "c":
        raise TypeError(f"operator must be real, got the dtype {operator.dtype}")
    if not is_operator:
        _check_sparse(operator)
        return dim, lambda V: _product(operator @ V, V.shape)
    if callable(getattr(operator, "matmat", None)):
        return (
            dim,
            lambda V: (
                _product(operator.matmat(V), V.shape)
                if V.shape[1] > 1
                else _product(operator.matvec(V[:, 0]), (dim,)).reshape(dim, 1)
            ),
        )
    return dim, lambda V: np.column_stack([_product(operator.matvec(v.copy()), (dim,)) for v in V.T])


def _checked_dim(shape: Any) -> int:
    try:
        rows, columns = (python_operator.index(size) for size in shape)
    except (TypeError, ValueError):
        raise TypeError(
            "operator must be a square array, a sparse matrix, or an object with shape (dim, dim) and matvec, "
            f"got the shape {shown(shape)}"
        ) from None
    if rows != columns or rows < 1:
        raise ValueError(f"operator must have shape (dim, dim) with dim >= 1, got {(rows, columns)}")
    return rows


def _checked_matrix(value: Any) -> NDArray[np.float64]:
    given = np.asarray(value)
    if given.dtype.kind == "c":
        raise TypeError(f"operator must be real, got the dtype {given.dtype}")
    matrix = numbers_array("operator", given)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"operator must have shape (dim, dim) with dim >= 1, got {matrix.shape}")
    finite_array("operator", matrix)
    asymmetry = np.max(np.abs(matrix - matrix.T))
    if asymmetry == 0.0:
        return matrix
    precision = np.finfo(given.dtype).eps if given.dtype.kind == "f" else 0.0
    if asymmetry > np.sqrt(precision) * np.max(np.abs(matrix)):
        raise ValueError(f"operator must be symmetric, got a matrix whose transpose differs by {asymmetry:g}")
    return 0.5 * matrix + 0.5 * matrix.T


def _check_sparse(matrix: Any) -> None:
    if not np.isfinite(matrix.data).all():
        raise ValueError("operator must be finite, got a sparse matrix that is not")
    asymmetry = abs(matrix - matrix.T).max()
    if asymmetry > np.sqrt(np.finfo(np.float64).eps) * abs(matrix).max():
        raise ValueError(f"operator must be symmetric, got a sparse matrix whose transpose differs by {asymmetry:g}")


def _product(result: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return what an operator gave as float64; PyTorch's tensors may hang on a graph or a device."""
    if callable(getattr(result, "detach", None)):
        result = result.detach().cpu()
    array = np.asarray(result)
    if array.dtype.kind not in "iufb" and array.dtype.name != "bfloat16":
        raise TypeError(f"products of the operator must be real numbers, got {array.dtype}")
    if array.shape == (*shape, 1):
        array = array[..., 0]
    if array.shape != shape:
        raise ValueError(f"products of the operator must have shape {shape}, got {array.shape}")
    return array.astype(np.float64)


# ----------------------------------------------------------------------------------------------------------- quadrature


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
