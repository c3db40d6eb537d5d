"""Choose, once, at import, the variant of the compiled core that fits this processor.

A wheel holds the same core several times, compiled for the levels x86-64-v2, v3 and v4 (other architectures:
`generic`; an editable install: `native`), as the modules `_core_<variant>`. The baseline module `_cpu` knows which
were built, what each one needs and what this processor has, so that no instruction runs that the processor lacks: a
variant that does not fit is an ImportError, never a crash.

The environment variable `EOSFAST_ISA` forces a variant, for example to get the same bits on every node of a mixed
cluster.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Set as AbstractSet
    from types import ModuleType

    from eosfast import _core as core

    isa: str

__all__ = ["core", "isa"]


def choose_isa(variants: Mapping[str, AbstractSet[str]], processor: AbstractSet[str], forced: str = "") -> str:
    """Return the variant to load: `forced` if given, else `native` if it was built, else the richest that runs here.

    Parameters
    ----------
    variants : mapping
        Variants that were built, each with the processor features it needs.
    processor : set of str
        Features that this processor has.
    forced : str
        Value of ``EOSFAST_ISA``; empty = no wish.

    Raises
    ------
    ImportError
        `forced` was not built, or the variant in question needs features that this processor lacks.
    """
    if forced and forced not in variants:
        raise ImportError(f"EOSFAST_ISA={forced!r} is no variant of this build; built: {', '.join(variants)}")
    runnable = [name for name, needs in variants.items() if needs <= processor]
    wanted = forced or ("native" if "native" in variants else "")
    if wanted and wanted in runnable:
        return wanted
    if wanted:
        lacking = ", ".join(sorted(variants[wanted] - processor))
        what = f"EOSFAST_ISA={wanted!r}" if forced else f"eosfast was built for another processor: {wanted!r}"
        remedy = f"variants that run here: {', '.join(runnable)}" if runnable else "build eosfast on this machine"
        raise ImportError(f"{what} needs processor features that are missing here ({lacking}); {remedy}")
    if not runnable:
        poorest = min(variants, key=lambda name: len(variants[name]))
        lacking = ", ".join(sorted(variants[poorest] - processor))
        raise ImportError(f"eosfast needs at least {poorest!r}, but this processor lacks {lacking}")
    return max(runnable, key=lambda name: len(variants[name]))


def _import_extension(name: str) -> ModuleType:
    try:
        return import_module(f"eosfast.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"eosfast.{name}":
            raise
        raise ImportError(
            f"the compiled core of eosfast (module {name}) is missing in {os.path.dirname(__file__)}; "
            "install the package with 'pip install .' in its source directory, for this version of Python"
        ) from error


if not TYPE_CHECKING:
    _cpu = _import_extension("_cpu")
    isa = choose_isa(_cpu.variants(), _cpu.features(), os.environ.get("EOSFAST_ISA", ""))
    core = _import_extension(f"_core_{isa}")
