"""What the simulations of all papers share: progress, and what becomes of a run that Ctrl-C cut short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from eosfast.arguments import Flag

if TYPE_CHECKING:
    import xarray as xr

Item = TypeVar("Item")


def finished(result: xr.Dataset) -> xr.Dataset:
    """Return the result of `train` or `sweep`; raise KeyboardInterrupt if Ctrl-C cut it short."""
    if result.attrs["status"] == "interrupted":
        raise KeyboardInterrupt
    return result


def tracked(items: Sequence[Item], progress: bool, description: str) -> Iterable[Item]:
    """The items, with a bar on stderr that disappears when they are done, if ``progress``."""
    from tqdm import tqdm

    shown = Flag().check("progress", progress)
    bar: Iterable[Item] = tqdm(items, desc=description, leave=False, disable=not shown)
    return bar
