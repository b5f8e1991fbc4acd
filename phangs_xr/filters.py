"""Local filters that know about missing pixels: Gaussian smoothing and filling, dilation."""

from math import isqrt

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]


def smooth_gaussian(image: Image, sigma: float, radius: int) -> Image:
    """Smooth with a Gaussian to which missing pixels carry no weight.

    Parameters
    ----------
    image
        2-D; NaN is missing, and so is everything beyond the edges.
    sigma
        Of the Gaussian [pixel].
    radius
        Half-width of the kernel [pixel].

    Returns
    -------
    Image
        The weighted mean of the pixels within `radius` of each pixel, in the image's dtype, also
        where the image itself is missing; NaN where no pixel is within reach.
    """
    kernel = sample_gaussian(sigma, radius)
    missing = ~np.isfinite(image)
    if missing.any():
        total = correlate_separably(np.where(missing, 0, image), kernel)
        gaps = correlate_separably(missing.astype(np.float64), kernel, outside=1.0)
    else:
        total = correlate_separably(image, kernel)
        gaps = _weigh_outside((image.shape[0], image.shape[1]), kernel)
    # Weights far below a single pixel's are rounding errors of a sum that is zero.
    weight = 1 - gaps
    reached = weight > 0.5 * kernel.min() ** 2
    return np.divide(
        total,
        weight,
        out=np.full(image.shape, np.nan, dtype=image.dtype),
        where=reached,
        casting="same_kind",
    )


def sample_gaussian(sigma: float, radius: int) -> NDArray[np.float64]:
    """Return a Gaussian sampled at the pixels, 2·radius + 1 numbers that sum to 1."""
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())


def correlate_separably(
    image: Image, kernel: NDArray[np.float64], outside: float = 0.0
) -> NDArray[np.float64]:
    """Correlate rows and columns with one kernel.

    Parameters
    ----------
    image
        2-D, finite.
    kernel
        An odd number of weights.
    outside
        What lies beyond the edges.

    Notes
    -----
    Each strip of the image is multiplied by a banded matrix: three times as fast as
    `scipy.ndimage.correlate1d` for wide kernels, and in float64. Direct sums, not a Fourier
    transform, so that what a pixel becomes does not depend on the chunk it is in.
    """
    radius = kernel.size // 2
    band = np.zeros((_STRIP, _STRIP + 2 * radius))
    for row in range(_STRIP):
        band[row, row : row + kernel.size] = kernel
    for _ in range(2):
        # Both times along the first axis, transposed in between and after.
        length = image.shape[0]
        padded = np.full((length + 2 * radius + _STRIP, image.shape[1]), outside)
        padded[radius : radius + length] = image
        result = np.empty((length, image.shape[1]))
        for start in range(0, length, _STRIP):
            rows = min(_STRIP, length - start)
            strip = padded[start : start + _STRIP + 2 * radius]
            np.matmul(band[:rows], strip, out=result[start : start + rows])
        image = result.T
    return image


_STRIP = 32
"""Rows that are multiplied by the band at a time: about the fastest for kernels of 9 to 101."""


def _weigh_outside(shape: tuple[int, int], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the kernel's weight that falls beyond the edges of an image without gaps.

    All pixels farther from the edges than the kernel reaches are alike, so few are computed.
    """
    radius = kernel.size // 2
    places = []
    for length in shape:
        place = np.arange(length)
        if length > 2 * radius + 1:
            place = np.minimum(
                np.minimum(place, radius) + np.maximum(place - (length - radius - 1), 0), 2 * radius
            )
        places.append(place)
    small = np.zeros([int(place.max(initial=-1)) + 1 for place in places])
    gaps = correlate_separably(small, kernel, outside=1.0)
    return gaps[np.ix_(*places)]


def fill_holes(image: Image, coverage: Mask, sigma: float, radius: int, passes: int) -> Image:
    """Replace missing pixels by the Gaussian-weighted mean of the pixels around them.

    Parameters
    ----------
    image
        2-D; NaN is missing.
    coverage
        Where there should be data; the result is NaN elsewhere.
    sigma, radius
        Of the Gaussian kernel [pixel].
    passes
        How often: each further pass also uses what the one before it filled. A pass reaches
        `radius` pixels into a hole.

    Returns
    -------
    Image
        NaN outside the coverage, and in the parts of holes that no pass reached.
    """
    filled = image
    for _ in range(passes):
        # Every pass also fills outside the coverage: the next one uses that near the edges, as the
        # earlier code does, and only the end result is cut back.
        filled = np.where(np.isnan(filled), smooth_gaussian(filled, sigma, radius), filled)
    return np.where(coverage, filled, np.nan).astype(image.dtype, copy=False)


def dilate_cross(mask: Mask, iterations: int) -> Mask:
    """Grow a mask by its 4-connected neighbours, `iterations` times."""
    for _ in range(iterations):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        mask = grown
    return mask


def dilate_disc(mask: Mask, radius: int) -> Mask:
    """Grow a mask by a disc: to every pixel within `radius` pixels of it.

    The disc is taken as rows: how many pixels of the mask lie left and right of a pixel shows from
    their running count.
    """
    if not mask.any():
        return mask
    height, width = mask.shape
    count = np.zeros((height, width + 2 * radius + 1), dtype=np.int32)
    np.cumsum(mask, axis=1, out=count[:, radius + 1 : radius + 1 + width])
    count[:, radius + 1 + width :] = count[:, radius + width, np.newaxis]
    grown = np.zeros_like(mask)
    for offset in range(min(radius, height - 1) + 1):
        reach = isqrt(radius**2 - offset**2)
        first, last = radius - reach, radius + reach + 1
        near = count[:, last : last + width] != count[:, first : first + width]
        grown[offset:] |= near[: height - offset]
        grown[: height - offset] |= near[offset:]
    return grown
