"""Join HST's sharpness and MUSE's fluxes: the best estimate of both, with its error.

HST's map plus what MUSE weighs in (`weigh_residual`), brought onto HST's pixels. Outside MUSE's
field the map goes on as HST's alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.find_shift import LARGEST_SHIFT
from phangs_xr.numerics.lazy import map_pixels, map_tiles
from phangs_xr.numerics.resampling import SPLINE_PAD, sample_shifted
from phangs_xr.photometry.labels import keep_curve, label_product, require_products
from phangs_xr.sky import get_grid

Image = NDArray[np.floating]

MARGIN = SPLINE_PAD + LARGEST_SHIFT
"""Spaxels needed around those that HST's pixels fall on."""


@dataclass(frozen=True)
class JoinHalpha:
    """Options of `join_halpha`: there are none."""


def add_correction(halpha: Image, correction: Image) -> Image:
    """Return the sum, NaN where HST has no data."""
    return halpha + correction


def reduce_error(error: Image, share: Image, *, area: float) -> Image:
    """Return the error of a single pixel.

    MUSE tells of the few modes that it resolves, a pixel's noise is nearly all in the others: of
    the variance at most the share of MUSE's modes goes.
    """
    return np.asarray(error * np.sqrt(1 - np.clip(share, 0, 1) / area))


def join_halpha(
    halpha_hst: xr.DataArray,
    halpha_hst_err: xr.DataArray,
    joint_correction: xr.DataArray,
    muse_share: xr.DataArray,
    muse_shift: Any,
    *,
    options: JoinHalpha | None = None,
) -> xr.Dataset:
    """Add what MUSE weighs in to HST's map.

    Parameters
    ----------
    halpha_hst, halpha_hst_err
        HST's Hα and its error on one grid [1e-20 erg/s/cm² per HST pixel].
    joint_correction
        On MUSE's grid [1e-20 erg/s/cm² per spaxel].
    muse_share
        On MUSE's grid: how much of the correction's weight MUSE has, 0 to 1.
    muse_shift
        Rows and columns by which MUSE's features lie beyond HST's [spaxel].
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `halpha_joint`, `halpha_joint_err` [1e-20 erg/s/cm² per HST pixel], NaN where HST has no
        data; `muse_coverage`, the share on HST's grid, 0 outside MUSE's field.

    Raises
    ------
    GridError
        If the images of one telescope are not on one grid.
    InputError
        If a unit is another.
    """
    grid = require_products(halpha_hst=halpha_hst, halpha_hst_err=halpha_hst_err)
    require_products(joint_correction=joint_correction, muse_share=muse_share)
    area = get_grid(joint_correction).pixel_area / grid.pixel_area
    move = {"pad": MARGIN, "shift": muse_shift, "fill": 0.0}
    correction = map_tiles(
        sample_shifted, joint_correction, halpha_hst, factor=1 / area, order=3, **move
    )
    share = map_tiles(sample_shifted, muse_share, halpha_hst, factor=1.0, order=1, **move)
    made = {
        "halpha_joint": map_pixels(add_correction, halpha_hst, correction),
        "halpha_joint_err": map_pixels(reduce_error, halpha_hst_err, share, area=area),
        "muse_coverage": share,
    }
    attrs = keep_curve(halpha_hst)
    return xr.Dataset(
        {name: label_product(one, name, "join_halpha", **attrs) for name, one in made.items()}
    )
