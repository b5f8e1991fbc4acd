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
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.numerics.overlap import align_image
from phangs_xr.photometry.choose_curve import name_curve
from phangs_xr.photometry.exposure import find_exposure
from phangs_xr.photometry.keywords import PHOTOMETRY, find_keyword
from phangs_xr.photometry.labels import label_product
from phangs_xr.photometry.units import find_counts
from phangs_xr.schema import BANDS, COUNT_RATES
from phangs_xr.sky import get_grid, is_one_grid

Image = NDArray[np.floating]


@dataclass(frozen=True)
class Load:
    """Options of `load`: there are none."""


def divide_counts(counts: Image, *, exposure: float) -> Image:
    """Return counts per second of counts and the exposure time [s]."""
    return counts / exposure


def describe_alignment(name: str, image: xr.DataArray, narrow: xr.DataArray) -> str:
    """Return in words how a band's grid compares with the narrow band's."""
    target, source = get_grid(narrow), get_grid(image)
    if not is_one_grid(target, source):
        return f"{name} is on another grid than narrow: brought onto it by pixel overlap"
    if target.to_wcs().wcs.radesys != source.to_wcs().wcs.radesys:
        return f"{name} differs from narrow in RADESYS alone: taken as one grid"
    return ""


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
        counts], float32, on the narrow band's grid; NaN is missing. PHOTFLAM, PHOTPLAM, PHOTBW and
        EXPTIME become attributes as far as there are such cards, and `curve`, the name of the
        filter's throughput curve (`phangs_xr.photometry.name_curve`), where it is known.

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
        found = {key: find_keyword(image, key) for key in (*PHOTOMETRY, "exptime")}
        found["curve"] = name_curve(image) or None
        cards = {key: value for key, value in found.items() if value is not None}
        units = next(rate for rate in COUNT_RATES if rate.startswith(counted))
        loaded[name] = label_product(aligned, name, "load", units=units, **cards)
    return xr.Dataset(loaded)
