"""Images small enough to draw, and the histograms of their pixels, from one pass over the store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.drawing.average_blocks import Image, average_blocks, choose_factor
from phangs_xr.engine.runner import Runner
from phangs_xr.engine.tiles import Measurement, run_reductions
from phangs_xr.numerics.lazy import DEFAULT_CHUNK
from phangs_xr.numerics.reductions import Block
from phangs_xr.numerics.resampling import Order, resample_window
from phangs_xr.numerics.value_counts import count_coarsely, decode_values, encode_values
from phangs_xr.qa.measure.products import find_plain, find_product, has_product, list_images
from phangs_xr.qa.measure.trace_outlines import Line, trace_outlines
from phangs_xr.schema import PRODUCTS
from phangs_xr.sky.grid import Grid, get_grid

SIDE = 320
"""Most pixels along a side of an image that is drawn whole."""

SAMPLE = 4_000_000
"""About how many pixels of an image a histogram counts, at even distances."""

_BY_RECIPES = ("hst_contsub", "hst_ha", "halpha_hst", "halpha_joint")
MAPPED = ("musehalpha_regrid", "halpha", "halpha_smoothed", *_BY_RECIPES)
COUNTED = ("halpha", "halpha_bgsub", "anchored", *_BY_RECIPES)
"""What is drawn of whole mosaics, and whose pixels are counted, as far as a recipe makes it."""

DERIVED = (
    *("halpha_joint_err", "halpha_hst_err", "hst_ha_err", "hst_contsub_err"),
    *("continuum", "continuum_err", "muse_coverage"),
)
"""What figures of errors and equivalent widths need of whole mosaics besides."""


@dataclass(frozen=True)
class PixelHistogram:
    """How the finite pixels of an image spread, in bins finer than 1 % of the value.

    Attributes
    ----------
    counts
        Pixels in each of 65536 bins, each of which holds the float32 numbers that agree in their
        upper 16 bits, in rising order.
    """

    counts: NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many pixels were counted."""
        return int(self.counts.sum())

    def find_quantile(self, quantile: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return quantiles (0 to 1), good to the width of a bin; NaN if nothing was counted."""
        if self.size == 0:
            return np.full(np.shape(quantile), np.nan)
        edges, reached = self._accumulate()
        return np.asarray(np.interp(quantile, reached / self.size, edges))

    def rebin(self, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the pixels between rising edges, each bin's spread evenly: not whole numbers."""
        known, reached = self._accumulate()
        return np.diff(np.interp(edges, known, reached))

    def _accumulate(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values in rising order, and how many pixels lie below each."""
        filled = np.flatnonzero(self.counts)
        keys = filled.astype(np.uint32) << np.uint32(16)
        low, high = decode_values(keys), decode_values(keys | np.uint32(0xFFFF))
        above = np.cumsum(self.counts[filled]).astype(np.float64)
        below = above - self.counts[filled]
        return np.stack([low, high], 1).ravel(), np.stack([below, above], 1).ravel()


@dataclass(frozen=True)
class Overview:
    """A field reduced to what figures draw of whole mosaics.

    Attributes
    ----------
    grid
        Of the whole HST images.
    images
        Means over blocks of pixels of `MAPPED` and `DERIVED`, as far as the field has them, in
        their own units (fluxes in 1e-20 erg/s/cm² per HST pixel); `musehalpha_regrid` is made of
        MUSE's map where the recipe does not bring it over. NaN where a block has no data. The
        labels `y`, `x` are the blocks' centres in the pixels of the whole image.
    factor
        Side of a block [HST pixel].
    histograms
        Of the pixels, not the means, of `COUNTED`, as far as there.
    outlines
        RA and Dec [deg] of the lines around what `nebula_mask` and `star_mask` mark, as far as
        there, as `trace_outlines` returns them.
    """

    grid: Grid
    images: xr.Dataset
    factor: int
    histograms: Mapping[str, PixelHistogram]
    outlines: Mapping[str, tuple[Line, Line]]


@dataclass(frozen=True)
class ReduceToOverview:
    """Reduce images to the means of blocks and the counts of some of their pixels, in one pass.

    `factor` is the side of a block, `strides` are of each image the distance of the pixels that
    are counted; 0 counts none.
    """

    factor: int
    strides: tuple[int, ...] = (0,)
    depth: int = 0
    passes: int = 1

    @property
    def cell(self) -> int:
        """A block must lie in one chunk."""
        return self.factor

    def start(self) -> None:
        """Begin with nothing known."""

    def look(self, state: Any, block: Block) -> Any:
        """Average and count one chunk of each image."""
        first = tuple(offset // self.factor for offset in block.offset)
        parts = []
        for image, stride in zip(block.owned, self.strides, strict=True):
            counts = None
            if stride:
                rows, columns = (slice(-start % stride, None, stride) for start in block.offset)
                counts, *_ = count_coarsely(encode_values(image[rows, columns]), moments=False)
            parts.append(({first: average_blocks(image, self.factor)}, counts))
        return parts

    def merge(self, one: Any, other: Any) -> Any:
        """Put the chunks' means beside each other, add the counts."""
        return [
            ({**means, **more}, counts if counts is None else counts + others)
            for (means, counts), (more, others) in zip(one, other, strict=True)
        ]

    def advance(self, state: Any, merged: Any) -> Any:
        """Be done."""
        return merged

    def is_done(self, state: Any) -> bool:
        """Tell whether the pass is over."""
        return state is not None

    def finish(self, state: Any) -> list[tuple[Image, NDArray[np.int64] | None]]:
        """Return of each image the means, and the counts if it has some."""
        return [(_join_chunks(chunks), counts) for chunks, counts in state]


def _join_chunks(chunks: Mapping[tuple[int, int], Image]) -> Image:
    """Put the means of chunks, by the place of their first block, into one image."""
    shape = [
        max(first[axis] + means.shape[axis] for first, means in chunks.items()) for axis in (0, 1)
    ]
    image = np.full(shape, np.nan, dtype=np.float32)
    for (row, column), means in chunks.items():
        image[row : row + means.shape[0], column : column + means.shape[1]] = means
    return image


def reduce_image(image: xr.DataArray, side: int = SIDE) -> xr.DataArray:
    """Return an image's block means in memory, at most `side` pixels along each axis.

    It is loaded whole, so this is for windows and MUSE's images. The means are float32, with `y`,
    `x` at the centres of the blocks and the same `wcs`.
    """
    grid = get_grid(image)
    factor = choose_factor(grid.shape, side, DEFAULT_CHUNK)
    return _label_means(average_blocks(image.values, factor), grid, factor, image.attrs)


def average_image(
    image: xr.DataArray, runner: Runner | None = None, *, side: int = SIDE
) -> xr.DataArray:
    """Return the block means of an image of any size, read tile by tile.

    They are those of `reduce_image`; `runner` is threads of this process if None.
    """
    grid = get_grid(image)
    reduction = ReduceToOverview(choose_factor(grid.shape, side, DEFAULT_CHUNK))
    measurement = Measurement(reduction, (image,))
    found = run_reductions({str(image.name): measurement}, runner or Runner(), "draw")
    [(means, _)] = found[str(image.name)]
    return _label_means(means, grid, reduction.factor, image.attrs)


def reduce_field(field: xr.DataTree, runner: Runner | None = None, *, side: int = SIDE) -> Overview:
    """Reduce a field to what the figures of its whole images draw.

    Parameters
    ----------
    field
        With the node `/hst`; images may be lazy, each chunk is read once and dropped.
    runner
        Where to work; threads of this process if None.
    side
        Most pixels along an axis of the reduced images.

    Returns
    -------
    Overview
        Of the images that the field has.

    Raises
    ------
    InputError
        If the field has no HST map that its recipe compares.
    """
    plan = plan_overview(field, side=side)
    found = run_reductions({"overview": plan.measurement}, runner or Runner(), "draw")
    return plan.finish(found["overview"])


def plan_overview(
    field: xr.DataTree, images: Mapping[str, xr.DataArray] | None = None, *, side: int = SIDE
) -> OverviewPlan:
    """Say what of the HST images must be measured for `reduce_field`, which does it alone.

    `images` are those of `list_images`, so that a pass for several measurements reads each once.
    Errors are those of `reduce_field`.
    """
    grid = get_grid(find_plain(field))
    hst = list_images(field) if images is None else images
    wanted = tuple(
        hst[name] for name in PRODUCTS if name in {*MAPPED, *COUNTED, *DERIVED} and name in hst
    )
    stride = math.ceil(math.sqrt(grid.shape[0] * grid.shape[1] / SAMPLE))
    strides = tuple(stride if image.name in COUNTED else 0 for image in wanted)
    reduction = ReduceToOverview(choose_factor(grid.shape, side, DEFAULT_CHUNK), strides)
    return OverviewPlan(field, grid, wanted, reduction)


@dataclass(frozen=True, eq=False)
class OverviewPlan:
    """What must be measured for an overview in a pass over the HST images, and what comes of it.

    `images`, on `grid`, are what `reduction` looks at.
    """

    field: xr.DataTree
    grid: Grid
    images: tuple[xr.DataArray, ...]
    reduction: ReduceToOverview

    @property
    def measurement(self) -> Measurement:
        """For the pass."""
        return Measurement(self.reduction, self.images)

    def finish(self, found: list[tuple[Image, NDArray[np.int64] | None]]) -> Overview:
        """Return the overview, from what the measurement found."""
        means, histograms = {}, {}
        for image, (mean, counts) in zip(self.images, found, strict=True):
            name = str(image.name)
            if name in {*MAPPED, *DERIVED}:
                means[name] = _label_means(mean, self.grid, self.reduction.factor, image.attrs)
            if counts is not None:
                histograms[name] = PixelHistogram(counts)
        if "musehalpha_regrid" not in means and has_product(self.field, "musehalpha"):
            means = {"musehalpha_regrid": self._bring_muse(), **means}
        outlines = {
            name: trace_outlines(find_product(self.field, name))
            for name in ("nebula_mask", "star_mask")
            if has_product(self.field, name)
        }
        return Overview(self.grid, xr.Dataset(means), self.reduction.factor, histograms, outlines)

    def _bring_muse(self) -> xr.DataArray:
        """Sample MUSE's map at the centres of the blocks, as flux per HST pixel."""
        muse = find_product(self.field, "musehalpha")
        blocks = [-(-side // self.reduction.factor) for side in self.grid.shape]
        empty = np.full(blocks, np.nan, dtype=np.float32)
        coarse = _label_means(empty, self.grid, self.reduction.factor, muse.attrs)
        factor = self.grid.pixel_area / get_grid(muse).pixel_area
        return sample_image(muse, get_grid(coarse), order="bilinear", factor=factor)


def sample_image(
    image: xr.DataArray, target: Grid, *, order: Order = "nearest-neighbor", factor: float = 1.0
) -> xr.DataArray:
    """Return an image's values at the pixels of another grid, NaN outside of it.

    It is loaded whole, so this is for MUSE's images. They are multiplied by `factor`; `order` is
    that of `phangs_xr.numerics.resampling.resample_window`.
    """
    pixels = image.values.astype(np.float32)
    values = resample_window(pixels, get_grid(image), target, order=order, factor=factor)
    return xr.DataArray(
        values, coords=target.coords(), dims=("y", "x"), name=image.name, attrs=image.attrs
    )


def _label_means(
    means: NDArray[np.float32], grid: Grid, factor: int, attrs: Mapping[Any, Any]
) -> xr.DataArray:
    middle = (factor - 1) / 2
    coarse = replace(
        grid,
        y0=grid.y0 + middle * grid.dy,
        x0=grid.x0 + middle * grid.dx,
        dy=grid.dy * factor,
        dx=grid.dx * factor,
        shape=(means.shape[0], means.shape[1]),
    )
    kept = {name: attrs[name] for name in ("units", "long_name") if name in attrs}
    return xr.DataArray(means, coords=coarse.coords(), dims=("y", "x"), attrs=kept)
