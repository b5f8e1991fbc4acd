"""The outlines of nebulae, traced around the pixels of their mask."""

from __future__ import annotations

import math
from collections.abc import Iterator

import contourpy
import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.sky.grid import get_grid

SIDE = 500
"""Pixels along a side to which a mask is thinned before all of its nebulae are traced."""

Line = NDArray[np.float64]


def trace_outlines(mask: xr.DataArray, side: int = SIDE) -> tuple[Line, Line]:
    """Trace every nebula of a mask.

    Parameters
    ----------
    mask
        `nebula_mask`, region_ID per pixel, NaN outside; or `star_mask`, non-zero on stars. Loaded
        after it is thinned to every n-th pixel.
    side
        Most pixels along an axis of the thinned mask.

    Returns
    -------
    tuple of ndarray
        RA and Dec [deg] of the outlines' corners, one outline after the other, NaN in between.
    """
    step = max(1, math.ceil(max(mask.shape) / side))
    thin = mask.isel(y=slice(step // 2, None, step), x=slice(step // 2, None, step))
    values = thin.values
    inside = np.isfinite(values) & (values != 0 if mask.name == "star_mask" else True)
    labels = np.zeros(thin.shape, dtype=np.int32)
    labels[inside] = np.unique(values[inside], return_inverse=True)[1] + 1
    return _to_sky(thin, labels)


def trace_nebula(mask: xr.DataArray, region: float) -> tuple[Line, Line]:
    """Trace one nebula of a mask or of a window of it; as `trace_outlines`."""
    return _to_sky(mask, (mask.values == region).astype(np.int32))


def _trace(labels: NDArray[np.int32]) -> Iterator[Line]:
    """Rows and columns along the outlines of what has numbers above 0, each of shape (n, 2)."""
    # A frame of pixels outside closes the lines at the edges.
    framed = np.pad(labels, 1)
    places = np.indices(framed.shape)
    # To trace each of thousands of nebulae on the whole image would take seconds.
    for number, (rows, columns) in enumerate(scipy.ndimage.find_objects(framed), 1):
        box = slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1)
        inside = (framed[box] == number).astype(np.float64)
        for line in contourpy.contour_generator(places[1][box], places[0][box], inside).lines(0.5):
            # The frame moved the pixels by one; contourpy says x before y.
            yield np.asarray(line)[:, ::-1] - 1


def _to_sky(mask: xr.DataArray, labels: NDArray[np.int32]) -> tuple[Line, Line]:
    lines = list(_trace(labels))
    if not lines:
        return np.empty(0), np.empty(0)
    gap = np.full((1, 2), np.nan)
    rows, columns = np.concatenate([part for line in lines for part in (line, gap)])[:-1].T
    return get_grid(mask).to_sky(rows, columns)
