"""Grids and images whose place on the sky astropy tells, one for each kind of header."""

import math

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from hypothesis import strategies as st

from phangs_xr.sky import Grid, format_wcs

SHAPE = (180, 230)
TAN = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CUNIT1": "deg",
    "CUNIT2": "deg",
    "CRVAL1": 24.173940000012345,
    "CRVAL2": 15.78346,
    "CRPIX1": 120.5,
    "CRPIX2": 77.25,
    "RADESYS": "ICRS",
}
CD = {
    "CD1_1": -1.0759623608071234e-05,
    "CD1_2": 2.28702859899535e-06,
    "CD2_1": 2.28702859899535e-06,
    "CD2_2": 1.0759623608071e-05,
}
ROTATED = {
    "CDELT1": -1.1e-05,
    "CDELT2": 1.1e-05,
    "PC1_1": math.cos(0.5),
    "PC1_2": -math.sin(0.5),
    "PC2_1": math.sin(0.5),
    "PC2_2": math.cos(0.5),
}
SIP_TERMS = {
    "CTYPE1": "RA---TAN-SIP",
    "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 3,
    "A_2_0": 3.1e-6,
    "A_1_1": -1.7e-6,
    "A_0_3": 2.2e-9,
    "B_ORDER": 2,
    "B_0_2": 2.3e-6,
    "B_1_1": -4.1e-6,
}
TPV_TERMS = {
    "CTYPE1": "RA---TPV",
    "CTYPE2": "DEC--TPV",
    "PV1_1": 1.0001,
    "PV1_4": 0.3,
    "PV2_1": 0.9998,
    "PV2_5": -0.2,
}
HEADERS = {
    "cd": TAN | CD,
    "rotated": TAN | ROTATED,
    "sip": TAN | CD | SIP_TERMS,
    "zpn": TAN
    | CD
    | {"CTYPE1": "RA---ZPN", "CTYPE2": "DEC--ZPN", "PV2_1": 1.0, "PV2_3": 40.0, "LONPOLE": 170.0},
    "swapped": TAN
    | CD
    | {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 15.78, "CRVAL2": 24.17},
}


def make_header(kind: str = "cd", **cards: object) -> fits.Header:
    """A header of some kind, with other cards besides."""
    # Cards of astropy's own making keep no more than 20 characters of a number.
    lines = [
        f"{key:<8}= {value!r}".replace("e-", "E-") for key, value in (HEADERS[kind] | cards).items()
    ]
    return fits.Header.fromstring("\n".join(lines), sep="\n")


def make_grid(kind: str = "cd", shape: tuple[int, int] = SHAPE, **cards: object) -> Grid:
    """The grid of a whole image with such a header."""
    return Grid(format_wcs(make_header(kind, **cards)), 0.0, 0.0, 1.0, 1.0, shape)


def make_image(grid: Grid, name: str = "halpha") -> xr.DataArray:
    """An image on a grid whose values tell row and column."""
    rows, cols = np.indices(grid.shape)
    values = (rows * 1000 + cols).astype(np.float32)
    return xr.DataArray(values, grid.coords(), ("y", "x"), name=name)


every_kind = pytest.mark.parametrize("kind", HEADERS)
"""Run a test with each kind of header."""

slices = st.tuples(
    st.integers(0, SHAPE[0] - 2),
    st.integers(1, 99),
    st.integers(0, SHAPE[1] - 2),
    st.integers(1, 99),
)
"""Windows: first row and height, first column and width [pixel]."""
