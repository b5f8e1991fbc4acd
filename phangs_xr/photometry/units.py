"""Units of images: what files write, as what astropy reads."""

from __future__ import annotations

import re
import warnings

from astropy import units as u

_PER_PIXEL = re.compile(
    r"[*/ ]*(/\s*(spaxel|pixel|pix)\b|\b(spaxel|pixel|pix)\s*(\*\*|\^)?\s*-1)", re.I
)
_POWER = re.compile(r"\*\*\s*\(\s*([+-]?\d+)\s*\)")
_COUNTED = re.compile(r"(electron|e-|count)s?(\s*/\s*s|\s+s-1)?", re.I)
_ENDLESS = re.compile(r"(\*\*|\^|10\s*\+)[\s(+]*\d{4}")


def is_endless(text: str) -> bool:
    """Tell whether astropy would work out a power of so many digits that it never ends."""
    return _ENDLESS.search(text) is not None


def normalise_units(text: str) -> str:
    """Translate the BUNIT of a file into a unit that astropy reads.

    Parameters
    ----------
    text
        As HST, MUSE and others write it; "per pixel" is left out, since it holds of every image.

    Returns
    -------
    str
        In FITS's own notation where that has the unit; empty for what no parser reads.
    """
    bare = _POWER.sub(r"**\1", _PER_PIXEL.sub("", text.strip()))
    if counted := _COUNTED.fullmatch(bare):
        # Here a capital S is seconds; to astropy it is siemens.
        bare = "electron" if counted[1][0] in "eE" else "count"
        bare += " / s" if counted[2] else ""
    if is_endless(bare):
        return ""
    try:
        with warnings.catch_warnings():
            # Several slashes in a row are discouraged, yet their meaning is fixed.
            warnings.simplefilter("ignore", u.UnitsWarning)
            unit = u.Unit(bare)
    except (ValueError, TypeError):
        return ""
    try:
        return str(unit.to_string("fits"))
    except ValueError:
        # The FITS standard lacks some units, the electron among them.
        return str(unit.to_string())
