"""The photometry of an image's header: how its counts become flux."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import xarray as xr
from astropy.io import fits

from phangs_xr.errors import InputError

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
        f"{found}{where}: correct the header, or let the filter's throughput curve tell it "
        f'(photometry = "curve"), or give it in the configuration as '
        f"[inputs] {name} = {{ path = ..., {keyword} = ... }}"
    )
    raise InputError(message)


def get_photometry(image: xr.DataArray, name: str) -> Photometry:
    """Return an image's inverse sensitivity and pivot wavelength; see `require_photometry`."""
    return Photometry(
        photflam=require_photometry(image, "photflam", name),
        pivot=require_photometry(image, "photplam", name),
    )
