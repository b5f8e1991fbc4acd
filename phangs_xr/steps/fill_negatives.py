"""Replace negative pixels, and their neighbours, by what the pixels around them suggest.

Pixels ≤ 0, grown twice by their 4 neighbours, are replaced by the Gaussian-weighted mean (σ 1
pixel) of the pixels that are left, in two passes so that the second reaches into the larger holes.
Holes wider than two passes reach stay NaN; nothing is filled where the image has no data.

A faint sky is half noise below zero, so this lifts it: see the README on what each map is for.
"""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from phangs_xr.errors import LARGEST, require_between
from phangs_xr.numerics.holes import HALO, fill_below
from phangs_xr.numerics.lazy import map_halo
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.schema import FLUX
from phangs_xr.sky import Grid


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
