"""Take the continuum out of a narrow band, pixel by pixel, and what that leaves of a line.

The continuum is q(u) (a1 c1 + a2 c2), c1 and c2 two broad bands without lines, u their ratio,
smoothed as its noise asks for; see `phangs_xr.numerics.fit_continuum` for q and the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phangs_xr.numerics.filters import smooth_gaussian, smooth_widely
from phangs_xr.numerics.fit_continuum import evaluate_quotient, weigh_colour

Image = NDArray[np.floating]
Values = NDArray[np.float64]

WIDE = 8.0
"""σ from which on a Gaussian is taken over block means [pixel]."""

REACH = 5
"""Half-width of the colour's Gaussians [σ]."""


def find_log_colour(
    first: Image,
    second: Image,
    first_err: Image,
    second_err: Image,
    *,
    origin: tuple[int, int],
    sigma: float,
    fine: float,
    signal: float,
    typical: float,
) -> Image:
    """Return ln(c1/c2) of smoothed bands, finer where they are bright.

    Parameters
    ----------
    first, second
        Line-free broad bands; NaN is missing.
    first_err, second_err
        Errors of their pixels.
    origin
        Absolute row and column of the first pixel.
    sigma, fine
        Of the two Gaussians [pixel].
    signal
        Signal to noise from which the finer one counts.
    typical
        ln(c1/c2) where neither tells.
    """
    colour = np.full_like(first, typical)
    for width, limit in ((sigma, 0.0), (fine, signal)):
        one, other = (_smooth(band, width, origin) for band in (first, second))
        # Errors change slowly: those of the mean follow from the pixel's own.
        share = limit / (2 * sqrt(pi) * width)
        bright = (one > np.maximum(share * first_err, 0)) & (
            other > np.maximum(share * second_err, 0)
        )
        np.divide(one, other, out=one, where=bright)
        np.clip(one, 0.05, 20, out=one)
        np.log(one, out=colour, where=bright)
    colour[np.isnan(first) | np.isnan(second)] = np.nan
    return colour


def _smooth(band: Image, sigma: float, origin: tuple[int, int]) -> Image:
    if sigma >= WIDE:
        return smooth_widely(band, sigma, REACH, origin)
    return smooth_gaussian(band, sigma, ceil(REACH * sigma), origin)


def free_band(flux: Image, response: Image, halpha: Image, *, sky: float) -> Image:
    """Return a broad band without sky and lines."""
    return flux - float(sky) - response * halpha


def find_terms(
    colour: Image, *, q: Values, colours: Values, weights: tuple[float, float]
) -> tuple[Image, Image]:
    """Return what each broad band counts for in the continuum, q(u) a1 and q(u) a2."""
    centre, low, high = (float(value) for value in colours)
    quotient = evaluate_quotient(colour, q, centre, (low, high))
    first, second = weigh_colour(colour, weights)
    return quotient * first, quotient * second


def find_continuum(
    colour: Image,
    *bands: Image,
    q: Values,
    colours: Values,
    weights: tuple[float, float],
    skies: Sequence[Any],
    squared: bool = False,
) -> Image:
    """Return the continuum, or its variance if the bands are errors and `squared`.

    Parameters
    ----------
    colour
        ln u; zeros for one broad band.
    *bands
        One or two broad bands, or their errors.
    q, colours, weights
        Of the model.
    skies
        To be taken off the bands; zeros for errors.
    squared
        Whether terms add in squares.
    """
    terms = find_terms(colour, q=q, colours=colours, weights=weights)
    total = np.zeros_like(colour)
    for term, band, sky in zip(terms, bands, skies, strict=False):
        part = term * (band - float(sky))
        total = total + (part**2 if squared else part)
    return total


def find_line_response(
    colour: Image,
    response: Image,
    *others: Image,
    gain: float,
    q: Values,
    colours: Values,
    weights: tuple[float, float],
) -> Image:
    """Return what is left of a line of flux 1 in the narrow band without its continuum [1/Å]."""
    lost = find_continuum(
        colour, *others, q=q, colours=colours, weights=weights, skies=[0.0] * len(others)
    )
    return float(gain) * response - lost


def divide_line(narrow: Image, continuum: Image, response: Image, *, sky: float) -> Image:
    """Return Hα."""
    return (narrow - float(sky) - continuum) / response


def divide_error(error: Image, variance: Image, response: Image) -> Image:
    """Return the error of Hα."""
    return np.sqrt(error**2 + variance) / response


def add_assumed(variance: Image, continuum: Image, *, relative: float) -> Image:
    """Return the variance of a continuum that is known to a share of it only."""
    return variance + (relative * continuum) ** 2


def find_width(line: Image, continuum: Image, error: Image) -> Image:
    """Return the equivalent width [Å] where the continuum is above three errors, else NaN."""
    known = continuum > 3 * error
    return np.divide(line, continuum, out=np.full_like(line, np.nan), where=known)


def fill_like(image: Image, *, value: float) -> Image:
    """Return one value where the image has data."""
    return np.where(np.isnan(image), np.nan, value)


def scale(image: Image, *, factor: float) -> Image:
    """Return the image times a factor."""
    return image * factor
