"""What a field has to show: its products and nebula columns, or one line on what is missing."""

from __future__ import annotations

import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.schema import PRODUCTS

CLASSES = ("HII_class_v3", "HII_class_v2", "HII_class")
"""Columns of the catalogues that hold a nebula's class, newest first."""


def find_product(field: xr.DataTree, name: str) -> xr.DataArray:
    """Return a product's image from its node, not read yet if the field is lazy.

    Raises
    ------
    InputError
        If the field does not have it.
    """
    node = PRODUCTS[name].grid
    if not has_product(field, name):
        message = (
            f"{name} ({PRODUCTS[name].long_name}) is needed here, the field does not hold it: "
            f"run the step that makes it"
        )
        raise InputError(message)
    return field[node].data_vars[name]


def has_product(field: xr.DataTree, name: str) -> bool:
    """Tell whether a field holds a product."""
    node = PRODUCTS[name].grid
    return node in field.children and name in field[node].data_vars


def list_images(field: xr.DataTree) -> dict[str, xr.DataArray]:
    """Return the images in `/hst`, each as one object: a pass reads one object once."""
    if "hst" not in field.children:
        return {}
    return {str(name): image for name, image in field["hst"].data_vars.items()}


def find_number(field: xr.DataTree, name: str) -> float:
    """Return a number from `/fits`; NaN if its step was not run."""
    if "fits" not in field.children or name not in field["fits"].data_vars:
        return float("nan")
    return float(field["fits"].data_vars[name])


def list_numbers(field: xr.DataTree) -> dict[str, float]:
    """Return the single numbers in `/fits`, and of arrays their length."""
    if "fits" not in field.children:
        return {}
    variables = field["fits"].data_vars.items()
    return {str(name): float(one) if not one.ndim else float(len(one)) for name, one in variables}


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


def find_class_column(nebulae: xr.Dataset) -> str | None:
    """Return the name of the newest class column of the catalogue; None if it has none."""
    return next((name for name in CLASSES if name in nebulae.data_vars), None)
