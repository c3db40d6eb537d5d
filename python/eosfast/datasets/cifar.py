"""CIFAR-10 from the files of its authors: which folder is meant, what must be there, and what becomes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eosfast.arguments import Flag, Integer, shown
from eosfast.datasets.batch_files import NUM_CLASSES, read_binary_batch, read_python_batch
from eosfast.datasets.classes import belonging, checked_classes, checked_count, targets
from eosfast.datasets.dataset import Dataset, generated, generator

Batch = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pixels (n, 3072), labels (n,)

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Layout:
    """One of the two forms in which CIFAR-10 is distributed."""

    folder: str
    suffix: str
    read: Callable[[Path], Batch]

    def files(self, test: bool) -> list[str]:
        """Names of the files, in order."""
        stems = ["test_batch"] if test else [f"data_batch_{k}" for k in range(1, 6)]
        return [stem + self.suffix for stem in stems]


LAYOUTS = (
    Layout("cifar-10-batches-py", "", read_python_batch),
    Layout("cifar-10-batches-bin", ".bin", read_binary_batch),
)


@generator
def cifar10(
    root: str | os.PathLike[str],
    classes: Iterable[str | int] | None = None,
    n: int | None = None,
    seed: int = 0,
    *,
    test: bool = False,
) -> Dataset:
    """Return images of CIFAR-10, 32 x 32 pixels of three colours each, from its files in a local folder.

    Nothing is downloaded: `root` holds what ``cifar-10-python.tar.gz`` or ``cifar-10-binary.tar.gz`` unpack to.

    Parameters
    ----------
    root : path
        The folder with the batches (``cifar-10-batches-py`` with data_batch_1 to data_batch_5, or
        ``cifar-10-batches-bin`` with data_batch_1.bin to data_batch_5.bin), or the folder that contains it. If both
        forms are there, the first.
    classes : iterable of str or int, optional
        Which classes, two or more different ones, by name (airplane, automobile, bird, cat, deer, dog, frog, horse,
        ship, truck) or number 0 to 9; None = all ten.
    n : int, optional
        A random subset of n samples of these classes, in their original order, >= 1; None = all, in their order: the
        training batches one after the other.
    seed : int
        Seed of ``numpy.random.default_rng`` for the subset, >= 0; of no effect without n.
    test : bool
        Read the test batch (test_batch or test_batch.bin) instead of the five training batches.

    Returns
    -------
    Dataset
        ``X (n, 3072)``: the red, green and blue pixels of each image, row by row, mapped from 0 ... 255 to [-1, 1] by
        ``x / 127.5 - 1``, the same for all. y: of two classes ``(n,)``, +1 for the first named and -1 for the second;
        of more ``(n, c)``, one-hot in the order of `classes`.

    Raises
    ------
    FileNotFoundError
        No such folder, or a batch is not in it.
    ValueError, TypeError
        A file that is truncated, damaged or something else; a class that does not exist, is named twice or alone; n
        outside its range.

    Notes
    -----
    All of it takes 1.2 GB in float64. Python batches are pickles, which could run any program: they are read by an
    unpickler that knows arrays, lists, numbers and strings and refuses everything else.

    References
    ----------
    Krizhevsky (2009), "Learning Multiple Layers of Features from Tiny Images".

    Examples
    --------
    >>> import eosfast as eos
    >>> data = eos.datasets.cifar10("data", classes=("airplane", "automobile"), n=6000)  # doctest: +SKIP
    """
    chosen = checked_classes(classes, NAMES, NUM_CLASSES)
    seed, test = Integer().check("seed", seed), Flag().check("test", test)
    checked_count(n, np.iinfo(np.int64).max, "samples")
    files, read = _files(root, test)
    batches = [read(file) for file in files]
    labels = np.concatenate([batch[1] for batch in batches])
    of_all = tuple(range(NUM_CLASSES)) if chosen is None else chosen
    rows = belonging(labels, of_all)
    if not len(rows):
        raise ValueError(f"classes must occur in the batches of {str(files[0].parent)!r}, got {shown(classes)}")
    count = checked_count(n, len(rows), "samples of these classes")
    if n is not None:
        rows = np.sort(np.random.default_rng(seed).choice(rows, count, replace=False))
    X = np.concatenate([batch[0] for batch in batches])[rows].astype(np.float64)
    X /= 127.5
    X -= 1.0
    recipe: dict[str, Any] = {"root": os.fspath(root), "classes": chosen, "n": n}
    recipe |= {} if n is None else {"seed": seed}  # without n nothing is random
    recipe |= {"test": True} if test else {}
    return generated(X, targets(labels[rows], of_all), name="cifar10", **recipe)


def _files(root: str | os.PathLike[str], test: bool) -> tuple[list[Path], Callable[[Path], Batch]]:
    """Return the files to read, all of which exist, and what reads them; FileNotFoundError if one is missing."""
    if not isinstance(root, (str, os.PathLike)):
        raise TypeError(f"root must be the path of a folder, got {shown(root)}")
    folder = Path(root)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"root must be a folder with the unpacked batches of CIFAR-10, got the file {str(folder)!r}")
    if not folder.is_dir():
        raise FileNotFoundError(
            f"root must be a folder with the batches of CIFAR-10, got {str(folder)!r}: no such folder"
        )
    best: tuple[list[Path], Callable[[Path], Batch]] | None = None
    most = 0
    for layout in LAYOUTS:
        for place in (folder, folder / layout.folder):
            files = [place / name for name in layout.files(test)]
            present = sum(file.is_file() for file in files)
            if present > most:
                best, most = (files, layout.read), present
    if best is None:
        wanted = " or ".join(f"{layout.folder}/{layout.files(test)[0]}" for layout in LAYOUTS)
        raise FileNotFoundError(f"{str(folder)!r} must hold the batches of CIFAR-10 ({wanted}), {_content(folder)}")
    missing = [file.name for file in best[0] if not file.is_file()]
    if missing:
        place = best[0][0].parent
        raise FileNotFoundError(f"{', '.join(missing)} must be in {str(place)!r}, {_content(place)}")
    return best


def _content(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return "found " + (", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing")
