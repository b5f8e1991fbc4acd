"""Take MUSE's synthetic bands: flux densities, f_λ = f_ν c / λ_pivot², zeros and NaN missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.choose_curve import describe_curve, name_curve
from phangs_xr.photometry.curves import ANGSTROM_PER_KM, LIGHT_SPEED
from phangs_xr.photometry.labels import label_product
from phangs_xr.photometry.units import JANSKY_CGS
from phangs_xr.schema import BANDS, FLUX_SCALE, JANSKY
from phangs_xr.sky import require_one_grid

Image = NDArray[np.floating]


@dataclass(frozen=True)
class LoadMuseBands:
    """Options of `load_muse_bands`: there are none."""


def scale_known(flux: Image, *, factor: float) -> Image:
    """Return the flux times a factor, zeros and what is not finite NaN."""
    return np.where((flux != 0) & np.isfinite(flux), flux * factor, np.nan)


def require_janskys(image: xr.DataArray, name: str) -> None:
    """Refuse an image that is not in Jy.

    Raises
    ------
    InputError
        If its unit is another.
    """
    found = image.attrs.get("units")
    if found != JANSKY:
        message = (
            f"{name} should have units 'Jy', found {found!r} in "
            f"{image.attrs.get('source', 'its attributes')}: if the pixels are such, say so in the "
            f'configuration: [inputs] {name} = {{ path = "...", units = "Jy" }}'
        )
        raise InputError(message)


def check_inputs(options: LoadMuseBands, images: Mapping[str, xr.DataArray]) -> Iterator[str]:
    """Refuse bands in other units, or of an unknown filter; say so where names differ."""
    for band in BANDS:
        name = f"muse_{band}"
        if name not in images or band not in images:
            continue
        require_janskys(images[name], name)
        expected = describe_curve(images[band], band)["curve"]
        found = name_curve(images[name])
        if found and found.split("_")[-1] != str(expected).split("_")[-1]:
            yield f"{name} is of {found} by its name, {band} of {expected}: taken as the latter"


def load_muse_bands(
    muse_narrow: xr.DataArray,
    muse_continuum1: xr.DataArray,
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    muse_continuum2: xr.DataArray | None = None,
    continuum2: xr.DataArray | None = None,
    *,
    options: LoadMuseBands | None = None,
) -> xr.Dataset:
    """Turn MUSE's synthetic bands into flux densities per wavelength.

    Parameters
    ----------
    muse_narrow, muse_continuum1, muse_continuum2
        What MUSE's spectra give in HST's bands, on one grid [Jy per spaxel]; zero and NaN are
        missing.
    narrow, continuum1, continuum2
        HST's bands, which tell the filters; their pixels are not read.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `muse_narrow_flux`, `muse_continuum1_flux` and, if given, `muse_continuum2_flux`
        [1e-20 erg/s/cm²/Å per spaxel], with the attributes of `calibrate_bands`.

    Raises
    ------
    GridError
        If MUSE's bands are not on one grid.
    InputError
        If a unit is another, or a filter is not known.
    """
    bands = dict(zip(BANDS, (narrow, continuum1, continuum2), strict=True))
    synthetic = dict(zip(BANDS, (muse_narrow, muse_continuum1, muse_continuum2), strict=True))
    given = {band: one for band, one in synthetic.items() if one is not None}
    require_one_grid(**{f"muse_{band}": image for band, image in given.items()})
    loaded = {}
    for band, image in given.items():
        hst = bands[band]
        if hst is None:
            continue
        require_janskys(image, f"muse_{band}")
        attrs = describe_curve(hst, band)
        factor = JANSKY_CGS * LIGHT_SPEED * ANGSTROM_PER_KM / attrs["pivot"] ** 2 * FLUX_SCALE
        name = f"muse_{band}_flux"
        flux = map_pixels(scale_known, image, dtype=np.float32, factor=factor)
        loaded[name] = label_product(flux, name, "load_muse_bands", **attrs)
    return xr.Dataset(loaded)
