"""Compare MUSE with HST at MUSE's resolution: their ratio and their difference.

    s = |0.1 percentile of halpha|,  ratio = muse / (smoothed + s),  difference = muse - smoothed.

The offset s keeps the denominator positive nearly everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import require_between
from phangs_xr.numerics.lazy import label_number, map_pixels, reduce_images
from phangs_xr.numerics.statistics import AskDistribution
from phangs_xr.numerics.value_counts import Numbers, Values
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.schema import FLUX

Image = NDArray[np.floating]


@dataclass(frozen=True)
class CompareImages:
    """Options of `compare_images`.

    Attributes
    ----------
    percentile
        Of `halpha`, whose absolute value is the offset [%].
    """

    percentile: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what is no percentile."""
        require_between("compare_images", self, percentile=(0, 100, "%"))


@dataclass(frozen=True)
class AskOffset:
    """Ask a distribution for the offset."""

    percentile: float

    def __call__(self, values: Values) -> Numbers:
        """Return `offset`, in the image's unit."""
        return {"offset": abs(values.find_quantile(self.percentile / 100))}


def reduce_to_offset(options: CompareImages, images: Collection[str] = ()) -> AskDistribution:
    """Return the reduction of `halpha` to the offset s."""
    # With moments, as `subtract_background` asks for them: halpha is then counted once.
    return AskDistribution(AskOffset(options.percentile), moments=True)


def divide_images(muse: Image, smoothed: Image, *, offset: float) -> Image:
    """Return muse / (smoothed + offset), NaN where the denominator is zero."""
    denominator = smoothed + offset
    ratio: Image = np.full_like(denominator, np.nan)
    np.divide(muse, denominator, out=ratio, where=denominator != 0)
    return ratio


def compare_images(
    halpha: xr.DataArray,
    halpha_smoothed: xr.DataArray,
    musehalpha_regrid: xr.DataArray,
    *,
    measured: Mapping[str, Any] | None = None,
    options: CompareImages | None = None,
) -> xr.Dataset:
    """Divide and subtract MUSE's map and the smoothed HST map.

    Parameters
    ----------
    halpha, halpha_smoothed, musehalpha_regrid
        Images on one grid [1e-20 erg/s/cm² per pixel].
    measured
        `offset`, when it is known; measured from all of `halpha` if None.
    options
        Which percentile makes the offset; the default if None.

    Returns
    -------
    xr.Dataset
        `hstmuseratio` (no unit) and `hstmusediff` [1e-20 erg/s/cm² per pixel], NaN where either
        image is; and the number `offset`.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    options = options or CompareImages()
    images = {
        "halpha": halpha,
        "halpha_smoothed": halpha_smoothed,
        "musehalpha_regrid": musehalpha_regrid,
    }
    require_products(**images)
    if measured is None:
        measured = reduce_images(reduce_to_offset(options), halpha)
    offset = label_number(measured["offset"], "offset", FLUX)
    ratio = map_pixels(divide_images, musehalpha_regrid, halpha_smoothed, offset=offset)
    difference = map_pixels(np.subtract, musehalpha_regrid, halpha_smoothed)
    return xr.Dataset(
        {
            "hstmuseratio": label_product(ratio, "hstmuseratio", "compare_images"),
            "hstmusediff": label_product(difference, "hstmusediff", "compare_images"),
            "offset": offset,
        }
    )
