"""Numbers as people read them."""

from __future__ import annotations

import math
import re

_DIGITS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def format_number(value: float) -> str:
    """Return a number as people write it: three digits, powers of ten raised."""
    if not math.isfinite(value):
        return "–"
    if value == 0 or 1e-2 <= abs(value) < 1000:
        return f"{value:.3g}".replace("-", "−")
    mantissa, exponent = f"{value:.2e}".split("e")
    power = f"10{str(int(exponent)).translate(_DIGITS)}"
    return f"{mantissa.replace('-', '−')}×{power}"


def format_units(units: str) -> str:
    """Return a unit, as the data have it, as people write it: 10⁻²⁰ erg s⁻¹ cm⁻²."""

    def raise_power(found: re.Match[str]) -> str:
        return found[1] + found[2].translate(_DIGITS)

    text = re.sub(r"(10|[A-Za-z])(?:\*\*|\^)?(-?\d+)\b", raise_power, units)
    return text.replace("Angstrom", "Å").replace(" / ", "/")


def format_tick(value: float) -> str:
    """Return a power of ten, or a small number, as an axis shows it."""
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:g}".replace("-", "−")
    exponent = str(round(math.log10(abs(value)))).translate(_DIGITS)
    return f"{'−' if value < 0 else ''}10{exponent}"
