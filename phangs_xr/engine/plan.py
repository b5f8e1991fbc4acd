"""What a run will do, as inert data: the order of steps, what is done, what one pass can share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from phangs_xr.engine.config import Config
from phangs_xr.errors import InputError
from phangs_xr.recipes import Step
from phangs_xr.schema import NUMBERS, PRODUCTS

Hole = tuple[str, ...]
"""A path from what is missing to what it costs: input, step, product, step, product, …"""


@dataclass(frozen=True)
class PlannedStep:
    """A step as one run will take it.

    Attributes
    ----------
    step
        The step itself.
    options
        Its options.
    inputs
        Names of the products, numbers and input files it will be given.
    outputs
        Names of the images that will be written.
    key
        Digest of everything its result depends on.
    done
        Whether the store holds just this result.
    """

    step: Step
    options: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    key: str
    done: bool

    @property
    def name(self) -> str:
        """The step's name."""
        return self.step.name

    @property
    def image_inputs(self) -> tuple[str, ...]:
        """Those of the inputs that are products of other steps."""
        return tuple(
            name for name in self.inputs if name in PRODUCTS and name not in self.step.sources
        )

    @property
    def number_inputs(self) -> tuple[str, ...]:
        """Those of the inputs that are measured numbers."""
        return tuple(name for name in self.inputs if name in NUMBERS)


@dataclass(frozen=True)
class Plan:
    """All steps of a run, in an order in which they can be taken.

    Attributes
    ----------
    steps
        Those that are wanted and possible.
    holes
        Why each of the others cannot be taken, by step; empty for one that is not wanted.
    """

    steps: tuple[PlannedStep, ...]
    holes: Mapping[str, Hole]

    @property
    def pending(self) -> tuple[PlannedStep, ...]:
        """The steps that are not done."""
        return tuple(step for step in self.steps if not step.done)


def order_steps(steps: Sequence[Step]) -> list[Step]:
    """Return the steps such that each comes after those that make what it takes.

    Raises
    ------
    ValueError
        If steps wait for each other in a circle.
    """
    makers = find_makers(steps)
    ordered: list[Step] = []
    waiting = list(steps)
    while waiting:
        names = {step.name for step in ordered}
        ready = [
            step
            for step in waiting
            if all(makers[i].name in names for i in _list_needs(step) if i in makers)
        ]
        if not ready:
            message = f"steps wait for each other: {', '.join(step.name for step in waiting)}"
            raise ValueError(message)
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return ordered


def find_makers(steps: Iterable[Step]) -> dict[str, Step]:
    """Return the step that makes each product and number."""
    return {name: step for step in steps for name in (*step.outputs, *step.numbers)}


def find_dependants(steps: Sequence[Step], names: Collection[str]) -> set[str]:
    """Return some steps and all that take, directly or not, what these make.

    Parameters
    ----------
    steps
        Of the recipe.
    names
        Of the steps to begin with.
    """
    makers = find_makers(steps)
    found = set(names)
    for step in order_steps(steps):
        if any(makers[name].name in found for name in _list_needs(step)):
            found.add(step.name)
    return found


def find_holes(config: Config, steps: Sequence[Step], given: Collection[str]) -> dict[str, Hole]:
    """Return, for each step that cannot be taken, the path from what is missing to its products.

    Parameters
    ----------
    config
        Of the field.
    steps
        In the order of `order_steps`.
    given
        Names of the input files there are.
    """
    makers = find_makers(steps)
    holes: dict[str, Hole] = {}
    for step in steps:
        gap = step.find_gap(config.get_options(step))
        if gap and gap not in given:
            holes[step.name] = (gap, step.name, step.outputs[0])
            continue
        if step.sources and not any(name in given for name in step.sources):
            holes[step.name] = (step.sources[0], step.name, step.outputs[0])
            continue
        for name, optional in step.inputs.items():
            if optional:
                continue
            if name in step.sources and name not in given:
                holes[step.name] = (name, step.name, step.outputs[0])
            elif name not in step.sources and makers[name].name in holes:
                path = holes[makers[name].name][:-1]
                holes[step.name] = (*path, name, step.name, step.outputs[0])
            else:
                continue
            break
    return holes


def describe_hole(hole: Hole) -> str:
    """Return a hole in words."""
    return f"no input {hole[0]!r}: " + " -> ".join(hole)


def make_plan(
    config: Config,
    digests: Mapping[str, str],
    records: Mapping[str, Any],
    has_image: Callable[[str], bool],
    force: Collection[str] = (),
    version: str = "",
) -> Plan:
    """Plan a run.

    Parameters
    ----------
    config
        Of the field.
    digests
        Of the input files there are, by name.
    records
        Of the steps in the store, by name.
    has_image
        Tells whether the store holds a product.
    force
        Steps to take again, with all that depends on them; names that are no steps' do nothing
        (`prepare_field` refuses them).
    version
        Of this package, part of what results depend on.

    Raises
    ------
    InputError
        If a product that the configuration asks for cannot be made.
    """
    steps = order_steps(config.steps)
    holes = find_holes(config, steps, digests)
    wanted = _list_wanted(config, steps, holes)
    needed = _find_needed(steps, holes, wanted, digests)
    planned: list[PlannedStep] = []
    keys: dict[str, str] = dict(digests)
    redone: set[str] = set()
    for step in steps:
        if step.name not in needed:
            continue
        inputs = _list_inputs(step, holes, digests, needed, steps)
        options = config.get_options(step)
        sources = {name: keys[_get_key_name(step, name, steps)] for name in inputs}
        key = _digest([version, step.name, asdict(options), sources])
        outputs = tuple(name for name in step.outputs if name in needed[step.name])
        depends = {makers.name for makers in _list_upstream(step, inputs, steps)}
        again = step.name in force or bool(depends & redone)
        done = not again and _is_done(records.get(step.name), key, outputs, has_image)
        if again:
            redone.add(step.name)
        keys[f"step {step.name}"] = key
        planned.append(PlannedStep(step, options, inputs, outputs, key, done))
    return Plan(
        tuple(planned),
        {step.name: holes.get(step.name, ()) for step in steps if step.name not in needed},
    )


