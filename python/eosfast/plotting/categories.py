"""Variables that are categories, CF's flags: a colour and an entry of the legend for each meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.collections import QuadMesh

# Okabe and Ito's colours, and greys for what was not done.
COLORS = {
    "completed": "#0072B2",
    "steady": "#56B4E9",
    "converged": "#009E73",
    "diverged": "#D55E00",
    "interrupted": "#E69F00",
    "pending": "#F2F2F2",
    "budget": "#CC79A7",
    "stalled": "#404040",
}
OTHERS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")


@dataclass(frozen=True)
class Categories:
    """The flags of a variable: its values and what they mean."""

    values: NDArray[Any]
    meanings: tuple[str, ...]

    def places(self, codes: NDArray[Any]) -> np.ma.MaskedArray[Any, Any]:
        """Return the place of each code among the categories; codes that are none of them are masked."""
        order = np.argsort(self.values)
        found = np.minimum(np.searchsorted(self.values, codes, sorter=order), len(order) - 1)
        place = order[found]
        return np.ma.array(place, mask=self.values[place] != codes)

    def style(self) -> dict[str, Any]:
        """Return the arguments of ``pcolormesh`` that give each place its colour."""
        from matplotlib.colors import BoundaryNorm, ListedColormap

        known = all(name in COLORS for name in self.meanings)
        colors = [COLORS[name] if known else OTHERS[i % len(OTHERS)] for i, name in enumerate(self.meanings)]
        count = len(colors)
        return {"cmap": ListedColormap(colors), "norm": BoundaryNorm(np.arange(count + 1) - 0.5, count)}

    def handles(self, image: QuadMesh, missing: str) -> list[Artist]:
        """Return a patch for each category that occurs, in their order, and one for cells without any."""
        from matplotlib.patches import Patch

        places: Any = np.ma.asarray(image.get_array())
        edge: dict[str, Any] = {"edgecolor": "0.5", "linewidth": 0.4}
        color: Any = image.cmap  # of a place
        handles: list[Artist] = [
            Patch(facecolor=color(image.norm(place)), label=self.meanings[place].replace("_", " "), **edge)
            for place in np.unique(places.compressed())
        ]
        if np.ma.getmaskarray(places).any():
            handles.append(Patch(facecolor=missing, label="no value", **edge))
        return handles


def categories_of(values: xr.DataArray) -> Categories | None:
    """Return the flags of a variable; None if it has none."""
    codes, meanings = values.attrs.get("flag_values"), values.attrs.get("flag_meanings")
    if codes is None or meanings is None:
        return None
    codes, meanings = np.atleast_1d(codes), tuple(str(meanings).split())
    if len(codes) != len(meanings):
        raise ValueError(
            f"flag_values and flag_meanings of {values.name!r} must be as many, got {len(codes)} and {len(meanings)}"
        )
    return Categories(codes, meanings)
