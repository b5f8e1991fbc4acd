"""Take the H-alpha flux from MUSE's maps as they are: extension HA6562_FLUX of the MAPS file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.labels import label_product, require_products, require_units


@dataclass(frozen=True)
class ExtractMuse:
    """Options of `extract_muse`.

    Attributes
    ----------
    zeros
        What exact zeros are: "data" as the recipe of 2023 has it, or "missing", as the files mean
        them.
    """

    zeros: Literal["data", "missing"] = "data"

    def __post_init__(self) -> None:
        """Refuse another meaning."""
        if self.zeros not in ("data", "missing"):
            message = f"extract_muse: zeros should be data or missing, found {self.zeros!r}"
            raise InputError(message)


def keep_values(flux: NDArray[np.floating], *, zeros: bool) -> NDArray[np.floating]:
    """Return the values, infinities and, unless they are data, zeros made NaN."""
    known = np.isfinite(flux)
    return np.where(known if zeros else known & (flux != 0), flux, np.nan)


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
        What zeros are; the default if None.

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
    zeros = (options or ExtractMuse()).zeros == "data"
    flux = map_pixels(keep_values, muse, dtype=np.float32, zeros=zeros)
    return xr.Dataset({"musehalpha": label_product(flux, "musehalpha", "extract_muse")})
