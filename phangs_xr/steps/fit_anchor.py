"""Anchor the HST map to MUSE by a straight line: smoothed = a · muse + b, all pixels alike.

The least-squares line runs over every pixel that is finite in both images;
fit_anchored = (halpha - b)/a. Its strong negatives are then interpolated: σ is the MAD standard
deviation of the pixels ≤ 0, pixels ≤ -5σ are replaced as in `fill_negatives`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import fsum, sqrt
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import LARGEST, InputError, require_between
from phangs_xr.numerics.holes import HALO, fill_below
from phangs_xr.numerics.lazy import label_number, map_halo, map_pixels, reduce_images
from phangs_xr.numerics.pair_counts import HISTOGRAM_EDGES, count_pairs
from phangs_xr.numerics.reductions import Block
from phangs_xr.numerics.statistics import AskDistribution, DistributionState
from phangs_xr.numerics.value_counts import Numbers, Values
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.schema import FLUX
from phangs_xr.sky import Grid

Image = NDArray[np.floating]

CELL = 100
"""Sums are kept apart by cells of so many pixels a side, so that no chunking changes their bits."""

ROUNDING = 1e-12
"""Share of a sum of squares that rounding may leave of it where nothing varies: what varies by a
millionth of its values leaves more."""

SUMS = ("x", "y", "xx", "xy", "yy", "n")


@dataclass(frozen=True)
class FitAnchor:
    """Options of `fit_anchor`.

    Attributes
    ----------
    negative_sigma
        Pixels this many σ below zero are interpolated.
    """

    negative_sigma: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what is not below zero."""
        require_between("fit_anchor", self, negative_sigma=(0, LARGEST, "standard deviation"))


def sum_cells(x: Image, y: Image) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Return, by cell counted from the first pixel, the sums of `SUMS` over pixels finite in both.

    Parameters
    ----------
    x, y
        2-D images of one shape, beginning at the edge of a cell.
    """
    valid = np.isfinite(x) & np.isfinite(y)
    cells = {}
    for row, column in np.ndindex(-(-x.shape[0] // CELL), -(-x.shape[1] // CELL)):
        place = tuple(slice(start * CELL, (start + 1) * CELL) for start in (row, column))
        present = valid[place]
        if not present.any():
            continue
        one, other = (image[place][present].astype(np.float64) for image in (x, y))
        terms = (one.sum(), other.sum(), one @ one, one @ other, other @ other, one.size)
        cells[row, column] = np.array(terms, dtype=np.float64)
    return cells


def fit_line(cells: Mapping[tuple[int, int], NDArray[np.float64]]) -> Numbers:
    """Return the least-squares line through the sums of all cells.

    Returns
    -------
    dict
        `slope`, `slope_error`, `intercept`, `intercept_error` (errors as if pixels were
        independent), `correlation`, `pixels`.

    Raises
    ------
    InputError
        If fewer than 3 pixels, or MUSE pixels of one value, are finite in both images, or HST does
        not change with MUSE; by what rounding leaves of the sums (`ROUNDING`).
    """
    rows = list(cells.values())
    x, y, xx, xy, yy, n = (fsum(row[i] for row in rows) for i in range(len(SUMS)))
    spread_x = xx - x * x / n if n else 0.0
    if n < 3 or not spread_x > ROUNDING * xx:
        message = (
            f"fit_anchor: a line needs 3 pixels with different MUSE values where HST and MUSE both "
            f"have data, found {int(n)}: check that the images overlap"
        )
        raise InputError(message)
    spread_y, together = yy - y * y / n, xy - x * y / n
    if abs(together) <= ROUNDING * sqrt(xx * yy):
        message = (
            "fit_anchor: a slope is needed to scale HST to MUSE, found 0: check that halpha is not "
            "constant"
        )
        raise InputError(message)
    slope = together / spread_x
    residual = max(spread_y - slope * together, 0.0) / (n - 2)
    return {
        "slope": slope,
        "slope_error": sqrt(residual / spread_x),
        "intercept": (y - slope * x) / n,
        "intercept_error": sqrt(residual * xx / (n * spread_x)),
        "correlation": together / sqrt(spread_x * spread_y) if spread_y > 0 else 0.0,
        "pixels": n,
    }


def apply_line(halpha: Image, *, slope: float, intercept: float) -> Image:
    """Return (halpha - intercept)/slope."""
    return (halpha - intercept) / slope


@dataclass(frozen=True)
class AskNegatives:
    """Ask the distribution of halpha for the MAD standard deviation of what a line makes ≤ 0."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, values: Values) -> Numbers:
        """Return `negative_rms`; 0 where nothing is negative."""
        line = partial(apply_line, slope=self.slope, intercept=self.intercept)
        rms = values.transform(line).select(high=0.0).find_mad_std()
        return {"negative_rms": 0.0 if np.isnan(rms) else rms}


@dataclass(frozen=True)
class _State:
    line: Numbers | None = None
    histogram: NDArray[np.int64] | None = None
    negatives: DistributionState = field(default_factory=DistributionState)


