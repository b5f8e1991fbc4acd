"""How far each HST map can be trusted, in numbers: nebula fluxes against MUSE's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.qa.measure.nebulae import STEP
from phangs_xr.recipes.step import ERROR

Values = NDArray[np.float64]

RESAMPLES = 300
"""How often nebulae are drawn anew for the uncertainties: they are then good to 4 %."""

FEWEST = 5
"""Nebulae below which no number is given."""

FIRST, ALL = 6, 40
"""Iterations of the robust fit with Huber's weights, and at most in all."""

CONVERGED = 1e-6
"""Change of slope and level below which the robust fit is done."""

HUBER, BISQUARE = 1.345, 4.685
"""Standard deviations beyond which points lose weight, by the usual 95 % efficiency."""


def compare_fluxes(nebulae: xr.Dataset, *, seed: int = 1) -> dict[str, dict[str, float]]:
    """Compare each HST product's nebula fluxes with MUSE's.

    Only nebulae that HST and MUSE cover fully count, and of these the ones with a positive MUSE
    flux.

    Parameters
    ----------
    nebulae
        From `measure_nebulae`.
    seed
        Of the resampling that gives the uncertainties.

    Returns
    -------
    dict
        By product (`halpha`, `anchored`, ...):

        - `n`: nebulae that count;
        - `median_ratio`, `median_ratio_error`: of HST over MUSE flux, negative ones included;
        - `scatter`, `scatter_error`: half the distance from the 16th to the 84th percentile of
          log10 of the ratio, over positive fluxes [dex];
        - `slope`, `slope_error`, `intercept`, `intercept_error`: of the robust line
          log10 HST = slope log10 MUSE + intercept, fluxes in 1e-20 erg/s/cm², over positive ones;
        - `within_10_percent`, `within_factor_3`: share of the `n` with such a ratio (0 to 1);
        - `negative`: HST fluxes that are not positive.

        NaN where fewer than 5 nebulae can tell. Errors are standard deviations over resampled
        nebulae.

    Raises
    ------
    InputError
        If a variable of `measure_nebulae` is missing.
    """
    for name in ("flux_muse", "coverage_hst", "coverage_muse"):
        if name not in nebulae:
            raise InputError(
                f"expected {name} among the nebulae, found {', '.join(map(str, nebulae))}: "
                f"measure them with measure_nebulae"
            )
    muse = nebulae["flux_muse"].values
    whole = (nebulae["coverage_hst"].values == 1) & (nebulae["coverage_muse"].values == 1)
    numbers = {}
    for name in list_fluxes(nebulae):
        hst = nebulae[name].values
        counted = whole & np.isfinite(hst) & (muse > 0)
        numbers[name.removeprefix("flux_")] = compare_pairs(hst[counted], muse[counted], seed=seed)
    return numbers


def list_fluxes(nebulae: xr.Dataset) -> list[str]:
    """Return the names of the HST fluxes that `measure_nebulae` found, without their errors."""
    return [
        name
        for name in map(str, nebulae.data_vars)
        if name.startswith("flux_") and name != "flux_muse" and not name.endswith(ERROR)
        if nebulae[name].attrs.get("step", STEP) == STEP
    ]


def compare_pairs(hst: Values, muse: Values, *, seed: int = 1) -> dict[str, float]:
    """Return the numbers of `compare_fluxes` for pairs of fluxes.

    They are finite and in one unit, shape (n,), MUSE's positive; `seed` is that of the resampling.
    """
    ratio = hst / muse
    numbers: dict[str, float] = {
        "n": ratio.size,
        "within_10_percent": _share(np.abs(ratio - 1) <= 0.1),
        "within_factor_3": _share((ratio > 1 / 3) & (ratio < 3)),
        "negative": int(np.count_nonzero(hst <= 0)),
    }
    found, drawn = _summarise(hst, muse, np.random.default_rng(seed))
    for name, value in found.items():
        numbers |= {name: value, f"{name}_error": _spread(drawn[name])}
    return numbers


