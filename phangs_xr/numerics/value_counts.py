"""The values of an image of any size as counts: read as sortable integers, counted in bins.

A float32 pixel, read as a sortable integer, falls into one of 65536 bins by its upper 16 bits. The
bins are counted and summed in integers, so that no order of the chunks can matter; of some of them
the distinct values are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAD_TO_STD = 1.482602218505602
"""Standard deviation over median absolute deviation of a normal distribution, 1/Φ⁻¹(3/4)."""

BINS = 1 << 16
"""Coarse bins of all float32 numbers, by their upper 16 bits."""

_BATCH = 1 << 18
"""Pixels that are counted at a time."""

_NOT_FINITE = np.r_[: 0x007F + 1, 0xFF80:BINS]
"""Bins of infinities and NaN, whose exponent is all ones."""

Numbers = dict[str, float]


@dataclass(frozen=True)
class Counts:
    """How an image's finite values spread: coarse bins, and the distinct values of some of them.

    Attributes
    ----------
    counts, sums, squares
        Per coarse bin (65536): pixels, and the exact sums of their lower 16 bits and of these
        squared.
    refined
        Per coarse bin, whether its distinct values are kept.
    keys, key_counts
        The distinct values of the refined bins, as sortable integers in rising order, and how many
        pixels have each.
    """

    counts: NDArray[np.int64]
    sums: NDArray[np.int64]
    squares: NDArray[np.int64]
    refined: NDArray[np.bool_]
    keys: NDArray[np.uint32]
    key_counts: NDArray[np.int64]


def encode_values(image: NDArray[Any]) -> NDArray[np.uint32]:
    """Return an image's values, in one row, as integers that sort as their float32 values do.

    Infinities and NaN fall into bins that no finite value has.
    """
    values = np.ravel(image).astype(np.float32, copy=False)
    keys = np.empty(values.size, dtype=np.uint32)
    for part in _list_batches(values.size):
        # Adding zero turns -0.0, which is as much a zero as the other, into 0.0.
        bits = values[part] + np.float32(0)
        flip = (bits.view(np.int32) >> 31).view(np.uint32) | np.uint32(0x80000000)
        np.bitwise_xor(bits.view(np.uint32), flip, out=keys[part])
    return keys


def decode_values(keys: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return the values that `encode_values` made integers of."""
    bits = np.where(keys >> 31, keys ^ np.uint32(0x80000000), ~keys).astype(np.uint32)
    return bits.view(np.float32).astype(np.float64)


def count_coarsely(keys: NDArray[np.uint32], moments: bool = True) -> NDArray[np.int64]:
    """Return per coarse bin of finite values the count, and sums of the lower 16 bits.

    Parameters
    ----------
    keys
        From `encode_values`.
    moments
        Whether the sums of the lower 16 bits and of their squares are needed; zero otherwise.
    """
    total = np.zeros((3, BINS), dtype=np.int64)
    # A float64 weight sum stays an exact integer up to 2^53, far above a batch of squares of 2^32.
    for batch in _list_batches(keys.size):
        part = keys[batch]
        coarse = (part >> 16).astype(np.intp)
        total[0] += np.bincount(coarse, minlength=BINS)
        if not moments:
            continue
        low = (part & np.uint32(0xFFFF)).astype(np.float64)
        total[1] += np.bincount(coarse, weights=low, minlength=BINS).astype(np.int64)
        low *= low
        total[2] += np.bincount(coarse, weights=low, minlength=BINS).astype(np.int64)
    total[:, _NOT_FINITE] = 0
    return total


