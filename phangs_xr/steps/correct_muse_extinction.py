"""Undo the Milky Way's extinction in MUSE's synthetic bands, as it is undone in HST's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.extinction import find_extinction_factor
from phangs_xr.photometry.labels import keep_curve, label_product, require_products
from phangs_xr.schema import BANDS

Image = NDArray[np.floating]


@dataclass(frozen=True)
class CorrectMuseExtinction:
    """Options of `correct_muse_extinction`.

    Attributes
    ----------
    ebv
        E(B-V) of the Milky Way [mag]; a run takes that of `correct_extinction`.
    """

    ebv: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no colour excess."""
        if self.ebv is not None and not 0 <= self.ebv < 10:
            message = (
                f"correct_muse_extinction: ebv should be 0 to 10 mag, found {self.ebv}: correct it"
            )
            raise InputError(message)


def scale_flux(flux: Image, *, factor: float) -> Image:
    """Return the flux times a factor."""
    return flux * factor


def correct_muse_extinction(
    muse_narrow_flux: xr.DataArray,
    muse_continuum1_flux: xr.DataArray,
    muse_continuum2_flux: xr.DataArray | None = None,
    *,
    options: CorrectMuseExtinction | None = None,
) -> xr.Dataset:
    """Correct MUSE's synthetic bands for the Milky Way's extinction.

    Parameters
    ----------
    muse_narrow_flux, muse_continuum1_flux, muse_continuum2_flux
        Bands on one grid [1e-20 erg/s/cm²/Å per spaxel], with the attribute `pivot` [Å].
    options
        E(B-V), which must be given.

    Returns
    -------
    xr.Dataset
        `muse_narrow_corrected` and the like, in the same unit, NaN where the input is.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another, or E(B-V) is not given.
    """
    options = options or CorrectMuseExtinction()
    if options.ebv is None:
        message = (
            "correct_muse_extinction: ebv, the Milky Way's E(B-V) towards the galaxy [mag], is "
            "needed: set [options.correct_extinction] ebv"
        )
        raise InputError(message)
    bands = (muse_narrow_flux, muse_continuum1_flux, muse_continuum2_flux)
    named = zip(BANDS, bands, strict=True)
    images = {f"muse_{band}_flux": one for band, one in named if one is not None}
    require_products(**images)
    made = {}
    for source, image in images.items():
        name = source.replace("_flux", "_corrected")
        factor = find_extinction_factor(image.attrs["pivot"], options.ebv)
        flux = map_pixels(scale_flux, image, factor=factor)
        made[name] = label_product(flux, name, "correct_muse_extinction", **keep_curve(image))
    return xr.Dataset(made)
