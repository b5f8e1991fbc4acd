"""Anchor the HST map to MUSE's calibration, by the ratio and by the difference.

    anchored = (halpha + s) · ratio,    diff_anchored = halpha + difference,

with the offset s, ratio and difference of `compare_images`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.labels import label_product, require_products

Image = NDArray[np.floating]


@dataclass(frozen=True)
class AnchorHalpha:
    """Options of `anchor_halpha`: there are none."""


def scale_by_ratio(halpha: Image, ratio: Image, *, offset: float) -> Image:
    """Return (halpha + offset) · ratio."""
    return (halpha + offset) * ratio


def anchor_halpha(
    halpha: xr.DataArray,
    hstmuseratio: xr.DataArray,
    hstmusediff: xr.DataArray,
    offset: xr.DataArray | float,
    *,
    options: AnchorHalpha | None = None,
) -> xr.Dataset:
    """Anchor the HST H-alpha map to MUSE.

    Parameters
    ----------
    halpha, hstmusediff
        [1e-20 erg/s/cm² per pixel].
    hstmuseratio
        No unit.
    offset
        The one the ratio was made with [1e-20 erg/s/cm² per pixel].
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `anchored`, `diff_anchored` [1e-20 erg/s/cm² per pixel], NaN where HST or MUSE is.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    images = {"halpha": halpha, "hstmuseratio": hstmuseratio, "hstmusediff": hstmusediff}
    require_products(**images)
    anchored = map_pixels(scale_by_ratio, halpha, hstmuseratio, offset=offset)
    shifted = map_pixels(np.add, halpha, hstmusediff)
    return xr.Dataset(
        {
            "anchored": label_product(anchored, "anchored", "anchor_halpha"),
            "diff_anchored": label_product(shifted, "diff_anchored", "anchor_halpha"),
        }
    )
