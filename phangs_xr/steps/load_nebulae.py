"""Take the nebula and star masks as they come, on MUSE's grid, for the comparison of the maps.

A nebula mask holds the region_ID of each pixel; -1 and NaN are outside, 0 is a nebula like any
other. A mask on another grid than MUSE's map is sampled at its pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels, map_tiles
from phangs_xr.numerics.resampling import PAD, resample_window
from phangs_xr.photometry.labels import label_product
from phangs_xr.sky import get_grid, is_one_grid


@dataclass(frozen=True)
class LoadNebulae:
    """Options of `load_nebulae`: there are none."""


def mark_outside(mask: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return region_ID as float32, with negative ones made NaN."""
    values = mask.astype(np.float32)
    return np.where(values < 0, np.float32(np.nan), values)


def sample_mask(mask: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Return a mask, float32, on the grid of another image, by its nearest pixels."""
    values = mask.astype(np.float32)
    if is_one_grid(get_grid(mask), get_grid(like)):
        return values.assign_coords(like.coords)
    return map_tiles(resample_window, values, like, pad=PAD, order="nearest-neighbor", factor=1.0)


def load_nebulae(
    nebula_mask: xr.DataArray | None = None,
    star_mask: xr.DataArray | None = None,
    musehalpha: xr.DataArray | None = None,
    *,
    options: LoadNebulae | None = None,
) -> xr.Dataset:
    """Bring the masks onto MUSE's grid.

    Parameters
    ----------
    nebula_mask
        region_ID per pixel, any number type; negative or NaN outside nebulae.
    star_mask
        Non-zero on foreground stars.
    musehalpha
        An image on MUSE's grid; its pixels are not read. The first mask's own grid if None.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `nebula_mask` (NaN outside nebulae) and `star_mask`, float32, as far as given.

    Raises
    ------
    GridError
        If an image has no WCS.
    """
    masks = {"nebula_mask": nebula_mask, "star_mask": star_mask}
    given = {name: mask for name, mask in masks.items() if mask is not None}
    like = musehalpha if musehalpha is not None else next(iter(given.values()), None)
    loaded = {}
    for name, mask in given.items():
        if like is not None:
            sampled = sample_mask(mask, like)
            if name == "nebula_mask":
                sampled = map_pixels(mark_outside, sampled)
            loaded[name] = label_product(sampled, name, "load_nebulae")
    return xr.Dataset(loaded)
