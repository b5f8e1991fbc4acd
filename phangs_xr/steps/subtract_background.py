"""Estimate the sky around masked sources on a mesh of boxes, and take it off.

Sources are 8-connected groups of at least 10 pixels above the sigma-clipped mean + 2 standard
deviations, grown by a disc of 10 pixels. Each box of 100 × 100 pixels gives the SExtractor
background of what is left after clipping (Bertin & Arnouts 1996: 2.5 median - 1.5 mean, or the
median in crowded boxes). Boxes with too little left are filled from their neighbours, the mesh is
median-filtered, and a cubic spline brings it back to pixels. Equals `photutils.Background2D` of the
whole image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.filters import dilate_disc
from phangs_xr.labels import label_product, require_products
from phangs_xr.lazy import Block, map_pixels, reduce_images
from phangs_xr.statistics import AskDistribution, DistributionState, Numbers, Values

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SubtractBackground:
    """Options of `subtract_background`.

    Attributes
    ----------
    box_size
        Side of a box [pixel].
    filter_size
        Side of the median filter over the mesh [box]. 51 boxes are wider than most mosaics: the
        background is then one number.
    exclude_percentile
        A box with more than this part of its pixels masked or clipped is dropped [%].
    detect_sigma
        Sources are brighter than the clipped mean by this many clipped standard deviations.
    min_pixels
        Smallest source [pixel].
    grow_radius
        Of the disc that sources are grown by [pixel].
    clip_sigma, clip_iterations
        Of the clipping, for the threshold and in the boxes.
    """

    box_size: int = 100
    filter_size: int = 51
    exclude_percentile: float = 95.0
    detect_sigma: float = 2.0
    min_pixels: int = 10
    grow_radius: int = 10
    clip_sigma: float = 3.0
    clip_iterations: int = 10

    def __post_init__(self) -> None:
        """Refuse sizes that are no sizes, and even filters."""
        if self.box_size < 1 or self.min_pixels < 1 or self.grow_radius < 0:
            message = (
                f"subtract_background: box_size and min_pixels should be at least 1, grow_radius "
                f"at least 0 [pixel], found {self.box_size}, {self.min_pixels}, {self.grow_radius}"
            )
            raise InputError(message)
        if self.filter_size < 1 or self.filter_size % 2 == 0:
            message = (
                f"subtract_background: filter_size should be odd [box], found {self.filter_size}"
            )
            raise InputError(message)


@dataclass(frozen=True)
class AskThreshold:
    """Ask a distribution for the brightness above which pixels may belong to sources."""

    options: SubtractBackground

    def __call__(self, values: Values) -> Numbers:
        """Return `threshold`, in the image's unit."""
        kept = values.clip(self.options.clip_sigma, self.options.clip_iterations)
        mean, std = kept.find_mean_std()
        return {"threshold": mean + self.options.detect_sigma * std}


def mask_sources(image: Image, threshold: float, min_pixels: int, grow_radius: int) -> Mask:
    """Return where sources are, grown by a disc.

    Whether a pixel belongs to a group of `min_pixels` shows within `min_pixels` - 1 pixels of it,
    so this needs no more than a window around the pixels asked for.
    """
    bright = image > threshold
    labels, number = scipy.ndimage.label(bright, structure=np.ones((3, 3)))
    if number == 0:
        return bright
    # Few pixels are bright: only these are counted and looked up.
    places = np.flatnonzero(bright)
    owners = labels.ravel()[places]
    large = np.bincount(owners) >= min_pixels
    sources = np.zeros_like(bright)
    sources.flat[places] = large[owners]
    return dilate_disc(sources, grow_radius)


