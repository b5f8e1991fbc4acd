"""What HoloViews leaves to be done to a figure on paper: its hooks for Matplotlib.

They are named in the options of figures that may never be drawn on paper, so that this module does
not import Matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phangs_xr.drawing.format_numbers import format_tick

Ticks = Sequence[tuple[float, str]]
"""Places on an axis, and how they read."""

_SEPARATORS = (("ʰ", "ᵐ", "ˢ"), ("°", "′", "″"))
_MANY = 500


def finish_axes(
    plot: Any, element: Any, *, sizes: Mapping[str, int], x: Ticks | None, y: Ticks | None
) -> None:
    """Name the ticks, leave those of RA readable, put the title in its place.

    HoloViews would make all ticks of an axis before its range is known, and Matplotlib look for
    labels above the axes, which are not there, whenever it draws. Labels that must be typeset as
    mathematics take longer than all else of a small figure.
    """
    axis = plot.handles["axis"]
    axis.set_title(axis.get_title(), y=1.0, fontsize=sizes["title"])
    if hasattr(axis, "coords"):
        for coordinate, number, marks in zip(axis.coords, (3, 4), _SEPARATORS, strict=True):
            coordinate.set_ticks(number=number)
            coordinate.set_ticklabel(exclude_overlapping=True)
            coordinate.set_separator(marks)
        return
    for one, ticks in ((axis.xaxis, x), (axis.yaxis, y)):
        if ticks:
            places, names = zip(*ticks, strict=True)
            one.set_ticks(places, labels=names)
        elif one.get_scale() == "log":
            one.set_major_formatter(lambda value, position: format_tick(value))
        one.set_tick_params(labelsize=sizes["ticks"])
        one.set_minor_formatter("")


def place_panels(plot: Any, element: Any, *, places: list[tuple[float, ...]]) -> None:
    """Put the panels in their places."""
    for axis, bounds in zip(plot.handles["fig"].axes, places, strict=False):
        axis.set_position(bounds)


def rasterise_many(plot: Any, element: Any) -> None:
    """Keep thousands of points or bars as pixels in a PDF."""
    if len(element) > _MANY:
        for artist in plot.handles["axis"].collections:
            artist.set_rasterized(True)


def hide_labels(plot: Any, element: Any, *, rows: bool, columns: bool) -> None:
    """Leave labels of RA or Dec to the panel below or to the left."""
    axis = plot.handles["axis"]
    for coordinate, hidden in zip(getattr(axis, "coords", ()), (columns, rows), strict=False):
        if hidden:
            coordinate.set_ticklabel_visible(False)
            coordinate.set_auto_axislabel(False)
            coordinate.set_axislabel("")


def show_as_image(plot: Any, element: Any) -> None:
    """Replace a regular mesh by the image it is.

    A PDF would hold a shape for each cell, or a picture of the whole page for each mesh.
    """
    from matplotlib.image import AxesImage

    mesh = plot.handles["artist"]
    if not hasattr(mesh, "get_coordinates"):
        return
    corners = mesh.get_coordinates()
    (left, bottom), (right, top) = corners[0, 0], corners[-1, -1]
    image = AxesImage(
        plot.handles["axis"],
        cmap=mesh.cmap,
        norm=mesh.norm,
        interpolation="none",
        origin="lower",
        extent=(left, right, bottom, top),
        zorder=mesh.get_zorder(),
    )
    image.set_data(mesh.get_array().reshape(corners.shape[0] - 1, corners.shape[1] - 1))
    mesh.remove()
    plot.handles["axis"].add_image(image)
    plot.handles["artist"] = image


def add_bar(plot: Any, element: Any, *, label: str, ticks: Ticks) -> None:
    """Add a colour bar with named ticks: HoloViews would draw the whole figure anew for each."""
    handles = plot.handles
    place = handles["axis"].inset_axes((1.03, 0.0, 0.04, 1.0))
    bar = handles["fig"].colorbar(handles["artist"], cax=place, extend="both")
    bar.set_ticks([value for value, _ in ticks], labels=[name for _, name in ticks])
    bar.minorticks_off()
    place.tick_params(labelsize=8)
    bar.set_label(label, fontsize=8)
