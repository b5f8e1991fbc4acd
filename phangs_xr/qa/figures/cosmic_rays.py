"""The cosmic rays at full resolution: the map before and after they were cut, and the mask."""

from __future__ import annotations

from functools import partial

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.drawing.stretch import choose_stretch
from phangs_xr.qa.figures.draw_map import draw_compass, draw_image, draw_line, draw_scale_bar
from phangs_xr.qa.figures.hooks_matplotlib import hide_labels
from phangs_xr.qa.figures.sky_axes import Axes, choose_plane, place_on_sky
from phangs_xr.qa.figures.style import (
    COUNT_MAP,
    SKY_COLOUR,
    Paper,
    arrange,
    frame,
    style,
)
from phangs_xr.qa.measure.products import find_distance, find_product, get_node
from phangs_xr.qa.measure.trace_outlines import trace_nebula
from phangs_xr.sky.grid import get_grid

COSMIC_SIDE = 160
"""Side of the cosmic rays' cut-out [HST pixel]."""

Positions = NDArray[np.float64]


def plot_cosmic_rays(
    field: xr.DataTree, nebulae: xr.Dataset | None = None, *, axes: Axes = "offset"
) -> hv.Layout:
    """Draw the part of the map with most cosmic rays before and after they were cut, and the mask.

    Parameters
    ----------
    field
        With `anchored_intnegs`, `anchored_intnegs_nocosmic` and `cosmic_mask` in `/hst` and
        `cosmic_rays` in `/fits`; only the cut-out is read.
    nebulae
        Not needed.
    axes
        Offsets from the centre of the cut-out [arcsec], or RA and Dec (matplotlib only).

    Returns
    -------
    hv.Layout
        Three panels that pan together, two in one colour scale.

    Raises
    ------
    InputError
        If the field lacks one of the products.
    """
    names = ("anchored_intnegs", "anchored_intnegs_nocosmic", "cosmic_mask")
    images = [find_product(field, name) for name in names]
    grid = get_grid(images[0])
    xy = np.asarray(get_node(field, "fits").get("cosmic_rays", ()), np.float64).reshape(-1, 2)
    positions = (xy[:, ::-1] - [grid.y0, grid.x0]) / [grid.dy, grid.dx]
    rows, columns, number = choose_crowded_window(positions, grid.shape, COSMIC_SIDE)
    before, after, mask = (image.isel(y=rows, x=columns).load() for image in images)
    plane = choose_plane(get_grid(before), axes, find_distance(field))
    stretch = choose_stretch(after.values)
    marks = [*draw_scale_bar(plane), *draw_compass(plane)]
    ra, dec = trace_nebula(mask > 0, True)
    if ra.size:
        marks.append(draw_line(plane, *place_on_sky(plane, ra, dec)))
    value = hv.Dimension("cut", label="cut")
    cut = plane.draw(mask, (mask.values > 0).astype(np.float32), value)
    pictures = {
        f"before: {number} of {len(positions)} cosmic rays": draw_image(plane, before, stretch),
        "after": draw_image(plane, after, stretch),
        "mask (bright: cut and interpolated)": style(
            cut, cmap=COUNT_MAP, clim=(0, 1), mpl=plane.mpl
        ),
    }
    panels = [
        frame(
            hv.Overlay([picture, *marks]),
            title=title,
            bgcolor=SKY_COLOUR,
            show_legend=False,
            bokeh={**plane.bokeh, "frame_width": 340, "frame_height": 340},
            mpl={**plane.mpl, "hooks": [partial(hide_labels, rows=index > 0, columns=False)]},
        )
        for index, (title, picture) in enumerate(pictures.items())
    ]
    return arrange(panels, 3, Paper(3.4, 3.4, left=0.25, right=0.85, margin=0.8))


def choose_crowded_window(
    positions: Positions, shape: tuple[int, int], side: int
) -> tuple[slice, slice, int]:
    """Return the square window, centred on one of some positions, that holds most of them.

    `positions` are rows and columns, shape (n, 2); without any, the middle is shown. Beside rows
    and columns, at most `side` of each, it is told how many positions lie in them.
    """
    best = (np.array(shape, dtype=np.float64) - 1) / 2
    if len(positions):
        cells = np.floor(positions / (side / 2)).astype(np.int64)
        _, inverse, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
        best = positions[inverse.ravel() == np.argmax(counts)].mean(axis=0)
    starts = [
        int(np.clip(round(middle - side / 2), 0, max(size - side, 0)))
        for middle, size in zip(best, shape, strict=True)
    ]
    rows, columns = (slice(start, start + side) for start in starts)
    start, stop = (rows.start, columns.start), (rows.stop, columns.stop)
    inside = ((positions >= start) & (positions < stop)).all(axis=1)
    return rows, columns, int(inside.sum())
