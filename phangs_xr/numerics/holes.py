"""Pixels below a threshold, and their neighbours, replaced by what the pixels around suggest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phangs_xr.numerics.filters import dilate_cross, fill_holes

Image = NDArray[np.floating]

DILATIONS = 2
SIGMA = 1.0
RADIUS = 4
"""Half-width of the kernel [pixel]: astropy's default size for σ = 1, which parity needs."""
PASSES = 2
HALO = DILATIONS + PASSES * RADIUS
"""How far a pixel's new value can depend on others [pixel]."""


def fill_below(image: Image, *, origin: tuple[int, int], threshold: float) -> Image:
    """Replace pixels at or below a threshold, grown twice, by interpolation.

    Parameters
    ----------
    image
        2-D; NaN and infinities are missing, both NaN in the result.
    origin
        Absolute row and column of its first pixel.
    threshold
        In the image's unit.
    """
    coverage = np.isfinite(image)
    marked = dilate_cross(coverage & (image <= threshold), DILATIONS)
    kept = np.where(marked | ~coverage, np.nan, image).astype(image.dtype, copy=False)
    return fill_holes(kept, coverage, SIGMA, RADIUS, PASSES, origin)
