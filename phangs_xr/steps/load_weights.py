"""Take the weights that come with HST's images: inverse variances, onto the narrow band's grid.

Zero or less is no data. On another grid, variances are brought over as fluxes are: a sum over many
pixels then has the same variance on either grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.numerics.overlap import align_image
from phangs_xr.photometry.exposure import find_exposure
from phangs_xr.photometry.labels import label_product
from phangs_xr.schema import BANDS
from phangs_xr.sky import get_grid, is_one_grid

Image = NDArray[np.floating]


@dataclass(frozen=True)
class LoadWeights:
    """Options of `load_weights`: there are none."""


def keep_positive(weight: Image, *, factor: float) -> Image:
    """Return the weights times a factor, NaN where they are not positive."""
    return np.where((weight > 0) & np.isfinite(weight), weight * factor, np.nan)


def invert_positive(weight: Image) -> Image:
    """Return one over the image, NaN where it is not positive."""
    known = (weight > 0) & np.isfinite(weight)
    return np.divide(1, weight, out=np.full_like(weight, np.nan), where=known)


def load_weights(
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    continuum2: xr.DataArray | None = None,
    narrow_weight: xr.DataArray | None = None,
    continuum1_weight: xr.DataArray | None = None,
    continuum2_weight: xr.DataArray | None = None,
    *,
    options: LoadWeights | None = None,
) -> xr.Dataset:
    """Bring the weights of HST's bands onto the narrow band's grid.

    Parameters
    ----------
    narrow, continuum1, continuum2
        The images the weights belong to, as opened with the FITS engine: their units say what the
        weights are per, their pixels are not read.
    narrow_weight, continuum1_weight, continuum2_weight
        Inverse variances [(electron / s)⁻², or of another count or rate that the image is in]; 0 or
        less, or NaN, is no data. Their own BUNIT, which is the image's in real files, is not read.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `narrow_weight`, `continuum1_weight`, `continuum2_weight`, as far as given [s² electron⁻²],
        float32, NaN where there are no data.

    Raises
    ------
    GridError
        If an image has no WCS, or a weight is on another grid than its image.
    InputError
        If the unit of an image is neither counts per second nor, with EXPTIME, counts.
    """
    images = dict(zip(BANDS, (narrow, continuum1, continuum2), strict=True))
    weights = (narrow_weight, continuum1_weight, continuum2_weight)
    loaded = {}
    for (band, image), weight in zip(images.items(), weights, strict=True):
        if weight is None or image is None:
            continue
        name = f"{band}_weight"
        factor = find_exposure(image, band) ** 2
        if is_one_grid(get_grid(narrow), get_grid(weight)):
            aligned = map_pixels(keep_positive, weight, dtype=np.float32, factor=factor)
            aligned = aligned.assign_coords(narrow.coords)
        else:
            variance = map_pixels(invert_positive, weight, dtype=np.float32)
            aligned = map_pixels(invert_positive, align_image(variance, narrow))
            aligned = map_pixels(keep_positive, aligned, factor=factor)
        loaded[name] = label_product(aligned, name, "load_weights")
    return xr.Dataset(loaded)


def check_inputs(options: LoadWeights, images: Mapping[str, xr.DataArray]) -> Iterable[str]:
    """Refuse weights without their image, or on another grid; there is no remark."""
    for band in BANDS:
        name = f"{band}_weight"
        if name not in images:
            continue
        if band not in images:
            message = f"{name} is given without {band}: give the image it belongs to"
            raise InputError(message)
        if not is_one_grid(get_grid(images[band]), get_grid(images[name])):
            message = (
                f"{name} should be on the grid of {band}, found another in "
                f"{images[name].attrs.get('source', 'its header')}: give the weight of this image"
            )
            raise InputError(message)
    return ()
