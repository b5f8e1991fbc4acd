"""Take the continuum off MUSE's synthetic narrow band, as it is taken off HST's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.continuum import interpolate_logs, weigh_pivots
from phangs_xr.photometry.labels import keep_curve, label_product, require_products
from phangs_xr.schema import BANDS

Image = NDArray[np.floating]


@dataclass(frozen=True)
class SubtractMuseContinuum:
    """Options of `subtract_muse_continuum`: there are none."""


def find_line(
    narrow: Image,
    first: Image,
    second: Image | None = None,
    *,
    weights: tuple[float, float],
    width: float,
) -> Image:
    """Return the narrow band less the continuum, 0 where there is none, times the width."""
    return (narrow - interpolate_logs(first, second, weights=weights)) * width


def subtract_muse_continuum(
    muse_narrow_corrected: xr.DataArray,
    muse_continuum1_corrected: xr.DataArray,
    muse_continuum2_corrected: xr.DataArray | None = None,
    *,
    options: SubtractMuseContinuum | None = None,
) -> xr.Dataset:
    """Subtract the continuum from MUSE's synthetic narrow band.

    Parameters
    ----------
    muse_narrow_corrected, muse_continuum1_corrected, muse_continuum2_corrected
        Bands on one grid [1e-20 erg/s/cm²/Å per spaxel], with the attributes `pivot` [Å] and, of
        the narrow band, `rectangular_width` [Å].
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `muse_contsub` [1e-20 erg/s/cm² per spaxel], NaN where the narrow band is: all lines in the
        band, as HST's narrow band sees them.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another, or both broad bands have one pivot.
    """
    bands = (muse_narrow_corrected, muse_continuum1_corrected, muse_continuum2_corrected)
    named = zip(BANDS, bands, strict=True)
    images = {f"muse_{band}_corrected": one for band, one in named if one is not None}
    require_products(**images)
    pivots = [image.attrs["pivot"] for image in images.values()]
    weights = weigh_pivots(*pivots) if len(pivots) == len(BANDS) else (1.0, 0.0)
    width = muse_narrow_corrected.attrs["rectangular_width"]
    line = map_pixels(find_line, *images.values(), weights=weights, width=width)
    attrs = keep_curve(muse_narrow_corrected)
    name = "muse_contsub"
    return xr.Dataset({name: label_product(line, name, "subtract_muse_continuum", **attrs)})
