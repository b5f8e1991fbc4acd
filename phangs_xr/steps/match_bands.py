"""See HST's bands as MUSE does: smoothed to its resolution, on its pixels.

A Gaussian of FWHM sqrt(muse² - hst²), then the bilinear mean at the centres of MUSE's pixels, times
the ratio of the pixel areas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, inf, sqrt
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.filters import FWHM_TO_SIGMA, smooth_gaussian
from phangs_xr.numerics.lazy import map_tiles
from phangs_xr.numerics.resampling import PAD, resample_window
from phangs_xr.photometry.labels import keep_curve, label_product, require_products
from phangs_xr.schema import BANDS
from phangs_xr.sky import Grid, get_grid

Image = NDArray[np.floating]
Beyond = Literal["missing", "zero"]

REACH = 5.0
"""Kernel half-width [σ], as in `smooth_hst`."""


@dataclass(frozen=True)
class MatchBands:
    """Options of `match_bands`.

    Attributes
    ----------
    hst_fwhm
        Of HST's point-spread function [arcsec] (Chandar et al. 2025).
    muse_fwhm
        Of MUSE's [arcsec]; a run takes it from the MAPS file's name when it is not given.
    beyond
        What lies beyond the bounding box of HST's data: "missing" carries no weight; "zero" counts
        as dark sky, as in the published maps, which pulls the smoothed image down within two
        kernels of the box's edge.
    """

    hst_fwhm: float = 0.07
    muse_fwhm: float | None = None
    beyond: Beyond = "missing"

    def __post_init__(self) -> None:
        """Refuse widths that are no widths, and a MUSE image sharper than HST's."""
        if not 0 < self.hst_fwhm < inf:
            message = f"match_bands: hst_fwhm should be positive [arcsec], found {self.hst_fwhm}"
            raise InputError(message)
        if self.muse_fwhm is not None and not self.hst_fwhm < self.muse_fwhm < inf:
            message = (
                f"match_bands: muse_fwhm should be above hst_fwhm = {self.hst_fwhm} arcsec, found "
                f"{self.muse_fwhm}: HST is smoothed to MUSE's resolution, not the other way"
            )
            raise InputError(message)
        if self.beyond not in get_args(Beyond):
            message = (
                f"match_bands: beyond should be one of {', '.join(get_args(Beyond))}, found "
                f"{self.beyond!r}: correct it"
            )
            raise InputError(message)


def find_sigma(options: MatchBands, grid: Grid) -> float:
    """Return the σ of the Gaussian that takes HST's resolution to MUSE's [pixel of `grid`].

    Raises
    ------
    InputError
        If `muse_fwhm` is not known.
    """
    if options.muse_fwhm is None:
        message = (
            "match_bands: MUSE's resolution is not known: name the MAPS file as ...-0.92asec... "
            "or ..._copt_0.92asec..., or set [options.match_bands] muse_fwhm [arcsec]"
        )
        raise InputError(message)
    fwhm = sqrt(options.muse_fwhm**2 - options.hst_fwhm**2)
    return fwhm * FWHM_TO_SIGMA / sqrt(grid.pixel_area)


def check_inputs(options: MatchBands, images: Mapping[str, xr.DataArray]) -> Iterable[str]:
    """Refuse a MUSE map whose resolution is not known; there is no remark."""
    if "muse" in images:
        find_sigma(options, get_grid(images["narrow"]))
    return ()


def find_halo(options: MatchBands, grid: Grid) -> int:
    """Return the kernel's half-width [pixel]."""
    return ceil(REACH * find_sigma(options, grid)) + 1


def match_window(
    piece: Image,
    source: Grid,
    target: Grid,
    *,
    sigma: float,
    radius: int,
    box: NDArray[np.float64] | None,
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
    box
        First and last row, first and last column of HST's data, absolute, beyond which the sky
        counts as dark; None if it counts as missing.
    factor
        MUSE's over HST's pixel area.
    """
    if box is not None:
        inside = _cut(source.y0, box[:2], piece.shape[0]), _cut(source.x0, box[2:], piece.shape[1])
        piece, source = piece[inside], source.window(*inside)
    if 0 in piece.shape:
        return np.full(target.shape, np.nan, dtype=piece.dtype)
    margin = 0 if box is None else radius
    origin = int(source.y0) - margin, int(source.x0) - margin
    smoothed = smooth_gaussian(np.pad(piece, margin), sigma, radius, origin)
    smoothed = smoothed[margin : margin + piece.shape[0], margin : margin + piece.shape[1]]
    smoothed[np.isnan(piece)] = np.nan
    return resample_window(smoothed, source, target, order="bilinear", factor=factor)


def _cut(first: float, ends: NDArray[np.float64], size: int) -> slice:
    """Return what of a window lies between two absolute rows, or columns, both inclusive."""
    start, stop = (int(np.clip(end - first, 0, size)) for end in (ends[0], ends[1] + 1))
    return slice(start, stop)


def match_bands(
    narrow_flux: xr.DataArray,
    continuum1_flux: xr.DataArray,
    musehalpha: xr.DataArray,
    data_box: Any = None,
    continuum2_flux: xr.DataArray | None = None,
    *,
    options: MatchBands | None = None,
) -> xr.Dataset:
    """Bring HST's bands to MUSE's resolution and pixels.

    Parameters
    ----------
    narrow_flux, continuum1_flux, continuum2_flux
        Images on one grid [1e-20 erg/s/cm²/Å per HST pixel]; NaN is missing.
    musehalpha
        An image on MUSE's grid; its pixels are not read.
    data_box
        First and last row, first and last column of HST's data, as `find_footprint` measures them;
        needed for `beyond = "zero"`.
    options
        The two resolutions, and what lies beyond the data.

    Returns
    -------
    xr.Dataset
        `narrow_on_muse`, `continuum1_on_muse` and, if given, `continuum2_on_muse`
        [1e-20 erg/s/cm²/Å per MUSE pixel], NaN where HST has no data; the attribute
        `pixel_area_ratio` is a MUSE pixel's area over an HST pixel's.

    Raises
    ------
    GridError
        If HST's images are not on one grid.
    InputError
        If a unit is another, or MUSE's resolution is not known or finer than HST's.
    """
    options = options or MatchBands()
    fluxes = dict(zip(BANDS, (narrow_flux, continuum1_flux, continuum2_flux), strict=True))
    images = {f"{band}_flux": one for band, one in fluxes.items() if one is not None}
    grid = require_products(**images)
    if options.beyond == "zero" and data_box is None:
        message = "match_bands: beyond = 'zero' needs data_box, as find_footprint measures it"
        raise InputError(message)
    sigma = find_sigma(options, grid)
    radius = ceil(REACH * sigma)
    area = get_grid(musehalpha).pixel_area / grid.pixel_area
    matched = {}
    for name, image in images.items():
        seen = map_tiles(
            match_window,
            image,
            musehalpha,
            pad=radius + PAD,
            sigma=sigma,
            radius=radius,
            box=None if options.beyond == "missing" else data_box,
            factor=area,
        )
        product = f"{name.removesuffix('_flux')}_on_muse"
        matched[product] = label_product(
            seen, product, "match_bands", **keep_curve(image), pixel_area_ratio=area
        )
    return xr.Dataset(matched)
