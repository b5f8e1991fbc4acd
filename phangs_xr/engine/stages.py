"""Which steps one pass over the tiles can take together: a plan's steps, gathered into stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from phangs_xr.engine.plan import Plan, PlannedStep
from phangs_xr.engine.tiles import group_by_cell
from phangs_xr.schema import GRIDS, PRODUCTS, GridName


@dataclass(frozen=True)
class Stage:
    """Steps on one grid that one pass over its tiles can take together."""

    steps: tuple[PlannedStep, ...]

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
        one.name: one.step.reduce(one.options).cell
        for one in stage.measuring
        if one.step.reduce is not None
    }


def find_passes(stage: Stage) -> dict[str, int]:
    """Return the most passes that each of a stage's measuring steps can need."""
    return {
        one.name: one.step.reduce(one.options).passes
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
    made = {
        name for one in plan.steps if one.done for name in (*one.step.outputs, *one.step.numbers)
    }
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
        stages.append(Stage(tuple(chosen)))
        made |= inside
        waiting = [one for one in waiting if one not in chosen]
    return stages


def _fits_stage(one: PlannedStep, made: set[str], inside: set[str]) -> bool:
    if not set(one.looks_at) - set(one.step.sources) <= made:
        return False
    return all(
        name in made or (name in inside and PRODUCTS[name].grid == one.step.grid)
        for name in one.image_inputs
    ) and all(name in made | inside for name in one.number_inputs)
