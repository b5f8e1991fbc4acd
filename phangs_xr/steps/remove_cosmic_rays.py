"""Find cosmic rays by the holes they leave around them, cut them out and interpolate.

Continuum subtraction and anchoring by the difference leave a cosmic ray, which no point-spread
function has smoothed, in a ring of negative pixels. On diff_anchored minus its clipped median,
DAOFIND (Stetson 1987) finds sources above 5 clipped standard deviations; one with any negative ring
in its radial profile is a cosmic ray. Discs of 3 pixels around them are cut from anchored_intnegs
and filled by the Gaussian-weighted mean (σ 0.75 pixel) of what is around.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.filters import fill_holes
from phangs_xr.numerics.lazy import map_halo, map_pixels, reduce_images
from phangs_xr.numerics.reductions import Block
from phangs_xr.numerics.sources import find_reach, find_stars, sum_rings
from phangs_xr.numerics.statistics import AskDistribution, ClippedStatistics, DistributionState
from phangs_xr.numerics.value_counts import Numbers
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.sky import Grid

Image = NDArray[np.floating]

SIGMA = 0.75
RADIUS = 3
"""Half-width of the kernel [pixel]: astropy's default size for σ = 0.75."""
CELL = 100


@dataclass(frozen=True)
class RemoveCosmicRays:
    """Options of `remove_cosmic_rays`.

    Attributes
    ----------
    fwhm
        Of the sources to look for [pixel].
    threshold
        Sources must stand out by this many clipped standard deviations.
    clip_sigma, clip_iterations
        Of the clipped median and standard deviation.
    rings
        How many rings, 1 pixel wide, of the radial profile must not be negative.
    disc_radius
        Of what is cut around a cosmic ray [pixel]; the middle of discs of more than 4 pixels is
        further from any data than the filling reaches.

    Raises
    ------
    InputError
        If a width, threshold or radius is not positive and finite, or there are no rings.
    """

    fwhm: float = 3.0
    threshold: float = 5.0
    clip_sigma: float = 3.0
    clip_iterations: int = 5
    rings: int = 14
    disc_radius: float = 3.0

    def __post_init__(self) -> None:
        """Refuse sizes and thresholds that are not positive numbers, and profiles without rings."""
        units = {
            "fwhm": "pixel",
            "threshold": "standard deviation",
            "clip_sigma": "standard deviation",
            "disc_radius": "pixel",
        }
        for name, unit in units.items():
            value = getattr(self, name)
            if not 0 < value < inf:
                message = f"remove_cosmic_rays: {name} should be positive [{unit}], found {value}"
                raise InputError(message)
        if self.rings < 1 or self.clip_iterations < 0:
            message = (
                f"remove_cosmic_rays: rings should be at least 1, clip_iterations at least 0, "
                f"found {self.rings} and {self.clip_iterations}"
            )
            raise InputError(message)


def cut_discs(
    image: Image, rows: NDArray[np.int64], columns: NDArray[np.int64], *, xy: Any, radius: float
) -> Image:
    """Return 1 within `radius` pixels of any of the positions, 0 elsewhere.

    Parameters
    ----------
    image
        Gives the shape.
    rows, columns
        Absolute positions of its pixels.
    xy
        Positions (x, y), shape (n, 2) [absolute pixel].
    radius
        Of the discs [pixel].
    """
    mask = np.zeros(image.shape, dtype=np.float32)
    if not mask.size:
        return mask
    xy = np.asarray(xy, dtype=np.float64).reshape(-1, 2) - (columns[0], rows[0])
    low, high = -radius - 1, np.array(mask.shape[::-1]) + radius + 1
    for x, y in xy[((xy > low) & (xy < high)).all(axis=1)]:
        ys = slice(max(int(y - radius), 0), max(int(y + radius) + 2, 0))
        xs = slice(max(int(x - radius), 0), max(int(x + radius) + 2, 0))
        part = mask[ys, xs]
        row, column = np.ogrid[
            ys.start : ys.start + part.shape[0], xs.start : xs.start + part.shape[1]
        ]
        part[(row - y) ** 2 + (column - x) ** 2 <= radius**2] = 1
    return mask


def fill_discs(image: Image, coverage: Image, mask: Image, *, origin: tuple[int, int]) -> Image:
    """Cut the mask out of an image and interpolate its missing pixels where there is coverage."""
    kept = np.where(mask > 0, np.nan, image).astype(image.dtype, copy=False)
    return fill_holes(kept, np.isfinite(coverage), SIGMA, RADIUS, 1, origin)


@dataclass(frozen=True)
class _State:
    sky: DistributionState = field(default_factory=DistributionState)
    cells: dict[tuple[int, int], tuple[NDArray[np.float64], int]] | None = None


