"""How far one image is shifted against another of the same field: M = a H(p - d) + b.

The shift d is fitted by weighted least squares, from the best whole-pixel shift on. What is smooth
over 2" is taken from both maps first. The uncertainty comes from drawing blocks of the field anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from astropy.stats import mad_std
from numpy.typing import NDArray

Image = NDArray[np.floating]

SEARCH = 3.0
"""How far apart the maps may be to be found [arcsec]."""

LARGEST_SHIFT = 16
"""The same of spaxels of 0.2 arcsec, rounded up: the pixels to have at hand for it."""

SMOOTH_SIGMA = 2.0
"""Structure larger than this is taken out before the maps are compared [arcsec]."""

MISMATCH = 0.1
"""Error of either map relative to its flux, from the PSFs' wings and the line ratios' changes; it
keeps a few bright nebulae from deciding alone."""

BLOCK = 20
"""Least side of the blocks drawn for the uncertainty [MUSE pixel]: 4", several times the PSF."""

BLOCKS = 64
"""About so many blocks are made of a large field, so that distortions across it count too."""

FEWEST_BLOCKS = 6
RESAMPLES = 500
ITERATIONS = 30

CONVERGED = 1e-4
"""Step of the fit [MUSE pixel] below which it is done."""


@dataclass(frozen=True)
class FoundShift:
    """A shift between two images, and what each block of the field says of it.

    `shift` is rows and columns by which features of the second image lie beyond those of the first
    [pixel], NaN if they cannot tell. `slopes` and `scores` are per block the matrix and the vector
    of the last step's equations, shapes (blocks, 2, 2) and (blocks, 2): to leave out or repeat a
    block changes the shift by their solution. `pixels` were compared.
    """

    shift: Image
    slopes: Image
    scores: Image
    pixels: int


NOTHING = FoundShift(np.full(2, np.nan), np.empty((0, 2, 2)), np.empty((0, 2)), 0)


def find_shift(hst: Image, muse: Image, scale: float) -> FoundShift:
    """Find the shift d of M = a H(p - d) + b between two images of one field.

    Both are 2-D, of one shape and nearly one PSF, NaN where there is no data; `scale` is the side
    of a pixel [arcsec].
    """
    common = np.count_nonzero(np.isfinite(hst) & np.isfinite(muse))
    if common < FEWEST_BLOCKS * BLOCK:
        return NOTHING
    block = max(BLOCK, round(np.sqrt(common / BLOCKS)))
    sigma = SMOOTH_SIGMA / scale
    maps = [_flatten(image, sigma) for image in (hst, muse)]
    noise = mad_std(maps[1][np.isfinite(maps[1])])
    if not noise > 0:
        return NOTHING
    # Pixels whose neighbours, too, have data: the spline of the moved image reaches further.
    inner = [
        scipy.ndimage.binary_erosion(np.isfinite(image), np.ones((3, 3), bool), iterations=times)
        for image, times in zip(maps, (3, 2), strict=True)
    ]
    hst, muse = (np.nan_to_num(image, copy=False) for image in maps)
    weights = 1 / (noise**2 + (MISMATCH * muse) ** 2)
    shift = _find_whole_shift(hst, muse, SEARCH / scale)
    splines = scipy.ndimage.spline_filter(hst, order=3, output=hst.dtype)
    for _ in range(ITERATIONS):
        at_hst = scipy.ndimage.shift(inner[0].astype(np.uint8), np.round(shift), order=0)
        valid = inner[1] & (at_hst > 0)
        moved = scipy.ndimage.shift(splines, shift, order=3, prefilter=False)
        slopes, scores = _write_equations(moved, muse, weights * valid, block)
        step = _solve(slopes.sum(axis=0), scores.sum(axis=0))
        if not np.isfinite(step).all() or np.hypot(*shift) * scale > 2 * SEARCH:
            return NOTHING
        if np.abs(step).max() < CONVERGED:
            return FoundShift(shift, slopes, scores, int(np.count_nonzero(valid)))
        shift = shift + np.clip(step, -1, 1)
    return NOTHING


