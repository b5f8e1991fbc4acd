"""Named sets of steps and options: a recipe is data.

A step's function declares by its signature what it takes: images and numbers by the names they have
in `phangs_xr.schema`, or a configured input file by its name there.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from phangs_xr import steps
from phangs_xr.errors import InputError
from phangs_xr.reduction import Reduction
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


BARNES2023 = (
    Step(
        steps.load,
        steps.Load,
        ("narrow", "continuum1", "continuum2"),
        sources=("narrow", "continuum1", "continuum2"),
    ),
    Step(steps.subtract_continuum, steps.SubtractContinuum, ("halpha_raw", "cont_raw")),
    Step(steps.convert_units, steps.ConvertUnits, ("halpha",)),
    Step(
        steps.subtract_background,
        steps.SubtractBackground,
        ("halpha_bg", "halpha_bgsub"),
        reduce=steps.reduce_to_background,
        looks_at=("halpha",),
        numbers=("threshold", "background_mesh", "background_box", "background_origin"),
    ),
    Step(steps.extract_muse, steps.ExtractMuse, ("musehalpha",), "muse", sources=("muse",)),
    Step(
        steps.load_nebulae,
        steps.LoadNebulae,
        ("nebula_mask", "star_mask"),
        "muse",
        sources=("nebula_mask", "star_mask"),
    ),
    Step(steps.regrid_muse, steps.RegridMuse, ("musehalpha_regrid",)),
    Step(
        steps.smooth_hst,
        steps.SmoothHst,
        ("halpha_smoothed",),
        find_halo=steps.smooth_hst_halo,
        find_gap=steps.smooth_hst_gap,
    ),
    Step(
        steps.compare_images,
        steps.CompareImages,
        ("hstmuseratio", "hstmusediff"),
        reduce=steps.reduce_to_offset,
        looks_at=("halpha",),
        numbers=("offset",),
    ),
    Step(steps.anchor_halpha, steps.AnchorHalpha, ("anchored", "diff_anchored")),
    Step(
        steps.fill_negatives,
        steps.FillNegatives,
        ("anchored_intnegs",),
        find_halo=steps.fill_negatives_halo,
    ),
    Step(
        steps.fit_anchor,
        steps.FitAnchor,
        ("fit_anchored", "fit_anchored_intnegs"),
        reduce=steps.reduce_to_line,
        looks_at=("halpha_smoothed", "musehalpha_regrid", "halpha"),
        numbers=(
            "slope",
            "slope_error",
            "intercept",
            "intercept_error",
            "correlation",
            "pixels",
            "negative_rms",
            "histogram_edges",
            "anchor_histogram",
        ),
        find_halo=steps.fit_anchor_halo,
    ),
    Step(
        steps.add_noise,
        steps.AddNoise,
        ("anchored_wnoise", "anchored_intnegs_wnoise"),
        reduce=steps.reduce_to_noise,
        looks_at=("anchored", "anchored_intnegs"),
        numbers=("noise_anchored", "noise_anchored_intnegs"),
    ),
    Step(
        steps.remove_cosmic_rays,
        steps.RemoveCosmicRays,
        ("anchored_intnegs_nocosmic", "cosmic_mask"),
        reduce=steps.reduce_to_cosmic_rays,
        looks_at=("diff_anchored",),
        numbers=("sky_median", "sky_std", "sources", "cosmic_rays"),
        find_halo=steps.remove_cosmic_rays_halo,
    ),
)
"""The recipe of the PHANGS-HST narrow-band pipeline of 2023, with its numbers."""

RECIPES: dict[str, tuple[Step, ...]] = {"barnes2023": BARNES2023}


def get_recipe(name: str) -> tuple[Step, ...]:
    """Return the steps of a recipe.

    Raises
    ------
    InputError
        If there is no recipe of this name.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "take one of these"
        message = f"recipe should be one of {', '.join(RECIPES)}, found {name!r}: {remedy}"
        raise InputError(message)
    return RECIPES[name]
