"""The maps beside each other: MUSE, HST, HST at MUSE's resolution, and the ratio that anchors."""

from __future__ import annotations

from functools import partial
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.drawing.scale_bar import format_angle
from phangs_xr.drawing.stretch import Stretch, choose_stretch
from phangs_xr.qa.figures.hooks_bokeh import show_values
from phangs_xr.qa.figures.hooks_matplotlib import hide_labels
from phangs_xr.qa.figures.sky_axes import Axes, Plane, choose_plane, place_on_sky
from phangs_xr.qa.figures.style import (
    FLUX_MAP,
    FLUX_UNIT,
    OUTLINE,
    RATIO_MAP,
    SKY_COLOUR,
    STAR_OUTLINE,
    Paper,
    add_hooks,
    arrange,
    choose_ratio_limit,
    choose_round,
    draw_bar,
    frame,
    style,
    thin_out,
    tick_ratios,
)
from phangs_xr.qa.measure.overviews import MAPPED, Overview, reduce_field
from phangs_xr.qa.measure.products import find_number

TITLES = {
    "musehalpha_regrid": "MUSE",
    "halpha": "HST",
    "halpha_smoothed": "smoothed HST",
    "hst_contsub": "HST with [NII]",
    "hst_ha": "HST",
    "halpha_hst": "HST alone",
    "halpha_joint": "HST and MUSE joint",
}

MASKS = {
    "nebula_mask": ("nebulae", OUTLINE),
    "star_mask": ("stars", STAR_OUTLINE),
}
"""How the outlines of each mask are named and coloured."""

_PANEL = 250
_WIDTH = 3.0
"""Of a panel on paper [inch]."""


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
        A bar gives the scale, lines the nebulae and the stars.

    Raises
    ------
    InputError
        If the field has no HST map that its recipe compares.
    """
    overview = reduce_field(field) if overview is None else overview
    plane = choose_plane(overview.grid, axes)
    marks = [*_draw_outlines(overview, plane), *draw_scale_bar(plane)]
    names = [name for name in MAPPED if name in overview.images]
    matched = choose_stretch(overview.images[names[0]].values)
    own = {name: choose_stretch(overview.images[name].values) for name in names}
    ratio = find_ratio(field, overview)
    scales = {"MUSE's colours": dict.fromkeys(names, matched), "own colours": own}
    if "musehalpha_regrid" not in names:
        del scales["MUSE's colours"]
    panels = []
    for number, (note, stretches) in enumerate(scales.items(), 1):
        row = [
            _frame_map(
                plane,
                [draw_image(plane, overview.images[name], stretch), *marks],
                f"{TITLES[name]}, {note}",
                legend=name == names[0],
            )
            for name, stretch in stretches.items()
        ]
        if ratio is not None:
            centre = 1.0 if note.startswith("MUSE") else float(np.nanmedian(ratio))
            row.append(_draw_ratio(plane, ratio, centre, marks))
        for column, panel in enumerate(row):
            hide = partial(hide_labels, rows=column > 0, columns=number < len(scales))
            panels.append(add_hooks(panel, hide))
    ny, nx = plane.grid.shape
    paper = Paper(_WIDTH, _WIDTH * ny / nx, left=0.2, right=0.9, bottom=0.5, margin=0.9)
    return arrange(panels, len(panels) // len(scales), paper)


def find_ratio(field: xr.DataTree, overview: Overview) -> xr.DataArray | None:
    """Return the ratio of mean MUSE to mean smoothed HST flux, as anchoring offsets the latter.

    It is per block the mean of `hstmuseratio` weighted by the flux it multiplies; NaN where that
    flux is not positive. None without MUSE, or where it does not meet HST.
    """
    if not {"musehalpha_regrid", "halpha_smoothed"} <= set(overview.images):
        return None
    offset = np.nan_to_num(find_number(field, "offset"))
    flux = overview.images["halpha_smoothed"] + np.float32(offset)
    ratio = overview.images["musehalpha_regrid"] / flux.where(flux > 0)
    ratio = ratio.where(ratio > 0)
    return ratio if ratio.notnull().any() else None


def draw_image(plane: Plane, image: xr.DataArray, stretch: Stretch) -> Any:
    """Draw an image of flux per HST pixel, reduced to what can be drawn, with its colour bar."""
    value = hv.Dimension("stretched", label="Hα flux")
    picture = plane.draw(image, stretch.apply(image.values), value)
    bar = draw_bar(f"{FLUX_UNIT} per HST pixel", stretch.ticks)
    hooks = [*bar["bokeh"]["hooks"], partial(show_values, stretch=stretch, title="flux")]
    return style(
        picture,
        cmap=FLUX_MAP,
        clim=stretch.limits,
        bokeh={**bar["bokeh"], "tools": ["hover"], "hooks": hooks},
        mpl={**plane.mpl, **bar["mpl"]},
    )


def _draw_ratio(plane: Plane, ratio: xr.DataArray, centre: float, marks: list[Any]) -> hv.Overlay:
    value = hv.Dimension("ratio", label="MUSE / smoothed HST")
    limit = choose_ratio_limit(ratio.values / centre)
    bar = draw_bar("MUSE / (smoothed HST + offset)", tick_ratios(limit, centre))
    picture = style(
        plane.draw(ratio, ratio.values, value),
        cmap=RATIO_MAP,
        clim=(centre / limit, centre * limit),
        cnorm="log",
        bokeh={"tools": ["hover"], **bar["bokeh"]},
        mpl={**plane.mpl, **bar["mpl"]},
    )
    about = "1" if centre == 1.0 else "its median"
    return _frame_map(plane, [picture, *marks], f"MUSE / HST, about {about}")


def _frame_map(plane: Plane, layers: list[Any], title: str, legend: bool = False) -> hv.Overlay:
    return frame(
        hv.Overlay(layers),
        title=title,
        bgcolor=SKY_COLOUR,
        show_legend=legend,
        legend_position="top_right",
        bokeh={**plane.bokeh, "frame_width": _PANEL, "frame_height": _PANEL},
        mpl=plane.mpl,
    )


def _draw_outlines(overview: Overview, plane: Plane) -> list[hv.Curve]:
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
        (left + end) / 2,
        bottom + 0.03 * (top - bottom),
        format_angle(arcsec),
        halign="center",
        valign="bottom",
        kdims=plane.dims,
    )
    both: dict[str, Any] = {"color": "white", "apply_ranges": False}
    return [
        style(bar, **both, width=(3, 2.5), mpl=plane.mpl),
        style(label, **both, bokeh={"text_font_size": "9pt"}, mpl={**plane.mpl, "fontsize": 9}),
    ]
