"""Take the background off HST's bands by comparing them with MUSE's synthetic ones.

At MUSE's resolution a band of HST is a straight line of MUSE's: HST = slope · MUSE + intercept, the
unweighted line through the medians of 25 bins of equal number. Spaxels count that have data and are
not zero in both, outside stars, and within the 0.01 and 99 per cent of both. The intercept is the
background (Chandar et al. 2025, section 3); the slope is recorded, not used.
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
    find_medians,
    fit_points,
)
from phangs_xr.numerics.collect import CollectPixels
from phangs_xr.numerics.lazy import map_pixels, reduce_images
from phangs_xr.numerics.pair_counts import count_pairs
from phangs_xr.numerics.statistics import AskByName
from phangs_xr.photometry.labels import keep_curve, label_product, require_products
from phangs_xr.schema import BANDS
from phangs_xr.sky import get_grid, require_one_grid

Image = NDArray[np.floating]
Values = NDArray[np.float64]

NAMES = (
    *(f"{band}_on_muse" for band in BANDS),
    *(f"muse_{band}_flux" for band in BANDS),
    "star_mask",
)

FEWEST = 100
"""Spaxels below which a background is not to be had."""


@dataclass(frozen=True)
class SubtractSky:
    """Options of `subtract_sky`.

    Attributes
    ----------
    bins
        How many, of equal number.
    low, high
        Per cent of the distributions between which spaxels count.
    """

    bins: int = 25
    low: float = 0.01
    high: float = 99.0

    def __post_init__(self) -> None:
        """Refuse limits that are none."""
        require_between(
            "subtract_sky", self, bins=(2, 1000, "1"), low=(0, 50, "%"), high=(50, 100, "%")
        )


def choose_spaxels(hst: Image, muse: Image, stars: Image | None = None) -> NDArray[np.bool_]:
    """Tell which spaxels have data in both, are zero in neither, and lie on no star."""
    chosen: NDArray[np.bool_] = np.isfinite(hst) & np.isfinite(muse) & (hst != 0) & (muse != 0)
    return chosen if stars is None else chosen & (np.nan_to_num(stars) == 0)


def fit_background(rows: Values, *, options: SubtractSky, band: str) -> dict[str, Any]:
    """Fit HST's band against MUSE's.

    Parameters
    ----------
    rows
        Chosen spaxels, shape (2 or 3, n): HST, MUSE.
    options
        Of `subtract_sky`.
    band
        For the message.

    Raises
    ------
    InputError
        If there are too few spaxels, or MUSE's are all of one value.
    """
    if rows.size == 0 or rows.shape[1] < FEWEST:
        found = rows.shape[1] if rows.size else 0
        message = (
            f"subtract_sky: {FEWEST} spaxels with data in HST's and MUSE's {band} are needed, "
            f"found {found}: check that they overlap, or leave MUSE's bands out"
        )
        raise InputError(message)
    y, x = rows[:2]
    limits = [np.percentile(one, (options.low, options.high)) for one in (x, y)]
    chosen = (x > limits[0][0]) & (x < limits[0][1]) & (y > limits[1][0]) & (y < limits[1][1])
    x, y = drop_extremes(x[chosen], y[chosen])
    points = np.full((options.bins, 2), np.nan)
    if x.size:
        points = find_medians(x, y, edge_by_number(x, options.bins))
    slope, intercept = fit_points(points)
    if not np.isfinite(slope):
        message = (
            f"subtract_sky: MUSE's {band} should vary, found one value: check the synthetic bands"
        )
        raise InputError(message)
    histogram = count_pairs(rows[1][None], rows[0][None])
    return {"slope": slope, "intercept": intercept, "points": points, "histogram": histogram}


@dataclass(frozen=True)
class ReduceToBackgrounds(AskByName):
    """Reduce HST's and MUSE's bands to the lines between them."""

    def finish(self, state: tuple[Any, ...]) -> dict[str, Any]:
        """Return `sky_slope`, `sky_intercept`, `sky_points`, `sky_histogram`, by band."""
        found = super().finish(state)
        like = next(iter(found.values()))
        stacked = {}
        for key, value in like.items():
            rows = [
                found[band][key] if band in found else np.full_like(value, np.nan, float)
                for band in BANDS
            ]
            stacked[f"sky_{key}"] = np.stack([np.asarray(row, dtype=float) for row in rows])
        return stacked


def list_pairs(names: Collection[str]) -> list[str]:
    """Return the bands that both HST and MUSE have."""
    return [band for band in BANDS if f"{band}_on_muse" in names and f"muse_{band}_flux" in names]


def has_pairs(options: SubtractSky, given: Collection[str]) -> bool:
    """Tell whether there is anything to compare: MUSE has none of the bands without its own."""
    return bool(list_pairs(given))


def reduce_to_backgrounds(
    options: SubtractSky, images: Collection[str] = NAMES
) -> ReduceToBackgrounds:
    """Return the reduction of the images of these names, in this order, to their backgrounds."""
    names = tuple(images)
    parts = []
    for band in list_pairs(names):
        own = [f"{band}_on_muse", f"muse_{band}_flux", *(["star_mask"] * ("star_mask" in names))]
        places = tuple(names.index(name) for name in own)
        fit = partial(fit_background, options=options, band=band)
        parts.append((places, CollectPixels(choose_spaxels, fit)))
    return ReduceToBackgrounds(tuple(parts), tuple(list_pairs(names)))


def judge_backgrounds(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Say which bands differ from MUSE's by more than 5 per cent in slope, which is not used."""
    for band, slope in zip(BANDS, numbers["sky_slope"], strict=True):
        if np.isfinite(slope) and abs(slope - 1) > 0.05:
            yield (
                f"HST's {band} is {slope:.3f} times MUSE's: recorded, and not corrected by this "
                f"recipe"
            )


