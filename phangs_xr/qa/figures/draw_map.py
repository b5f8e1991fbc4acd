"""What all maps have in common: images with their scale, outlines, scale bar, north and east."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.drawing.format_numbers import format_tick
from phangs_xr.drawing.scale_bar import format_length
from phangs_xr.drawing.stretch import Stretch
from phangs_xr.qa.figures.hooks_bokeh import show_tips
from phangs_xr.qa.figures.hooks_matplotlib import hide_labels
from phangs_xr.qa.figures.sky_axes import Plane, find_directions, place_on_sky
from phangs_xr.qa.figures.style import (
    FLUX_MAP,
    FLUX_UNIT,
    OUTLINE,
    SKY_COLOUR,
    STAR_OUTLINE,
    Paper,
    add_hooks,
    arrange,
    choose_round,
    draw_bar,
    frame,
    style,
    thin_out,
)
from phangs_xr.qa.measure.overviews import Overview

MASKS = {
    "nebula_mask": ("nebulae", OUTLINE),
    "star_mask": ("stars", STAR_OUTLINE),
}
"""How the outlines of each mask are named and coloured."""

PANEL = 250
"""Side of one of several maps in a row [pixel]."""

MAP_WIDTH = 3.0
"""The same on paper [inch]."""


_LEGEND = {"legend_opts": {"background_fill_alpha": 0.7, "padding": 3, "margin": 4, "spacing": 0}}
"""So small that it hides little of a map."""


def draw_image(
    plane: Plane, image: xr.DataArray, stretch: Stretch, *, with_bar: bool = True
) -> Any:
    """Draw an image of flux per HST pixel, reduced to what can be drawn, with its colour bar."""
    value = hv.Dimension("stretched", label="Hα flux")
    picture = plane.draw(image, stretch.apply(image.values), value)
    bar: dict[str, dict[str, Any]] = {"bokeh": {"hooks": []}, "mpl": {}}
    if with_bar:
        bar = draw_bar(f"{FLUX_UNIT} per HST pixel", stretch.ticks)
    undo = f"({stretch.low!r} + {stretch.width!r} * Math.sinh(value))"
    return _finish_image(plane, picture, bar, "flux", undo, FLUX_MAP, stretch.limits)


def draw_values(
    plane: Plane,
    image: xr.DataArray,
    label: str,
    *,
    cmap: str,
    limits: tuple[float, float],
    ticks: Sequence[float] = (),
    log: bool = False,
) -> Any:
    """Draw an image of any kind in a linear or logarithmic scale, with its colour bar.

    `label` is what its values mean, with the unit; `limits` are the values of the first and the
    last colour; `ticks` are those that the colour bar names, its ends and middle if none are given.
    """
    low, high = limits
    values = image.values
    if log:
        # What is not positive is darker than all that has a logarithm; what is unknown stays so.
        values = np.log10(np.maximum(values, low / 10))
        low, high = (float(np.log10(one)) for one in limits)
    named = ticks or [*limits, (low + high) / 2]
    places = [float(np.log10(one)) if log else float(one) for one in named]
    names = [format_tick(float(f"{one:.3g}")) for one in named]
    bar = draw_bar(label, sorted(zip(places, names, strict=True)))
    picture = plane.draw(image, values.astype(np.float32), hv.Dimension("value", label=label))
    undo = "Math.pow(10, value)" if log else "value"
    return _finish_image(plane, picture, bar, "value", undo, cmap, (low, high))


def _finish_image(
    plane: Plane,
    picture: Any,
    bar: dict[str, dict[str, Any]],
    name: str,
    undo: str,
    cmap: str,
    limits: tuple[float, float],
) -> Any:
    """Return an image with colours and bar; hovering tells its value, as `undo` says, RA and Dec.

    `undo` is what JavaScript makes of the number that is drawn.
    """
    tips = partial(show_tips, name=name, undo=undo, terms=plane.sky_terms)
    return style(
        picture,
        cmap=cmap,
        clim=limits,
        bokeh={**bar["bokeh"], "tools": ["hover"], "hooks": [*bar["bokeh"]["hooks"], tips]},
        mpl={**plane.mpl, **bar["mpl"]},
    )


def frame_map(plane: Plane, layers: list[Any], title: str, legend: bool = False) -> hv.Overlay:
    """Put the layers of a map into a panel, one of several in a row."""
    return frame(
        hv.Overlay(layers),
        title=title,
        bgcolor=SKY_COLOUR,
        show_legend=legend,
        legend_position="top_right",
        bokeh={**plane.bokeh, **_LEGEND, "frame_width": PANEL, "frame_height": PANEL},
        mpl=plane.mpl,
    )


def arrange_maps(plane: Plane, panels: Sequence[Any], columns: int) -> hv.Layout:
    """Put panels of `frame_map` side by side, so many in a row; labels of axes stand outside."""
    rows = -(-len(panels) // columns)
    hidden = []
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        hide = partial(hide_labels, rows=column > 0, columns=row < rows - 1)
        hidden.append(add_hooks(panel, hide))
    ny, nx = plane.grid.shape
    paper = Paper(MAP_WIDTH, MAP_WIDTH * ny / nx, left=0.2, right=0.9, bottom=0.5, margin=0.9)
    return arrange(hidden, columns, paper)


def draw_marks(overview: Overview, plane: Plane) -> list[Any]:
    """Draw what lies over every map: outlines, scale bar, and where north and east are."""
    return [*draw_outlines(overview, plane), *draw_scale_bar(plane), *draw_compass(plane)]


def draw_outlines(overview: Overview, plane: Plane) -> list[hv.Curve]:
    """Draw the outlines of nebulae and stars, each with its place in the legend."""
    lines = []
    nowhere = np.array([np.nan])
    for name, (ra, dec) in overview.outlines.items():
        if ra.size:
            label, colour = MASKS[name]
            lines.append(draw_line(plane, *place_on_sky(plane, ra, dec), colour))
            # Of thousands of outlines each is too thin to stand in the legend.
            lines.append(style(draw_line(plane, nowhere, nowhere, colour, label), width=(2, 2)))
    return lines


def draw_line(
    plane: Plane,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    colour: str = OUTLINE,
    label: str = "",
) -> hv.Curve:
    """Draw outlines, given in the plane with NaN between them, over a map."""
    thin = thin_out(int(np.isnan(x).sum()))
    # Half the bytes: a page holds the outlines of thousands of nebulae.
    line = hv.Curve((x.astype(np.float32), y.astype(np.float32)), *plane.dims, label=label)
    return style(
        line,
        color=colour,
        apply_ranges=False,
        width=(thin, 0.7 * thin),
        bokeh={"line_alpha": (1 + thin) / 2},
        mpl=plane.mpl,
    )


def draw_scale_bar(plane: Plane) -> list[Any]:
    """Draw a bar of a round number of arcsec in the lower left of a map, its length above it."""
    ny, nx = plane.grid.shape
    (left, right), (bottom, top) = plane.place([0.05 * ny, ny], [0.05 * nx, nx])
    arcsec = choose_round(0.25 * abs(right - left) / plane.arcsec)
    end = left + np.sign(right - left) * arcsec * plane.arcsec
    bar = hv.Curve(([left, end], [bottom, bottom]), *plane.dims)
    label = hv.Text(
        left,
        bottom + 0.03 * (top - bottom),
        format_length(arcsec, plane.distance),
        halign="left",
        valign="bottom",
        kdims=plane.dims,
    )
    both: dict[str, Any] = {"color": "white", "apply_ranges": False}
    return [
        style(bar, **both, width=(3, 2.5), mpl=plane.mpl),
        style(label, **both, bokeh={"text_font_size": "9pt"}, mpl={**plane.mpl, "fontsize": 9}),
    ]


def draw_compass(plane: Plane) -> list[Any]:
    """Draw where north and east are, in the lower right of a map whose axes are not RA and Dec."""
    if plane.is_upright:
        return []
    grid = plane.grid
    steps = np.linalg.inv(find_directions(grid).T)
    # In pixels along x and y, columns for east and north; their lengths are alike.
    arms = steps / np.hypot(*steps) * 0.09 * min(grid.shape)
    # So far into the corner that neither arm leaves the picture.
    ny, nx = grid.shape
    column = 0.95 * nx - max(0.0, *arms[0])
    row = 0.05 * ny - min(0.0, *arms[1])
    both: dict[str, Any] = {"color": "white", "apply_ranges": False}
    marks = []
    for name, (along, up) in zip("EN", arms.T, strict=True):
        x, y = plane.place([row, row + up], [column, column + along])
        at_x, at_y = plane.place(row + 1.35 * up, column + 1.35 * along)
        label = hv.Text(float(at_x), float(at_y), name, kdims=plane.dims)
        size = {"text_font_size": "9pt"}
        marks += [
            style(hv.Curve((x, y), *plane.dims), **both, width=(2, 1.5), mpl=plane.mpl),
            style(label, **both, bokeh=size, mpl={**plane.mpl, "fontsize": 9}),
        ]
    return marks
