"""Find where all bands have data: holes are closed, the ragged edge is kept.

Pixels finite in all bands, closed by a square (10 × 10, 5 times, as published), where all beyond
the bounding box of the narrow band's data counts as covered; nothing outside that box.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import require_between
from phangs_xr.numerics.lazy import label_number, map_halo, reduce_images
from phangs_xr.numerics.reductions import Block
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.sky import Grid, require_one_grid

Image = NDArray[np.floating]
Box = tuple[float, float, float, float]

NOWHERE: Box = (np.inf, -np.inf, np.inf, -np.inf)


@dataclass(frozen=True)
class FindFootprint:
    """Options of `find_footprint`.

    Attributes
    ----------
    side
        Of the square that closes holes [pixel].
    iterations
        How often it does.
    """

    side: int = 10
    iterations: int = 5

    def __post_init__(self) -> None:
        """Refuse squares that are none."""
        require_between("find_footprint", self, side=(1, 1000, "pixel"), iterations=(1, 100, "1"))

    @property
    def reach(self) -> int:
        """Side of the one square that does what all iterations do [pixel]."""
        return self.iterations * (self.side - 1) + 1


def find_data(narrow: Image) -> NDArray[np.bool_]:
    """Tell where a band has data: zeros are padding."""
    data: NDArray[np.bool_] = np.isfinite(narrow) & (narrow != 0)
    return data


def close_footprint(
    narrow: Image, *others: Image, origin: tuple[int, int], box: Box, side: int
) -> Image:
    """Return 1 in the footprint, 0 elsewhere; the edge of the window is that of the image.

    Parameters
    ----------
    narrow, *others
        2-D; NaN and, in the narrow band, 0 are missing.
    origin
        Absolute row and column of their first pixel.
    box
        First and last row, first and last column of the narrow band's data, absolute.
    side
        Of the square that closes [pixel].
    """
    rows = np.arange(narrow.shape[0])[:, None] + origin[0]
    columns = np.arange(narrow.shape[1]) + origin[1]
    inside = (rows >= box[0]) & (rows <= box[1]) & (columns >= box[2]) & (columns <= box[3])
    covered = np.logical_and.reduce([find_data(narrow), *(np.isfinite(one) for one in others)])
    grown = np.pad(covered | ~inside, side, constant_values=True).view(np.uint8)
    # A square of even side has no middle: what growing shifts, shrinking shifts back.
    for axis in (0, 1):
        grown = scipy.ndimage.maximum_filter1d(grown, side, axis=axis)
    for axis in (0, 1):
        grown = scipy.ndimage.minimum_filter1d(grown, side, axis=axis, origin=-1 + side % 2)
    closed = grown[side:-side, side:-side].astype(bool) & inside
    return closed.astype(np.float32)


@dataclass(frozen=True)
class ReduceToBox:
    """Reduce the narrow band to the bounding box of its data, in absolute rows and columns."""

    depth: int = 0
    cell: int = 1
    passes: int = 1

    def start(self) -> None:
        """Begin with nothing."""

    def look(self, state: None, block: Block) -> Box:
        """Return the box of a block's data."""
        data = find_data(block.owned[0])
        if not data.any():
            return NOWHERE
        ends = []
        for axis, (offset, first) in enumerate(zip(block.offset, block.origin, strict=True)):
            places = np.flatnonzero(data.any(axis=1 - axis)) + offset + first
            ends += [float(places[0]), float(places[-1])]
        return ends[0], ends[1], ends[2], ends[3]

    def merge(self, one: Box, other: Box) -> Box:
        """Return the box around two."""
        low, high = np.minimum(one, other), np.maximum(one, other)
        return float(low[0]), float(high[1]), float(low[2]), float(high[3])

    def advance(self, state: None, merged: Box) -> Box:
        """Take the box of all blocks."""
        return merged

    def is_done(self, state: Box | None) -> bool:
        """Tell whether the box is known."""
        return state is not None

    def finish(self, state: Box) -> dict[str, Any]:
        """Return `data_box`."""
        return {"data_box": np.array(state)}


def reduce_to_box(options: FindFootprint, images: Collection[str] = ()) -> ReduceToBox:
    """Return the reduction of the narrow band to the bounding box of its data."""
    return ReduceToBox()


def find_halo(options: FindFootprint, grid: Grid) -> int:
    """Return how far the closing looks [pixel]."""
    return options.reach


def find_footprint(
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    continuum2: xr.DataArray | None = None,
    *,
    measured: Mapping[str, Any] | None = None,
    options: FindFootprint | None = None,
) -> xr.Dataset:
    """Find where all bands have data.

    Parameters
    ----------
    narrow
        As opened, or loaded: zeros and NaN are no data.
    continuum1, continuum2
        On the narrow band's grid [electron / s]; NaN is no data.
    measured
        The number of `reduce_to_box`, when known; measured from the whole image if None.
    options
        How holes are closed; the default if None.

    Returns
    -------
    xr.Dataset
        `footprint`, 1 inside and 0 outside, no NaN; and the numbers `data_box` (first and last row,
        first and last column with narrow-band data, absolute).

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    options = options or FindFootprint()
    bands = {"continuum1": continuum1}
    if continuum2 is not None:
        bands["continuum2"] = continuum2
    require_products(narrow=narrow, **bands)
    require_one_grid(narrow=narrow, **bands)
    if measured is None:
        measured = reduce_images(ReduceToBox(), narrow)
    footprint = map_halo(
        close_footprint,
        narrow,
        *bands.values(),
        depth=options.reach,
        dtype=np.float32,
        box=measured["data_box"],
        side=options.reach,
    )
    box = label_number(measured["data_box"], "data_box", "pix", ("edge4",), (4,))
    name = "footprint"
    return xr.Dataset({name: label_product(footprint, name, "find_footprint"), "data_box": box})
