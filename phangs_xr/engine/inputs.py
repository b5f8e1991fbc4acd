"""The input files of a field: opened lazily, and refused in one line when they cannot be used."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phangs_xr.engine.config import Config, Input
from phangs_xr.engine.tiles import Tile, list_tiles
from phangs_xr.errors import InputError
from phangs_xr.io.cube import open_cube
from phangs_xr.io.fits import list_hdus, read_card
from phangs_xr.photometry.choose_curve import complete_photometry
from phangs_xr.photometry.keywords import PHOTOMETRY
from phangs_xr.schema import GRIDS, SOURCES, GridName
from phangs_xr.sky import find_overlap, get_grid, measure_separation

_FILTER = re.compile(r"(?<![a-z0-9])(f\d{3,4}[a-z]{1,2})(?![a-z0-9])", re.IGNORECASE)
_LOOK_CHUNK = 1000


def open_inputs(config: Config) -> dict[str, xr.DataArray]:
    """Open the input images of a field, without reading their pixels.

    Parameters
    ----------
    config
        Of the field.

    Returns
    -------
    dict
        Images by the names of the inputs, lazily indexed (no dask), with `source` (the file) and
        what the configuration overrides as attributes.

    Raises
    ------
    InputError
        If a file is missing, not FITS, truncated, or has no such image.
    """
    given = config.inputs.given
    images = {
        name: open_input(name, one) for name, one in given.items() if SOURCES[name].kind != "table"
    }
    for name in _list_parts(config):
        parent = SOURCES[name].part_of
        if SOURCES[name].extension in list_hdus(given[parent].path):
            images[name] = open_input(name, Input(path=given[parent].path))
    if "muse" in given:
        redshift = read_card(given["muse"].path, "REDSHIFT")
        if redshift is not None:
            images["muse"] = images["muse"].assign_attrs(redshift=redshift)
    return images


def _list_parts(config: Config) -> list[str]:
    """Return the inputs that are parts of given ones, as far as the recipe takes them."""
    taken = {name for step in config.steps for name in step.sources}
    return [
        name
        for name, source in SOURCES.items()
        if source.part_of in config.inputs.given and name in taken
    ]


def open_input(name: str, one: Input) -> xr.DataArray:
    """Open one input image; see `open_inputs`."""
    hdu = (SOURCES[name].extension or None) if one.hdu is None else one.hdu
    if SOURCES[name].kind == "cube":
        return open_cube(one.path, hdu or "DATA").assign_attrs(**one.overrides)
    dataset = xr.open_dataset(one.path, engine="fits", hdu=hdu, chunks=None, cache=False)
    image: xr.DataArray = dataset["image"].assign_attrs(source=str(one.path), **one.overrides)
    return complete_photometry(image, name) if one.photometry == "curve" else image


def check_inputs(config: Config, images: Mapping[str, xr.DataArray]) -> list[str]:
    """Refuse images that a run could not use, by their headers alone: no pixel is read.

    Parameters
    ----------
    config
        Of the field.
    images
        From `open_inputs`.

    Returns
    -------
    list of str
        What the user should know of them.

    Raises
    ------
    InputError
        With the first thing that is wrong: WCS, what a step of the recipe needs, or overlap.
    """
    for name, image in images.items():
        if "wcs" not in image.coords:
            reason = image.attrs.get("wcs_problem", "it was dropped")
            message = (
                f"{name}: a celestial WCS (CTYPE RA---TAN or the like) is needed, found none in "
                f"{image.attrs['source']} ({reason}): give an image that says where on the sky it "
                f"lies"
            )
            raise InputError(message)
    remarks = [
        f"{name} is calibrated by the {image.attrs['photometry']}, not by its header"
        for name, image in images.items()
        if "photometry" in image.attrs
    ]
    remarks += [
        remark for step in config.steps for remark in step.check(config.get_options(step), images)
    ]
    _check_overlaps(images)
    return remarks


def check_data(images: Mapping[str, xr.DataArray]) -> None:
    """Refuse images without data; each is read up to its first chunk with data.

    Raises
    ------
    InputError
        If an image, other than a mask, holds only NaN and zeros.
    """
    for name, image in images.items():
        if SOURCES[name].kind == "image":
            _check_data(name, image)


def find_references(images: Mapping[str, xr.DataArray]) -> dict[GridName, str]:
    """Return the image whose pixels are those of each grid: the first on it that is given."""
    return {
        grid: next(name for name in SOURCES if name in images and SOURCES[name].grid == grid)
        for grid in GRIDS
        if any(SOURCES[name].grid == grid for name in images)
    }


def digest_inputs(
    config: Config, known: Mapping[str, Any], images: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return what identifies the content of each input file.

    Parameters
    ----------
    config
        Of the field.
    known
        What an earlier run stored; a file of the same size and time of change is not read again.
    images
        Names of the images that were opened.

    Returns
    -------
    dict
        Per input: `path`, `size`, `mtime_ns`, `sha256` and the `digest` of all that matters.
    """
    given = config.inputs.given
    # Hashing does not hold Python's lock.
    with ThreadPoolExecutor() as pool:
        digests = pool.map(
            _digest_input, given, given.values(), [known.get(name, {}) for name in given]
        )
        found = dict(zip(given, digests, strict=True))
    for name in _list_parts(config):
        if name in images:
            parent = found[SOURCES[name].part_of]
            found[name] = {**parent, "digest": f"{parent['digest']} {SOURCES[name].extension}"}
    return found


