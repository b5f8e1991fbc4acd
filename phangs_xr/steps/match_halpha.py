"""See HST's Hα as MUSE does, and say by how much MUSE's differs, spaxel by spaxel.

Smoothed by the Gaussian from HST's to MUSE's resolution, on MUSE's pixels, at the shift that the
fit found.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import ceil, inf, sqrt
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.filters import FWHM_TO_SIGMA, smooth_gaussian
from phangs_xr.numerics.find_shift import LARGEST_SHIFT
from phangs_xr.numerics.lazy import label_number, map_pixels, map_tiles, reduce_images
from phangs_xr.numerics.resampling import PAD, resample_window
from phangs_xr.numerics.statistics import AskDistribution, Quantile
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.schema import FLUX
from phangs_xr.sky import Grid, get_grid, require_one_grid

Image = NDArray[np.floating]

REACH = 5.0
"""Kernel half-width [σ], as in `smooth_hst`."""


@dataclass(frozen=True)
class MatchHalpha:
    """Options of `match_halpha`.

    Attributes
    ----------
    hst_fwhm
        Of HST's point-spread function [arcsec].
    muse_fwhm
        Of MUSE's [arcsec]; a run takes it from the MAPS file's name when it is not given.
    """

    hst_fwhm: float = 0.07
    muse_fwhm: float | None = None

    def __post_init__(self) -> None:
        """Refuse widths that are no widths, and a MUSE image sharper than HST's."""
        if not 0 < self.hst_fwhm < inf:
            message = f"match_halpha: hst_fwhm should be positive [arcsec], found {self.hst_fwhm}"
            raise InputError(message)
        if self.muse_fwhm is not None and not self.hst_fwhm < self.muse_fwhm < inf:
            message = (
                f"match_halpha: muse_fwhm should be above hst_fwhm = {self.hst_fwhm} arcsec, found "
                f"{self.muse_fwhm}: HST is smoothed to MUSE's resolution, not the other way"
            )
            raise InputError(message)


def find_blur(options: MatchHalpha) -> float:
    """Return the σ of the Gaussian that takes HST's resolution to MUSE's [arcsec].

    Raises
    ------
    InputError
        If `muse_fwhm` is not known.
    """
    if options.muse_fwhm is None:
        message = (
            "match_halpha: MUSE's resolution is not known: name the MAPS file as ...-0.92asec... "
            "or ..._copt_0.92asec..., or set [options.match_halpha] muse_fwhm [arcsec]"
        )
        raise InputError(message)
    return sqrt(options.muse_fwhm**2 - options.hst_fwhm**2) * FWHM_TO_SIGMA


def find_halo(options: MatchHalpha, grid: Grid) -> int:
    """Return the kernel's half-width, and the largest shift [pixel]."""
    return ceil(REACH * find_blur(options) / sqrt(grid.pixel_area)) + LARGEST_SHIFT


def match_shifted(
    piece: Image,
    source: Grid,
    target: Grid,
    *,
    sigma: float,
    radius: int,
    shift: NDArray[np.float64],
    factor: float,
) -> Image:
    """Return a window of HST's image as MUSE sees it.

    Parameters
    ----------
    piece
        HST's pixels, may be empty; NaN is missing.
    source, target
        The grids of `piece` and of the result.
    sigma, radius
        Of the Gaussian, and its half-width [pixel of HST].
    shift
        Rows and columns by which MUSE's features lie beyond where the WCS has them [spaxel].
    factor
        MUSE's over HST's pixel area.
    """
    if 0 in piece.shape:
        return np.full(target.shape, np.nan, dtype=piece.dtype)
    smoothed = smooth_gaussian(piece, sigma, radius, (int(source.y0), int(source.x0)))
    smoothed[np.isnan(piece)] = np.nan
    moved = replace(target, y0=target.y0 - float(shift[0]), x0=target.x0 - float(shift[1]))
    return resample_window(smoothed, source, moved, order="bilinear", factor=factor)


def reduce_to_noise(options: MatchHalpha, images: Collection[str] = ()) -> AskDistribution:
    """Return the reduction of HST's error to its median."""
    return _NameMedian(Quantile(0.5))


@dataclass(frozen=True)
class _NameMedian(AskDistribution):
    """The median, under its name."""

    def finish(self, state: Any) -> dict[str, float]:
        """Return `hst_noise`."""
        return {"hst_noise": super().finish(state)["quantile"]}


def match_halpha(
    halpha_hst: xr.DataArray,
    halpha_hst_err: xr.DataArray,
    musehalpha: xr.DataArray,
    muse_shift: Any,
    *,
    measured: Mapping[str, Any] | None = None,
    options: MatchHalpha | None = None,
) -> xr.Dataset:
    """Bring HST's Hα to MUSE's resolution and pixels, and compare.

    Parameters
    ----------
    halpha_hst, halpha_hst_err
        HST's Hα and its error [1e-20 erg/s/cm² per HST pixel].
    musehalpha
        MUSE's [1e-20 erg/s/cm² per spaxel].
    muse_shift
        Rows and columns by which MUSE's features lie beyond HST's [spaxel].
    measured
        The number of `reduce_to_noise`, when known; measured from the whole image if None.
    options
        The two resolutions.

    Returns
    -------
    xr.Dataset
        `halpha_on_muse`, `muse_minus_hst` [1e-20 erg/s/cm² per spaxel], NaN where HST, or either,
        has no data; and the number `hst_noise`.

    Raises
    ------
    GridError
        If HST's images are not on one grid.
    InputError
        If a unit is another, or MUSE's resolution is not known or finer than HST's.
    """
    options = options or MatchHalpha()
    grid = require_products(halpha_hst=halpha_hst)
    require_products(halpha_hst_err=halpha_hst_err)
    require_products(musehalpha=musehalpha)
    if measured is None:
        require_one_grid(halpha_hst=halpha_hst, halpha_hst_err=halpha_hst_err)
        measured = reduce_images(reduce_to_noise(options), halpha_hst_err)
    sigma = find_blur(options) / sqrt(grid.pixel_area)
    radius = ceil(REACH * sigma)
    area = get_grid(musehalpha).pixel_area / grid.pixel_area
    seen = map_tiles(
        match_shifted,
        halpha_hst,
        musehalpha,
        pad=radius + PAD + ceil(LARGEST_SHIFT * sqrt(area)),
        sigma=sigma,
        radius=radius,
        shift=muse_shift,
        factor=area,
    )
    made = {"halpha_on_muse": seen, "muse_minus_hst": map_pixels(np.subtract, musehalpha, seen)}
    return xr.Dataset(
        {
            **{name: label_product(one, name, "match_halpha") for name, one in made.items()},
            "hst_noise": label_number(measured["hst_noise"], "hst_noise", FLUX),
        }
    )
