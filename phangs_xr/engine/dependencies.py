"""Who needs whom: the order of a recipe's steps, and what a missing input costs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phangs_xr.recipes import Step

Hole = tuple[str, ...]
"""A path from what is missing to what it costs: input, step, product, step, product, …"""


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
            if all(makers[name].name in names for name in step.needs if name in makers)
        ]
        if not ready:
            message = f"steps wait for each other: {', '.join(step.name for step in waiting)}"
            raise ValueError(message)
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return ordered


def find_makers(steps: Iterable[Step]) -> dict[str, Step]:
    """Return the step that makes each product and number."""
    return {name: step for step in steps for name in (*step.outputs, *step.found)}


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
        if any(makers[name].name in found for name in step.needs if name in makers):
            found.add(step.name)
    return found


@dataclass(frozen=True)
class Reach:
    """How far a recipe comes with the input files there are.

    Attributes
    ----------
    taken
        What each step that can be taken is given: input files, products and numbers.
    made
        The images that each of these steps makes.
    holes
        Why each of the others cannot be taken.
    """

    taken: dict[str, tuple[str, ...]] = field(default_factory=dict)
    made: dict[str, tuple[str, ...]] = field(default_factory=dict)
    holes: dict[str, Hole] = field(default_factory=dict)


def find_reach(
    steps: Sequence[Step], get_options: Callable[[Step], Any], given: Collection[str]
) -> Reach:
    """Find how far a recipe comes with some input files.

    Parameters
    ----------
    steps
        In the order of `order_steps`.
    get_options
        Of a step.
    given
        Names of the input files there are.
    """
    reach = Reach()
    makers = find_makers(steps)
    made: set[str] = set()
    for step in steps:
        taken = tuple(n for n in step.inputs if n in (given if n in step.sources else made))
        lack = _find_lack(step, get_options(step), given, taken)
        if lack:
            way = _explain(lack, step, makers, reach)
            reach.holes[step.name] = (*way, step.name, step.outputs[0])
        else:
            reach.taken[step.name] = taken
            reach.made[step.name] = step.list_made(taken)
            looked = step.list_looked_at(taken, get_options(step))
            made |= {*reach.made[step.name], *(step.numbers if looked else ())}
    return reach


def describe_hole(hole: Hole) -> str:
    """Return a hole in words."""
    return f"no input {hole[0]!r}: " + " -> ".join(hole)


def _find_lack(step: Step, options: Any, given: Collection[str], taken: Collection[str]) -> str:
    """Return the first thing without which a step cannot be taken, "" if there is none."""
    for option, file in step.resolutions.items():
        if getattr(options, option) is None and file not in given:
            return file
    if step.sources and not any(name in given for name in step.sources):
        return step.sources[0]
    lacking = (name for name, optional in step.inputs.items() if not optional)
    return next((name for name in lacking if name not in taken), "")


def explain_lack(name: str, makers: Mapping[str, Step], reach: Reach) -> Hole:
    """Return the path from the input file that is missing to a product that cannot be made."""
    maker = makers[name]
    if maker.name in reach.holes:
        return (*reach.holes[maker.name][:-1], name)
    lack = maker.list_lacking(name, reach.taken[maker.name])[0]
    return (*_explain(lack, maker, makers, reach), maker.name, name)


def _explain(lack: str, step: Step, makers: Mapping[str, Step], reach: Reach) -> Hole:
    """Return the path from the input file that is missing to something that a step lacks."""
    if lack not in makers or lack in step.sources:
        return (lack,)
    return explain_lack(lack, makers, reach)
