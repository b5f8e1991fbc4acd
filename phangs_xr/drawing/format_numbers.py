"""Numbers as people read them."""

from __future__ import annotations

import math

RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
"""Digits of powers, for `str.translate`."""


def format_number(value: float) -> str:
    """Return a number as people write it: three digits, powers of ten raised."""
    if not math.isfinite(value):
        return "–"
    if value == 0 or 1e-2 <= abs(value) < 1000:
        return f"{value:.3g}".replace("-", "−")
    mantissa, exponent = f"{value:.2e}".split("e")
    power = f"10{str(int(exponent)).translate(RAISED)}"
    return f"{mantissa.replace('-', '−')}×{power}"


def format_tick(value: float) -> str:
    """Return a power of ten, or a small number, as an axis shows it."""
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:g}".replace("-", "−")
    exponent = str(round(math.log10(abs(value)))).translate(RAISED)
    return f"{'−' if value < 0 else ''}10{exponent}"


def format_round(value: float) -> str:
    """Return a round number as a colour bar shows it: plain, or as a multiple of a power of ten."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    times = {"1": "", "-1": "-"}.get(mantissa, f"{mantissa}×")
    return f"{times}10{str(int(exponent)).translate(RAISED)}"
