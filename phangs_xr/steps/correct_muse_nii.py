"""Take [NII] out of MUSE's narrow-band flux by the same factor as out of HST's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.labels import keep_curve, label_product, require_products


@dataclass(frozen=True)
class CorrectMuseNii:
    """Options of `correct_muse_nii`: there are none."""


def divide_flux(flux: NDArray[np.floating], *, slope: float) -> NDArray[np.floating]:
    """Return the flux over the slope."""
    return flux / slope


def correct_muse_nii(
    muse_contsub: xr.DataArray, nii_slope: Any, *, options: CorrectMuseNii | None = None
) -> xr.Dataset:
    """Take [NII] out of MUSE's narrow-band flux.

    Parameters
    ----------
    muse_contsub
        MUSE's narrow band without continuum [1e-20 erg/s/cm² per spaxel].
    nii_slope
        As `correct_nii` finds it.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `muse_contsub_ha` [1e-20 erg/s/cm² per spaxel], NaN where the input is.

    Raises
    ------
    InputError
        If the unit is another.
    """
    require_products(muse_contsub=muse_contsub)
    flux = map_pixels(divide_flux, muse_contsub, slope=nii_slope)
    name = "muse_contsub_ha"
    return xr.Dataset(
        {name: label_product(flux, name, "correct_muse_nii", **keep_curve(muse_contsub))}
    )
