"""The HISTORY of a product: every step before it, with its options and what it measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from phangs_xr.engine.dependencies import find_makers, find_reach, order_steps
from phangs_xr.errors import InputError
from phangs_xr.recipes import Step, get_recipe


@dataclass(frozen=True)
class TakenStep:
    """A step of a run, as its products' HISTORY tells of it.

    Attributes
    ----------
    step
        The step itself.
    inputs
        Names of what it was given, or may have been.
    options
        Its options, as JSON has them.
    numbers
        Names of the numbers that it measured.
    """

    step: Step
    inputs: Iterable[str]
    options: Mapping[str, Any]
    numbers: Sequence[str]


def list_upstream(steps: Sequence[TakenStep], last: str) -> list[TakenStep]:
    """Return a step and those before it that it takes something from, however indirectly.

    `steps` are in the order in which they were taken, `last` is the step's name.
    """
    needed: set[str] = set()
    found: list[TakenStep] = []
    for one in reversed(steps):
        if one.step.name == last or needed.intersection((*one.step.outputs, *one.step.found)):
            needed |= set(one.inputs) - set(one.step.sources)
            found.insert(0, one)
    return found


def format_history(
    version: str, recipe: str, steps: Iterable[TakenStep], numbers: Mapping[str, Any]
) -> list[str]:
    """Return the HISTORY of a product, an entry each.

    Parameters
    ----------
    version
        Of this package, when the product was made.
    recipe
        Name of the recipe.
    steps
        Those that the product was made by.
    numbers
        What they measured, by name.
    """
    lines = [f"phangs_xr {version}, recipe {recipe}"]
    for one in steps:
        options = json.dumps(one.options)
        lines.append(f"{one.step.name} {'' if options == '{}' else options}".rstrip())
        found = [_format_number(name, numbers.get(name)) for name in one.numbers]
        lines += [f"{one.step.name} found {text}" for text in found if text]
    return lines


def _format_number(name: str, value: Any) -> str:
    """Return a number, or a few by band, for the header of a product; "" for larger arrays."""
    values = np.atleast_1d(np.asarray(np.nan if value is None else value, dtype=np.float64))
    known = [f"{one:.7g}" for one in values[np.isfinite(values)]] if values.ndim == 1 else []
    return f"{name} = {', '.join(known)}" if 0 < len(known) <= 4 else ""


def read_history(attrs: Mapping[Any, Any], numbers: Mapping[str, Any], product: str) -> list[str]:
    """Return the HISTORY of a stored product, as its FITS file has it.

    Parameters
    ----------
    attrs
        Of the store's root.
    numbers
        What is in its `/fits`.
    product
        Name of the product.

    Raises
    ------
    InputError
        If the store does not say what made it, or by a recipe that is not here.
    """
    recipe, records = get_recipe(str(attrs.get("recipe"))), attrs.get("records", {})
    ordered = order_steps(recipe.steps)
    maker = find_makers([step for step in ordered if step.name in records]).get(product)
    if maker is None:
        raise InputError(f"{product}: a step that made it is needed, found none: run it again")

    def get_options(step: Step) -> Any:
        stored = records.get(step.name, {}).get("options", {})
        # Another version of this package may have had others.
        names = {one.name for one in fields(step.options)}
        return step.options(**{name: value for name, value in stored.items() if name in names})

    # What each was given follows from the inputs there were, as when the run was planned.
    taken = find_reach(ordered, get_options, attrs["inputs"]).taken
    steps = []
    for step in ordered:
        if step.name in records:
            given = taken.get(step.name, ())
            looked = step.list_looked_at(given, get_options(step))
            options = records[step.name]["options"]
            steps.append(TakenStep(step, given, options, step.numbers if looked else ()))
    version = str(attrs.get("versions", {}).get("phangs_xr", "of unknown version"))
    return format_history(version, recipe.name, list_upstream(steps, maker.name), numbers)
