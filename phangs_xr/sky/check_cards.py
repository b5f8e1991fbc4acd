"""Whether the cards of a WCS are numbers that it can have, before wcslib reads them.

Wcslib passes over a card that is no number, which puts the image elsewhere on the sky in silence;
and it reserves memory for as many axes and coefficients as a card asks for.
"""

from __future__ import annotations

import re
from math import isfinite

from astropy.io import fits

from phangs_xr.errors import InputError

_NUMBERS = re.compile(
    r"NAXIS\d|(CRVAL|CRPIX|CDELT|CROTA)\d|(PC|CD)\d_\d|PV\d_\d+|(LON|LAT)POLE|[AB]P?_\d_\d"
)
_COUNTS = re.compile(r"WCSAXES|[AB]P?_ORDER")
_LARGEST = 1e30
_MOST = 9
"""Axes of an image, and the order of a SIP polynomial, by their standards."""


def check_cards(header: fits.Header) -> None:
    """Refuse a header whose WCS has cards that cannot be right.

    Parameters
    ----------
    header
        Of an image, with cards that can all be parsed.

    Raises
    ------
    InputError
        If a coordinate, a coefficient or the number of them is no such number.
    """
    for card in header.cards:
        keyword, value = card.keyword, card.value
        if _NUMBERS.fullmatch(keyword):
            if not _is_number(value) or not abs(value) < _LARGEST:
                raise _refuse(keyword, "a finite number", value)
        elif _COUNTS.fullmatch(keyword):
            whole = _is_number(value) and value == int(value)
            if not whole or not 0 <= value <= _MOST:
                raise _refuse(keyword, f"a whole number, 0 to {_MOST},", value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _refuse(keyword: str, expected: str, value: object) -> InputError:
    found = "no value" if isinstance(value, fits.card.Undefined) else repr(value)
    return InputError(f"expected {keyword} to be {expected} for the WCS, found {found}: mend it")
