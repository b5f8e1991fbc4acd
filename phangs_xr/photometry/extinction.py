"""The Milky Way's extinction: Cardelli, Clayton & Mathis (1989, ApJ 345, 245) with R_V = 3.1."""

from __future__ import annotations

import re
from functools import cache

R_V = 3.1
"""Of the Milky Way's diffuse medium; the E(B-V) of `EBV` are meant for it."""

EBV: dict[str, float] = {
    "ic5332": 0.0144,
    "ngc628": 0.0607,
    "ngc1087": 0.0298,
    "ngc1300": 0.0261,
    "ngc1365": 0.0176,
    "ngc1385": 0.0173,
    "ngc1433": 0.0078,
}
"""E(B-V) of PHANGS galaxies [mag] (Schlafly & Finkbeiner 2011, ApJ 737, 103), as far as they are
known here."""


def find_ebv(galaxy: str) -> float | None:
    """Return E(B-V) towards a PHANGS galaxy [mag], None if it is not in `EBV`.

    Parameters
    ----------
    galaxy
        In any spelling: `ngc628c`, `NGC0628`, `NGC 628`, `ngc628mosaic`.
    """
    found = re.match(r"\s*(ngc|ic)[\s_-]*0*(\d+)", galaxy.lower())
    return EBV.get(f"{found[1]}{found[2]}") if found else None


def suggest_ebv(galaxy: str) -> str:
    """Return in words what to give as E(B-V) towards a galaxy."""
    known = find_ebv(galaxy)
    if known is None:
        return "look it up (IRSA's dust service, SandF mean), or give 0 to leave extinction out"
    return f"for {galaxy} that is {known} (Schlafly & Finkbeiner 2011); 0 leaves extinction out"


@cache
def find_extinction_factor(pivot: float, ebv: float) -> float:
    """Return what flux at a wavelength must be multiplied by to undo the Milky Way's extinction.

    Parameters
    ----------
    pivot
        Wavelength [Å].
    ebv
        E(B-V) [mag].

    Returns
    -------
    float
        At least 1 for a positive E(B-V).
    """
    # Half a second to import, and only this needs it.
    from astropy import units as u
    from dust_extinction.parameter_averages import CCM89

    return float(1 / CCM89(Rv=R_V).extinguish(pivot * u.AA, Ebv=ebv))