def _share(chosen: NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if chosen.size else float("nan")


def _spread(values: Values) -> float:
    """Return the standard deviation of resampled numbers, NaN if most of them are NaN."""
    finite = values[np.isfinite(values)]
    enough = finite.size > 1 and finite.size > values.size / 2
    return float(finite.std(ddof=1)) if enough else float("nan")


def _summarise(
    hst: Values, muse: Values, rng: np.random.Generator
) -> tuple[dict[str, float], dict[str, Values]]:
    """Median ratio, scatter and line, and what they are for nebulae drawn anew, RESAMPLES each."""
    names = ("median_ratio", "scatter", "slope", "intercept")
    found = dict.fromkeys(names, float("nan"))
    drawn = {name: np.full(RESAMPLES, np.nan) for name in names}
    if hst.size >= FEWEST:
        ratio = hst / muse
        found["median_ratio"] = float(np.median(ratio))
        picked = rng.integers(0, hst.size, (RESAMPLES, hst.size))
        drawn["median_ratio"] = np.median(ratio[picked], axis=1)
    positive = hst > 0
    number = np.count_nonzero(positive)
    if number >= FEWEST:
        y, x = np.log10(hst[positive]), np.log10(muse[positive])
        first, last = np.percentile(y - x, [16, 84])
        found["scatter"] = float(last - first) / 2
        line = found["slope"], found["intercept"] = fit_robust_line(x, y)
        if np.isfinite(line).all():
            picked = rng.integers(0, number, (RESAMPLES, number))
            firsts, lasts = np.percentile((y - x)[picked], [16, 84], axis=1)
            drawn["scatter"] = (lasts - firsts) / 2
            counts = np.stack([np.bincount(row, minlength=number) for row in picked])
            drawn["slope"], drawn["intercept"] = refit_lines(x, y, counts, line)
    return found, drawn


def refit_lines(
    x: Values, y: Values, counts: NDArray[np.integer], line: tuple[float, float]
) -> tuple[Values, Values]:
    """Return the robust lines through resampled points without iterating for each.

    The fast bootstrap of Salibian-Barrera & Zamar (2002, Ann. Stat. 30, 556): one weighted fit with
    the weights of the line through all points, corrected for how these would have changed. The
    scale of the residuals is taken as known.

    Of the points `x`, `y` each of m resamples holds `counts`, shape (m, n); `line` is slope and
    intercept through all points. Slopes and intercepts are NaN where a resample allows no line.
    """
    centre = x.mean()
    x = x - centre
    best = np.array([line[1] + line[0] * centre, line[0]])
    distance = _measure_distance(x, y, best[1], best[0])
    inside = np.maximum(1 - (distance / BISQUARE) ** 2, 0)
    weights = inside**2
    steepness = inside * (1 - 5 * (distance / BISQUARE) ** 2)
    points = np.stack([np.ones_like(x), x])
    # The pseudo-inverse, as points may balance so that they tell nothing of the weights' change.
    inverse = np.linalg.pinv((points * steepness) @ points.T)
    correction = inverse @ (points * weights) @ points.T
    terms = np.stack([weights, weights * x, weights * x**2, weights * y, weights * x * y])
    total, first, second, level, slope = terms @ counts.T.astype(np.float64)
    spread = total * second - first**2
    # Points drawn at one place allow no line.
    allowed = spread > _NARROWEST * total * second
    spread, total = np.where(allowed, spread, 1.0), np.where(allowed, total, 1.0)
    slopes = (total * slope - first * level) / spread
    levels = (level - slopes * first) / total
    moved = best[:, None] + correction @ (np.stack([levels, slopes]) - best[:, None])
    moved = np.where(allowed, moved, np.nan)
    return moved[1], moved[0] - moved[1] * centre


_NARROWEST = 1e-9
"""Relative spread of resampled points along x below which they count as one place."""


def fit_robust_line(x: Values, y: Values) -> tuple[float, float]:
    """Fit y = slope x + intercept so that outliers in y do not matter.

    Iterated weighted least squares: Huber's weights, which have one solution, lead to Tukey's
    bisquare, which leaves gross outliers out. The scale is that of the median absolute residual.

    Values must be finite; slope and intercept are NaN if all x are one value.
    """
    if x.size < 2 or np.ptp(x) == 0:
        return float("nan"), float("nan")
    centre = x.mean()
    x = x - centre
    slope, level = _fit_weighted(x, y, np.ones_like(x))
    for iteration in range(ALL):
        distance = _measure_distance(x, y, slope, level)
        if iteration < FIRST:
            weights = HUBER / np.maximum(distance, HUBER)
        else:
            weights = np.maximum(1 - (distance / BISQUARE) ** 2, 0) ** 2
        before = slope, level
        slope, level = _fit_weighted(x, y, weights)
        change = max(abs(slope - before[0]), abs(level - before[1]))
        if iteration >= FIRST and change < CONVERGED:
            break
    return float(slope), float(level - slope * centre)


def _measure_distance(x: Values, y: Values, slope: float, level: float) -> Values:
    """Return residuals in units of their robust standard deviation."""
    residual = np.abs(y - slope * x - level)
    # On an exact line every point counts in full, whatever rounding leaves.
    floor = 1e-12 * max(np.abs(y).max(), 1.0)
    distance: Values = residual / max(1.4826 * np.median(residual), floor)
    return distance


def _fit_weighted(x: Values, y: Values, weights: Values) -> tuple[float, float]:
    total = weights.sum()
    mean_x, mean_y = (weights @ x) / total, (weights @ y) / total
    spread = weights @ (x - mean_x) ** 2
    slope = (weights @ ((x - mean_x) * (y - mean_y))) / spread if spread > 0 else 0.0
    return float(slope), float(mean_y - slope * mean_x)


def write_numbers(numbers: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write numbers as JSON, null for those that are not finite.

    Numbers are nested by name; the file is replaced as a whole, and returned.
    """
    text = json.dumps(clean_numbers(numbers), indent=2, allow_nan=False)
    return write_whole(Path(path), f"{text}\n")


def write_whole(path: Path, text: str) -> Path:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    return partial.replace(path)


def clean_numbers(value: Any) -> Any:
    """Turn what holds numbers into what JSON can say."""
    if isinstance(value, Mapping):
        return {str(name): clean_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [clean_numbers(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
