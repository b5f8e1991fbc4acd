"""The report: one page that answers whether to trust the maps, and each figure on paper."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from phangs_xr.engine.runner import Runner
from phangs_xr.qa.figures.list_figures import list_pictures
from phangs_xr.qa.figures.nebula_table import NAMES
from phangs_xr.qa.measure.findings import list_findings
from phangs_xr.qa.measure.measurements import Measured, Numbers
from phangs_xr.qa.measure.noise import fit_noises
from phangs_xr.qa.measure.numbers import write_whole
from phangs_xr.qa.measure.overviews import reduce_field
from phangs_xr.qa.report.draw_beside import Papers
from phangs_xr.qa.report.draw_on_screen import draw_screens, embed_plots
from phangs_xr.qa.report.render_template import render_template


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
    from phangs_xr.qa.report.draw_on_paper import PapersHere

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
    scripts, places = embed_plots(models)
    for name, reason in papers.finish().items():
        notes.setdefault(name, f"No file: {reason}")
    factor = found.overview.factor if found.overview is not None else math.nan
    sections = [
        {
            "name": picture.name,
            "title": picture.title,
            "text": picture.text.format(factor=factor),
            "plot": places.get(picture.name, ""),
            "note": notes.get(picture.name),
        }
        for picture in list_pictures(field)
    ]
    galaxy = str(field.attrs.get("galaxy", "unnamed field"))
    page = render_template(
        "page.html.j2",
        title=f"{galaxy}: HST Hα against MUSE",
        scripts=scripts,
        findings=list_findings(
            field, found.nebulae, found.numbers, shift, found.noise, found.overview
        ),
        headings=("map", "nebulae", *_MEASURED, *_SHARES, "not positive"),
        numbers=[_list_cells(name, one) for name, one in found.numbers.items()],
        shift=_describe_shift(shift),
        sections=sections,
        shown=[one["name"] for one in sections],
        **_list_provenance(field),
    )
    return write_whole(out / "report.html", page)


_MEASURED = {
    "median ratio": "median_ratio",
    "scatter [dex]": "scatter",
    "slope (log-log)": "slope",
    "intercept (log-log)": "intercept",
}
_SHARES = {"within 10 %": "within_10_percent", "within a factor 3": "within_factor_3"}
"""Headings of the table, and the numbers below them."""


def _list_cells(name: str, one: Mapping[str, float]) -> list[str]:
    def give(key: str) -> str:
        value, error = one.get(key, math.nan), one.get(f"{key}_error", math.nan)
        if not math.isfinite(value):
            return "–"
        text = f"{value:.3f}".replace("-", "−")
        return text + (f" ± {error:.3f}" if math.isfinite(error) else "")

    shares = [one.get(key, math.nan) for key in _SHARES.values()]
    return [
        f"{NAMES.get(name, name)} ({name})",
        f"{one.get('n', 0):g}",
        *map(give, _MEASURED.values()),
        *(f"{100 * share:.0f} %" if math.isfinite(share) else "–" for share in shares),
        f"{one.get('negative', 0):g}",
    ]


def _describe_shift(shift: Mapping[str, float] | None) -> str:
    if not shift or not math.isfinite(shift.get("shift", math.nan)):
        return ""

    def give(name: str) -> str:
        return f"{shift[name]:.3f}″ ± {shift[f'{name}_error']:.3f}″".replace("-", "−")

    text = f"MUSE lies {give('shift')} from HST"
    if "shift_ra" in shift:
        text += f" ({give('shift_ra')} east, {give('shift_dec')} north)"
    return f"{text}."


def _list_provenance(field: xr.DataTree) -> dict[str, Any]:
    """Recipe and date, options, inputs, versions."""
    attrs = field.attrs
    records = attrs.get("records", {})
    dates = [str(record.get("finished", "")) for record in records.values()]
    return {
        "recipe": attrs.get("recipe", "unknown"),
        "finished": max(dates, default="–"),
        "steps": [
            (
                name,
                ", ".join(
                    f"{key} = {json.dumps(one)}" for key, one in record.get("options", {}).items()
                )
                or "–",
                record.get("finished", ""),
            )
            for name, record in records.items()
        ],
        "inputs": [
            (name, one.get("path", ""), one.get("sha256") or one.get("digest", ""))
            for name, one in attrs.get("inputs", {}).items()
        ],
        "versions": attrs.get("versions", {}).items(),
    }
