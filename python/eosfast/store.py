"""The results of a sweep on disk: a Zarr group (format 3) that is laid out as the final Dataset before work starts, and
then filled block by block.

A block is one chunk of every variable, and each chunk is a file of its own that appears whole or not at all (written
beside and renamed). `status` comes last: a block counts when all its chunks are there. So any number of processes may
fill disjoint blocks, a killed one loses at most the blocks under way, and any Zarr reader opens the store at any time:
what is not done has the fill values, ``pending`` for the status.

Chunks are not compressed (doubles of chaotic runs do not compress), so a whole one has a known size, and carry a
CRC-32C, so a damaged one is noticed when it is read, and when a sweep goes on. That is why nothing waits for the disk
(`fsync`): what a power failure takes is found missing or damaged, and computed again.
"""

from __future__ import annotations

import errno
import json
import math
import os
import platform
import shutil
import socket
import uuid
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast._dispatch import isa
from eosfast._version import __version__
from eosfast.arguments import shown
from eosfast.blocks import Blocks
from eosfast.chunks import CHECKSUM_BYTES, intact, padded, put
from eosfast.results import LONG_NAMES, STATUS, differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import xarray
    from numpy.typing import NDArray

    from eosfast.job import Arrays, Job

FORMAT = "eosfast_sweep"
"""Attribute of the group that says that it is a sweep's store, and of which form."""


