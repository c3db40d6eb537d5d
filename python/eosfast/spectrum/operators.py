"""Symmetric operators as functions that multiply columns of a float64 array: other people's, and models' Hessians."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eosfast.arguments import finite_array, numbers_array, shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy.sparse.linalg import LinearOperator

    from eosfast.models.base import Model

Products: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""(dim, j) -> (dim, j): the operator times each column."""

KINDS = "a square array, a sparse matrix, or an object with shape (dim, dim) and matvec"


def products_of(operator: Any) -> tuple[int, Products]:
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
        raise TypeError(f"operator must be {KINDS}, got the shape {shown(shape)}") from None
    if rows != columns or rows < 1:
        raise ValueError(f"operator must have shape (dim, dim) with dim >= 1, got {(rows, columns)}")
    return rows


def _checked_matrix(value: Any) -> NDArray[np.float64]:
    given = np.asarray(value)
    if given.dtype.kind not in "biufc":
        raise TypeError(f"operator must be {KINDS}, got {shown(value)}")
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
    return symmetric_operator("hessian_operator", model.dim, lambda rows: model.hvp(at, rows.T).T)


def symmetric_operator(name: str, dim: int, products: Products) -> LinearOperator:
    """Return a SciPy operator from the function that multiplies the rows of a (k, dim) array."""
    try:
        from scipy.sparse.linalg import LinearOperator
    except ImportError as error:
        raise ImportError(f"{name} needs SciPy: pip install scipy") from error

    def product(V: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = np.ascontiguousarray(V.reshape(dim, -1).T, dtype=np.float64)
        return np.ascontiguousarray(products(rows).T).reshape(V.shape)

    return LinearOperator(
        (dim, dim), dtype=np.float64, **dict.fromkeys(("matvec", "rmatvec", "matmat", "rmatmat"), product)
    )
