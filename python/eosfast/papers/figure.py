"""`PaperFigure`: a figure of a paper as data and a drawing of them, kept apart so that either can be used alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eosfast.arguments import Flag, shown

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

STYLE = "eosfast.paper"  # the style sheet of the package, paper.mplstyle

PAGE = 6.8  # width in inches of a figure over both columns of a page

# Okabe and Ito's colours. Names such as "C0" would mean those of the style in force when the figure is rendered.
BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
BLACK, GREY = "#000000", "#404040"


@dataclass(frozen=True)
class PaperFigure:
    """A figure that simulates its data, draws and saves itself when called.

    Parameters
    ----------
    name : str
        Its name, and that of its files.
    caption : str
        What it shows, in a sentence or two.
    simulate : callable
        ``simulate(progress: bool) -> xarray.Dataset``, the data.
    drawing : callable
        ``drawing(data) -> matplotlib.figure.Figure``, in the current style; see `draw`.
    """

    name: str
    caption: str
    simulate: Callable[[bool], xr.Dataset]
    drawing: Callable[[xr.Dataset], Figure]

    def draw(self, data: xr.Dataset) -> Figure:
        """Draw data from `simulate`, or from the NetCDF file of an earlier call, without simulating anything.

        Parameters
        ----------
        data : xarray.Dataset

        Returns
        -------
        matplotlib.figure.Figure
            Not known to pyplot: nothing to close.
        """
        import matplotlib.style

        with matplotlib.style.context(STYLE):
            return self.drawing(data)

    def __call__(self, out: str | os.PathLike[str] | None = None, progress: bool = False) -> Figure:
        """Simulate and draw; with ``out``, write ``<name>.png`` (200 dots per inch) and ``<name>.nc`` (the data).

        Parameters
        ----------
        out : path, optional
            Folder for the two files; made if it does not exist, files of these names are replaced. Nothing is written
            by default.
        progress : bool, default False
            Show the progress of the simulations on stderr.

        Returns
        -------
        matplotlib.figure.Figure
            As from `draw`.

        Raises
        ------
        TypeError
            `out` is no path, or `progress` no bool.
        OSError
            The folder cannot be made.
        """
        if out is not None and not isinstance(out, (str, os.PathLike)):
            raise TypeError(f"out must be a path or None, got {shown(out)}")
        progress = Flag().check("progress", progress)
        folder = None if out is None else Path(out)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        data = self.simulate(progress).assign_attrs(title=self.name, comment=self.caption)
        figure = self.draw(data)
        if folder is not None:
            data.to_netcdf(folder / f"{self.name}.nc", engine="h5netcdf")
            import matplotlib.style

            with matplotlib.style.context(STYLE):
                figure.savefig(folder / f"{self.name}.png")
        return figure
