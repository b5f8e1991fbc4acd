"""Take from MUSE's maps what else they hold: errors, velocities and other lines.

Without a map of Hα's errors they are one number, measured from how spaxels differ from those around
them where there is sky.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels, reduce_images
from phangs_xr.numerics.pixel_noise import MeasurePixelNoise
from phangs_xr.photometry.labels import label_product, require_units
from phangs_xr.sky import require_one_grid

Image = NDArray[np.floating]

PRODUCTS_OF = {
    "muse_halpha_err": "musehalpha_err",
    "muse_velocity": "line_velocity",
    "muse_velocity_err": "line_velocity_err",
    "muse_nii": "nii_flux",
    "muse_hbeta": "hbeta_flux",
    "muse_oiii": "oiii_flux",
}
"""What each extension becomes."""


@dataclass(frozen=True)
class ExtractLines:
    """Options of `extract_lines`: there are none."""


def keep_known(image: Image) -> Image:
    """Return the values, exact zeros and what is not finite NaN."""
    return np.where(np.isfinite(image) & (image != 0), image, np.nan)


def spread_noise(halpha: Image, *, noise: float) -> Image:
    """Return one error where there is Hα."""
    return np.where(np.isfinite(halpha) & (halpha != 0), noise, np.nan)


@dataclass(frozen=True)
class _NameNoise(MeasurePixelNoise):
    """The noise of MUSE's map, under its name."""

    def finish(self, state: Any) -> dict[str, float]:  # type: ignore[override]  # by its name
        """Return `muse_noise`."""
        return {"muse_noise": super().finish(state)}


def reduce_to_noise(options: ExtractLines, images: Collection[str] = ()) -> _NameNoise:
    """Return the reduction of Hα to the noise of a spaxel."""
    return _NameNoise(weighted=False)


def needs_measuring(options: ExtractLines, given: Collection[str]) -> bool:
    """Tell whether the noise must be measured: MUSE's maps have no errors."""
    return "muse_halpha_err" not in given


def extract_lines(
    muse: xr.DataArray,
    muse_halpha_err: xr.DataArray | None = None,
    muse_velocity: xr.DataArray | None = None,
    muse_velocity_err: xr.DataArray | None = None,
    muse_nii: xr.DataArray | None = None,
    muse_hbeta: xr.DataArray | None = None,
    muse_oiii: xr.DataArray | None = None,
    *,
    measured: Mapping[str, Any] | None = None,
    options: ExtractLines | None = None,
) -> xr.Dataset:
    """Take errors, velocities and other lines from MUSE's maps.

    Parameters
    ----------
    muse
        Extension HA6562_FLUX [1e-20 erg/s/cm² per spaxel].
    muse_halpha_err, muse_nii, muse_hbeta, muse_oiii
        Extensions HA6562_FLUX_ERR, NII6583_FLUX, HB4861_FLUX and OIII5006_FLUX
        [1e-20 erg/s/cm² per spaxel].
    muse_velocity, muse_velocity_err
        Extensions HA6562_VEL and HA6562_VEL_ERR, relative to REDSHIFT [km/s].
    measured
        The number of `reduce_to_noise`, when known; measured if None and needed.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `musehalpha_err` and, as far as given, `nii_flux`, `hbeta_flux`, `oiii_flux`
        [1e-20 erg/s/cm² per spaxel], `line_velocity`, `line_velocity_err` [km/s]; float32, NaN
        where MUSE has no data.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    given = (
        muse_halpha_err,
        muse_velocity,
        muse_velocity_err,
        muse_nii,
        muse_hbeta,
        muse_oiii,
    )
    images = {name: one for name, one in zip(PRODUCTS_OF, given, strict=True) if one is not None}
    require_one_grid(muse=muse, **images)
    require_units(muse, "musehalpha", "muse")
    made = {}
    if muse_halpha_err is None:
        if measured is None:
            measured = reduce_images(reduce_to_noise(options or ExtractLines()), muse)
        error = map_pixels(spread_noise, muse, dtype=np.float32, noise=measured["muse_noise"])
        made["musehalpha_err"] = label_product(error, "musehalpha_err", "extract_lines")
    for source, image in images.items():
        name = PRODUCTS_OF[source]
        require_units(image, name, "muse")
        known = map_pixels(keep_known, image, dtype=np.float32)
        made[name] = label_product(known, name, "extract_lines")
    return xr.Dataset(made)
