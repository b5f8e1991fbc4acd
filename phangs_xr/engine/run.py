"""Compute and write a recipe's products: stage by stage, tile by tile, resumable at any moment.

A stage is what one pass over the tiles can take together. Its steps first measure what they need
from whole images (in passes that all of them share), then every tile is read, worked on and written
to the Zarr store and the FITS files by one task. A step is recorded as finished only when all of it
is written.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phangs_xr.engine.config import Config
from phangs_xr.engine.dependencies import find_dependants
from phangs_xr.engine.directory import FULL, hold_directory, require_space
from phangs_xr.engine.field import VERSION, Field, count_bytes, prepare_field
from phangs_xr.engine.plan import Plan
from phangs_xr.engine.run_stage import run_stage
from phangs_xr.engine.runner import Runner
from phangs_xr.engine.stages import list_stages
from phangs_xr.errors import InputError
from phangs_xr.io.archive import write_parents
from phangs_xr.io.fits import write_fits
from phangs_xr.io.tables import write_table
from phangs_xr.io.zarr import open_store
from phangs_xr.numerics.lazy import DEFAULT_CHUNK
from phangs_xr.recipes import Step, judge_numbers
from phangs_xr.schema import NUMBERS, PRODUCTS

logger = logging.getLogger(__name__)

_LIBRARIES = ("xarray", "dask", "numpy", "scipy", "astropy", "reproject", "zarr")


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
        For progress: see `phangs_xr.engine.runner.Runner`.

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
    ready = prepare_field(config, out, force)
    run_field(ready, runner)
    return open_store(ready.store.location)


def _may_be_remote(client: Any) -> bool:
    """Say whether a client's workers may be on other machines: not those of its LocalCluster."""
    if client is None:
        return False
    from distributed import LocalCluster

    return not isinstance(client.cluster, LocalCluster)


def run_field(ready: Field, runner: Runner) -> None:
    """Run a prepared field; see `run`."""
    if runner.chunk < 100 or runner.chunk % 100:
        raise InputError(f"chunk should be a multiple of 100 pixels, found {runner.chunk}")
    try:
        with hold_directory(ready.out, ready.config.galaxy), _hold_store(ready):
            _check_space(ready)
            _write_head(ready)
            stages = list_stages(ready.plan)
            for name in {stage.grid for stage in stages}:
                ready.store.write_grid(name, ready.grids[name])
            for stage in stages:
                run_stage(ready, stage, runner)
            for remark in judge_numbers(ready.config.steps, ready.store.read_numbers(NUMBERS)):
                logger.warning(remark)
            _export_fits(ready)
            _write_tables(ready)
            ready.store.summarize()
    except OSError as error:
        if error.errno not in FULL:
            raise
        message = (
            f"{ready.out}: more space is needed than the disk has: free some and run again, "
            f"finished steps are kept"
        )
        raise InputError(message) from error


def _hold_store(ready: Field) -> AbstractContextManager[None]:
    """Keep other runs out of the store too where it lies elsewhere, if it is on this machine."""
    location = ready.store.location
    if "://" in location or Path(location).parent == ready.out:
        return nullcontext()
    return hold_directory(Path(location), ready.config.galaxy, "[output] store or group")


def _write_head(ready: Field) -> None:
    """Write who made the store; drop what is about to be made again, and what no longer holds."""
    write_parents(ready.store.location)
    before = ready.store.read_attrs()
    records = _keep_records(ready.plan, ready.config.steps, before.get("records", {}))
    # Of an input that is no longer given, products may be left that still hold.
    used = {name for record in records.values() for name in record["inputs"]}
    inputs = {name: one for name, one in before.get("inputs", {}).items() if name in used}
    ready.store.write_attrs(
        galaxy=ready.config.galaxy,
        distance=ready.config.distance,
        recipe=ready.config.recipe,
        versions={
            "phangs_xr": VERSION,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        inputs=inputs | {name: dict(one) for name, one in ready.inputs.items()},
        records=records,
    )
    # No reader may take for good what no record vouches for.
    for path in _list_dropped(ready, records):
        ready.store.delete(path)
    if ready.plan.pending:
        # What was measured of the old images is worthless.
        ready.store.drop_table()
        ready.store.write_attrs(quality=None)
    for remark in ready.remarks:
        logger.info(remark)


def _keep_records(plan: Plan, steps: Sequence[Step], records: Mapping[str, Any]) -> dict[str, Any]:
    """Return the records that still hold: not of pending steps, nor of what other inputs made."""
    pending = {one.name for one in plan.pending}
    changed = {
        one.name
        for one in plan.pending
        if one.name in records and records[one.name]["key"] != one.key
    }
    outdated = find_dependants(steps, changed) - {one.name for one in plan.steps}
    return {name: record for name, record in records.items() if name not in pending | outdated}


def _list_dropped(ready: Field, records: Mapping[str, Any]) -> list[str]:
    """Return the paths in the store of what no record vouches for, whether there or not."""
    paths = []
    for step in ready.config.steps:
        record = records.get(step.name)
        kept = record["outputs"] if record else ()
        paths += [f"{PRODUCTS[name].grid}/{name}" for name in step.outputs if name not in kept]
        if record is None:
            paths += [f"fits/{name}" for name in step.found]
    return paths


def _export_fits(ready: Field) -> None:
    """Write the FITS files of finished products that are not there, from the store."""
    records = ready.store.read_records()
    for one in ready.plan.steps:
        record = records[one.name]
        for name in one.outputs:
            path = ready.get_path(name)
            if name not in ready.fits_names or (name in record["fits"] and path.exists()):
                continue
            image = ready.store.open_images([name])[name]
            labelled = image.assign_attrs(object=ready.config.galaxy)
            write_fits(labelled, path, ready.list_history(one))
            record["fits"] = sorted({*record["fits"], name})
    ready.store.write_records(records)


def _write_tables(ready: Field) -> None:
    """Write the catalogue's rows into the store, and the measured numbers beside it."""
    digest = ready.inputs.get("nebula_catalogue", {}).get("digest")
    vouched = ready.store.read_attrs().get("nebulae") == digest
    if not vouched or (digest and not ready.store.has_array("nebulae")):
        if ready.catalogue is None:
            ready.store.drop_table()
        else:
            ready.store.write_table(ready.catalogue, digest)
    makers = {name: one.name for one in ready.plan.steps for name in one.step.found}
    rows = [
        (makers[name], name, value, NUMBERS[name].units, NUMBERS[name].long_name)
        for name, value in ready.store.read_numbers(makers).items()
        if isinstance(value, float)
    ]
    if rows:
        names = ("step", "name", "value", "units", "meaning")
        columns = zip(names, zip(*rows, strict=True), strict=True)
        table = xr.Dataset({name: ("number", np.array(column)) for name, column in columns})
        write_table(table, ready.out / f"{ready.config.galaxy}_fits.csv")


def _check_space(ready: Field) -> None:
    """Refuse to begin what a disk has no room for."""
    stored, exported = count_bytes(ready)
    shares = [(ready.out, exported)]
    location = ready.store.location
    if "://" not in location:
        records = _keep_records(ready.plan, ready.config.steps, ready.store.read_records())
        # What is dropped before anything is written gives its room back.
        dropped = sum(ready.store.count_bytes(path) for path in _list_dropped(ready, records))
        shares.append((Path(location), max(stored - dropped, 0)))
    require_space(shares)
