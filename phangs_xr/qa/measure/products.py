"""What a field has to show: its products and nebula columns, or one line on what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.recipes import BARNES2023, RECIPES, Recipe
from phangs_xr.schema import PRODUCTS


def get_node(field: xr.DataTree, name: str) -> xr.Dataset:
    """Return what a node of a field holds, not read yet if the field is lazy; nothing without."""
    return field.children[name].to_dataset() if name in field.children else xr.Dataset()


def find_product(field: xr.DataTree, name: str) -> xr.DataArray:
    """Return a product's image from its node, not read yet if the field is lazy.

    Raises
    ------
    InputError
        If the field does not have it.
    """
    if not has_product(field, name):
        message = (
            f"{name} ({PRODUCTS[name].long_name}) is needed here, the field does not hold it: "
            f"run the step that makes it"
        )
        raise InputError(message)
    return field[PRODUCTS[name].grid].data_vars[name]


def list_compared(field: xr.DataTree) -> tuple[str, ...]:
    """Return the maps whose nebula fluxes are compared with MUSE's, as the field's recipe says.

    The first is HST's alone; whether they are there is another matter.
    """
    return get_recipe_of(field).compared


def find_plain(field: xr.DataTree) -> xr.DataArray:
    """Return HST's map alone, the first that is compared; errors as of `find_product`."""
    return find_product(field, list_compared(field)[0])


def find_best(field: xr.DataTree) -> str:
    """Return the name of the map to measure on, the last of those there are if it is not made."""
    there = [name for name in list_compared(field) if has_product(field, name)]
    best = get_recipe_of(field).best
    return best if best in there or not there else there[-1]


def get_recipe_of(field: xr.DataTree) -> Recipe:
    """Return the recipe that a field was made by; the first there was if it does not say."""
    return RECIPES.get(str(field.attrs.get("recipe")), BARNES2023)


def has_product(field: xr.DataTree, name: str) -> bool:
    """Tell whether a field holds a product."""
    return name in get_node(field, PRODUCTS[name].grid)


def list_images(field: xr.DataTree) -> dict[str, xr.DataArray]:
    """Return the images in `/hst`, each as one object: a pass reads one object once."""
    return {str(name): image for name, image in get_node(field, "hst").data_vars.items()}


def find_number(field: xr.DataTree, name: str) -> float:
    """Return a number from `/fits`; NaN if its step was not run."""
    return float(get_node(field, "fits").get(name, np.nan))


def find_distance(field: xr.DataTree) -> float | None:
    """Return the distance of a field's galaxy [Mpc], None if its configuration does not say."""
    distance = field.attrs.get("distance")
    return None if distance is None else float(distance)


def list_numbers(field: xr.DataTree) -> dict[str, Any]:
    """Return the numbers in `/fits`: floats, and small arrays."""
    variables = get_node(field, "fits").data_vars.items()
    return {str(name): one.values if one.ndim else float(one) for name, one in variables}


def require_columns(nebulae: xr.Dataset, *names: str) -> None:
    """Refuse nebulae that lack measured columns.

    Raises
    ------
    InputError
        If there is no nebula, or a column is missing.
    """
    missing = [name for name in names if name not in nebulae.variables]
    if missing or nebulae.sizes.get("nebula", 0) == 0:
        found = f"no {', '.join(missing)}" if missing else "no nebula"
        message = (
            f"nebulae with {', '.join(names)} are needed here, found {found}: "
            f"measure them on a field with a nebula mask and the maps"
        )
        raise InputError(message)
