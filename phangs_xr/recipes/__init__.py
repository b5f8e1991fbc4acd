"""Named sets of steps and options: a recipe is data, one file each.

`step` says what a step declares; the engine reads nothing else of a recipe or a step.
"""

from __future__ import annotations

import difflib

from phangs_xr.errors import InputError
from phangs_xr.recipes.barnes2023 import BARNES2023
from phangs_xr.recipes.step import Step

__all__ = ["BARNES2023", "RECIPES", "Step", "get_recipe"]

RECIPES: dict[str, tuple[Step, ...]] = {"barnes2023": BARNES2023}


def get_recipe(name: str) -> tuple[Step, ...]:
    """Return the steps of a recipe.

    Raises
    ------
    InputError
        If there is no recipe of this name.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "take one of these"
        message = f"recipe should be one of {', '.join(RECIPES)}, found {name!r}: {remedy}"
        raise InputError(message)
    return RECIPES[name]
