"""The nebulae as one table that several figures share, so that a selection in one shows in all."""

from __future__ import annotations

import math
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.qa.figures.sky_axes import Axes, choose_plane, place_on_sky
from phangs_xr.qa.figures.style import COLOURS, GREY
from phangs_xr.qa.measure.products import find_plain, list_compared, require_columns
from phangs_xr.sky.grid import get_grid

NAMES = {
    "halpha": "HST",
    "anchored": "anchored HST",
    "anchored_intnegs": "anchored HST, negatives filled",
    "fit_anchored": "line-anchored HST",
    "hst_contsub": "HST with [NII]",
    "hst_ha": "HST",
    "halpha_hst": "HST alone",
    "halpha_joint": "joint",
}

CLASSES = ("HII_class_v3", "HII_class_v2", "HII_class")
"""Columns of the catalogues that hold a nebula's class, newest first."""

Column = NDArray[Any]


def tabulate_nebulae(
    field: xr.DataTree, nebulae: xr.Dataset, product: str, axes: Axes = "offset"
) -> hv.Dataset:
    """Put what the flux figures draw of every nebula into one table.

    All figures of one report must be drawn from one such table, a row per nebula, else a selection
    in one does not reach the others. It holds the map of HST alone and `product`, their errors
    where they were measured, and as positions the offsets
    [arcsec] or pixels of HST's grid, as `axes` says.

    Raises
    ------
    InputError
        If there are no nebulae, or their fluxes were not measured.
    """
    plain = list_compared(field)[0]
    require_columns(nebulae, "flux_muse", f"flux_{plain}", f"flux_{product}", "ra", "dec")
    plane = choose_plane(get_grid(find_plain(field)), axes)
    muse = nebulae["flux_muse"].values.astype(np.float64)
    x, y = place_on_sky(plane, nebulae["ra"].values, nebulae["dec"].values)
    unknown = xr.full_like(nebulae["flux_muse"], np.nan)
    columns: dict[str, Column] = {
        **{name: nebulae[name].values for name in ("region_ID", "ra", "dec")},
        plane.dims[0].name: x,
        plane.dims[1].name: y,
        "muse": muse,
        # The catalogue's, of the MUSE flux.
        "error": nebulae.get("HA6562_FLUX_ERR", unknown).values.astype(np.float64),
        "group": classify_nebulae(nebulae),
    }
    colours = choose_colours(columns["group"])
    columns["colour"] = np.array([colours[name] for name in columns["group"]])
    for name in dict.fromkeys((plain, product)):
        flux = nebulae[f"flux_{name}"].values.astype(np.float64)
        columns[name] = flux
        columns[f"error_{name}"] = nebulae.get(f"flux_{name}_err", unknown).values.astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            columns[f"ratio_{name}"] = np.where(muse != 0, flux / muse, np.nan)
    return hv.Dataset(columns, kdims=["region_ID"], vdims=list(columns)[1:])


def classify_nebulae(nebulae: xr.Dataset) -> Column:
    """Return the name of each nebula's group: its catalogue class, or that it is partly covered.

    Without a class column all whole nebulae are one group.
    """
    column = next((name for name in CLASSES if name in nebulae.data_vars), None)
    groups = np.full(nebulae.sizes["nebula"], "nebula", dtype=object)
    if column is not None:
        groups[:] = [_name_class(column, value) for value in nebulae[column].values.tolist()]
    for name in ("coverage_hst", "coverage_muse"):
        if name in nebulae.variables:
            groups[nebulae[name].values != 1] = "partly covered"
    return groups.astype(str)


def _name_class(column: str, value: Any) -> str:
    """Return a class as people read it; catalogues hold numbers, NaN for no row, or text."""
    if isinstance(value, int | float):
        return f"{column} = {value:g}" if math.isfinite(value) else "no class"
    return f"{column} = {str(value).strip()}" if str(value).strip() else "no class"


def choose_colours(groups: Column) -> dict[str, str]:
    """Return a colour per group: classes in their order, grey for what is partly covered."""
    names = [str(name) for name in np.unique(groups) if name != "partly covered"]
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
    return {**colours, "partly covered": GREY} if "partly covered" in groups else colours
