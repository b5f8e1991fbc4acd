"""How near a map comes to the truth, where it is known: nebula fluxes of a simulated galaxy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from astropy.stats import mad_std

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import reduce_images
from phangs_xr.qa.measure.label_sums import SumNebulae
from phangs_xr.qa.measure.nebulae import plan_nebulae
from phangs_xr.qa.measure.products import find_best, get_node
from phangs_xr.sky import require_one_grid

BRIGHT = 3000.0
"""Flux from which ratios are given [1e-20 erg/s/cm²]: below, noise is all they tell."""


@dataclass(frozen=True)
class Nearness:
    """What is said of a map.

    Attributes
    ----------
    product
        The map.
    n
        Nebulae above `BRIGHT` that HST and MUSE cover fully.
    median, scatter
        Of flux over truth of these, the scatter robust [dex]; NaN without any.
    pull, pull_scatter
        Median and robust scatter of (flux - truth) / error of all nebulae that are covered, NaN
        if the map says no error.
    """

    product: str
    n: int
    median: float
    scatter: float
    pull: float
    pull_scatter: float

    def __str__(self) -> str:
        """Return a line for the user."""
        text = (
            f"{self.product} / truth: median {self.median:.3f}, scatter {self.scatter:.3f} dex of "
            f"{self.n} nebulae"
        )
        if np.isfinite(self.pull):
            text += f"; (flux - truth) / error: {self.pull:+.2f} +- {self.pull_scatter:.2f}"
        return text


def compare_truth(field: xr.DataTree, truth: xr.DataArray) -> Nearness:
    """Compare the nebula fluxes of a field's best map with those of the true one.

    Parameters
    ----------
    field
        With `/nebulae` as `measure_nebulae` makes it.
    truth
        True Hα on the HST grid [1e-20 erg/s/cm² per pixel].

    Returns
    -------
    Nearness
        Of the map that the recipe has measured on.

    Raises
    ------
    GridError
        If the truth is on another grid.
    InputError
        If the nebulae are not measured.
    """
    product = find_best(field)
    nebulae = get_node(field, "nebulae")
    if f"flux_{product}" not in nebulae:
        raise InputError(f"expected flux_{product} in /nebulae, found none: run qa first")
    plan = plan_nebulae(field)
    require_one_grid(truth=truth, image=get_node(field, "hst")[product])
    reduction = SumNebulae(plan.reduction.nebulae, plan.reduction.grid, 1)
    if truth.chunks is None:
        truth = truth.chunk()
    sums = reduce_images(reduction, truth).compute()["sums"][:, 0]
    rows = nebulae.set_index(nebula="region_ID").reindex(nebula=plan.ids)
    flux = rows[f"flux_{product}"].values
    whole = (rows["coverage_hst"].values == 1) & (rows["coverage_muse"].values == 1)
    bright = whole & (sums > BRIGHT) & (flux > 0)
    ratio = flux[bright] / sums[bright]
    error = rows.get(f"flux_{product}_err")
    pulls = np.array([np.nan]) if error is None else ((flux - sums) / error.values)[whole]
    return Nearness(
        product,
        ratio.size,
        float(np.median(ratio)) if ratio.size else float("nan"),
        float(mad_std(np.log10(ratio))) if ratio.size else float("nan"),
        float(np.median(pulls)) if pulls.size else float("nan"),
        float(mad_std(pulls)) if pulls.size else float("nan"),
    )
