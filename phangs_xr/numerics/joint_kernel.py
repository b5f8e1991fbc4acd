"""The best estimate from a sharp, noisy image and a blurred, less noisy one of the same field.

    J = H + G ∗ (M - P ∗ H),    G = σ_h² P / (σ_m² + σ_h² P²)  in Fourier space,

the generalised least-squares solution for white noises of density σ_h², σ_m² (variance per unit of
area) and M blurred by P against H. What G keeps is as smooth as P, so it is applied on M's coarse
pixels, as a kernel of finite reach.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy
from numpy.typing import NDArray

Values = NDArray[np.float64]

SMALLEST = 32
SIDE = 128
"""Of the square of pixels that the kernel is worked out on."""


def make_filter(sigma: float, hst: float, muse: float, excess: float, side: int = SIDE) -> Values:
    """Return G in Fourier space, shape (side, side).

    Parameters
    ----------
    sigma
        Of the Gaussian P [pixel].
    hst, muse
        Noise densities of H and M [variance per pixel area].
    excess
        What H's errors that are no noise (its continuum) add to its noise on scales of a nebula, in
        units of that noise.
    side
        Of the square [pixel].
    """
    frequency = np.fft.fftfreq(side)
    squares = frequency[:, None] ** 2 + frequency**2
    blur = np.exp(-2 * np.pi**2 * sigma**2 * squares)
    density = hst * (1 + excess / (1 + squares * SMOOTH**2))
    return np.asarray(density * blur / (muse + density * blur**2))


SMOOTH = 12.0
"""Scale on which H's errors that are no noise are alike [pixel]."""


def make_kernel(sigma: float, hst: float, muse: float, excess: float, reach: int) -> Values:
    """Return G as a kernel of side 2 `reach` + 1; other parameters are those of `make_filter`."""
    side = max(SIDE, 4 * (reach + 1))
    filtered = make_filter(sigma, hst, muse, excess, side)
    kernel = np.fft.fftshift(np.fft.ifft2(filtered).real)
    part = slice(side // 2 - reach, side // 2 + reach + 1)
    return np.ascontiguousarray(kernel[part, part])


def find_noise_ratios(
    sigma: float, hst: float, muse: float, excess: float, masks: Iterable[NDArray[np.bool_]]
) -> tuple[Values, Values]:
    """Return the errors of sums over regions in H and in J, over what H's noise alone is.

    Parameters
    ----------
    sigma, hst, muse, excess
        As for `make_filter`.
    masks
        Each region on M's pixels, cut out.

    Returns
    -------
    tuple of NDArray
        Of H, whose errors that are no noise are added, and of J [ratios of standard deviations],
        one number per region.
    """
    spectra: dict[int, tuple[Values, Values]] = {}
    ratios = []
    for mask in masks:
        side = SMALLEST
        while side < max(mask.shape) + 8 * sigma:
            side *= 2
        if side not in spectra:
            spectra[side] = _find_spectra(sigma, hst, muse, excess, side)
        power = np.abs(scipy.fft.rfft2(mask, (side, side))) ** 2
        # All columns but the first and the middle one stand for two.
        power[:, 1 : side // 2] *= 2
        noise = hst * power.sum()
        ratios.append([np.sqrt((one * power).sum() / noise) for one in spectra[side]])
    table = np.array(ratios).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _find_spectra(
    sigma: float, hst: float, muse: float, excess: float, side: int
) -> tuple[Values, Values]:
    """Return the power spectra of the errors of H and J, as `rfft2` has its frequencies."""
    squares = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side) ** 2
    blur = np.exp(-2 * np.pi**2 * sigma**2 * squares)
    own = hst * (1 + excess / (1 + squares * SMOOTH**2))
    weight = own * blur / (muse + own * blur**2)
    return own, (1 - weight * blur) ** 2 * own + weight**2 * muse
