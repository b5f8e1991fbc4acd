"""Straight lines through the medians of bins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def drop_extremes(x: Values, y: Values) -> tuple[Values, Values]:
    """Return the values without those of the smallest and the largest x."""
    kept = (x > x.min(initial=np.inf)) & (x < x.max(initial=-np.inf))
    return x[kept], y[kept]


def edge_by_number(x: Values, bins: int) -> Values:
    """Return the edges of bins that hold equal numbers of values: percentiles."""
    return np.asarray(np.percentile(x, np.linspace(0, 100, bins + 1)))


def edge_by_width(x: Values, bins: int) -> Values:
    """Return the edges of bins of equal width from the smallest to the largest value."""
    return np.linspace(x.min(), x.max(), bins + 1)


def find_medians(x: Values, y: Values, edges: Values) -> Values:
    """Return the medians of both coordinates in each bin of x, both edges inclusive.

    Parameters
    ----------
    x, y
        Finite, shape (n,).
    edges
        Rising, shape (bins + 1,).

    Returns
    -------
    NDArray
        Shape (bins, 2); NaN for an empty bin.
    """
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    points = np.full((edges.size - 1, 2), np.nan)
    for row, (low, high) in enumerate(pairwise(edges)):
        start, stop = np.searchsorted(x, low, "left"), np.searchsorted(x, high, "right")
        if stop > start:
            points[row] = np.median(x[start:stop]), np.median(y[start:stop])
    return points


def fit_points(points: Values) -> tuple[float, float]:
    """Return slope and intercept of the unweighted least-squares line through points.

    Parameters
    ----------
    points
        Shape (n, 2); rows with NaN do not count.

    Returns
    -------
    tuple of float
        NaN where fewer than two points differ in x.
    """
    known = points[np.isfinite(points).all(axis=1)]
    if len(known) < 2 or np.ptp(known[:, 0]) == 0:
        return float("nan"), float("nan")
    centre = known[:, 0].mean()
    x, y = known[:, 0] - centre, known[:, 1]
    slope = float(x @ y / (x @ x))
    return slope, float(y.mean() - slope * centre)
