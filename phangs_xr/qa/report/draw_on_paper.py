"""The figures as files, PNG and PDF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import holoviews as hv
import holoviews.plotting.mpl
import matplotlib.pyplot as plt
import xarray as xr
from holoviews.plotting.mpl import LayoutPlot
from matplotlib.figure import Figure

from phangs_xr.errors import InputError
from phangs_xr.qa.figures.list_figures import Picture, list_pictures
from phangs_xr.qa.measure.measurements import Measured

DPI = 130


def draw_papers(
    tree: xr.DataTree, found: Measured, out: Path, pictures: Sequence[Picture] | None = None
) -> dict[str, str]:
    """Write the files of figures into `out`, made if it is missing.

    Returns, by their names, why figures cannot be drawn.
    """
    out.mkdir(parents=True, exist_ok=True)
    failures = {}
    for picture in list_pictures(tree) if pictures is None else pictures:
        try:
            for name, make in picture.papers.items():
                write_figure(make(tree, found), out / name)
        except InputError as error:
            failures[picture.name] = str(error)
    return failures


def write_figure(drawing: Any, path: Path) -> None:
    """Write PNG and PDF of a HoloViews object, the same bytes every time."""
    figure = render_figure(drawing)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    path.with_suffix(".png").write_bytes(buffer.getvalue())
    figure.savefig(path.with_suffix(".pdf"), dpi=200, metadata={"CreationDate": None})
    plt.close(figure)


class _PlainLayout(LayoutPlot):  # type: ignore[misc]
    """A layout that leaves the size of the figure as it is, for which it would draw it twice."""

    v17_layout_format = False


def render_figure(picture: Any) -> Figure:
    """Return the matplotlib figure of a HoloViews object, faster than `hv.render`."""
    renderer = hv.renderer("matplotlib")
    if not isinstance(picture, hv.Layout):
        plot = renderer.get_plot(picture)
    else:
        options = renderer.plot_options(picture, renderer.size)
        plot = _PlainLayout(picture, renderer=renderer, **options)
        plot.update(plot.keys[0])
    figure: Figure = plot.state
    return figure


class PapersHere:
    """Draws in this process, one figure after the other."""

    def __init__(self, tree: xr.DataTree, out: Path) -> None:
        self._tree, self._out = tree, out
        self._failures: dict[str, str] = {}

    def draw(self, found: Measured) -> None:
        """Draw all."""
        self._failures = draw_papers(self._tree, found, self._out)

    def finish(self) -> dict[str, str]:
        """Return why figures cannot be drawn."""
        return self._failures
