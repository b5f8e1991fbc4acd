"""Images that know their sky: the `.sky` accessor, positions to pixels, RA/Dec on demand."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from astropy.wcs.utils import (
    proj_plane_pixel_scales,
)
from numpy.typing import NDArray
from xarray.core.indexing import IndexSelResult
from xarray.indexes import CoordinateTransform, CoordinateTransformIndex

from phangs_xr.errors import InputError
from phangs_xr.sky.grid import Grid, get_grid
from phangs_xr.sky.wcs import format_wcs, get_astropy_frame, strip_header

if TYPE_CHECKING:
    from astropy.nddata import CCDData
    from astropy.visualization.wcsaxes import WCSAxes


@xr.register_dataarray_accessor("sky")
@xr.register_dataset_accessor("sky")
class SkyAccessor:
    """What an image, or a dataset of images on one grid, knows of its place on the sky.

    Every member raises GridError if the image has no `wcs`, or irregular `x` or `y`.
    """

    def __init__(self, image: xr.DataArray | xr.Dataset) -> None:
        self._image = image

    @property
    def grid(self) -> Grid:
        """The grid of this image."""
        return get_grid(self._image)

    @property
    def wcs(self) -> WCS:
        """The astropy WCS of these pixels, counted from 0 in this array; new at each call."""
        return self.grid.to_wcs()

    @property
    def pixel_area(self) -> float:
        """Area of one pixel [arcsec²], from the determinant of the whole matrix."""
        return self.grid.pixel_area

    @property
    def footprint(self) -> NDArray[np.float64]:
        """RA and Dec [deg] of the centres of the four corner pixels, shape (4, 2).

        In astropy's order: first row and column, last row, both last, last column.
        """
        ny, nx = self.grid.shape
        lon, lat = self.grid.to_sky([0, ny - 1, ny - 1, 0], [0, 0, nx - 1, nx - 1])
        return np.stack([lon, lat], axis=1)

    def sel(self, ra: float | slice, dec: float | slice) -> Any:
        """Select by position on the sky.

        Parameters
        ----------
        ra, dec
            In degrees, the grid's own system: two numbers for the pixel nearest to a position,
            or two slices for the smallest window that holds a box. A box may cross RA 0.

        Returns
        -------
        DataArray or Dataset
            One pixel without its dims, or the window, clipped to the image.

        Raises
        ------
        InputError
            If the position, or all of the box, lies outside the image.
        """
        row, col = locate(self.grid, ra, dec)
        return self._image.isel(y=row, x=col)

    def cutout(
        self, center: SkyCoord | tuple[float, float], size: float | u.Quantity | Sequence[float]
    ) -> Any:
        """Cut a rectangle of pixels around a position.

        Parameters
        ----------
        center
            Position on the sky, or RA and Dec [deg] in the grid's own system.
        size
            Side [arcsec, or any angle as a Quantity]; a pair is height and width.

        Returns
        -------
        DataArray or Dataset
            The window, clipped to the image, still lazy if the image is.

        Raises
        ------
        InputError
            If the rectangle lies wholly outside the image.
        """
        rows, cols = locate_cutout(self.grid, center, size)
        return self._image.isel(y=rows, x=cols)

    def to_ccddata(self, error: xr.DataArray | None = None) -> "CCDData":
        """Return an image, with its error, as astropy's CCDData; see `make_ccddata`."""
        # What most never need takes long to import.
        from phangs_xr.sky.ccddata import make_ccddata

        if isinstance(self._image, xr.Dataset):
            message = "expected an image for CCDData, found a dataset: choose one of its images"
            raise InputError(message)
        return make_ccddata(self._image, error)

    def plot(self, ax: "WCSAxes | None" = None, **options: Any) -> "WCSAxes":
        """Draw an image on axes of RA and Dec; options are those of `plot_image`.

        `vmin`, `vmax`, `cmap`, `scale_bar`, `distance` [Mpc].
        """
        from phangs_xr.sky.plot_image import plot_image

        if isinstance(self._image, xr.Dataset):
            message = "expected an image to draw, found a dataset: choose one of its images"
            raise InputError(message)
        return plot_image(self._image, ax, **options)

    def with_coords(self, *, index: bool = True) -> Any:
        """Add the coordinates `ra` and `dec` [deg], computed where they are looked at.

        Slices keep them lazy. Computing or writing the image fills them, at 16 bytes per pixel:
        add them for looking, not for working.

        Parameters
        ----------
        index
            Whether `.sel(ra=, dec=)` shall select by them. Without, libraries take them that know
            no index of two dimensions: `hvplot.image(x="x", y="y", hover_cols=["ra", "dec"])`.

        Returns
        -------
        DataArray or Dataset
            With two coordinates more.
        """
        found = self._image.assign_coords(make_sky_coordinates(self.grid))
        return found if index else found.drop_indexes(list(_UNITS))

    def header(self) -> fits.Header:
        """Return the FITS header of this slice.

        Returns
        -------
        astropy.io.fits.Header
            The cards of `fits_header`, if the image has it, without those that described the
            stored array, and the WCS of exactly these pixels.
        """
        text = self._image.attrs.get("fits_header", "")
        header = strip_header(fits.Header.fromstring(text, sep="\n"))
        header.extend(fits.Header.fromstring(format_wcs(self.wcs), sep="\n").cards)
        return header


