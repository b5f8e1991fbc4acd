"""The maps beside each other: MUSE, HST, HST at MUSE's resolution, and the ratio that anchors."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.qa.draw import (
    FLUX_MAP,
    FLUX_UNIT,
    OUTLINE,
    RATIO_MAP,
    SKY_COLOUR,
    Stretch,
    arrange,
    choose_ratio_limit,
    choose_round,
    choose_stretch,
    frame,
    quieten,
    rasterise,
    show_values,
    style,
    tick_colours,
    tick_ratios,
)
from phangs_xr.qa.outlines import trace_outlines
from phangs_xr.qa.planes import Axes, Plane, choose_plane, place_on_sky
from phangs_xr.qa.products import find_number, find_product, has_product
from phangs_xr.qa.reduce import MAPPED, Overview, reduce_field

TITLES = {
    "musehalpha_regrid": "MUSE",
    "halpha": "HST",
    "halpha_smoothed": "HST, smoothed to MUSE",
    "hstmuseratio": "MUSE / smoothed HST",
}

_PANEL = 270
_INCHES = 3.7


def plot_maps(
    field: xr.DataTree,
    nebulae: xr.Dataset | None = None,
    *,
    axes: Axes = "offset",
    overview: Overview | None = None,
) -> hv.Layout:
    """Draw the MUSE, HST and smoothed HST maps and their ratio in a row, panning together.

    Parameters
    ----------
    field
        With `/hst`; a field without MUSE shows HST's map alone.
    nebulae
        Not needed: the outlines come from the mask in `/muse`.
    axes
        Offsets from the centre [arcsec], or RA and Dec (matplotlib only).
    overview
        Of `reduce_field`, when there is one already.

    Returns
    -------
    hv.Layout
        Two rows: fluxes in one colour scale, that of MUSE, and the ratio about 1; then each map in
        its own scale. Maps are means over blocks of pixels; the ratio is that of the means.
        A bar gives the scale, lines the nebulae.

    Raises
    ------
    InputError
        If the field has no `halpha`.
    """
    overview = reduce_field(field) if overview is None else overview
    plane = choose_plane(overview.grid, axes)
    marks = [*_draw_outlines(field, plane), *_draw_scale_bar(plane)]
    names = [name for name in MAPPED if name in overview.images]
    matched = choose_stretch(overview.images[names[0]].values)
    own = {name: choose_stretch(overview.images[name].values) for name in names}
    ratio = find_ratio(field, overview)
    rows = []
    for note, stretches in (("MUSE's colours", dict.fromkeys(names, matched)), ("own colours", own)):
        if len(names) == 1 and rows:
            continue
        rows += [
            _draw_map(plane, overview.images[name], stretch, f"{TITLES[name]} ({note})", marks)
            for name, stretch in stretches.items()
        ]
        if ratio is not None:
            centre = 1.0 if note.startswith("MUSE") else float(np.nanmedian(ratio))
            rows.append(_draw_ratio(plane, ratio, centre, marks))
    columns = len(rows) // 2 or 1
    size = (_INCHES * columns, 4.2 * len(rows) / columns)
    return arrange(rows, columns, inches=size, hspace=0.5, vspace=0.25)


def find_ratio(field: xr.DataTree, overview: Overview) -> xr.DataArray | None:
    """Return the ratio of mean MUSE to mean smoothed HST flux, as anchoring offsets the latter.

    Returns
    -------
    xr.DataArray or None
        Per block, the mean of `hstmuseratio` weighted by the flux it multiplies; NaN where that
        flux is not positive. None without MUSE.
    """
    if not {"musehalpha_regrid", "halpha_smoothed"} <= set(overview.images):
        return None
    offset = np.nan_to_num(find_number(field, "offset"))
    flux = overview.images["halpha_smoothed"] + np.float32(offset)
    ratio = overview.images["musehalpha_regrid"] / flux.where(flux > 0)
    return ratio.where(ratio > 0)


def _draw_map(
    plane: Plane, image: xr.DataArray, stretch: Stretch, title: str, marks: list[Any]
) -> hv.Overlay:
    value = hv.Dimension("stretched", label="Hα flux")
    picture = plane.draw(image, stretch.apply(image.values), value)
    ticks = tick_colours(stretch)
    picture = style(
        picture,
        cmap=FLUX_MAP,
        clim=stretch.limits,
        colorbar=True,
        clabel=f"Hα flux ({FLUX_UNIT} per HST pixel)",
        bokeh={**ticks["bokeh"], "tools": [show_values(stretch, "flux")], **_BAR_BELOW},
        mpl={**ticks["mpl"], **_BAR_BELOW_MPL},
    )
    return _frame_map(plane, hv.Overlay([picture, *marks]), title)


def _draw_ratio(
    plane: Plane, ratio: xr.DataArray, centre: float, marks: list[Any]
) -> hv.Overlay:
    value = hv.Dimension("ratio", label="MUSE / smoothed HST")
    picture = plane.draw(ratio, ratio.values, value)
    limit = choose_ratio_limit(ratio.values / centre)
    about = "1" if centre == 1.0 else f"the median, {centre:.2f}"
    ticks = [(centre * place, f"{centre * place:.2g}") for place, _ in tick_ratios(limit)]
    picture = style(
        picture,
        cmap=RATIO_MAP,
        clim=(centre / limit, centre * limit),
        cnorm="log",
        colorbar=True,
        clabel="MUSE / smoothed HST flux",
        bokeh={"tools": [("hover")], **_BAR_BELOW},
        mpl={"cbar_ticks": ticks, "hooks": [rasterise, quieten], **_BAR_BELOW_MPL},
    )
    return _frame_map(plane, hv.Overlay([picture, *marks]), f"MUSE / HST about {about}")


_BAR_BELOW = {"colorbar_position": "bottom", "colorbar_opts": {"height": 10}}
_BAR_BELOW_MPL: dict[str, Any] = {}


def _frame_map(plane: Plane, overlay: hv.Overlay, title: str) -> hv.Overlay:
    options = plane.options()
    return frame(
        overlay,
        title=title,
        bgcolor=SKY_COLOUR,
        show_legend=False,
        bokeh={**options["bokeh"], "frame_width": _PANEL, "frame_height": _PANEL},
        mpl=options["mpl"],
    )


def _draw_outlines(field: xr.DataTree, plane: Plane) -> list[hv.Curve]:
    if not has_product(field, "nebula_mask"):
        return []
    ra, dec = trace_outlines(find_product(field, "nebula_mask"))
    return [draw_line(plane, *place_on_sky(plane, ra, dec))] if ra.size else []


def draw_line(plane: Plane, x: NDArray[np.float64], y: NDArray[np.float64]) -> hv.Curve:
    """Draw outlines, given in the plane with NaN between them, over a map."""
    # Half the bytes: a page holds the outlines of thousands of nebulae.
    line = hv.Curve((x.astype(np.float32), y.astype(np.float32)), *plane.dims)
    return style(
        line,
        color=OUTLINE,
        apply_ranges=False,
        bokeh={"line_width": 1},
        mpl={**plane.options()["mpl"], "linewidth": 0.6},
    )


def _draw_scale_bar(plane: Plane) -> list[Any]:
    """A bar of a round number of arcsec in the lower left, and its length above it."""
    ny, nx = plane.grid.shape
    (left, right), (bottom, top) = plane.place([0.05 * ny, ny], [0.05 * nx, nx])
    width, height = right - left, top - bottom
    arcsec = choose_round(0.25 * abs(width) / plane.arcsec)
    length = np.copysign(arcsec * plane.arcsec, width)
    text = f"{arcsec:g}″" if arcsec < 60 else f"{arcsec / 60:g}′"
    bar = hv.Curve(([left, left + length], [bottom, bottom]), *plane.dims)
    label = hv.Text(
        left + length / 2, bottom + 0.03 * height, text, halign="center", valign="bottom",
        kdims=plane.dims,
    )
    mpl = plane.options()["mpl"]
    return [
        style(bar, color="white", apply_ranges=False, bokeh={"line_width": 3},
              mpl={**mpl, "linewidth": 2.5}),
        style(label, color="white", apply_ranges=False, bokeh={"text_font_size": "10pt"},
              mpl={**mpl, "fontsize": 10}),
    ]
