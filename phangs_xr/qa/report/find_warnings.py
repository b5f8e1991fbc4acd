"""What a reader must know before trusting the maps."""

from __future__ import annotations

import math
from collections.abc import Mapping

import xarray as xr

from phangs_xr.qa.measure.measurements import Numbers
from phangs_xr.qa.measure.products import find_best, has_product, list_numbers
from phangs_xr.recipes import RECIPES, judge_numbers

BIAS_LIMIT = 0.1
"""Distance of the best map's median ratio from 1 above which the page warns."""


def list_warnings(
    field: xr.DataTree,
    nebulae: xr.Dataset | None,
    numbers: Numbers,
    shift: Mapping[str, float] | None,
) -> list[str]:
    """Return what a reader must know before trusting the maps, in sentences.

    Parameters
    ----------
    field, nebulae, numbers, shift
        As for `write_report`.
    """
    if not has_product(field, "musehalpha"):
        return ["This field has no MUSE map: nothing is anchored, and nothing is compared."]
    recipe = RECIPES.get(str(field.attrs.get("recipe")))
    remarks = judge_numbers(recipe.steps, list_numbers(field)) if recipe is not None else []
    warnings = [f"{remark[0].upper()}{remark[1:]}." for remark in remarks]
    length, limit = (shift or {}).get("shift", math.nan), (shift or {}).get("limit", 0.1)
    if not math.isfinite(length):
        warnings.append("The shift between HST and MUSE could not be measured.")
    elif length > limit:
        warnings.append(
            f"HST and MUSE are shifted by {length:.3f}″, more than {limit:g}″: anchoring, pixel by "
            f"pixel, is not to be trusted. Correct the coordinates of one and run again."
        )
    best = find_best(field)
    ratio = numbers.get(best, {}).get("median_ratio", math.nan)
    if abs(ratio - 1) > BIAS_LIMIT:
        warnings.append(
            f"The fluxes of {best} are off: their median ratio to MUSE's is {ratio:.2f}, not 1."
        )
    if not has_product(field, "nebula_mask"):
        warnings.append("This field has no nebula mask: nebulae are not compared.")
    elif nebulae is None or not numbers.get(best, {}).get("n"):
        warnings.append("No nebula is covered by both HST and MUSE: there is nothing to compare.")
    return warnings
