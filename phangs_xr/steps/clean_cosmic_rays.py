"""Find cosmic rays in each of HST's bands, and replace them by what lies around.

A cosmic ray stands above its surroundings (four pixels 3 away) by many times its error, is sharper
than a star (its four neighbours have little of it), and is in one band alone: at a star, or a
cluster, the other bands have a peak too. Neighbours that stand out in the same band alone go with
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import LARGEST, require_between
from phangs_xr.numerics.filters import smooth_gaussian
from phangs_xr.numerics.lazy import map_halo, map_pixels
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.schema import BANDS
from phangs_xr.sky import Grid

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]

RING = 3
"""Distance of the pixels that are the surroundings [pixel]: beyond the PSF's core."""

GROWTH = 3.0
"""Neighbours of a cosmic ray are part of it from so many errors on."""

MARGIN = 1.0
"""Errors by which the neighbours must lie below the limit: on a bright knot noise alone makes
single pixels sharp."""

FAINT = 2.0
"""Errors in another band that a cosmic ray may have there by chance."""

SIGMA, RADIUS = 1.2, 6
"""Of the Gaussian mean that replaces them [pixel]."""

HALO = RING + 2 + RADIUS

STRIP = 128
"""Rows that are looked at together: what fits into the cache."""


@dataclass(frozen=True)
class CleanCosmicRays:
    """Options of `clean_cosmic_rays`.

    Attributes
    ----------
    threshold
        Height above the surroundings [error of a pixel].
    sharpness
        Largest share of the height that the mean of the four neighbours may have. HST's
        point-spread function has 0.4 of it there; a single pixel that drizzling has spread, 0.25.
    alone
        Height in another band, as share of that in its own, both in errors, from which on it is no
        cosmic ray; or two errors if that is more: a faint cluster shows little in any one band.
    """

    threshold: float = 7.0
    sharpness: float = 0.35
    alone: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what is no height or share."""
        require_between(
            "clean_cosmic_rays",
            self,
            threshold=(1, LARGEST, "error"),
            sharpness=(0, 1, "share"),
            alone=(0, 1, "share"),
        )


def measure_height(image: Image, *, origin: tuple[int, int]) -> Image:
    """Return how far pixels stand above those 3 away; missing ones count as 0.

    Of the four to each side the highest and the lowest do not count.
    """
    known = np.pad(np.nan_to_num(image), RING, mode="edge")
    made = np.empty_like(image)
    height, width = image.shape
    for start in range(0, height, STRIP):
        rows = slice(start, min(start + STRIP, height))
        sides = [
            known[rows.start + y : rows.stop + y, x : x + width]
            for y, x in ((0, RING), (2 * RING, RING), (RING, 0), (RING, 2 * RING))
        ]
        total = sides[0] + sides[1]
        total += sides[2]
        total += sides[3]
        low, high = np.minimum(sides[0], sides[1]), np.maximum(sides[0], sides[1])
        for side in sides[2:]:
            np.minimum(low, side, out=low)
            np.maximum(high, side, out=high)
        total -= low
        total -= high
        total *= 0.5
        middle = known[rows.start + RING : rows.stop + RING, RING : RING + width]
        np.subtract(middle, total, out=made[rows])
    return made


def average_neighbours(image: Image) -> Image:
    """Return the mean of the four neighbours, of the edge as if it were repeated."""
    around = np.pad(image, 1, mode="edge")
    total = around[:-2, 1:-1] + around[2:, 1:-1]
    total += around[1:-1, :-2]
    total += around[1:-1, 2:]
    total *= 0.25
    return np.asarray(total)


def find_rays(
    height: Image,
    error: Image,
    *others: Image,
    origin: tuple[int, int],
    threshold: float,
    sharpness: float,
    alone: float,
) -> Image:
    """Return 1 where a band has a cosmic ray, 0 elsewhere.

    Parameters
    ----------
    height, error
        Of the band: `measure_height`, and the error of a pixel.
    *others
        Of the other bands: heights, then errors.
    origin
        Not needed: the result does not depend on where the window lies.
    threshold, sharpness, alone
        See `CleanCosmicRays`.
    """
    least = average_neighbours(height) + MARGIN * error
    core = (height > threshold * error) & (least < sharpness * height)
    rays = _keep_lone(np.nonzero(core), height, error, others, threshold, alone)
    # Few pixels are left to be looked at closely.
    grown = _list_around(rays, height.shape)
    made = np.zeros_like(height)
    made[rays] = 1
    made[_keep_lone(grown, height, error, others, GROWTH, alone)] = 1
    return made


Places = tuple[NDArray[np.intp], ...]


def _keep_lone(
    place: Places,
    height: Image,
    error: Image,
    others: tuple[Image, ...],
    threshold: float,
    alone: float,
) -> Places:
    """Return those of some pixels that stand above a threshold in this band alone."""
    significance = np.nan_to_num(height[place] / error[place])
    half = len(others) // 2
    found = [
        np.nan_to_num(one[place] / its_error[place])
        for one, its_error in zip(others[:half], others[half:], strict=True)
    ]
    elsewhere = np.maximum.reduce([np.zeros(significance.size), *found])
    lone = (significance > threshold) & (elsewhere < np.maximum(FAINT, alone * significance))
    return tuple(axis[lone] for axis in place)


def _list_around(place: Places, shape: tuple[int, ...]) -> Places:
    """Return some pixels and the eight around each, within an image."""
    steps = np.arange(-1, 2)
    around = place[0][:, None, None] + steps[:, None], place[1][:, None, None] + steps
    y, x = (axis.ravel() for axis in np.broadcast_arrays(*around))
    inside = (y >= 0) & (x >= 0) & (y < shape[0]) & (x < shape[1])
    return y[inside], x[inside]


def replace_rays(image: Image, rays: Image, *, origin: tuple[int, int]) -> Image:
    """Return the image with marked pixels replaced by the Gaussian mean of those around."""
    marked = (rays > 0) & np.isfinite(image)
    if not marked.any():
        return image.copy()
    known = np.where(rays > 0, np.nan, image)
    mean = smooth_gaussian(known, SIGMA, RADIUS, origin, marked)
    return np.where(marked, mean, image)


def merge_masks(*masks: Image) -> Image:
    """Return 1 where any mask is."""
    return np.asarray(np.maximum.reduce(masks))


def find_halo(options: CleanCosmicRays, grid: Grid) -> int:
    """Return how far a pixel's new value can depend on others [pixel]."""
    return HALO


