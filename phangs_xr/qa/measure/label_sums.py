"""Sums over nebulae: how a mask on MUSE's grid meets chunks of images on HST's.

A pixel belongs to the nebula of the mask's pixel that its centre falls on. Sums are kept apart by
cells of 100 pixels a side and added exactly, so that no chunking changes their bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import fsum
from typing import Any

import numpy as np
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
    """Give the nebulae of a mask numbers in the order of their IDs.

    Parameters
    ----------
    mask
        region_ID per pixel, of any number type; negative or NaN outside nebulae. 0 is a nebula.

    Returns
    -------
    tuple of ndarray
        The IDs in rising order (int64 if all are whole numbers), and for each pixel the place of
        its ID among them, -1 outside.
    """
    inside = np.isfinite(mask) & (mask >= 0)
    ids, places = np.unique(mask[inside], return_inverse=True)
    labels = np.full(mask.shape, -1, dtype=np.int32)
    labels[inside] = places
    return as_region_id(ids), labels


def sum_nebulae(
    labels: Labels, image: NDArray[Any], size: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum an image over each nebula, on the mask's own grid.

    Parameters
    ----------
    labels
        Place of each pixel's nebula, -1 outside.
    image
        Of the same shape; NaN where there is no data.
    size
        How many nebulae there are.

    Returns
    -------
    tuple of ndarray
        Per nebula the sum over its pixels with data (NaN if it has none), and their number.
    """
    covered = (labels >= 0) & np.isfinite(image)
    counts = np.bincount(labels[covered], minlength=size)
    sums = np.bincount(labels[covered], weights=image[covered], minlength=size)
    return np.where(counts > 0, sums, np.nan), counts


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
        counts = np.zeros((self.labels.shape[0] + 1, self.labels.shape[1] + 1), dtype=np.int64)
        counts[1:, 1:] = (self.labels >= 0).cumsum(axis=0).cumsum(axis=1)
        return counts

    def sample(self, target: Grid) -> Labels | None:
        """Return the labels at the pixel centres of a grid, None if no nebula is near."""
        mapped = PixelMap.build(target, self.grid)
        near = self._find_near(mapped)
        if not near.any():
            return None
        labels = np.full(target.shape, -1, dtype=np.int32)
        above, left = mapped.rows[0], mapped.cols[0]
        edges = [0, *(np.flatnonzero(np.diff(above)) + 1), len(above)]
        # Between the same nodes, and only where there may be a nebula: positions stay in the cache.
        for start, stop in pairwise(edges):
            columns = np.flatnonzero(near[above[start], left])
            if columns.size:
                rows = slice(start, stop)
                labels[rows, columns] = self._look_up(*mapped.place(rows, columns))
        return labels

    def _find_near(self, mapped: PixelMap) -> NDArray[np.bool_]:
        """Tell between which nodes there may be a nebula: they enclose all that lies between."""
        spans = []
        for nodes, length in zip(
            (mapped.node_rows, mapped.node_cols), self.labels.shape, strict=True
        ):
            places = self._index(nodes, length)
            corners = np.stack([places[:-1, :-1], places[:-1, 1:], places[1:, :-1], places[1:, 1:]])
            # One pixel more on either side, for what rounding does in between.
            first = np.maximum(corners.min(axis=0) - 1, 0)
            spans.append((first, np.minimum(corners.max(axis=0) + 2, length)))
        (top, bottom), (left, right) = spans
        counts = self._counts
        above, below = (counts[rows, right] - counts[rows, left] for rows in (top, bottom))
        near: NDArray[np.bool_] = below > above
        return near

    def _look_up(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Labels:
        """Return the labels at positions counted from the mask's first pixel."""
        height, width = self.labels.shape
        places = self._index(rows, height) * width + self._index(columns, width)
        found: Labels = self.labels.ravel().take(places)
        return found

    @staticmethod
    def _index(positions: NDArray[np.float64], length: int) -> NDArray[np.intp]:
        """Return the pixels that positions lie in, those beyond and NaN in the border."""
        positions = positions + 1.5
        np.fmin(positions, length - 1, out=positions)
        np.fmax(positions, 0, out=positions)
        return positions.astype(np.intp)


@dataclass(frozen=True)
class CellSums:
    """Sums over the pixels that one nebula has in one cell, one row for each such pair.

    Attributes
    ----------
    labels
        Place of the nebula, shape (rows,).
    pixels
        Pixels of the grid, with or without data, shape (rows,).
    counts, sums
        Pixels with data, and their sum, shape (rows, images).
    """

    labels: NDArray[np.int64]
    pixels: NDArray[np.int64]
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]

    @classmethod
    def join(cls, parts: list[CellSums], images: int) -> CellSums:
        """Put the rows of several parts under each other."""
        nothing = cls(
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            np.empty((0, images), np.int64),
            np.empty((0, images)),
        )
        parts = [nothing, *parts]
        return cls(
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.pixels for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.sums for part in parts]),
        )


