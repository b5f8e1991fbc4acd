"""Nebula fluxes: HST and anchored HST against MUSE, and their ratio against flux and on the sky."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.grid import get_grid
from phangs_xr.qa.draw import (
    BLACK,
    COLOURS,
    FLUX_UNIT,
    GREY,
    RATIO_MAP,
    arrange,
    frame,
    style,
)
from phangs_xr.qa.planes import Axes, choose_plane, place_on_sky
from phangs_xr.qa.products import find_class_column, find_product, require_columns

NAMES = {
    "halpha": "HST",
    "anchored": "anchored HST",
    "anchored_intnegs": "anchored HST, negatives filled",
    "fit_anchored": "line-anchored HST",
}

FULL = 0.999
"""Covered fraction from which a nebula counts as whole."""

_BINS = 8
_FEWEST = 5
_RATIO_LIMITS = (1 / 3, 3.0)

Column = NDArray[Any]


def tabulate_nebulae(field: xr.DataTree, nebulae: xr.Dataset, product: str, axes: Axes = "offset") -> hv.Dataset:
    """Put what the flux figures draw of every nebula into one table.

    Parameters
    ----------
    field
        With `/hst`, whose grid the offsets are counted in.
    nebulae
        As `measure_nebulae` returns them.
    product
        The anchored map to show beside `halpha`.
    axes
        What the positions are: offsets [arcsec] or pixels.

    Returns
    -------
    hv.Dataset
        One row per nebula. All figures of one report must be drawn from one such table, else a
        selection in one does not reach the others.

    Raises
    ------
    InputError
        If there are no nebulae, or their fluxes were not measured.
    """
    require_columns(nebulae, "flux_muse", "flux_halpha", f"flux_{product}", "ra", "dec")
    plane = choose_plane(get_grid(find_product(field, "halpha")), axes)
    muse = nebulae["flux_muse"].values.astype(np.float64)
    x, y = place_on_sky(plane, nebulae["ra"].values, nebulae["dec"].values)
    columns: dict[str, Column] = {
        "region_ID": nebulae["region_ID"].values,
        "ra": nebulae["ra"].values,
        "dec": nebulae["dec"].values,
        plane.dims[0].name: x,
        plane.dims[1].name: y,
        "muse": muse,
        "error": _find_errors(nebulae),
        "group": classify_nebulae(nebulae),
    }
    for name in ("halpha", product):
        flux = nebulae[f"flux_{name}"].values.astype(np.float64)
        columns[name] = flux
        with np.errstate(divide="ignore", invalid="ignore"):
            columns[f"ratio_{name}"] = np.where(muse != 0, flux / muse, np.nan)
    return hv.Dataset(columns, kdims=["region_ID"], vdims=list(columns)[1:])
