"""Where the pixels of one grid fall in another: exact on nodes, bilinear in between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from numpy.typing import NDArray

from phangs_xr.sky.grid import Grid
from phangs_xr.sky.wcs import get_astropy_frame, get_frame, parse_wcs, pixel_to_sky

NODE_STEP = 50
"""Pixels between the nodes on which positions are exact: 6e-10 px off between two TAN grids."""


def map_pixels_between(
    target: Grid, source: Grid, step: int = NODE_STEP
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find where in `source` each pixel centre of `target` falls.

    The WCS is exact on nodes `step` pixels apart and bilinear in between. Nodes lie at multiples
    of `step` of the target's original pixels, so every window of a target gets the same bits.
    Directions are compared by raw numbers between ICRS and FK5 (J2000), as in `is_one_grid`;
    other systems are converted.

    Parameters
    ----------
    target, source
        The grids.
    step
        Distance of the nodes [px of the target's original image].

    Returns
    -------
    tuple of ndarray
        0-based row and column in `source`, each of shape `target.shape`; NaN where a direction
        has no place in the source's projection.
    """
    return PixelMap.build(target, source, step).place()


Weights = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Per position the node before it, and the weight of the node after it."""


@dataclass(frozen=True)
class PixelMap:
    """Where the pixels of one grid fall in another, to be looked up part by part.

    Attributes
    ----------
    node_rows, node_cols
        Row and column in the other grid of the nodes around the pixels; see `map_pixels_between`.
    rows, cols
        Which nodes each row and each column of pixels lies between, and how.
    """

    node_rows: NDArray[np.float64]
    node_cols: NDArray[np.float64]
    rows: Weights
    cols: Weights

    @classmethod
    def build(cls, target: Grid, source: Grid, step: int = NODE_STEP) -> PixelMap:
        """Map the nodes around the pixels of `target` to `source`."""
        rows = target.y0 + target.dy * np.arange(target.shape[0])
        cols = target.x0 + target.dx * np.arange(target.shape[1])
        nodes = _map_nodes(target, source, step)
        return cls(*nodes, _weigh_nodes(rows, step), _weigh_nodes(cols, step))

    def place(
        self, ys: slice = slice(None), xs: slice | NDArray[np.intp] = slice(None)
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return row and column in the other grid of the pixels in some rows and columns."""
        rows, cols = (self.rows[0][ys], self.rows[1][ys]), (self.cols[0][xs], self.cols[1][xs])
        return _interpolate(self.node_rows, rows, cols), _interpolate(self.node_cols, rows, cols)


def find_overlap(target: Grid, source: Grid, pad: int) -> tuple[slice, slice]:
    """Find the window of `source` that the pixels of `target` fall on.

    Parameters
    ----------
    target, source
        The grids.
    pad
        Pixels of `source` to add on every side.

    Returns
    -------
    tuple of slice
        Rows and columns of `source`, clipped to it; both empty where the two do not meet.
    """
    rows = _list_extremes(target.y0, target.dy, target.shape[0])
    cols = _list_extremes(target.x0, target.dx, target.shape[1])
    weights = _weigh_nodes(rows, NODE_STEP), _weigh_nodes(cols, NODE_STEP)
    windows = [
        _clip(_interpolate(nodes, *weights), size, pad)
        for nodes, size in zip(_map_nodes(target, source, NODE_STEP), source.shape, strict=True)
    ]
    if any(window.start >= window.stop for window in windows):
        return slice(0, 0), slice(0, 0)
    return windows[0], windows[1]


def count_reach(target: Grid, source: Grid) -> int:
    """Return how many pixels of `source` a pixel of `target` reaches from its centre, rounded up.

    To its corners, for square pixels at any angle.
    """
    return math.ceil(math.sqrt(target.pixel_area / source.pixel_area / 2))


def _list_extremes(first: float, step: float, count: int) -> NDArray[np.float64]:
    """Positions between which bilinear interpolation has no extreme: both ends and the nodes."""
    low, high = sorted((first, first + step * (count - 1)))
    nodes = np.arange(math.ceil(low / NODE_STEP), math.floor(high / NODE_STEP) + 1.0)
    return np.unique(np.concatenate([[low, high], NODE_STEP * nodes]))


def _clip(positions: NDArray[np.float64], size: int, pad: int) -> slice:
    positions = positions[np.isfinite(positions)]
    if positions.size == 0:
        return slice(0, 0)
    start = math.floor(positions.min()) - pad
    stop = math.ceil(positions.max()) + 1 + pad
    return slice(max(start, 0), min(stop, size))


def _map_nodes(
    target: Grid, source: Grid, step: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions in `source` of the nodes around `target`."""
    rows = _list_nodes(target.y0, target.dy, target.shape[0], step)
    cols = _list_nodes(target.x0, target.dx, target.shape[1], step)
    target_wcs, source_wcs = parse_wcs(target.wcs), parse_wcs(source.wcs)
    lon, lat = pixel_to_sky(target_wcs, *np.meshgrid(rows, cols, indexing="ij"))
    if get_frame(target_wcs) != get_frame(source_wcs):
        lon, lat = _convert(lon, lat, target_wcs, source_wcs)
    return source.to_pixel(lon, lat)


def _convert(
    lon: NDArray[np.float64], lat: NDArray[np.float64], target: WCS, source: WCS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    sky = SkyCoord(lon, lat, unit=u.deg, frame=get_astropy_frame(target))
    converted = sky.transform_to(get_astropy_frame(source)).spherical
    return converted.lon.deg, converted.lat.deg


def _list_nodes(first: float, step: float, count: int, node_step: int) -> NDArray[np.float64]:
    low, high = sorted((first, first + step * (count - 1)))
    return node_step * np.arange(math.floor(low / node_step), math.floor(high / node_step) + 2.0)


def _weigh_nodes(positions: NDArray[Any], step: int) -> Weights:
    """Index of the node before each position, and the weight of the node after it."""
    before = np.floor(positions / step)
    return (before - before.min()).astype(np.intp), (positions - before * step) / step


def _interpolate(nodes: NDArray[np.float64], rows: Weights, cols: Weights) -> NDArray[np.float64]:
    (above, down), (left, right) = rows, cols
    first = above.min(initial=len(nodes))
    nodes = nodes[first : above.max(initial=0) + 2]
    lines = nodes[:, left] * (1.0 - right) + nodes[:, left + 1] * right
    values: NDArray[np.float64] = lines[above - first]
    values *= (1.0 - down)[:, None]
    below = lines[above - first + 1]
    below *= down[:, None]
    values += below
    return values
