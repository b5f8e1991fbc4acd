"""The outlines of nebulae, traced around the pixels of their mask.

Figures show lines half-way between pixels inside and outside, which look smooth; `trace_polygons`
follows the edges of the pixels, so that a polygon holds what the mask does to the last point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

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


def trace_polygons(labels: NDArray[np.integer]) -> Iterator[tuple[int, Line]]:
    """Trace the parts of nebulae along the edges of their pixels.

    Parameters
    ----------
    labels
        Numbers from 0 on inside nebulae, negative outside.

    Yields
    ------
    tuple of int and ndarray
        The nebula's number and the corners of a part, rows and columns [pixel, centres at whole
        numbers], shape (n, 2), the first not repeated. Pixels of a part share edges. A hole is
        joined to the line around it by a cut, there and back, which encloses nothing: points of
        the hole are outside by any rule, and area and moments are those of the pixels.
    """
    framed = np.pad(np.asarray(labels) + 1, 1)
    # None for a number that has no pixel.
    places: list[Any] = scipy.ndimage.find_objects(framed)
    for number, place in enumerate(places):
        if place is None:
            continue
        box = tuple(slice(part.start - 1, part.stop + 1) for part in place)
        corner = np.array([box[0].start - 1, box[1].start - 1])
        for rings in _find_rings(framed[box] == number + 1):
            yield number, _join_rings(rings) + corner


def _find_rings(inside: NDArray[np.bool_]) -> Iterator[list[Line]]:
    """Corners of each part of a mask, its outer line first, then those of its holes.

    Each pixel is given four nodes, at its corners: between two pixels a cell without width is
    left, and a contour can lie nowhere but there.
    """
    doubled = inside.repeat(2, axis=0).repeat(2, axis=1).astype(np.float64)
    places = [np.arange(size).repeat(2) + np.tile([-0.5, 0.5], size) for size in inside.shape]
    generator = contourpy.contour_generator(
        places[1], places[0], doubled, fill_type=contourpy.FillType.OuterOffset
    )
    # Above the mean of two pixels inside and two outside: at a corner that parts share, they part.
    for points, offsets in zip(*generator.filled(0.6, 2.0), strict=True):
        yield [
            _drop_straight(np.round(2 * points[start : stop - 1, ::-1]) / 2)
            for start, stop in pairwise(offsets.tolist())
        ]


def _drop_straight(ring: Line) -> Line:
    """Leave the corners of a closed line, without what lies between or is said twice."""
    # Not `np.roll`, which takes longer for a few corners than all else.
    moves = np.diff(ring, axis=0, prepend=ring[-1:])
    ring = ring[(moves[:, 0] != 0) | (moves[:, 1] != 0)]
    moves = np.diff(np.concatenate([ring[-1:], ring, ring[:1]]), axis=0)
    before, after = moves[:-1], moves[1:]
    corners: Line = ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return corners


def _join_rings(rings: list[Line]) -> Line:
    """Make one closed line of several, each joined to those before where it comes nearest.

    The cut follows edges of pixels: of a centre just on it, rounding would decide.
    """
    joined = rings[0]
    for ring in rings[1:]:
        distances = np.square(joined[:, None] - ring).sum(axis=2)
        here, there = np.unravel_index(distances.argmin(), distances.shape)
        bend = np.array([[joined[here, 0], ring[there, 1]]])
        parts = (joined[: here + 1], bend, ring[there:], ring[: there + 1], bend, joined[here:])
        joined = np.concatenate(parts)
    return joined


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
