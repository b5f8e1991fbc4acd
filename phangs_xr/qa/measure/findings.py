"""What to think of a field: which map to use for what, and what is wrong with it, by weight."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from phangs_xr.qa.measure.measurements import Numbers
from phangs_xr.qa.measure.noise import Noise
from phangs_xr.qa.measure.overviews import Overview
from phangs_xr.qa.measure.products import (
    find_best,
    find_product,
    get_node,
    get_recipe_of,
    has_product,
    list_numbers,
)
from phangs_xr.qa.measure.pulls import find_spread, measure_matched_ratio, measure_pulls
from phangs_xr.qa.measure.sky_gradient import measure_gradient

Severity = Literal["problem", "warning", "note"]

ORDER: tuple[Severity, ...] = ("problem", "warning", "note")

BIAS_LIMIT = 0.1
"""Distance of the best map's median ratio to MUSE's from 1; also of the slope of its fluxes."""

NEGATIVE_LIMIT = 0.05
"""Share of nebulae that are not positive."""

COVERAGE_LIMIT = 0.5
"""Share of nebulae that HST and MUSE cover fully, below which it is said."""

SKY_LIMIT = 0.2
"""Level of the map where it is empty, in its noise."""

GRADIENT_LIMIT = 0.3
"""Rise of the sky across the map, in its noise."""

PULL_LIMIT = 0.25
"""Distance of the pulls' scatter from 1, and of their median from 0."""

UNSUBTRACTED_LIMIT = 0.001
"""Share of pixels without a continuum."""

COSMIC_LIMIT = 0.005
"""Share of pixels that cosmic rays may take."""

SHIFT_LIMIT = 0.1
"""Shift of MUSE against HST [arcsec], where a recipe does not take it out: more than two HST
pixels."""

_NAMED = 10
"""Nebulae that a sentence names at most."""

MISSING = {
    "continuum2": "the colour of the stars is not known, their continuum less well",
    "narrow_weight": "the noise is measured on the sky, and taken to be alike everywhere",
    "muse_narrow": "backgrounds are less well known",
    "nebula_mask": "nebulae are not compared",
    "star_mask": "stars take part in the comparison",
}
"""Inputs that a field can do without, and what that means."""


@dataclass(frozen=True)
class Finding:
    """One thing that a reader must know before trusting the maps.

    Attributes
    ----------
    code
        Names it, always the same word for the same kind.
    severity
        A problem makes the map useless for what it is for, a warning limits it, a note is good to
        know.
    sentence
        For people.
    number, limit
        What was found, and from where on it is told; None if it is no number.
    figure
        The figure of the page that shows it, "" if none does.
    """

    code: str
    severity: Severity
    sentence: str
    number: float | None = None
    limit: float | None = None
    figure: str = ""


def list_findings(
    field: xr.DataTree,
    nebulae: xr.Dataset | None,
    numbers: Numbers,
    shift: Mapping[str, float] | None,
    noise: Mapping[str, Noise] | None = None,
    overview: Overview | None = None,
) -> list[Finding]:
    """Return what a reader must know of a field, the weightiest first, then what to use.

    Parameters
    ----------
    field, nebulae, numbers, shift
        As for `write_report`.
    noise
        As `fit_noises` returns it; None if it is not known.
    overview
        As `reduce_field` returns it; None if it is not known: gradients are not looked for then.

    Returns
    -------
    list of Finding
        Problems, then warnings, then notes, of which the first says which map is for what. If there
        are only notes, one says that nothing wrong was found.
    """
    found = [
        *_judge_steps(field),
        *_judge_map(field, noise),
        *_judge_gradient(field, noise, overview),
    ]
    if has_product(field, "musehalpha"):
        best = numbers.get(find_best(field), {})
        found += [*_judge_shift(shift), *_judge_fluxes(field, nebulae, best)]
        rows = nebulae if nebulae is not None else xr.Dataset()
        found += [*_judge_pulls(field, rows), *_judge_stars(field)]
    else:
        text = "This field has no MUSE map: nothing is anchored, and nothing is compared."
        found.append(Finding("no_muse", "warning", text))
    found += _list_assumptions(field)
    first = [Finding("use", "note", get_recipe_of(field).advice, figure="maps")]
    if all(one.severity == "note" for one in found):
        first.insert(0, Finding("nothing_wrong", "note", "Nothing wrong was found."))
    return sorted([*first, *found], key=lambda one: ORDER.index(one.severity))