def _flatten(image: Image, sigma: float) -> Image:
    """Take out what is smooth over `sigma` pixels; no data is NaN and carries no weight."""
    valid = np.isfinite(image)
    weight = scipy.ndimage.gaussian_filter(valid.astype(image.dtype), sigma)
    smooth = scipy.ndimage.gaussian_filter(np.where(valid, image, image.dtype.type(0)), sigma)
    return np.where(valid, image - smooth / np.where(valid, weight, weight.dtype.type(1)), np.nan)


def _find_whole_shift(hst: Image, muse: Image, reach: float) -> Image:
    """Find the whole-pixel shift within `reach` at which the images correlate best."""
    shape = [scipy.fft.next_fast_len(length + int(reach) + 1, real=True) for length in hst.shape]
    # The arcsinh keeps one bright source, or one artefact, from deciding alone.
    one, other = (
        scipy.fft.rfft2(np.arcsinh(image / (mad_std(image[image != 0]) or 1.0)), shape)
        for image in (hst, muse)
    )
    correlation = scipy.fft.irfft2(np.conj(one) * other, shape)
    rows, columns = (scipy.fft.fftfreq(length, 1 / length) for length in shape)
    far = np.hypot(rows[:, None], columns) > reach
    row, column = np.unravel_index(np.argmax(np.where(far, -np.inf, correlation)), shape)
    return np.array([rows[row], columns[column]])


def _write_equations(hst: Image, muse: Image, weights: Image, block: int) -> tuple[Image, Image]:
    """Linearise the fit at the present shift, block by block.

    The matrix holds products of the one image's gradients with the other's: squares of either
    would count its noise as structure.
    """
    total = weights.sum(dtype=np.float64)
    if not total > 0:
        return np.full((1, 2, 2), np.nan), np.full((1, 2), np.nan)
    mean_hst, mean_muse = (weights * hst).sum() / total, (weights * muse).sum() / total
    spread = (weights * (hst - mean_hst) ** 2).sum()
    gain = (weights * (hst - mean_hst) * (muse - mean_muse)).sum() / max(spread, 1e-300)
    residual = muse - mean_muse - gain * (hst - mean_hst)
    muse_slopes = np.gradient(muse)
    edges = [np.arange(0, length, block) for length in hst.shape]

    def sum_blocks(image: Image) -> Image:
        rows = np.add.reduceat(image, edges[0], 0, dtype=np.float64)
        return np.add.reduceat(rows, edges[1], 1).ravel()

    used = sum_blocks(weights) > 0
    slopes, scores = [], []
    # One axis at a time: all slopes at once would hold each image twice more.
    for axis in range(2):
        weighted = weights * np.gradient(hst, axis=axis)
        slopes.append([sum_blocks(weighted * slope)[used] for slope in muse_slopes])
        scores.append(sum_blocks(-weighted * residual)[used])
    return np.moveaxis(np.array(slopes), -1, 0), np.array(scores).T


def _solve(slopes: Image, scores: Image) -> Image:
    """Return the step of one set of summed equations, NaN where they fix none."""
    matrix = (slopes + slopes.T) / 2
    if not np.isfinite(matrix).all() or np.linalg.eigvalsh(matrix)[0] <= 0:
        return np.full(2, np.nan)
    return np.linalg.solve(matrix, scores).astype(np.float64, copy=False)


def resample_shift(found: FoundShift, seed: int) -> Image:
    """Return how the shift changes when blocks are drawn anew, shape (draws, 2)."""
    blocks = len(found.scores)
    if blocks < FEWEST_BLOCKS:
        return np.full((1, 2), np.nan)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES).astype(np.float64)
    slopes, scores = np.tensordot(counts, found.slopes, 1), counts @ found.scores
    steps = np.array([_solve(*pair) for pair in zip(slopes, scores, strict=True)])
    fixed = np.isfinite(steps).all(axis=1)
    return steps[fixed] if fixed.mean() > 0.5 else np.full((1, 2), np.nan)
