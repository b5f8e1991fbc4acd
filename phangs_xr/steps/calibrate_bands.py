"""Turn counts into flux density, f = counts × PHOTFLAM × 1e20, inside the footprint.

The filter's pivot and rectangular width, by its throughput curve, go along as attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.choose_curve import describe_curve
from phangs_xr.photometry.keywords import require_photometry
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.schema import BANDS, FLUX_SCALE

Image = NDArray[np.floating]


@dataclass(frozen=True)
class CalibrateBands:
    """Options of `calibrate_bands`: there are none."""


def scale_inside(counts: Image, footprint: Image, *, factor: float) -> Image:
    """Return counts times a factor, NaN outside the footprint."""
    return np.where(footprint > 0, counts * factor, np.nan)


def check_inputs(options: CalibrateBands, images: Mapping[str, xr.DataArray]) -> Iterable[str]:
    """Refuse bands without PHOTFLAM, or whose filter is not known; there is no remark."""
    for name in (name for name in BANDS if name in images):
        require_photometry(images[name], "photflam", name)
        describe_curve(images[name], name)
    return ()


def calibrate_bands(
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    footprint: xr.DataArray,
    continuum2: xr.DataArray | None = None,
    narrow_err: xr.DataArray | None = None,
    continuum1_err: xr.DataArray | None = None,
    continuum2_err: xr.DataArray | None = None,
    narrow_clean: xr.DataArray | None = None,
    continuum1_clean: xr.DataArray | None = None,
    continuum2_clean: xr.DataArray | None = None,
    *,
    options: CalibrateBands | None = None,
) -> xr.Dataset:
    """Turn the counts of HST's bands, and their errors, into flux density.

    Parameters
    ----------
    narrow, continuum1, continuum2
        Images on one grid [electron / s], with PHOTFLAM and what tells the filter
        (`phangs_xr.photometry.name_curve`) as attributes.
    footprint
        Positive where there is a result.
    narrow_err, continuum1_err, continuum2_err
        Their errors [electron / s].
    narrow_clean, continuum1_clean, continuum2_clean
        The bands without cosmic rays, taken in their place where given.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `narrow_flux` and the like, `narrow_flux_err` and the like [1e-20 erg/s/cm²/Å per pixel],
        with the attributes `curve`, `pivot` [Å] and `rectangular_width` [Å]; NaN outside the
        footprint and where the band is.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another, PHOTFLAM is missing, or the filter is not known.
    """
    images = dict(zip(BANDS, (narrow, continuum1, continuum2), strict=True))
    errors = dict(zip(BANDS, (narrow_err, continuum1_err, continuum2_err), strict=True))
    given = {name: image for name, image in images.items() if image is not None}
    given |= {f"{band}_err": image for band, image in errors.items() if image is not None}
    clean = zip(BANDS, (narrow_clean, continuum1_clean, continuum2_clean), strict=True)
    given |= {f"{band}_clean": image for band, image in clean if image is not None}
    require_products(**given, footprint=footprint)
    calibrated = {}
    for band in (band for band in BANDS if band in given):
        factor = require_photometry(given[band], "photflam", band) * FLUX_SCALE
        attrs = describe_curve(given[band], band)
        image = f"{band}_clean" if f"{band}_clean" in given else band
        for source, name in ((image, f"{band}_flux"), (f"{band}_err", f"{band}_flux_err")):
            if source in given:
                flux = map_pixels(scale_inside, given[source], footprint, factor=factor)
                calibrated[name] = label_product(flux, name, "calibrate_bands", **attrs)
    order = [f"{band}_flux{suffix}" for suffix in ("", "_err") for band in BANDS]
    return xr.Dataset({name: calibrated[name] for name in order if name in calibrated})
