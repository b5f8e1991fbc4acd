"""Pixel grids: where the pixels of an image lie, whether images share them, how they map."""

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray

from phangs_xr.errors import GridError
from phangs_xr.wcs import (
    get_astropy_frame,
    get_frame,
    parse_wcs,
    pixel_to_sky,
    scale_sip,
    sky_to_pixel,
)

_log = logging.getLogger(__name__)

ONE_GRID_TOLERANCE = 0.01
"""Pixels by which the corners of two grids may differ and the grids still be one."""

NODE_STEP = 50
"""Pixels between the nodes on which positions are exact: 6e-10 px off between two TAN grids."""

_ARCSEC2 = 3600.0**2


@dataclass(frozen=True)
class Grid:
    """A regular set of pixels of one image: its WCS, and which rows and columns.

    Attributes
    ----------
    wcs
        The celestial cards of the whole original image, as `format_wcs` writes them.
    y0, x0
        Row and column (0-based, original image) of the first pixel.
    dy, dx
        Steps from one row, one column to the next; not 1 for strided and coarsened images.
    shape
        Numbers of rows and columns.
    """

    wcs: str
    y0: float
    x0: float
    dy: float
    dx: float
    shape: tuple[int, int]

    def to_wcs(self) -> WCS:
        """Return the astropy WCS of these pixels, counted from 0 in their own array."""
        wcs = parse_wcs(self.wcs)
        step = np.array([self.dx, self.dy])
        wcs.wcs.crpix = (wcs.wcs.crpix - np.array([self.x0, self.y0]) - 1.0) / step + 1.0
        wcs.wcs.cd = wcs.wcs.cd * step
        if wcs.sip is not None:
            wcs.sip = scale_sip(wcs.sip, self.dx, self.dy, wcs.wcs.crpix)
        wcs.wcs.set()
        wcs.pixel_shape = (self.shape[1], self.shape[0])
        return wcs

    def window(self, ys: slice, xs: slice) -> "Grid":
        """Cut out rows `ys` and columns `xs`, counted in this grid as NumPy does."""
        rows, cols = range(self.shape[0])[ys], range(self.shape[1])[xs]
        return Grid(
            self.wcs,
            self.y0 + rows.start * self.dy,
            self.x0 + cols.start * self.dx,
            self.dy * rows.step,
            self.dx * cols.step,
            (len(rows), len(cols)),
        )

    def coords(self) -> dict[str, xr.Variable]:
        """Return the coordinates `y`, `x` and `wcs` of an image on this grid."""
        return {
            "y": xr.Variable("y", _list_positions(self.y0, self.dy, self.shape[0])),
            "x": xr.Variable("x", _list_positions(self.x0, self.dx, self.shape[1])),
            # NumPy's fixed-width strings have no specification in Zarr v3; this type has.
            "wcs": xr.Variable((), np.array(self.wcs, dtype=np.dtypes.StringDType())),
        }

    @property
    def pixel_area(self) -> float:
        """Area of one pixel [arcsec²], from the determinant of the whole matrix."""
        matrix = parse_wcs(self.wcs).pixel_scale_matrix
        return abs(float(np.linalg.det(matrix)) * self.dy * self.dx) * _ARCSEC2

    def to_sky(self, row: ArrayLike, col: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Turn positions in pixels into longitude and latitude [deg], the grid's raw numbers.

        Parameters
        ----------
        row, col
            0-based positions in this grid, centres of pixels at whole numbers.

        Returns
        -------
        tuple of ndarray
            Longitude (RA) and latitude (Dec); NaN where the projection has no sky.
        """
        rows = self.y0 + np.asarray(row, dtype=np.float64) * self.dy
        cols = self.x0 + np.asarray(col, dtype=np.float64) * self.dx
        return pixel_to_sky(parse_wcs(self.wcs), rows, cols)

    def to_pixel(self, lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Turn longitude and latitude [deg] into positions in pixels of this grid.

        Parameters
        ----------
        lon, lat
            Directions in the grid's own system (RA and Dec).

        Returns
        -------
        tuple of ndarray
            0-based row and column; NaN where the projection cannot show the direction.
        """
        lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
        row, col = sky_to_pixel(parse_wcs(self.wcs), lon, lat)
        return (row - self.y0) / self.dy, (col - self.x0) / self.dx


def _list_positions(first: float, step: float, count: int) -> NDArray[Any]:
    positions = first + step * np.arange(count)
    whole = float(first).is_integer() and float(step).is_integer()
    return positions.astype(np.int64) if whole else positions


def get_grid(image: xr.DataArray | xr.Dataset) -> Grid:
    """Read the grid of an image from its coordinates.

    Parameters
    ----------
    image
        Image or dataset with dims `y`, `x` and the coordinates `y`, `x`, `wcs`.

    Returns
    -------
    Grid
        The step of a single row or column cannot be known and is taken as 1.

    Raises
    ------
    GridError
        If there is no `wcs`, or `y` or `x` is absent, empty, irregular or not a number.
    """
    name = image.name if isinstance(image, xr.DataArray) else None
    return _get_grid(image, str(name or "the image"))


def _get_grid(image: xr.DataArray | xr.Dataset, name: str) -> Grid:
    if "wcs" not in image.coords:
        raise GridError(
            f"expected {name} to have the coordinate wcs, found {sorted(map(str, image.coords))}: "
            f"open it from FITS, or, if it is a combination of images, combine images of one grid"
        )
    if image.coords["wcs"].ndim:
        raise GridError(
            f"expected one wcs for all of {name}, found {image.coords['wcs'].size}: "
            f"take one image of those that were stacked"
        )
    y0, dy = _get_axis(image, "y", name)
    x0, dx = _get_axis(image, "x", name)
    return Grid(
        str(image.coords["wcs"].item()), y0, x0, dy, dx, (image.sizes["y"], image.sizes["x"])
    )


def _get_axis(image: xr.DataArray | xr.Dataset, axis: str, name: str) -> tuple[float, float]:
    """First position and step along one axis."""
    if axis not in image.dims or axis not in image.coords:
        raise GridError(
            f"expected {name} to have the dimension {axis} with its pixel coordinate, "
            f"found dims {tuple(map(str, image.dims))}: keep both axes, by slicing"
        )
    positions = image.coords[axis].values
    if positions.size == 0 or positions.dtype.kind not in "iuf":
        raise GridError(
            f"expected pixel numbers in {axis} of {name}, found {positions.size} values of type "
            f"{positions.dtype}: select pixels that exist"
        )
    first = float(positions[0])
    step = 1.0 if positions.size == 1 else (float(positions[-1]) - first) / (positions.size - 1)
    regular = first + step * np.arange(positions.size)
    if step == 0.0 or not np.all(np.abs(positions - regular) <= 1e-6 * abs(step)):
        raise GridError(
            f"expected evenly spaced pixels in {axis} of {name}, found {_abridge(positions)}: "
            f"select with slices"
        )
    return first, step


def _abridge(positions: NDArray[Any]) -> str:
    shown = ", ".join(f"{value:g}" for value in positions[:5])
    return shown + (", ..." if positions.size > 5 else "")


def is_one_grid(a: Grid, b: Grid) -> bool:
    """Tell whether two grids have the same shape and the same pixels on the sky.

    The corners must agree within 0.01 px by the raw numbers: ICRS and FK5 (J2000) count as
    equal, since bands of one HST mosaic, aligned to each other, differ in that keyword alone.

    Parameters
    ----------
    a, b
        The grids.

    Returns
    -------
    bool
        Whether pixel for pixel they are the same.
    """
    if a.shape != b.shape:
        return False
    if a == b:
        return True
    if get_frame(parse_wcs(a.wcs)) != get_frame(parse_wcs(b.wcs)):
        return False
    ny, nx = a.shape
    rows, cols = np.meshgrid(np.linspace(0, ny - 1, 3), np.linspace(0, nx - 1, 3), indexing="ij")
    found_rows, found_cols = b.to_pixel(*a.to_sky(rows, cols))
    distance = np.hypot(found_rows - rows, found_cols - cols)
    return bool(np.all(distance <= ONE_GRID_TOLERANCE))


def require_one_grid(**images: xr.DataArray | xr.Dataset) -> Grid:
    """Check that images lie on one grid, pixel for pixel.

    Parameters
    ----------
    **images
        The images, by the names the message shall use.

    Returns
    -------
    Grid
        Of the first image.

    Raises
    ------
    GridError
        If an image has no grid, or its shape, `x`, `y` or `wcs` differs from the first one's.
    """
    grids = {name: _get_grid(image, name) for name, image in images.items()}
    first_name, first = next(iter(grids.items()))
    for name, grid in grids.items():
        differing = _list_differences(first, grid)
        if differing:
            raise GridError(
                f"expected {first_name} and {name} on one pixel grid, found other "
                f"{'; '.join(differing)}: select the same pixels of both, or bring {name} onto "
                f"the grid of {first_name}"
            )
        if grid.wcs != first.wcs:
            _log.info(
                "the wcs of %s and %s differ in their text (RADESYS or rounding) and count as one",
                first_name,
                name,
            )
    return first


def _list_differences(a: Grid, b: Grid) -> list[str]:
    differing = []
    if a.shape != b.shape:
        differing.append(f"shape ({a.shape} and {b.shape})")
    for axis, mine, others in (
        ("x", (a.x0, a.dx), (b.x0, b.dx)),
        ("y", (a.y0, a.dy), (b.y0, b.dy)),
    ):
        if mine != others:
            differing.append(
                f"{axis} (from {mine[0]:g} by {mine[1]:g} and from {others[0]:g} by {others[1]:g})"
            )
    if not differing and not is_one_grid(a, b):
        differing.append(f"wcs (centres {measure_separation(a, b) * 60:.4g} arcsec apart)")
    return differing


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
    def build(cls, target: Grid, source: Grid, step: int = NODE_STEP) -> "PixelMap":
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


def measure_separation(a: Grid, b: Grid) -> float:
    """Return the distance between the centres of two grids [arcmin]."""
    centre_a, centre_b = (
        SkyCoord(
            *grid.to_sky((grid.shape[0] - 1) / 2, (grid.shape[1] - 1) / 2),
            unit=u.deg,
            frame=get_astropy_frame(parse_wcs(grid.wcs)),
        )
        for grid in (a, b)
    )
    return float(centre_a.separation(centre_b).arcmin)
