"""Find sources of one width as DAOFIND does, and measure the rings around them.

An image convolved with a Gaussian of zero mean says how tall a source at each pixel would be; its
maxima are sources if they are sharp and round (Stetson 1987, PASP 99, 191, sections III.a and b;
the names of the quantities are those of IRAF's DAOFIND). The same sources as
`photutils.detection.DAOStarFinder`, measured all at once, without the second that photutils takes
to be imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from phangs_xr.numerics.filters import FWHM_TO_SIGMA, find_peaks

Image = NDArray[np.floating]
_Floats = NDArray[np.float64]

SHARPNESS = (0.2, 1.0)
"""Of sources: hot pixels are sharper, extended ones duller (IRAF's limits)."""

ROUNDNESS = (-1.0, 1.0)
"""Of sources, by symmetry and by the heights along both axes (IRAF's limits)."""

_EXTENT = 1.5
"""Of the kernel [σ]; at least 2 pixels (IRAF's `nsigma`)."""

_SEPARATION = 2.5
"""No source has a brighter one so near [FWHM], as DAOFIND asks for."""

ROUNDING = 1e-12
"""Share of the sum of a source's pixels that rounding may leave where there is nothing."""


@dataclass(frozen=True)
class Kernel:
    """A Gaussian as DAOFIND takes it.

    Attributes
    ----------
    sigma
        [pixel]
    gaussian
        Height 1, square, the centre in the middle.
    footprint
        1 on the pixels that count, 0 elsewhere.
    weights
        Those that, convolved with an image, give the height of the best-fitting Gaussian.
    error
        Standard deviation of a height where pixels have 1.
    """

    sigma: float
    gaussian: _Floats
    footprint: _Floats
    weights: _Floats
    error: float

    @property
    def radius(self) -> int:
        """Half-width [pixel]."""
        return len(self.gaussian) // 2


def make_kernel(fwhm: float) -> Kernel:
    """Return the kernel of sources of a width [pixel]."""
    sigma = fwhm * FWHM_TO_SIGMA
    radius = int(max(2, _EXTENT * sigma))
    square = np.square(np.arange(-radius, radius + 1.0))
    distance = square[:, None] + square
    gaussian = np.exp(-distance / (2 * sigma**2))
    footprint = (distance <= max(2.0, _EXTENT * sigma) ** 2).astype(np.float64)
    inside = gaussian * footprint
    variance = (inside**2).sum() - inside.sum() ** 2 / footprint.sum()
    weights = (inside - inside.sum() / footprint.sum()) / variance * footprint
    return Kernel(sigma, gaussian, footprint, weights, 1 / sqrt(variance))


def find_reach(fwhm: float) -> int:
    """Return how far from a pixel what decides on a source centred there can lie [pixel].

    Parameters
    ----------
    fwhm
        Of the sources [pixel].
    """
    radius = make_kernel(fwhm).radius
    # A centroid lies up to half a pixel more than the radius from its peak; the peak is compared
    # with heights around it, each of which comes from the pixels within the radius.
    return (radius + 1) + max(ceil(_SEPARATION * fwhm), radius) + radius


def find_stars(
    image: Image,
    fwhm: float,
    threshold: float,
    within: tuple[slice, slice] = (slice(None), slice(None)),
) -> _Floats:
    """Return the positions (x, y) of the sources of an image, counted from its first pixel.

    Parameters
    ----------
    image
        2-D, its sky subtracted; NaN hides what is within the kernel's radius.
    fwhm
        Of the sources [pixel].
    threshold
        A source's height is above that of noise with this standard deviation.
    within
        Rows and columns; sources a few pixels beyond them may be left out.

    Returns
    -------
    ndarray
        Shape (n, 2), centroids, in no order.
    """
    kernel = make_kernel(fwhm)
    heights = _convolve(image, kernel)
    peaks = np.transpose(find_peaks(heights, threshold * kernel.error, _SEPARATION * fwhm))
    # A centroid lies less than a kernel's width from its peak.
    ranges = [part.indices(size) for part, size in zip(within, image.shape, strict=True)]
    low = np.array([start for start, _, _ in ranges]) - 2 * kernel.radius
    high = np.array([stop for _, stop, _ in ranges]) + 2 * kernel.radius
    peaks = peaks[((peaks >= low) & (peaks < high)).all(axis=1)]
    if not peaks.size:
        return np.empty((0, 2))
    # Missing pixels make what they are in NaN, which no limits hold.
    with np.errstate(invalid="ignore", divide="ignore"):
        shifts, good = _measure_stars(
            _cut_out(image, peaks, kernel.radius), _cut_out(heights, peaks, kernel.radius), kernel
        )
    return np.asarray((peaks[:, ::-1] + shifts)[good])


def _convolve(image: Image, kernel: Kernel) -> Image:
    """Convolve an image, zero beyond its edges, with a kernel whose weights are few numbers.

    Pixels of one weight are added first, in the image's precision, some rows at a time: many times
    as fast as `scipy.ndimage.convolve`.
    """
    radius, (height, width) = kernel.radius, image.shape
    padded = np.pad(image, radius)
    groups = [
        (image.dtype.type(weight), np.argwhere(kernel.weights == weight))
        for weight in np.unique(kernel.weights[kernel.weights != 0])
    ]
    convolved = np.zeros_like(image)
    for start in range(0, height, _ROWS):
        band = convolved[start : start + _ROWS]
        for weight, places in groups:
            parts = (
                padded[start + row : start + row + len(band), column : column + width]
                for row, column in places
            )
            total = next(parts).copy()
            for part in parts:
                total += part
            total *= weight
            band += total
    return convolved


_ROWS = 64
"""Rows that are convolved at a time: what fits into the cache."""


def _cut_out(image: Image, centres: NDArray[np.intp], radius: int) -> _Floats:
    """Return squares around pixels (row, column), zero beyond the image's edges."""
    side = np.arange(-radius, radius + 1)
    rows = centres[:, 0, None, None] + side[:, None]
    columns = centres[:, 1, None, None] + side
    inside = (rows >= 0) & (rows < image.shape[0]) & (columns >= 0) & (columns < image.shape[1])
    squares: _Floats = np.where(inside, image.take(rows * image.shape[1] + columns, mode="clip"), 0)
    return squares.astype(np.float64)


def _measure_stars(
    pixels: _Floats, heights: _Floats, kernel: Kernel
) -> tuple[_Floats, NDArray[np.bool_]]:
    """Return the shifts (x, y) of the centroids from the peaks, and which are sharp and round.

    Parameters
    ----------
    pixels, heights
        Squares of the image and of the convolved image around the peaks.
    """
    middle = kernel.radius
    peak, height = pixels[:, middle, middle], heights[:, middle, middle]
    around = ((pixels * kernel.footprint).sum(axis=(1, 2)) - peak) / (kernel.footprint.sum() - 1)
    sharpness = (peak - around) / height
    x, height_x = _fit_marginal(pixels.swapaxes(1, 2), kernel, mirrored=True)
    y, height_y = _fit_marginal(pixels, kernel)
    by_height = 2 * (height_x - height_y) / (height_x + height_y)
    good = np.isfinite(x + y + pixels.sum(axis=(1, 2)))
    for value, (low, high) in (
        (sharpness, SHARPNESS),
        (_compare_quadrants(heights), ROUNDNESS),
        (by_height, ROUNDNESS),
    ):
        good &= (value >= low) & (value <= high)
    return np.column_stack([x, y]), good


def _compare_quadrants(heights: _Floats) -> _Floats:
    """Return roundness by symmetry: 0 if a quarter of a turn changes nothing.

    The quadrants do not mirror each other: each has one of the half-axes.
    """
    middle = heights.shape[1] // 2
    before, after = slice(0, middle), slice(middle + 1, None)
    till, since = slice(0, middle + 1), slice(middle, None)
    parts = (
        (-1, heights[:, till, after]),
        (1, heights[:, before, till]),
        (-1, heights[:, since, before]),
        (1, heights[:, after, since]),
    )
    twofold = sum(sign * part.sum(axis=(1, 2)) for sign, part in parts)
    fourfold = np.abs(heights).sum(axis=(1, 2)) - np.abs(heights[:, middle, middle])
    return np.asarray(2 * twofold / fourfold)


def _fit_marginal(
    pixels: _Floats, kernel: Kernel, mirrored: bool = False
) -> tuple[_Floats, _Floats]:
    """Fit a Gaussian to the squares' sums along rows: shift of its centre [pixel], and height.

    Both sums and fit weigh pixels the less the further they are from the middle.

    Parameters
    ----------
    pixels
        Squares, shape (n, side, side).
    mirrored
        Whether the shift by the centre of gravity, taken where the fit's is beyond the square,
        counts the other way round: as it does along IRAF's x axis.

    Returns
    -------
    tuple of ndarray
        NaN where the height is not positive.
    """
    offset = np.arange(-kernel.radius, kernel.radius + 1.0)
    weight = kernel.radius + 1 - np.abs(offset)
    data, model = pixels @ weight, kernel.gaussian @ weight
    slope = -model * offset
    sum_data, sum_model = data @ weight, model @ weight
    rise = (data * model) @ weight - sum_data * sum_model / weight.sum()
    height = rise / (model**2 @ weight - sum_model**2 / weight.sum())
    height[~(rise > 0)] = np.nan
    tilt = (model * slope) @ weight - (data @ (slope * weight) - (slope @ weight) * sum_data)
    shift = tilt / (height * (slope**2 @ weight) / kernel.sigma**2)
    gravity = data @ (offset * weight) / sum_data
    limit = len(offset) / 2
    shift = np.where(np.abs(shift) > limit, -gravity if mirrored else gravity, shift)
    shift = np.where(~(np.abs(shift) <= limit) & np.isfinite(height), 0.0, shift)
    return shift, height


def sum_rings(image: Image, xy: _Floats, rings: int) -> _Floats:
    """Return the sums of an image over rings around positions.

    Parameters
    ----------
    image
        2-D; missing pixels count in no ring, as do those beyond its edges.
    xy
        Positions (x, y), shape (n, 2) [pixel].
    rings
        How many, 1 pixel wide, the innermost a disc; pixels count by their exact overlap.

    Returns
    -------
    ndarray
        Shape (n, rings); 0 for a ring without data.
    """
    centres = np.rint(xy[:, ::-1]).astype(np.intp)
    half = rings + 1
    pixels = _cut_out(image, centres, half)
    np.copyto(pixels, 0, where=~np.isfinite(pixels))
    rows, columns = (centres - xy[:, ::-1]).T[:, :, None]
    discs = np.zeros((len(xy), rings + 1))
    for radius in range(1, rings + 1):
        reach = radius + 1
        edges = np.arange(-reach, reach + 2) - 0.5
        shares = overlap_disc(rows + edges, columns + edges, radius)
        near = slice(half - reach, half + reach + 1)
        discs[:, radius] = np.einsum("nij,nij->n", pixels[:, near, near], shares)
    sums: _Floats = np.diff(discs)
    # What two discs differ by where the ring between them has no data is not always zero.
    largest = np.abs(pixels).sum(axis=(1, 2), dtype=np.float64)
    sums[np.abs(sums) <= ROUNDING * largest[:, None]] = 0
    return sums


def overlap_disc(rows: _Floats, columns: _Floats, radius: float) -> _Floats:
    """Return the areas that cells share with a disc about the origin.

    Parameters
    ----------
    rows, columns
        Edges of the cells, rising, shape (…, n + 1) and (…, m + 1).
    radius
        Of the disc.

    Returns
    -------
    ndarray
        Shape (…, n, m).

    Notes
    -----
    By the area of the disc below and to the left of each corner: four of them make a cell.
    """
    half = np.pi * radius**2 / 2
    (y, below), (x, left) = (_cut_disc(edges, radius) for edges in (rows, columns))
    y, below, x, left = y[..., None], below[..., None], x[..., None, :], left[..., None, :]
    # A corner inside has a part of both cuts; one outside leaves what it does not cut off whole.
    corner = np.where(
        x**2 + y**2 <= radius**2,
        x * y + (below + left - half) / 2,
        np.where(y > 0, np.where(x > 0, below + left - 2 * half, left), np.where(x > 0, below, 0)),
    )
    return np.diff(np.diff(corner, axis=-2), axis=-1)


def _cut_disc(edges: _Floats, radius: float) -> tuple[_Floats, _Floats]:
    """Return edges moved onto the disc, and the area of the disc on the lower side of each."""
    edge = np.clip(edges, -radius, radius)
    chord = np.sqrt((radius - edge) * (radius + edge))
    # Of the chord, whose error it shares: near the ends an arcsine's rounding would be left alone.
    angle = np.arctan2(edge, chord)
    return edge, radius * radius * (np.pi / 2 + angle) + edge * chord
