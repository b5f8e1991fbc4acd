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

    Notes
    -----
    Rows and columns are multiplied by banded matrices, strip by strip: many times as fast as
    `scipy.ndimage.correlate1d` for wide kernels. Direct sums, not a Fourier transform, and of
    blocks of one size, so that what a pixel becomes does not depend on the chunk it is in.
    """
    height, width = image.shape
    dtype = image.dtype
    down = _make_band(sample_gaussian(sigma, radius), _STRIP).astype(dtype)
    across = _make_band(sample_gaussian(sigma, radius), _PANEL).astype(dtype).T
    smoothed = np.empty_like(image)
    # A whole number of panels across, for the same reason.
    strip = np.empty((down.shape[1], -(-(width + 2 * radius) // _PANEL) * _PANEL), dtype)
    for start in range(0, height, _STRIP):
        strip.fill(np.nan)
        first, last = max(start - radius, 0), min(start + _STRIP + radius, height)
        place = slice(first - start + radius, last - start + radius)
        strip[place, radius : radius + width] = image[first:last]
        rows = smoothed[start : start + _STRIP]
        rows[:] = _smooth_strip(strip, down, across)[: len(rows), :width]
    return smoothed


def sample_gaussian(sigma: float, radius: int) -> NDArray[np.float64]:
    """Return a Gaussian sampled at the pixels, 2·radius + 1 numbers that sum to 1."""
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())


_STRIP, _PANEL = 128, 32
"""Rows and columns that are multiplied at a time: about the fastest for kernels of 9 to 101."""


def _make_band(kernel: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the matrix whose product with a column is its correlation with a kernel."""
    band = np.zeros((size, size + kernel.size - 1))
    for row in range(size):
        band[row, row : row + kernel.size] = kernel
    return band


def _smooth_strip(strip: Image, down: Image, across: Image) -> Image:
    """Smooth the inner rows and columns of a strip; the others are neighbours, NaN if missing."""
    present = np.isfinite(strip)
    if not present.any():
        return np.full((len(down), strip.shape[1]), np.nan, strip.dtype)
    strip[~present] = 0
    total = _correlate_strip(strip, down, across)
    weight = _correlate_strip(present.astype(strip.dtype), down, across)
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def _correlate_strip(strip: Image, down: Image, across: Image) -> Image:
    lines = down @ strip
    margin = len(across) - _PANEL
    result = np.empty((len(down), strip.shape[1] - margin // _PANEL * _PANEL), strip.dtype)
    for start in range(0, strip.shape[1] - margin, _PANEL):
        panel = slice(start, start + _PANEL)
        np.matmul(lines[:, start : start + len(across)], across, out=result[:, panel])
    return result


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

    Notes
    -----
    Holes are few, so only their neighbourhoods are summed, in one order.
    """
    kernel = sample_gaussian(sigma, radius)
    margin = radius * max(passes - 1, 1)
    inner = tuple(slice(margin, margin + size) for size in image.shape)
    padded = np.full([size + 2 * margin for size in image.shape], np.nan, image.dtype)
    padded[inner] = image
    wanted = np.zeros(padded.shape, dtype=bool)
    wanted[inner] = np.isnan(image) & coverage
    holes = np.flatnonzero(wanted)
    values = _average_around(padded, holes, kernel)
    lost = holes[np.isnan(values)]
    if passes > 1 and lost.size:
        # What a pass does to a pixel shows in the next one up to a radius away. It also fills
        # outside the coverage, as the earlier code does: only the end result is cut back.
        wanted[inner] = np.isnan(image)
        near = np.zeros(padded.shape, dtype=bool)
        for step in _list_steps(radius * (passes - 1), padded.shape[1]):
            near.flat[lost + step] = True
        places = np.flatnonzero(near & wanted)
        for _ in range(passes):
            made = _average_around(padded, places, kernel)
            padded.flat[places] = made
            places = places[np.isnan(made)]
    padded.flat[holes] = np.where(np.isnan(values), padded.flat[holes], values)
    return np.where(coverage, padded[inner], np.nan).astype(image.dtype, copy=False)


_BATCH = 1 << 16
"""Pixels whose neighbourhoods are summed at a time: what fits into the cache."""


def _list_steps(radius: int, width: int) -> list[int]:
    """Return how far the pixels of a square of neighbours lie from its centre in a raveled image."""
    reach = range(-radius, radius + 1)
    return [row * width + column for row in reach for column in reach]


def _average_around(image: Image, places: NDArray[np.intp], kernel: NDArray[np.float64]) -> Image:
    """Return the kernel-weighted mean of the pixels around some places of a raveled image."""
    weights = np.outer(kernel, kernel).ravel()
    steps = _list_steps(kernel.size // 2, image.shape[1])
    result = np.empty(places.size, image.dtype)
    for start in range(0, places.size, _BATCH):
        batch = places[start : start + _BATCH]
        total, weight = np.zeros(batch.size), np.zeros(batch.size)
        for step, factor in zip(steps, weights, strict=True):
            values = image.take(batch + step)
            present = ~np.isnan(values)
            total += factor * np.where(present, values, 0)
            weight += factor * present
        found = np.full(batch.size, np.nan)
        result[start : start + _BATCH] = np.divide(total, weight, out=found, where=weight > 0)
    return result


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