@dataclass(frozen=True)
class Stage:
    """Steps on one grid that one pass over its tiles can take together."""

    steps: tuple[PlannedStep, ...]

    @property
    def grid(self) -> str:
        """The grid's name."""
        return self.steps[0].step.grid

    @property
    def measuring(self) -> tuple[PlannedStep, ...]:
        """Those of the steps that measure first."""
        return tuple(one for one in self.steps if one.step.reduce is not None)


def find_cells(stage: Stage) -> dict[str, int]:
    """Return what the tiles of each of a stage's measuring steps begin at multiples of [pixel]."""
    return {
        one.name: one.step.reduce(one.options).cell
        for one in stage.measuring
        if one.step.reduce is not None
    }


def list_stages(plan: Plan) -> list[Stage]:
    """Gather the steps that are not done into stages.

    A step joins the current stage if all that it measures, and all that it takes from the other
    grid, was made in earlier ones.
    """
    made = {name for step in plan.steps if step.done for name in step.outputs}
    made |= {name for step in plan.steps if step.done for name in step.step.numbers}
    waiting = list(plan.pending)
    stages = []
    while waiting:
        # MUSE's images are small and the others wait for them.
        grids = [one.step.grid for one in waiting if _fits_stage(one, made, set())]
        grid = "muse" if "muse" in grids else grids[0]
        chosen: list[PlannedStep] = []
        inside: set[str] = set()
        for one in waiting:
            if one.step.grid == grid and _fits_stage(one, made, inside):
                chosen.append(one)
                inside |= {*one.outputs, *one.step.outputs, *one.step.numbers}
        stages.append(Stage(tuple(chosen)))
        made |= inside
        waiting = [one for one in waiting if one not in chosen]
    return stages


def _fits_stage(one: PlannedStep, made: set[str], inside: set[str]) -> bool:
    if not set(one.step.looks_at) <= made:
        return False
    return all(
        name in made or (name in inside and PRODUCTS[name].grid == one.step.grid)
        for name in one.image_inputs
    ) and all(name in made | inside for name in one.number_inputs)


def _list_needs(step: Step) -> list[str]:
    return [name for name in (*step.inputs, *step.looks_at) if name not in step.sources]


def _list_wanted(config: Config, steps: Sequence[Step], holes: Mapping[str, Hole]) -> set[str]:
    made = {name for step in steps for name in step.outputs if step.name not in holes}
    asked = {*(config.output.products or ()), *(config.output.fits or ())}
    makers = find_makers(steps)
    for name in sorted(asked - made):
        message = (
            f"[output] asks for {name}, which cannot be made: "
            f"{describe_hole((*holes[makers[name].name][:-1], name))}: give the input"
        )
        raise InputError(message)
    return made if config.output.products is None else asked


def _find_needed(
    steps: Sequence[Step],
    holes: Mapping[str, Hole],
    wanted: set[str],
    given: Collection[str],
) -> dict[str, set[str]]:
    """Return the steps that are needed, each with the images that must be written."""
    needed: dict[str, set[str]] = {}
    asked = set(wanted)
    for step in reversed(steps):
        outputs = asked & {*step.outputs, *step.numbers}
        if step.name in holes or not outputs:
            continue
        needed[step.name] = {
            name for name in outputs & {*step.outputs} if _is_made(name, step, given)
        }
        asked |= {name for name in _list_needs(step) if name in PRODUCTS or name in NUMBERS}
    return needed


def _list_inputs(
    step: Step,
    holes: Mapping[str, Hole],
    given: Collection[str],
    needed: Mapping[str, set[str]],
    steps: Sequence[Step],
) -> tuple[str, ...]:
    makers = find_makers(steps)
    return tuple(
        name
        for name in step.inputs
        if (name in given if name in step.sources else makers[name].name in needed)
        and (name in step.sources or name not in PRODUCTS or _is_made(name, makers[name], given))
    )


def _is_made(name: str, maker: Step, given: Collection[str]) -> bool:
    """Tell whether an optional image (a second continuum, a mask) is there."""
    return name not in maker.sources or name in given


def _get_key_name(step: Step, name: str, steps: Sequence[Step]) -> str:
    return name if name in step.sources else f"step {find_makers(steps)[name].name}"


def _list_upstream(step: Step, inputs: Iterable[str], steps: Sequence[Step]) -> list[Step]:
    makers = find_makers(steps)
    return [makers[name] for name in (*inputs, *step.looks_at) if name not in step.sources]


def _is_done(
    record: Mapping[str, Any] | None,
    key: str,
    outputs: Iterable[str],
    has_image: Callable[[str], bool],
) -> bool:
    return (
        record is not None
        and record["key"] == key
        and all(name in record["outputs"] and has_image(name) for name in outputs)
    )


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
