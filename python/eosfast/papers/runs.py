"""What the simulations of all papers share: progress, and what becomes of a run that Ctrl-C cut short."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from eosfast.arguments import Flag

if TYPE_CHECKING:
    import xarray as xr

    from eosfast.papers.check import Check

Item = TypeVar("Item")


def finished(result: xr.Dataset) -> xr.Dataset:
    """Return the result of `train` or `sweep`; raise KeyboardInterrupt if Ctrl-C cut it short."""
    if result.attrs["status"] == "interrupted":
        raise KeyboardInterrupt
    return result


def computed(rows: Sequence[Callable[[], list[Check]]], progress: bool) -> list[Check]:
    """Return the checks of all groups, each computed anew, with a bar for the groups if ``progress``."""
    return [check for row in tracked(rows, progress, "checks") for check in row()]


def tracked(items: Sequence[Item], progress: bool, description: str) -> Iterable[Item]:
    """The items, with a bar on stderr that disappears when they are done, if ``progress``."""
    from tqdm import tqdm

    shown = Flag().check("progress", progress)
    bar: Iterable[Item] = tqdm(items, desc=description, leave=False, disable=not shown)
    return bar