@dataclass(frozen=True)
class ReduceToCosmicRays:
    """Reduce diff_anchored to its clipped sky level, and to the positions of the cosmic rays.

    The last pass finds the sources tile by tile; a source belongs to the tile its centroid lies in.
    """

    options: RemoveCosmicRays
    cell: int = CELL
    passes: int = 9

    @property
    def depth(self) -> int:
        """Reach of the radial profile or of the detection, whichever is larger."""
        return max(self.options.rings + 2, find_reach(self.options.fwhm))

    def find_depth(self, state: _State) -> int:
        """Tell that the sky level needs no neighbours."""
        return 0 if state.sky.answers is None else self.depth

    @property
    def _ask(self) -> AskDistribution:
        options = self.options
        return AskDistribution(
            ClippedStatistics(options.clip_sigma, options.clip_iterations), moments=True
        )

    def start(self) -> _State:
        """Begin with nothing known."""
        return _State()

    def look(self, state: _State, block: Block) -> Any:
        """Ask for the sky level; once it is known, find the sources."""
        if state.sky.answers is None:
            return self._ask.look(state.sky, block)
        return {block.offset: self._find(state.sky.answers, block)}

    def _find(self, sky: Numbers, block: Block) -> tuple[NDArray[np.float64], int]:
        if not sky["std"] > 0:
            return np.empty((0, 2)), 0
        image = block.arrays[0] - block.arrays[0].dtype.type(sky["median"])
        threshold = self.options.threshold * sky["std"]
        xy = find_stars(image, self.options.fwhm, threshold, block.core)
        ys, xs = block.core
        pixels = np.floor(xy + 0.5)
        low, high = np.array([xs.start, ys.start]), np.array([xs.stop, ys.stop])
        owned = xy[((pixels >= low) & (pixels < high)).all(axis=1)]
        struck = (sum_rings(image, owned, self.options.rings) < 0).any(axis=1)
        place = np.array(
            [
                block.origin[1] + block.offset[1] - xs.start,
                block.origin[0] + block.offset[0] - ys.start,
            ]
        )
        return owned[struck] + place, len(owned)

    def merge(self, one: Any, other: Any) -> Any:
        """Join the counts, or the tiles."""
        if isinstance(one, dict):
            return {**one, **other}
        return self._ask.merge(one, other)

    def advance(self, state: _State, merged: Any) -> _State:
        """Take in the sky level, then the sources."""
        if state.sky.answers is None:
            return _State(self._ask.advance(state.sky, merged))
        return _State(state.sky, merged)

    def is_done(self, state: _State) -> bool:
        """Tell whether the sources are found."""
        return state.cells is not None

    def finish(self, state: _State) -> dict[str, Any]:
        """Return `sky_median`, `sky_std`, `sources` (their number) and `cosmic_rays` (x, y)."""
        sky, found = state.sky.answers or {}, list((state.cells or {}).values())
        xy = np.concatenate([positions for positions, _ in found])
        return {
            "sky_median": sky["median"],
            "sky_std": sky["std"],
            "sources": float(sum(count for _, count in found)),
            "cosmic_rays": xy[np.lexsort((xy[:, 0], xy[:, 1]))],
        }


def reduce_to_cosmic_rays(
    options: RemoveCosmicRays, images: Collection[str] = ()
) -> ReduceToCosmicRays:
    """Return the reduction of `diff_anchored` to its cosmic rays."""
    return ReduceToCosmicRays(options)


def find_halo(options: RemoveCosmicRays, grid: Grid) -> int:
    """Return how far a pixel's new value can depend on others, the positions given [pixel]."""
    return RADIUS


def remove_cosmic_rays(
    anchored_intnegs: xr.DataArray,
    diff_anchored: xr.DataArray,
    *,
    measured: Mapping[str, Any] | None = None,
    options: RemoveCosmicRays | None = None,
) -> xr.Dataset:
    """Cut cosmic rays out of the anchored map and interpolate over them.

    Parameters
    ----------
    anchored_intnegs, diff_anchored
        Images on one grid [1e-20 erg/s/cm² per pixel].
    measured
        `cosmic_rays`, positions (x, y) of shape (n, 2) [absolute pixel], when known; found in all
        of `diff_anchored` if None.
    options
        What is a cosmic ray; the default if None.

    Returns
    -------
    xr.Dataset
        `anchored_intnegs_nocosmic` [1e-20 erg/s/cm² per pixel], NaN where `diff_anchored` is and
        in the middle of discs wider than the filling reaches; small holes left by `fill_negatives`
        are closed as the discs are. `cosmic_mask`, 1 in the discs.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    options = options or RemoveCosmicRays()
    images = {"anchored_intnegs": anchored_intnegs, "diff_anchored": diff_anchored}
    require_products(**images)
    if measured is None:
        measured = reduce_images(reduce_to_cosmic_rays(options), diff_anchored)
    mask = map_pixels(
        cut_discs,
        anchored_intnegs,
        positions=True,
        dtype=np.float32,
        xy=measured["cosmic_rays"],
        radius=options.disc_radius,
    )
    filled = map_halo(fill_discs, anchored_intnegs, diff_anchored, mask, depth=RADIUS)
    name = "anchored_intnegs_nocosmic"
    return xr.Dataset(
        {
            name: label_product(filled, name, "remove_cosmic_rays"),
            "cosmic_mask": label_product(mask, "cosmic_mask", "remove_cosmic_rays"),
        }
    )
