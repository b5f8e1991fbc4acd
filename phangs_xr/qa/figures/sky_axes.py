"""Where on paper the sky lies: offsets in arcsec for either backend, RA and Dec for matplotlib."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from phangs_xr.qa.figures.hooks_matplotlib import show_as_image
from phangs_xr.qa.figures.style import style
from phangs_xr.sky.grid import Grid, get_grid

Axes = Literal["offset", "sky"]
"""Offsets from the centre [arcsec], in either backend; or RA and Dec, in matplotlib alone."""

Positions = NDArray[np.float64]


@dataclass(frozen=True)
class OffsetPlane:
    """Offsets from the centre of a grid [arcsec], east to the left where north is up.

    A grid turned by more than a degree keeps its own axes, which are then named x and y.
    `distance` is that of what is seen [Mpc], for the scale bar; None if it is not known.
    """

    grid: Grid
    distance: float | None = None

    @cached_property
    def is_upright(self) -> bool:
        """Whether rows run east to west and columns south to north, to a degree."""
        (east_x, north_x), (_, north_y) = find_directions(self.grid)
        level = abs(north_x) <= abs(east_x) * np.tan(np.deg2rad(1.0))
        return bool(level and east_x < 0 and north_y > 0)

    @property
    def dims(self) -> list[hv.Dimension]:
        """ΔRA and ΔDec, or x and y."""
        names = ("ΔRA", "ΔDec") if self.is_upright else ("Δx", "Δy")
        return [
            hv.Dimension(name, label=label, unit="arcsec")
            for name, label in zip(("offset_x", "offset_y"), names, strict=True)
        ]

    @property
    def arcsec(self) -> float:
        """Length of one arcsec along the axes."""
        return 1.0

    def place(self, row: ArrayLike, column: ArrayLike) -> tuple[Positions, Positions]:
        """Return x and y of positions in the grid [pixel]."""
        middle_row, middle_column = (np.array(self.grid.shape) - 1) / 2
        scale = float(np.sqrt(self.grid.pixel_area))
        x = (np.asarray(column, dtype=np.float64) - middle_column) * scale
        y = (np.asarray(row, dtype=np.float64) - middle_row) * scale
        return -x if self.is_upright else x, y

    def draw(self, image: xr.DataArray, values: NDArray[Any], *names: str | hv.Dimension) -> Any:
        """Return the Image that shows `values`, lying where the pixels of `image` do."""
        rows, columns = _find_edges(image, self.grid)
        (left, right), (bottom, top) = self.place(rows[[0, -1]], columns[[0, -1]])
        # An Image holds its first row on top.
        picture = values[::-1]
        if left > right:
            left, right, picture = right, left, picture[:, ::-1]
        picture = np.ascontiguousarray(picture)
        bounds = (left, bottom, right, top)
        return hv.Image(picture, bounds=bounds, kdims=self.dims, vdims=list(names))

    @cached_property
    def sky_terms(self) -> tuple[float, ...]:
        """RA and Dec of the centre, then steps to the east and north along x, and along y.

        All in radians, the steps per arcsec of offset: what JavaScript needs to tell RA and Dec.
        """
        row, column = (np.array(self.grid.shape) - 1) / 2
        ra, dec = self.grid.to_sky(row, column)
        per_arcsec = find_directions(self.grid) / np.sqrt(self.grid.pixel_area)
        if self.is_upright:
            per_arcsec[0] *= -1
        return tuple(float(one) for one in np.deg2rad([ra, dec, *per_arcsec.ravel()]))

    @property
    def bokeh(self) -> dict[str, Any]:
        """Options of every overlay in the plane: east to the left."""
        return {"data_aspect": 1, "invert_xaxis": self.is_upright}

    @property
    def mpl(self) -> dict[str, Any]:
        """Options of every element and overlay in the plane."""
        return {"aspect": "equal", "invert_xaxis": self.is_upright}


@dataclass(frozen=True)
class SkyPlane:
    """RA and Dec on astropy's WCSAxes, which count the pixels of a grid; matplotlib only."""

    grid: Grid
    distance: float | None = None
    bokeh: ClassVar[dict[str, Any]] = {}
    sky_terms: ClassVar[None] = None

    @cached_property
    def is_upright(self) -> bool:
        """Whether rows run east to west and columns south to north, to a degree."""
        return OffsetPlane(self.grid).is_upright

    @property
    def dims(self) -> list[hv.Dimension]:
        """RA and Dec, as the axes are labelled."""
        return [hv.Dimension("pixel_x", label="RA"), hv.Dimension("pixel_y", label="Dec")]

    @property
    def arcsec(self) -> float:
        """Length of one arcsec along the axes."""
        return 1.0 / float(np.sqrt(self.grid.pixel_area))

    def place(self, row: ArrayLike, column: ArrayLike) -> tuple[Positions, Positions]:
        """Return the pixels themselves."""
        return np.asarray(column, dtype=np.float64), np.asarray(row, dtype=np.float64)

    def draw(self, image: xr.DataArray, values: NDArray[Any], *names: str | hv.Dimension) -> Any:
        """Return a QuadMesh: WCSAxes cannot show an Image of HoloViews."""
        rows, columns = _find_edges(image, self.grid)
        mesh = hv.QuadMesh((columns, rows, values), kdims=self.dims, vdims=list(names))
        return style(mesh, mpl={"hooks": [show_as_image]})

    @cached_property
    def mpl(self) -> dict[str, Any]:
        """Options of every element and overlay in the plane: its projection."""
        return {"projection": self.grid.to_wcs(), "aspect": "equal"}


Plane = OffsetPlane | SkyPlane
"""A way to lay the pixels of a grid on paper."""


def choose_plane(grid: Grid, axes: Axes, distance: float | None = None) -> Plane:
    """Return the plane of a grid; `distance` is that of what is seen [Mpc]."""
    return OffsetPlane(grid, distance) if axes == "offset" else SkyPlane(grid, distance)


def place_on_sky(plane: Plane, ra: ArrayLike, dec: ArrayLike) -> tuple[Positions, Positions]:
    """Return x and y of positions on the sky [deg]."""
    return plane.place(*plane.grid.to_pixel(ra, dec))


def find_directions(grid: Grid) -> NDArray[np.float64]:
    """Return east and north steps [deg] of one pixel along x, and of one along y."""
    row, column = (np.array(grid.shape) - 1) / 2
    ra, dec = grid.to_sky([row, row, row + 1], [column, column + 1, column])
    east = ((ra - ra[0] + 180.0) % 360.0 - 180.0) * np.cos(np.deg2rad(dec[0]))
    return np.stack([east, dec - dec[0]], axis=1)[1:]


def _find_edges(image: xr.DataArray, grid: Grid) -> tuple[NDArray[Any], NDArray[Any]]:
    """Edges of an image's rows and columns, in the pixels of the grid it was made from."""
    own = get_grid(image)
    rows = (own.y0 - grid.y0 + own.dy * (np.arange(own.shape[0] + 1) - 0.5)) / grid.dy
    columns = (own.x0 - grid.x0 + own.dx * (np.arange(own.shape[1] + 1) - 0.5)) / grid.dx
    return rows, columns
