"""How long a scale bar is, and how its length reads."""

from __future__ import annotations

import math


def choose_round(length: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 30, 60, … not above a length."""
    rounds = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600]
    return max((value for value in rounds if value <= length), default=rounds[0])


def format_length(arcsec: float, distance: float | None = None) -> str:
    """Return a round length of a scale bar [arcsec] as people write it.

    With the length that it is at a `distance` [Mpc], in parsec or kiloparsec, if that is known.
    """
    angle = f"{arcsec:g}″" if arcsec < 60 else f"{arcsec / 60:g}′"
    if distance is None:
        return angle
    parsec = float(f"{math.radians(arcsec / 3600) * distance * 1e6:.2g}")
    return f"{angle} = {parsec:g} pc" if parsec < 1000 else f"{angle} = {parsec / 1000:g} kpc"
