"""Give HST's Hα flux and its error per square arcsecond, by the full area of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.labels import label_product, require_products


@dataclass(frozen=True)
class DivideByArea:
    """Options of `divide_by_area`: there are none."""


def divide_flux(flux: NDArray[np.floating], *, area: float) -> NDArray[np.floating]:
    """Return the flux over an area."""
    return flux / area


def divide_by_area(
    hst_ha: xr.DataArray,
    hst_ha_err: xr.DataArray | None = None,
    *,
    options: DivideByArea | None = None,
) -> xr.Dataset:
    """Give HST's Hα flux and its error per square arcsecond.

    Parameters
    ----------
    hst_ha, hst_ha_err
        [1e-20 erg/s/cm² per pixel], on one grid.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `hst_ha_as2`, `hst_ha_err_as2` [1e-20 erg/s/cm²/arcsec²], as far as given, by the full area
        of a pixel; NaN where the input is.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    images = {"hst_ha": hst_ha}
    if hst_ha_err is not None:
        images["hst_ha_err"] = hst_ha_err
    area = require_products(**images).pixel_area
    made = {}
    for source, image in images.items():
        name = f"{source}_as2"
        flux = map_pixels(divide_flux, image, area=area)
        made[name] = label_product(flux, name, "divide_by_area")
    return xr.Dataset(made)
