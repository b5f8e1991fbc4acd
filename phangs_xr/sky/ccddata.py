"""Images as astropy's CCDData and back, with unit, WCS, error and mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from astropy import units as u
from astropy.nddata import CCDData, StdDevUncertainty

from phangs_xr.errors import InputError
from phangs_xr.sky.grid import Grid, get_grid, require_one_grid
from phangs_xr.sky.wcs import format_wcs


def make_ccddata(image: xr.DataArray, error: xr.DataArray | None = None) -> CCDData:
    """Return an image as CCDData; it is read, or computed, whole.

    Parameters
    ----------
    image
        2-D, with `wcs` and the attribute `units`.
    error
        Its standard deviation on the same grid, in the same unit.

    Returns
    -------
    CCDData
        With its unit, WCS, `StdDevUncertainty` if there is an error, and a mask of missing pixels;
        `meta` holds name and attributes.

    Raises
    ------
    GridError
        If there is no `wcs`, or the error is on another grid.
    InputError
        If the unit is none that astropy reads.
    """
    if error is not None:
        require_one_grid(image=image, error=error)
    try:
        unit = u.Unit(image.attrs.get("units", ""))
    except ValueError as fault:
        raise InputError(f"expected a unit that astropy reads: {fault}") from None
    values = np.array(image.values)
    uncertainty = None if error is None else StdDevUncertainty(np.array(error.values))
    meta = {"name": str(image.name or "image"), "attrs": dict(image.attrs)}
    grid = get_grid(image)
    return CCDData(
        values,
        unit=unit,
        uncertainty=uncertainty,
        mask=~np.isfinite(values),
        wcs=grid.to_wcs(),
        meta=meta,
    )


def read_ccddata(ccd: CCDData) -> xr.Dataset:
    """Return CCDData as a dataset: the image under its name, its error as `{name}_err`.

    Parameters
    ----------
    ccd
        2-D, with a celestial WCS; masked pixels become NaN.

    Returns
    -------
    xr.Dataset
        On the grid of its WCS, pixels counted from 0; bit for bit what `make_ccddata` was given.

    Raises
    ------
    InputError
        If it has no celestial WCS, or no two axes.
    """
    if ccd.wcs is None or ccd.data.ndim != 2:
        raise InputError(
            f"expected CCDData of two axes with a WCS, found {ccd.data.ndim} axes and "
            f"{'no' if ccd.wcs is None else 'a'} WCS: give an image that says where it lies"
        )
    meta: Any = ccd.meta or {}
    name = str(meta.get("name", "image"))
    attrs = {"units": ccd.unit.to_string(), **meta.get("attrs", {})}
    coords = Grid(format_wcs(ccd.wcs), 0.0, 0.0, 1.0, 1.0, ccd.data.shape).coords()
    values = np.array(ccd.data)
    if ccd.mask is not None:
        values = np.where(ccd.mask, np.nan, values).astype(values.dtype)
    images = {name: xr.DataArray(values, dims=("y", "x"), attrs=attrs)}
    if ccd.uncertainty is not None:
        error = np.array(ccd.uncertainty.represent_as(StdDevUncertainty).array)
        images[f"{name}_err"] = xr.DataArray(
            error, dims=("y", "x"), attrs={"units": attrs["units"]}
        )
    return xr.Dataset(images).assign_coords(coords)
