"""Spectral cubes as lazy labelled data: planes of images, each with its wavelength in vacuum."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from xarray.core import indexing

from phangs_xr.errors import InputError, refuse_damaged
from phangs_xr.io.fits import FitsArray, find_hdu, get_stamp, is_stored_plainly, read_headers
from phangs_xr.photometry.lines import convert_air_to_vacuum
from phangs_xr.photometry.units import normalise_units
from phangs_xr.sky import Grid
from phangs_xr.sky.wcs import format_wcs

AXES = ("WAVE", "AWAV")
"""Wavelengths in vacuum and in air, linear along the axis."""

SCALES = {"angstrom": 1.0, "nm": 10.0, "um": 1e4, "m": 1e10}
"""Ångström in a unit of the spectral axis."""


def open_cube(path: str | os.PathLike[str], hdu: int | str = "DATA") -> xr.DataArray:
    """Open a spectral cube without reading its pixels.

    Parameters
    ----------
    path
        The FITS file.
    hdu
        Number or name of the HDU with the cube, axes x, y, wavelength in FITS order.

    Returns
    -------
    xr.DataArray
        Lazily indexed, dims `wavelength`, `y`, `x`; `wavelength` in vacuum [Å], whatever the file
        counts in; `wcs` of its images; attributes `units` and `fits_header`.

    Raises
    ------
    InputError
        If the file is missing, no FITS, damaged, compressed or scaled, or has no cube there with a
        linear axis of wavelengths.
    """
    with read_headers(path) as place, fits.open(place) as hdus:
        number = find_hdu(place, list(hdus), hdu)
        found = hdus[number]
        shape = tuple(getattr(found, "shape", ()))
        if len(shape) != 3 or 0 in shape:
            raise InputError(
                f"expected a cube of three axes in HDU {hdu!r} of {place}, found "
                f"{shape or 'no data'}: name the HDU with the spectra"
            )
        if not is_stored_plainly(place, found):
            raise InputError(
                f"expected a cube of plain numbers in HDU {hdu!r} of {place}, found it compressed "
                f"or scaled: unpack it first (funpack)"
            )
        header = found.header
        dtype = np.dtype(fits.BITPIX2DTYPE[header["BITPIX"]]).newbyteorder("=")
        start = found.fileinfo()["datLoc"]
        array = FitsArray(str(place.absolute()), number, shape, dtype, start, get_stamp(place))
        wavelength = find_wavelengths(header, shape[0], str(place))
        with refuse_damaged(f"the WCS of {place}"):
            text = format_wcs(WCS(header).celestial)
    cube = xr.DataArray(
        xr.Variable(("wavelength", "y", "x"), indexing.LazilyIndexedArray(array)),
        {"wavelength": wavelength},
        attrs={
            "units": normalise_units(str(header.get("BUNIT", ""))),
            "fits_header": str(header.tostring(sep="\n", endcard=False, padding=False)),
            "source": str(place),
        },
    )
    return cube.assign_coords(Grid(text, 0.0, 0.0, 1.0, 1.0, (shape[1], shape[2])).coords())


def find_wavelengths(header: fits.Header, count: int, file: str) -> NDArray[np.float64]:
    """Return the wavelengths of a cube's planes in vacuum [Å].

    Raises
    ------
    InputError
        If the third axis is no linear one of wavelengths.
    """
    kind = str(header.get("CTYPE3", "")).strip().upper()
    unit = str(header.get("CUNIT3", "")).strip().lower()
    step: Any = header.get("CD3_3", header.get("CDELT3"))
    first, pixel = header.get("CRVAL3"), header.get("CRPIX3")
    numbers = all(isinstance(value, int | float) for value in (step, first, pixel))
    if kind not in AXES or unit not in SCALES or not numbers or not step > 0:
        raise InputError(
            f"expected a linear axis of wavelengths (CTYPE3 WAVE or AWAV, CUNIT3 one of "
            f"{', '.join(SCALES)}) in {file}, found CTYPE3 = {kind!r}, CUNIT3 = {unit!r}, step "
            f"{step!r}: correct the header"
        )
    planes = (first + (np.arange(count) + 1 - pixel) * step) * SCALES[unit]
    return convert_air_to_vacuum(planes) if kind == "AWAV" else planes
