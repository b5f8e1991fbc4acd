"""Say how far each pixel of HST's bands can be off: by its weight, or by how the sky scatters.

The error is one standard deviation of a single pixel as it is in the image. Drizzling correlates
neighbours: single pixels scatter less than 1/sqrt(weight), while sums over many scatter as the
weights say. The ratio of the two is measured where there is sky (`phangs_xr.numerics.pixel_noise`),
so that either can be had.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError, require_between
from phangs_xr.numerics.lazy import label_number, map_pixels, reduce_images
from phangs_xr.numerics.pixel_noise import MeasurePixelNoise
from phangs_xr.numerics.statistics import AskByName
from phangs_xr.photometry.keywords import find_keyword
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.schema import BANDS, NUMBERS

Image = NDArray[np.floating]

PixelNoise = Literal["weights", "measured"]

NAMES = (*BANDS, *(f"{band}_weight" for band in BANDS))


@dataclass(frozen=True)
class EstimateErrors:
    """Options of `estimate_errors`.

    Attributes
    ----------
    pixel_noise
        "weights": 1/sqrt(weight) as it stands, as published. "measured": that times the measured
        ratio of the scatter of single pixels to it.
    assumed_ratio
        That ratio where there are no weights to measure it against: what a Gaussian kernel of
        pixfrac 1 gives, as PHANGS-HST was drizzled.
    """

    pixel_noise: PixelNoise = "weights"
    assumed_ratio: float = 0.73

    def __post_init__(self) -> None:
        """Refuse another way, and ratios that are none."""
        if self.pixel_noise not in get_args(PixelNoise):
            message = (
                f"estimate_errors: pixel_noise should be one of {', '.join(get_args(PixelNoise))}, "
                f"found {self.pixel_noise!r}: correct it"
            )
            raise InputError(message)
        require_between("estimate_errors", self, assumed_ratio=(0.01, 1, "ratio"))


def find_error(weight: Image, image: Image, *, ratio: float) -> Image:
    """Return ratio/sqrt(weight), NaN where the image is or where the weight is not positive."""
    known = (weight > 0) & ~np.isnan(image)
    return ratio / np.sqrt(weight, out=np.full_like(weight, np.nan), where=known)


def spread_error(image: Image, *, noise: float, ratio: float, exposure: float) -> Image:
    """Return the sky's noise and that of the photons that are counted, NaN where the image is.

    Parameters
    ----------
    image
        [electron / s].
    noise
        Of a pixel of sky.
    ratio
        Of single pixels' scatter to what sums say.
    exposure
        How long they were counted [s]; infinity leaves them out.
    """
    photons = np.maximum(image, 0) * (ratio**2 / exposure)
    return np.where(np.isnan(image), np.nan, np.sqrt(noise**2 + photons))


@dataclass(frozen=True)
class ReduceToNoise(AskByName):
    """Reduce bands and their weights to the noise of their pixels."""

    weighted: tuple[str, ...] = ()
    assumed_ratio: float = 0.73
    scaled: bool = True

    def finish(self, state: tuple[Any, ...]) -> dict[str, Any]:
        """Return `pixel_noise_ratio`, as it is used, and `pixel_noise`, NaN where not measured."""
        found = super().finish(state)
        ratio = [
            (found.get(band, np.nan) if self.scaled else 1.0)
            if band in self.weighted
            else self.assumed_ratio
            for band in BANDS
        ]
        noise = [np.nan if band in self.weighted else found.get(band, np.nan) for band in BANDS]
        return {"pixel_noise_ratio": np.array(ratio), "pixel_noise": np.array(noise)}


def reduce_to_noise(options: EstimateErrors, images: Collection[str] = NAMES) -> ReduceToNoise:
    """Return the reduction of the images of these names, in this order, to their noise."""
    names = tuple(images)
    parts = []
    weighted = tuple(band for band in BANDS if f"{band}_weight" in names)
    for band in BANDS:
        if band in names:
            own = (band, f"{band}_weight") if band in weighted else (band,)
            places = tuple(names.index(name) for name in own)
            parts.append((places, MeasurePixelNoise(band in weighted)))
    scaled = options.pixel_noise == "measured"
    measured = tuple(band for band in BANDS if band in names)
    return ReduceToNoise(tuple(parts), measured, weighted, options.assumed_ratio, scaled)


def needs_measuring(options: EstimateErrors, given: Collection[str]) -> bool:
    """Tell whether anything must be measured: the ratio is wanted, or a band has no weight."""
    lacking = any(f"{band}_weight" not in given for band in BANDS if band in given)
    return options.pixel_noise == "measured" or lacking


def find_time(image: xr.DataArray) -> float:
    """Return the exposure time [s], infinity if the header does not say it."""
    value = find_keyword(image, "exptime")
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf
    return float(value) if known else inf


def check_inputs(options: EstimateErrors, images: Mapping[str, xr.DataArray]) -> Iterator[str]:
    """Say which bands have no weight."""
    for band in BANDS:
        if band in images and f"{band}_weight" not in images:
            photons = "" if find_time(images[band]) < inf else ", and grows nowhere: no EXPTIME"
            yield f"{band} has no weight: its noise is measured where there is sky{photons}"


def estimate_errors(
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    continuum2: xr.DataArray | None = None,
    narrow_weight: xr.DataArray | None = None,
    continuum1_weight: xr.DataArray | None = None,
    continuum2_weight: xr.DataArray | None = None,
    *,
    measured: Mapping[str, Any] | None = None,
    options: EstimateErrors | None = None,
) -> xr.Dataset:
    """Estimate the error of each pixel of HST's bands.

    Parameters
    ----------
    narrow, continuum1, continuum2
        Images on one grid [electron / s], NaN where there are no data.
    narrow_weight, continuum1_weight, continuum2_weight
        Their inverse variances [s² electron⁻²]; of a band without, the noise is measured on its
        sky, and that of photons follows from EXPTIME.
    measured
        The numbers of `reduce_to_noise`, when known; measured from the whole images if None and
        needed.
    options
        What a pixel's error is; the default if None.

    Returns
    -------
    xr.Dataset
        `narrow_err`, `continuum1_err` and, if given, `continuum2_err` [electron / s], NaN where the
        band is, and where its weight is not positive; and, if measured, the numbers
        `pixel_noise_ratio`, by band.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    options = options or EstimateErrors()
    given = (narrow, continuum1, continuum2, narrow_weight, continuum1_weight, continuum2_weight)
    images = {name: one for name, one in zip(NAMES, given, strict=True) if one is not None}
    require_products(**images)
    if measured is None and needs_measuring(options, images):
        measured = reduce_images(reduce_to_noise(options, images), *images.values())
    errors = {}
    for number, band in enumerate(band for band in BANDS if band in images):
        image, weight = images[band], images.get(f"{band}_weight")
        if weight is None:
            noise = measured["pixel_noise"][number] if measured is not None else np.nan
            ratio, exposure = options.assumed_ratio, find_time(image)
            error = map_pixels(spread_error, image, noise=noise, ratio=ratio, exposure=exposure)
        else:
            ratio = 1.0
            # Not `if measured`: what is lazy has no truth.
            if options.pixel_noise == "measured" and measured is not None:
                ratio = measured["pixel_noise_ratio"][number]
            error = map_pixels(find_error, weight, image, ratio=ratio)
        name = f"{band}_err"
        units = image.attrs["units"]
        errors[name] = label_product(error, name, "estimate_errors", units=units)
    if measured is None:
        return xr.Dataset(errors)
    name = "pixel_noise_ratio"
    ratios = label_number(measured[name], name, "", NUMBERS[name].dims, (len(BANDS),))
    return xr.Dataset({**errors, name: ratios})
