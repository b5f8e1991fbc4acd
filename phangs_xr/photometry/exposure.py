"""What time an image's counts were gathered in, where they are no rate."""

from __future__ import annotations

from math import inf

import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.photometry.keywords import find_keyword
from phangs_xr.photometry.labels import require_units
from phangs_xr.photometry.units import find_counts


def find_exposure(image: xr.DataArray, name: str) -> float:
    """Return the time by which counts must be divided to be a rate [s], 1 if they are one.

    Raises
    ------
    InputError
        If the unit is no count, or counts have no EXPTIME.
    """
    counted, is_rate = find_counts(image.attrs.get("units", ""))
    if not counted or is_rate:
        require_units(image, name)
        return 1.0
    value = find_keyword(image, "exptime")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf:
        return float(value)
    where = image.attrs.get("source", "its header")
    message = (
        f"{name}: EXPTIME (exposure time, s) should be a positive number where the unit is "
        f"{counted}, not a rate of it, found {value!r} in {where}: "
        f'correct the header, or, if the image is a rate, give units = "{counted}/s" in the '
        f"configuration"
    )
    raise InputError(message)
