"""Take [NII] out of the line flux by one factor for the galaxy.

MUSE's synthetic narrow band without its continuum holds Hα and [NII] as HST's filter sees them; its
slope against MUSE's own Hα, through the medians of 20 bins of equal width, is what the flux is
divided by (Chandar et al. 2025, section 3). Such bins leave most spaxels in the first: the slope by
bins of equal number is recorded beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError, require_between
from phangs_xr.numerics.binned_lines import (
    drop_extremes,
    edge_by_number,
    edge_by_width,
    find_medians,
    fit_points,
)
from phangs_xr.numerics.collect import CollectPixels
from phangs_xr.numerics.lazy import label_number, map_pixels, reduce_images
from phangs_xr.numerics.pair_counts import count_pairs
from phangs_xr.photometry.labels import keep_curve, label_product, require_products
from phangs_xr.sky import require_one_grid

Image = NDArray[np.floating]
Values = NDArray[np.float64]

NAMES = ("muse_contsub", "musehalpha", "star_mask")

FEWEST = 100
"""Spaxels below which a slope is not to be had."""


@dataclass(frozen=True)
class CorrectNii:
    """Options of `correct_nii`.

    Attributes
    ----------
    bins
        How many, of equal width in Hα.
    low, high
        Per cent of both distributions between which spaxels count, inclusive.
    """

    bins: int = 20
    low: float = 1.0
    high: float = 99.0

    def __post_init__(self) -> None:
        """Refuse limits that are none."""
        require_between(
            "correct_nii", self, bins=(2, 1000, "1"), low=(0, 50, "%"), high=(50, 100, "%")
        )


def choose_spaxels(contsub: Image, halpha: Image, stars: Image | None = None) -> NDArray[np.bool_]:
    """Tell which spaxels have data in both, are not zero in both, and lie on no star."""
    chosen: NDArray[np.bool_] = np.isfinite(contsub) & np.isfinite(halpha)
    chosen &= (contsub != 0) | (halpha != 0)
    return chosen if stars is None else chosen & (np.nan_to_num(stars) == 0)


def fit_nii(rows: Values, *, options: CorrectNii) -> dict[str, Any]:
    """Fit the narrow band's line flux against Hα.

    Parameters
    ----------
    rows
        Chosen spaxels, shape (2 or 3, n): narrow band, Hα.
    options
        Of `correct_nii`.

    Raises
    ------
    InputError
        If there are too few spaxels, or no slope.
    """
    if rows.size == 0 or rows.shape[1] < FEWEST:
        found = rows.shape[1] if rows.size else 0
        message = (
            f"correct_nii: {FEWEST} spaxels with data in MUSE's narrow band and H-alpha are "
            f"needed, found {found}: check that they are of one field"
        )
        raise InputError(message)
    y, x = rows[:2]
    limits = [np.percentile(one, (options.low, options.high)) for one in (x, y)]
    chosen = (x >= limits[0][0]) & (x <= limits[0][1]) & (y >= limits[1][0]) & (y <= limits[1][1])
    x, y = x[chosen], y[chosen]
    points = np.full((options.bins, 2), np.nan)
    equal_number = float("nan")
    if np.unique(x).size > 2:
        edges = edge_by_width(x, options.bins)
        x, y = drop_extremes(x, y)
        points = find_medians(x, y, edges)
        equal_number, _ = fit_points(find_medians(x, y, edge_by_number(x, options.bins)))
    slope, intercept = fit_points(points)
    if not np.isfinite(slope) or slope == 0:
        message = (
            f"correct_nii: a slope is needed to take [NII] out, found {slope}: check that MUSE's "
            f"narrow band holds the line"
        )
        raise InputError(message)
    return {
        "nii_slope": slope,
        "nii_intercept": intercept,
        "nii_slope_equal_number": equal_number,
        "nii_points": points,
        "nii_histogram": count_pairs(rows[1][None], rows[0][None]),
    }


def reduce_to_nii(options: CorrectNii, images: Collection[str] = NAMES) -> CollectPixels:
    """Return the reduction of the images of these names, in this order, to the slope."""
    return CollectPixels(choose_spaxels, partial(fit_nii, options=options))


def judge_nii(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Say so where the slope cannot be right, or depends on the bins."""
    slope, other = numbers["nii_slope"], numbers["nii_slope_equal_number"]
    if slope <= 0:
        yield (
            f"MUSE's narrow band falls where its H-alpha rises (slope {slope:.4g}): hst_ha is "
            f"meaningless here, check that both are of one field"
        )
    elif abs(other / slope - 1) > 0.02:
        yield (
            f"the [NII] slope is {slope:.3f} by bins of equal width, as published, and {other:.3f} "
            f"by bins of equal number: hst_ha is uncertain by {abs(other / slope - 1):.0%}"
        )


def divide_flux(flux: Image, *, slope: float) -> Image:
    """Return the flux over the slope."""
    return flux / slope


def correct_nii(
    hst_contsub: xr.DataArray,
    muse_contsub: xr.DataArray,
    musehalpha: xr.DataArray,
    hst_contsub_err: xr.DataArray | None = None,
    star_mask: xr.DataArray | None = None,
    *,
    measured: Mapping[str, Any] | None = None,
    options: CorrectNii | None = None,
) -> xr.Dataset:
    """Take [NII] out of HST's line flux by the slope that MUSE shows.

    Parameters
    ----------
    hst_contsub, hst_contsub_err
        Line flux and its error [1e-20 erg/s/cm² per HST pixel].
    muse_contsub, musehalpha
        MUSE's narrow band without continuum, and its Hα, on one grid [1e-20 erg/s/cm² per spaxel].
    star_mask
        Non-zero on stars, on MUSE's grid.
    measured
        The numbers of `reduce_to_nii`, when known; measured from the whole images if None. MUSE's
        pixels are then not read.
    options
        Which spaxels count; the default if None.

    Returns
    -------
    xr.Dataset
        `hst_ha` and, with an error, `hst_ha_err` [1e-20 erg/s/cm² per HST pixel], NaN where the
        input is; and the number `nii_slope`.

    Raises
    ------
    GridError
        If the images of one telescope are not on one grid.
    InputError
        If a unit is another, or no slope is found.
    """
    options = options or CorrectNii()
    hst = {"hst_contsub": hst_contsub}
    if hst_contsub_err is not None:
        hst["hst_contsub_err"] = hst_contsub_err
    require_products(**hst)
    muse = {"muse_contsub": muse_contsub, "musehalpha": musehalpha}
    require_products(**muse)
    if star_mask is not None:
        muse["star_mask"] = star_mask
        require_one_grid(**muse)
    if measured is None:
        measured = reduce_images(reduce_to_nii(options, muse), *muse.values())
    slope = label_number(measured["nii_slope"], "nii_slope", "")
    made: dict[str, xr.DataArray] = {}
    for source, image in hst.items():
        name = source.replace("contsub", "ha")
        flux = map_pixels(divide_flux, image, slope=slope)
        made[name] = label_product(flux, name, "correct_nii", **keep_curve(image))
    return xr.Dataset({**made, "nii_slope": slope})
