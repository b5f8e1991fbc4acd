"""Which steps one pass over the tiles can take together: a plan's steps, gathered into stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt

from phangs_xr.engine.plan import Plan, PlannedStep
from phangs_xr.engine.tiles import group_by_cell
from phangs_xr.schema import GRIDS, PRODUCTS, SOURCES, GridName
from phangs_xr.sky import Grid

CELL = 100
"""Sides of tiles are multiples of this [pixel]."""

WORKING = 10
"""Images of a tile that any step may hold at work."""


@dataclass(frozen=True)
class Stage:
    """Steps on one grid that one pass over its tiles can take together.

    Attributes
    ----------
    steps
        In order.
    written
        Their images that are written: what is kept, and what later stages take.
    """

    steps: tuple[PlannedStep, ...]
    written: frozenset[str] = frozenset()

    @property
    def grid(self) -> GridName:
        """The grid's name."""
        return self.steps[0].step.grid

    @property
    def measuring(self) -> tuple[PlannedStep, ...]:
        """Those of the steps that measure first."""
        return tuple(one for one in self.steps if one.looks_at)


def find_cells(stage: Stage) -> dict[str, int]:
    """Return what the tiles of each of a stage's measuring steps begin at multiples of [pixel]."""
    return {
        one.name: one.step.reduce(one.options, dict.fromkeys(one.looks_at)).cell
        for one in stage.measuring
        if one.step.reduce is not None
    }


def find_passes(stage: Stage) -> dict[str, int]:
    """Return the most passes that each of a stage's measuring steps can need."""
    return {
        one.name: one.step.reduce(one.options, dict.fromkeys(one.looks_at)).passes
        for one in stage.measuring
        if one.step.reduce is not None
    }


def list_measurements(stage: Stage, chunk: int) -> Iterator[tuple[GridName, tuple[str, ...]]]:
    """Return which of a stage's steps measure in one pass, each with the grid they look at."""
    cells = find_cells(stage)
    for grid in GRIDS:
        there = {one.name: cells[one.name] for one in stage.measuring if one.looks_on == grid}
        for group in group_by_cell(there, chunk):
            yield grid, group


def list_stages(plan: Plan) -> list[Stage]:
    """Gather the steps that are not done into stages.

    A step joins the current stage if all that it measures, and all that it takes from another
    grid, was made in earlier ones.
    """
    made = {name for one in plan.steps if one.done for name in (*one.step.outputs, *one.step.found)}
    waiting = list(plan.pending)
    stages = []
    while waiting:
        # Small images first: the others wait for them.
        ready = {one.step.grid for one in waiting if _fits_stage(one, made, set())}
        grid = max(ready, key=GRIDS.index)
        chosen: list[PlannedStep] = []
        inside: set[str] = set()
        for one in waiting:
            if one.step.grid == grid and _fits_stage(one, made, inside):
                chosen.append(one)
                inside |= {*one.step.outputs, *one.step.numbers}
        made |= inside | {name for one in chosen for name in one.step.tallies.values()}
        waiting = [one for one in waiting if one not in chosen]
        later = {name for one in waiting for name in (*one.image_inputs, *one.looks_at)}
        written = {
            name
            for one in chosen
            for name in one.step.outputs
            if name in one.outputs or name in later
        }
        stages.append(Stage(tuple(chosen), frozenset(written)))
    return stages


def choose_side(stage: Stage, grids: Mapping[GridName, Grid], chunk: int) -> int:
    """Return the side of a stage's tiles, and of the chunks it writes [pixel].

    A tile's task reads no more of any image than a chunk: where a step reads images of smaller
    pixels, its own tiles are smaller; and where it holds many.
    """
    read = {_find_grid(one, name) for one in stage.steps for name in one.read if _is_image(name)}
    areas = [grids[grid].pixel_area for grid in read if grid in grids]
    own = grids[stage.grid].pixel_area
    ratio = min((sqrt(area / own) for area in areas), default=1.0)
    working = max(one.step.working for one in stage.steps)
    ratio = min(ratio, 1.0) * min(sqrt(WORKING / max(working, 1)), 1.0)
    return max(round(chunk * ratio) // CELL, 1) * CELL


def _is_image(name: str) -> bool:
    return name in PRODUCTS or name in SOURCES


def _find_grid(one: PlannedStep, name: str) -> GridName:
    return (SOURCES if name in one.step.sources else PRODUCTS)[name].grid


def _fits_stage(one: PlannedStep, made: set[str], inside: set[str]) -> bool:
    if not set(one.looks_at) - set(one.step.sources) <= made:
        return False
    return all(
        name in made or (name in inside and PRODUCTS[name].grid == one.step.grid)
        for name in one.image_inputs
    ) and all(name in made | inside for name in one.number_inputs)
