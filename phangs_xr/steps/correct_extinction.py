"""Undo the Milky Way's extinction in HST's bands and their errors, at each band's pivot.

Cardelli, Clayton & Mathis (1989) with R_V = 3.1. MUSE's line maps come corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.extinction import find_extinction_factor, suggest_ebv
from phangs_xr.photometry.labels import keep_curve, label_product, require_products
from phangs_xr.schema import BANDS

Image = NDArray[np.floating]


@dataclass(frozen=True)
class CorrectExtinction:
    """Options of `correct_extinction`.

    Attributes
    ----------
    ebv
        E(B-V) of the Milky Way towards the galaxy [mag]; 0 leaves the flux as it is. There is no
        default.
    """

    ebv: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no colour excess."""
        if self.ebv is not None and not 0 <= self.ebv < 10:
            message = f"correct_extinction: ebv should be 0 to 10 mag, found {self.ebv}: correct it"
            raise InputError(message)


def require_ebv(options: CorrectExtinction) -> float:
    """Return E(B-V).

    Raises
    ------
    InputError
        If it is not given.
    """
    if options.ebv is None:
        message = (
            "correct_extinction: ebv, the Milky Way's E(B-V) towards the galaxy [mag], is needed: "
            "set [options.correct_extinction] ebv; "
            f"{suggest_ebv('')}"
        )
        raise InputError(message)
    return options.ebv


def scale_flux(flux: Image, *, factor: float) -> Image:
    """Return the flux times a factor."""
    return flux * factor


def correct_extinction(
    narrow_flux: xr.DataArray,
    continuum1_flux: xr.DataArray,
    continuum2_flux: xr.DataArray | None = None,
    narrow_skysub: xr.DataArray | None = None,
    continuum1_skysub: xr.DataArray | None = None,
    continuum2_skysub: xr.DataArray | None = None,
    narrow_flux_err: xr.DataArray | None = None,
    continuum1_flux_err: xr.DataArray | None = None,
    continuum2_flux_err: xr.DataArray | None = None,
    *,
    options: CorrectExtinction | None = None,
) -> xr.Dataset:
    """Correct HST's bands, and their errors, for the Milky Way's extinction.

    Parameters
    ----------
    narrow_flux, continuum1_flux, continuum2_flux
        Bands on one grid [1e-20 erg/s/cm²/Å per pixel], with the attribute `pivot` [Å].
    narrow_skysub, continuum1_skysub, continuum2_skysub
        The bands without their background, taken in their place where given.
    narrow_flux_err, continuum1_flux_err, continuum2_flux_err
        Their errors.
    options
        E(B-V), which must be given.

    Returns
    -------
    xr.Dataset
        `narrow_bgcorr` and the like, `narrow_bgcorr_err` and the like
        [1e-20 erg/s/cm²/Å per pixel], NaN where the input is.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another, or E(B-V) is not given.
    """
    ebv = require_ebv(options or CorrectExtinction())
    skysub = (narrow_skysub, continuum1_skysub, continuum2_skysub)
    fluxes = (narrow_flux, continuum1_flux, continuum2_flux)
    errors = zip(BANDS, (narrow_flux_err, continuum1_flux_err, continuum2_flux_err), strict=True)
    images = {}
    for band, flux, free in zip(BANDS, fluxes, skysub, strict=True):
        if free is not None:
            images[f"{band}_skysub"] = free
        elif flux is not None:
            images[f"{band}_flux"] = flux
    images |= {f"{band}_flux_err": one for band, one in errors if one is not None}
    bands = {
        f"{band}_flux": one for band, one in zip(BANDS, fluxes, strict=True) if one is not None
    }
    require_products(**bands, **{name: one for name, one in images.items() if name not in bands})
    made = {}
    for source, image in images.items():
        name = source.replace("_skysub", "_bgcorr").replace("_flux", "_bgcorr")
        factor = find_extinction_factor(image.attrs["pivot"], ebv)
        flux = map_pixels(scale_flux, image, factor=factor)
        made[name] = label_product(flux, name, "correct_extinction", **keep_curve(image))
    return xr.Dataset(made)
