"""Replace negative pixels, and their neighbours, by what the pixels around them suggest.

Pixels ≤ 0, grown twice by their 4 neighbours, are replaced by the Gaussian-weighted mean (σ 1
pixel) of the pixels that are left, in two passes so that the second reaches into the larger holes.
Holes wider than two passes reach stay NaN; nothing is filled where the image has no data.

A faint sky is half noise below zero, so this lifts it: see the README on what each map is for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import LARGEST, require_between
from phangs_xr.filters import dilate_cross, fill_holes
from phangs_xr.labels import label_product, require_products
from phangs_xr.lazy import map_halo
from phangs_xr.schema import FLUX
from phangs_xr.sky import Grid

Image = NDArray[np.floating]

DILATIONS = 2
SIGMA = 1.0
RADIUS = 4
"""Half-width of the kernel [pixel]: astropy's default size for σ = 1, which parity needs."""
PASSES = 2
HALO = DILATIONS + PASSES * RADIUS
"""How far a pixel's new value can depend on others [pixel]."""


@dataclass(frozen=True)
class FillNegatives:
    """Options of `fill_negatives`.

    Attributes
    ----------
    threshold
        Pixels at or below this are replaced [1e-20 erg/s/cm² per pixel].
    """

    threshold: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no number."""
        require_between("fill_negatives", self, threshold=(-LARGEST, LARGEST, FLUX))


def find_halo(options: FillNegatives, grid: Grid) -> int:
    """Return how far a pixel's new value can depend on others [pixel]."""
    return HALO


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


def fill_negatives(anchored: xr.DataArray, *, options: FillNegatives | None = None) -> xr.Dataset:
    """Interpolate over the negative pixels of the anchored map.

    Parameters
    ----------
    anchored
        [1e-20 erg/s/cm² per pixel].
    options
        What counts as negative; the default if None.

    Returns
    -------
    xr.Dataset
        `anchored_intnegs`, in the same unit; NaN where `anchored` is, and in the middle of holes
        more than 8 pixels from any positive pixel.

    Raises
    ------
    InputError
        If the unit is another.
    """
    options = options or FillNegatives()
    require_products(anchored=anchored)
    filled = map_halo(fill_below, anchored, depth=HALO, threshold=options.threshold)
    name = "anchored_intnegs"
    return xr.Dataset({name: label_product(filled, name, "fill_negatives")})
