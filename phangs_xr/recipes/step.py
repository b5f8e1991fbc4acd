"""What a step declares, and a recipe: all that the engine knows of either.

A step's function says by its signature what it takes: images and numbers by the names they have in
`phangs_xr.schema`, an input file by its name there, a parameter with a default where it can do
without. The rest stands in its `Step`, once for all recipes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import xarray as xr

from phangs_xr.numerics.reductions import Reduction
from phangs_xr.schema import GridName
from phangs_xr.sky import Grid

ERROR = "_err"
"""What the name of an image's error ends with: `halpha_err` is that of `halpha`."""

Images = Mapping[str, xr.DataArray]
Columns = Callable[[Any, Any], float]


def _measure_always(options: Any, given: Collection[str]) -> bool:
    return True


def _reach_nothing(options: Any, grid: Grid) -> int:
    return 0


def _check_nothing(options: Any, images: Images) -> Iterable[str]:
    return ()


def _judge_nothing(numbers: Mapping[str, Any]) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Step:
    """One step of a recipe.

    Attributes
    ----------
    function
        The public function of labelled images; its name is the step's.
    options
        The class of its options.
    outputs
        The images it makes, in the order of its dataset. `list_made` says which of them are made
        where optional inputs are missing.
    grid
        The grid they live on; inputs may be on any.
    sources
        Parameters of the function that are configured input files, not products.
    only_with
        Outputs that are made only if all these optional inputs are there, by output.
    reduce
        From the options and the images it is given, by name (None for each where only its `cell`
        and `passes` are asked), the reduction that measures what `measured` hands to the function.
    measures
        From the options and the inputs there are, whether anything must be measured.
    unread
        Inputs of which the function needs grid and attributes only: their pixels are not read, and
        are zeros to it, once everything is measured. One on another grid than `grid` is one pixel.
    looks_at
        Those of the inputs the reduction is given, in this order, all on one grid, which need not
        be `grid`; optional ones are left out where they are missing. Without the first of them
        nothing is measured.
    numbers
        What the reduction finds, as named in the store's `/fits`.
    tallies
        Numbers that are sums over an output, a mask, by the output's name.
    find_halo
        From the options and the grid, how far a pixel can depend on others once everything is
        measured [pixel]: at least the depths of the function's calls of `map_halo`, of those in a
        row their sum.
    margin
        Pixels of images on other grids that the function needs around those that a window's
        centres fall on: how far they may be shifted, what interpolation takes.
    check
        From the options and the input images there are (opened, nothing read), refuses what the
        step could not use, before anything is written, and returns what the user should know.
    working
        How many images the function holds at work, where they are more than the engine reckons with
        for any step: its tiles are then smaller.
    resolutions
        Options that the name of an input file gives where the configuration does not, a FWHM
        [arcsec], by option. Without either the step cannot be taken.
    shared
        Options that are those of another step where they are not given, by option: its name.
    asked
        Options that must be given: by option, what the user is told, from the galaxy's name.
    curves
        Options that may be given as a file of two columns instead: by the key of the
        configuration, the option and the function that finds its value from the columns.
    summary
        A line that ends a run, with the step's numbers in braces.
    judge
        From the step's numbers, what is questionable in what was made with them.
    """

    function: Callable[..., xr.Dataset]
    options: type
    outputs: tuple[str, ...]
    grid: GridName = "hst"
    sources: tuple[str, ...] = ()
    only_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reduce: Callable[[Any, Any], Reduction] | None = None
    measures: Callable[[Any, Collection[str]], bool] = _measure_always
    unread: tuple[str, ...] = ()
    looks_at: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    tallies: Mapping[str, str] = field(default_factory=dict)
    find_halo: Callable[[Any, Grid], int] = _reach_nothing
    margin: int = 0
    working: int = 0
    check: Callable[[Any, Images], Iterable[str]] = _check_nothing
    resolutions: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    curves: Mapping[str, tuple[str, Columns]] = field(default_factory=dict)
    summary: str = ""
    judge: Callable[[Mapping[str, Any]], Iterable[str]] = _judge_nothing

    @property
    def name(self) -> str:
        """The one word that names the step everywhere."""
        return self.function.__name__

    @cached_property
    def inputs(self) -> Mapping[str, bool]:
        """What the function takes but options and measurements; True if it may be left out."""
        parameters = inspect.signature(self.function).parameters.values()
        return {
            parameter.name: parameter.default is not inspect.Parameter.empty
            for parameter in parameters
            if parameter.name not in ("options", "measured")
        }

    @property
    def needs(self) -> tuple[str, ...]:
        """The products and numbers of other steps that it takes, optional ones too."""
        return tuple(name for name in self.inputs if name not in self.sources)

    @property
    def found(self) -> tuple[str, ...]:
        """All the numbers it finds, measured first or counted on the way."""
        return (*self.numbers, *self.tallies.values())

    def list_looked_at(self, given: Collection[str], options: Any = None) -> tuple[str, ...]:
        """Return the images that are measured first, of these of its inputs."""
        if not self.measures(options, given):
            return ()
        found = tuple(name for name in self.looks_at if name in given)
        return found if found[:1] == self.looks_at[:1] else ()

    def list_made(self, given: Collection[str]) -> tuple[str, ...]:
        """Return the outputs that the step makes of these of its inputs.

        What `only_with` names is made as it says; of the others an error, `X_err`, only if each of
        the inputs has its own, and what is named as an optional input only of that.
        """
        return tuple(name for name in self.outputs if not self.list_lacking(name, given))

    def list_lacking(self, output: str, given: Collection[str]) -> tuple[str, ...]:
        """Return the inputs without which an output is not made, of those that are not given."""
        if output in self.only_with:
            needed = list(self.only_with[output])
        elif output.endswith(ERROR):
            errors = [name for name in self.inputs if name.endswith(ERROR)]
            needed = [name for name in errors if name.removesuffix(ERROR) in given]
        else:
            needed = [output] if self.inputs.get(output) else []
        return tuple(name for name in needed if name not in given)

    def summarize(self, numbers: Mapping[str, Any]) -> str:
        """Return the line that ends a run, "" if not all of its numbers are known."""
        if not self.summary or not set(self.found) <= set(numbers):
            return ""
        return self.summary.format(**numbers)


