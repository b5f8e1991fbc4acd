"""Sums over nebulae: how a mask on MUSE's grid meets chunks of images on HST's.

A pixel belongs to the nebula of the mask's pixel that its centre falls on. Sums are kept apart by
cells of 100 pixels a side and added exactly, so that no chunking changes their bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product
from math import fsum
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from phangs_xr.io.tables import as_region_id
from phangs_xr.numerics.reductions import Block
from phangs_xr.sky import Grid, PixelMap, map_pixels_between

CELL = 100
"""Side of the cells by which sums are kept apart [HST pixel]."""

STRIP = 5 * CELL
"""Rows of a chunk to bring the mask onto at a time: positions take 16 bytes a pixel."""

Labels = NDArray[np.int32]


def number_nebulae(mask: NDArray[Any]) -> tuple[NDArray[Any], Labels]:
    """Return the IDs of a mask in rising order, and each pixel's place among them, -1 outside.

    The mask holds a region_ID per pixel, of any number type; negative or NaN outside nebulae. 0 is
    a nebula. The IDs are int64 if all are whole numbers.
    """
    inside = np.isfinite(mask) & (mask >= 0)
    ids, places = np.unique(mask[inside], return_inverse=True)
    labels = np.full(mask.shape, -1, dtype=np.int32)
    labels[inside] = places
    return as_region_id(ids), labels


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Which nebula each place on the sky belongs to.

    Attributes
    ----------
    labels
        Place of each pixel's nebula, -1 outside, with one more pixel of -1 on every side.
    grid
        Where the pixels lie, without the added ones.
    size
        How many nebulae there are.
    """

    labels: Labels
    grid: Grid
    size: int

    @classmethod
    def build(cls, labels: Labels, grid: Grid, size: int) -> LabelMap:
        """Make a map of labels without the added border."""
        return cls(np.pad(labels, 1, constant_values=-1), grid, size)

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """How many pixels of nebulae there are before each row and each column."""
        return np.pad((self.labels >= 0).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))

    def sample(self, target: Grid) -> Labels | None:
        """Return the labels at the pixel centres of a grid, None if no nebula is near."""
        mapped = PixelMap.build(target, self.grid)
        near = self._find_near(mapped)
        if not near.any():
            return None
        labels = np.full(target.shape, -1, dtype=np.int32)
        above, left = mapped.rows[0], mapped.cols[0]
        height, width = self.labels.shape
        # Between the same nodes, and only where there may be a nebula: positions stay in the cache.
        for start, stop in pairwise([0, *(np.flatnonzero(np.diff(above)) + 1), len(above)]):
            columns = np.flatnonzero(near[above[start], left])
            if columns.size:
                y, x = mapped.place(slice(start, stop), columns)
                places = self._index(y, height) * width + self._index(x, width)
                labels[start:stop, columns] = self.labels.ravel().take(places)
        return labels

    def _find_near(self, mapped: PixelMap) -> NDArray[np.bool_]:
        """Tell between which nodes there may be a nebula: they enclose all that lies between."""
        spans = []
        nodes_by_axis = (mapped.node_rows, mapped.node_cols)
        for nodes, length in zip(nodes_by_axis, self.labels.shape, strict=True):
            corners = sliding_window_view(self._index(nodes, length), (2, 2))
            # One pixel more on either side, for what rounding does in between.
            first, last = corners.min(axis=(2, 3)) - 1, corners.max(axis=(2, 3)) + 2
            spans.append((np.maximum(first, 0), np.minimum(last, length)))
        (top, bottom), (left, right) = spans
        above, below = (
            self._counts[rows, right] - self._counts[rows, left] for rows in (top, bottom)
        )
        near: NDArray[np.bool_] = below > above
        return near

    @staticmethod
    def _index(positions: NDArray[np.float64], length: int) -> NDArray[np.intp]:
        """Return the pixels that positions lie in, those beyond and NaN in the border."""
        positions = positions + 1.5
        np.fmin(positions, length - 1, out=positions)
        np.fmax(positions, 0, out=positions)
        return positions.astype(np.intp)