class Store:
    """The store of one sweep, open."""

    def __init__(self, path: Path, job: Job, blocks: Blocks) -> None:
        self.path, self.job, self.blocks = path, job, blocks

    # ---------------------------------------------------------------------------------------------------- open, create

    @classmethod
    def at(
        cls, path: Path, job: Job, layout: Callable[[], Blocks], overwrite: bool, notes: dict[str, str] | None = None
    ) -> Store:
        """Open the store of this job, or make it; ValueError if something else is there, which is not touched."""
        zarr()
        if overwrite and not _vacant(path):
            attributes_of(path)  # refuses what is no store
            with _writing(path):
                real = _real(path)
                doomed = real.with_name(f".{real.name}.{uuid.uuid4().hex}.old")
                real.rename(doomed)
                shutil.rmtree(doomed)
        begun = not _vacant(path)
        if not begun:
            if _real(path) == _real(Path()):  # it is going to be another folder, in which nobody is
                raise ValueError(
                    f"store must be a folder of its own, got {str(path)!r}, where this process runs: name one in it, "
                    "such as 'sweep.zarr'"
                )
            cls._create(path, job, layout(), notes or {})
        store = cls.opened(path, job)
        if begun:
            store._mend_coordinates()
        return store

    @classmethod
    def opened(cls, path: Path, job: Job) -> Store:
        """Open the store of this job; ValueError if it is another's."""
        attributes = attributes_of(path)
        different = differences(json.loads(attributes["config"]), json.loads(_config_of(job)))
        if different:
            raise ValueError(
                f"store {str(path)!r} holds another sweep, nothing was changed: {'; '.join(different)}. Name another "
                "store, or give overwrite=True to replace it"
            )
        for name, here in (("isa", isa), ("eosfast_version", __version__)):
            if attributes[name] != here:
                remedy = f"set EOSFAST_ISA={attributes[name]}" if name == "isa" else f"use eosfast {attributes[name]}"
                raise ValueError(
                    f"store {str(path)!r} was begun with {name} {attributes[name]!r}, this is {here!r}, and the last "
                    f"bits may differ: {remedy} to continue it"
                )
        return cls(path, job, Blocks(job.shape, tuple(attributes["block"])))

    @classmethod
    def _create(cls, path: Path, job: Job, blocks: Blocks, notes: dict[str, str]) -> None:
        """Make the whole layout beside `path` and rename it: of several processes that try, one wins."""
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            real = _real(path)
            real.parent.mkdir(parents=True, exist_ok=True)
            draft = real.with_name(f".{real.name}.{uuid.uuid4().hex}.partial")
            try:
                _lay_out(draft, job, blocks, notes)
                draft.rename(real)
            except OSError:
                if not (path / "zarr.json").exists():  # else another process was faster
                    raise
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    # -------------------------------------------------------------------------------------------------------- blocks

    @cached_property
    def _chunks(self) -> list[tuple[str, str, int]]:
        """For each variable the folder of its chunks, the end of their names, and their size."""
        runs = math.prod(self.blocks.chunk)
        return [
            (
                f"{self.path}/{name}/c/",
                "/0" * len(one.extra),
                runs * math.prod(one.extra) * one.dtype.itemsize + CHECKSUM_BYTES,
            )
            for name, one in self.job.variables().items()
        ]

    def files(self, block: int) -> list[tuple[str, int]]:
        """Return the files of a block and the sizes that they have when they are whole, in the order of writing."""
        place = "/".join(map(str, self.blocks.place(block)))
        return [(folder + place + end, size) for folder, end, size in self._chunks]

    def done(self, block: int) -> bool:
        """Return whether every chunk of a block is there, whole."""
        try:  # the status first: what is not done is known by one look
            return all(os.stat(file).st_size == size for file, size in self.files(block)[::-1])  # noqa: PTH116 - 60,000
        except OSError:
            return False

    def sound(self, block: int) -> bool:
        """Return whether a block is done and undamaged; what is damaged is taken away."""
        if not self.done(block):
            return False
        for file, _ in self.files(block):
            if not intact(file):
                with _writing(self.path):
                    Path(file).unlink(missing_ok=True)
                return False
        return True

    def _mend_coordinates(self) -> None:
        """Write coordinates again whose chunks are missing or damaged."""
        group = zarr().open_group(self.path, mode="r+")
        for name, (_, values) in _coordinates(self.job).items():
            if not _holds(group[name], values):
                with _writing(self.path):
                    group[name][:] = values

    def write(self, block: int, arrays: Arrays) -> None:
        """Write the results of a block, the status last."""
        with _writing(self.path):
            self._require_same()
            variables = self.job.variables().items()
            for (name, variable), (file, _) in zip(variables, self.files(block), strict=True):
                whole = padded(arrays[name], (*self.blocks.chunk, *variable.extra), variable)
                put(file, whole)

    def _require_same(self) -> None:
        """Raise FileNotFoundError if the store was replaced by another since it was opened."""
        try:
            attributes = attributes_of(self.path)
            same = attributes["block"] == list(self.blocks.chunk) and self._is_ours(attributes["config"])
        except ValueError:
            same = False
        if not same:
            raise FileNotFoundError(errno.ENOENT, "it was removed or replaced while this sweep was under way")

    @cached_property
    def _config(self) -> str:
        return _config_of(self.job)

    def _is_ours(self, config: str) -> bool:
        """Return whether this is the configuration of the job, perhaps written otherwise: 2 for 2.0."""
        return config == self._config or not differences(json.loads(config), json.loads(self._config))

    def finish(self) -> None:
        """Note that all blocks are there, and when."""
        with _writing(self.path):
            metadata = json.loads((self.path / "zarr.json").read_text(encoding="utf-8"))
            if metadata["attributes"]["status"] != "completed":
                metadata["attributes"] |= {"status": "completed", "ended": _now()}
                draft = self.path / "status" / f"zarr.{uuid.uuid4().hex}.partial"  # where no reader lists the files
                draft.write_text(json.dumps(metadata), encoding="utf-8")
                draft.replace(self.path / "zarr.json")

    # -------------------------------------------------------------------------------------------------------- reading

    def dataset(self) -> xarray.Dataset:
        """Return what is there, read when it is looked at."""
        return dataset_of(self.path)[list(self.job.variables())]


def dataset_of(path: Path) -> xarray.Dataset:
    """Return what a store holds, read when it is looked at; ValueError if it is no sweep's store."""
    import xarray

    attributes_of(path)
    zarr()
    found: xarray.Dataset = xarray.open_zarr(path, consolidated=True, chunks=None)
    texts = {name: values for name, values in found.coords.items() if values.dtype.kind not in "iufb"}
    if "status" in found:
        found["status"].attrs["flag_values"] = np.arange(len(STATUS), dtype=np.int8)
    own = {name: (values.dims, np.array(values.values.tolist()), values.attrs) for name, values in texts.items()}
    return found.assign_coords(own)


def attributes_of(path: Path) -> dict[str, Any]:
    """Return the attributes of a sweep's store; ValueError if there is none."""
    try:
        metadata = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
        attributes: dict[str, Any] = metadata["attributes"]
        if attributes[FORMAT] == 1:
            return attributes
        what = f"is of form {shown(attributes[FORMAT])}, which this eosfast does not know"
    except (OSError, ValueError, KeyError, TypeError):
        what = "is no sweep's store" if path.exists() else "does not exist"
    raise ValueError(
        f"store {str(path)!r} {what}, nothing was changed: name a new folder, or one that a sweep has made"
    )


