"""Take the nebula and star masks as they come, on MUSE's grid, for the comparison of the maps.

A nebula mask holds the region_ID of each pixel; -1 and NaN are outside, 0 is a nebula like any
other. In a mask that has neither, as photutils and CARTA write them, 0 is outside. A mask on
another grid than MUSE's map is sampled at its pixel centres.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import label_number, map_pixels, map_tiles, reduce_images
from phangs_xr.numerics.reductions import Block
from phangs_xr.numerics.resampling import PAD, resample_window
from phangs_xr.photometry.labels import label_product
from phangs_xr.sky import get_grid, is_one_grid


@dataclass(frozen=True)
class LoadNebulae:
    """Options of `load_nebulae`: there are none."""


@dataclass(frozen=True)
class ReduceToOutside:
    """Find in one pass whether 0 is outside nebulae: whether nothing else is."""

    depth: int = 0
    cell: int = 1
    passes: int = 1

    def start(self) -> bool | None:
        """Return that nothing is known."""
        return None

    def look(self, state: bool | None, block: Block) -> bool:
        """Tell whether some owned pixel is marked as outside, by a negative number or NaN."""
        (mask,) = block.owned
        return not bool(np.all(mask >= 0))

    def merge(self, one: bool, other: bool) -> bool:
        """Tell whether one of two parts has such a pixel."""
        return one or other

    def advance(self, state: bool | None, merged: bool) -> bool:
        """Return what was found."""
        return merged

    def is_done(self, state: bool | None) -> bool:
        """Tell whether the pass is over."""
        return state is not None

    def finish(self, state: bool | None) -> dict[str, float]:
        """Return `zero_is_outside`, 1 or 0."""
        return {"zero_is_outside": float(not state)}


def reduce_to_outside(options: LoadNebulae, images: Collection[str] = ()) -> ReduceToOutside:
    """Return the reduction of the nebula mask to whether 0 is outside."""
    return ReduceToOutside()


def judge_mask(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Say so where 0 was taken for outside."""
    if numbers["zero_is_outside"]:
        yield "the nebula mask has neither -1 nor NaN: 0 is taken for outside, not for a nebula"


def mark_outside(mask: NDArray[np.generic], *, zero_is_outside: float) -> NDArray[np.float32]:
    """Return region_ID as float32, with negative ones, and perhaps 0, made NaN."""
    values = mask.astype(np.float32)
    return np.where(
        (values < 0) | ((values == 0) & (zero_is_outside > 0)), np.float32(np.nan), values
    )


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
    measured: Mapping[str, Any] | None = None,
    options: LoadNebulae | None = None,
) -> xr.Dataset:
    """Bring the masks onto MUSE's grid.

    Parameters
    ----------
    nebula_mask
        region_ID per pixel, any number type; negative or NaN outside nebulae, or 0 where no pixel
        is either.
    star_mask
        Non-zero on foreground stars.
    musehalpha
        An image on MUSE's grid; its pixels are not read. The first mask's own grid if None.
    measured
        `zero_is_outside`, when it is known; looked up in the whole nebula mask if None.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `nebula_mask` (NaN outside nebulae) and `star_mask`, float32, as far as given; with a nebula
        mask the number `zero_is_outside`.

    Raises
    ------
    GridError
        If an image has no WCS.
    """
    masks = {"nebula_mask": nebula_mask, "star_mask": star_mask}
    given = {name: mask for name, mask in masks.items() if mask is not None}
    like = musehalpha if musehalpha is not None else next(iter(given.values()), None)
    if like is None:
        return xr.Dataset()
    loaded = {name: sample_mask(mask, like) for name, mask in given.items()}
    numbers = {}
    if nebula_mask is not None:
        if measured is None:
            measured = reduce_images(reduce_to_outside(options or LoadNebulae()), nebula_mask)
        known = label_number(measured["zero_is_outside"], "zero_is_outside", "")
        loaded["nebula_mask"] = map_pixels(
            mark_outside, loaded["nebula_mask"], zero_is_outside=known
        )
        numbers["zero_is_outside"] = known
    images = {name: label_product(mask, name, "load_nebulae") for name, mask in loaded.items()}
    return xr.Dataset({**images, **numbers})
