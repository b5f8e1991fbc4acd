"""How far HST's map is from MUSE's in their errors, spaxel by spaxel and nebula by nebula."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.qa.measure.nebulae import ErrorModel
from phangs_xr.qa.measure.products import get_node, list_compared

NEEDED = ("muse_minus_hst", "musehalpha", "musehalpha_err")
"""The images on MUSE's grid that pulls of spaxels are made of."""

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Pulls:
    """(HST - MUSE) / error: where errors hold, a Gaussian of width 1 about 0.

    Attributes
    ----------
    spaxels
        On MUSE's grid, at MUSE's resolution; NaN without data.
    nebulae
        By rows of the nebulae's table; NaN for those that are not covered by both, or without
        errors.
    """

    spaxels: xr.DataArray
    nebulae: Values


def measure_pulls(field: xr.DataTree, nebulae: xr.Dataset) -> Pulls | None:
    """Return the pulls of a field's HST map, alone, against MUSE's.

    The error of a spaxel is that of MUSE, that of HST's mean over MUSE's point-spread function,
    with the median noise of HST's pixels, and what of HST's map goes with the flux. Neighbouring
    spaxels share most of HST's noise.

    Parameters
    ----------
    field
        Finished run of a recipe that compares its map with MUSE's; images on MUSE's grid are
        loaded.
    nebulae
        As `measure_nebulae` returns them; may be empty.

    Returns
    -------
    Pulls or None
        None if the field has no such comparison, or MUSE's errors are not known.
    """
    muse = get_node(field, "muse")
    model = ErrorModel.read(field)
    if not set(NEEDED) <= set(muse) or not np.isfinite(model.sigma):
        return None
    difference, flux, error = (muse[name].astype(np.float64) for name in NEEDED)
    hst = model.hst / (4 * pi * model.sigma**2)
    relative = model.calibration**2 + model.relative**2
    pulls = -difference / np.sqrt(error**2 + hst + relative * flux**2)
    spaxels = pulls.astype(np.float32).rename("pull").assign_attrs(units="")
    return Pulls(spaxels, _find_pulls(nebulae, list_compared(field)[0]))


def _find_pulls(nebulae: xr.Dataset, plain: str) -> Values:
    names = (f"flux_{plain}", f"flux_{plain}_err", "flux_muse", "flux_muse_err")
    covers = ("coverage_hst", "coverage_muse")
    if not {*names, *covers} <= set(nebulae.variables):
        return np.full(nebulae.sizes.get("nebula", 0), np.nan)
    flux, error, muse, muse_error = (nebulae[name].values.astype(np.float64) for name in names)
    whole = (nebulae[covers[0]].values == 1) & (nebulae[covers[1]].values == 1)
    both = np.hypot(error, muse_error)
    with np.errstate(divide="ignore", invalid="ignore"):
        pulls = np.where(whole & (both > 0), (flux - muse) / both, np.nan)
    return np.asarray(pulls)


def measure_matched_ratio(field: xr.DataTree, nebulae: xr.Dataset) -> float:
    """Return the median ratio of HST's to MUSE's fluxes of nebulae, both at MUSE's resolution.

    HST's own map has more of a nebula's flux inside its mask than MUSE's, which is less sharp.
    Nebulae that are not covered by both, or not positive in MUSE's map, do not count; NaN if the
    field holds no such comparison.
    """
    muse = get_node(field, "muse")
    covers = {"coverage_hst", "coverage_muse"}
    if not {"muse_minus_hst", "musehalpha", "nebula_mask"} <= set(muse):
        return float("nan")
    if not covers <= set(nebulae.variables):
        return float("nan")
    whole = np.all([nebulae[name].values == 1 for name in covers], axis=0)
    ids = nebulae["region_ID"].values[whole]
    labels = muse["nebula_mask"].values
    difference, flux = (muse[name].values for name in ("muse_minus_hst", "musehalpha"))
    inside = np.isin(labels, ids) & np.isfinite(difference) & np.isfinite(flux)
    if not inside.any():
        return float("nan")
    _, own = np.unique(labels[inside], return_inverse=True)
    lost, total = (np.bincount(own, image[inside]) for image in (difference, flux))
    bright = total > 0
    return float(np.median(1 - lost[bright] / total[bright])) if bright.any() else float("nan")


def find_spread(values: Values) -> tuple[float, float, int]:
    """Return median, robust scatter (1.4826 MAD) and number of the finite ones of some values.

    The first two are NaN of none.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return float("nan"), float("nan"), 0
    middle = float(np.median(finite))
    return middle, float(1.4826 * np.median(np.abs(finite - middle))), finite.size
