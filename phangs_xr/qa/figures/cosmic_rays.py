"""The cosmic rays at full resolution: the map before and after they were cut, and the mask."""

from __future__ import annotations

from functools import partial
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.qa.figures.hooks_matplotlib import hide_labels
from phangs_xr.qa.figures.maps import draw_image, draw_line, draw_scale_bar
from phangs_xr.qa.figures.sky_axes import Axes, choose_plane, place_on_sky
from phangs_xr.qa.figures.stretch import choose_stretch
from phangs_xr.qa.figures.style import (
    COUNT_MAP,
    SKY_COLOUR,
    Paper,
    arrange,
    frame,
    style,
)
from phangs_xr.qa.measure.products import find_product
from phangs_xr.qa.measure.trace_outlines import trace_nebula
from phangs_xr.sky.grid import Grid, get_grid

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
    before = find_product(field, "anchored_intnegs")
    after = find_product(field, "anchored_intnegs_nocosmic")
    mask = find_product(field, "cosmic_mask")
    positions = _find_cosmic_rays(field, get_grid(before))
    rows, columns, number = choose_crowded_window(positions, get_grid(before).shape, COSMIC_SIDE)
    cut = {
        name: image.isel(y=rows, x=columns).load()
        for name, image in (("before", before), ("after", after), ("mask", mask))
    }
    plane = choose_plane(get_grid(cut["before"]), axes)
    stretch = choose_stretch(cut["after"].values)
    marks = draw_scale_bar(plane)
    ra, dec = trace_nebula(cut["mask"] > 0, True)
    if ra.size:
        marks.append(draw_line(plane, *place_on_sky(plane, ra, dec)))
    pictures = {
        f"before: {number} of {len(positions)} cosmic rays": draw_image(
            plane, cut["before"], stretch
        ),
        "after": draw_image(plane, cut["after"], stretch),
        "mask (bright: cut and interpolated)": _draw_mask(plane, cut["mask"]),
    }
    options = plane.options()
    panels = [
        frame(
            hv.Overlay([picture, *marks]),
            title=title,
            bgcolor=SKY_COLOUR,
            show_legend=False,
            bokeh={**options["bokeh"], "frame_width": 340, "frame_height": 340},
            mpl={**options["mpl"], "hooks": [partial(hide_labels, rows=index > 0, columns=False)]},
        )
        for index, (title, picture) in enumerate(pictures.items())
    ]
    return arrange(panels, 3, Paper(3.4, 3.4, left=0.25, right=0.85, margin=0.8))


def _find_cosmic_rays(field: xr.DataTree, grid: Grid) -> Positions:
    """Rows and columns of the cosmic rays in a grid, shape (n, 2)."""
    if "fits" not in field.children or "cosmic_rays" not in field["fits"].data_vars:
        return np.empty((0, 2))
    xy = np.asarray(field["fits"].data_vars["cosmic_rays"].values, dtype=np.float64).reshape(-1, 2)
    return (xy[:, ::-1] - [grid.y0, grid.x0]) / [grid.dy, grid.dx]


def choose_crowded_window(
    positions: Positions, shape: tuple[int, int], side: int
) -> tuple[slice, slice, int]:
    """Return the square window, centred on one of some positions, that holds most of them.

    Parameters
    ----------
    positions
        Rows and columns, shape (n, 2); the middle of the image is shown if there are none.
    shape
        Of the image.
    side
        Of the window [pixel]; less in a smaller image.

    Returns
    -------
    tuple
        Rows, columns, and how many positions lie in them.
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
    inside = (
        (positions[:, 0] >= rows.start)
        & (positions[:, 0] < rows.stop)
        & (positions[:, 1] >= columns.start)
        & (positions[:, 1] < columns.stop)
    )
    return rows, columns, int(inside.sum())


def _draw_mask(plane: Any, mask: xr.DataArray) -> Any:
    value = hv.Dimension("cut", label="cut")
    picture = plane.draw(mask, (mask.values > 0).astype(np.float32), value)
    return style(picture, cmap=COUNT_MAP, clim=(0, 1), mpl=plane.options()["mpl"])
