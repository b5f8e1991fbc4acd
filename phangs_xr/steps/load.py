"""Take HST's images as they come: padding becomes missing, all bands onto the narrow band's grid.

Drizzled mosaics are padded with exact zeros, which become NaN. A band on another pixel grid is
brought onto the narrow band's by the overlap of the pixels' areas, so that its flux is conserved
(`reproject.reproject_exact`, times the ratio of the pixel areas).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from astropy.wcs import WCS
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels, map_tiles
from phangs_xr.photometry.keywords import PHOTOMETRY, find_keyword
from phangs_xr.photometry.labels import label_product, require_units
from phangs_xr.sky import Grid, count_reach, get_grid, is_one_grid
from phangs_xr.sky.wcs import get_frame

Image = NDArray[np.floating]

PAD = 1
"""Source pixels needed around those that the target's pixels reach, for the overlaps."""

FULL = 0.999
"""A pixel covered less than this by the other grid's pixels is missing."""


@dataclass(frozen=True)
class Load:
    """Options of `load`: there are none."""


def remove_padding(image: Image) -> Image:
    """Return the image with exact zeros, and infinities, made NaN."""
    return np.where((image == 0) | ~np.isfinite(image), np.nan, image)


def overlap_window(piece: Image, source: Grid, target: Grid, *, factor: float) -> Image:
    """Return the source's flux in the target's pixels, by the overlap of their areas.

    Parameters
    ----------
    piece
        The source's pixels, may be empty; NaN or zero is missing.
    source, target
        The grids of `piece` and of the result.
    factor
        Target's over source's pixel area.

    Returns
    -------
    NDArray
        Shape of `target`; NaN where not fully covered by pixels that are not missing.
    """
    if 0 in piece.shape:
        return np.full(target.shape, np.nan, dtype=piece.dtype)
    projections: list[WCS] = [source.to_wcs(), target.to_wcs()]
    if get_frame(projections[0]) == get_frame(projections[1]):
        # Taken literally, ICRS and FK5 would be half a pixel apart: see `is_one_grid`.
        projections[0].wcs.radesys = projections[1].wcs.radesys
        projections[0].wcs.equinox = projections[1].wcs.equinox
    known = remove_padding(piece)
    from reproject import reproject_exact

    missing = np.isnan(known)
    # NaN would also spread to pixels that it meets in a corner, or by rounding alone.
    pair = np.stack([np.where(missing, 0, known), ~missing])
    (values, valid), covered = reproject_exact(
        (pair, projections[0]), projections[1], shape_out=(2, *target.shape)
    )
    whole = valid * covered[0] >= FULL
    flux: Image = np.full_like(values, np.nan)
    np.divide(values * factor, valid, out=flux, where=whole)
    return flux


def align_image(image: xr.DataArray, narrow: xr.DataArray) -> xr.DataArray:
    """Bring a band onto the narrow band's grid, conserving its flux.

    Parameters
    ----------
    image
        Counts per pixel of its own grid.
    narrow
        An image on the target grid; its pixels are not read.

    Returns
    -------
    xr.DataArray
        Counts per pixel of the narrow band's grid, padding made NaN. Pixels are taken as they are
        if both grids are one.
    """
    target, source = get_grid(narrow), get_grid(image)
    if is_one_grid(target, source):
        return map_pixels(remove_padding, image, dtype=np.float32).assign_coords(narrow.coords)
    factor = target.pixel_area / source.pixel_area
    pad = PAD + count_reach(target, source)
    return map_tiles(overlap_window, image.astype(np.float32), narrow, pad=pad, factor=factor)


def describe_alignment(name: str, image: xr.DataArray, narrow: xr.DataArray) -> str:
    """Return in words how a band's grid compares with the narrow band's."""
    target, source = get_grid(narrow), get_grid(image)
    if not is_one_grid(target, source):
        return f"{name} is on another grid than narrow: brought onto it by pixel overlap"
    if target.to_wcs().wcs.radesys != source.to_wcs().wcs.radesys:
        return f"{name} differs from narrow in RADESYS alone: taken as one grid"
    return ""


def check_inputs(options: Load, images: Mapping[str, xr.DataArray]) -> Iterator[str]:
    """Say of each broad band whose grid differs from the narrow band's what will be done."""
    for name in ("continuum1", "continuum2"):
        if name in images:
            yield from filter(None, [describe_alignment(name, images[name], images["narrow"])])


def load(
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    continuum2: xr.DataArray | None = None,
    *,
    options: Load | None = None,
) -> xr.Dataset:
    """Bring HST's bands onto one grid, with their padding made missing.

    Parameters
    ----------
    narrow, continuum1, continuum2
        Images [electron / s], as opened with the FITS engine.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `narrow`, `continuum1` and, if given, `continuum2` [electron / s], float32, on the narrow
        band's grid; NaN is missing. PHOTFLAM, PHOTPLAM and PHOTBW become attributes as far as
        there are such cards.

    Raises
    ------
    GridError
        If an image has no WCS.
    InputError
        If a unit is not electrons per second.
    """
    bands = {"narrow": narrow, "continuum1": continuum1}
    if continuum2 is not None:
        bands["continuum2"] = continuum2
    loaded = {}
    for name, image in bands.items():
        require_units(image, name)
        found = {key: find_keyword(image, key) for key in PHOTOMETRY}
        cards = {key: value for key, value in found.items() if value is not None}
        loaded[name] = label_product(align_image(image, narrow), name, "load", **cards)
    return xr.Dataset(loaded)
