"""The continuum in a narrow band by interpolation between broad bands, in the logarithm of flux.

log10 C = w1 log10 c1 + w2 log10 c2, with weights linear in wavelength between the pivots (Chandar
et al. 2025, AJ 169, 150, section 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phangs_xr.errors import InputError

Image = NDArray[np.floating]


def weigh_pivots(narrow: float, first: float, second: float) -> tuple[float, float]:
    """Return the weights of two broad bands at the narrow band's pivot, linear in wavelength.

    Parameters
    ----------
    narrow, first, second
        Pivot wavelengths [Å].

    Raises
    ------
    InputError
        If both broad bands have the same.
    """
    if first == second:
        message = (
            f"continuum1 and continuum2 should have different pivot wavelengths, both have "
            f"{first} Angstrom: give two different filters, or leave continuum2 out"
        )
        raise InputError(message)
    weight = (second - narrow) / (second - first)
    return weight, 1 - weight


def find_positive(first: Image, second: Image | None = None) -> NDArray[np.bool_]:
    """Tell where all bands that are given are positive: where their logarithm exists."""
    return first > 0 if second is None else (first > 0) & (second > 0)


def interpolate_logs(
    first: Image, second: Image | None = None, *, weights: tuple[float, float] = (1.0, 0.0)
) -> Image:
    """Return the continuum, 0 where a band is not positive or missing.

    Parameters
    ----------
    first, second
        Flux densities; NaN is missing. One band alone is the continuum.
    weights
        Of `weigh_pivots`.
    """
    positive = find_positive(first, second)
    logs = [weights[0] * np.log10(first, out=np.zeros_like(first), where=positive)]
    if second is not None:
        logs.append(weights[1] * np.log10(second, out=np.zeros_like(second), where=positive))
    return np.where(positive, 10 ** sum(logs), 0).astype(first.dtype, copy=False)
