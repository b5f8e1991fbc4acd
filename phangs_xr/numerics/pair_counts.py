"""How the pixels of two images pair up: a 2-D histogram, linear near zero, then logarithmic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating]

STRIP = 100
"""Rows that are counted at a time."""

HISTOGRAM_EDGES = 10 * np.sinh(np.arange(-6.0, 13.05, 0.1))
"""Bin edges of the 2-D histogram [the images' unit]: linear near zero, then logarithmic,
±2000 on the negative and 2 million on the positive side."""


def count_pairs(x: Image, y: Image) -> NDArray[np.int64]:
    """Return the 2-D histogram of pixels finite in both: rows y, columns x."""
    # One bin more at each end takes what lies beyond the edges.
    size = HISTOGRAM_EDGES.size + 1
    counts = np.zeros(size * size, dtype=np.int64)
    for start in range(0, len(x), STRIP):
        strips = [image[start : start + STRIP] for image in (y, x)]
        present = np.isfinite(strips[0]) & np.isfinite(strips[1])
        bins = (np.floor((np.arcsinh(strip[present] / 10) + 6) * 10) for strip in strips)
        row, column = (np.clip(place + 1, 0, size - 1) for place in bins)
        counts += np.bincount((row * size + column).astype(np.intp), minlength=counts.size)
    return counts.reshape(size, size)[1:-1, 1:-1]
