"""The colours of a map: which fluxes are dark, which bright, and how the scale reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phangs_xr.drawing.format_numbers import format_round


@dataclass(frozen=True)
class Stretch:
    """A colour scale: asinh from `low` to `high`, linear up to about `width` above `low`.

    Attributes
    ----------
    low, high
        Values of the darkest and the brightest colour.
    width
        Where linear becomes logarithmic, above `low`.
    """

    low: float
    high: float
    width: float

    @classmethod
    def between(cls, low: float, high: float) -> Stretch:
        """Return a stretch that is linear over the faintest fifteenth."""
        return cls(low, high, (high - low) / 15)

    def apply(self, values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return values as numbers that a linear colour map shows as this stretch."""
        stretched: NDArray[np.floating[Any]] = np.arcsinh((values - self.low) / self.width)
        return stretched

    @property
    def limits(self) -> tuple[float, float]:
        """What `apply` makes of `low` and `high`."""
        return 0.0, float(np.arcsinh((self.high - self.low) / self.width))

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round values for a colour bar: where `apply` puts them, and how they read."""
        largest = max(abs(self.low), abs(self.high), float(np.finfo(np.float32).tiny))
        decades = np.floor(np.log10(largest)) + np.arange(-10, 1)
        steps = np.outer(10.0**decades, [1.0, 2.0, 5.0]).ravel()
        values = np.concatenate([-steps[::-1], [0.0], steps])
        values = values[(values >= self.low) & (values <= self.high)]
        chosen: list[tuple[float, str]] = []
        gap = self.limits[1] / 6
        # Zero first, then the largest: these are what a reader looks for.
        for value in sorted(values, key=lambda value: (value != 0, -abs(value))):
            place = float(self.apply(np.asarray(value)))
            if all(abs(place - other) >= gap for other, _ in chosen):
                chosen.append((place, format_round(float(value))))
        return sorted(chosen)


def choose_stretch(values: NDArray[np.floating[Any]]) -> Stretch:
    """Return a stretch from the faintest to the brightest per cent of an image, NaN left out."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return Stretch(0.0, 1.0, 1.0)
    low, high = (float(value) for value in np.percentile(finite, (1.0, 99.8)))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    return Stretch.between(low, high)
