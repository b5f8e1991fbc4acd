"""Take the continuum off the narrow band, interpolated between the logarithms of the broad bands.

    log10 C = w1 log10 c1 + w2 log10 c2,    F = (n - C) · W,

with weights linear in the wavelength of the pivots, and W the narrow filter's rectangular width
(Chandar et al. 2025, AJ 169, 150). Where a broad band is not positive it has no logarithm: C is
then 0, as published, and the pixels are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.choose_curve import find_curve
from phangs_xr.photometry.continuum import find_positive, interpolate_logs, weigh_pivots
from phangs_xr.photometry.labels import keep_curve, label_product, require_products
from phangs_xr.schema import BANDS

Image = NDArray[np.floating]


@dataclass(frozen=True)
class SubtractLogContinuum:
    """Options of `subtract_log_continuum`.

    Attributes
    ----------
    keep_unsubtracted
        Whether pixels without a continuum keep the narrow band's whole flux, as published; NaN if
        not.
    """

    keep_unsubtracted: bool = True


def find_continuum(
    narrow: Image,
    first: Image,
    second: Image | None = None,
    *,
    weights: tuple[float, float],
    width: float,
) -> Image:
    """Return the continuum in the narrow band, times its width; 0 where there is none."""
    continuum = interpolate_logs(first, second, weights=weights)
    return np.where(np.isnan(narrow), np.nan, continuum * width)


def find_line(narrow: Image, continuum: Image, *, width: float, keep: bool) -> Image:
    """Return the narrow band, times its width, less the continuum."""
    line = narrow * width - continuum
    return line if keep else np.where(continuum == 0, np.nan, line)


def find_line_error(
    line: Image,
    continuum: Image,
    narrow_err: Image,
    *bands: Image,
    weights: tuple[float, float],
    width: float,
) -> Image:
    """Return the error of the line, NaN where that is.

    Parameters
    ----------
    line, continuum, narrow_err
        Of one pixel each; the first two times the width.
    *bands
        The broad bands, then their errors.
    weights, width
        Of the continuum.
    """
    half = len(bands) // 2
    relative = np.zeros_like(line)
    for band, error, weight in zip(bands[:half], bands[half:], weights, strict=False):
        share = np.divide(error, band, out=np.zeros_like(line), where=continuum > 0)
        relative = np.hypot(relative, weight * share)
    error = np.hypot(narrow_err * width, continuum * relative)
    return np.where(np.isnan(line), np.nan, error)


def mark_unsubtracted(narrow: Image, *bands: Image) -> Image:
    """Return 1 where the narrow band has data and no continuum can be made, else 0."""
    return (~np.isnan(narrow) & ~find_positive(*bands)).astype(narrow.dtype)


def check_inputs(
    options: SubtractLogContinuum, images: Mapping[str, xr.DataArray]
) -> Iterable[str]:
    """Refuse broad bands of one pivot; there is no remark."""
    pivots = [find_curve(images[name], name).pivot for name in BANDS if name in images]
    if len(pivots) == len(BANDS):
        weigh_pivots(*pivots)
    return ()


def subtract_log_continuum(
    narrow_bgcorr: xr.DataArray,
    continuum1_bgcorr: xr.DataArray,
    continuum2_bgcorr: xr.DataArray | None = None,
    narrow_bgcorr_err: xr.DataArray | None = None,
    continuum1_bgcorr_err: xr.DataArray | None = None,
    continuum2_bgcorr_err: xr.DataArray | None = None,
    *,
    options: SubtractLogContinuum | None = None,
) -> xr.Dataset:
    """Subtract the continuum from the narrow band, and give the line's flux.

    Parameters
    ----------
    narrow_bgcorr, continuum1_bgcorr, continuum2_bgcorr
        Bands on one grid [1e-20 erg/s/cm²/Å per pixel], with the attributes `pivot` [Å] and, of
        the narrow band, `rectangular_width` [Å]. One broad band alone is the continuum.
    narrow_bgcorr_err, continuum1_bgcorr_err, continuum2_bgcorr_err
        Their errors; all of them, or the result has none.
    options
        What becomes of pixels without a continuum; the default if None.

    Returns
    -------
    xr.Dataset
        `hst_cont`, `hst_contsub` and, with errors, `hst_contsub_err` [1e-20 erg/s/cm² per pixel],
        NaN where the narrow band is; `unsubtracted_mask`, 1 where the continuum counts as 0.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another, or both broad bands have one pivot.
    """
    options = options or SubtractLogContinuum()
    bands = (narrow_bgcorr, continuum1_bgcorr, continuum2_bgcorr)
    named = zip(BANDS, bands, strict=True)
    images = {f"{band}_bgcorr": one for band, one in named if one is not None}
    own = (narrow_bgcorr_err, continuum1_bgcorr_err, continuum2_bgcorr_err)
    errors = {
        f"{band}_bgcorr_err": one for band, one in zip(BANDS, own, strict=True) if one is not None
    }
    require_products(**images, **errors)
    pivots = [image.attrs["pivot"] for image in images.values()]
    weights = weigh_pivots(*pivots) if len(pivots) == len(BANDS) else (1.0, 0.0)
    width = narrow_bgcorr.attrs["rectangular_width"]
    broad = list(images.values())[1:]
    continuum = map_pixels(find_continuum, *images.values(), weights=weights, width=width)
    line = map_pixels(
        find_line, narrow_bgcorr, continuum, width=width, keep=options.keep_unsubtracted
    )
    made = {"hst_cont": continuum, "hst_contsub": line}
    if len(errors) == len(images):
        first, *others = errors.values()
        made["hst_contsub_err"] = map_pixels(
            find_line_error, line, continuum, first, *broad, *others, weights=weights, width=width
        )
    made["unsubtracted_mask"] = map_pixels(mark_unsubtracted, *images.values())
    attrs: dict[str, Any] = keep_curve(narrow_bgcorr)
    return xr.Dataset(
        {
            name: label_product(image, name, "subtract_log_continuum", **attrs)
            for name, image in made.items()
        }
    )
