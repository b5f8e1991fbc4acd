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


def find_error_ratios(
    sigma: float,
    hst: float,
    muse: float,
    excess: float,
    left: float,
    masks: Iterable[NDArray[np.bool_]],
) -> dict[str, Values]:
    """Return what errors of sums over regions in H and in J are made of.

    Parameters
    ----------
    sigma, hst, muse, excess
        As for `make_filter`.
    left
        Of `excess`, what does not go with the flux.
    masks
        Each region on M's pixels, cut out.

    Returns
    -------
    dict of NDArray
        A number per region: `own`, error of H, whose errors that are no noise are added, over what
        its noise alone is; `kept`, the same of what J keeps of H; `muse`, standard deviation of
        what J takes of M, over that of a pixel of M; `share`, which J keeps of an error of H that
        is as smooth as a region seen with M's resolution.
    """
    spectra: dict[int, dict[str, Values]] = {}
    rows = []
    for mask in masks:
        side = SMALLEST
        while side < max(mask.shape) + 8 * sigma:
            side *= 2
        if side not in spectra:
            spectra[side] = _find_spectra(sigma, hst, muse, (excess, left), side)
        power = np.abs(scipy.fft.rfft2(mask, (side, side))) ** 2
        # All columns but the first and the middle one stand for two.
        power[:, 1 : side // 2] *= 2
        sums = {name: (one * power).sum() for name, one in spectra[side].items()}
        rows.append(
            [
                np.sqrt(sums["own"] / power.sum()),
                np.sqrt(sums["kept"] / power.sum()),
                np.sqrt(sums["muse"]) / side,
                sums["smooth_kept"] / sums["smooth"],
            ]
        )
    table = np.array(rows).reshape(-1, 4).T
    return dict(zip(("own", "kept", "muse", "share"), table, strict=True))


def _find_spectra(
    sigma: float, hst: float, muse: float, excesses: tuple[float, float], side: int
) -> dict[str, Values]:
    """Return spectra, as `rfft2` has its frequencies.

    The power of the errors of H, and of what J keeps of them, over that of H's noise; of what J
    takes of M over M's noise; what J keeps of what is blurred in H, and the blur.
    """
    squares = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side) ** 2
    blur = np.exp(-2 * np.pi**2 * sigma**2 * squares)
    weighed, own = (1 + excess / (1 + squares * SMOOTH**2) for excess in excesses)
    weight = hst * weighed * blur / (muse + hst * weighed * blur**2)
    kept = 1 - weight * blur
    return {
        "own": own,
        "kept": kept**2 * own,
        "muse": weight**2,
        "smooth_kept": kept * blur,
        "smooth": blur,
    }
