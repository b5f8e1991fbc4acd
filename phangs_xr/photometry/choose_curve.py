"""Which filter curve is an image's: by the configuration, its header, or else its file's name."""

from __future__ import annotations

import re
from typing import Any

import xarray as xr
from astropy.io import fits

from phangs_xr.errors import InputError
from phangs_xr.photometry.curves import Curve, get_curve, list_curves
from phangs_xr.photometry.keywords import PHOTOMETRY

_FILTER = re.compile(r"(?<![a-z0-9])f(\d{3})([a-z]{1,2})?(?![a-z0-9])", re.I)
_INSTRUMENTS = {"acs": "ACS_WFC", "uvis": "WFC3_UVIS2", "wfc3": "WFC3_UVIS2"}
"""By the word in a file's name; drizzled UVIS mosaics join both chips, whose curves differ by less
than 1 %."""

_NARROW_WITHOUT_N = ("656", "657", "658")
"""Filters that released files name without their letter (MAST: `f657`)."""


def name_curve(image: xr.DataArray) -> str:
    """Return the name of an image's filter curve, "" if nothing tells it.

    Parameters
    ----------
    image
        With the attribute `curve`, the header it came with, or `source`, its file.

    Returns
    -------
    str
        For `get_curve`: the attribute; else by PHOTMODE, by INSTRUME, DETECTOR and FILTER; else by
        the file's name, if that names one camera and one filter.
    """
    if "curve" in image.attrs:
        return str(image.attrs["curve"])
    text = image.attrs.get("fits_header")
    header = {} if text is None else fits.Header.fromstring(text, sep="\n")
    file = str(image.attrs.get("source", "")).rsplit("/", 1)[-1]
    found = (_name_by_mode(header), _name_by_header(header), _name_by_file(file))
    return next((name for name in found if name in list_curves()), "")


def find_curve(image: xr.DataArray, name: str) -> Curve:
    """Return an image's filter curve.

    Parameters
    ----------
    image
        See `name_curve`.
    name
        What the image is to the caller, for the message.

    Raises
    ------
    InputError
        If nothing tells which it is.
    """
    found = name_curve(image)
    if found:
        return get_curve(found)
    source = image.attrs.get("source", "its header")
    message = (
        f"{name}: the filter's throughput curve is needed, found no known camera and filter in "
        f"{source}: name it, or a file of your own, in the configuration: [inputs] {name} = "
        f'{{ path = "...", curve = "ACS_WFC_F658N" }}'
    )
    raise InputError(message)


def complete_photometry(image: xr.DataArray, name: str) -> xr.DataArray:
    """Return an image whose photometry is that of its filter curve, whatever its header says.

    Parameters
    ----------
    image, name
        As for `find_curve`.

    Returns
    -------
    xr.DataArray
        With `photflam`, `photplam` and `photbw` as attributes, and `photometry`, which says where
        they come from.
    """
    curve = find_curve(image, name)
    values = (curve.photflam, curve.pivot, curve.photbw)
    return image.assign_attrs(
        dict(zip(PHOTOMETRY, values, strict=True)), photometry=f"curve {curve.name}"
    )


def describe_curve(image: xr.DataArray, name: str) -> dict[str, Any]:
    """Return what later steps need of an image's curve, as attributes.

    Returns
    -------
    dict
        `curve`, `pivot` [Å] and `rectangular_width` [Å].
    """
    curve = find_curve(image, name)
    return {
        "curve": curve.name,
        "pivot": curve.pivot,
        "rectangular_width": curve.rectangular_width,
    }


def _name_by_mode(header: Any) -> str:
    words = re.split(r"[\s,]+", str(header.get("PHOTMODE", "")).upper())
    camera = next((word for word in words if re.fullmatch(r"UVIS[12]|WFC[12]?", word)), "")
    band = next((word for word in words if _FILTER.fullmatch(word)), "")
    if camera.startswith("UVIS"):
        return f"WFC3_{camera}_{band}"
    return f"ACS_WFC_{band}" if camera else ""


def _name_by_header(header: Any) -> str:
    camera = "/".join(str(header.get(key, "")).strip() for key in ("INSTRUME", "DETECTOR"))
    prefix = {"ACS/WFC": "ACS_WFC", "WFC3/UVIS": "WFC3_UVIS2"}.get(camera.upper(), "")
    filters = (str(header.get(key, "")).strip().upper() for key in ("FILTER", "FILTER1", "FILTER2"))
    band = next((one for one in filters if _FILTER.fullmatch(one)), "")
    return f"{prefix}_{band}"


def _name_by_file(file: str) -> str:
    words = re.split(r"[^a-z0-9]+", file.lower())
    cameras = {_INSTRUMENTS[word] for word in words if word in _INSTRUMENTS}
    filters = {match.group(0).upper() for word in words if (match := _FILTER.fullmatch(word))}
    if len(cameras) != 1 or len(filters) != 1:
        return ""
    band = filters.pop()
    return f"{cameras.pop()}_{band}{'N' if band[1:] in _NARROW_WITHOUT_N else ''}"
