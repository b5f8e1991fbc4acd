"""A window of a product for other tools: FITS files, its error among them, and a picture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from astropy import units as u
from astropy.coordinates import SkyCoord

from phangs_xr.engine.history import read_history
from phangs_xr.errors import InputError
from phangs_xr.io.fits import write_fits
from phangs_xr.io.zarr import find_store, open_store
from phangs_xr.qa.measure.products import (
    find_best,
    find_distance,
    find_product,
    get_node,
    has_product,
    list_numbers,
)
from phangs_xr.recipes.step import ERROR
from phangs_xr.schema import GRIDS, PRODUCTS
from phangs_xr.sky.plot_image import require_distance

DPI = 150
"""Of the picture."""


_PER_AREA = "_as2"
"""End of the names of surface brightnesses, which that of their errors comes before."""


@dataclass(frozen=True)
class Cutout:
    """What was written of a window.

    Attributes
    ----------
    product
        Name of the map.
    shape
        Rows and columns.
    paths
        The files: image, its error if there is one, and picture.
    """

    product: str
    shape: tuple[int, int]
    paths: tuple[Path, ...]


def read_position(text: str) -> SkyCoord:
    """Return a position that is given as text.

    Parameters
    ----------
    text
        Two numbers are degrees; three and three, with spaces or colons, hours and degrees; all else
        as `SkyCoord` reads it: `01h36m41.7s +15d47m01s`, `J013641.7+154701`. ICRS.

    Raises
    ------
    InputError
        If it is none.
    """
    parts = re.split(r"[\s,]+", text.strip(" ,"))
    is_plain = len(parts) == 2 and ":" not in text
    unit = (u.deg, u.deg) if is_plain and not text.startswith("J") else (u.hourangle, u.deg)
    try:
        return SkyCoord(" ".join(parts), unit=unit)
    # Of odd texts astropy raises what its parts happen to.
    except Exception:
        message = (
            f"--at {text!r}: expected a position such as '01h36m41.7s +15d47m01s' or '24.17 15.78' "
            f"(degrees), found neither: correct it"
        )
        raise InputError(message) from None


def export_cutout(
    path: str | Path,
    center: SkyCoord,
    size: float,
    product: str | None = None,
    out: Path | None = None,
    distance: float | None = None,
) -> Cutout:
    """Write a window of a product of a finished run; no chunk beyond it is read.

    Parameters
    ----------
    path
        DIR of a run, or its store.
    center
        Of the window.
    size
        Its side [arcsec]; the window is clipped to the image.
    product
        Name of the map; the recipe's best if None.
    out
        Where to write, without `.fits` and `.png`; `{galaxy}_{product}_{position}` here if None.
    distance
        Of the galaxy [Mpc], for the scale bar of the picture; that of its configuration if None.

    Returns
    -------
    Cutout
        `{out}.fits`, `{out}_err.fits` if the product has an error, and `{out}.png`: each is there
        whole or not at all. FITS files are as those of a run, with the WCS of these pixels.

    Raises
    ------
    InputError
        If there is no store, it lacks the product, the window is wholly outside the image, or the
        files cannot be written.
    """
    require_distance(distance)
    location = find_store(path)
    field = open_store(location, chunked=False)
    name = find_best(field) if product is None else product
    _require_product(field, location, name)
    image = find_product(field, name)
    try:
        window = image.sky.cutout(center, size)
    except InputError as error:
        raise InputError(f"{name} of {location}: {error}") from None
    where = _name_position(center)
    base = out or Path(f"{field.attrs['galaxy']}_{name}_{where}")
    images = {"": name, "_err": _find_error(field, name)}
    paths = [base.with_name(f"{base.name}{end}.fits") for end, one in images.items() if one]
    try:
        for one, target in zip(filter(None, images.values()), paths, strict=True):
            part = find_product(field, one).sky.cutout(center, size)
            history = read_history(field.attrs, list_numbers(field), one)
            labelled = part.assign_attrs(object=str(field.attrs["galaxy"]))
            write_fits(labelled, target, [*history, f"cutout of {one} around {where}"])
        known = find_distance(field) if distance is None else distance
        paths.append(_draw(window, base.with_name(f"{base.name}.png"), known))
    except OSError as error:
        message = (
            f"{base}: a place for files is needed, found that they cannot be written "
            f"({error.strerror}): give another with --out"
        )
        raise InputError(message) from None
    return Cutout(name, window.shape, tuple(paths))


def _find_error(field: xr.DataTree, name: str) -> str:
    """Return the name of a product's error, "" if there is none."""
    stem = name.removesuffix(_PER_AREA)
    error = f"{stem}{ERROR}{name.removeprefix(stem)}"
    return error if error in PRODUCTS and has_product(field, error) else ""


def _require_product(field: xr.DataTree, location: str, name: str) -> None:
    if name in PRODUCTS and PRODUCTS[name].grid in GRIDS and has_product(field, name):
        return
    there = [str(one) for grid in GRIDS for one in get_node(field, grid).data_vars]
    message = (
        f"--map {name}: expected a product of {location}, found none of this name: choose one of "
        f"{', '.join(there)}"
    )
    raise InputError(message)


def _name_position(center: SkyCoord) -> str:
    """Return the name of a position as the IAU has it: J013641.70+154701.0."""
    icrs: Any = center.icrs
    text = (
        icrs.ra.to_string(u.hourangle, sep="", precision=2, pad=True),
        icrs.dec.to_string(u.deg, sep="", precision=1, pad=True, alwayssign=True),
    )
    return f"J{''.join(text)}"


def _draw(window: xr.DataArray, path: Path, distance: float | None) -> Path:
    """Draw a window; the picture is there whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not through pyplot, which may want a screen.
    figure = Figure(figsize=(7, 6))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(projection=window.sky.wcs)
    window.sky.plot(ax=axes, distance=distance)
    partial = path.with_name(f".{path.name}.partial")
    try:
        figure.savefig(partial, format="png", dpi=DPI, bbox_inches="tight")
        return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
