"""Values of one grid at the pixel centres of another: the nearest pixel's, or the bilinear mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import scipy
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import BAND
from phangs_xr.sky import Grid, map_pixels_between

Order = Literal["nearest-neighbor", "bilinear"]

ORDERS: tuple[Order, ...] = get_args(Order)

PAD = 2
"""Source pixels needed around those that the target's centres fall on, for the bilinear mean."""


def resample_window(
    piece: NDArray[np.floating], source: Grid, target: Grid, *, order: Order, factor: float
) -> NDArray[np.floating]:
    """Return the source's values at the target's pixel centres, times a factor.

    Parameters
    ----------
    piece
        The source's pixels, may be empty.
    source, target
        The grids of `piece` and of the result.
    order
        How to interpolate.
    factor
        Multiplies the values.

    Returns
    -------
    NDArray
        Shape of `target`; NaN beyond the source's pixels and where they are NaN.
    """
    made = np.full(target.shape, np.nan, dtype=piece.dtype)
    if 0 in piece.shape:
        return made
    scaled = (piece * factor).astype(piece.dtype, copy=False)
    for start in range(0, target.shape[0], BAND):
        band = slice(start, start + BAND)
        positions = map_pixels_between(target.window(band, slice(None)), source)
        made[band] = _sample(scaled, *positions, order)
    return made


def _sample(
    piece: NDArray[np.floating],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    order: Order,
) -> NDArray[np.floating]:
    """Return values at positions counted in pixels of an image, NaN beyond its pixels."""
    height, width = piece.shape
    inside = (rows >= -0.5) & (rows <= height - 0.5) & (columns >= -0.5) & (columns <= width - 0.5)
    if order == "nearest-neighbor":
        row = np.minimum(np.floor(rows + 0.5), height - 1)
        column = np.minimum(np.floor(columns + 0.5), width - 1)
        # One more pixel at the end stands for what lies beyond.
        place = np.where(inside, row * width + column, piece.size).astype(np.intp)
        return np.append(piece, np.nan).astype(piece.dtype, copy=False)[place]
    clipped = [np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    values = scipy.ndimage.map_coordinates(piece, clipped, order=1, mode="nearest")
    return np.where(inside, values, np.nan)


SPLINE_PAD = 14
"""Source pixels needed around those that the target's centres fall on, for cubic splines: what lies
further changes them by less than 1e-7."""


NODES = {1: 4, 3: 2}
"""Distance of the pixels at which `sample_shifted` looks at the source, by its order: what lies
between follows by interpolation of the same order. A source with pixels five times as large, and a
point-spread function of several of them, has no more to tell (the cubic is off by 4e-5)."""


def sample_shifted(
    piece: NDArray[np.floating],
    source: Grid,
    target: Grid,
    *,
    shift: NDArray[np.float64],
    factor: float,
    fill: float,
    order: Literal[1, 3],
) -> NDArray[np.floating]:
    """Return the source's values where features at the target's pixel centres lie on it.

    For sources of larger pixels: they are looked at on nodes, at multiples of `NODES` of the
    target's original pixels, so that every window of a target gets the same.

    Parameters
    ----------
    piece
        The source's pixels, may be empty; NaN is missing.
    source, target
        The grids of `piece` and of the result.
    shift
        Rows and columns by which features lie beyond where the source's WCS has them [its pixels].
    factor
        Multiplies the values.
    fill
        Value of missing pixels, and beyond the source.
    order
        1 for bilinear means, 3 for cubic splines, which suit smooth images without gaps.

    Returns
    -------
    NDArray
        Shape of `target`, finite if `fill` is.
    """
    if 0 in piece.shape:
        return np.full(target.shape, fill, dtype=piece.dtype)
    values = np.where(np.isfinite(piece), piece * factor, fill).astype(np.float32, copy=False)
    if order > 1:
        values = scipy.ndimage.spline_filter(values, order, np.float32)
    step, reach = NODES[order], order // 2
    nodes, first = _list_nodes(target, step, reach)
    rows, columns = map_pixels_between(nodes, source)
    rows += shift[0]
    columns += shift[1]
    height, width = piece.shape
    inside = (rows >= -0.5) & (rows <= height - 0.5)
    inside &= (columns >= -0.5) & (columns <= width - 0.5)
    places = [np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    sampled = scipy.ndimage.map_coordinates(
        values, places, np.float32, order=order, mode="nearest", prefilter=False
    )
    known = np.where(inside, sampled, np.float32(fill))
    made = np.empty(target.shape, piece.dtype)
    across = _weigh_nodes(int(target.x0), target.shape[1], step, first[1], order)
    for start in range(0, target.shape[0], BAND):
        count = min(BAND, target.shape[0] - start)
        down = _weigh_nodes(int(target.y0) + start, count, step, first[0], order)
        tall = sum(known[place] * weight[:, None] for place, weight in down)
        made[start : start + count] = sum(
            np.take(tall, place, axis=1) * weight for place, weight in across
        )
    return made


def _list_nodes(target: Grid, step: int, reach: int) -> tuple[Grid, tuple[int, int]]:
    """Return the nodes around a window as a grid, and the number of the first along each axis."""
    spans = []
    for start, count in ((target.y0, target.shape[0]), (target.x0, target.shape[1])):
        low = int(start) // step - reach
        high = (int(start) + count - 1) // step + 1 + reach
        spans.append((low, high - low + 1))
    (top, height), (left, width) = spans
    grid = replace(target, y0=top * step, x0=left * step, dy=step, dx=step, shape=(height, width))
    return grid, (top, left)


def _weigh_nodes(
    start: int, count: int, step: int, first: int, order: int
) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Return the nodes around some pixels in a row, and their weights (Lagrange's polynomials)."""
    pixels = np.arange(start, start + count)
    before, part = pixels // step - first, (pixels % step) / step
    offsets = range(-(order // 2), order // 2 + 2)
    terms = []
    for offset in offsets:
        weight = np.ones(count)
        for other in offsets:
            if other != offset:
                weight *= (part - other) / (offset - other)
        terms.append((before + offset, weight.astype(np.float32)))
    return terms
