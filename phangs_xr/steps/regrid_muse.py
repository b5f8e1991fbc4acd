"""Bring MUSE's map onto the HST grid, as flux per HST pixel.

Each HST pixel takes the value of the MUSE pixel its centre falls on ("nearest-neighbor", as
published) or the bilinear mean of the four around it, times the ratio of the pixel areas. As in
`reproject.reproject_interp`, MUSE's outer pixels reach half a pixel beyond their centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_tiles
from phangs_xr.numerics.resampling import ORDERS, PAD, Order, resample_window
from phangs_xr.photometry.labels import label_product, require_units
from phangs_xr.sky import get_grid


@dataclass(frozen=True)
class RegridMuse:
    """Options of `regrid_muse`.

    Attributes
    ----------
    order
        "nearest-neighbor" prints MUSE's 0.2" blocks into the HST grid, as published;
        "bilinear" does not.
    """

    order: Order = "nearest-neighbor"

    def __post_init__(self) -> None:
        """Refuse an unknown order."""
        if self.order not in ORDERS:
            message = (
                f"regrid_muse: order should be one of {', '.join(ORDERS)}, "
                f"found {self.order!r}: correct it"
            )
            raise InputError(message)


def regrid_muse(
    musehalpha: xr.DataArray, narrow: xr.DataArray, *, options: RegridMuse | None = None
) -> xr.Dataset:
    """Bring MUSE's H-alpha map onto the narrow band's grid.

    Parameters
    ----------
    musehalpha
        [1e-20 erg/s/cm² per MUSE pixel].
    narrow
        An image on the HST grid; its pixels are not read.
    options
        How to interpolate; the default if None.

    Returns
    -------
    xr.Dataset
        `musehalpha_regrid` [1e-20 erg/s/cm² per HST pixel], NaN where MUSE has no data.

    Raises
    ------
    GridError
        If an image has no WCS.
    InputError
        If the unit is not that of MUSE fluxes.
    """
    options = options or RegridMuse()
    require_units(musehalpha, "musehalpha")
    factor = get_grid(narrow).pixel_area / get_grid(musehalpha).pixel_area
    flux = map_tiles(
        resample_window, musehalpha, narrow, pad=PAD, order=options.order, factor=factor
    )
    name = "musehalpha_regrid"
    return xr.Dataset({name: label_product(flux, name, "regrid_muse")})
