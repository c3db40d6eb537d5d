"""The checkpoint of a run of `train`: one file with the rows so far and all that the rest of the run depends on.

It is an archive of plain arrays (``.npz``, no pickles), written beside and renamed, so that at any moment there is a
whole one. The SHA-256 of everything else is the archive's comment, its last bytes: what is damaged or cut short is
noticed before anything of it is used.
"""

from __future__ import annotations

import json
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
        damaged = f"checkpoint {str(self.path)!r} is damaged, cut short, or no checkpoint; nothing was changed"
        if not _has_its_digest(file):
            raise ValueError(f"{damaged}. Name another file, or delete it to begin anew")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as arrays:
                self._take(arrays)
        except (KeyError, TypeError, zipfile.BadZipFile, json.JSONDecodeError) as error:
            raise ValueError(f"{damaged} ({error})") from error

    def _take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        facts = json.loads(str(arrays["facts"]))
        if facts["format"] != FORMAT:
            raise ValueError(
                f"checkpoint {str(self.path)!r} has the format {shown(facts['format'])}, not {FORMAT!r}; nothing was "
                "changed"
            )
        different = differences(facts["identity"], json.loads(json.dumps(self.identity, allow_nan=False)))
        if different:
            raise ValueError(
                f"checkpoint {str(self.path)!r} belongs to another run, nothing was changed: {'; '.join(different)}. "
                "Name another file, or delete this one"
            )
        outcome = {name: int(facts["outcome"][name]) for name in OUTCOME}
        rows = outcome["rows"]
        for name, column in self.columns.items():
            stored = arrays[f"column.{name}"]
            if stored.dtype != column.dtype or stored.shape != (rows, *column.shape[1:]) or rows > len(column):
                raise TypeError(f"column {name} has the wrong form")
            column[:rows] = stored
        if not 0 <= outcome["status"] < len(STATUS):
            raise TypeError("status has no such value")
        self.state, self.outcome = arrays["state"].tobytes(), outcome
        self.source.began -= float(facts["wall_seconds"])

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
