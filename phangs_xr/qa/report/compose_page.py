"""The report: one page that answers whether to trust the maps, and each figure on paper."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from phangs_xr.engine.runner import Runner
from phangs_xr.qa.figures.nebula_table import NAMES
from phangs_xr.qa.figures.pictures import PICTURES, PRODUCT
from phangs_xr.qa.measure.measured import Measured, Numbers, Papers
from phangs_xr.qa.measure.noise import fit_noises
from phangs_xr.qa.measure.overviews import reduce_field
from phangs_xr.qa.measure.products import has_product
from phangs_xr.qa.report.page import (
    Section,
    format_note,
    format_page,
    format_plot,
    format_scripts,
    format_table,
    format_warning,
)
from phangs_xr.qa.report.screen_figures import draw_screens

BIAS_LIMIT = 0.1
"""Distance of the anchored map's median ratio from 1 above which the page warns."""


def write_report(
    field: xr.DataTree,
    nebulae: xr.Dataset | None,
    numbers: Numbers,
    shift: Mapping[str, float] | None,
    out: str | Path,
    *,
    runner: Runner | None = None,
) -> Path:
    """Draw all figures of a field, and write them and the page that holds them.

    Parameters
    ----------
    field
        A finished run, lazily opened.
    nebulae
        As `measure_nebulae` returns them; None without MUSE.
    numbers
        As `compare_fluxes` returns them.
    shift
        As `measure_shift` returns it; None without MUSE.
    out
        Directory, made if it is missing.
    runner
        Where to reduce the images; threads of this process if None.

    Returns
    -------
    Path
        `out/report.html`, which needs no network. Beside it lies each figure as PNG and PDF. A
        figure whose products are missing leaves a line on the page that says which.

    Raises
    ------
    InputError
        If the field has no `halpha`.
    """
    from phangs_xr.qa.report.paper_figures import PapersHere

    out = Path(out)
    rows = nebulae if nebulae is not None else xr.Dataset()
    overview = reduce_field(field, runner)
    found = Measured(rows, numbers, overview, fit_noises(overview))
    papers = PapersHere(field, out)
    papers.draw(found)
    return compose_report(field, found, shift, out, papers)


def compose_report(
    field: xr.DataTree,
    found: Measured,
    shift: Mapping[str, float] | None,
    out: Path,
    papers: Papers,
) -> Path:
    """Write the page of a report; the files of its figures are drawn beside.

    Parameters
    ----------
    field
        A finished run, lazily opened.
    found
        What was measured of it, with an overview.
    shift, out
        As of `write_report`.
    papers
        At work on the files.

    Returns
    -------
    Path
        Of the page, when the files lie beside it.
    """
    models, notes = draw_screens(field, found)
    scripts, places = format_scripts(models)
    for name, reason in papers.finish().items():
        notes.setdefault(name, f"No file: {reason}")
    factor = found.overview.factor if found.overview is not None else math.nan
    sections = []
    for picture in PICTURES:
        name = picture.name
        body = format_plot(places[name]) if name in places else ""
        body += format_note(notes[name]) if name in notes else ""
        sections.append(Section(name, picture.title, picture.text.format(factor=factor), body))
    sections.append(_format_provenance(field))
    galaxy = str(field.attrs.get("galaxy", "unnamed field"))
    head = _format_head(field, found, shift)
    out.mkdir(parents=True, exist_ok=True)
    page = format_page(f"{galaxy}: HST Hα against MUSE", head, sections, scripts)
    return _write_text(out / "report.html", page)


