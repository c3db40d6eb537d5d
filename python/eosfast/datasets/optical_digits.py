"""The real images that come with the package: handwritten digits of 8 x 8 pixels (origin and licence in
optical_digits.md, the data in optical_digits.npz).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from eosfast.datasets.classes import belonging, checked_classes, checked_count, targets
from eosfast.datasets.dataset import Dataset, generated, generator

FILE = __file__.removesuffix(".py") + ".npz"
LARGEST_PIXEL = 16


@generator
def digits(classes: Iterable[int] | None = (0, 1), n: int | None = None) -> Dataset:
    """Return images of handwritten digits, 8 x 8 pixels each, of real people: the UCI "optical recognition of
    handwritten digits", its test set.

    Parameters
    ----------
    classes : iterable of int, optional
        Which digits, two or more different ones of 0 to 9; None = all ten, in this order.
    n : int, optional
        Only the first n samples of these classes, >= 1; None = all.

    Returns
    -------
    Dataset
        ``X (n, 64)``: the pixels row by row, their values 0, 1, ..., 16 divided by 16 (one factor for all, nothing
        centred), in the order of the original file. y: of two classes ``(n,)``, +1 for the first named and -1 for the
        second; of more ``(n, c)``, one-hot in the order of `classes`.

    Raises
    ------
    ValueError, TypeError
        Something that is no digit, a digit twice, only one digit; n outside its range.

    Notes
    -----
    1797 samples: 178, 182, 177, 183, 181, 182, 181, 179, 174, 180 of the digits 0 to 9.

    References
    ----------
    Alpaydin, Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
    doi 10.24432/C50P49, licence CC BY 4.0.

    Examples
    --------
    >>> import eosfast as eos
    >>> data = eos.datasets.digits(classes=(3, 8), n=200)
    >>> data.X.shape, data.y.shape
    ((200, 64), (200,))
    >>> eos.datasets.digits(classes=None).y.shape
    (1797, 10)
    """
    chosen = checked_classes(classes, names=())
    with np.load(FILE, allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    of_all = tuple(range(10)) if chosen is None else chosen
    rows = belonging(labels, of_all)
    rows = rows[: checked_count(n, len(rows), "samples of these classes")]
    X = images[rows] / float(LARGEST_PIXEL)
    return generated(X, targets(labels[rows], of_all), name="digits", classes=chosen, n=n)