@dataclass(frozen=True)
class ReduceToLine:
    """Reduce smoothed HST, MUSE and unsmoothed HST to the line, the histogram and σ.

    The first pass sums and counts; from these counts and the line the σ of the negatives shows
    nearly, and the next pass settles it.
    """

    depth: int = 0
    cell: int = CELL
    passes: int = 9

    def start(self) -> _State:
        """Begin with nothing known."""
        return _State()

    def look(self, state: _State, block: Block) -> Any:
        """Sum and count, or ask for the negatives."""
        halpha = block.select(2)
        counts = self._ask(state.line).look(state.negatives, halpha)
        if state.line is not None:
            return counts
        smoothed, muse = block.select(0, 1).owned
        row, column = (offset // CELL for offset in block.offset)
        cells = {(row + i, column + j): sums for (i, j), sums in sum_cells(muse, smoothed).items()}
        return cells, count_pairs(muse, smoothed), counts

    def merge(self, one: Any, other: Any) -> Any:
        """Join cells, add counts."""
        if isinstance(one[0], dict):
            return {**one[0], **other[0]}, one[1] + other[1], one[2] + other[2]
        return self._ask(None).merge(one, other)

    def advance(self, state: _State, merged: Any) -> _State:
        """Fit the line, then find its negatives."""
        if state.line is None:
            cells, histogram, merged = merged
            state = _State(fit_line(cells), histogram)
        negatives = self._ask(state.line).advance(state.negatives, merged)
        return _State(state.line, state.histogram, negatives)

    def is_done(self, state: _State) -> bool:
        """Tell whether σ is known."""
        return state.negatives.answers is not None

    def finish(self, state: _State) -> dict[str, Any]:
        """Return the numbers and `anchor_histogram` (rows: smoothed HST, columns: MUSE)."""
        answers = state.negatives.answers or {}
        return {
            **(state.line or {}),
            **answers,
            "histogram_edges": HISTOGRAM_EDGES,
            "anchor_histogram": state.histogram,
        }

    def _ask(self, line: Numbers | None) -> AskDistribution:
        line = line or {"slope": 1.0, "intercept": 0.0}
        # With moments, as `subtract_background` asks for them: halpha is then counted once.
        return AskDistribution(AskNegatives(line["slope"], line["intercept"]), moments=True)


def reduce_to_line(options: FitAnchor, images: Collection[str] = ()) -> ReduceToLine:
    """Return the reduction of `halpha_smoothed`, `musehalpha_regrid`, `halpha` to the fit."""
    return ReduceToLine()


def judge_line(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Say so where the line does not rise."""
    if numbers["slope"] <= 0:
        yield (
            f"smoothed HST falls where MUSE rises (slope {numbers['slope']:.4g}): anchoring is "
            f"meaningless here, check that both images show one line of one field"
        )


def find_halo(options: FitAnchor, grid: Grid) -> int:
    """Return how far a pixel's new value can depend on others [pixel]."""
    return HALO


def fit_anchor(
    halpha: xr.DataArray,
    halpha_smoothed: xr.DataArray,
    musehalpha_regrid: xr.DataArray,
    *,
    measured: Mapping[str, Any] | None = None,
    options: FitAnchor | None = None,
) -> xr.Dataset:
    """Fit smoothed HST against MUSE, and anchor the HST map by the line.

    Parameters
    ----------
    halpha, halpha_smoothed, musehalpha_regrid
        Images on one grid [1e-20 erg/s/cm² per pixel].
    measured
        The numbers of `reduce_to_line`, when known; measured from the whole images if None.
    options
        Which negatives are interpolated; the default if None.

    Returns
    -------
    xr.Dataset
        `fit_anchored`, `fit_anchored_intnegs` [1e-20 erg/s/cm² per pixel], NaN where `halpha` is;
        and the numbers `slope`, `intercept` and `negative_rms`.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another, or too few pixels are finite in both images.
    """
    options = options or FitAnchor()
    images = {
        "halpha_smoothed": halpha_smoothed,
        "musehalpha_regrid": musehalpha_regrid,
        "halpha": halpha,
    }
    require_products(**images)
    if measured is None:
        measured = reduce_images(reduce_to_line(options), *images.values())
    numbers = {
        name: label_number(measured[name], name, units)
        for name, units in (("slope", ""), ("intercept", FLUX), ("negative_rms", FLUX))
    }
    anchored = map_pixels(
        apply_line, halpha, slope=numbers["slope"], intercept=numbers["intercept"]
    )
    threshold = -options.negative_sigma * numbers["negative_rms"]
    filled = map_halo(fill_below, anchored, depth=HALO, threshold=threshold)
    return xr.Dataset(
        {
            "fit_anchored": label_product(anchored, "fit_anchored", "fit_anchor"),
            "fit_anchored_intnegs": label_product(filled, "fit_anchored_intnegs", "fit_anchor"),
            **numbers,
        }
    )
