"""What a run will do, as inert data: which steps, with what, and which are done already.

What decides that a step is taken again is its key (`PlannedStep.key`): a digest of the package's
version, the step's options, and the keys of all that it takes, back to the content of the input
files. A step is done if the store has a record with just this key and holds its images, unless it
or a step it takes something from is forced (`force`): a change of code alone changes no key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from phangs_xr.engine.config import Config
from phangs_xr.engine.dependencies import (
    Hole,
    Reach,
    describe_hole,
    explain_lack,
    find_makers,
    find_reach,
    order_steps,
)
from phangs_xr.errors import InputError
from phangs_xr.recipes import Step, get_recipe
from phangs_xr.schema import NUMBERS, PRODUCTS, SOURCES, GridName


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
        Names of the images that will be kept.
    key
        Digest of everything its result depends on.
    done
        Whether the store holds just this result, and what steps that are not done take of it.
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

    @property
    def looks_at(self) -> tuple[str, ...]:
        """The images that are measured first, as far as there are such."""
        return self.step.list_looked_at(self.inputs, self.options)

    @property
    def numbers(self) -> tuple[str, ...]:
        """What is measured."""
        return self.step.numbers if self.looks_at else ()

    @property
    def read(self) -> tuple[str, ...]:
        """The inputs whose pixels its function is given, once everything is measured."""
        return tuple(name for name in self.inputs if name not in self.step.unread)

    @property
    def looks_on(self) -> GridName:
        """The grid of the images that are measured first."""
        name = self.looks_at[0]
        return (SOURCES if name in self.step.sources else PRODUCTS)[name].grid


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
    makers = find_makers(steps)
    reach = find_reach(steps, config.get_options, digests)
    wanted = _list_wanted(config, makers, reach)
    needed = _find_needed(steps, reach, wanted, get_recipe(config.recipe).products is None)
    planned: list[PlannedStep] = []
    keys: dict[str, str] = dict(digests)
    redone: set[str] = set()
    for step in steps:
        if step.name not in needed:
            continue
        inputs = reach.taken[step.name]
        options = config.get_options(step)
        made_by = {name: makers[name].name for name in inputs if name not in step.sources}
        sources = {
            name: keys[f"step {made_by[name]}" if name in made_by else name] for name in inputs
        }
        key = _digest([version, step.name, asdict(options), sources])
        outputs = tuple(name for name in step.outputs if name in needed[step.name])
        if step.name in force or set(made_by.values()) & redone:
            redone.add(step.name)
        keys[f"step {step.name}"] = key
        planned.append(PlannedStep(step, options, inputs, outputs, key, step.name not in redone))
    return Plan(
        tuple(_find_done(planned, records, has_image)),
        {step.name: reach.holes.get(step.name, ()) for step in steps if step.name not in needed},
    )


def _find_done(
    planned: Sequence[PlannedStep], records: Mapping[str, Any], has_image: Callable[[str], bool]
) -> list[PlannedStep]:
    """Tell which steps are done, the last first: one that is not needs what it takes of others."""
    taken: set[str] = set()
    found = []
    for one in reversed(planned):
        kept = (*one.outputs, *(name for name in one.step.outputs if name in taken))
        done = one.done and _is_done(records.get(one.name), one.key, kept, has_image)
        if not done:
            taken |= {*one.image_inputs, *one.looks_at}
        found.append(replace(one, done=done))
    return found[::-1]


def _list_wanted(config: Config, makers: Mapping[str, Step], reach: Reach) -> set[str]:
    """Return the products that are asked for, those of the recipe if none is named."""
    possible = {name for images in reach.made.values() for name in images}
    kept = get_recipe(config.recipe).products
    asked = {*(config.output.products or ()), *(config.output.fits or ())}
    for name in sorted(asked - possible):
        message = (
            f"[output] asks for {name}, which cannot be made: "
            f"{describe_hole(explain_lack(name, makers, reach))}: give the input"
        )
        raise InputError(message)
    if config.output.products is not None:
        return asked
    return possible if kept is None else asked | (possible & set(kept))


def _find_needed(
    steps: Sequence[Step], reach: Reach, wanted: set[str], all_kept: bool
) -> dict[str, set[str]]:
    """Return the steps that are needed, each with the images that are to be kept.

    They are those that are wanted and, if all are kept, those that other steps take.
    """
    needed: dict[str, set[str]] = {}
    asked = set(wanted)
    for step in reversed(steps):
        if step.name in reach.holes or not asked & {*step.outputs, *step.found}:
            continue
        needed[step.name] = (asked if all_kept else wanted) & set(reach.made[step.name])
        asked |= set(step.needs)
    return needed


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
