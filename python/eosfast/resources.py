"""What this process runs on: how eosfast was built, and the threads and the memory that it may use."""

from __future__ import annotations

import os
import platform

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Integer


def build_info() -> dict[str, str | int | bool]:
    """Return how this eosfast was built and what it runs on.

    Returns
    -------
    dict
        Version, instruction-set variant (`isa`), compiler and flags, versions of Eigen, Python and NumPy, OpenMP,
        `available_threads`, ...

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.build_info()["isa"] == eos.isa
    True
    """
    return {
        **core.build_info(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "available_threads": available_threads(),
    }


class _Lineage:
    """Whether this process has used several threads, and whether it is a fork of one that had: the threads of the
    OpenMP library do not survive a fork, and GCC's waits for them forever.
    """

    parallel = orphaned = False

    @classmethod
    def in_child(cls) -> None:
        cls.orphaned = cls.orphaned or cls.parallel


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Lineage.in_child)


def available_threads() -> int:
    """Return how many threads a sweep uses by default: the processors that this process may run on, at most
    ``OMP_NUM_THREADS`` of them; 1 in a fork of a process that has used several.
    """
    if _Lineage.orphaned:
        return 1
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wish = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(processors, int(wish)) if wish.isdecimal() and int(wish) > 0 else processors


def threads(num_threads: object) -> int:
    """Return a checked number of threads; 0 means all available. RuntimeError for several where they would hang."""
    number = int(Integer(most=1024).check("num_threads", num_threads)) or available_threads()
    if number > 1 and _Lineage.orphaned:
        raise RuntimeError(
            f"num_threads={number} would hang here: this process is a fork of one that had used several threads. Start "
            "processes by the methods 'spawn' or 'forkserver' of multiprocessing, or use num_threads=1"
        )
    _Lineage.parallel = _Lineage.parallel or number > 1
    return number


def available_memory() -> int | None:
    """Return the bytes that can still be allocated without swapping, within the limit of the container if there is one;
    None if unknown.
    """
    from pathlib import Path  # on first use

    free = None
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                free = 1024 * int(line.split()[1])
    except OSError:
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _container_memory()
    return limit if free is None else free if limit is None else min(free, limit)


def _container_memory() -> int | None:
    from pathlib import Path

    group = Path("/sys/fs/cgroup")
    try:
        limit, used = ((group / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return max(0, int(limit) - int(used)) if limit.isdecimal() else None


def require_memory(wanted: int, what: str, remedy: str) -> None:
    """Raise a ValueError if `wanted` bytes for `what` exceed the memory that is available."""
    available = available_memory()
    if available is not None and wanted > available:
        raise ValueError(
            f"{what} would take {wanted} bytes ({_human(wanted)}), "
            f"but {available} ({_human(available)}) are available; {remedy}"
        )


def _human(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024 or unit == "PiB":
            break
        size /= 1024
    return f"{size:.4g} {unit}"
