"""The maps beside each other: MUSE, HST, HST at MUSE's resolution, and the ratio that anchors."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from phangs_xr.drawing.stretch import choose_stretch
from phangs_xr.qa.figures.draw_map import (
    arrange_maps,
    draw_image,
    draw_marks,
    draw_values,
    frame_map,
)
from phangs_xr.qa.figures.sky_axes import Axes, Plane, choose_plane
from phangs_xr.qa.figures.style import RATIO_MAP, choose_ratio_limit, tick_ratios
from phangs_xr.qa.measure.overviews import MAPPED, Overview, reduce_field
from phangs_xr.qa.measure.products import find_distance, find_number

TITLES = {
    "musehalpha_regrid": "MUSE",
    "halpha": "HST",
    "halpha_smoothed": "smoothed HST",
    "hst_contsub": "HST with [NII]",
    "hst_ha": "HST",
    "halpha_hst": "HST alone",
    "halpha_joint": "HST and MUSE joint",
}


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
    plane = choose_plane(overview.grid, axes, find_distance(field))
    marks = draw_marks(overview, plane)
    names = [name for name in MAPPED if name in overview.images]
    matched = choose_stretch(overview.images[names[0]].values)
    own = {name: choose_stretch(overview.images[name].values) for name in names}
    ratio = find_ratio(field, overview)
    scales = {"MUSE's colours": dict.fromkeys(names, matched), "own colours": own}
    if "musehalpha_regrid" not in names:
        del scales["MUSE's colours"]
    panels = []
    for note, stretches in scales.items():
        panels += [
            frame_map(
                plane,
                [draw_image(plane, overview.images[name], stretch), *marks],
                f"{TITLES[name]}, {note}",
                legend=name == names[0],
            )
            for name, stretch in stretches.items()
        ]
        if ratio is not None:
            centre = 1.0 if note.startswith("MUSE") else float(np.nanmedian(ratio))
            panels.append(_draw_ratio(plane, ratio, centre, marks))
    return arrange_maps(plane, panels, len(panels) // len(scales))


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


def _draw_ratio(plane: Plane, ratio: xr.DataArray, centre: float, marks: list[Any]) -> hv.Overlay:
    limit = choose_ratio_limit(ratio.values / centre)
    picture = draw_values(
        plane,
        ratio,
        "MUSE / (smoothed HST + offset)",
        cmap=RATIO_MAP,
        limits=(centre / limit, centre * limit),
        ticks=[place for place, _ in tick_ratios(limit, centre)],
        log=True,
    )
    about = "1" if centre == 1.0 else "its median"
    return frame_map(plane, [picture, *marks], f"MUSE / HST, about {about}")
