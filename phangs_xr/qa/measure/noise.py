"""The noise and the background of a map, from the pixels that hold no emission."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phangs_xr.qa.measure.overviews import Overview, PixelHistogram

_FEWEST_BINS = 5

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """A Gaussian fitted to the pixels that hold no emission.

    Attributes
    ----------
    offset
        Its centre, in the image's unit.
    sigma
        Its standard deviation.
    height
        Its peak, as a share of all pixels per unit of flux.
    """

    offset: float
    sigma: float
    height: float

    def __call__(self, flux: Curve) -> Curve:
        """Return the Gaussian at some fluxes."""
        return _bell(flux, self.offset, self.sigma, self.height)


def _bell(flux: Curve, offset: float, sigma: float, height: float) -> Curve:
    return height * np.exp(-0.5 * ((flux - offset) / sigma) ** 2)


def fit_noises(overview: Overview) -> dict[str, Noise]:
    """Fit the noise of each map that has pixels to fit, by their names."""
    fits = {name: fit_noise(histogram) for name, histogram in overview.histograms.items()}
    return {name: noise for name, noise in fits.items() if noise is not None}


def fit_noise(histogram: PixelHistogram) -> Noise | None:
    """Fit a Gaussian to the lower side and the core of a histogram of pixels.

    Emission only adds to the upper side, so the fit runs from 3 σ below to 1 σ above the centre.

    It is None where the pixels have no spread to fit.
    """
    # Not every process that draws a fit makes one, and to import this takes half a second.
    from scipy.optimize import curve_fit

    if histogram.size < 100 or np.count_nonzero(histogram.counts) < _FEWEST_BINS:
        return None
    low, middle = (float(value) for value in histogram.find_quantile(np.array([0.16, 0.5])))
    noise = Noise(middle, middle - low, 0.0)
    for _ in range(5):
        if not noise.sigma > 0:
            return None
        edges = noise.offset + noise.sigma * np.linspace(-3, 1, 81)
        share = histogram.rebin(edges) / histogram.size / np.diff(edges)
        start = (noise.offset, noise.sigma, float(share.max()))
        try:
            found, _ = curve_fit(_bell, (edges[1:] + edges[:-1]) / 2, share, p0=start)
        except RuntimeError:
            # No Gaussian fits: what the quantiles told is the best there is.
            noise = Noise(*start)
        else:
            noise = Noise(float(found[0]), abs(float(found[1])), float(found[2]))
    return noise