def checked_path(store: object) -> Path:
    """Return the argument `store` as a path."""
    if not isinstance(store, (str, os.PathLike)) or isinstance(os.fspath(store), bytes) or not os.fspath(store):
        raise TypeError(f"store must be the path of a folder, got {shown(store)}")
    return local(os.fspath(store)).absolute()  # a worker may be in another folder


def local(name: str) -> Path:
    """Return a path as it is meant: with ``~``, and not a URL."""
    if "://" in name or "\0" in name:
        raise ValueError(f"store must be the path of a folder on a disk, got {shown(name)}")
    return Path(name).expanduser()


def _real(path: Path) -> Path:
    """Return where a path leads, links resolved: what is renamed is the folder, not a link to it."""
    return Path(os.path.realpath(path))


def zarr() -> Any:
    """Return the module, loaded on first use."""
    try:
        import zarr as module
    except ImportError as error:
        raise ImportError("a store needs Zarr: pip install 'eosfast[store]'") from error
    return module


def _lay_out(path: Path, job: Job, blocks: Blocks, notes: dict[str, str]) -> None:
    group = zarr().create_group(path, zarr_format=3, attributes=_attributes(job, blocks) | notes)
    dims = job.space.dims
    for name, variable in job.variables().items():
        labels: dict[str, Any] = {"long_name": LONG_NAMES[name]} if name in LONG_NAMES else {}
        if name == "status":
            labels |= {"flag_values": list(range(len(STATUS))), "flag_meanings": " ".join(STATUS)}
        group.create_array(
            name,
            shape=(*job.shape, *variable.extra),
            dtype=variable.dtype,
            chunks=(*blocks.chunk, *variable.extra),
            dimension_names=(*dims, *(["parameter"] if variable.extra else [])),
            fill_value=variable.dtype.type(variable.pending),
            compressors=[zarr().codecs.Crc32cCodec()],
            config={"write_empty_chunks": True},
            attributes=labels,
        )
    for name, (dim, values) in _coordinates(job).items():
        array = group.create_array(
            name,
            shape=values.shape,
            dtype="string" if values.dtype.kind == "O" else values.dtype,
            dimension_names=[dim],
            compressors=[zarr().codecs.Crc32cCodec()],
            config={"write_empty_chunks": True},
            attributes={"long_name": LONG_NAMES[name]} if name in LONG_NAMES else {},
        )
        array[:] = values
    with warnings.catch_warnings():  # not yet in the specification of Zarr, and without it xarray warns
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr().consolidate_metadata(path)


def _coordinates(job: Job) -> dict[str, tuple[str, NDArray[Any]]]:
    """Return name -> (dimension, values), texts as objects."""
    found = dict(job.space.coordinates())
    parameters = job.parameters()
    if parameters is not None:
        found["parameter"] = ("parameter", parameters)
    return {
        name: (dim, values.astype(object) if values.dtype.kind in "UO" else values)
        for name, (dim, values) in found.items()
    }


def _holds(array: Any, values: NDArray[Any]) -> bool:
    """Return whether these values can be read from an array of a store."""
    try:
        found = array[:]
    except (ValueError, RuntimeError, OSError):  # the checksum is wrong, or there are too few bytes
        return False
    return bool(np.array_equal(found.astype(values.dtype), values))


def _attributes(job: Job, blocks: Blocks) -> dict[str, Any]:
    return {
        FORMAT: 1,
        "block": list(blocks.chunk),
        "coordinates": " ".join([*job.space.coordinates(), *(["parameter"] if job.parameters() is not None else [])]),
        "status": "pending",
        **job.threshold(),
        "config": _config_of(job),
        "seed": job.seed,
        "eosfast_version": __version__,
        "isa": isa,
        "numpy_version": np.__version__,
        "python_version": platform.python_version(),
        "host": socket.gethostname(),
        "created": _now(),
    }


def _config_of(job: Job) -> str:
    return json.dumps(job.identity(), allow_nan=False)


def _vacant(path: Path) -> bool:
    """Return whether there is nothing, or an empty folder."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say which store could not be written, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno or 0,
            f"store {str(path)!r} cannot be written ({error.strerror or error}): the blocks done so far are kept; make "
            "room or mend it, and the same call goes on",
        ) from error
