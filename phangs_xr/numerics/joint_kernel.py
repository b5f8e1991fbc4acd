"""The best estimate from a sharp, noisy image and a blurred, less noisy one of the same field.

    J = H + G ∗ (M - P ∗ H),    G = σ_h² P / (σ_m² + σ_h² P²)  in Fourier space,

the generalised least-squares solution for white noises of density σ_h², σ_m² (variance per unit of
area) and M blurred by P against H. What G keeps is as smooth as P, so it is applied on M's coarse
pixels, as a kernel of finite reach.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

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
    sigma: float, hst: float, muse: float, excess: float, areas: Values
) -> Values:
    """Return the noise of sums over discs in J, over that in H [standard deviations].

    Parameters
    ----------
    sigma, hst, muse, excess
        As for `make_filter`.
    areas
        Of the discs [pixel].
    """
    frequency = np.fft.fftfreq(SIDE)
    squares = frequency[:, None] ** 2 + frequency**2
    blur = np.exp(-2 * np.pi**2 * sigma**2 * squares)
    weight = make_filter(sigma, hst, muse, excess)
    # H's own noise in J, and MUSE's.
    joint = (1 - weight * blur) ** 2 * hst + weight**2 * muse
    ratios = []
    offsets = np.arange(SIDE) - SIDE // 2
    distance = np.hypot(offsets[:, None], offsets)
    for area in areas:
        radius = np.sqrt(area / np.pi)
        disc = np.clip(radius - distance + 0.5, 0, 1)
        power = np.abs(np.fft.fft2(disc)) ** 2
        ratios.append(np.sqrt((joint * power).sum() / (hst * power).sum()))
    return np.array(ratios)
