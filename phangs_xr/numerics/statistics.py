"""Exact medians, MADs, percentiles and clipped statistics of images of any size, chunk by chunk.

A float32 pixel, read as a sortable integer, falls into one of 65536 bins by its upper 16 bits. The
first pass counts the bins and sums them in integers (so that no order of the chunks can matter);
from these counts a query can tell nearly where its answer lies, and the next pass keeps the
distinct values of just those bins. Every answer is then that of the whole image, to the last bit,
from a few megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import label_number, reduce_images
from phangs_xr.numerics.reductions import Block
from phangs_xr.numerics.value_counts import (
    BINS,
    Counts,
    Numbers,
    Values,
    count_coarsely,
    count_finely,
    encode_values,
    view_values,
)

_SMALL = 1 << 20
"""Images of up to this many pixels keep all their values: two passes are then always enough."""


class Query(Protocol):
    """A question to the distribution of an image's values; must be picklable."""

    def __call__(self, values: Values) -> Numbers:
        """Return the answers by name, NaN where there are no pixels to tell."""


@dataclass(frozen=True)
class DistributionState:
    """Between passes: the counts so far, the bins to refine next, the answers once exact."""

    counts: Counts | None = None
    wanted: NDArray[np.bool_] | None = None
    answers: Numbers | None = None


@dataclass(frozen=True)
class AskDistribution:
    """Reduce one image to the answers of a query to the distribution of its finite pixels.

    Parameters
    ----------
    query
        What to ask.
    moments
        Whether the query asks for means or standard deviations.
    """

    query: Query
    moments: bool = False
    depth: int = 0
    cell: int = 1
    # The guesses are good to a fraction of a bin, so two passes are the rule; each further one
    # settles at least one more step of an iterative query.
    passes: int = 8

    def start(self) -> DistributionState:
        """Begin with nothing counted."""
        return DistributionState()

    def look(self, state: DistributionState, block: Block) -> Any:
        """Count the coarse bins, or the distinct values of the wanted ones."""
        keys = block.remember(encode_values, block.arrays[0][block.core])
        if state.wanted is None:
            return block.remember(count_coarsely, keys, self.moments)
        return count_finely(keys, state.wanted)

    def merge(self, one: Any, other: Any) -> Any:
        """Add the counts."""
        if isinstance(one, np.ndarray):
            return one + other
        keys, inverse = np.unique(np.concatenate([one[0], other[0]]), return_inverse=True)
        number = np.zeros(keys.size, dtype=np.int64)
        np.add.at(number, inverse, np.concatenate([one[1], other[1]]))
        return keys, number

    def advance(self, state: DistributionState, merged: Any) -> DistributionState:
        """Ask the query; want the bins that it had to guess in."""
        if state.counts is None:
            empty = np.zeros(BINS, dtype=bool)
            keys, number = np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.int64)
            counts = Counts(merged[0], merged[1], merged[2], empty, keys, number)
        else:
            old = state.counts
            keys, number = self.merge((old.keys, old.key_counts), merged)
            refined = old.refined if state.wanted is None else old.refined | state.wanted
            counts = replace(old, refined=refined, keys=keys, key_counts=number)
        values = view_values(counts)
        answers = self.query(values)
        if not values.wanted:
            # The counts have served: they would go to every worker with the next pass.
            return DistributionState(answers=answers)
        wanted = np.zeros(BINS, dtype=bool)
        if counts.counts.sum() <= _SMALL:
            wanted = (counts.counts > 0) & ~counts.refined
        else:
            wanted[list(values.wanted)] = True
        return DistributionState(counts, wanted, None)

    def is_done(self, state: DistributionState) -> bool:
        """Tell whether the answers are exact."""
        return state.answers is not None

    def finish(self, state: DistributionState) -> Numbers:
        """Return the answers."""
        if state.answers is None:
            raise RuntimeError("the distribution was asked to finish before its answers were exact")
        return state.answers


