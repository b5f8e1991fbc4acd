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
