"""Estimate the sky around masked sources on a mesh of boxes, and take it off.

Sources are 8-connected groups of at least 10 pixels above the sigma-clipped mean + 2 standard
deviations, grown by a disc of 10 pixels. Each box of 100 × 100 pixels gives the SExtractor
background of what is left after clipping (Bertin & Arnouts 1996: 2.5 median - 1.5 mean, or the
median in crowded boxes). Boxes with too little left are filled from their neighbours, the mesh is
median-filtered, and a cubic spline brings it back to pixels. Equals `photutils.Background2D` of the
whole image.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import LARGEST, InputError, require_between
from phangs_xr.numerics.filters import dilate_disc
from phangs_xr.numerics.lazy import map_pixels, reduce_images
from phangs_xr.numerics.meshes import complete_mesh, cut_boxes, estimate_boxes, evaluate_spline
from phangs_xr.numerics.reductions import Block
from phangs_xr.numerics.statistics import AskDistribution, DistributionState
from phangs_xr.numerics.value_counts import Numbers, Values
from phangs_xr.photometry.labels import label_product, require_products

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SubtractBackground:
    """Options of `subtract_background`.

    Attributes
    ----------
    box_size
        Side of a box [pixel].
    filter_size
        Side of the median filter over the mesh [box]. 51 boxes are wider than most mosaics: the
        background is then one number.
    exclude_percentile
        A box with more than this part of its pixels masked or clipped is dropped [%].
    detect_sigma
        Sources are brighter than the clipped mean by this many clipped standard deviations.
    min_pixels
        Smallest source [pixel].
    grow_radius
        Of the disc that sources are grown by [pixel].
    clip_sigma, clip_iterations
        Of the clipping, for the threshold and in the boxes.
    """

    box_size: int = 100
    filter_size: int = 51
    exclude_percentile: float = 95.0
    detect_sigma: float = 2.0
    min_pixels: int = 10
    grow_radius: int = 10
    clip_sigma: float = 3.0
    clip_iterations: int = 10

    def __post_init__(self) -> None:
        """Refuse sizes that are no sizes, even filters, and what is beyond its bounds."""
        if self.box_size < 1 or self.min_pixels < 1 or self.grow_radius < 0:
            message = (
                f"subtract_background: box_size and min_pixels should be at least 1, grow_radius "
                f"at least 0 [pixel], found {self.box_size}, {self.min_pixels}, {self.grow_radius}"
            )
            raise InputError(message)
        if self.filter_size < 1 or self.filter_size % 2 == 0:
            message = (
                f"subtract_background: filter_size should be odd [box], found {self.filter_size}"
            )
            raise InputError(message)
        require_between(
            "subtract_background",
            self,
            exclude_percentile=(0, 100, "%"),
            detect_sigma=(0, LARGEST, "standard deviation"),
            clip_sigma=(0, LARGEST, "standard deviation"),
            clip_iterations=(0, LARGEST, "time"),
        )


@dataclass(frozen=True)
class AskThreshold:
    """Ask a distribution for the brightness above which pixels may belong to sources."""

    options: SubtractBackground

    def __call__(self, values: Values) -> Numbers:
        """Return `threshold`, in the image's unit."""
        kept = values.clip(self.options.clip_sigma, self.options.clip_iterations)
        mean, std = kept.find_mean_std()
        return {"threshold": mean + self.options.detect_sigma * std}


def mask_sources(image: Image, threshold: float, min_pixels: int, grow_radius: int) -> Mask:
    """Return where sources are, grown by a disc.

    Whether a pixel belongs to a group of `min_pixels` shows within `min_pixels` - 1 pixels of it,
    so this needs no more than a window around the pixels asked for.
    """
    bright = image > threshold
    labels, number = scipy.ndimage.label(bright, structure=np.ones((3, 3)))
    if number == 0:
        return bright
    # Few pixels are bright: only these are counted and looked up.
    places = np.flatnonzero(bright)
    owners = labels.ravel()[places]
    large = np.bincount(owners) >= min_pixels
    sources = np.zeros_like(bright)
    sources.flat[places] = large[owners]
    return dilate_disc(sources, grow_radius)


def draw_background(
    image: Image, rows: NDArray[np.int64], columns: NDArray[np.int64], *, measured: Any
) -> Image:
    """Return the background where an image has data, NaN elsewhere."""
    box, (y0, x0) = measured["background_box"], measured["background_origin"]
    places = [(rows - y0 + 0.5) / box[0] - 0.5, (columns - x0 + 0.5) / box[1] - 0.5]
    level = evaluate_spline(np.asarray(measured["background_mesh"]), *places)
    return np.where(np.isfinite(image), level, np.nan).astype(image.dtype, copy=False)


@dataclass(frozen=True)
class _State:
    sky: DistributionState = field(default_factory=DistributionState)
    numbers: dict[str, Any] | None = None


