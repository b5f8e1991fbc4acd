"""Compute and write a recipe's products: stage by stage, tile by tile, resumable at any moment.

A stage is what one pass over the tiles can take together. Its steps first measure what they need
from whole images (in passes that all of them share), then every tile is read, worked on and written
to the Zarr store and the FITS files by one task. A step is recorded as finished only when all of it
is written.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import platform
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import xarray as xr

from phangs_xr.config import Config, list_default_fits, load_config
from phangs_xr.errors import InputError
from phangs_xr.grid import Grid, get_grid
from phangs_xr.inputs import (
    BANDS,
    check_inputs,
    digest_inputs,
    name_output,
    open_inputs,
)
from phangs_xr.io.fits import FitsTarget, build_header, write_fits
from phangs_xr.io.tables import read_catalogue, write_table
from phangs_xr.io.zarr import FieldStore, ZarrTarget, open_store
from phangs_xr.lazy import DEFAULT_CHUNK, chunk_image
from phangs_xr.plan import Plan, PlannedStep, Stage, describe_hole, list_stages, make_plan
from phangs_xr.schema import NUMBERS, PRODUCTS
from phangs_xr.steps import extract_muse, load, load_nebulae
from phangs_xr.steps.load import describe_alignment
from phangs_xr.tiles import (
    Measurement,
    Runner,
    Tile,
    list_tiles,
    read_overlap,
    run_reductions,
)

logger = logging.getLogger(__name__)

VERSION = version("phangs_xr")
_LIBRARIES = ("xarray", "dask", "numpy", "scipy", "astropy", "photutils", "reproject", "zarr")


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
    """

    config: Config
    images: Mapping[str, xr.DataArray]
    inputs: Mapping[str, Mapping[str, Any]]
    out: Path
    store: FieldStore
    plan: Plan

    @property
    def fits_names(self) -> tuple[str, ...]:
        """The products that become FITS files."""
        asked = self.config.output.fits
        names = list_default_fits() if asked is None else asked
        made = {name for one in self.plan.steps for name in one.outputs}
        return tuple(name for name in names if name in made)

    @property
    def grids(self) -> dict[str, Grid]:
        """The grids of its images by their node, as far as there are such."""
        found = {"hst": get_grid(self.images["narrow"])}
        for name in ("muse", "nebula_mask", "star_mask"):
            if name in self.images:
                found["muse"] = get_grid(self.images[name])
                break
        return found

    def get_path(self, product: str) -> Path:
        """Return where a product's FITS file goes."""
        return self.out / f"{self.config.galaxy}_{product}.fits"

    def describe_left_out(self) -> list[tuple[str, str]]:
        """Return the steps that cannot be taken, each with why."""
        return [(name, describe_hole(hole)) for name, hole in self.plan.holes.items() if hole]

    def list_history(self, one: PlannedStep) -> list[str]:
        """Return the HISTORY of a step's products: every step before it, with its options."""
        lines = [f"phangs_xr {VERSION}, recipe {self.config.recipe}"]
        upstream = self._list_upstream(one)
        for step in self.plan.steps:
            if step.name in upstream:
                options = json.dumps(asdict(step.options))
                lines.append(f"{step.name} {'' if options == '{}' else options}".rstrip())
        return lines

    def _list_upstream(self, one: PlannedStep) -> set[str]:
        makers = {name: s for s in self.plan.steps for name in (*s.step.outputs, *s.step.numbers)}
        found = {one.name}
        for name in (*one.inputs, *one.step.looks_at):
            if name not in one.step.sources:
                found |= self._list_upstream(makers[name])
        return found


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
    check_inputs(config, images)
    directory = Path(out) if out is not None else name_output(config, images)
    directory = directory.absolute()
    store = FieldStore(config.output.store or str(directory / f"{config.galaxy}.zarr"))
    attrs = store.read_attrs()
    _check_owner(config, directory, store, attrs)
    inputs = digest_inputs(config, attrs.get("inputs", {}))
    digests = {name: one["digest"] for name, one in inputs.items()}
    plan = make_plan(config, digests, attrs.get("records", {}), store.has_image, force, VERSION)
    return Field(config, images, inputs, directory, store, plan)


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
    nodes = {
        "/": xr.Dataset(attrs={"galaxy": config.galaxy, "recipe": config.recipe}),
        "/hst": load(*(images[name] for name in BANDS if name in images)),
    }
    muse = extract_muse(images["muse"]) if "muse" in images else xr.Dataset()
    masks = images.get("nebula_mask"), images.get("star_mask")
    muse = muse.assign(load_nebulae(*masks, muse.get("musehalpha")))
    if muse.data_vars:
        nodes["/muse"] = muse
    if config.inputs.nebula_catalogue is not None:
        nodes["/nebulae"] = read_catalogue(config.inputs.nebula_catalogue.path, config.galaxy)
    return xr.DataTree.from_dict(nodes)