def sum_cells(
    labels: Labels, images: Sequence[NDArray[np.floating]], size: int
) -> NDArray[np.void]:
    """Sum images over each nebula in each cell that it has pixels in, one row of `make_rows` each.

    The first pixel of `labels` is the first of a cell; `size` is the number of nebulae.
    """
    inside = np.flatnonzero(labels >= 0)
    rows, columns = np.divmod(inside, labels.shape[1])
    nebula = labels.ravel()[inside]
    present = np.flatnonzero(np.bincount(nebula, minlength=size))
    place = np.empty(size, dtype=np.int64)
    place[present] = np.arange(present.size)
    height, width = (-(-length // CELL) for length in labels.shape)
    key = ((rows // CELL) * width + columns // CELL) * present.size + place[nebula]
    length = height * width * present.size
    pixels = np.bincount(key, minlength=length)
    kept = np.flatnonzero(pixels)
    found = make_rows(len(images), kept.size)
    found["label"] = present[kept % max(present.size, 1)]
    found["pixels"] = pixels[kept]
    for index, image in enumerate(images):
        values = image.ravel()[inside]
        covered = np.isfinite(values)
        own, number = key, pixels
        if not covered.all():
            own, values = key[covered], values[covered]
            number = np.bincount(own, minlength=length)
        found["counts"][:, index] = number[kept]
        found["sums"][:, index] = np.bincount(own, weights=values, minlength=length)[kept]
    return found


def make_rows(images: int, rows: int = 0) -> NDArray[np.void]:
    """Make rows for pairs of a nebula and a cell, to be filled.

    Each has the nebula's place, its pixels there, and of each image those with data and their sum.
    """
    numbers, sums = ("counts", int, (images,)), ("sums", float, (images,))
    return np.empty(rows, dtype=[("label", int), ("pixels", int), numbers, sums])


@dataclass(frozen=True, eq=False)
class SumNebulae:
    """Reduce images on one grid to their sums over each nebula, in one pass.

    Each chunk brings the mask onto its own pixels, so neither a mask on the HST grid nor a mask
    per nebula is ever made.

    Attributes
    ----------
    nebulae
        The nebulae, on the mask's grid.
    grid
        The images' grid.
    images
        How many images there are.
    squared
        Places of those whose squares are summed, as of errors.
    """

    nebulae: LabelMap
    grid: Grid
    images: int
    squared: tuple[int, ...] = ()
    depth: int = 0
    cell: int = CELL
    passes: int = 1

    def start(self) -> None:
        """Begin with nothing summed."""

    def look(self, state: NDArray[np.void] | None, block: Block) -> NDArray[np.void]:
        """Sum one chunk, strip by strip."""
        height, width = block.owned[0].shape
        row, column = block.offset
        parts = [make_rows(self.images)]
        for start in range(0, height, STRIP):
            stop = min(start + STRIP, height)
            ys = slice(row + start, row + stop)
            labels = self.nebulae.sample(self.grid.window(ys, slice(column, column + width)))
            if labels is not None:
                strips = [
                    np.square(array[start:stop]) if place in self.squared else array[start:stop]
                    for place, array in enumerate(block.owned)
                ]
                parts.append(sum_cells(labels, strips, self.nebulae.size))
        return np.concatenate(parts)

    def merge(self, one: NDArray[np.void], other: NDArray[np.void]) -> NDArray[np.void]:
        """Keep both."""
        return np.concatenate([one, other])

    def advance(self, state: NDArray[np.void] | None, merged: NDArray[np.void]) -> NDArray[np.void]:
        """Be done."""
        return merged

    def is_done(self, state: NDArray[np.void] | None) -> bool:
        """Tell whether the one pass has been made."""
        return state is not None

    def finish(self, state: NDArray[np.void]) -> dict[str, NDArray[Any]]:
        """Add the cells of each nebula.

        Returns
        -------
        dict
            `sums` and `counts` of shape (nebulae, images), sums NaN where nothing is counted, and
            `pixels` of shape (nebulae,).
        """
        size = self.nebulae.size
        rows = state[np.argsort(state["label"], kind="stable")]
        edges = np.searchsorted(rows["label"], np.arange(size + 1))
        sums, counts = np.full((size, self.images), np.nan), np.zeros((size, self.images), int)
        pixels = np.zeros(size, int)
        for nebula, (start, stop) in enumerate(pairwise(edges)):
            own = rows[start:stop]
            counts[nebula], pixels[nebula] = own["counts"].sum(axis=0), own["pixels"].sum()
            for image in np.flatnonzero(counts[nebula]):
                sums[nebula, image] = fsum(own["sums"][:, image])
        return {"sums": sums, "counts": counts, "pixels": pixels}


def count_beyond(nebulae: LabelMap, grid: Grid) -> NDArray[np.int64]:
    """Count the pixels that each nebula would have beyond the edges of a grid, 0 for those inside.

    The grid's rows and columns are continued as far as there are nebulae, so that the whole of a
    nebula has a number of pixels even where it sticks out of the mosaic.
    """
    beyond = np.zeros(nebulae.size, dtype=np.int64)
    rows, columns = np.nonzero(nebulae.labels[1:-1, 1:-1] >= 0)
    if not rows.size:
        return beyond
    extent = nebulae.grid.window(
        slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    )
    # A pixel of the mask reaches half its diagonal beyond its centre, in HST pixels.
    reach = 1 + np.sqrt(nebulae.grid.pixel_area / grid.pixel_area)
    cuts = [
        _cut(int(np.nanmin(position) - reach), int(np.nanmax(position) + reach) + 1, length)
        for position, length in zip(map_pixels_between(extent, grid), grid.shape, strict=True)
    ]
    for (y, below), (x, right) in product(*cuts):
        if 0 <= y < grid.shape[0] and 0 <= x < grid.shape[1]:
            continue
        y0, x0 = grid.y0 + y * grid.dy, grid.x0 + x * grid.dx
        labels = nebulae.sample(replace(grid, y0=y0, x0=x0, shape=(below - y, right - x)))
        if labels is not None:
            beyond += np.bincount(labels[labels >= 0], minlength=nebulae.size)
    return beyond


def _cut(first: int, last: int, length: int) -> Iterator[tuple[int, int]]:
    """Cut rows or columns before, in and after an image into pieces of at most a strip."""
    for start, stop in pairwise([min(first, 0), 0, length, max(last, length)]):
        yield from pairwise([*range(start, stop, STRIP), stop])