def clean_cosmic_rays(
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    narrow_err: xr.DataArray,
    continuum1_err: xr.DataArray,
    continuum2: xr.DataArray | None = None,
    continuum2_err: xr.DataArray | None = None,
    *,
    options: CleanCosmicRays | None = None,
) -> xr.Dataset:
    """Find and replace cosmic rays in HST's bands.

    Parameters
    ----------
    narrow, continuum1, continuum2
        Images on one grid [electron / s], NaN where there are no data.
    narrow_err, continuum1_err, continuum2_err
        Errors of single pixels, in the same unit.
    options
        What a cosmic ray is; the default if None.

    Returns
    -------
    xr.Dataset
        `narrow_clean`, `continuum1_clean` and, if given, `continuum2_clean` [electron / s], NaN
        where the band is; `cosmic_mask`, 1 where any band had a cosmic ray, else 0.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    options = options or CleanCosmicRays()
    images = dict(zip(BANDS, (narrow, continuum1, continuum2), strict=True))
    errors = dict(zip(BANDS, (narrow_err, continuum1_err, continuum2_err), strict=True))
    given = {band: one for band, one in images.items() if one is not None}
    named = {f"{band}_err": one for band, one in errors.items() if one is not None}
    require_products(**given, **named)
    heights = {band: map_halo(measure_height, image, depth=RING) for band, image in given.items()}
    made, masks = {}, []
    for band, image in given.items():
        others = [other for other in given if other != band]
        rays = map_halo(
            find_rays,
            heights[band],
            named[f"{band}_err"],
            *(heights[other] for other in others),
            *(named[f"{other}_err"] for other in others),
            depth=2,
            threshold=options.threshold,
            sharpness=options.sharpness,
            alone=options.alone,
        )
        masks.append(rays)
        name = f"{band}_clean"
        kept = {key: value for key, value in image.attrs.items() if key not in _OWN}
        clean = map_halo(replace_rays, image, rays, depth=RADIUS)
        made[name] = label_product(clean, name, "clean_cosmic_rays", **kept)
    merged = map_pixels(merge_masks, *masks)
    made["cosmic_mask"] = label_product(merged, "cosmic_mask", "clean_cosmic_rays")
    return xr.Dataset(made)


_OWN = ("long_name", "step")