def _judge_steps(field: xr.DataTree) -> Iterator[Finding]:
    """Say what the steps' own numbers show."""
    numbers: dict[str, Any] = list_numbers(field)
    for step in get_recipe_of(field).steps:
        if step.found and set(step.found) <= set(numbers):
            for text in step.judge(numbers):
                severity: Severity = "problem" if step.name == "fit_anchor" else "warning"
                sentence = f"{text[0].upper()}{text[1:]}."
                yield Finding(step.name, severity, sentence, figure=_FIGURES.get(step.name, ""))


_FIGURES = {"fit_anchor": "histogram2d", "subtract_sky": "backgrounds", "correct_nii": "nii"}
"""Where the page shows what a step fitted."""


def _judge_map(field: xr.DataTree, noise: Mapping[str, Noise] | None) -> Iterator[Finding]:
    """Say what is wrong with the best map itself."""
    best = find_best(field)
    fitted = (noise or {}).get(best)
    if fitted is not None and fitted.sigma > 0:
        level = fitted.offset / fitted.sigma
        if abs(level) > SKY_LIMIT:
            text = (
                f"Where {best} is empty its level is {level:+.2f} of its noise, not 0: sky, or "
                f"faint gas everywhere."
            )
            yield Finding("sky_left", "warning", text, level, SKY_LIMIT, "pixel_histograms")
    numbers = list_numbers(field)
    pixels = _count_pixels(field)
    for code, name, limit, text in (
        ("unsubtracted", "unsubtracted", UNSUBTRACTED_LIMIT, "no continuum was subtracted"),
        ("cosmic_rays", "cosmic_pixels", COSMIC_LIMIT, "cosmic rays were cut"),
    ):
        share = float(numbers.get(name, 0.0)) / pixels
        if share > limit:
            sentence = (
                f"In {share:.2%} of the pixels {text}: look at them before you measure there."
            )
            yield Finding(code, "warning", sentence, share, limit, "maps")


def _judge_gradient(
    field: xr.DataTree, noise: Mapping[str, Noise] | None, overview: Overview | None
) -> Iterator[Finding]:
    best = find_best(field)
    fitted = (noise or {}).get(best)
    if fitted is None or overview is None or best not in overview.images or not fitted.sigma > 0:
        return
    rise = measure_gradient(overview.images[best]) / fitted.sigma
    if rise > GRADIENT_LIMIT:
        text = (
            f"Across {best} the sky rises by {rise:.2f} of its noise: a gradient is left, or faint "
            f"gas lies on one side."
        )
        yield Finding("sky_gradient", "warning", text, rise, GRADIENT_LIMIT, "maps")


def _judge_pulls(field: xr.DataTree, nebulae: xr.Dataset) -> Iterator[Finding]:
    """Say whether HST is as far from MUSE as their errors say, spaxel by spaxel."""
    pulls = measure_pulls(field, nebulae)
    middle, spread, number = find_spread(pulls.spaxels.values) if pulls else (0.0, 1.0, 0)
    if number == 0:
        return
    if abs(spread - 1) > PULL_LIMIT:
        kind = "small" if spread > 1 else "large"
        text = (
            f"HST and MUSE differ by {spread:.2f} times what their errors say, spaxel by spaxel: "
            f"errors are too {kind} by this factor."
        )
        yield Finding("pulls", "warning", text, spread, PULL_LIMIT, "pulls")
    if abs(middle) > PULL_LIMIT:
        text = (
            f"HST lies {middle:+.2f} errors of a spaxel from MUSE, in the median: faint fluxes "
            f"over large areas are off by it."
        )
        yield Finding("pull_median", "warning", text, middle, PULL_LIMIT, "pulls")


def _judge_stars(field: xr.DataTree) -> Iterator[Finding]:
    """Say how many nebulae lie on foreground stars."""
    if not (has_product(field, "star_mask") and has_product(field, "nebula_mask")):
        return
    stars, nebulae = (find_product(field, name).values for name in ("star_mask", "nebula_mask"))
    if stars.shape != nebulae.shape:
        return
    touched = np.unique(nebulae[np.isfinite(nebulae) & (np.nan_to_num(stars) != 0)])
    touched = touched[touched >= 0]
    if touched.size:
        ids = ", ".join(f"{one:g}" for one in touched[:_NAMED])
        more = ", …" if touched.size > _NAMED else ""
        text = f"{touched.size} nebulae lie on stars that star_mask marks: {ids}{more}."
        yield Finding("stars", "note", text, float(touched.size), 0.0, "maps")