def run(
    config: Config | str | Path,
    out: str | Path | None = None,
    client: Any = None,
    *,
    force: Collection[str] = (),
    threads: int | None = None,
    chunk: int = DEFAULT_CHUNK,
    on_start: Callable[[str, int], Callable[[int], None]] | None = None,
) -> xr.DataTree:
    """Run a field's recipe: compute and write what is not there yet.

    Parameters
    ----------
    config
        A configuration, or the path of one.
    out
        The directory to write to; `{galaxy}/{cont1}_{cont2}` in the working directory if None.
    client
        A `distributed.Client` to work on; threads of this process if None.
    force
        Steps to take again, with all that depends on them.
    threads
        How many threads, without a client.
    chunk
        Side of the tiles and of the stored chunks [pixel], a multiple of 100.
    on_start
        For progress: see `phangs_xr.tiles.Runner`.

    Returns
    -------
    xr.DataTree
        Opened from the store.

    Raises
    ------
    InputError
        If an input cannot be used, the directory cannot be written, or the disk is full.
    """
    runner = Runner(client, threads, chunk, remote=_may_be_remote(client))
    if on_start is not None:
        runner = replace(runner, on_start=on_start)
    return run_field(prepare_field(config, out, force), runner)


def _may_be_remote(client: Any) -> bool:
    """Say whether a client's workers may be on other machines: not those of its LocalCluster."""
    if client is None:
        return False
    from distributed import LocalCluster

    return not isinstance(client.cluster, LocalCluster)


def run_field(ready: Field, runner: Runner) -> xr.DataTree:
    """Run a prepared field; see `run`."""
    if runner.chunk < 100 or runner.chunk % 100:
        raise InputError(f"chunk should be a multiple of 100 pixels, found {runner.chunk}")
    _check_space(ready)
    try:
        with _hold_directory(ready.out, ready.config.galaxy):
            _write_head(ready)
            for stage in list_stages(ready.plan):
                _run_stage(ready, stage, runner)
            _export_fits(ready)
            _write_tables(ready)
            ready.store.summarize()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        message = (
            f"{ready.out}: more space is needed than the disk has: free some and run again, "
            f"finished steps are kept"
        )
        raise InputError(message) from error
    return open_store(ready.store.location)


def count_bytes(ready: Field) -> int:
    """Return the bytes that the pending steps will write, before compression."""
    grids, total = ready.grids, 0
    for one in ready.plan.pending:
        for name in one.outputs:
            rows, columns = grids[PRODUCTS[name].grid].shape
            total += 4 * rows * columns * (2 if name in ready.fits_names else 1)
    return total


def list_passes(ready: Field, chunk: int) -> list[tuple[str, int]]:
    """Return the passes over the chunks that a run takes, each with its number of tasks.

    How often a stage's measurements look at the chunks depends on the data: as often as not it is
    2 to 4 times.
    """
    passes = []
    for stage in list_stages(ready.plan):
        tasks = len(list_tiles(ready.grids[stage.grid].shape, chunk))
        if stage.measuring:
            names = ", ".join(one.name for one in stage.measuring)
            passes.append((f"measure {names} (2 to 4 times)", tasks))
        passes.append((", ".join(one.name for one in stage.steps), tasks))
    return passes


@dataclass(frozen=True)
class _Work:
    """What the tasks of a stage share.

    Attributes
    ----------
    steps
        Of the stage, in order.
    images
        Its input files and stored products, lazily indexed.
    numbers
        Measured by its steps and by those before.
    grid
        Of its tiles.
    halo
        Neighbours that its chain of steps needs around a tile [pixel].
    targets
        Where its products are written.
    """

    steps: tuple[PlannedStep, ...]
    images: Mapping[str, xr.DataArray]
    numbers: Mapping[str, Any]
    grid: Grid
    halo: int
    targets: Mapping[str, tuple[ZarrTarget | FitsTarget, ...]] = field(default_factory=dict)


def _take_steps(work: _Work, window: Tile) -> dict[str, xr.DataArray]:
    """Take a stage's steps, in memory, on one window of its grid."""
    made: dict[str, xr.DataArray] = {}
    for one in work.steps:
        given: dict[str, Any] = {}
        for name in one.inputs:
            key = f"input {name}" if name in one.step.sources else name
            if key in NUMBERS:
                given[name] = work.numbers[key]
                continue
            if key not in made:
                made[key] = read_overlap(work.images[key], work.grid, window)
            given[name] = made[key]
        if one.step.numbers:
            given["measured"] = {name: work.numbers[name] for name in one.step.numbers}
        result = one.step.function(**given, options=one.options)
        made.update({name: result[name] for name in one.step.outputs if name in result})
    return made