def count_finely(
    keys: NDArray[np.uint32], wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the distinct values in the wanted coarse bins, rising, and how many there are of each.

    Parameters
    ----------
    keys
        From `encode_values`.
    wanted
        Per coarse bin.
    """
    parts = []
    for batch in _list_batches(keys.size):
        part = keys[batch]
        parts.append(part[wanted[(part >> 16).astype(np.intp)]])
    found, number = np.unique(np.concatenate(parts), return_counts=True)
    return found, number


def _list_batches(size: int) -> list[slice]:
    """Cut a row of values into batches that stay in the cache."""
    return [slice(start, start + _BATCH) for start in range(0, max(size, 1), _BATCH)]


@dataclass
class Values:
    """An image's values as a query sees them: exact where refined, guessed within a bin elsewhere.

    A query that needs a guess to answer leaves the bin in `wanted`; an answer is exact if and only
    if nothing was wanted while it was made.
    """

    first: NDArray[np.float64]
    last: NDArray[np.float64]
    count: NDArray[np.float64]
    total: NDArray[np.float64]
    scatter: NDArray[np.float64]
    coarse: NDArray[np.intp]
    weight: NDArray[np.float64]
    wanted: set[int] = field(default_factory=set)

    @property
    def size(self) -> float:
        """How many values there are."""
        return float((self.weight * self.count).sum())

    def select(self, low: float = -np.inf, high: float = np.inf) -> Values:
        """Return the values with low <= value <= high."""
        width = self.last - self.first
        below = np.clip((low - self.first) / np.where(width > 0, width, 1.0), 0, 1)
        above = np.clip((self.last - high) / np.where(width > 0, width, 1.0), 0, 1)
        inside = np.clip(1 - below - above, 0, 1)
        whole = (self.first >= low) & (self.last <= high)
        straddles = ~whole & (self.last >= low) & (self.first <= high)
        self.wanted.update(self.coarse[straddles & (self.weight > 0)].tolist())
        share = np.where(whole, 1.0, np.where(straddles, inside, 0.0))
        return replace(self, weight=self.weight * share)

    def transform(self, function: Callable[[NDArray[np.float32]], NDArray[Any]]) -> Values:
        """Return the values of a function that rises or falls throughout; not their moments."""
        ends = [function(edge.astype(np.float32)) for edge in (self.first, self.last)]
        unknown = np.full(self.first.shape, np.nan)
        order = np.argsort(np.minimum(*ends), kind="stable")
        return replace(
            self,
            first=np.minimum(*ends).astype(np.float64)[order],
            last=np.maximum(*ends).astype(np.float64)[order],
            count=self.count[order],
            total=unknown,
            scatter=unknown,
            coarse=self.coarse[order],
            weight=self.weight[order],
        )

    def find_rank(self, rank: float) -> float:
        """Return the value that `rank` others are below (0 is the smallest)."""
        held = self.weight * self.count
        index, reached = _find_row(held, rank)
        if self.first[index] == self.last[index]:
            return float(self.first[index])
        self.wanted.add(int(self.coarse[index]))
        inside = (rank + 0.5 - reached) / held[index] + 1
        return float(self.first[index] + inside * (self.last[index] - self.first[index]))

    def find_quantile(self, quantile: float) -> float:
        """Return the quantile (0 to 1), linear between the two values nearest in rank."""
        if self.size == 0:
            return float("nan")
        position = quantile * (self.size - 1)
        rank = np.floor(position)
        low, high = self.find_rank(rank), self.find_rank(np.ceil(position))
        return float(low + (high - low) * (position - rank))

    def find_median(self) -> float:
        """Return the median, the mean of the middle two for an even count."""
        return self.find_quantile(0.5)

    def find_mean_std(self) -> tuple[float, float]:
        """Return the mean and the (population) standard deviation."""
        size = self.size
        if size == 0:
            return float("nan"), float("nan")
        mean = float((self.weight * self.total).sum()) / size
        # From row to row, not from sums of squares: these cancel where the level is far above the
        # scatter.
        spread = self.scatter + self.count * (self.total / self.count - mean) ** 2
        return mean, float(np.sqrt(max((self.weight * spread).sum() / size, 0.0)))

    def find_mad(self) -> float:
        """Return the median absolute deviation from the median."""
        median = self.find_median()
        if np.isnan(median):
            return median
        one, other = np.abs(self.first - median), np.abs(self.last - median)
        near, far = np.minimum(one, other), np.maximum(one, other)
        holds = (self.first < median) & (self.last > median)
        near = np.where(holds, 0.0, near)
        order = np.argsort((near + far) / 2, kind="stable")
        held = (self.weight * self.count)[order]
        middle = np.floor((self.size - 1) / 2), np.ceil((self.size - 1) / 2)
        picks = [order[_find_row(held, rank)[0]] for rank in middle]
        # Where the two deviations may lie, the median itself being good to the width of a row.
        width = float(np.max(self.last - self.first, where=holds, initial=0.0))
        low, high = min(near[picks]) - width, max(far[picks]) + width
        unsure = (near <= high) & (far >= low) & (near < far) & (self.weight > 0)
        self.wanted.update(self.coarse[unsure].tolist())
        return float(sum(near[picks] + far[picks]) / 4)

    def find_mad_std(self) -> float:
        """Return the standard deviation of the normal distribution with this MAD."""
        return MAD_TO_STD * self.find_mad()

    def clip(self, sigma: float, max_iterations: int) -> Values:
        """Drop values further than `sigma` standard deviations from the median, repeatedly.

        As `astropy.stats.sigma_clip` with its defaults: each time around the median and the
        standard deviation of what is left, until nothing goes or `max_iterations` are done.
        """
        kept = self
        for _ in range(max_iterations):
            if kept.size == 0:
                break
            centre, (_, std) = kept.find_median(), kept.find_mean_std()
            clipped = kept.select(centre - sigma * std, centre + sigma * std)
            if clipped.size == kept.size:
                break
            kept = clipped
        return kept


def _find_row(held: NDArray[np.float64], rank: float) -> tuple[int, float]:
    """Return the row that holds the value of a rank, and how many values there are up to its end.

    Parameters
    ----------
    held
        How many values each row holds, fractions where that is a guess.
    rank
        Counted from 0; one beyond the ends is taken as that of the end.
    """
    reached = np.cumsum(held)
    last = np.searchsorted(reached, reached[-1], side="left")
    index = int(min(np.searchsorted(reached, max(rank, 0.0), side="right"), last))
    return index, float(reached[index])


def view_values(counts: Counts) -> Values:
    """Return the values behind the counts, one row per distinct value or unrefined bin."""
    bins = np.flatnonzero((counts.counts > 0) & ~counts.refined)
    edges = bins.astype(np.uint32) << np.uint32(16)
    first, last = decode_values(edges), decode_values(edges | np.uint32(0xFFFF))
    total, scatter = _sum_bins(counts, bins)
    exact = decode_values(counts.keys)
    number = counts.key_counts.astype(np.float64)
    order = np.argsort(np.concatenate([first, exact]), kind="stable")

    def join(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([one, other])[order]

    return Values(
        first=join(first, exact),
        last=join(last, exact),
        count=join(counts.counts[bins].astype(np.float64), number),
        total=join(total, number * exact),
        scatter=join(scatter, np.zeros_like(exact)),
        coarse=np.concatenate([bins, (counts.keys >> 16).astype(np.intp)])[order],
        weight=np.ones(order.size),
    )


def _sum_bins(
    counts: Counts, bins: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums over some coarse bins of the values, and of their squared deviations.

    The deviations are from the bin's mean. Within a bin a value is linear in its lower 16 bits:
    sign and exponent are the bin's own.
    """
    edges = bins.astype(np.uint32) << np.uint32(16)
    start = decode_values(edges)
    step = (decode_values(edges | np.uint32(0xFFFF)) - start) / 0xFFFF
    number = counts.counts[bins].astype(np.float64)
    low = counts.sums[bins].astype(np.float64)
    squares = counts.squares[bins].astype(np.float64)
    return number * start + step * low, step**2 * (squares - low**2 / number)
