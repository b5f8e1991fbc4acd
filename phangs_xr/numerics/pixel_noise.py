"""The noise of single pixels, from how they differ from their neighbours where there is sky.

Each pixel less the mean of the four at `DISTANCE` pixels above, below, left and right: slopes
cancel, and the drizzled noise of pixels so far apart is independent, so that the difference has 5/4
of one pixel's variance. Sky is where four others, along the diagonals, are not above the image's
median in the mean: the difference knows nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from phangs_xr.numerics.reductions import Block
from phangs_xr.numerics.statistics import AskDistribution, DistributionState, MadStd, Quantile

Image = NDArray[np.floating]

DISTANCE = 5
"""Of the neighbours [pixel]: twice the reach of the drizzling kernels in use."""

ROWS = 4
"""Every so many rows is looked at, counted from the image's first: enough for a per mille."""

VARIANCE = 1.25
"""Of the difference, in units of a pixel's."""


def differ_from_neighbours(image: Image, sky: float, first: int = 0, step: int = 1) -> Image:
    """Return pixels less the mean of their neighbours, NaN where there is more than sky.

    Parameters
    ----------
    image
        2-D; NaN is missing.
    sky
        Largest mean of those along the diagonals that counts as sky.
    first, step
        Which rows are looked at, counted from the first that has neighbours.

    Returns
    -------
    NDArray
        `DISTANCE` pixels smaller on each side, and without the rows between.
    """
    height = image.shape[0] - 2 * DISTANCE
    above, rows, below = (
        image[first + offset : height + offset : step] for offset in (0, DISTANCE, 2 * DISTANCE)
    )
    left, middle, right = (
        slice(-2 * DISTANCE),
        slice(DISTANCE, -DISTANCE),
        slice(2 * DISTANCE, None),
    )
    mean = above[:, middle] + below[:, middle]
    mean += rows[:, left]
    mean += rows[:, right]
    mean /= 4
    around = above[:, left] + above[:, right]
    around += below[:, left]
    around += below[:, right]
    around /= 4
    with np.errstate(invalid="ignore"):
        return np.where(around <= sky, rows[:, middle] - mean, np.nan)


@dataclass(frozen=True)
class _State:
    sky: DistributionState = field(default_factory=DistributionState)
    noise: DistributionState = field(default_factory=DistributionState)


@dataclass(frozen=True)
class MeasurePixelNoise:
    """Reduce an image, and its weight if there is one, to the noise of a pixel.

    Parameters
    ----------
    weighted
        Whether a second image is the inverse variance that each difference is scaled by; the noise
        is then in units of what the weights say.
    """

    weighted: bool
    depth: int = DISTANCE
    cell: int = 1
    passes: int = 16

    def start(self) -> _State:
        """Begin with nothing known."""
        return _State()

    def look(self, state: _State, block: Block) -> object:
        """Look for the median, then at the differences."""
        first = -block.offset[0] % ROWS
        if state.sky.answers is None:
            return self._ask_sky.look(state.sky, self._wrap(block, block.owned[0][first::ROWS]))
        padded = np.full([side + 2 * DISTANCE for side in block.owned[0].shape], np.nan, np.float32)
        top, left = (DISTANCE - part.start for part in block.core)
        window = block.arrays[0]
        padded[top : top + window.shape[0], left : left + window.shape[1]] = window
        difference = differ_from_neighbours(padded, state.sky.answers["quantile"], first, ROWS)
        if self.weighted:
            weight = block.owned[1][first::ROWS]
            difference *= np.sqrt(np.where(weight > 0, weight, np.nan))
        return self._ask_noise.look(state.noise, self._wrap(block, difference))

    @staticmethod
    def _wrap(block: Block, values: Image) -> Block:
        whole = (slice(None), slice(None))
        return Block((values,), whole, block.offset, block.origin, block.shape)

    def merge(self, one: object, other: object) -> object:
        """Add the counts."""
        return self._ask_sky.merge(one, other)

    def advance(self, state: _State, merged: object) -> _State:
        """First the median, then the noise."""
        if state.sky.answers is None:
            return _State(self._ask_sky.advance(state.sky, merged), state.noise)
        return _State(state.sky, self._ask_noise.advance(state.noise, merged))

    def is_done(self, state: _State) -> bool:
        """Tell whether the noise is known."""
        return state.noise.answers is not None

    def finish(self, state: _State) -> float:
        """Return the noise, NaN if no pixel has neighbours."""
        answers = state.noise.answers or {"mad_std": float("nan")}
        return answers["mad_std"] / sqrt(VARIANCE)

    @property
    def _ask_sky(self) -> AskDistribution:
        return AskDistribution(Quantile(0.5))

    @property
    def _ask_noise(self) -> AskDistribution:
        return AskDistribution(MadStd())
