"""Weigh what MUSE shows beyond HST: what of it the best estimate of both adds to HST's map.

    correction = G ∗ (M - P ∗ H),    G = σ_h² P / (σ_m² + σ_h² P²)  in Fourier space

(`phangs_xr.numerics.joint_kernel`). Where MUSE has no data nothing is added, and the correction
fades over the kernel's width, so that no seam shows at the border of its field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil, inf, pi, sqrt
from typing import Any

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.collect import CollectImages
from phangs_xr.numerics.filters import FWHM_TO_SIGMA
from phangs_xr.numerics.joint_kernel import make_kernel
from phangs_xr.numerics.lazy import label_number, map_halo, reduce_images
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.schema import FLUX, RATIO
from phangs_xr.sky import Grid, get_grid

Image = NDArray[np.floating]

REACH = 10.0
"""Kernel half-width, in σ of the Gaussian from HST's to MUSE's resolution."""

EXCESS_SIGMA = 2.0
"""Scale on which errors of HST's map that are no noise are looked for [spaxel]."""

LARGEST_EXCESS = 30.0

BRIGHTEST = 40.0
"""Noises of the mean flux from which the residual is nearly all what goes with the flux."""

FEWEST = 100


NUMBERS = {
    "muse_noise_level": FLUX,
    "residual_excess": "",
    "residual_relative": RATIO,
    "residual_left": "",
}
"""What is measured, and its units; variances are in squares of the map's."""


@dataclass(frozen=True)
class WeighResidual:
    """Options of `weigh_residual`.

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
        """Refuse widths that are no widths."""
        for name in ("hst_fwhm", "muse_fwhm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                message = f"weigh_residual: {name} should be positive [arcsec], found {value}"
                raise InputError(message)


def find_sigma(options: WeighResidual, grid: Grid) -> float:
    """Return the σ of the Gaussian that takes HST's resolution to MUSE's [pixel of `grid`].

    Raises
    ------
    InputError
        If `muse_fwhm` is not known.
    """
    if options.muse_fwhm is None:
        message = (
            "weigh_residual: MUSE's resolution is not known: set [options.weigh_residual] "
            "muse_fwhm [arcsec]"
        )
        raise InputError(message)
    fwhm = sqrt(max(options.muse_fwhm**2 - options.hst_fwhm**2, 1e-6))
    return fwhm * FWHM_TO_SIGMA / sqrt(grid.pixel_area)


def find_halo(options: WeighResidual, grid: Grid) -> int:
    """Return the kernel's half-width [pixel]."""
    return ceil(REACH * find_sigma(options, grid))


def measure_images(images: Mapping[str, Image]) -> dict[str, Any]:
    """Measure MUSE's noise, and what HST's map is off beyond noise where there is Hα.

    Parameters
    ----------
    images
        `muse_minus_hst`, `musehalpha`, `musehalpha_err`.

    Returns
    -------
    dict
        `muse_noise_level`, the median error of a spaxel; `residual_excess`, how much more the
        residual's mean over a Gaussian of 2 spaxels scatters in bright spaxels than elsewhere, as
        variance; `residual_relative`, the part of it that goes with the flux, as a share of it;
        `residual_left`, the rest, as variance.
    """
    residual, halpha, error = (
        images[name].astype(np.float64)
        for name in ("muse_minus_hst", "musehalpha", "musehalpha_err")
    )
    known = np.isfinite(residual) & np.isfinite(error)
    found = dict.fromkeys(("residual_excess", "residual_relative", "residual_left"), 0.0)
    found["muse_noise_level"] = float(np.nanmedian(np.where(known, error, np.nan)))
    mean, flux = (
        scipy.ndimage.gaussian_filter(np.where(known, image, 0.0), EXCESS_SIGMA)
        for image in (residual, halpha)
    )
    bright = known & (halpha > 5 * error)
    faint = known & (halpha < 2 * error)
    if min(np.count_nonzero(bright), np.count_nonzero(faint)) < FEWEST:
        return found
    noise = _find_variance(mean[faint])
    found["residual_excess"] = max(_find_variance(mean[bright]) - noise, 0.0)
    brightest = known & (flux > BRIGHTEST * sqrt(noise))
    if np.count_nonzero(brightest) < FEWEST:
        brightest = bright & (flux >= np.sort(flux[bright])[-FEWEST])
    ratio, share = mean[brightest] / flux[brightest], noise / flux[brightest] ** 2
    relative = max(_find_variance(ratio) - float(np.median(share)), 0.0)
    found["residual_relative"] = sqrt(relative)
    pulls = mean[bright] / np.sqrt(noise + relative * flux[bright] ** 2)
    found["residual_left"] = noise * max(_find_variance(pulls) - 1, 0.0)
    return found


def _find_variance(values: NDArray[np.float64]) -> float:
    return float((1.4826 * np.median(np.abs(values))) ** 2)


def reduce_to_noise(
    options: WeighResidual,
    images: Collection[str] = ("muse_minus_hst", "musehalpha", "musehalpha_err"),
) -> CollectImages:
    """Return the reduction of the images of these names to their noise."""
    return CollectImages(tuple(images), measure_images)


