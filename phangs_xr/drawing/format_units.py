"""Units as people read them."""

from __future__ import annotations

import re

from phangs_xr.drawing.format_numbers import RAISED

_DIVISOR = re.compile(r"\s*/\s*([A-Za-z]+)$")
_FACTOR = re.compile(r"(\d)\*\*(-?\d+)")
_POWER = re.compile(r"([A-Za-zÅ])(-?\d+)")


def format_unit(units: str) -> str:
    """Return a unit as people write it, powers raised.

    Parameters
    ----------
    units
        As images say it: `10**-20 erg s-1 cm-2 Angstrom-1`, `electron / s`.

    Returns
    -------
    str
        `10⁻²⁰ erg s⁻¹ cm⁻² Å⁻¹`, `electron s⁻¹`: the same factors in the same order; what is not
        of this form as it is.
    """
    text = _DIVISOR.sub(r" \1-1", units).replace("Angstrom", "Å")
    for pattern in (_FACTOR, _POWER):
        text = pattern.sub(lambda found: found[1] + found[2].translate(RAISED), text)
    return text
