"""What an image says of itself: product labels and units, and the photometry of its header."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import xarray as xr
from astropy.io import fits

from phangs_xr.errors import InputError
from phangs_xr.schema import PRODUCTS
from phangs_xr.sky import Grid, require_one_grid

PHOTOMETRY = ("photflam", "photplam", "photbw")
"""HST's photometric keywords: inverse sensitivity, pivot wavelength, RMS bandwidth."""

_MEANING = {
    "photflam": "inverse sensitivity, erg/cm2/Angstrom/electron",
    "photplam": "pivot wavelength, Angstrom",
    "photbw": "bandwidth, Angstrom",
}


@dataclass(frozen=True)
class Photometry:
    """How an image's counts become flux.

    Attributes
    ----------
    photflam
        Inverse sensitivity [erg/s/cm²/Å per electron/s].
    pivot
        Pivot wavelength [Å].
    """

    photflam: float
    pivot: float


def label_product(image: xr.DataArray, name: str, step: str, **extra: Any) -> xr.DataArray:
    """Return the image under a product's name, with its unit, sentence and the step that made it.

    Parameters
    ----------
    image
        Whatever a kernel made; its attributes are replaced.
    name
        A name of `phangs_xr.schema.PRODUCTS`.
    step
        The step that made it.
    **extra
        Further attributes that hold for the product.
    """
    product = PRODUCTS[name]
    attrs = {"units": product.units, "long_name": product.long_name, "step": step, **extra}
    return image.rename(name).assign_attrs(attrs)


def require_units(image: xr.DataArray, name: str) -> None:
    """Refuse an image whose unit is not that of the product it is given as.

    Raises
    ------
    InputError
        If the `units` attribute differs from the product's.
    """
    expected, found = PRODUCTS[name].units, image.attrs.get("units")
    if found != expected:
        message = (
            f"{name} should have units {expected!r}, found {found!r}: "
            f"convert the image and set attrs['units'], or pass the right one"
        )
        raise InputError(message)


def require_products(**images: xr.DataArray) -> Grid:
    """Refuse images that are not on one grid, or not in the units of the products they stand for.

    Parameters
    ----------
    **images
        By the names of products.

    Returns
    -------
    Grid
        The grid of all of them.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit differs from the product's.
    """
    grid = require_one_grid(**images)
    for name, image in images.items():
        require_units(image, name)
    return grid


def find_keyword(image: xr.DataArray, keyword: str) -> Any:
    """Return an attribute of an image, else the card of this name in the header it came with."""
    if keyword in image.attrs:
        return image.attrs[keyword]
    header = image.attrs.get("fits_header")
    if header is None:
        return None
    return fits.Header.fromstring(header, sep="\n").get(keyword.upper())


def require_photometry(image: xr.DataArray, keyword: str, name: str) -> float:
    """Return a photometric keyword of an image as a positive number.

    Parameters
    ----------
    image
        With the attribute, or with the header it came with.
    keyword
        One of `PHOTOMETRY`.
    name
        What the image is to the caller, for the message.

    Raises
    ------
    InputError
        If the keyword is missing or not a positive, finite number.
    """
    value = find_keyword(image, keyword)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and isfinite(value) and value > 0:
        return float(value)
    source = image.attrs.get("source")
    where = f" in {source}" if source else ""
    found = "no such card" if value is None else f"{value!r}"
    message = (
        f"{name}: {keyword.upper()} ({_MEANING[keyword]}) should be a positive number, found "
        f"{found}{where}: correct the header, or give it in the configuration as "
        f"[inputs] {name} = {{ path = ..., {keyword} = ... }}"
    )
    raise InputError(message)


def get_photometry(image: xr.DataArray, name: str) -> Photometry:
    """Return an image's inverse sensitivity and pivot wavelength; see `require_photometry`."""
    return Photometry(
        photflam=require_photometry(image, "photflam", name),
        pivot=require_photometry(image, "photplam", name),
    )
