"""Which targets y suit which loss of the outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_LABEL = 2**16 - 1


def check_signs(name: str, y: NDArray[np.float64]) -> None:
    """Raise a ValueError unless `y` are labels -1 and +1 of shape (n,)."""
    if y.ndim != 1:
        raise ValueError(f"{name} must have labels y of shape (n,), got {y.shape}")
    wrong = y[np.abs(y) != 1]
    if not wrong.size:
        return
    values = np.unique(y)
    hint = ""
    if len(values) == 2:
        hint = (
            "; 2 * y - 1 maps them" if tuple(values) == (0, 1) else f"; np.where(y == {values[1]:g}, 1, -1) maps them"
        )
    raise ValueError(f"{name} must have labels -1 and +1, got {wrong[0]:g}{hint}")


def check_targets(name: str, loss: str, y: NDArray[np.float64]) -> None:
    """Raise a ValueError unless `y` suits the loss "logistic", "mse" or "cross_entropy"."""
    if loss == "logistic":
        check_signs(name, y)
    elif loss == "cross_entropy" and y.ndim == 1:
        wrong = y[(y != np.round(y)) | (y < 0) | (y > LARGEST_LABEL)]
        if wrong.size:
            raise ValueError(
                f"{name} must have labels y that are ints >= 0, or y of shape (n, c) with rows that sum to 1, "
                f"got the label {wrong[0]:g}"
            )
    elif loss == "cross_entropy":
        off = (np.abs(y.sum(axis=1) - 1) > 1e-9) | (y < 0).any(axis=1)
        if off.any():
            row = int(np.argmax(off))
            raise ValueError(
                f"{name} must have rows of y >= 0 that sum to 1, "
                f"got a sum of {y[row].sum():g} and a least entry of {y[row].min():g} in row {row}"
            )


def as_matrix(loss: str, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return y as (n, c): one column, or unit vectors for the integer labels of the cross entropy."""
    if loss == "cross_entropy" and y.ndim == 1:
        return np.asarray(np.eye(int(y.max()) + 1)[y.astype(np.int64)])
    return y.reshape(len(y), -1)