@dataclass(frozen=True)
class ReduceToBackground:
    """Reduce halpha to the source threshold, then to the mesh of the background."""

    options: SubtractBackground
    passes: int = 9

    @property
    def depth(self) -> int:
        """How far away a source can mask a pixel."""
        return self.options.grow_radius + self.options.min_pixels - 1

    @property
    def cell(self) -> int:
        """The boxes."""
        return self.options.box_size

    def find_depth(self, state: _State) -> int:
        """Tell that the threshold needs no neighbours."""
        return 0 if state.sky.answers is None else self.depth

    @property
    def _ask(self) -> AskDistribution:
        return AskDistribution(AskThreshold(self.options), moments=True)

    def start(self) -> _State:
        """Begin with nothing known."""
        return _State()

    def look(self, state: _State, block: Block) -> Any:
        """Ask for the threshold; once it is known, mask sources and estimate the boxes."""
        if state.sky.answers is None:
            return self._ask.look(state.sky, block)
        options, box = self.options, self.options.box_size
        image = block.arrays[0]
        masked = mask_sources(
            image, state.sky.answers["threshold"], options.min_pixels, options.grow_radius
        )
        sky = np.where(masked, np.nan, image)[block.core]
        # photutils makes a box that is larger than the image as large as the image.
        area = min(box, block.shape[0]) * min(box, block.shape[1])
        least = (1 - options.exclude_percentile / 100) * area
        levels = estimate_boxes(
            cut_boxes(sky, box), options.clip_sigma, options.clip_iterations, least
        )
        row, column = (offset // box for offset in block.offset)
        return {
            "mesh": {(row, column): levels},
            "origin": block.origin,
            "box": (min(box, block.shape[0]), min(box, block.shape[1])),
        }

    def merge(self, one: Any, other: Any) -> Any:
        """Join the counts, or the pieces of the mesh."""
        if isinstance(one, dict):
            return {**one, "mesh": {**one["mesh"], **other["mesh"]}}
        return self._ask.merge(one, other)

    def advance(self, state: _State, merged: Any) -> _State:
        """Take in the threshold, then complete the mesh."""
        if state.sky.answers is None:
            return _State(self._ask.advance(state.sky, merged))
        pieces = merged["mesh"]
        shape = [max(place[i] + piece.shape[i] for place, piece in pieces.items()) for i in (0, 1)]
        mesh = np.full(shape, np.nan)
        for (row, column), piece in pieces.items():
            mesh[row : row + piece.shape[0], column : column + piece.shape[1]] = piece
        if np.isnan(mesh).all():
            message = (
                f"subtract_background: no box of {self.options.box_size} pixels has more than "
                f"{100 - self.options.exclude_percentile} % of its pixels left after masking "
                f"sources: use larger boxes or a higher exclude_percentile"
            )
            raise InputError(message)
        numbers = {
            **state.sky.answers,
            "background_mesh": complete_mesh(mesh, self.options.filter_size),
            "background_box": merged["box"],
            "background_origin": merged["origin"],
        }
        return _State(state.sky, numbers)

    def is_done(self, state: _State) -> bool:
        """Tell whether the mesh is complete."""
        return state.numbers is not None

    def finish(self, state: _State) -> dict[str, Any]:
        """Return `threshold`, `background_mesh`, `background_box` and `background_origin`."""
        return dict(state.numbers or {})


def reduce_to_background(
    options: SubtractBackground, images: Collection[str] = ()
) -> ReduceToBackground:
    """Return the reduction of `halpha` to its background."""
    return ReduceToBackground(options)


def subtract_background(
    halpha: xr.DataArray,
    *,
    measured: Mapping[str, Any] | None = None,
    options: SubtractBackground | None = None,
) -> xr.Dataset:
    """Estimate and subtract the background of the HST H-alpha map.

    Parameters
    ----------
    halpha
        [1e-20 erg/s/cm² per pixel].
    measured
        The numbers of `reduce_to_background`, when known; measured from all of `halpha` if None.
    options
        Boxes, sources and clipping; the default if None.

    Returns
    -------
    xr.Dataset
        `halpha_bg`, `halpha_bgsub` [1e-20 erg/s/cm² per pixel], NaN where `halpha` is.

    Raises
    ------
    InputError
        If the unit is another, or no box has enough pixels left (when computed, if `halpha` is
        lazy).
    """
    options = options or SubtractBackground()
    require_products(halpha=halpha)
    if measured is None:
        measured = reduce_images(reduce_to_background(options), halpha)
    background = map_pixels(draw_background, halpha, positions=True, measured=measured)
    subtracted = map_pixels(np.subtract, halpha, background)
    return xr.Dataset(
        {
            "halpha_bg": label_product(background, "halpha_bg", "subtract_background"),
            "halpha_bgsub": label_product(subtracted, "halpha_bgsub", "subtract_background"),
        }
    )