_UNITS = {"ra": "deg", "dec": "deg"}


def locate(grid: Grid, ra: Any, dec: Any) -> tuple[Any, Any]:
    """Find the pixel nearest to a position, or the window that holds a box.

    Parameters
    ----------
    grid
        The grid to look in.
    ra, dec
        In degrees: two numbers (or two arrays of one shape), or two slices.

    Returns
    -------
    tuple
        Row and column, or slices of rows and columns.

    Raises
    ------
    InputError
        If a position or all of the box lies outside, or only one of the two is a slice.
    """
    if isinstance(ra, slice) != isinstance(dec, slice):
        raise InputError(
            f"expected two positions or two slices, found ra={ra}, dec={dec}: give both alike"
        )
    if isinstance(ra, slice) and isinstance(dec, slice):
        return _locate_box(grid, ra, dec)
    return _locate_positions(grid, ra, dec)


def _locate_positions(grid: Grid, ra: Any, dec: Any) -> tuple[Any, Any]:
    row, col = (np.floor(position + 0.5) for position in grid.to_pixel(ra, dec))
    ny, nx = grid.shape
    inside = (row >= 0) & (row < ny) & (col >= 0) & (col < nx)
    if not np.all(inside):
        raise _report_outside(grid, f"RA {ra}, Dec {dec}")
    return row.astype(np.intp)[()], col.astype(np.intp)[()]


def _locate_box(grid: Grid, ra: slice, dec: slice) -> tuple[slice, slice]:
    if None in (ra.start, ra.stop, dec.start, dec.stop) or ra.step or dec.step:
        raise InputError(
            f"expected slices with two ends and no step, found ra={ra}, dec={dec}: "
            f"give all four sides of the box in degrees"
        )
    # The short way round from one side to the other, so a box may cross RA 0 and may be given
    # in the order in which RA runs along the image.
    width = (ra.stop - ra.start + 180.0) % 360.0 - 180.0
    along = np.linspace(0.0, 1.0, 33)
    ra_edge = ra.start + width * np.concatenate([along, along, 0 * along, 0 * along + 1])
    height = dec.stop - dec.start
    dec_edge = dec.start + height * np.concatenate([0 * along, 0 * along + 1, along, along])
    rows, cols = (
        _clip(positions.min(), positions.max(), size)
        for positions, size in zip(grid.to_pixel(ra_edge, dec_edge), grid.shape, strict=True)
    )
    if rows is None or cols is None:
        raise _report_outside(grid, f"RA {ra.start} to {ra.stop}, Dec {dec.start} to {dec.stop}")
    return rows, cols


def _clip(low: float, high: float, size: int) -> slice | None:
    """Pixels that an interval touches; None if there are none."""
    if not (low < size - 0.5 and high >= -0.5):
        return None
    return slice(max(math.floor(low + 0.5), 0), min(math.floor(high + 0.5) + 1, size))


def _report_outside(grid: Grid, found: str) -> InputError:
    ny, nx = grid.shape
    lon, lat = grid.to_sky([0, 0, ny - 1, ny - 1], [0, nx - 1, 0, nx - 1])
    return InputError(
        f"expected a position inside the image (corners at "
        f"{', '.join(f'{a:.5f} {b:+.5f}' for a, b in zip(lon, lat, strict=True))}), "
        f"found {found}: give degrees inside it"
    )


