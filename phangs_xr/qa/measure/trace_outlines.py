"""The outlines of nebulae, traced around the pixels of their mask."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from typing import Any

import contourpy
import numpy as np
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
    labels, _ = _number(mark_inside(thin))
    colours = _colour(labels)
    # A tracer for each of thousands of nebulae would take seconds.
    lines = [
        line
        for colour in range(1, int(colours.max(initial=0)) + 1)
        for line in _trace(colours[labels] == colour)
    ]
    return _to_sky(thin, lines)


def mark_inside(mask: xr.DataArray) -> NDArray[Any]:
    """Return a mask's values, NaN outside: where a `star_mask` is zero, too."""
    values = mask.values
    return np.where(values != 0, values, np.nan) if mask.name == "star_mask" else values


def trace_nebula(mask: xr.DataArray, region: float) -> tuple[Line, Line]:
    """Trace one nebula of a mask or of a window of it; as `trace_outlines`."""
    return _to_sky(mask, list(_trace(mask.values == region)))


def _number(mask: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Numbers from 1 for the IDs in rising order, 0 outside; and the IDs."""
    inside = np.isfinite(mask)
    ids, index = np.unique(mask[inside], return_inverse=True)
    labels = np.zeros(mask.shape, dtype=np.int32)
    labels[inside] = index.ravel() + 1
    return labels, ids


def _colour(labels: NDArray[np.int32]) -> NDArray[np.int16]:
    """Colours from 1 for the numbers of a map, others for those that touch; 0 for number 0."""
    # Each pixel and its neighbours to the right, below, and below on either side.
    pairs = [
        (labels[:, :-1], labels[:, 1:]),
        (labels[:-1], labels[1:]),
        (labels[:-1, :-1], labels[1:, 1:]),
        (labels[:-1, 1:], labels[1:, :-1]),
    ]
    touching = np.concatenate([np.stack([one.ravel(), other.ravel()], 1) for one, other in pairs])
    touching = touching[(touching > 0).all(axis=1) & (touching[:, 0] != touching[:, 1])]
    neighbours: dict[int, set[int]] = {}
    for low, high in np.unique(np.sort(touching, axis=1), axis=0).tolist():
        neighbours.setdefault(high, set()).add(low)
    colours = np.ones(int(labels.max(initial=0)) + 1, dtype=np.int16)
    colours[0] = 0
    for number in sorted(neighbours):
        taken = {int(colours[other]) for other in neighbours[number]}
        colours[number] = next(colour for colour in count(1) if colour not in taken)
    return colours


def _trace(inside: NDArray[np.bool_]) -> Iterator[Line]:
    """Rows and columns along the outlines of what is inside, shape (n, 2)."""
    # A frame of pixels outside closes the lines at the edges.
    generator = contourpy.contour_generator(z=np.pad(inside, 1).astype(np.float64))
    for line in generator.lines(0.5):
        # The frame moved the pixels by one; contourpy says x before y.
        yield np.asarray(line)[:, ::-1] - 1


def _to_sky(mask: xr.DataArray, lines: list[Line]) -> tuple[Line, Line]:
    if not lines:
        return np.empty(0), np.empty(0)
    gap = np.full((1, 2), np.nan)
    corners = np.concatenate([part for line in lines for part in (line, gap)])[:-1]
    ra, dec = np.full(len(corners), np.nan), np.full(len(corners), np.nan)
    known = np.isfinite(corners[:, 0])
    ra[known], dec[known] = get_grid(mask).to_sky(corners[known, 0], corners[known, 1])
    return ra, dec
