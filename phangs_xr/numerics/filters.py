"""Local filters that know about missing pixels: Gaussian smoothing and filling, dilation."""

from math import isqrt, log, sqrt

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]
_Floats = NDArray[np.float64]

FWHM_TO_SIGMA = 1 / (2 * sqrt(2 * log(2)))
"""Of a Gaussian."""


def smooth_gaussian(
    image: Image,
    sigma: float,
    radius: int,
    origin: tuple[int, int] = (0, 0),
    wanted: Mask | None = None,
) -> Image:
    """Smooth with a Gaussian to which missing pixels carry no weight.

    Parameters
    ----------
    image
        2-D; NaN is missing, and so is everything beyond the edges.
    sigma
        Of the Gaussian [pixel].
    radius
        Half-width of the kernel [pixel].
    origin
        Absolute row and column of the first pixel, where the image is a window of a larger one.
    wanted
        Where the result is needed; what is far from there may not be computed, and is then NaN.

    Returns
    -------
    Image
        The weighted mean of the pixels within `radius` of each pixel, in the image's dtype, also
        where the image itself is missing; NaN where no pixel is within reach.

    Notes
    -----
    Rows and columns are multiplied by banded matrices, block by block: many times as fast as
    `scipy.ndimage.correlate1d`. Direct sums, not a Fourier transform, and blocks that lie on the
    absolute pixels, not on the window's, so that what a pixel becomes does not depend on the chunk
    it is in: many a BLAS library (OpenBLAS for AVX2) rounds differently at the edge of a block than
    in its middle. And each processor's rounds its own way: sums in double precision give images in
    single precision the same bits on the unlike machines of a cluster.
    """
    down = _make_band(sample_gaussian(sigma, radius))
    across = np.ascontiguousarray(down.T)
    margin = _round_up(2 * radius)
    smoothed = np.full_like(image, np.nan)
    for start in range(-(origin[0] % _BLOCK), image.shape[0], _STRIP):
        rows = slice(max(start, 0), start + _STRIP)
        asked = np.arange(image.shape[1])
        if wanted is not None:
            asked = np.flatnonzero(wanted[rows].any(axis=0))
        if not asked.size:
            continue
        first, last = int(asked[0]), int(asked[-1])
        left = first - (origin[1] + first) % _BLOCK
        shape = (_STRIP + 2 * radius, _round_up(last + 1 - left) + margin)
        strip = _cut_window(image, start - radius, left - radius, shape)
        target = smoothed[rows, first : last + 1]
        skipped = rows.start - start
        target[:] = _smooth_strip(strip, down, across)[
            skipped : skipped + target.shape[0], first - left : last + 1 - left
        ]
    return smoothed


