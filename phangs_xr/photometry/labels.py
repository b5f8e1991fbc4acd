"""What a product says of itself: its name, unit and sentence, and the check that it is one."""

from __future__ import annotations

from typing import Any

import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.photometry.keywords import find_keyword
from phangs_xr.photometry.units import normalise_units
from phangs_xr.schema import COUNT_RATES, COUNTS, PRODUCTS
from phangs_xr.sky import Grid, require_one_grid


def label_product(image: xr.DataArray, name: str, step: str, **extra: Any) -> xr.DataArray:
    """Return the image under a product's name, with its unit, sentence and the step that made it.

    Parameters
    ----------
    image
        Whatever a kernel made; its attributes are replaced.
    name
        A name of `phangs_xr.schema.PRODUCTS`.
    step
        The step that made it.
    **extra
        Further attributes that hold for the product; `units` where it has another of
        `phangs_xr.schema.COUNT_RATES`.
    """
    product = PRODUCTS[name]
    attrs = {"units": product.units, "long_name": product.long_name, "step": step, **extra}
    return image.rename(name).assign_attrs(attrs)


def keep_curve(image: xr.DataArray) -> dict[str, Any]:
    """Return the attributes that say which filter an image was taken through.

    They are `curve`, `pivot` [Å] and `rectangular_width` [Å], as far as there are such.
    """
    kept = ("curve", "pivot", "rectangular_width")
    return {name: image.attrs[name] for name in kept if name in image.attrs}


def require_units(image: xr.DataArray, name: str, file: str = "") -> None:
    """Refuse an image whose unit is not that of the product it is given as.

    Parameters
    ----------
    image
        With the attribute `units`; any rate of counts will do for a product in counts.
    name
        Of the product.
    file
        Name of the input in the configuration, the product's if "".

    Raises
    ------
    InputError
        If the `units` attribute differs from the product's.
    """
    expected, found = PRODUCTS[name].units, image.attrs.get("units")
    if found == expected or (expected == COUNTS and found in COUNT_RATES):
        return
    source, file = image.attrs.get("source"), file or name
    if source is None:
        remedy = "convert the image and set attrs['units'], or pass the right one"
    else:
        words = str(find_keyword(image, "bunit") or "")
        if found == normalise_units(words):
            # The file's own words say more than what was, or was not, made of them.
            found = words
        remedy = (
            f"if the pixels are such, say so in the configuration: [inputs] {file} = "
            f'{{ path = "...", units = "{expected.replace(" / ", "/")}" }}'
        )
    where = f" in {source}" if source else ""
    raise InputError(f"{name} should have units {expected!r}, found {found!r}{where}: {remedy}")


def require_products(**images: xr.DataArray) -> Grid:
    """Refuse images that are not on one grid, or not in the units of the products they stand for.

    Parameters
    ----------
    **images
        By the names of products.

    Returns
    -------
    Grid
        The grid of all of them.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit differs from the product's.
    """
    grid = require_one_grid(**images)
    for name, image in images.items():
        require_units(image, name)
    return grid