def _count_pixels(field: xr.DataTree) -> int:
    images = get_node(field, "hst")
    return max(int(np.prod(list(images.sizes.values()))), 1) if images.sizes else 1


def _judge_shift(shift: Mapping[str, float] | None) -> Iterator[Finding]:
    length = (shift or {}).get("shift", math.nan)
    if not math.isfinite(length):
        text = "The shift between HST and MUSE could not be measured."
        yield Finding("shift_unknown", "warning", text)
    elif (shift or {}).get("taken_out"):
        text = f"HST and MUSE are shifted by {length:.3f}″: found, and taken out."
        yield Finding("shift_taken_out", "note", text, length)
    elif length > SHIFT_LIMIT:
        text = (
            f"HST and MUSE are shifted by {length:.3f}″, more than {SHIFT_LIMIT:g}″: anchoring, "
            f"pixel by pixel, is not to be trusted. Correct the coordinates of one and run again."
        )
        yield Finding("shift", "problem", text, length, SHIFT_LIMIT, "maps")


def _judge_fluxes(
    field: xr.DataTree, nebulae: xr.Dataset | None, numbers: Mapping[str, float]
) -> Iterator[Finding]:
    """Say what the comparison with MUSE, nebula by nebula, shows of the best map."""
    best = find_best(field)
    count = numbers.get("n", 0)
    if not has_product(field, "nebula_mask"):
        return
    if nebulae is None or not count:
        text = "No nebula is covered by both HST and MUSE: there is nothing to compare."
        yield Finding("nothing_covered", "warning", text)
        return
    ratio, where = measure_matched_ratio(field, nebulae), " at MUSE's resolution"
    if not math.isfinite(ratio):
        ratio, where = numbers.get("median_ratio", math.nan), ""
    uncertain = 3 * numbers.get("median_ratio_error", math.nan)
    if abs(ratio - 1) > max(BIAS_LIMIT, uncertain):
        text = (
            f"The fluxes of {best} are off: their median ratio to MUSE's is {ratio:.2f}{where}, "
            f"not 1."
        )
        yield Finding("ratio", "warning", text, ratio, BIAS_LIMIT, "fluxes")
    slope, error = (numbers.get(name, math.nan) for name in ("slope", "slope_error"))
    if abs(slope - 1) > max(BIAS_LIMIT, 3 * error):
        text = f"{best} and MUSE disagree by flux: the slope of the one's logarithm is {slope:.2f}."
        yield Finding("slope", "warning", text, slope, BIAS_LIMIT, "fluxes")
    share = numbers.get("negative", 0) / count
    if share > NEGATIVE_LIMIT:
        text = f"{share:.0%} of the nebulae are not positive in {best}: they are below its noise."
        yield Finding("not_positive", "warning", text, share, NEGATIVE_LIMIT, "ratio_by_flux")
    whole = count / max(nebulae.sizes.get("nebula", count), 1)
    if whole < COVERAGE_LIMIT:
        text = f"HST and MUSE both cover only {whole:.0%} of the nebulae: the others do not count."
        yield Finding("coverage", "note", text, whole, COVERAGE_LIMIT, "ratio_on_sky")


def _list_assumptions(field: xr.DataTree) -> Iterator[Finding]:
    """Say which inputs there were not, as far as the recipe takes them."""
    given = set(field.attrs.get("inputs", {}))
    taken = {name for step in get_recipe_of(field).steps for name in step.sources}
    if not has_product(field, "musehalpha"):
        taken -= {"muse_narrow", "nebula_mask", "star_mask"}
    if "muse_cube" in given:
        taken.discard("muse_narrow")
    for name, meaning in MISSING.items():
        if name in taken and name not in given and given:
            text = f"Without {name}, {meaning}."
            yield Finding(f"without_{name}", "note", text)


def find_worst(findings: list[Finding]) -> Severity:
    """Return the severity of the worst of some findings."""
    return min((one.severity for one in findings), key=ORDER.index, default="note")
