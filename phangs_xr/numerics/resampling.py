"""Values of one grid at the pixel centres of another: the nearest pixel's, or the bilinear mean."""

from __future__ import annotations

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
        Result beyond the source, and where a pixel is missing that counts by half.
    order
        1 for the bilinear mean, 3 for cubic splines, which suit smooth images without gaps.

    Returns
    -------
    NDArray
        Shape of `target`, finite if `fill` is.
    """
    made = np.full(target.shape, fill, dtype=piece.dtype)
    if 0 in piece.shape:
        return made
    known = np.isfinite(piece)
    values = np.where(known, piece * factor, fill).astype(piece.dtype, copy=False)
    if order > 1:
        values = scipy.ndimage.spline_filter(values, order, np.float32)
    height, width = piece.shape
    for start in range(0, target.shape[0], BAND):
        band = slice(start, start + BAND)
        rows, columns = map_pixels_between(target.window(band, slice(None)), source)
        rows += shift[0]
        columns += shift[1]
        inside = (rows >= -0.5) & (rows <= height - 0.5)
        inside &= (columns >= -0.5) & (columns <= width - 0.5)
        if not inside.any():
            continue
        places = [np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
        sampled = scipy.ndimage.map_coordinates(
            values, places, np.float32, order=order, mode="nearest", prefilter=False
        )
        np.copyto(made[band], sampled, where=inside)
    return made
