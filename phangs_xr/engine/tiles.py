"""Work on images of any size tile by tile: each task reads the window it needs, and nothing else.

A tile is the unit of work of a run: its task reads windows of lazily opened images (the tile and
its neighbours), works on them in memory, and hands back or writes what belongs to the tile. No
image travels between tasks, so peak memory is the number of threads times a tile, whatever the
mosaic, and the same graph runs on threads of this process and on the workers of a Dask cluster.
How many neighbours a tile gets, `run_stage` decides from what its steps declare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import lcm
from typing import Any, overload

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.engine.runner import Runner
from phangs_xr.numerics.lazy import get_origin
from phangs_xr.numerics.reductions import Block, Reduction, find_depth
from phangs_xr.sky.grid import Grid, get_grid, is_one_grid
from phangs_xr.sky.pixel_map import count_reach, find_overlap

PAD = 3
"""Pixels read around those that a tile's pixels reach in an image on another grid."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image, in rows and columns counted from the image's first pixel."""

    ys: slice
    xs: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.ys.stop - self.ys.start, self.xs.stop - self.xs.start

    def grow(self, depth: int, shape: tuple[int, int]) -> Tile:
        """Return the tile with up to `depth` neighbours on each side, within an image's shape."""
        ys, xs = (
            slice(max(part.start - depth, 0), min(part.stop + depth, size))
            for part, size in zip((self.ys, self.xs), shape, strict=True)
        )
        return Tile(ys, xs)

    def within(self, window: Tile) -> tuple[slice, slice]:
        """Return where in a window this tile lies."""
        ys, xs = (
            slice(part.start - outer.start, part.stop - outer.start)
            for part, outer in ((self.ys, window.ys), (self.xs, window.xs))
        )
        return ys, xs


