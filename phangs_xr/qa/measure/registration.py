"""How far MUSE's map is shifted against HST's: anchoring means nothing where they do not match.

The smoothed HST map is brought onto MUSE's grid, where the shift is fitted
(`phangs_xr.numerics.find_shift`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from math import hypot
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.engine.runner import Runner
from phangs_xr.engine.tiles import Tile, list_tiles, read_overlap, read_window
from phangs_xr.numerics.find_shift import find_shift, resample_shift
from phangs_xr.numerics.lazy import map_tiles
from phangs_xr.numerics.resampling import PAD, resample_window
from phangs_xr.qa.measure.findings import SHIFT_LIMIT
from phangs_xr.qa.measure.products import find_product, has_product, list_numbers
from phangs_xr.sky import Grid, get_grid

_log = logging.getLogger(__name__)

Image = NDArray[np.floating]


def measure_shift(
    field: xr.DataTree, runner: Runner | None = None, *, seed: int = 1
) -> dict[str, float]:
    """Measure how far MUSE's H-alpha map lies from HST's.

    Parameters
    ----------
    field
        `/hst` with `halpha_smoothed`, `/muse` with `musehalpha`.
    runner
        Where to bring HST's map onto MUSE's grid; threads of this process if None.
    seed
        Of the resampling that gives the uncertainty.

    Returns
    -------
    dict
        - `shift_ra`, `shift_ra_error`, `shift_dec`, `shift_dec_error`: how far east and north a
          nebula lies on MUSE's map of where it lies on HST's [arcsec on the sky];
        - `shift`, `shift_error`: its length;
        - `limit`: the length above which anchoring is meaningless [arcsec];
        - `pixels`, `blocks`: MUSE pixels and blocks of them that the fit used;
        - `taken_out`: True if the run found the shift itself and took it out.

        NaN if a map is missing or too little of it is common to tell. A shift above the limit is
        logged as a warning.
    """
    numbers = list_numbers(field)
    if "muse_shift" in numbers:
        return _report_taken_out(field, numbers)
    if not (has_product(field, "halpha_smoothed") and has_product(field, "musehalpha")):
        return _report(np.full(2, np.nan), np.full((1, 2), np.nan), 0, 0)
    hst, muse = (find_product(field, name) for name in ("halpha_smoothed", "musehalpha"))
    grid = get_grid(muse)
    maps = _crop(_bring_to_muse(hst, muse, runner or Runner()), muse.values.astype(np.float32))
    found = find_shift(*maps, float(np.sqrt(grid.pixel_area)))
    shift = _to_sky(found.shift[None], grid)[0]
    drawn = _to_sky(found.shift + resample_shift(found, seed), grid)
    return _report(shift, drawn, found.pixels, len(found.scores))


def _report_taken_out(field: xr.DataTree, numbers: Mapping[str, Any]) -> dict[str, float]:
    """Return the shift that the run's own fit found."""
    grid = get_grid(find_product(field, "musehalpha"))
    east, north = (float(one) for one in _to_sky(numbers["muse_shift"][None], grid)[0])
    error = float(numbers["muse_shift_error"]) * float(np.sqrt(grid.pixel_area))
    return {
        **{"shift_ra": east, "shift_ra_error": error / np.sqrt(2)},
        **{"shift_dec": north, "shift_dec_error": error / np.sqrt(2)},
        **{"shift": hypot(east, north), "shift_error": error, "limit": SHIFT_LIMIT},
        "taken_out": True,
    }


def _bring_to_muse(hst: xr.DataArray, muse: xr.DataArray, runner: Runner) -> Image:
    """Sample the smoothed HST map at MUSE's pixel centres, as flux per MUSE pixel."""
    ratio = np.sqrt(get_grid(muse).pixel_area / get_grid(hst).pixel_area)
    tiles = list_tiles((muse.shape[0], muse.shape[1]), max(round(runner.chunk / ratio), 1))
    parts = runner.run("measure shift", _sample_tile, (hst, muse), tiles, _join_parts)
    brought = np.empty(muse.shape, dtype=np.float32)
    for tile, part in parts:
        brought[tile.ys, tile.xs] = part
    return brought


def _sample_tile(maps: tuple[xr.DataArray, xr.DataArray], tile: Tile) -> list[tuple[Tile, Image]]:
    hst, muse = maps
    window = read_overlap(hst, get_grid(muse), tile)
    # MUSE's PSF is several times its pixel, so the samples hold all there is.
    factor = get_grid(muse).pixel_area / get_grid(hst).pixel_area
    like = read_window(muse, tile)
    sampled = map_tiles(resample_window, window, like, pad=PAD, order="bilinear", factor=factor)
    return [(tile, sampled.values)]


def _join_parts(results: Sequence[list[tuple[Tile, Image]]]) -> list[tuple[Tile, Image]]:
    return list(chain.from_iterable(results))


def _crop(hst: Image, muse: Image) -> tuple[Image, Image]:
    """Cut out the rectangle in which both images have data."""
    both = np.isfinite(hst) & np.isfinite(muse)
    rows, columns = (np.flatnonzero(both.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return hst[:0, :0], muse[:0, :0]
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return hst[window], muse[window]


def _to_sky(shift: Image, grid: Grid) -> Image:
    """Turn shifts in rows and columns, shape (n, 2), into arcsec east and north."""
    matrix: Image = 3600 * grid.to_wcs().pixel_scale_matrix
    return shift[:, ::-1] @ matrix.T


def _report(shift: Image, drawn: Image, pixels: int, blocks: int) -> dict[str, float]:
    east, north = (float(value) for value in shift)
    spread = drawn.std(axis=0)
    length = hypot(east, north)
    along = np.array([east, north]) / length if length > 0 else np.array([1.0, 0.0])
    error = float((drawn @ along).std())
    numbers: dict[str, float] = {
        "shift_ra": east,
        "shift_ra_error": float(spread[0]),
        "shift_dec": north,
        "shift_dec_error": float(spread[1]),
        "shift": length,
        "shift_error": error,
        "limit": SHIFT_LIMIT,
        "pixels": pixels,
        "blocks": blocks,
    }
    if length > SHIFT_LIMIT:
        _log.warning(
            "MUSE's map lies %.3f +- %.3f arcsec from HST's (%.3f east, %.3f north), more than "
            "%.1f arcsec: anchoring is meaningless until the images are aligned",
            *(length, error, east, north, SHIFT_LIMIT),
        )
    return numbers