def name_output(config: Config, images: Mapping[str, xr.DataArray]) -> Path:
    """Return the default directory of a field: `{galaxy}/{cont1}_{cont2}`, in lower case.

    Of a field in an archive it is named as its group.
    """
    if config.output.group is not None:
        return Path(config.output.group)
    bands = ("continuum1", "continuum2")
    continua = [_name_filter(images[name]) for name in bands if name in images]
    return Path(config.galaxy.lower()) / "_".join(continua)


def _check_overlaps(images: Mapping[str, xr.DataArray]) -> None:
    """Refuse images that share no sky with the one they are used with."""
    references = find_references(images)
    for name, image in images.items():
        other = references[SOURCES[name].grid]
        if other == name:
            other = references[GRIDS[0]]
        grid, target = get_grid(image), get_grid(images[other])
        ys, xs = find_overlap(target, grid, 0)
        if ys.start >= ys.stop or xs.start >= xs.stop:
            message = (
                f"{name} should overlap {other} on the sky, found their centres "
                f"{measure_separation(grid, target):.2f} arcmin apart "
                f"({image.attrs['source']} and {images[other].attrs['source']}): "
                f"give images of the same field"
            )
            raise InputError(message)


def _check_data(name: str, image: xr.DataArray) -> None:
    shape = (image.shape[0], image.shape[1])
    # The middle first: it is where a mosaic has its data.
    tiles = sorted(list_tiles(shape, _LOOK_CHUNK), key=lambda tile: _measure_offset(tile, shape))
    for tile in tiles:
        pixels = image.isel(y=tile.ys, x=tile.xs).values
        if (np.isfinite(pixels) & (pixels != 0)).any():
            return
    message = (
        f"{name}: an image with data is needed, found only NaN and zeros in "
        f"{image.attrs['source']}: check that this is the science image"
    )
    raise InputError(message)


def _measure_offset(tile: Tile, shape: tuple[int, int]) -> float:
    distances = [
        abs(part.start + part.stop - size)
        for part, size in zip((tile.ys, tile.xs), shape, strict=True)
    ]
    return float(sum(distances))


def _digest_input(name: str, one: Input, known: Mapping[str, Any]) -> dict[str, Any]:
    if os.path.isdir(one.path):
        raise InputError(f"{name}: expected a file, found a directory at {one.path}: name the file")
    if not os.path.isfile(one.path):  # which, unlike `Path.is_file`, takes any name
        message = f"{name}: expected a file, found none at {one.path}: correct the path"
        raise InputError(message)
    status = one.path.stat()
    found = {"path": str(one.path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    same = all(known.get(key) == value for key, value in found.items())
    content = known["sha256"] if same else _digest_file(one.path)
    meant = [content, one.hdu, {key: one.overrides.get(key) for key in PHOTOMETRY}]
    meant += [given for given in (one.units, one.curve) if given is not None]
    if one.photometry != "header":
        meant.append(one.photometry)
    digest = hashlib.sha256(repr(meant).encode()).hexdigest()[:32]
    return {**found, "sha256": content, "digest": digest}


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name_filter(image: xr.DataArray) -> str:
    """Return a band's filter by its FILTER keywords, else by the file's name."""
    header = image.sky.header()
    for key in ("FILTER", "FILTER1", "FILTER2"):
        value = str(header.get(key, "")).strip().lower()
        if value and not value.startswith("clear"):
            return re.sub(r"[^a-z0-9]+", "-", value)
    stem = Path(image.attrs["source"]).stem.lower()
    found = _FILTER.search(stem)
    return found.group(1) if found else stem
