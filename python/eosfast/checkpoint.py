"""The checkpoint of a run of `train`: one file with the rows so far and all that the rest of the run depends on.

It is an archive of plain arrays (``.npz``, no pickles), written beside and renamed, so that at any moment there is a
whole one. The SHA-256 of everything else is the archive's comment, its last bytes: what is damaged or cut short is
noticed before anything of it is used.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast.arguments import shown
from eosfast.results import PENDING, STATUS, differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from eosfast.results import Provenance

PERIOD = 2.0
"""Seconds between two renewals of the file, at least."""

SHARE = 0.03
"""Part of the time that renewals may take: the interval grows with what the last one cost."""

FORMAT = "eosfast_checkpoint_1"
"""What a file says that it is."""

OUTCOME = ("status", "num_steps_done", "rows", "steady_from", "steady_period")
"""What the core tells of a run."""

NO_DIGEST = b"0" * 64
"""Stands in the place of the checksum while it is computed."""


class Checkpoint:
    """The file of one run, whose rows are in `columns`: read into them if it is there.

    ValueError, which names the file, if it is damaged, another run's, or none of ours; OSError if it cannot be written.
    In neither case has anything been changed.
    """

    def __init__(self, path: object, source: Provenance, columns: Mapping[str, NDArray[Any]]) -> None:
        self.path, self.source, self.columns = _checked_path(path), source, columns
        self.identity = source.identity()
        self.state, self.outcome = b"", dict.fromkeys(OUTCOME, 0) | {"status": PENDING}
        if self.path.exists():
            with self.path.open("rb") as file:
                self._read(file)
        if not self.finished:
            self._prove_writable()

    @property
    def finished(self) -> dict[str, int] | None:
        """What the core told of the run when it ended; None if it has not."""
        return None if self.outcome["status"] == PENDING else self.outcome

    def for_the_core(self) -> tuple[Callable[[bytes, dict[str, int]], float], float, bytes, int]:
        """Return what the core wants: whom to tell, after how many seconds, the state to go on from, its rows."""
        return self.keep, PERIOD, self.state, self.outcome["rows"]

    @contextmanager
    def continued(self) -> Iterator[None]:
        """Name the file where the core finds that the state does not fit the run."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"checkpoint {str(self.path)!r} cannot be continued: {error}") from error

    def keep(self, state: bytes, outcome: dict[str, int]) -> float:
        """Renew the file. Return how many seconds to wait before the next time."""
        began = time.perf_counter()
        rows = outcome["rows"]
        facts = {
            "format": FORMAT,
            "identity": self.identity,
            "outcome": outcome,
            "wall_seconds": self.source.wall_seconds(),
        }
        arrays = {f"column.{name}": array[:rows] for name, array in self.columns.items()}
        arrays |= {"facts": np.array(json.dumps(facts)), "state": np.frombuffer(state, np.uint8)}
        with self._draft() as draft:
            _write(draft, arrays)
            os.replace(draft, self.path)  # noqa: PTH105 - the tests stop here
        return max(PERIOD, (time.perf_counter() - began) / SHARE)

    # ---------------------------------------------------------------------------------------------------------- reading

    def _read(self, file: Any) -> None:
        damaged = (
            f"checkpoint {str(self.path)!r} is damaged, cut short, or no checkpoint; nothing was changed. "
            "Name another file, or delete it to begin anew"
        )
        if not _has_its_digest(file):
            raise ValueError(damaged)
        file.seek(0)
        try:
            with zipfile.ZipFile(file) as archive:
                facts = json.loads(str(_array(archive, "facts")))
                refusal = self._refusal(facts)
                if not refusal:
                    self._take(archive, facts)
        except MemoryError:  # there are really so many bytes
            raise
        except Exception as error:  # whatever zipfile, numpy and json make of a forged file
            raise ValueError(damaged) from error
        if refusal:
            raise ValueError(f"checkpoint {str(self.path)!r} {refusal}")

    def _refusal(self, facts: dict[str, Any]) -> str:
        """Return why a whole file is not of this run, "" if it is."""
        if facts["format"] != FORMAT:
            return f"has the format {shown(facts['format'])}, not {FORMAT!r}; nothing was changed"
        different = differences(facts["identity"], json.loads(json.dumps(self.identity, allow_nan=False)))
        if not different:
            return ""
        listed = "; ".join(different)
        return f"belongs to another run, nothing was changed: {listed}. Name another file, or delete this one"

    def _take(self, archive: zipfile.ZipFile, facts: dict[str, Any]) -> None:
        """Take over what the file holds; where it cannot be, any exception, and only the columns may be changed."""
        outcome, seconds = {name: facts["outcome"][name] for name in OUTCOME}, facts["wall_seconds"]
        if not all(type(count) is int and -1 <= count < 2**63 for count in outcome.values()):
            raise TypeError("what the core told are no counts")
        if not 0 <= outcome["status"] < len(STATUS) or not (type(seconds) is float and 0.0 <= seconds < np.inf):
            raise TypeError("status or wall_seconds has no such value")
        rows = outcome["rows"]
        for name, column in self.columns.items():
            stored = _array(archive, f"column.{name}")
            if stored.dtype != column.dtype or stored.shape != (rows, *column.shape[1:]) or rows > len(column):
                raise TypeError(f"column {name} has the wrong form")
            if stored.dtype == np.bool_ and np.any(stored.view(np.uint8) > 1):
                raise TypeError(f"column {name} is neither true nor false")
            column[:rows] = stored
        self.state, self.outcome = _array(archive, "state").tobytes(), outcome
        self.source.began -= seconds

    # ---------------------------------------------------------------------------------------------------------- writing

    def _prove_writable(self) -> None:
        with self._draft() as draft:
            self._sweep_up()
            draft.touch()

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """Yield the name of a file beside the real one; afterwards it is gone. OSError that names the real one."""
        draft = self.path.with_name(f".{self.path.name}.{socket.gethostname()}.{os.getpid()}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            yield draft
        except OSError as error:
            raise OSError(
                error.errno or 0,
                f"checkpoint {str(self.path)!r} cannot be written ({error.strerror or error}); what was there is "
                "unchanged: make room or mend it, and the same call goes on",
            ) from error
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def _sweep_up(self) -> None:
        """Remove what processes of this machine left behind that were killed while they wrote."""
        begins = f".{self.path.name}.{socket.gethostname()}."
        for left in self.path.parent.iterdir():
            process = left.name.removeprefix(begins).removesuffix(".partial")
            if left.name == f"{begins}{process}.partial" and process.isdigit() and not _is_alive(int(process)):
                left.unlink(missing_ok=True)


def _checked_path(path: object) -> Path:
    """Return the file that the argument `checkpoint` means, links resolved: what is renamed over is the file itself."""
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"checkpoint must be the name of a file or None, got {shown(path)}")
    name = os.fspath(path)
    if not name or "\0" in name or "://" in name:
        raise ValueError(f"checkpoint must be the name of a file on a disk, got {shown(name)}")
    found = Path(os.path.realpath(Path(name).expanduser()))
    if found.exists() and not found.is_file():
        kind = "a folder" if found.is_dir() else "no regular file"
        raise ValueError(f"checkpoint must be the name of a file, {name!r} is {kind}")
    return found


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


