"""A step, a recipe and products on a new grid, added as README says, and a run with them.

`python -m tests.engine.add_grid CONFIG OUT`: a process of its own, for what is added stays.
"""

import sys
from dataclasses import dataclass

import xarray as xr

from phangs_xr import schema

schema.GRIDS = (*schema.GRIDS, "alma")
schema.SOURCES["alma"] = schema.Source("alma", "alma", "A map of CO")
for product in (
    schema.Product("co", "alma", "K km s-1", "CO as it is", ""),
    schema.Product("narrow_on_alma", "alma", schema.COUNTS, "Narrow band on the grid of CO", ""),
):
    schema.PRODUCTS[product.name] = product

# What is added must be there before any room reads the vocabulary.
from phangs_xr import recipes  # noqa: E402
from phangs_xr.numerics.lazy import map_pixels, map_tiles  # noqa: E402
from phangs_xr.numerics.resampling import PAD, resample_window  # noqa: E402
from phangs_xr.photometry.labels import label_product  # noqa: E402
from phangs_xr.recipes import declare_steps  # noqa: E402
from phangs_xr.recipes.step import Recipe, Step  # noqa: E402


@dataclass(frozen=True)
class Nothing:
    """No options."""


def load_alma(alma: xr.DataArray, *, options: Nothing | None = None) -> xr.Dataset:
    """Take a map as it is."""
    plain = map_pixels(lambda image: image + 0, alma)
    return xr.Dataset({"co": label_product(plain, "co", "load_alma")})


def see_alma(
    co: xr.DataArray, narrow: xr.DataArray, *, options: Nothing | None = None
) -> xr.Dataset:
    """Bring HST's narrow band onto the grid of the map, where that has data."""
    seen = map_tiles(resample_window, narrow, co, pad=PAD, order="bilinear", factor=1.0)
    return xr.Dataset({"narrow_on_alma": label_product(seen, "narrow_on_alma", "see_alma")})


TRIED = Recipe(
    name="tried",
    title="Narrow band on a third grid",
    steps=(
        declare_steps.LOAD,
        Step(load_alma, Nothing, ("co",), grid="alma", sources=("alma",)),
        Step(see_alma, Nothing, ("narrow_on_alma",), grid="alma"),
    ),
    fits=("co", "narrow_on_alma"),
    compared=("narrow",),
    best="narrow",
)
recipes.RECIPES[TRIED.name] = TRIED


if __name__ == "__main__":
    import phangs_xr

    phangs_xr.run(sys.argv[1], sys.argv[2], chunk=100)
    tree = phangs_xr.open_store(sys.argv[2])
    print(*sorted(f"{node.path}/{name}" for node in tree.subtree for name in node.data_vars))
    # A run that finds all done does nothing again.
    phangs_xr.run(
        sys.argv[1], sys.argv[2], chunk=100, on_start=lambda title, _: sys.exit(f"again: {title}")
    )