def list_tiles(shape: tuple[int, int], chunk: int, cell: int = 1) -> list[Tile]:
    """Cut an image into square tiles.

    Parameters
    ----------
    shape
        Rows and columns of the image.
    chunk
        Side of a tile [pixel], as near as cells allow; the last ones may be smaller.
    cell
        Tiles begin at multiples of this: the side is the largest that is not above `chunk`, or one
        cell.
    """
    side = max(chunk // cell, 1) * cell
    edges = [[*range(0, size, side), size] for size in shape]
    return [
        Tile(slice(*rows), slice(*columns))
        for rows, columns in product(pairwise(edges[0]), pairwise(edges[1]))
    ]


def read_window(image: xr.DataArray, window: Tile) -> xr.DataArray:
    """Read a window of a lazily opened image into memory; of a cube, name it only.

    What takes a cube reads it by groups of planes.
    """
    part = image.isel(y=window.ys, x=window.xs)
    return part if image.ndim > 2 else part.load()


def read_overlap(image: xr.DataArray, target: Grid, window: Tile, margin: int = 0) -> xr.DataArray:
    """Read what a window of a grid needs of an image, which may be on another grid.

    Parameters
    ----------
    image
        To read from, lazily opened.
    target
        The grid the window is counted in.
    window
        In rows and columns of `target`.
    margin
        Pixels of an image on another grid that are needed around those.
    """
    source = get_grid(image)
    if is_one_grid(target, source):
        return read_window(image, window)
    pad = PAD + count_reach(target, source) + margin
    overlap = find_overlap(target.window(window.ys, window.xs), source, pad)
    # Where they do not meet, one pixel still says what grid and unit the image has.
    ys, xs = (part if part.stop > part.start else slice(0, 1) for part in overlap)
    return read_window(image, Tile(ys, xs))


def blank_overlap(image: xr.DataArray, target: Grid, window: Tile) -> xr.DataArray:
    """Return what `read_overlap` does with zeros for pixels, of another grid one: nothing is read.

    Parameters
    ----------
    image, target, window
        As for `read_overlap`.
    """
    one = window if is_one_grid(target, get_grid(image)) else Tile(slice(0, 1), slice(0, 1))
    return blank_image(image.isel(y=one.ys, x=one.xs))


def blank_image(image: xr.DataArray) -> xr.DataArray:
    """Return an image with zeros for pixels, which are not read."""
    zeros = np.broadcast_to(np.zeros((), dtype=image.dtype), image.shape)
    return xr.DataArray(zeros, image.coords, image.dims, image.name, image.attrs)


@dataclass(frozen=True)
class Measurement:
    """A reduction, and the lazily opened images it looks at, all on one grid."""

    reduction: Reduction
    images: tuple[xr.DataArray, ...]


@dataclass(frozen=True)
class _Pass:
    """What the tasks of one pass share: the measurements that are not done, and their states."""

    measurements: Mapping[str, Measurement]
    states: Mapping[str, Any]

    def find_depth(self, name: str) -> int:
        """Return the neighbours that a measurement needs in this pass [pixel]."""
        return find_depth(self.measurements[name].reduction, self.states[name])


def run_reductions(
    measurements: Mapping[str, Measurement], runner: Runner, title: str = "measure"
) -> dict[str, Any]:
    """Reduce whole images to few numbers, measurements side by side in as few passes as can be.

    Those of images of other shapes, and those whose common tiles would be larger than both a chunk
    and what any of them alone needs, go one after the other: see `group_by_cell`.

    Parameters
    ----------
    measurements
        By name. An image that several look at should be one object: each tile of it is then read
        once a pass.
    runner
        Where to run.
    title
        For the progress report.

    Returns
    -------
    dict
        What each reduction finds, by name.
    """
    found: dict[str, Any] = {}
    for shape in dict.fromkeys(one.images[0].shape for one in measurements.values()):
        alike = {name: one for name, one in measurements.items() if one.images[0].shape == shape}
        cells = {name: one.reduction.cell for name, one in alike.items()}
        for group in group_by_cell(cells, runner.chunk):
            found |= _run_group({name: alike[name] for name in group}, runner, title)
    return {name: found[name] for name in measurements}


def group_by_cell(cells: Mapping[str, int], chunk: int) -> list[tuple[str, ...]]:
    """Group measurements that can share tiles no larger than a chunk or the largest of their cells.

    Parameters
    ----------
    cells
        Of the measurements, by name: their tiles begin at multiples of these [pixel].
    chunk
        Side of the tiles to aim at [pixel].

    Returns
    -------
    list of tuple of str
        Each measurement joins the first group that it fits.
    """
    groups: list[list[str]] = []
    for name in cells:
        for group in groups:
            shared = [cells[one] for one in (*group, name)]
            if lcm(*shared) <= max(chunk, *shared):
                group.append(name)
                break
        else:
            groups.append([name])
    return [tuple(group) for group in groups]


def _run_group(
    measurements: Mapping[str, Measurement], runner: Runner, title: str
) -> dict[str, Any]:
    """Reduce with measurements that share each pass."""
    states = {name: one.reduction.start() for name, one in measurements.items()}
    while True:
        open_ones = {
            name: one
            for name, one in measurements.items()
            if not one.reduction.is_done(states[name])
        }
        if not open_ones:
            break
        merged = _run_pass(open_ones, states, runner, title)
        for name, part in merged.items():
            states[name] = measurements[name].reduction.advance(states[name], part)
    return {name: one.reduction.finish(states[name]) for name, one in measurements.items()}


def _run_pass(
    open_ones: Mapping[str, Measurement], states: Mapping[str, Any], runner: Runner, title: str
) -> dict[str, Any]:
    shape = next(iter(open_ones.values())).images[0].shape
    # Two cell sizes that do not divide each other need tiles that suit both.
    cell = lcm(*(one.reduction.cell for one in open_ones.values()))
    shared = _Pass(open_ones, {name: states[name] for name in open_ones})
    tiles = list_tiles((shape[0], shape[1]), runner.chunk, cell)
    reductions = {name: one.reduction for name, one in open_ones.items()}
    merged: dict[str, Any] = runner.run(
        f"{title} {', '.join(open_ones)}", _look, shared, tiles, _MergeParts(reductions)
    )
    return merged


def _look(shared: _Pass, tile: Tile) -> dict[str, Any]:
    """Let every open reduction look at one tile, reading each image once."""
    reader = _Reader(shared, tile)
    memo: dict[Any, Any] = {}
    parts = {}
    for name, one in shared.measurements.items():
        first = one.images[0]
        shape = (first.shape[0], first.shape[1])
        window = tile.grow(shared.find_depth(name), shape)
        block = Block(
            _Windows(reader, one.images, window),
            tile.within(window),
            (tile.ys.start, tile.xs.start),
            get_origin(first),
            shape,
            memo,
        )
        parts[name] = one.reduction.look(shared.states[name], block)
    return parts


class _Reader:
    """Reads images around one tile, each when it is first asked for, as far as any will need it."""

    def __init__(self, shared: _Pass, tile: Tile) -> None:
        self._tile = tile
        self._depths: dict[int, int] = {}
        for name, one in shared.measurements.items():
            for image in one.images:
                depth = max(shared.find_depth(name), self._depths.get(id(image), 0))
                self._depths[id(image)] = depth
        self._read: dict[int, tuple[Tile, NDArray[Any]]] = {}

    def read(self, image: xr.DataArray, window: Tile) -> NDArray[Any]:
        """Return a window of an image that is not larger than what its measurements need."""
        if id(image) not in self._read:
            outer = self._tile.grow(self._depths[id(image)], (image.shape[0], image.shape[1]))
            self._read[id(image)] = outer, read_window(image, outer).values
        outer, pixels = self._read[id(image)]
        return pixels[window.within(outer)]


@dataclass(frozen=True)
class _Windows(Sequence[NDArray[Any]]):
    """The windows of a measurement's images, each read when it is asked for."""

    reader: _Reader
    images: tuple[xr.DataArray, ...]
    window: Tile

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[Any]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[Any] | Sequence[NDArray[Any]]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        return self.reader.read(self.images[index], self.window)


@dataclass(frozen=True)
class _MergeParts:
    """Merge the parts of several reductions, each by its own rule."""

    reductions: Mapping[str, Reduction]

    def __call__(self, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
        merged = dict(results[0])
        for result in results[1:]:
            for name, part in result.items():
                merged[name] = self.reductions[name].merge(merged[name], part)
        return merged
