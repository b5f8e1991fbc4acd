"""Cut-outs at full resolution: cosmic rays before and after, and the most discrepant nebulae."""

from __future__ import annotations

from functools import partial
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.grid import Grid, get_grid
from phangs_xr.qa.draw import (
    COUNT_MAP,
    FLUX_MAP,
    FLUX_UNIT,
    SKY_COLOUR,
    Paper,
    Stretch,
    arrange,
    choose_round,
    choose_stretch,
    format_number,
    frame,
    hide_labels,
    style,
)
from phangs_xr.qa.figures_maps import draw_bar_of_length, draw_image, draw_line, draw_scale_bar
from phangs_xr.qa.nebula_table import FULL
from phangs_xr.qa.outlines import trace_nebula
from phangs_xr.qa.planes import Axes, OffsetPlane, choose_plane, place_on_sky
from phangs_xr.qa.products import find_product, require_columns
from phangs_xr.qa.reduce import reduce_image

COSMIC_SIDE = 160
"""Side of the cosmic rays' cut-out [HST pixel]."""

GALLERY = 12
GALLERY_SIDE = 160
"""Most pixels along a side of a cut-out in the gallery."""

_SMALLEST, _MARGIN = 4.0, 2.0
"""Of a nebula's cut-out: least side [arcsec], and side over the nebula's diameter."""

_PAIRS = 4

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
            bokeh={**options["bokeh"], "frame_width": 330, "frame_height": 330},
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


def rank_nebulae(nebulae: xr.Dataset, product: str = "anchored") -> NDArray[np.intp]:
    """Return the rows of the nebulae that both telescopes cover, the most discrepant first.

    Parameters
    ----------
    nebulae
        As `measure_nebulae` returns them.
    product
        Whose flux is compared with MUSE's: by |log(flux/MUSE)|, those without a positive ratio
        before all others.

    Returns
    -------
    ndarray
        Indices along `nebula`.
    """
    covered = np.ones(nebulae.sizes["nebula"], dtype=bool)
    for name in ("coverage_hst", "coverage_muse"):
        if name in nebulae.variables:
            covered &= nebulae[name].values >= FULL
    flux, muse = nebulae[f"flux_{product}"].values, nebulae["flux_muse"].values
    known = np.flatnonzero(covered & np.isfinite(flux) & np.isfinite(muse))
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(np.log(flux[known] / muse[known]))
    distance = np.where(np.isfinite(distance), distance, np.inf)
    return known[np.argsort(-distance, kind="stable")]


def plot_gallery(
    field: xr.DataTree, nebulae: xr.Dataset, *, product: str = "anchored", count: int = GALLERY
) -> hv.Layout:
    """Draw the nebulae whose HST and MUSE fluxes differ most, both telescopes side by side.

    Parameters
    ----------
    field
        With the product in `/hst`, `musehalpha` and `nebula_mask` in `/muse`; only cut-outs are
        read.
    nebulae
        As `measure_nebulae` returns them.
    product
        Which HST map.
    count
        How many nebulae.

    Returns
    -------
    hv.Layout
        Pairs of cut-outs, four nebulae in a row, with outline, ID, both fluxes and their ratio.
        Each pair has one colour scale, per area of sky: that of the HST pixels.

    Raises
    ------
    InputError
        If there is no nebula that both cover, or the field lacks a map.
    """
    require_columns(nebulae, "flux_muse", f"flux_{product}", "ra", "dec", "area")
    images = [find_product(field, name) for name in (product, "musehalpha", "nebula_mask")]
    chosen = rank_nebulae(nebulae, product)[:count]
    if chosen.size == 0:
        raise InputError(
            "a nebula covered by HST and MUSE is needed for the gallery, found none: "
            "check that the nebula mask lies on both maps"
        )
    pairs = [_draw_pair(images, nebulae.isel(nebula=int(index)), product) for index in chosen]
    panels = [panel for pair in pairs for panel in pair]
    columns = min(2 * _PAIRS, len(panels))
    title = f"Fluxes in {FLUX_UNIT}; line: nebula mask; each pair in one colour scale"
    paper = Paper(1.7, 1.7, left=0.08, right=0.08, bottom=0.05, top=0.5, head=0.35)
    return arrange(panels, columns, paper, linked=False, title=title)


def _draw_pair(images: list[xr.DataArray], nebula: xr.Dataset, product: str) -> list[hv.Overlay]:
    """HST's cut-out with the fluxes in its title, MUSE's with ID and ratio."""
    ra, dec, area = (float(nebula[name]) for name in ("ra", "dec", "area"))
    region = float(nebula["region_ID"])
    side = max(_SMALLEST, _MARGIN * 2 * np.sqrt(area / np.pi))
    hst, muse, mask = (image.sky.cutout((ra, dec), side).load() for image in images)
    outline = trace_nebula(mask, region)
    # MUSE's pixels hold the flux of a larger area: show both per HST pixel.
    muse = muse * np.float32(get_grid(hst).pixel_area / get_grid(muse).pixel_area)
    stretch = choose_stretch(np.concatenate([hst.values.ravel(), muse.values.ravel()]))
    flux, other = float(nebula[f"flux_{product}"]), float(nebula["flux_muse"])
    ratio = flux / other if other else float("nan")
    titles = (
        f"ID {region:g}, ratio {ratio:.2f}\nHST {format_number(flux)}",
        f"{ra:.4f}° {dec:+.4f}°\nMUSE {format_number(other)}",
    )
    cutouts = [
        _draw_cutout(image, (ra, dec), side, outline, stretch, title)
        for image, title in zip((hst, muse), titles, strict=True)
    ]
    half = side / 2
    return [style(cutout, xlim=(-half, half), ylim=(-half, half)) for cutout in cutouts]


def _draw_cutout(
    image: xr.DataArray,
    position: tuple[float, float],
    side: float,
    outline: tuple[Positions, Positions],
    stretch: Stretch,
    title: str,
) -> hv.Overlay:
    small = reduce_image(image, GALLERY_SIDE)
    grid = get_grid(image)
    row, column = (float(value) for value in grid.to_pixel(*position))
    plane = OffsetPlane(grid, (row, column))
    picture = plane.draw(small, stretch.apply(small.values), hv.Dimension("stretched", label="Hα"))
    picture = style(picture, cmap=FLUX_MAP, clim=stretch.limits)
    length = choose_round(side / 4)
    layers = [picture, *draw_bar_of_length(plane, length, (0.42 * side, -0.42 * side), side)]
    if outline[0].size:
        layers.append(draw_line(plane, *place_on_sky(plane, *outline)))
    options = plane.options()
    return frame(
        hv.Overlay(layers),
        title=title,
        bgcolor=SKY_COLOUR,
        show_legend=False,
        smaller=2,
        xaxis=None,
        yaxis=None,
        bokeh={**options["bokeh"], "frame_width": 130, "frame_height": 130},
        mpl=options["mpl"],
    )
