"""How far MUSE's map is shifted against HST's: anchoring means nothing where they do not match.

The smoothed HST map H is brought onto MUSE's grid, where M = a H(p - d) + b is fitted for the
shift d by weighted least squares, from the best whole-pixel shift on. What is smooth over 2" is
taken from both maps first. The uncertainty comes from drawing blocks of the field anew.
"""

from __future__ import annotations

import logging
from math import hypot
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import fft, ndimage

from phangs_xr.lazy import chunk_image, map_tiles
from phangs_xr.sky import Grid, get_grid
from phangs_xr.statistics import MAD_TO_STD
from phangs_xr.steps.regrid_muse import PAD, resample_window

_log = logging.getLogger(__name__)

Image = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHIFT_LIMIT = 0.1
"""Shift [arcsec] above which the maps do not match: more than two HST pixels."""

SEARCH = 3.0
"""How far apart the maps may be to be found [arcsec]."""

SMOOTH_SIGMA = 2.0
"""Structure larger than this is taken out before the maps are compared [arcsec]."""

MISMATCH = 0.1
"""Error of either map relative to its flux, from the PSFs' wings and the line ratios' changes; it
keeps a few bright nebulae from deciding alone."""

BLOCK = 20
"""Side of the blocks drawn for the uncertainty [MUSE pixel]: 4", several times the PSF."""

FEWEST_BLOCKS = 6
RESAMPLES = 500
TILE = 300
"""MUSE pixels along the side of a tile: about 1500 HST pixels."""


def measure_shift(field: xr.DataTree, *, seed: int = 1) -> dict[str, float]:
    """Measure how far MUSE's H-alpha map lies from HST's.

    Parameters
    ----------
    field
        `/hst` with `halpha_smoothed`, `/muse` with `musehalpha`.
    seed
        Of the resampling that gives the uncertainty.

    Returns
    -------
    dict
        - `shift_ra`, `shift_ra_error`, `shift_dec`, `shift_dec_error`: how far east and north a
          nebula lies on MUSE's map of where it lies on HST's [arcsec on the sky];
        - `shift`, `shift_error`: its length;
        - `limit`: the length above which anchoring is meaningless [arcsec];
        - `pixels`, `blocks`: MUSE pixels and blocks of them that the fit used.

        NaN if a map is missing or too little of it is common to tell. A shift above the limit is
        logged as a warning.
    """
    images = [_find(field, "hst", "halpha_smoothed"), _find(field, "muse", "musehalpha")]
    if images[0] is None or images[1] is None:
        return _report(np.full(2, np.nan), np.full((1, 2), np.nan), 0, 0)
    muse = images[1]
    hst = _bring_to_muse(images[0], muse)
    grid = get_grid(muse)
    scale = float(np.sqrt(grid.pixel_area))
    fit = _ShiftFit(hst, muse.values.astype(np.float64), scale)
    shift, blocks = fit.run()
    rng = np.random.default_rng(seed)
    drawn = _resample(blocks, rng)
    return _report(
        _to_sky(shift[None], grid)[0], _to_sky(shift + drawn, grid), fit.pixels, len(blocks)
    )


def _find(field: xr.DataTree, node: str, name: str) -> xr.DataArray | None:
    images = field.children.get(node)
    return images[name] if images is not None and name in images else None


def _bring_to_muse(halpha_smoothed: xr.DataArray, musehalpha: xr.DataArray) -> Image:
    """Sample the smoothed HST map at MUSE's pixel centres, as flux per MUSE pixel."""
    # MUSE's PSF is several times its pixel, so the samples hold all there is.
    factor = get_grid(musehalpha).pixel_area / get_grid(halpha_smoothed).pixel_area
    sampled = map_tiles(
        resample_window,
        chunk_image(halpha_smoothed) if halpha_smoothed.chunks is None else halpha_smoothed,
        chunk_image(musehalpha, TILE),
        pad=PAD,
        order="bilinear",
        factor=factor,
    )
    return sampled.values.astype(np.float64)


def _to_sky(shift: Image, grid: Grid) -> Image:
    """Turn shifts in rows and columns, shape (n, 2), into arcsec east and north."""
    return shift[:, ::-1] @ grid.to_wcs().pixel_scale_matrix.T * 3600


def _report(shift: Image, drawn: Image, pixels: int, blocks: int) -> dict[str, float]:
    east, north = (float(value) for value in shift)
    spread = drawn.std(axis=0)
    length = hypot(east, north)
    along = np.array([east, north]) / length if length > 0 else np.array([1.0, 0.0])
    error = float((drawn @ along).std())
    numbers = {
        "shift_ra": east,
        "shift_ra_error": float(spread[0]),
        "shift_dec": north,
        "shift_dec_error": float(spread[1]),
        "shift": length,
        "shift_error": error,
        "limit": SHIFT_LIMIT,
        "pixels": float(pixels),
        "blocks": float(blocks),
    }
    if length > SHIFT_LIMIT:
        _log.warning(
            "MUSE's map lies %.3f +- %.3f arcsec from HST's (%.3f east, %.3f north), more than "
            "%.1f arcsec: anchoring is meaningless until the images are aligned",
            *(length, error, east, north, SHIFT_LIMIT),
        )
    return numbers
