"""Local filters that know about missing pixels: Gaussian smoothing and filling, dilation."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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
    valid = np.isfinite(image)
    total = _correlate(np.where(valid, image, 0), sigma, radius)
    weight = _correlate(valid.astype(image.dtype), sigma, radius)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, total / weight, np.nan).astype(image.dtype, copy=False)


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
    if not mask.any():
        return mask
    return ndimage.binary_dilation(mask, iterations=iterations)


def dilate_disc(mask: Mask, radius: int) -> Mask:
    """Grow a mask by a disc: to every pixel within `radius` pixels of it."""
    if not mask.any():
        return mask
    return ndimage.distance_transform_edt(~mask) <= radius


def _correlate(image: Image, sigma: float, radius: int) -> Image:
    # Direct sums, not a Fourier transform: each pixel's bits then do not depend on the chunks.
    return ndimage.gaussian_filter(image, sigma, mode="constant", cval=0.0, radius=radius)