def _work_on_tile(work: _Work, tile: Tile) -> None:
    """Take a stage's steps on one tile, from reading to writing."""
    window = tile.grow(work.halo, work.grid.shape)
    made = _take_steps(work, window)
    for name, targets in work.targets.items():
        block = made[name].values[tile.within(window)]
        for target in targets:
            target[tile.ys, tile.xs] = block


def _run_stage(ready: Field, stage: Stage, runner: Runner) -> None:
    started = monotonic()
    grid = ready.grids[stage.grid]
    images = _open_stage(ready, stage)
    numbers = _measure(ready, stage, images, runner)
    ready.store.write_grid(stage.grid, grid)
    halo = _add_halos(stage, grid)
    work = _Work(stage.steps, images, numbers, grid, halo)
    targets = _create_targets(ready, work, runner)
    work = replace(work, targets=targets)
    title = ", ".join(one.name for one in stage.steps)
    runner.run(title, _work_on_tile, work, list_tiles(grid.shape, runner.chunk))
    for one in stage.steps:
        _finish_step(ready, one, targets, numbers, monotonic() - started)
    logger.debug("%s: %.1f s", title, monotonic() - started)


def _open_stage(ready: Field, stage: Stage) -> dict[str, xr.DataArray]:
    """Open what a stage reads, each image once."""
    inside = {name for one in stage.steps for name in one.step.outputs}
    images = {}
    for one in stage.steps:
        for name in one.step.sources:
            if name in one.inputs:
                images[f"input {name}"] = ready.images[name]
        for name in (*one.image_inputs, *one.step.looks_at):
            if name not in inside and name not in images:
                images[name] = ready.store.open_image(name)
    return images


def _measure(
    ready: Field, stage: Stage, images: Mapping[str, xr.DataArray], runner: Runner
) -> dict[str, Any]:
    """Return the numbers that a stage's steps take, measured now or by earlier steps."""
    measurements = {}
    for one in stage.measuring:
        if one.step.reduce is not None:
            looked = tuple(images[name] for name in one.step.looks_at)
            measurements[one.name] = Measurement(one.step.reduce(one.options), looked)
    numbers: dict[str, Any] = {}
    for found in run_reductions(measurements, runner).values():
        numbers.update(found)
    earlier = {name for one in stage.steps for name in one.number_inputs} - set(numbers)
    return {**ready.store.read_numbers(earlier), **numbers}


def _add_halos(stage: Stage, grid: Grid) -> int:
    """Return the neighbours that the longest chain of a stage's steps needs [pixel]."""
    reach: dict[str, int] = {}
    for one in stage.steps:
        before = max((reach.get(name, 0) for name in one.inputs), default=0)
        after = before + one.step.find_halo(one.options, grid)
        reach |= dict.fromkeys(one.step.outputs, after)
    return max(reach.values(), default=0)


def _create_targets(
    ready: Field, work: _Work, runner: Runner
) -> dict[str, tuple[ZarrTarget | FitsTarget, ...]]:
    """Make room for a stage's products."""
    # What the steps label their products with shows on one pixel as well as on all.
    sample = _take_steps(work, Tile(slice(0, 1), slice(0, 1)))
    shape = work.grid.shape
    nothing = xr.DataArray(
        np.broadcast_to(np.float32(0), shape), dims=("y", "x"), coords=work.grid.coords()
    )
    targets: dict[str, tuple[ZarrTarget | FitsTarget, ...]] = {}
    for one in work.steps:
        history = ready.list_history(one)
        for name in one.outputs:
            attrs = sample[name].attrs
            stored = ready.store.create(name, attrs, shape, runner.chunk)
            # Workers on other machines must not write one file together: it is exported later.
            if name not in ready.fits_names or runner.remote:
                targets[name] = (stored,)
                continue
            labelled = nothing.assign_attrs({**attrs, "object": ready.config.galaxy})
            header = build_header(labelled, history)
            targets[name] = (stored, FitsTarget.create(ready.get_path(name), header, shape))
    return targets


