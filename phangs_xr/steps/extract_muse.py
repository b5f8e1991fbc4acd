"""Take the H-alpha flux from MUSE's maps as they are: extension HA6562_FLUX of the MAPS file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.labels import label_product, require_products, require_units


@dataclass(frozen=True)
class ExtractMuse:
    """Options of `extract_muse`: there are none."""


def keep_values(flux: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the values, infinities made NaN; the caller's dtype makes them float32."""
    return np.where(np.isfinite(flux), flux, np.nan)


def check_inputs(options: ExtractMuse, images: Mapping[str, xr.DataArray]) -> Iterable[str]:
    """Refuse a map in another unit; there is no remark."""
    if "muse" in images:
        require_units(images["muse"], "musehalpha", "muse")
    return ()


def extract_muse(muse: xr.DataArray, *, options: ExtractMuse | None = None) -> xr.Dataset:
    """Take MUSE's H-alpha map.

    Parameters
    ----------
    muse
        Extension HA6562_FLUX of a MAPS file, opened with the FITS engine
        [1e-20 erg/s/cm² per spaxel].
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `musehalpha`, float32, in the same unit, on MUSE's grid; NaN where MUSE has no data.

    Raises
    ------
    InputError
        If the unit is another.
    """
    require_products(musehalpha=muse)
    flux = map_pixels(keep_values, muse, dtype=np.float32)
    return xr.Dataset({"musehalpha": label_product(flux, "musehalpha", "extract_muse")})