def _write_text(path: Path, text: str) -> Path:
    """Write a file that is there whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path


_HEADINGS = (
    "map",
    "nebulae",
    "median ratio",
    "scatter [dex]",
    "slope (log-log)",
    "intercept (log-log)",
    "within 10 %",
    "within a factor 3",
    "not positive",
)


def _format_head(field: xr.DataTree, found: Measured, shift: Mapping[str, float] | None) -> str:
    """Recipe and date, what to beware of, and the numbers."""
    records = field.attrs.get("records", {})
    dates = [str(record.get("finished", "")) for record in records.values()]
    recipe = f"Recipe {field.attrs.get('recipe', 'unknown')}, finished {max(dates, default='–')}."
    parts = [f"{format_note(recipe)}"]
    parts += [
        format_warning(text) for text in list_warnings(field, found.nebulae, found.numbers, shift)
    ]
    if found.numbers:
        rows = [_list_cells(name, one) for name, one in found.numbers.items()]
        parts.append(format_table(_HEADINGS, rows, numbers=True))
        text = "HST over MUSE flux of the nebulae that both cover fully; errors by resampling."
        parts.append(format_note(text))
    if shift and math.isfinite(shift.get("shift", math.nan)):
        parts.append(format_note(_describe_shift(shift)))
    return "".join(parts)


def _list_cells(name: str, one: Mapping[str, float]) -> list[str]:
    def give(key: str, digits: int = 3) -> str:
        value, error = one.get(key, math.nan), one.get(f"{key}_error", math.nan)
        if not math.isfinite(value):
            return "–"
        text = f"{value:.{digits}f}".replace("-", "−")
        return text + (f" ± {error:.{digits}f}" if math.isfinite(error) else "")

    def share(key: str) -> str:
        value = one.get(key, math.nan)
        return f"{100 * value:.0f} %" if math.isfinite(value) else "–"

    return [
        f"{NAMES.get(name, name)} ({name})",
        f"{one.get('n', 0):g}",
        give("median_ratio"),
        give("scatter"),
        give("slope"),
        give("intercept"),
        share("within_10_percent"),
        share("within_factor_3"),
        f"{one.get('negative', 0):g}",
    ]


def _describe_shift(shift: Mapping[str, float]) -> str:
    def give(name: str) -> str:
        return f"{shift[name]:.3f}″ ± {shift[f'{name}_error']:.3f}″".replace("-", "−")

    text = f"MUSE lies {give('shift')} from HST"
    if "shift_ra" in shift:
        text += f" ({give('shift_ra')} east, {give('shift_dec')} north)"
    return f"{text}."


def list_warnings(
    field: xr.DataTree,
    nebulae: xr.Dataset | None,
    numbers: Numbers,
    shift: Mapping[str, float] | None,
) -> list[str]:
    """Return what a reader must know before trusting the maps, in sentences.

    Parameters
    ----------
    field, nebulae, numbers, shift
        As for `write_report`.
    """
    if not has_product(field, "musehalpha"):
        return ["This field has no MUSE map: nothing is anchored, and nothing is compared."]
    warnings = []
    length, limit = (shift or {}).get("shift", math.nan), (shift or {}).get("limit", 0.1)
    if not math.isfinite(length):
        warnings.append("The shift between HST and MUSE could not be measured.")
    elif length > limit:
        warnings.append(
            f"HST and MUSE are shifted by {length:.3f}″, more than {limit:g}″: anchoring, pixel by "
            f"pixel, is not to be trusted. Correct the coordinates of one and run again."
        )
    ratio = numbers.get(PRODUCT, {}).get("median_ratio", math.nan)
    if abs(ratio - 1) > BIAS_LIMIT:
        warnings.append(
            f"The anchored fluxes are off: their median ratio to MUSE's is {ratio:.2f}, not 1."
        )
    if not has_product(field, "nebula_mask"):
        warnings.append("This field has no nebula mask: nebulae are not compared.")
    elif nebulae is None or not numbers.get(PRODUCT, {}).get("n"):
        warnings.append("No nebula is covered by both HST and MUSE: there is nothing to compare.")
    return warnings


def _format_provenance(field: xr.DataTree) -> Section:
    """Recipe, options, versions, inputs."""
    attrs = field.attrs
    steps = [
        (name, _format_options(record.get("options", {})), record.get("finished", ""))
        for name, record in attrs.get("records", {}).items()
    ]
    inputs = [
        (name, one.get("path", ""), one.get("sha256") or one.get("digest", ""))
        for name, one in attrs.get("inputs", {}).items()
    ]
    body = (
        "<h3>Steps</h3>"
        + format_table(("step", "options", "finished"), steps)
        + "<h3>Inputs</h3>"
        + format_table(("input", "file", "SHA-256"), inputs)
        + "<h3>Versions</h3>"
        + format_table(("package", "version"), attrs.get("versions", {}).items())
    )
    text = f"Recipe {attrs.get('recipe', 'unknown')}."
    return Section("provenance", "How it was made", text, body)


def _format_options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items()) or "–"
