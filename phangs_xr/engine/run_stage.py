"""Take the steps of one stage together: measure, then read, work and write tile by tile.

How far a tile is grown is decided here (`_add_halos`): by the longest chain of the stage's steps,
each of which declares its own reach (`Step.find_halo`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import numpy as np
import xarray as xr

from phangs_xr.engine.field import Field
from phangs_xr.engine.plan import PlannedStep
from phangs_xr.engine.runner import Runner
from phangs_xr.engine.stages import Stage, choose_side
from phangs_xr.engine.tiles import (
    Measurement,
    Tile,
    blank_image,
    blank_overlap,
    list_tiles,
    read_overlap,
    run_reductions,
)
from phangs_xr.io.chunks import ZarrTarget
from phangs_xr.io.fits import FitsTarget, build_header
from phangs_xr.schema import NUMBERS
from phangs_xr.sky.grid import Grid

logger = logging.getLogger(__name__)


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
    written
        Which of its products are.
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
    written: frozenset[str]
    margin: int = 0
    targets: Mapping[str, tuple[ZarrTarget | FitsTarget, ...]] = field(default_factory=dict)


def _take_steps(work: _Work, window: Tile) -> Iterator[tuple[str, xr.DataArray]]:
    """Take a stage's steps, in memory, on one window of its grid; hand out each product at once.

    Images are held only as long as a later step takes them.
    """
    held: dict[str, xr.DataArray] = {}
    for number, one in enumerate(work.steps):
        given = _give_inputs(work, one, window, held)
        made = one.step.function(**given, options=one.options)
        del given
        later = {_name_input(two, name) for two in work.steps[number + 1 :] for name in two.inputs}
        held = {name: image for name, image in held.items() if name in later}
        held.update({name: made[name] for name in one.step.outputs if name in later})
        for name in one.step.outputs:
            if name in made:
                yield name, made[name]
                made = made.drop_vars(name)


def _give_inputs(
    work: _Work, one: PlannedStep, window: Tile, held: dict[str, xr.DataArray]
) -> dict[str, Any]:
    """Return what a step's function takes, and hold what was read for it."""
    given: dict[str, Any] = {}
    for name in one.inputs:
        key = _name_input(one, name)
        if key in NUMBERS:
            given[name] = work.numbers[key]
        elif name in one.step.unread:
            read = held.get(key)
            given[name] = (
                blank_overlap(work.images[key], work.grid, window)
                if read is None
                else blank_image(read)
            )
        else:
            if key not in held:
                held[key] = read_overlap(work.images[key], work.grid, window, work.margin)
            given[name] = held[key]
    if one.numbers:
        given["measured"] = {name: work.numbers[name] for name in one.numbers}
    return given


def _name_input(one: PlannedStep, name: str) -> str:
    """Return what a step's input is held under: a file may have the name of a product."""
    return f"input {name}" if name in one.step.sources else name


def _work_on_tile(work: _Work, tile: Tile) -> dict[str, float]:
    """Take a stage's steps on one tile, from reading to writing; return the tallies."""
    window = tile.grow(work.halo, work.grid.shape)
    tallied = {name: number for one in work.steps for name, number in one.step.tallies.items()}
    tallies: dict[str, float] = {}
    for name, image in _take_steps(work, window):
        if name not in work.targets and name not in tallied:
            continue
        block = image.values[tile.within(window)]
        for target in work.targets.get(name, ()):
            target[tile.ys, tile.xs] = block
        if name in tallied:
            tallies[tallied[name]] = float(np.nansum(block, dtype=np.float64))
    return tallies


