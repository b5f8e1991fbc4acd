"""Pixel grids: where the pixels of an image lie, whether images share them."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray

from phangs_xr.errors import GridError
from phangs_xr.sky.wcs import (
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