def cut_boxes(image: Image, size: int) -> Image:
    """Return the boxes of an image that begins at a box's edge, shape (rows, columns, size²).

    Boxes that reach beyond the image are filled up with NaN.
    """
    rows, columns = (-(-length // size) for length in image.shape)
    padded = np.full((rows * size, columns * size), np.nan, dtype=np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    boxes = padded.reshape(rows, size, columns, size).swapaxes(1, 2)
    return boxes.reshape(rows, columns, size * size)


def estimate_boxes(boxes: Image, sigma: float, iterations: int, least: float) -> Image:
    """Return the clipped SExtractor background of each box.

    Parameters
    ----------
    boxes
        Pixels of each box along the last axis; NaN is masked.
    sigma, iterations
        Of the clipping about the median.
    least
        Boxes with no more than this many pixels left give NaN.

    Notes
    -----
    Sorted once, a box is clipped by moving the ends of a range.
    """
    flat = boxes.reshape(-1, boxes.shape[-1])
    # Some at a time: the sums are in double precision.
    step = max(_BATCH // flat.shape[1], 1)
    parts = [
        _estimate_some(flat[start : start + step], sigma, iterations, least)
        for start in range(0, len(flat), step)
    ]
    return np.concatenate(parts).reshape(boxes.shape[:-1])


_BATCH = 1 << 20
"""Pixels that are clipped at a time."""


def _estimate_some(boxes: Image, sigma: float, iterations: int, least: float) -> Image:
    values = np.sort(boxes, axis=-1)
    stop = np.isfinite(values).sum(axis=-1)
    start = np.zeros_like(stop)
    each = np.arange(len(values))
    middle = values[each, np.maximum(stop - 1, 0) // 2].astype(np.float64)
    centre = np.where(stop > 0, middle, 0.0)
    offsets = values.astype(np.float64)
    offsets -= centre[:, None]
    np.copyto(offsets, 0, where=~np.isfinite(offsets))
    sums = _accumulate(offsets)
    squares = _accumulate(np.square(offsets, out=offsets))
    for _ in range(iterations):
        median, mean, std = _describe(values, centre, sums, squares, start, stop)
        first = _bisect(values, median - sigma * std, start, stop, np.less)
        last = _bisect(values, median + sigma * std, first, stop, np.less_equal)
        if (last - first == stop - start).all():
            break
        start, stop = first, last
    median, mean, std = _describe(values, centre, sums, squares, start, stop)
    crowded = np.abs(mean - median) >= 0.3 * std
    level = np.where(std == 0, mean, np.where(crowded, median, 2.5 * median - 1.5 * mean))
    return np.where(stop - start > least, level, np.nan)


def _bisect(
    values: Image,
    bound: NDArray[np.float64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    is_before: np.ufunc,
) -> NDArray[np.int64]:
    """Return where in a range of each row of sorted values a bound belongs."""
    each = np.arange(len(values))
    first, last = start, stop
    while (first < last).any():
        middle = (first + last) // 2
        value = values[each, np.minimum(middle, values.shape[1] - 1)]
        before = is_before(value, bound) & (first < last)
        first, last = np.where(before, middle + 1, first), np.where(before, last, middle)
    return first


def _accumulate(values: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=-1, out=sums[:, 1:])
    return sums


def _describe(
    values: Image,
    centre: NDArray[np.float64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return median, mean and standard deviation of a range of each row of sorted values."""
    each, number = np.arange(len(values)), np.maximum(stop - start, 1)
    last = values.shape[1] - 1
    low = values[each, np.minimum(start + (number - 1) // 2, last)].astype(np.float64)
    high = values[each, np.minimum(start + number // 2, last)]
    shift = (sums[each, stop] - sums[each, start]) / number
    spread = (squares[each, stop] - squares[each, start]) / number - shift**2
    return (low + high) / 2, centre + shift, np.sqrt(np.maximum(spread, 0))


def complete_mesh(mesh: Image, filter_size: int) -> NDArray[np.float64]:
    """Fill the dropped boxes of a mesh from their neighbours and median-filter it.

    Parameters
    ----------
    mesh
        One value per box, NaN where dropped.
    filter_size
        Side of the filter [box]; beyond the mesh there is nothing.
    """
    filled = mesh.astype(np.float64)
    dropped = np.isnan(filled)
    filled[dropped] = _interpolate_boxes(filled, np.argwhere(dropped))
    if filter_size == 1:
        return filled
    reach = filter_size // 2
    result = np.empty_like(filled)
    for row, column in np.ndindex(filled.shape):
        window = filled[
            max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
        ]
        result[row, column] = np.median(window)
    return result


def _interpolate_boxes(mesh: NDArray[np.float64], boxes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the means of the nearest boxes that are not dropped, weighted by inverse distance.

    As `photutils.utils.ShepardIDWInterpolator`, whose tree also decides which of equally near
    boxes count.
    """
    if not boxes.size:
        return np.empty(0)
    # Imported here: few mosaics have such boxes.
    from scipy.spatial import KDTree

    kept = np.argwhere(np.isfinite(mesh))
    number = min(_NEIGHBOURS, len(kept))
    distances, nearest = KDTree(kept).query(boxes, k=range(1, number + 1))
    weights = 1 / np.asarray(distances)
    values = mesh[tuple(kept.T)][nearest]
    means: NDArray[np.float64] = (weights * values).sum(axis=1) / weights.sum(axis=1)
    return means


_NEIGHBOURS = 10
"""Boxes that a dropped one is filled from, as `photutils.Background2D` does."""


def evaluate_spline(
    mesh: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the cubic spline through a mesh, mirrored at its edges, within the mesh's range.

    Parameters
    ----------
    mesh
        2-D.
    rows, columns
        Positions in the mesh [box, 0 at the first box's centre], 1-D.
    """
    coefficients = scipy.ndimage.spline_filter(mesh, order=3, mode="reflect")
    down, across = (
        _weigh_coefficients(positions, size)
        for positions, size in zip((rows, columns), mesh.shape, strict=True)
    )
    level = down @ coefficients @ across.T
    return np.clip(level, mesh.min(), mesh.max(), out=level)


def _weigh_coefficients(positions: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return what each coefficient of a cubic B-spline weighs at some positions, one row each."""
    first = np.floor(positions).astype(np.int64)
    t = positions - first
    weights = (1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3
    result = np.zeros((positions.size, size))
    for offset, weight in zip(range(-1, 3), weights, strict=True):
        index = (first + offset) % (2 * size)
        index = np.where(index < size, index, 2 * size - 1 - index)
        # Mirrored ones may coincide.
        result[np.arange(positions.size), index] += weight / 6
    return result


def draw_background(
    image: Image, rows: NDArray[np.int64], columns: NDArray[np.int64], *, measured: Any
) -> Image:
    """Return the background where an image has data, NaN elsewhere."""
    box, (y0, x0) = measured["background_box"], measured["background_origin"]
    places = [(rows - y0 + 0.5) / box[0] - 0.5, (columns - x0 + 0.5) / box[1] - 0.5]
    level = evaluate_spline(np.asarray(measured["background_mesh"]), *places)
    return np.where(np.isfinite(image), level, np.nan).astype(image.dtype, copy=False)


@dataclass(frozen=True)
class _State:
    sky: DistributionState = field(default_factory=DistributionState)
    numbers: dict[str, Any] | None = None


@dataclass(frozen=True)
class ReduceToBackground:
    """Reduce halpha to the source threshold, then to the mesh of the background."""

    options: SubtractBackground
    passes: int = 9

    @property
    def depth(self) -> int:
        """How far away a source can mask a pixel."""
        return self.options.grow_radius + self.options.min_pixels - 1

    @property
    def cell(self) -> int:
        """The boxes."""
        return self.options.box_size

    def find_depth(self, state: _State) -> int:
        """Tell that the threshold needs no neighbours."""
        return 0 if state.sky.answers is None else self.depth

    @property
    def _ask(self) -> AskDistribution:
        return AskDistribution(AskThreshold(self.options), moments=True)

    def start(self) -> _State:
        """Begin with nothing known."""
        return _State()

    def look(self, state: _State, block: Block) -> Any:
        """Ask for the threshold; once it is known, mask sources and estimate the boxes."""
        if state.sky.answers is None:
            return self._ask.look(state.sky, block)
        options, box = self.options, self.options.box_size
        image = block.arrays[0]
        masked = mask_sources(
            image, state.sky.answers["threshold"], options.min_pixels, options.grow_radius
        )
        sky = np.where(masked, np.nan, image)[block.core]
        # photutils makes a box that is larger than the image as large as the image.
        area = min(box, block.shape[0]) * min(box, block.shape[1])
        least = (1 - options.exclude_percentile / 100) * area
        levels = estimate_boxes(
            cut_boxes(sky, box), options.clip_sigma, options.clip_iterations, least
        )
        row, column = (offset // box for offset in block.offset)
        return {
            "mesh": {(row, column): levels},
            "origin": block.origin,
            "box": (min(box, block.shape[0]), min(box, block.shape[1])),
        }

    def merge(self, one: Any, other: Any) -> Any:
        """Join the counts, or the pieces of the mesh."""
        if isinstance(one, dict):
            return {**one, "mesh": {**one["mesh"], **other["mesh"]}}
        return self._ask.merge(one, other)

    def advance(self, state: _State, merged: Any) -> _State:
        """Take in the threshold, then complete the mesh."""
        if state.sky.answers is None:
            return _State(self._ask.advance(state.sky, merged))
        pieces = merged["mesh"]
        shape = [max(place[i] + piece.shape[i] for place, piece in pieces.items()) for i in (0, 1)]
        mesh = np.full(shape, np.nan)
        for (row, column), piece in pieces.items():
            mesh[row : row + piece.shape[0], column : column + piece.shape[1]] = piece
        if np.isnan(mesh).all():
            message = (
                f"subtract_background: no box of {self.options.box_size} pixels has more than "
                f"{100 - self.options.exclude_percentile} % of its pixels left after masking "
                f"sources: use larger boxes or a higher exclude_percentile"
            )
            raise InputError(message)
        numbers = {
            **state.sky.answers,
            "background_mesh": complete_mesh(mesh, self.options.filter_size),
            "background_box": merged["box"],
            "background_origin": merged["origin"],
        }
        return _State(state.sky, numbers)

    def is_done(self, state: _State) -> bool:
        """Tell whether the mesh is complete."""
        return state.numbers is not None

    def finish(self, state: _State) -> dict[str, Any]:
        """Return `threshold`, `background_mesh`, `background_box` and `background_origin`."""
        return dict(state.numbers or {})


def reduce_to_background(options: SubtractBackground) -> ReduceToBackground:
    """Return the reduction of `halpha` to its background."""
    return ReduceToBackground(options)


def subtract_background(
    halpha: xr.DataArray,
    *,
    measured: Mapping[str, Any] | None = None,
    options: SubtractBackground | None = None,
) -> xr.Dataset:
    """Estimate and subtract the background of the HST H-alpha map.

    Parameters
    ----------
    halpha
        [1e-20 erg/s/cm² per pixel].
    measured
        The numbers of `reduce_to_background`, when known; measured from all of `halpha` if None.
    options
        Boxes, sources and clipping; the default if None.

    Returns
    -------
    xr.Dataset
        `halpha_bg`, `halpha_bgsub` [1e-20 erg/s/cm² per pixel], NaN where `halpha` is.

    Raises
    ------
    InputError
        If the unit is another, or no box has enough pixels left (when computed, if `halpha` is
        lazy).
    """
    options = options or SubtractBackground()
    require_products(halpha=halpha)
    if measured is None:
        measured = reduce_images(reduce_to_background(options), halpha)
    background = map_pixels(draw_background, halpha, positions=True, measured=measured)
    subtracted = map_pixels(np.subtract, halpha, background)
    return xr.Dataset(
        {
            "halpha_bg": label_product(background, "halpha_bg", "subtract_background"),
            "halpha_bgsub": label_product(subtracted, "halpha_bgsub", "subtract_background"),
        }
    )