@dataclass(frozen=True)
class AskTogether:
    """Several reductions over the same blocks, side by side; the numbers of all in one dict.

    Parameters
    ----------
    parts
        Pairs of the indices of the images a reduction looks at, and the reduction.
    """

    parts: tuple[tuple[tuple[int, ...], Any], ...]

    @property
    def depth(self) -> int:
        """The largest of the parts'."""
        return max(int(part.depth) for _, part in self.parts)

    @property
    def cell(self) -> int:
        """What suits all parts."""
        return int(np.lcm.reduce([part.cell for _, part in self.parts]))

    @property
    def passes(self) -> int:
        """The most any part needs."""
        return max(int(part.passes) for _, part in self.parts)

    def start(self) -> tuple[Any, ...]:
        """Begin all."""
        return tuple(part.start() for _, part in self.parts)

    def look(self, state: tuple[Any, ...], block: Block) -> list[Any]:
        """Look with every part that is not done."""
        return [
            None if part.is_done(own) else part.look(own, block.select(*indices))
            for (indices, part), own in zip(self.parts, state, strict=True)
        ]

    def merge(self, one: list[Any], other: list[Any]) -> list[Any]:
        """Merge part by part."""
        return [
            None if a is None else part.merge(a, b)
            for (_, part), a, b in zip(self.parts, one, other, strict=True)
        ]

    def advance(self, state: tuple[Any, ...], merged: list[Any]) -> tuple[Any, ...]:
        """Advance every part that looked."""
        return tuple(
            own if part is None else reduction.advance(own, part)
            for (_, reduction), own, part in zip(self.parts, state, merged, strict=True)
        )

    def is_done(self, state: tuple[Any, ...]) -> bool:
        """Tell whether all are done."""
        return all(part.is_done(own) for (_, part), own in zip(self.parts, state, strict=True))

    def finish(self, state: tuple[Any, ...]) -> dict[str, Any]:
        """Return all numbers."""
        numbers: dict[str, Any] = {}
        for (_, part), own in zip(self.parts, state, strict=True):
            numbers.update(part.finish(own))
        return numbers


@dataclass(frozen=True)
class AskByName(AskTogether):
    """The same, what each part finds under its name.

    Parameters
    ----------
    parts
        As before.
    names
        Of the parts.
    """

    names: tuple[str, ...]

    def finish(self, state: tuple[Any, ...]) -> dict[str, Any]:
        """Return what each part finds, by name."""
        named = zip(self.names, self.parts, state, strict=True)
        return {name: part.finish(own) for name, (_, part), own in named}


@dataclass(frozen=True)
class Quantile:
    """Ask for a quantile (0 to 1)."""

    quantile: float

    def __call__(self, values: Values) -> Numbers:
        """Return `quantile`."""
        return {"quantile": values.find_quantile(self.quantile)}


@dataclass(frozen=True)
class MadStd:
    """Ask for the standard deviation by the median absolute deviation."""

    name: str = "mad_std"

    def __call__(self, values: Values) -> Numbers:
        """Return it under `name`."""
        return {self.name: values.find_mad_std()}


@dataclass(frozen=True)
class ClippedStatistics:
    """Ask for median, mean and standard deviation after sigma clipping about the median.

    Parameters
    ----------
    sigma
        How many standard deviations from the median are kept.
    max_iterations
        At most so many times.
    """

    sigma: float
    max_iterations: int

    def __call__(self, values: Values) -> Numbers:
        """Return `mean`, `median`, `std`, as `astropy.stats.sigma_clipped_stats` does."""
        kept = values.clip(self.sigma, self.max_iterations)
        mean, std = kept.find_mean_std()
        return {"mean": mean, "median": kept.find_median(), "std": std}


def _ask(image: xr.DataArray, query: Query, name: str) -> xr.DataArray:
    numbers = reduce_images(AskDistribution(query), image)
    return label_number(numbers[name], name, str(image.attrs.get("units", "")))


def find_percentile(image: xr.DataArray, percent: float) -> xr.DataArray:
    """Return the exact percentile of an image's finite pixels, in the image's unit.

    Parameters
    ----------
    image
        2-D; values count as float32. Lazy in, lazy out.
    percent
        0 to 100; linear between the two nearest ranks, as `numpy.nanpercentile`.

    Returns
    -------
    xr.DataArray
        0-d float64; NaN if no pixel is finite.
    """
    return _ask(image, Quantile(percent / 100), "quantile")


def find_median(image: xr.DataArray) -> xr.DataArray:
    """Return the exact median of an image's finite pixels; see `find_percentile`."""
    return find_percentile(image, 50)


def find_mad_std(image: xr.DataArray) -> xr.DataArray:
    """Return 1.4826 times the exact median absolute deviation; see `find_percentile`."""
    return _ask(image, MadStd(), "mad_std")


def find_clipped_statistics(
    image: xr.DataArray, sigma: float = 3.0, max_iterations: int = 10
) -> Mapping[str, xr.DataArray]:
    """Return `mean`, `median` and `std` after sigma clipping about the median.

    Equal to `astropy.stats.sigma_clipped_stats` of all finite pixels; lazy in, lazy out.
    """
    query = ClippedStatistics(sigma, max_iterations)
    numbers = reduce_images(AskDistribution(query, moments=True), image)
    units = str(image.attrs.get("units", ""))
    return {name: label_number(numbers[name], name, units) for name in ("mean", "median", "std")}