def smooth_widely(
    image: Image, sigma: float, reach: float, origin: tuple[int, int] = (0, 0)
) -> Image:
    """Smooth with a wide Gaussian, to which missing pixels carry no weight, by way of block means.

    A tenth of the work of `smooth_gaussian`, from which it differs by a per cent of what the image
    changes over `sigma`.

    Parameters
    ----------
    image
        2-D; NaN is missing, and so is everything beyond the edges.
    sigma
        Of the Gaussian [pixel], 8 or more.
    reach
        Half-width of its kernel [σ].
    origin
        Absolute row and column of the first pixel: blocks lie at multiples of their side.

    Returns
    -------
    Image
        Where no pixel is within reach, NaN.
    """
    side = BLOCK_SIDE
    before = [start % side for start in origin]
    after = [-(size + first) % side for size, first in zip(image.shape, before, strict=True)]
    padded = np.pad(image, list(zip(before, after, strict=True)), constant_values=np.nan)
    known = np.isfinite(padded)
    count = _sum_blocks(known.astype(np.float32), side)
    total = _sum_blocks(np.where(known, padded, 0), side)
    means = np.full_like(total, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    start = tuple((place - first) // side for place, first in zip(origin, before, strict=True))
    radius = int(np.ceil(reach * sigma / side))
    smooth: Image = smooth_gaussian(means, sigma / side, radius, (start[0], start[1]))
    for axis, first in enumerate(before):
        smooth = _spread_blocks(smooth, side, first, image.shape[axis], axis)
    return smooth.astype(image.dtype, copy=False)


def _sum_blocks(image: Image, side: int) -> Image:
    """Return the sums over square blocks; by slices, several times as fast as over short axes."""
    tall = image[::side].copy()
    for start in range(1, side):
        tall += image[start::side]
    total = tall[:, ::side].copy()
    for start in range(1, side):
        total += tall[:, start::side]
    return total


def _spread_blocks(means: Image, side: int, first: int, size: int, axis: int) -> Image:
    """Return values at pixels, linear between the centres of blocks, constant beyond the last."""
    places = (np.arange(first, first + size) - (side - 1) / 2) / side
    places = np.clip(places, 0, means.shape[axis] - 1)
    low = np.minimum(places.astype(np.intp), max(means.shape[axis] - 2, 0))
    high = np.minimum(low + 1, means.shape[axis] - 1)
    part = places - low
    part = part[:, None] if axis == 0 else part
    one, other = (np.take(means, index, axis=axis) for index in (low, high))
    return np.asarray(one * (1 - part) + other * part)


BLOCK_SIDE = 4
"""Of the blocks that `smooth_widely` takes the means of [pixel]."""


def sample_gaussian(sigma: float, radius: int) -> _Floats:
    """Return a Gaussian sampled at the pixels, 2·radius + 1 numbers that sum to 1."""
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())


_STRIP = 128
"""Rows that are smoothed at a time, a few blocks: what fits into the cache."""

_BLOCK = 32
"""Side of the blocks [pixel]: the fastest, and too small for a BLAS library to start threads."""


def _round_up(pixels: int) -> int:
    """Return the side of the blocks that hold so many pixels."""
    return -(-pixels // _BLOCK) * _BLOCK


def _make_band(kernel: _Floats) -> _Floats:
    """Return the matrix whose product with a column is its correlation with a kernel."""
    band = np.zeros((_BLOCK, _BLOCK + kernel.size - 1))
    for row in range(_BLOCK):
        band[row, row : row + kernel.size] = kernel
    return band


def _cut_window(image: Image, row: int, column: int, shape: tuple[int, int]) -> Image:
    """Return a window of an image that may reach beyond its edges, NaN there."""
    window = np.full(shape, np.nan, image.dtype)
    ys, xs = (
        slice(max(first, 0), max(min(first + length, size), 0))
        for first, length, size in zip((row, column), shape, image.shape, strict=True)
    )
    window[ys.start - row : ys.stop - row, xs.start - column : xs.stop - column] = image[ys, xs]
    return window


def _smooth_strip(strip: Image, down: _Floats, across: _Floats) -> _Floats:
    """Smooth a strip that comes with its neighbours, NaN where missing."""
    present = np.isfinite(strip)
    total = _correlate(np.where(present, strip, np.float64(0)), down, across)
    weight = _sum_weights(present, down, across)
    smoothed: _Floats = np.full_like(total, np.nan)
    np.divide(total, weight, out=smoothed, where=weight > 0)
    return smoothed


def _sum_weights(present: Mask, down: _Floats, across: _Floats) -> _Floats:
    """Return the kernel's sum over the pixels that are present.

    Blocks that nothing is missing from are all alike: most, and half the work of smoothing.
    """
    reach = len(across)
    margin = _round_up(reach) - _BLOCK
    whole = _correlate(np.ones((reach, _BLOCK + margin)), down, across)
    gaps = sliding_window_view(~present.all(axis=0), reach)[::_BLOCK].any(axis=1)
    weight = np.tile(whole, ((len(present) - reach) // _BLOCK + 1, gaps.size))
    edges = np.flatnonzero(np.diff(gaps, prepend=False, append=False)) * _BLOCK
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        around = present[:, first : last + margin].astype(np.float64)
        weight[:, first:last] = _correlate(around, down, across)
    return weight


def _correlate(image: _Floats, down: _Floats, across: _Floats) -> _Floats:
    """Correlate an image with a kernel along both axes: whole blocks, the kernel's width less."""
    height, width = ((side - len(across)) // _BLOCK * _BLOCK + _BLOCK for side in image.shape)
    lines = np.empty((height, image.shape[1]))
    np.matmul(down, _list_windows(image, len(across), _BLOCK), out=_list_blocks(lines))
    sums = np.empty((height, width))
    np.matmul(_list_windows(lines, _BLOCK, len(across)), across, out=_list_blocks(sums))
    return sums


def _list_blocks(image: _Floats) -> _Floats:
    """View an image as blocks: (row, column, pixel row, pixel column)."""
    height, width = image.shape
    return image.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).swapaxes(1, 2)


def _list_windows(image: _Floats, height: int, width: int) -> _Floats:
    """View an image as overlapping windows, one for each block, ordered as the blocks are."""
    return sliding_window_view(image, (height, width))[::_BLOCK, ::_BLOCK]


def fill_holes(
    image: Image,
    coverage: Mask,
    sigma: float,
    radius: int,
    passes: int,
    origin: tuple[int, int] = (0, 0),
) -> Image:
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
    origin
        Absolute row and column of the first pixel, where the image is a window of a larger one.

    Returns
    -------
    Image
        NaN outside the coverage, and in the parts of holes that no pass reached.
    """
    filled = image.copy()
    for left in reversed(range(passes)):
        missing = np.isnan(filled)
        holes = missing & coverage
        if not holes.any():
            break
        # All passes but the last also fill outside the coverage: the next one uses that near the
        # edges, as the earlier code does, and only the end result is cut back.
        wanted = missing if left else holes
        np.copyto(filled, smooth_gaussian(filled, sigma, radius, origin, wanted), where=wanted)
    filled[~coverage] = np.nan
    return filled


def find_peaks(
    image: Image, threshold: float, separation: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns of local maxima.

    Parameters
    ----------
    image
        2-D; missing pixels are never in the way.
    threshold
        Maxima are above this.
    separation
        No pixel so near a maximum is above it; pixels of one value may both be maxima [pixel].
    """
    # As photutils does it: a circle of half-integer radius is centred half a pixel off.
    offset = np.arange(-separation, separation + 1)
    step = np.arange(offset.size) - offset.size // 2
    distance = np.hypot(*np.meshgrid(offset, offset, indexing="ij"))
    margin = offset.size // 2
    padded = np.pad(image, margin, constant_values=np.nan)
    places = np.flatnonzero(padded > threshold)
    heights = padded.take(places)
    # The nearest neighbours first: they leave few pixels for the others.
    order = np.argsort(distance, axis=None)[: np.count_nonzero(distance <= separation)]
    for row, column in zip(*np.unravel_index(order, distance.shape), strict=True):
        neighbours = padded.take(places + step[row] * padded.shape[1] + step[column])
        highest = ~(neighbours > heights)
        places, heights = places[highest], heights[highest]
    rows, columns = np.unravel_index(places, padded.shape)
    return rows - margin, columns - margin


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

    The disc is taken as rows, from its short ones at the top and bottom to the long one in the
    middle, so that each is the one before, grown a little more.
    """
    if not mask.any():
        return mask
    height = len(mask)
    grown = np.zeros_like(mask)
    row, reach = mask.copy(), 0
    for offset in range(radius, -1, -1):
        while reach < isqrt(radius**2 - offset**2):
            reach += 1
            row[:, reach:] |= mask[:, :-reach]
            row[:, :-reach] |= mask[:, reach:]
        if offset < height:
            grown[offset:] |= row[: height - offset]
            grown[: height - offset] |= row[offset:]
    return grown