def locate_cutout(
    grid: Grid,
    center: SkyCoord | tuple[float, float],
    size: float | u.Quantity | Sequence[float],
) -> tuple[slice, slice]:
    """Find the window of a cutout.

    Parameters
    ----------
    grid
        The grid to cut from.
    center
        Position, or RA and Dec [deg].
    size
        Side, or height and width [arcsec, or a Quantity].

    Returns
    -------
    tuple of slice
        Rows and columns, clipped to the grid.

    Raises
    ------
    InputError
        If the window lies wholly outside, or the size is not positive.
    """
    wcs = grid.to_wcs()
    lon, lat = _get_raw_position(center, wcs)
    sides = np.broadcast_to(u.Quantity(size, u.arcsec, copy=None).to_value(u.deg), 2)
    if not np.all((sides > 0) & (sides < np.inf)):
        raise InputError(f"expected a positive size of the cutout, found {size}: give arcsec")
    # astropy orders the scales as the axes of FITS are, columns first.
    counts = np.maximum(np.round(sides / proj_plane_pixel_scales(wcs)[::-1]), 1)
    windows = []
    for position, count, length in zip(grid.to_pixel(lon, lat), counts, grid.shape, strict=True):
        start = np.ceil(position - count / 2)
        if not (start < length and start + count > 0):
            raise _report_outside(grid, f"a cutout around RA {lon}, Dec {lat}")
        windows.append(slice(max(int(start), 0), min(int(start + count), length)))
    return windows[0], windows[1]


def _get_raw_position(center: SkyCoord | tuple[float, float], wcs: Any) -> tuple[float, float]:
    """Longitude and latitude [deg] in the image's own system."""
    if not isinstance(center, SkyCoord):
        lon, lat = center
        return float(lon), float(lat)
    frame = get_astropy_frame(wcs)
    is_j2000 = center.frame.name == "fk5" and center.equinox == Time("J2000")
    if not (is_j2000 and isinstance(frame, ICRS)):
        center = center.transform_to(frame)
    return float(center.spherical.lon.deg), float(center.spherical.lat.deg)


class _SkyTransform(CoordinateTransform):
    """Pixels of one grid to RA and Dec."""

    def __init__(
        self,
        grid: Grid,
        coord_names: Iterable[Hashable] = ("ra", "dec"),
        dims: Iterable[str] = ("y", "x"),
    ) -> None:
        super().__init__(coord_names, dict(zip(dims, grid.shape, strict=True)))
        self.grid = grid

    def forward(self, dim_positions: dict[str, Any]) -> dict[Hashable, Any]:
        values = self.grid.to_sky(*(dim_positions[dim] for dim in self.dims))
        return dict(zip(self.coord_names, values, strict=True))

    def equals(
        self, other: CoordinateTransform, *, exclude: frozenset[Hashable] | None = None
    ) -> bool:
        return isinstance(other, _SkyTransform) and self.grid == other.grid


class SkyIndex(CoordinateTransformIndex):
    """RA and Dec of a grid, which slicing keeps lazy and selection outside refuses.

    The stock index is lost by `isel`, and outside the image its `sel` returns, through negative
    indices, pixels of the opposite corner.
    """

    transform: _SkyTransform

    def isel(self, indexers: Mapping[Any, Any]) -> "SkyIndex | None":
        """Slice the grid with the image; other indexers leave no regular grid."""
        picked = [indexers.get(dim, slice(None)) for dim in self.transform.dims]
        if not all(isinstance(indexer, slice) for indexer in picked):
            return None
        names, dims = self.transform.coord_names, self.transform.dims
        return SkyIndex(_SkyTransform(self.transform.grid.window(*picked), names, dims))

    def sel(self, labels: dict[Any, Any], method: Any = None, tolerance: Any = None) -> Any:
        """Select the nearest pixel for numbers or arrays, a window for slices."""
        names, dims = self.transform.coord_names, self.transform.dims
        if set(labels) != set(names) or tolerance is not None:
            raise InputError(
                f"expected both {' and '.join(map(str, names))} and no tolerance, "
                f"found {sorted(map(str, labels))}: select by both"
            )
        lon, lat = (labels[name] for name in names)
        if isinstance(lon, xr.DataArray | xr.Variable):
            lon, lat = xr.broadcast(xr.DataArray(lon), xr.DataArray(lat))
            found = locate(self.transform.grid, lon.values, lat.values)
            indexers = {
                dim: xr.Variable(lon.dims, index) for dim, index in zip(dims, found, strict=True)
            }
            return IndexSelResult(indexers)
        return IndexSelResult(dict(zip(dims, locate(self.transform.grid, lon, lat), strict=True)))


def make_sky_coordinates(grid: Grid) -> xr.Coordinates:
    """Make the lazy coordinates `ra` and `dec` [deg] of a grid.

    Parameters
    ----------
    grid
        The grid; nothing of its size is allocated.

    Returns
    -------
    xarray.Coordinates
        To be assigned to an image on that grid.
    """
    coordinates = xr.Coordinates.from_xindex(SkyIndex(_SkyTransform(grid)))
    for name, unit in _UNITS.items():
        coordinates[name].attrs["units"] = unit
    return coordinates
