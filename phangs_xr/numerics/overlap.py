"""Bring an image onto another grid by the overlap of the pixels' areas, conserving its flux."""

from __future__ import annotations

import numpy as np
import xarray as xr
from astropy.wcs import WCS
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels, map_tiles
from phangs_xr.sky import Grid, count_reach, get_grid, is_one_grid
from phangs_xr.sky.wcs import get_frame

Image = NDArray[np.floating]

PAD = 1
"""Source pixels needed around those that the target's pixels reach, for the overlaps."""

FULL = 0.999
"""A pixel covered less than this by the other grid's pixels is missing."""


def remove_padding(image: Image) -> Image:
    """Return the image with exact zeros, and infinities, made NaN."""
    return np.where((image == 0) | ~np.isfinite(image), np.nan, image)


def overlap_window(piece: Image, source: Grid, target: Grid, *, factor: float) -> Image:
    """Return the source's flux in the target's pixels, by the overlap of their areas.

    Parameters
    ----------
    piece
        The source's pixels, may be empty; NaN or zero is missing.
    source, target
        The grids of `piece` and of the result.
    factor
        Target's over source's pixel area.

    Returns
    -------
    NDArray
        Shape of `target`; NaN where not fully covered by pixels that are not missing.
    """
    if 0 in piece.shape:
        return np.full(target.shape, np.nan, dtype=piece.dtype)
    projections: list[WCS] = [source.to_wcs(), target.to_wcs()]
    if get_frame(projections[0]) == get_frame(projections[1]):
        # Taken literally, ICRS and FK5 would be half a pixel apart: see `is_one_grid`.
        projections[0].wcs.radesys = projections[1].wcs.radesys
        projections[0].wcs.equinox = projections[1].wcs.equinox
    known = remove_padding(piece)
    from reproject import reproject_exact

    missing = np.isnan(known)
    # NaN would also spread to pixels that it meets in a corner, or by rounding alone.
    pair = np.stack([np.where(missing, 0, known), ~missing])
    (values, valid), covered = reproject_exact(
        (pair, projections[0]), projections[1], shape_out=(2, *target.shape)
    )
    whole = valid * covered[0] >= FULL
    flux: Image = np.full_like(values, np.nan)
    np.divide(values * factor, valid, out=flux, where=whole)
    return flux


def align_image(image: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Bring an image onto the grid of another, conserving its flux.

    Parameters
    ----------
    image
        Whatever it counts, per pixel of its own grid; zeros and NaN are missing.
    like
        An image on the target grid; its pixels are not read.

    Returns
    -------
    xr.DataArray
        Float32, per pixel of the target grid, padding made NaN. Pixels are taken as they are if
        both grids are one.
    """
    target, source = get_grid(like), get_grid(image)
    if is_one_grid(target, source):
        return map_pixels(remove_padding, image, dtype=np.float32).assign_coords(like.coords)
    factor = target.pixel_area / source.pixel_area
    pad = PAD + count_reach(target, source)
    return map_tiles(overlap_window, image.astype(np.float32), like, pad=pad, factor=factor)
