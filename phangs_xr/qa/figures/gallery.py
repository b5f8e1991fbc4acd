"""The nebulae whose HST and MUSE fluxes differ most, both telescopes side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.drawing.format_numbers import format_number
from phangs_xr.drawing.stretch import choose_stretch
from phangs_xr.errors import InputError
from phangs_xr.qa.figures.sky_axes import find_directions
from phangs_xr.qa.figures.style import (
    BLACK,
    FLUX_MAP,
    FLUX_UNIT,
    OUTLINE,
    SKY_COLOUR,
    Paper,
    choose_round,
    frame,
    put_on_paper,
    style,
)
from phangs_xr.qa.measure.overviews import reduce_image
from phangs_xr.qa.measure.products import find_best, find_product, require_columns
from phangs_xr.qa.measure.trace_outlines import trace_nebula
from phangs_xr.sky.accessor import locate_cutout
from phangs_xr.sky.grid import get_grid

COUNT = 12
"""How many nebulae."""

SIDE = 110
"""Pixels along a side of a cut-out as drawn."""

_PAIRS = 4
_GAP, _TITLE = 0.04, 0.34
"""Between cut-outs, and above them for the text, in sides of a cut-out."""

_SMALLEST, _MARGIN = 4.0, 2.0
"""Of a nebula's cut-out: least side [arcsec], and side over the nebula's diameter."""

_EXPLANATION = "; line: nebula mask; each pair in one colour scale"
_DIMS = ("sheet_x", "sheet_y")

Line = NDArray[np.float64]


def rank_nebulae(nebulae: xr.Dataset, product: str = "anchored") -> NDArray[np.intp]:
    """Return the rows of the nebulae that both telescopes cover, the most discrepant first.

    By |log(flux/MUSE)| of the product's flux; those without a positive ratio before all others.
    """
    covered = np.ones(nebulae.sizes["nebula"], dtype=bool)
    for name in ("coverage_hst", "coverage_muse"):
        if name in nebulae.variables:
            covered &= nebulae[name].values == 1
    flux, muse = nebulae[f"flux_{product}"].values, nebulae["flux_muse"].values
    known = np.flatnonzero(covered & np.isfinite(flux) & np.isfinite(muse))
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(np.log(flux[known] / muse[known]))
    distance = np.where(np.isfinite(distance), distance, np.inf)
    return known[np.argsort(-distance, kind="stable")]


@dataclass(frozen=True)
class Cutouts:
    """One nebula as both telescopes see it, on square pixels along the axes of the HST image.

    `hst` and `muse` are stretched to 0 to 1, shape (SIDE, SIDE), first row at the bottom, NaN
    without data. `x`, `y` are the outline in sides of a cut-out, 0 to 1, NaN between its parts.
    `side` is that of the cut-outs [arcsec]; a title is over each of the two.
    """

    hst: NDArray[np.floating[Any]]
    muse: NDArray[np.floating[Any]]
    x: Line
    y: Line
    side: float
    titles: tuple[str, str]


def plot_gallery(
    field: xr.DataTree,
    nebulae: xr.Dataset,
    *,
    product: str | None = None,
    chosen: Sequence[int] | None = None,
) -> hv.Overlay:
    """Draw the nebulae whose HST and MUSE fluxes differ most, both telescopes side by side.

    Parameters
    ----------
    field
        With the product in `/hst`, `musehalpha` and `nebula_mask` in `/muse`; only cut-outs are
        read.
    nebulae
        As `measure_nebulae` returns them.
    product
        Which HST map; the recipe's best if None.
    chosen
        Indices along `nebula` of those to draw; the twelve most discrepant ones if None.

    Returns
    -------
    hv.Overlay
        One sheet, four nebulae in a row, with outline, scale bar, ID, position, both fluxes and
        their ratio. Each pair has one colour scale, in flux per HST pixel.

    Raises
    ------
    InputError
        If there is no nebula that both cover, or the field lacks a map.
    """
    product = product or find_best(field)
    require_columns(nebulae, "flux_muse", f"flux_{product}", "ra", "dec", "area")
    images = [find_product(field, name) for name in (product, "musehalpha", "nebula_mask")]
    if chosen is None:
        chosen = rank_nebulae(nebulae, product)[:COUNT].tolist()
    if not chosen:
        raise InputError(
            "a nebula covered by HST and MUSE is needed for the gallery, found none: "
            "check that the nebula mask lies on both maps"
        )
    pairs = [_cut(images, nebulae.isel(nebula=index), product) for index in chosen]
    columns = min(_PAIRS, len(pairs))
    rows = -(-len(pairs) // columns)
    corners = [
        (2 * (index % columns) * (1 + _GAP), (rows - 1 - index // columns) * (1 + _TITLE))
        for index in range(len(pairs))
    ]
    size = (2 * columns * (1 + _GAP) - _GAP, rows * (1 + _TITLE))
    layers = [_draw_sheet(pairs, corners, size), *_draw_marks(pairs, corners)]
    panel = frame(
        hv.Overlay(layers),
        title=f"Fluxes in {FLUX_UNIT}{_EXPLANATION if columns > 2 else ''}",
        xlim=(0, size[0]),
        ylim=(0, size[1]),
        show_legend=False,
        xaxis=None,
        yaxis=None,
        bokeh={"data_aspect": 1, "frame_width": round(143 * size[0])},
        mpl={"aspect": "equal", "show_frame": False},
    )
    width = 1.75 * size[0]
    return put_on_paper(panel, Paper(width, width * size[1] / size[0], 0.05, 0.05, 0.05, 0.3))


def _cut(images: list[xr.DataArray], nebula: xr.Dataset, product: str) -> Cutouts:
    """Read the windows of one nebula and bring them onto the pixels of the sheet."""
    ra, dec, area = (float(nebula[name]) for name in ("ra", "dec", "area"))
    side = max(_SMALLEST, _MARGIN * 2 * np.sqrt(area / np.pi))
    # Somewhat larger than a cut-out, so that they cover a turned one too.
    windows = [locate_cutout(get_grid(image), (ra, dec), 1.5 * side) for image in images]
    hst, muse, mask = (
        image.isel(y=rows, x=columns).load()
        for image, (rows, columns) in zip(images, windows, strict=True)
    )
    grid = get_grid(images[0])
    row, column = (float(value) for value in grid.to_pixel(ra, dec))
    reach = side / np.sqrt(grid.pixel_area)
    places = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    sky = grid.to_sky(*np.meshgrid(row + reach * places, column + reach * places, indexing="ij"))
    # A MUSE pixel holds the flux of a larger area: both are shown per HST pixel.
    per_pixel = grid.pixel_area / get_grid(images[1]).pixel_area
    seen = [_sample(hst, *sky), _sample(muse, *sky) * per_pixel]
    stretch = choose_stretch(np.concatenate(seen))
    drawn = [np.clip(stretch.apply(image) / stretch.limits[1], 0, 1) for image in seen]
    line_rows, line_columns = grid.to_pixel(*trace_nebula(mask, float(nebula["region_ID"])))
    x, y = (line_columns - column) / reach + 0.5, (line_rows - row) / reach + 0.5
    (east_x, north_x), (east_y, north_y) = find_directions(grid)
    # East on the left when north is up, as the sky is seen.
    if east_x * north_y - east_y * north_x > 0:
        drawn, x = [image[:, ::-1] for image in drawn], 1 - x
    flux, other = float(nebula[f"flux_{product}"]), float(nebula["flux_muse"])
    ratio = flux / other if other else float("nan")
    titles = (
        f"ID {float(nebula['region_ID']):g}, ratio {ratio:.2f}\nHST {format_number(flux)}",
        f"{ra:.4f}° {dec:+.4f}°\nMUSE {format_number(other)}",
    )
    return Cutouts(drawn[0], drawn[1], x, y, float(side), titles)


def _sample(image: xr.DataArray, lon: Line, lat: Line) -> Line:
    """Return the values of the pixels nearest to positions on the sky, NaN outside."""
    small = reduce_image(image, 2 * SIDE)
    places = get_grid(small).to_pixel(lon, lat)
    return scipy.ndimage.map_coordinates(
        small.values, places, np.float64, order=0, mode="grid-constant", cval=np.nan
    )


def _draw_sheet(
    pairs: list[Cutouts], corners: list[tuple[float, float]], size: tuple[float, float]
) -> Any:
    """Put all cut-outs into one image: a plot for each would take ten times as long."""
    sheet = np.full([round(SIDE * size[1]), round(SIDE * size[0])], np.nan, dtype=np.float32)
    for pair, (left, bottom) in zip(pairs, corners, strict=True):
        for number, cutout in enumerate((pair.hst, pair.muse)):
            row, column = round(SIDE * bottom), round(SIDE * (left + number * (1 + _GAP)))
            # Grey is covered by nobody; the gaps between cut-outs are not drawn.
            shown = np.where(np.isfinite(cutout), cutout, -1.0)
            part = sheet[row : row + SIDE, column : column + SIDE]
            part[:] = shown[: part.shape[0], : part.shape[1]]
    value = hv.Dimension("brightness")
    return style(
        hv.Image(sheet[::-1], bounds=(0, 0, *size), kdims=list(_DIMS), vdims=[value]),
        cmap=FLUX_MAP,
        clim=(0, 1),
        clipping_colors={"min": SKY_COLOUR, "NaN": "white"},
        mpl={"interpolation": "none"},
    )


def _draw_marks(pairs: list[Cutouts], corners: list[tuple[float, float]]) -> list[Any]:
    """Outlines, scale bars with their lengths, and titles, one element for all of each."""
    outlines, bars, names, titles = [], [], [], []
    gap = np.full((1, 2), np.nan)
    for pair, (left, bottom) in zip(pairs, corners, strict=True):
        arcsec = choose_round(pair.side / 4)
        length = arcsec / pair.side
        outside = (pair.x < 0) | (pair.x > 1) | (pair.y < 0) | (pair.y > 1)
        outline = np.stack([np.where(outside, np.nan, pair.x), pair.y], axis=1)
        bar = np.array([[0.07, 0.07], [0.07 + length, 0.07]])
        for number, title in enumerate(pair.titles):
            start = left + number * (1 + _GAP)
            corner = np.array([start, bottom])
            outlines += [outline + corner, gap]
            bars += [bar + corner, gap]
            names.append((start + 0.07 + length / 2, bottom + 0.15, f"{arcsec:g}″"))
            titles.append((start + 0.5, bottom + 1 + _TITLE / 2, title))
    return [
        style(hv.Curve(np.concatenate(outlines), *_DIMS), color=OUTLINE, width=(1, 0.6)),
        style(hv.Curve(np.concatenate(bars), *_DIMS), color="white", width=(3, 2.0)),
        *(
            style(
                hv.Labels(texts, kdims=list(_DIMS), vdims=["text"]),
                bokeh={"text_color": colour, "text_font_size": "9pt"},
                mpl={"color": colour, "size": 9},
            )
            for texts, colour in ((names, "white"), (titles, BLACK))
        ),
    ]
