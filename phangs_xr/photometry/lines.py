"""Emission lines: wavelengths in vacuum, fixed ratios of doublets, and air to vacuum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LINES: dict[str, float] = {
    "HB4861": 4862.69,
    "OIII4958": 4960.295,
    "OIII5006": 5008.240,
    "NII6548": 6549.86,
    "HA6562": 6564.614,
    "NII6583": 6585.27,
    "SII6716": 6718.29,
    "SII6730": 6732.67,
}
"""Rest wavelengths in vacuum [Å] (NIST), by the names of MUSE's MAPS, which count in air."""

DOUBLETS: dict[str, tuple[str, float]] = {
    "NII6548": ("NII6583", 1 / 3.05),
    "OIII4958": ("OIII5006", 1 / 2.98),
}
"""Lines that always have the same share of another's flux (Storey & Zeippen 2000, MNRAS 312,
813)."""


def convert_air_to_vacuum(wavelength: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """Return wavelengths in vacuum of wavelengths in air [Å].

    The refractive index is that of standard air (Morton 2000, ApJS 130, 403, equation 8), found by
    iteration, since it is a function of the wavelength in vacuum.
    """
    air = np.asarray(wavelength, dtype=np.float64)
    vacuum = air.copy()
    for _ in range(3):
        squared = (1e4 / vacuum) ** 2
        index = 1 + 8.34254e-5 + 2.406147e-2 / (130 - squared) + 1.5998e-4 / (38.9 - squared)
        vacuum = air * index
    return vacuum
