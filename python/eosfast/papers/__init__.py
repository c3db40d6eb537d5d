"""Papers reproduced: for each, ``figures()`` (figures by name) and ``verify()`` (its predictions, checked). `toys`
gathers the small models of many.

A paper's module loads on first use, so that naming the papers costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .check import Check
from .figure import PaperFigure

if TYPE_CHECKING:
    from eosfast.papers import agarwala2023, ahn2023, cai2024, craciun2024, toys

NAMES = ("ahn2023", "cai2024", "agarwala2023", "craciun2024", "toys")
WITH_DATA = {"cai2024": "CIFAR-10"}
"""Papers whose ``figures(data)`` take a folder with a data set that is not ours to ship."""

__all__ = ["Check", "PaperFigure", "NAMES", "WITH_DATA", "agarwala2023", "ahn2023", "cai2024", "craciun2024", "toys"]


def __getattr__(name: str) -> Any:
    if name in NAMES:
        return import_module(f"eosfast.papers.{name}")
    raise AttributeError(f"module 'eosfast.papers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