class _Digesting:
    """A file to write to, not to go back in, and the SHA-256 of all that was written."""

    def __init__(self, file: Any) -> None:
        import hashlib  # on first use

        self._file, self.digest = file, hashlib.sha256()

    def write(self, data: Any) -> int:
        """Write `data`."""
        self.digest.update(data)
        return int(self._file.write(data))

    def flush(self) -> None:
        """Hand on what is buffered."""
        self._file.flush()


def _write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the archive, through to the disk."""
    with path.open("wb") as file:
        stream: Any = _Digesting(file)
        with zipfile.ZipFile(stream, "w") as archive:
            archive.comment = NO_DIGEST
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        file.seek(-len(NO_DIGEST), os.SEEK_END)
        file.write(stream.digest.hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())


def _has_its_digest(file: Any) -> bool:
    """Return whether the last bytes of a file are the checksum of the others."""
    import hashlib

    left = file.seek(0, os.SEEK_END) - len(NO_DIGEST)
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        piece = file.read(min(left, 2**20))
        if not piece:
            return False
        digest.update(piece)
        left -= len(piece)
    digest.update(NO_DIGEST)
    return bool(file.read() == digest.hexdigest().encode())


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Return an array of the archive. What it says of its size is believed only if there are as many bytes."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
        plain = (
            version == (1, 0) and member.compress_type == zipfile.ZIP_STORED and not (fortran_order or dtype.hasobject)
        )
        if not plain or math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise TypeError(f"{name} is not as it was written")
        return np.ndarray(shape, dtype, buffer=file.read())
