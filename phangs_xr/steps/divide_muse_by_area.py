"""Give MUSE's Hα fluxes per square arcsecond, by the full area of a spaxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.labels import label_product, require_products


@dataclass(frozen=True)
class DivideMuseByArea:
    """Options of `divide_muse_by_area`: there are none."""


def divide_flux(flux: NDArray[np.floating], *, area: float) -> NDArray[np.floating]:
    """Return the flux over an area."""
    return flux / area


def divide_muse_by_area(
    musehalpha: xr.DataArray,
    muse_contsub_ha: xr.DataArray | None = None,
    *,
    options: DivideMuseByArea | None = None,
) -> xr.Dataset:
    """Give MUSE's Hα fluxes per square arcsecond.

    Parameters
    ----------
    musehalpha, muse_contsub_ha
        [1e-20 erg/s/cm² per pixel], on one grid.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `muse_ha_as2`, `muse_contsub_ha_as2` [1e-20 erg/s/cm²/arcsec²], as far as given, by the
        full area of a spaxel; NaN where the input is.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    images = {"musehalpha": musehalpha}
    if muse_contsub_ha is not None:
        images["muse_contsub_ha"] = muse_contsub_ha
    area = require_products(**images).pixel_area
    made = {}
    for source, image in images.items():
        name = f"{source.replace('musehalpha', 'muse_ha')}_as2"
        flux = map_pixels(divide_flux, image, area=area)
        made[name] = label_product(flux, name, "divide_muse_by_area")
    return xr.Dataset(made)