def _finish_step(
    ready: Field,
    one: PlannedStep,
    targets: Mapping[str, tuple[ZarrTarget | FitsTarget, ...]],
    numbers: Mapping[str, Any],
    seconds: float,
) -> None:
    """Give a step's products their names, and record it as finished: in this order."""
    for name in one.outputs:
        for target in targets[name]:
            target.finish()
    if one.step.numbers:
        ready.store.write_numbers({name: numbers[name] for name in one.step.numbers})
    records = ready.store.read_records()
    records[one.name] = {
        "key": one.key,
        "options": asdict(one.options),
        "inputs": {
            name: ready.inputs[name]["digest"] for name in one.inputs if name in one.step.sources
        },
        "outputs": list(one.outputs),
        "fits": [name for name in one.outputs if len(targets[name]) > 1],
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "stage_seconds": round(seconds, 2),
    }
    ready.store.write_records(records)


def _write_head(ready: Field) -> None:
    """Write who made the store; drop the records of what is about to be made again."""
    records = ready.store.read_records()
    for one in ready.plan.pending:
        records.pop(one.name, None)
    ready.store.write_attrs(
        galaxy=ready.config.galaxy,
        recipe=ready.config.recipe,
        versions={
            "phangs_xr": VERSION,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        inputs={name: dict(one) for name, one in ready.inputs.items()},
        records=records,
    )
    for image in ready.images.values():
        for name in BANDS[1:]:
            if image is ready.images.get(name):
                text = describe_alignment(name, image, ready.images["narrow"])
                if text:
                    logger.info(text)


def _export_fits(ready: Field) -> None:
    """Write the FITS files of finished products that are not there, from the store."""
    records = ready.store.read_records()
    for one in ready.plan.steps:
        record = records[one.name]
        for name in one.outputs:
            path = ready.get_path(name)
            if name not in ready.fits_names or (name in record["fits"] and path.exists()):
                continue
            image = ready.store.open_image(name)
            labelled = image.assign_attrs(object=ready.config.galaxy)
            write_fits(labelled, path, ready.list_history(one))
            record["fits"] = sorted({*record["fits"], name})
    ready.store.write_records(records)


def _write_tables(ready: Field) -> None:
    """Write the catalogue's rows into the store, and the measured numbers beside it."""
    catalogue = ready.config.inputs.nebula_catalogue
    if catalogue is not None:
        digest = ready.inputs["nebula_catalogue"]["digest"]
        # New images make old measurements on them worthless: only the catalogue's rows stay.
        if ready.plan.pending or ready.store.read_attrs().get("nebulae") != digest:
            ready.store.write_table(read_catalogue(catalogue.path, ready.config.galaxy))
            ready.store.write_attrs(nebulae=digest)
    rows = []
    for one in ready.plan.steps:
        for name, value in ready.store.read_numbers(one.step.numbers).items():
            if isinstance(value, float):
                number = NUMBERS[name]
                rows.append((one.name, name, value, number.units, number.long_name))
    if rows:
        names = ("step", "name", "value", "units", "meaning")
        columns = zip(names, zip(*rows, strict=True), strict=True)
        table = xr.Dataset({name: ("number", np.array(column)) for name, column in columns})
        write_table(table, ready.out / f"{ready.config.galaxy}_fits.csv")


def _check_owner(
    config: Config, directory: Path, store: FieldStore, attrs: Mapping[str, Any]
) -> None:
    """Refuse a directory that is none, and a store that holds another galaxy."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        message = (
            f"{directory}: a directory that can be written is needed, found that {existing} "
            f"{'cannot be written' if existing.is_dir() else 'is a file'}: give another with --out"
        )
        raise InputError(message)
    owner = attrs.get("galaxy", config.galaxy)
    if owner != config.galaxy:
        message = (
            f"{store.location}: a store of {config.galaxy} is needed, found one of {owner}: "
            f"give another directory with --out"
        )
        raise InputError(message)


def _check_space(ready: Field) -> None:
    """Refuse to begin what the disk has no room for."""
    existing = next(path for path in (ready.out, *ready.out.parents) if path.exists())
    free, needed = shutil.disk_usage(existing).free, count_bytes(ready)
    if needed > free:
        message = (
            f"{ready.out}: {needed / 1e9:.2f} GB are needed for the products, found "
            f"{free / 1e9:.2f} GB free: free some, or limit [output] products and fits"
        )
        raise InputError(message)


@contextmanager
def _hold_directory(out: Path, galaxy: str) -> Iterator[None]:
    """Keep other runs out of a directory; the lock goes with the process, whatever ends it."""
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{out}: found another run at work here: wait for it, or give another --out"
            raise InputError(message) from None
        for leftover in out.glob(f".{galaxy}_*.partial"):
            leftover.unlink()
        yield
    finally:
        os.close(descriptor)
