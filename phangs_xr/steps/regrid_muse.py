"""Bring MUSE's map onto the HST grid, as flux per HST pixel.

Each HST pixel takes the value of the MUSE pixel its centre falls on ("nearest-neighbor", as
published) or the bilinear mean of the four around it, times the ratio of the pixel areas. As in
`reproject.reproject_interp`, MUSE's outer pixels reach half a pixel beyond their centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.labels import label_product, require_units
from phangs_xr.lazy import BAND, map_tiles
from phangs_xr.sky import Grid, get_grid, map_pixels_between

Order = Literal["nearest-neighbor", "bilinear"]

_SPLINE_ORDERS: dict[str, int] = {"nearest-neighbor": 0, "bilinear": 1}

PAD = 2
"""MUSE pixels needed around those that HST pixel centres fall on, for the bilinear mean."""


@dataclass(frozen=True)
class RegridMuse:
    """Options of `regrid_muse`.

    Attributes
    ----------
    order
        "nearest-neighbor" prints MUSE's 0.2" blocks into the HST grid, as published;
        "bilinear" does not.
    """

    order: Order = "nearest-neighbor"

    def __post_init__(self) -> None:
        """Refuse an unknown order."""
        if self.order not in _SPLINE_ORDERS:
            message = (
                f"regrid_muse: order should be one of {', '.join(_SPLINE_ORDERS)}, "
                f"found {self.order!r}: correct it"
            )
            raise InputError(message)


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


def regrid_muse(
    musehalpha: xr.DataArray, narrow: xr.DataArray, *, options: RegridMuse | None = None
) -> xr.Dataset:
    """Bring MUSE's H-alpha map onto the narrow band's grid.

    Parameters
    ----------
    musehalpha
        [1e-20 erg/s/cm² per MUSE pixel].
    narrow
        An image on the HST grid; its pixels are not read.
    options
        How to interpolate; the default if None.

    Returns
    -------
    xr.Dataset
        `musehalpha_regrid` [1e-20 erg/s/cm² per HST pixel], NaN where MUSE has no data.

    Raises
    ------
    GridError
        If an image has no WCS.
    InputError
        If the unit is not that of MUSE fluxes.
    """
    options = options or RegridMuse()
    require_units(musehalpha, "musehalpha")
    factor = get_grid(narrow).pixel_area / get_grid(musehalpha).pixel_area
    flux = map_tiles(
        resample_window, musehalpha, narrow, pad=PAD, order=options.order, factor=factor
    )
    name = "musehalpha_regrid"
    return xr.Dataset({name: label_product(flux, name, "regrid_muse")})
