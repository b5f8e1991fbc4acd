"""The outlines of nebulae as a region file, which DS9, CARTA, Imviz and `regions` read.

The text is written here: the package `regions`, which the tests read it back with, takes 20 s to
write what takes half a second, and need not be installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from phangs_xr.engine.runner import Runner
from phangs_xr.errors import InputError
from phangs_xr.io.archive import find_directory
from phangs_xr.io.zarr import find_store, open_store
from phangs_xr.qa.measure.label_sums import number_nebulae
from phangs_xr.qa.measure.nebulae import get_nebulae
from phangs_xr.qa.measure.numbers import write_whole
from phangs_xr.qa.measure.products import find_best, find_product, has_product
from phangs_xr.qa.measure.trace_outlines import trace_polygons
from phangs_xr.recipes.step import ERROR
from phangs_xr.schema import FLUX_SCALE
from phangs_xr.sky.grid import get_grid
from phangs_xr.sky.wcs import get_frame

_SYSTEMS = ("icrs", "fk5", "galactic")
"""Frames that region files and astropy call alike, FK5 for J2000; others are turned to ICRS."""

_J2000 = Time("J2000")


def export_regions(
    path: str | Path, out: Path | None = None, runner: Runner | None = None
) -> tuple[Path, int, int]:
    """Write the nebulae of a finished run as polygons on the sky.

    Parameters
    ----------
    path
        DIR of a run, or its store.
    out
        The region file; if None, `{galaxy}_nebulae.reg` beside the store, or here if that is not
        on this machine. Of a field in an archive it is in `{group}` there.
    runner
        Where to measure the nebulae if `qa` has not; threads of this process if None.

    Returns
    -------
    tuple
        The file, how many nebulae are in it, and of how many polygons. A polygon follows the edges
        of the mask's pixels, so it holds the very HST pixels that nebula fluxes are summed of. Its
        text is the region_ID and the flux of the recipe's best map with its error [erg/s/cm²]; its
        tag is the same for all parts of a nebula.

    Raises
    ------
    InputError
        If there is no store, it lacks the nebula mask or the map, or the file cannot be written.
    """
    location = find_store(path)
    field = open_store(location, chunked=False)
    if not has_product(field, "nebula_mask"):
        message = (
            f"{location}: nebula_mask is needed to outline nebulae, found none: give it in "
            f"[inputs] and run again"
        )
        raise InputError(message)
    galaxy = str(field.attrs["galaxy"])
    if out is None:
        out = find_directory(location) / f"{galaxy}_nebulae.reg"
    best, nebulae = find_best(field), get_nebulae(field, find_best(field), runner)
    lines = list(_list_polygons(field, _describe_nebulae(nebulae, f"flux_{best}")))
    # No comment may begin with the word text, which DS9 takes for a region.
    head = (
        "# Region file format: DS9",
        f"# {galaxy}, recipe {field.attrs['recipe']}: nebulae of nebula_mask, along its pixels",
        f"# Named by region_ID, and the flux of {best} with its error",
    )
    try:
        write_whole(out, "\n".join((*head, *lines, "")))
    except OSError as error:
        message = (
            f"{out}: a place for a region file is needed, found that it cannot be written "
            f"({error.strerror}): give another with --out"
        )
        raise InputError(message) from None
    return out, nebulae.sizes["nebula"], len(lines) - 1


def _describe_nebulae(nebulae: xr.Dataset, name: str) -> list[str]:
    """Return ID and flux of each nebula in words, in the order of the IDs."""
    nebulae = nebulae.sortby("region_ID")
    fluxes = nebulae[name].values / FLUX_SCALE
    unknown = np.full(fluxes.size, np.nan)
    known = nebulae.get(f"{name}{ERROR}")
    errors = unknown if known is None else known.values / FLUX_SCALE
    return [
        f"{region}: {_format_flux(float(flux), float(error))}"
        for region, flux, error in zip(nebulae["region_ID"].values, fluxes, errors, strict=True)
    ]


def _format_flux(flux: float, error: float) -> str:
    """Return a flux with its error, ASCII as region files must be."""
    if not np.isfinite(flux):
        return "no flux"
    if not np.isfinite(error):
        return f"{flux:.3e} erg/s/cm2"
    return f"{flux:.3e} +- {error:.1e} erg/s/cm2"


def _find_system(field: xr.DataTree) -> tuple[str, WCS]:
    """Return the system that positions are given in, and the WCS whose raw numbers they begin as.

    HST's and MUSE's raw numbers count as one system where they differ in RADESYS alone, so the
    name is that of the map: there polygons are to lie where fluxes are summed.
    """
    mask, best = (
        get_grid(find_product(field, name)).to_wcs() for name in ("nebula_mask", find_best(field))
    )
    own = best if get_frame(mask) == get_frame(best) else mask
    frame = wcs_to_celestial_frame(own)
    is_known = frame.name in _SYSTEMS and getattr(frame, "equinox", _J2000) == _J2000
    return frame.name if is_known else "icrs", own


def _list_polygons(field: xr.DataTree, texts: list[str]) -> Iterator[str]:
    """Lines of a region file: the system, and a polygon each."""
    mask = find_product(field, "nebula_mask")
    parts = list(trace_polygons(number_nebulae(mask.values)[1]))
    counts = np.bincount([number for number, _ in parts], minlength=len(texts))
    system, wcs = _find_system(field)
    corners = np.concatenate([corners for _, corners in parts])
    places = SkyCoord(
        *get_grid(mask).to_sky(*corners.T), unit=u.deg, frame=wcs_to_celestial_frame(wcs)
    )
    sphere = places.transform_to(system).spherical
    sky = np.stack([sphere.lon.deg, sphere.lat.deg], axis=1)
    ends = np.cumsum([len(corners) for _, corners in parts])
    told = np.zeros(len(texts), int)
    yield system
    for (number, _), line in zip(parts, np.split(sky, ends[:-1]), strict=True):
        told[number] += 1
        text, region = texts[number], texts[number].partition(":")[0]
        if counts[number] > 1:
            text += f" (part {told[number]} of {counts[number]})"
        numbers = ",".join(f"{value:.9f}" for value in line.ravel().tolist())
        yield f"polygon({numbers}) # text={{{text}}} tag={{region_ID {region}}}"
