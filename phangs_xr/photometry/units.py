"""Units of images: what files write, as what astropy reads."""

from __future__ import annotations

import re
import warnings

from astropy import units as u

from phangs_xr.schema import COUNT_RATES

JANSKY_CGS = 1e-23
"""A jansky [erg/s/cm²/Hz]."""

_PER_PIXEL = re.compile(
    r"[*/ ]*(/\s*(spaxel|pixel|pix)\b|\b(spaxel|pixel|pix)\s*(\*\*|\^)?\s*-1)", re.I
)
_POWER = re.compile(r"\*\*\s*\(\s*([+-]?\d+)\s*\)")
_SECOND = (
    r"\s*(/|\bper\b)\s*(s|sec|secs|second|seconds)"
    r"|[\s*.]+(s|sec|second)\s*(\*\*|\^)?\s*\(?-1\)?"
)
_COUNTED = re.compile(rf"(electron|e-|e|count|cnt|ct|dn|adu)s?(?P<rate>{_SECOND})?", re.I)
_COUNTS_PER_SECOND = re.compile(r"cps", re.I)
_ENDLESS = re.compile(r"(\*\*|\^|10\s*\+)[\s(+]*\d{4}")
_WORDS = {"e": "electron", "c": "count", "d": "adu", "a": "adu"}


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
    if _COUNTS_PER_SECOND.fullmatch(bare):
        bare = "count / s"
    elif counted := _COUNTED.fullmatch(bare):
        # Here a capital S is seconds; to astropy it is siemens.
        bare = _WORDS[counted[1][0].lower()] + (" / s" if counted["rate"] else "")
    if is_endless(bare):
        return ""
    try:
        with warnings.catch_warnings():
            # Several slashes in a row are discouraged, yet their meaning is fixed.
            warnings.simplefilter("ignore", u.UnitsWarning)
            unit = u.Unit(bare)
    # Of odd texts astropy's parser raises what its parts happen to: overflows, recursion, …
    except Exception:
        return ""
    try:
        return str(unit.to_string("fits"))
    except ValueError:
        # The FITS standard lacks some units, the electron among them.
        return str(unit.to_string())


def find_counts(units: str) -> tuple[str, bool]:
    """Return what a unit counts, and whether it is a rate of that.

    Parameters
    ----------
    units
        As `normalise_units` returns it.

    Returns
    -------
    tuple of str and bool
        "electron", "count" or "adu", and True if per second; "" for any other unit.
    """
    for rate in COUNT_RATES:
        counted = rate.split()[0]
        if units == counted:
            return counted, False
        if units == rate:
            return counted, True
    return "", False