def sum_cells(labels: Labels, images: tuple[NDArray[np.floating], ...], size: int) -> CellSums:
    """Sum images over each nebula in each cell.

    Parameters
    ----------
    labels
        Place of each pixel's nebula, -1 outside; the first pixel is the first of a cell.
    images
        Of the same shape; NaN where there is no data.
    size
        How many nebulae there are.

    Returns
    -------
    CellSums
        A row for each nebula and cell that share pixels.
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
    counts, sums = [], []
    for image in images:
        values = image.ravel()[inside]
        covered = np.isfinite(values)
        own, number = key, pixels
        if not covered.all():
            own, values = key[covered], values[covered]
            number = np.bincount(own, minlength=length)
        counts.append(number[kept])
        sums.append(np.bincount(own, weights=values, minlength=length)[kept])
    return CellSums(
        present[kept % max(present.size, 1)], pixels[kept], np.stack(counts, 1), np.stack(sums, 1)
    )


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
    """

    nebulae: LabelMap
    grid: Grid
    images: int
    depth: int = 0
    cell: int = CELL
    passes: int = 1

    def start(self) -> CellSums | None:
        """Begin with nothing summed."""
        return None

    def look(self, state: CellSums | None, block: Block) -> list[CellSums]:
        """Sum one chunk, strip by strip."""
        arrays = block.owned
        height, width = arrays[0].shape
        row, column = block.offset
        parts = []
        for start in range(0, height, STRIP):
            ys = slice(start, min(start + STRIP, height))
            window = self.grid.window(
                slice(row + ys.start, row + ys.stop), slice(column, column + width)
            )
            labels = self.nebulae.sample(window)
            if labels is not None:
                strips = tuple(array[ys] for array in arrays)
                parts.append(sum_cells(labels, strips, self.nebulae.size))
        return [CellSums.join(parts, self.images)]

    def merge(self, one: list[CellSums], other: list[CellSums]) -> list[CellSums]:
        """Keep both."""
        return one + other

    def advance(self, state: CellSums | None, merged: list[CellSums]) -> CellSums:
        """Join all rows."""
        return CellSums.join(merged, self.images)

    def is_done(self, state: CellSums | None) -> bool:
        """Tell whether the one pass has been made."""
        return state is not None

    def finish(self, state: CellSums | None) -> dict[str, NDArray[Any]]:
        """Add the cells of each nebula.

        Returns
        -------
        dict
            `sums` and `counts` of shape (nebulae, images), sums NaN where nothing is counted, and
            `pixels` of shape (nebulae,).
        """
        rows = state or CellSums.join([], self.images)
        size = self.nebulae.size
        order = np.argsort(rows.labels, kind="stable")
        edges = np.searchsorted(rows.labels[order], np.arange(size + 1))
        sums, counts = np.full((size, self.images), np.nan), np.zeros((size, self.images), int)
        pixels = np.zeros(size, int)
        for nebula in range(size):
            own = order[edges[nebula] : edges[nebula + 1]]
            counts[nebula] = rows.counts[own].sum(axis=0)
            pixels[nebula] = rows.pixels[own].sum()
            for image in np.flatnonzero(counts[nebula]):
                sums[nebula, image] = fsum(rows.sums[own, image])
        return {"sums": sums, "counts": counts, "pixels": pixels}


def count_beyond(nebulae: LabelMap, grid: Grid) -> NDArray[np.int64]:
    """Count the pixels that each nebula would have beyond the edges of a grid.

    The grid's rows and columns are continued as far as there are nebulae, so that the whole of a
    nebula has a number of pixels even where it sticks out of the mosaic.

    Parameters
    ----------
    nebulae
        The nebulae.
    grid
        The mosaic's.

    Returns
    -------
    NDArray
        Pixels per nebula, 0 for nebulae inside.
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
    spans = [
        (int(np.nanmin(position) - reach), int(np.nanmax(position) + reach) + 1)
        for position in map_pixels_between(extent, grid)
    ]
    for window in _list_windows_beyond(spans[0], spans[1], grid):
        labels = nebulae.sample(window)
        if labels is not None:
            beyond += np.bincount(labels[labels >= 0], minlength=nebulae.size)
    return beyond


def _list_windows_beyond(
    rows: tuple[int, int], columns: tuple[int, int], grid: Grid
) -> Iterator[Grid]:
    """Cut the rectangle of continued pixels, without those of the grid itself, into windows."""
    height, width = grid.shape
    row_edges = [min(rows[0], 0), 0, height, max(rows[1], height)]
    column_edges = [min(columns[0], 0), 0, width, max(columns[1], width)]
    for i in range(3):
        for j in range(3):
            if i == j == 1:
                continue
            for y in range(row_edges[i], row_edges[i + 1], STRIP):
                for x in range(column_edges[j], column_edges[j + 1], STRIP):
                    shape = min(STRIP, row_edges[i + 1] - y), min(STRIP, column_edges[j + 1] - x)
                    yield replace(
                        grid, y0=grid.y0 + y * grid.dy, x0=grid.x0 + x * grid.dx, shape=shape
                    )