def subtract_level(flux: Image, *, level: float) -> Image:
    """Return the flux less a level."""
    return flux - level


def subtract_sky(
    narrow_flux: xr.DataArray,
    continuum1_flux: xr.DataArray,
    continuum2_flux: xr.DataArray | None = None,
    narrow_on_muse: xr.DataArray | None = None,
    continuum1_on_muse: xr.DataArray | None = None,
    continuum2_on_muse: xr.DataArray | None = None,
    muse_narrow_flux: xr.DataArray | None = None,
    muse_continuum1_flux: xr.DataArray | None = None,
    muse_continuum2_flux: xr.DataArray | None = None,
    star_mask: xr.DataArray | None = None,
    *,
    measured: Mapping[str, Any] | None = None,
    options: SubtractSky | None = None,
) -> xr.Dataset:
    """Subtract the background that the comparison with MUSE shows.

    Parameters
    ----------
    narrow_flux, continuum1_flux, continuum2_flux
        HST's bands on one grid [1e-20 erg/s/cm²/Å per HST pixel].
    narrow_on_muse, continuum1_on_muse, continuum2_on_muse
        The same as MUSE sees them [1e-20 erg/s/cm²/Å per MUSE pixel].
    muse_narrow_flux, muse_continuum1_flux, muse_continuum2_flux
        MUSE's own, on the same grid. A band without either passes as it is.
    star_mask
        Non-zero on stars, on MUSE's grid.
    measured
        The numbers of `reduce_to_backgrounds`, when known; measured from the whole images if None.
        MUSE's pixels are then not read.
    options
        Which spaxels count; the default if None.

    Returns
    -------
    xr.Dataset
        `narrow_skysub`, `continuum1_skysub` and, if given, `continuum2_skysub`
        [1e-20 erg/s/cm²/Å per HST pixel], NaN where the band is.

    Raises
    ------
    GridError
        If the images of one telescope are not on one grid.
    InputError
        If a unit is another, or too few spaxels have data in both.
    """
    options = options or SubtractSky()
    bands = dict(zip(BANDS, (narrow_flux, continuum1_flux, continuum2_flux), strict=True))
    hst = {f"{band}_flux": one for band, one in bands.items() if one is not None}
    grid = require_products(**hst)
    seen = (narrow_on_muse, continuum1_on_muse, continuum2_on_muse)
    own = (muse_narrow_flux, muse_continuum1_flux, muse_continuum2_flux)
    named = zip(NAMES, (*seen, *own, star_mask), strict=True)
    muse = {name: one for name, one in named if one is not None}
    pairs = list_pairs(muse)
    area = 1.0
    if pairs:
        require_one_grid(**muse)
        require_products(**{name: one for name, one in muse.items() if name != "star_mask"})
        area = grid.pixel_area / get_grid(muse[f"{pairs[0]}_on_muse"]).pixel_area
        if measured is None:
            measured = reduce_images(reduce_to_backgrounds(options, muse), *muse.values())
    made = {}
    for number, band in enumerate(BANDS):
        flux = hst.get(f"{band}_flux")
        if flux is None:
            continue
        level: Any = 0.0
        if band in pairs and measured is not None:
            level = measured["sky_intercept"][number] * area
        name = f"{band}_skysub"
        made[name] = label_product(
            map_pixels(subtract_level, flux, level=level), name, "subtract_sky", **keep_curve(flux)
        )
    return xr.Dataset(made)
