"""A field ready to run: its images opened and checked, its plan made. Nothing is written here."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import lcm
from pathlib import Path
from typing import Any

import xarray as xr

from phangs_xr.engine.config import Config, find_option, find_resolution, load_config
from phangs_xr.engine.dependencies import describe_hole, order_steps
from phangs_xr.engine.history import TakenStep, format_history, list_upstream
from phangs_xr.engine.inputs import (
    check_data,
    check_inputs,
    digest_inputs,
    find_references,
    name_output,
    open_inputs,
)
from phangs_xr.engine.plan import Plan, PlannedStep, make_plan
from phangs_xr.engine.stages import (
    choose_side,
    find_cells,
    find_passes,
    list_measurements,
    list_stages,
)
from phangs_xr.engine.tiles import list_tiles
from phangs_xr.errors import InputError
from phangs_xr.io.archive import require_own_group
from phangs_xr.io.tables import read_catalogue
from phangs_xr.io.zarr import FieldStore
from phangs_xr.numerics.lazy import chunk_image
from phangs_xr.schema import PRODUCTS, GridName
from phangs_xr.sky.grid import Grid, get_grid

VERSION = version("phangs_xr")

LONGEST_NAME = 255
"""Bytes of a name in a directory."""


@dataclass(frozen=True)
class Field:
    """A field ready to run: its images opened and checked, where it goes, and the plan.

    Attributes
    ----------
    config
        Its configuration.
    images
        Its input images, lazily indexed.
    inputs
        Per input file, what identifies its content.
    out
        The directory of its FITS files and tables.
    store
        Its Zarr store.
    plan
        What is done and what is to do.
    catalogue
        The nebula catalogue's rows of this galaxy, None without one.
    remarks
        What the user should know of the inputs.
    """

    config: Config
    images: Mapping[str, xr.DataArray]
    inputs: Mapping[str, Mapping[str, Any]]
    out: Path
    store: FieldStore
    plan: Plan
    catalogue: xr.Dataset | None = None
    remarks: Sequence[str] = ()

    @property
    def fits_names(self) -> tuple[str, ...]:
        """The products that become FITS files."""
        made = {name for one in self.plan.steps for name in one.outputs}
        return tuple(name for name in self.config.fits_names if name in made)

    @property
    def grids(self) -> dict[GridName, Grid]:
        """The grids of its images by their node, as far as there are such."""
        references = find_references(self.images)
        return {grid: get_grid(self.images[name]) for grid, name in references.items()}

    def get_path(self, product: str) -> Path:
        """Return where a product's FITS file goes."""
        return self.out / f"{self.config.galaxy}_{product}.fits"

    def describe_left_out(self) -> list[tuple[str, str]]:
        """Return the steps that cannot be taken, each with why."""
        return [(name, describe_hole(hole)) for name, hole in self.plan.holes.items() if hole]

    def list_history(
        self, one: PlannedStep, measured: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Return the HISTORY of a step's products: every step before it, options and numbers.

        Parameters
        ----------
        one
            The step.
        measured
            Numbers that are not in the store yet.
        """
        taken = [
            TakenStep(two.step, two.inputs, asdict(two.options), two.numbers)
            for two in self.plan.steps
        ]
        steps = list_upstream(taken, one.name)
        names = [name for two in steps for name in two.numbers]
        numbers = {**self.store.read_numbers(names), **(measured or {})}
        return format_history(VERSION, self.config.recipe, steps, numbers)

    def describe_resolution(self, product: str) -> dict[str, float]:
        """Return the attribute `fwhm` of a product [arcsec], nothing where it is not known."""
        whose = PRODUCTS[product].resolution
        if not whose:
            return {}
        fwhm = find_option(self.config, f"{whose}_fwhm")
        if fwhm is None and whose == "muse" and "muse" in self.config.inputs.given:
            fwhm = find_resolution(self.config.inputs.given["muse"].path)
        return {} if fwhm is None else {"fwhm": float(fwhm)}


def prepare_field(
    config: Config | str | Path, out: str | Path | None = None, force: Collection[str] = ()
) -> Field:
    """Open and check a field's inputs, and plan its run. Nothing is written.

    Parameters
    ----------
    config
        A configuration, or the path of one.
    out
        The directory to write to; `{galaxy}/{cont1}_{cont2}` in the working directory if None.
    force
        Steps to take again, with all that depends on them.

    Raises
    ------
    InputError
        If anything the user gave cannot be used.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    known = [step.name for step in config.steps]
    for name in force:
        if name not in known:
            message = f"--force {name}: the recipe's steps are {', '.join(known)}"
            raise InputError(message)
    images = open_inputs(config)
    remarks = check_inputs(config, images)
    check_data(images)
    directory = Path(out) if out is not None else name_output(config, images)
    directory = directory.absolute()
    store = FieldStore(config.output.location or str(directory / f"{config.galaxy}.zarr"))
    _require_directory(directory, "give another with --out")
    if "://" not in store.location:
        _require_directory(Path(store.location), "give another with [output] store")
    attrs = store.read_attrs()
    _check_owner(config, store, attrs)
    require_own_group(store.location)
    inputs = digest_inputs(config, attrs.get("inputs", {}), images)
    digests = {name: one["digest"] for name, one in inputs.items()}
    plan = make_plan(config, digests, attrs.get("records", {}), store.has_image, force, VERSION)
    return Field(config, images, inputs, directory, store, plan, _read_catalogue(config), remarks)


def _read_catalogue(config: Config) -> xr.Dataset | None:
    given = config.inputs.given.get("nebula_catalogue")
    if given is None:
        return None
    return read_catalogue(given.path, config.galaxy, hdu=given.hdu)


def open_field(config: Config | str | Path) -> xr.DataTree:
    """Open a field's inputs as labelled, lazy images on two grids.

    Parameters
    ----------
    config
        A configuration, or the path of one.

    Returns
    -------
    xr.DataTree
        `/hst` holds `narrow`, `continuum1` and `continuum2` on the narrow band's grid [electron/s],
        padding made NaN; `/muse` holds `musehalpha` [1e-20 erg/s/cm² per pixel], `nebula_mask` and
        `star_mask` as far as given; `/nebulae` the catalogue's rows of this galaxy. Nothing is
        computed.

    Raises
    ------
    InputError
        If an input cannot be used.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    images = {name: chunk_image(image) for name, image in open_inputs(config).items()}
    check_inputs(config, images)
    nodes: dict[str, xr.Dataset] = {}
    made: dict[str, xr.DataArray] = {}
    for step in order_steps(config.steps):
        sources = {name: images[name] for name in step.sources if name in images}
        given = {name: made[name] for name in step.needs if name in made} | sources
        lacking = {name for name, optional in step.inputs.items() if not optional} - set(given)
        if not sources or lacking:
            continue
        loaded = step.function(**given, options=config.get_options(step))
        made |= {name: loaded[name] for name in step.outputs if name in loaded}
        images_made = loaded[[name for name in step.outputs if name in loaded]]
        nodes[step.grid] = nodes.get(step.grid, xr.Dataset()).assign(images_made)
    catalogue = _read_catalogue(config)
    if catalogue is not None:
        nodes["nebulae"] = catalogue
    root = xr.Dataset(attrs={"galaxy": config.galaxy, "recipe": config.recipe})
    return xr.DataTree.from_dict({"/": root, **{f"/{grid}": node for grid, node in nodes.items()}})


def count_bytes(ready: Field) -> tuple[int, int]:
    """Return the bytes that the pending steps will write into the store, uncompressed, and as FITS.

    Parameters
    ----------
    ready
        The field.
    """
    grids, stored, exported = ready.grids, 0, 0
    for one in ready.plan.pending:
        rows, columns = grids[one.step.grid].shape
        exported += 4 * rows * columns * len(set(one.outputs) & set(ready.fits_names))
    for stage in list_stages(ready.plan):
        rows, columns = grids[stage.grid].shape
        stored += 4 * rows * columns * len(stage.written)
    return stored, exported


def list_passes(ready: Field, chunk: int) -> list[tuple[str, int]]:
    """Return the passes over the chunks that a run takes, each with its number of tasks.

    How often a stage's measurements look at the chunks depends on the data: as often as not it is
    2 to 4 times.
    """
    passes = []
    grids = ready.grids
    for stage in list_stages(ready.plan):
        cells = find_cells(stage)
        for grid, group in list_measurements(stage, chunk):
            cell = lcm(*(cells[name] for name in group))
            tasks = len(list_tiles(grids[grid].shape, chunk, cell))
            once = all(find_passes(stage)[name] == 1 for name in group)
            times = "once" if once else "2 to 4 times"
            passes.append((f"measure {', '.join(group)} ({times})", tasks))
        tasks = len(list_tiles(grids[stage.grid].shape, choose_side(stage, grids, chunk)))
        passes.append((", ".join(one.name for one in stage.steps), tasks))
    return passes


def find_largest_tile(ready: Field, chunk: int) -> int:
    """Return the side of the largest tile of a run [pixel].

    A chunk, or a cell that a step needs whole (a box of the background) if it is larger, as far as
    the image goes.
    """
    cells = [
        min(find_cells(stage)[one.name], max(ready.grids[one.looks_on].shape))
        for stage in list_stages(ready.plan)
        for one in stage.measuring
    ]
    return max([chunk, *cells])


def _require_directory(directory: Path, remedy: str) -> None:
    """Refuse a directory that is none, or that none could be."""
    longest = max(directory.parts, key=lambda part: len(os.fsencode(part)))
    if len(os.fsencode(longest)) > LONGEST_NAME:
        message = (
            f"{directory}: names of at most {LONGEST_NAME} bytes are needed, found one of "
            f"{len(os.fsencode(longest))}: {remedy}"
        )
        raise InputError(message)
    # Unlike `Path.exists`, this takes names that no file can have.
    existing = next(path for path in (directory, *directory.parents) if os.path.exists(path))
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        message = (
            f"{directory}: a directory that can be written is needed, found that {existing} "
            f"{'cannot be written' if existing.is_dir() else 'is a file'}: {remedy}"
        )
        raise InputError(message)


def _check_owner(config: Config, store: FieldStore, attrs: Mapping[str, Any]) -> None:
    """Refuse a store that holds another galaxy."""
    owner = attrs.get("galaxy", config.galaxy)
    if owner != config.galaxy:
        message = (
            f"{store.location}: a store of {config.galaxy} is needed, found one of {owner}: "
            f"give another {'[output] group' if config.output.group else 'directory with --out'}"
        )
        raise InputError(message)
