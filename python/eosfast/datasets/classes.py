"""The argument `classes` of labelled images: which labels are meant, in which order, and what y they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.arguments import Integer, one_of, plain, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked_classes(classes: Any, names: Sequence[str], num_labels: int = 10) -> tuple[int, ...] | None:
    """Return labels 0, ..., `num_labels` - 1 for `classes`, given as numbers or by `names`; None stands for all."""
    if classes is None:
        return None
    if isinstance(classes, str) or not hasattr(classes, "__iter__"):
        raise TypeError(f"classes must be a sequence of classes or None, got {shown(classes)}")
    labels = tuple(_label(one, names, num_labels) for one in classes)
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(f"classes must be two or more different ones, got {shown(classes)}")
    return labels


def _label(one: Any, names: Sequence[str], num_labels: int) -> int:
    one = plain(one)
    if names and isinstance(one, str):
        if one not in names:
            raise ValueError(f"classes must be among {one_of(one, names)} or 0 to {num_labels - 1}, got {shown(one)}")
        return names.index(one)
    label: int = Integer(most=num_labels - 1).check("every one of classes", one)
    return label


def belonging(labels: NDArray[np.integer[Any]], classes: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the indices of the samples of these classes, in order."""
    return np.flatnonzero(np.isin(labels, classes))


def targets(labels: NDArray[np.integer[Any]], classes: tuple[int, ...]) -> NDArray[np.float64]:
    """Return y: of two classes +1 for the first and -1 for the second, of more a column with ones for each."""
    if len(classes) == 2:
        return np.where(labels == classes[0], np.float64(1), np.float64(-1))
    one_hot: NDArray[np.float64] = (labels[:, None] == np.array(classes)).astype(np.float64)
    return one_hot


def checked_count(n: Any, available: int, what: str) -> int:
    """Return how many of the `available` samples are wanted: n, or all for None."""
    wanted: int | None = Integer(least=1, optional=True).check("n", n)
    if wanted is not None and wanted > available:
        raise ValueError(f"n must be at most {available}, the number of {what}, got {wanted}")
    return available if wanted is None else wanted
