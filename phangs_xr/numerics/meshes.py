"""A background from a mesh of boxes: the level of each box, the gaps between, a spline through all.

Equals what `photutils.Background2D` does with SExtractor's estimator (Bertin & Arnouts 1996: 2.5
median - 1.5 mean, or the median in crowded boxes), for all boxes of a tile at a time.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Image = NDArray[np.floating]


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
    return _filter_mesh(filled, filter_size)


def _filter_mesh(mesh: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the median around each box, a row of boxes at a time."""
    # What lies beyond the mesh comes last when its neighbours are sorted.
    padded = np.pad(mesh, size // 2, constant_values=np.inf)
    inside = [
        np.convolve(np.ones(length), np.ones(size))[size // 2 :][:length].astype(np.intp)
        for length in mesh.shape
    ]
    each, result = np.arange(mesh.shape[1]), np.empty_like(mesh)
    for row, height in enumerate(inside[0]):
        windows = sliding_window_view(padded[row : row + size], (size, size))[0]
        ordered = np.sort(windows.reshape(len(each), -1), axis=1)
        number = height * inside[1]
        result[row] = (ordered[each, (number - 1) // 2] + ordered[each, number // 2]) / 2
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
