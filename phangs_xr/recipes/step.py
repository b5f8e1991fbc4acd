"""Named sets of steps and options: a recipe is data.

A step's function declares by its signature what it takes: images and numbers by the names they have
in `phangs_xr.schema`, or a configured input file by its name there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from phangs_xr.numerics.reductions import Reduction
from phangs_xr.schema import GridName
from phangs_xr.sky import Grid


def _reach_nothing(options: Any, grid: Grid) -> int:
    return 0


def _lack_nothing(options: Any) -> str:
    return ""


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
        The images it makes, in the order of its dataset.
    grid
        The grid they live on.
    sources
        Parameters of the function that are configured input files, not products.
    reduce
        From the options, the reduction that measures what `measured` hands to the function.
    looks_at
        The images the reduction is given, in this order.
    numbers
        What the reduction finds, as named in the store's `/fits`.
    find_halo
        From the options and the grid, how far a pixel can depend on others once everything is
        measured [pixel].
    find_gap
        From the options, the input file without which they are not complete, "" if they are.
    """

    function: Callable[..., xr.Dataset]
    options: type
    outputs: tuple[str, ...]
    grid: GridName = "hst"
    sources: tuple[str, ...] = ()
    reduce: Callable[[Any], Reduction] | None = None
    looks_at: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    find_halo: Callable[[Any, Grid], int] = _reach_nothing
    find_gap: Callable[[Any], str] = _lack_nothing

    @property
    def name(self) -> str:
        """The one word that names the step everywhere."""
        return self.function.__name__

    @property
    def inputs(self) -> Mapping[str, bool]:
        """What the function takes but options and measurements; True if it may be left out."""
        parameters = inspect.signature(self.function).parameters.values()
        return {
            parameter.name: parameter.default is not inspect.Parameter.empty
            for parameter in parameters
            if parameter.name not in ("options", "measured")
        }