def judge_numbers(steps: Iterable[Step], numbers: Mapping[str, Any]) -> list[str]:
    """Return what is questionable in what steps made, by the numbers they measured."""
    return [
        remark
        for step in steps
        if step.found and set(step.found) <= set(numbers)
        for remark in step.judge(numbers)
    ]


@dataclass(frozen=True)
class Recipe:
    """A named set of steps.

    Attributes
    ----------
    name
        As the configuration has it.
    title
        One sentence for people.
    steps
        In any order: each is taken when what it takes is there.
    fits
        The products that become FITS files unless the configuration says otherwise.
    options
        Defaults of this recipe where they are not those of the step, by step and option.
    compared
        The maps of HST whose nebula fluxes are compared with MUSE's: the first holds HST alone.
    best
        Which of them is to be measured on, where it is made.
    advice
        Which of its maps is for what, in a sentence or two.
    products
        What is kept in the store unless the configuration says otherwise; all that is made if None.
        Of the rest the store holds what one stage hands to another.
    """

    name: str
    title: str
    steps: tuple[Step, ...]
    fits: tuple[str, ...]
    compared: tuple[str, ...]
    best: str
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    products: tuple[str, ...] | None = None
    advice: str = ""

    def __post_init__(self) -> None:
        """Refuse steps that do not fit together: that is the recipe's fault, not a user's."""
        makers = [name for step in self.steps for name in (*step.outputs, *step.found)]
        twice = {name for name in makers if makers.count(name) > 1}
        lost = {
            f"{step.name} takes {name}"
            for step in self.steps
            for name, optional in step.inputs.items()
            if not optional and name not in makers and name not in step.sources
        }
        lost |= {
            f"{step.name} looks at {name}, which it does not take"
            for step in self.steps
            for name in step.looks_at
            if name not in step.inputs
        }
        strange = (set(self.fits) - set(makers)) | (set(self.options) - self.names)
        strange |= {*(self.products or ()), *self.compared, self.best} - set(makers)
        strange |= set(self.fits) - set(makers if self.products is None else self.products)
        if twice or lost or strange:
            message = (
                f"recipe {self.name}: made twice: {sorted(twice)}; made by no step: "
                f"{sorted(lost)}; in none of its steps: {sorted(strange)}"
            )
            raise ValueError(message)

    @property
    def names(self) -> set[str]:
        """The names of its steps."""
        return {step.name for step in self.steps}
