"""Take HST's images as they come: padding becomes missing, all bands onto the narrow band's grid.

Drizzled mosaics are padded with exact zeros, which become NaN. A band on another pixel grid is
brought onto the narrow band's by the overlap of the pixels' areas, so that its flux is conserved
(`reproject.reproject_exact`, times the ratio of the pixel areas).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
import xarray as xr
from astropy.wcs import WCS
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_pixels, map_tiles
from phangs_xr.photometry.keywords import PHOTOMETRY, find_keyword
from phangs_xr.photometry.labels import label_product, require_units
from phangs_xr.photometry.units import find_counts
from phangs_xr.schema import COUNT_RATES
from phangs_xr.sky import Grid, count_reach, get_grid, is_one_grid
from phangs_xr.sky.wcs import get_frame

Image = NDArray[np.floating]

BANDS = ("narrow", "continuum1", "continuum2")

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


def divide_counts(counts: Image, *, exposure: float) -> Image:
    """Return counts per second of counts and the exposure time [s]."""
    return counts / exposure


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


def find_exposure(image: xr.DataArray, name: str) -> float:
    """Return the time by which counts must be divided to be a rate [s], 1 if they are one.

    Raises
    ------
    InputError
        If the unit is no count, or counts have no EXPTIME.
    """
    counted, is_rate = find_counts(image.attrs.get("units", ""))
    if not counted or is_rate:
        require_units(image, name)
        return 1.0
    value = find_keyword(image, "exptime")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf:
        return float(value)
    where = image.attrs.get("source", "its header")
    message = (
        f"{name}: EXPTIME (exposure time, s) should be a positive number where the unit is "
        f"{counted}, not a rate of it, found {value!r} in {where}: "
        f'correct the header, or, if the image is a rate, give units = "{counted}/s" in the '
        f"configuration"
    )
    raise InputError(message)


def check_inputs(options: Load, images: Mapping[str, xr.DataArray]) -> Iterator[str]:
    """Refuse bands that are no counts; say which are divided by EXPTIME, or on another grid."""
    for name in BANDS:
        if name not in images:
            continue
        exposure = find_exposure(images[name], name)
        if exposure != 1:
            units = images[name].attrs["units"]
            yield f"{name} is in {units}, not a rate: divided by EXPTIME = {exposure:g} s"
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
        Images [electron / s, or another rate of counts], as opened with the FITS engine; counts
        are divided by the header's EXPTIME.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `narrow`, `continuum1` and, if given, `continuum2` [electron / s, or the rate each file
        counts], float32, on the narrow band's grid; NaN is missing. PHOTFLAM, PHOTPLAM and PHOTBW
        become attributes as far as there are such cards.

    Raises
    ------
    GridError
        If an image has no WCS.
    InputError
        If a unit is neither counts per second nor, with EXPTIME, counts.
    """
    bands = zip(BANDS, (narrow, continuum1, continuum2), strict=True)
    loaded = {}
    for name, image in ((name, image) for name, image in bands if image is not None):
        exposure = find_exposure(image, name)
        aligned = align_image(image, narrow)
        if exposure != 1:
            aligned = map_pixels(divide_counts, aligned, exposure=exposure)
        counted, _ = find_counts(image.attrs["units"])
        found = {key: find_keyword(image, key) for key in PHOTOMETRY}
        cards = {key: value for key, value in found.items() if value is not None}
        units = next(rate for rate in COUNT_RATES if rate.startswith(counted))
        loaded[name] = label_product(aligned, name, "load", units=units, **cards)
    return xr.Dataset(loaded)