def find_excess(residual_excess: float, density: float, sigma: float) -> float:
    """Return what HST's errors that are no noise add to its noise, in units of that noise.

    Parameters
    ----------
    residual_excess
        As measured [variance].
    density
        Of HST's noise [variance of a spaxel].
    sigma
        From HST's to MUSE's resolution [spaxel].
    """
    noise = density / (4 * pi * (sigma**2 + EXCESS_SIGMA**2))
    return min(residual_excess / noise, LARGEST_EXCESS) if noise > 0 else 0.0


def convolve_known(
    residual: Image,
    *,
    origin: tuple[int, int],
    sigma: float,
    reach: int,
    density: Any,
    muse_noise: float,
    residual_excess: float,
    share: bool,
) -> Image:
    """Return G ∗ residual, missing spaxels being 0; or the share of G that is not missing.

    Parameters
    ----------
    residual
        2-D; NaN is missing.
    origin
        Not needed: the kernel is the same everywhere.
    sigma, reach
        Of the blur, and half-width of the kernel [spaxel].
    density
        Of HST's noise [variance of a spaxel].
    muse_noise, residual_excess
        As measured.
    share
        Which of the two.
    """
    excess = find_excess(residual_excess, density, sigma)
    kernel = make_kernel(sigma, density, muse_noise**2, excess, reach)
    known = np.isfinite(residual)
    values = known.astype(np.float64) if share else np.where(known, residual, 0.0)
    total = _convolve(values, kernel)
    return np.clip(total / kernel.sum(), 0, 1) if share else np.asarray(total)


def _convolve(image: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the convolution with a kernel of odd sides, of the image's shape."""
    sides = [one + other - 1 for one, other in zip(image.shape, kernel.shape, strict=True)]
    shape = [scipy.fft.next_fast_len(side, real=True) for side in sides]
    # `scipy.signal` does the same, and takes more than a second to import.
    product = scipy.fft.rfft2(image, shape) * scipy.fft.rfft2(kernel, shape)
    whole = scipy.fft.irfft2(product, shape)
    top, left = (side // 2 for side in kernel.shape)
    return np.asarray(whole[top : top + image.shape[0], left : left + image.shape[1]])


def find_density(hst_noise: Any, ratio: Any, area: float) -> Any:
    """Return the density of HST's noise [variance of a spaxel]."""
    return area * (hst_noise / ratio) ** 2


def weigh_residual(
    muse_minus_hst: xr.DataArray,
    musehalpha: xr.DataArray,
    musehalpha_err: xr.DataArray,
    halpha_hst: xr.DataArray,
    hst_noise: Any,
    pixel_noise_ratio: Any = None,
    *,
    measured: Mapping[str, Any] | None = None,
    options: WeighResidual | None = None,
) -> xr.Dataset:
    """Weigh the residual of MUSE against HST.

    Parameters
    ----------
    muse_minus_hst, musehalpha, musehalpha_err
        Images on MUSE's grid [1e-20 erg/s/cm² per spaxel].
    halpha_hst
        An image on HST's grid, for its pixels' area; they are not read.
    hst_noise
        Median error of a pixel of HST's Hα [1e-20 erg/s/cm²].
    pixel_noise_ratio
        Of single pixels' scatter to what sums say, per band; 1 if None.
    measured
        The numbers of `reduce_to_noise`, when known; measured from the whole images if None.
    options
        The two resolutions.

    Returns
    -------
    xr.Dataset
        `joint_correction` [1e-20 erg/s/cm² per spaxel] and `muse_share`, the share of the kernel's
        weight that lies on MUSE's data, 0 to 1; both finite on the whole grid.

    Raises
    ------
    GridError
        If MUSE's images are not on one grid.
    InputError
        If a unit is another, or MUSE's resolution is not known.
    """
    options = options or WeighResidual()
    images = {
        "muse_minus_hst": muse_minus_hst,
        "musehalpha": musehalpha,
        "musehalpha_err": musehalpha_err,
    }
    grid = require_products(**images)
    require_products(halpha_hst=halpha_hst)
    if measured is None:
        measured = reduce_images(reduce_to_noise(options, images), *images.values())
    area = grid.pixel_area / get_grid(halpha_hst).pixel_area
    ratio = 1.0 if pixel_noise_ratio is None else pixel_noise_ratio[0]
    parameters = {
        "sigma": find_sigma(options, grid),
        "reach": find_halo(options, grid),
        "density": find_density(hst_noise, ratio, area),
        "muse_noise": measured["muse_noise_level"],
        "residual_excess": measured["residual_excess"],
    }
    depth = find_halo(options, grid)
    made = {
        name: map_halo(convolve_known, muse_minus_hst, depth=depth, share=share, **parameters)
        for name, share in (("joint_correction", False), ("muse_share", True))
    }
    numbers = {name: label_number(measured[name], name, unit) for name, unit in NUMBERS.items()}
    return xr.Dataset(
        {
            **{name: label_product(one, name, "weigh_residual") for name, one in made.items()},
            **numbers,
        }
    )
