"""Named sets of steps and options: a recipe is data, one file each.

`step` says what a step and a recipe declare, `declare_steps` declares every step. The engine knows
of a recipe no more than this; nothing here touches a pixel or a file.
"""

from __future__ import annotations

import difflib

from phangs_xr.errors import InputError
from phangs_xr.recipes.barnes2023 import BARNES2023
from phangs_xr.recipes.chandar2025 import CHANDAR2025
from phangs_xr.recipes.default import DEFAULT
from phangs_xr.recipes.step import Recipe, Step, judge_numbers

__all__ = [
    "BARNES2023",
    "CHANDAR2025",
    "DEFAULT",
    "RECIPES",
    "Recipe",
    "Step",
    "get_recipe",
    "judge_numbers",
]

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (DEFAULT, BARNES2023, CHANDAR2025)}


def get_recipe(name: str) -> Recipe:
    """Return a recipe.

    Raises
    ------
    InputError
        If there is no recipe of this name.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "choose one of these"
        message = f"recipe should be one of {', '.join(RECIPES)}, found {name!r}: {remedy}"
        raise InputError(message)
    return RECIPES[name]
