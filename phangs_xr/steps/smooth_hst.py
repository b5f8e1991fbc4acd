"""Smooth the HST map to MUSE's resolution: a Gaussian of FWHM sqrt(muse² - hst²).

Both point-spread functions count as Gaussian. Missing pixels carry no weight and stay missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, inf, sqrt

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.filters import FWHM_TO_SIGMA, smooth_gaussian
from phangs_xr.numerics.lazy import map_halo
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.sky import Grid, get_grid

REACH = 5.0
"""Kernel half-width [σ]: at 4σ the smoothed image is off by 4e-4 of its range."""


@dataclass(frozen=True)
class SmoothHst:
    """Options of `smooth_hst`.

    Attributes
    ----------
    hst_fwhm
        Of the HST image's point-spread function [arcsec].
    muse_fwhm
        Of MUSE's [arcsec]; a run takes it from the MAPS file's name when it is not given.
    """

    hst_fwhm: float = 0.1
    muse_fwhm: float | None = None

    def __post_init__(self) -> None:
        """Refuse widths that are no widths, and a MUSE image sharper than HST's."""
        if not 0 < self.hst_fwhm < inf:
            message = f"smooth_hst: hst_fwhm should be positive [arcsec], found {self.hst_fwhm}"
            raise InputError(message)
        if self.muse_fwhm is not None and not self.hst_fwhm <= self.muse_fwhm < inf:
            message = (
                f"smooth_hst: muse_fwhm should be at least hst_fwhm = {self.hst_fwhm} arcsec, "
                f"found {self.muse_fwhm}: HST is smoothed to MUSE's resolution, not the other way"
            )
            raise InputError(message)


def find_sigma(options: SmoothHst, grid: Grid) -> float:
    """Return the σ of the Gaussian that takes HST's resolution to MUSE's [pixel of `grid`].

    Raises
    ------
    InputError
        If `muse_fwhm` is not known.
    """
    if options.muse_fwhm is None:
        message = (
            "smooth_hst: MUSE's resolution is not known: name the file as ...-0.92asec... or "
            "..._copt_0.92asec..., or set [options.smooth_hst] muse_fwhm [arcsec]"
        )
        raise InputError(message)
    fwhm = sqrt(options.muse_fwhm**2 - options.hst_fwhm**2)
    return fwhm * FWHM_TO_SIGMA / sqrt(grid.pixel_area)


def find_halo(options: SmoothHst, grid: Grid) -> int:
    """Return the kernel's half-width [pixel]."""
    return ceil(REACH * find_sigma(options, grid))


def check_inputs(options: SmoothHst, images: Mapping[str, xr.DataArray]) -> Iterable[str]:
    """Refuse a MUSE map whose resolution is not known; there is no remark."""
    if "muse" in images:
        find_sigma(options, get_grid(images["narrow"]))
    return ()


def smooth_covered(
    image: NDArray[np.floating], *, origin: tuple[int, int], sigma: float, radius: int
) -> NDArray[np.floating]:
    """Smooth an image where it has data; see `phangs_xr.numerics.filters.smooth_gaussian`."""
    if radius == 0:
        return image.copy()
    smoothed = smooth_gaussian(image, sigma, radius, origin)
    smoothed[np.isnan(image)] = np.nan
    return smoothed


def smooth_hst(halpha: xr.DataArray, *, options: SmoothHst | None = None) -> xr.Dataset:
    """Smooth the HST H-alpha map to MUSE's resolution.

    Parameters
    ----------
    halpha
        [1e-20 erg/s/cm² per pixel].
    options
        The two resolutions.

    Returns
    -------
    xr.Dataset
        `halpha_smoothed` [1e-20 erg/s/cm² per pixel], NaN where `halpha` is.

    Raises
    ------
    InputError
        If the unit is another, or MUSE's resolution is not known or finer than HST's.
    """
    options = options or SmoothHst()
    grid = require_products(halpha=halpha)
    radius = find_halo(options, grid)
    smoothed = map_halo(
        smooth_covered, halpha, depth=radius, sigma=find_sigma(options, grid), radius=radius
    )
    name = "halpha_smoothed"
    return xr.Dataset({name: label_product(smoothed, name, "smooth_hst")})