def _add_tallies(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Add the tallies of tiles."""
    return {name: sum(part[name] for part in parts) for name in parts[0]} if parts else {}


def run_stage(ready: Field, stage: Stage, runner: Runner) -> None:
    """Take a stage's steps and record each as finished when all of it is written."""
    started = monotonic()
    grid = ready.grids[stage.grid]
    images = _open_stage(ready, stage)
    numbers = _measure(ready, stage, images, runner)
    halo = _add_halos(stage, grid)
    side = choose_side(stage, ready.grids, runner.chunk)
    margin = max(one.step.margin for one in stage.steps)
    work = _Work(stage.steps, images, numbers, grid, halo, stage.written, margin)
    targets = _create_targets(ready, work, runner, side)
    work = replace(work, targets=targets)
    title = ", ".join(one.name for one in stage.steps)
    tiles = list_tiles(grid.shape, side)
    numbers |= runner.run(title, _work_on_tile, work, tiles, _add_tallies)
    _finish_steps(ready, stage, targets, numbers, monotonic() - started)
    logger.debug("%s: %.1f s", title, monotonic() - started)


def _open_stage(ready: Field, stage: Stage) -> dict[str, xr.DataArray]:
    """Open what a stage reads, each image once."""
    inside = {name for one in stage.steps for name in one.step.outputs}
    given = {
        _name_input(one, name): ready.images[name]
        for one in stage.steps
        for name in one.step.sources
        if name in one.inputs
    }
    stored = {name for one in stage.steps for name in one.image_inputs}
    return {**given, **ready.store.open_images(sorted(stored - inside))}


def _measure(
    ready: Field, stage: Stage, images: Mapping[str, xr.DataArray], runner: Runner
) -> dict[str, Any]:
    """Return the numbers that a stage's steps take, measured now or by earlier steps."""
    measurements = {}
    for one in stage.measuring:
        if one.step.reduce is not None:
            looked = {name: images[_name_input(one, name)] for name in one.looks_at}
            reduction = one.step.reduce(one.options, looked)
            measurements[one.name] = Measurement(reduction, tuple(looked.values()))
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
    ready: Field, work: _Work, runner: Runner, side: int
) -> dict[str, tuple[ZarrTarget | FitsTarget, ...]]:
    """Make room for a stage's products."""
    # What the steps label their products with shows on one pixel as well as on all.
    sample = dict(_take_steps(work, Tile(slice(0, 1), slice(0, 1))))
    shape = work.grid.shape
    nothing = xr.DataArray(
        np.broadcast_to(np.float32(0), shape), dims=("y", "x"), coords=work.grid.coords()
    )
    targets: dict[str, tuple[ZarrTarget | FitsTarget, ...]] = {}
    for one in work.steps:
        history = ready.list_history(one, work.numbers)
        for name in (name for name in one.step.outputs if name in work.written):
            attrs = {**sample[name].attrs, **ready.describe_resolution(name)}
            stored = ready.store.create(name, attrs, shape, side)
            # Workers on other machines must not write one file together: it is exported later.
            if name not in ready.fits_names or runner.remote:
                targets[name] = (stored,)
                continue
            labelled = nothing.assign_attrs({**attrs, "object": ready.config.galaxy})
            header = build_header(labelled, history)
            targets[name] = (stored, FitsTarget.create(ready.get_path(name), header, shape))
    return targets


def _finish_steps(
    ready: Field,
    stage: Stage,
    targets: Mapping[str, tuple[ZarrTarget | FitsTarget, ...]],
    numbers: Mapping[str, Any],
    seconds: float,
) -> None:
    """Give a stage's products their names, and record its steps as finished: in this order."""
    for made in targets.values():
        for target in made:
            target.finish()
    measured = {
        name: numbers[name]
        for one in stage.steps
        for name in (*one.numbers, *one.step.tallies.values())
    }
    if measured:
        ready.store.write_numbers(measured)
    records = ready.store.read_records()
    for one in stage.steps:
        records[one.name] = {
            "key": one.key,
            "options": asdict(one.options),
            "inputs": {
                name: ready.inputs[name]["digest"]
                for name in one.inputs
                if name in one.step.sources
            },
            "outputs": [name for name in one.step.outputs if name in targets],
            "fits": [name for name in one.outputs if len(targets[name]) > 1],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "stage_seconds": round(seconds, 2),
        }
    ready.store.write_records(records)
