"""Throughput curves of filters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def measure_rectangular_width(
    wavelength: NDArray[np.floating], throughput: NDArray[np.floating]
) -> float:
    """Return the rectangular width of a filter, ∫T dλ / max T [unit of `wavelength`].

    Parameters
    ----------
    wavelength, throughput
        The filter's curve, 1-D, wavelengths rising.
    """
    return float(np.trapezoid(throughput, wavelength) / np.max(throughput))
