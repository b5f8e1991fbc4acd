"""Maps of what a measurement needs to know beside the flux: how certain it is, and what of."""

from __future__ import annotations

from collections.abc import Callable

import holoviews as hv
import numpy as np
import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.qa.figures.draw_map import arrange_maps, draw_marks, draw_values, frame_map
from phangs_xr.qa.figures.sky_axes import Axes, Plane, choose_plane
from phangs_xr.qa.figures.style import COUNT_MAP, RATIO_MAP
from phangs_xr.qa.measure.overviews import Overview, reduce_field, sample_image
from phangs_xr.qa.measure.products import (
    find_best,
    find_distance,
    find_product,
    has_product,
)
from phangs_xr.sky.grid import get_grid

_SURE = 3.0
"""Errors of the continuum above which an equivalent width is drawn."""

_RESPONSE_REACH = 1.25


def plot_derived_maps(
    field: xr.DataTree,
    nebulae: xr.Dataset | None = None,
    *,
    axes: Axes = "offset",
    overview: Overview | None = None,
) -> hv.Layout:
    """Draw flux over error, equivalent width, line response and MUSE's part, as far as there.

    Parameters
    ----------
    field
        Of a recipe that gives errors.
    nebulae
        Not needed.
    axes
        Offsets from the centre [arcsec], or RA and Dec (matplotlib only).
    overview
        Of `reduce_field`, when there is one already.

    Returns
    -------
    hv.Layout
        Flux over error, as a pixel has it in the mean of a block; equivalent width, the ratio of
        the means of flux and continuum, where the latter is above three errors; what the narrow
        band sees of a line of unit flux, over its median; the part that MUSE has in the map.

    Raises
    ------
    InputError
        If the field has none of them.
    """
    overview = reduce_field(field) if overview is None else overview
    plane = choose_plane(overview.grid, axes, find_distance(field))
    made = {title: draw(field, overview, plane) for title, draw in _MAPS.items()}
    pictures = {title: picture for title, picture in made.items() if picture is not None}
    if not pictures:
        message = (
            f"{find_best(field)}_err, continuum, line_response or muse_coverage are needed here, "
            f"the field holds none: run a recipe that gives errors"
        )
        raise InputError(message)
    marks = draw_marks(overview, plane)
    panels = [
        frame_map(plane, [picture, *marks], title, legend=number == 0)
        for number, (title, picture) in enumerate(pictures.items())
    ]
    return arrange_maps(plane, panels, len(panels))


def _draw_certainty(field: xr.DataTree, overview: Overview, plane: Plane) -> hv.Element | None:
    best = find_best(field)
    if f"{best}_err" not in overview.images:
        return None
    ratio = overview.images[best] / overview.images[f"{best}_err"]
    return draw_values(
        plane,
        ratio,
        "flux over error of a pixel",
        cmap=COUNT_MAP,
        limits=(0.3, 30.0),
        ticks=(0.3, 1, 3, 10, 30),
        log=True,
    )


def _draw_width(field: xr.DataTree, overview: Overview, plane: Plane) -> hv.Element | None:
    best = find_best(field)
    if not {"continuum", "continuum_err", best} <= set(overview.images):
        return None
    continuum, error = (overview.images[name] for name in ("continuum", "continuum_err"))
    sure = continuum > _SURE * error / overview.factor
    width = (overview.images[best] / continuum).where(sure)
    return draw_values(
        plane,
        width,
        "equivalent width (Å)",
        cmap=COUNT_MAP,
        limits=(3.0, 1000.0),
        ticks=(3, 10, 30, 100, 300, 1000),
        log=True,
    )


def _draw_response(field: xr.DataTree, overview: Overview, plane: Plane) -> hv.Element | None:
    if not has_product(field, "line_response"):
        return None
    response = find_product(field, "line_response")
    target = get_grid(next(iter(overview.images.values())))
    relative = sample_image(response, target) / np.float32(np.nanmedian(response.values))
    return draw_values(
        plane,
        relative,
        "line response over its median",
        cmap=RATIO_MAP,
        limits=(1 / _RESPONSE_REACH, _RESPONSE_REACH),
        ticks=(0.8, 0.9, 1.0, 1.1, 1.25),
        log=True,
    )


def _draw_part(field: xr.DataTree, overview: Overview, plane: Plane) -> hv.Element | None:
    if not {"muse_coverage", find_best(field)} <= set(overview.images):
        return None
    return draw_values(
        plane,
        overview.images["muse_coverage"].where(overview.images[find_best(field)].notnull()),
        "part of MUSE in the map",
        cmap=COUNT_MAP,
        limits=(0.0, 1.0),
        ticks=(0, 0.5, 1),
    )


_MAPS: dict[str, Callable[[xr.DataTree, Overview, Plane], hv.Element | None]] = {
    "flux over error": _draw_certainty,
    "equivalent width": _draw_width,
    "line response": _draw_response,
    "MUSE's part": _draw_part,
}
"""What is drawn, by title; None where the field does not have it."""
