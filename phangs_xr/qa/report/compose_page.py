"""The report: one page that answers whether to trust the maps, and each figure on paper."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import xarray as xr
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from phangs_xr.engine.runner import Runner
from phangs_xr.qa.figures.list_figures import PICTURES
from phangs_xr.qa.figures.nebula_table import NAMES
from phangs_xr.qa.measure.measurements import Measured, Numbers
from phangs_xr.qa.measure.noise import fit_noises
from phangs_xr.qa.measure.overviews import reduce_field
from phangs_xr.qa.report.draw_on_screen import draw_screens, embed_plots
from phangs_xr.qa.report.find_warnings import list_warnings
from phangs_xr.qa.report.papers import Papers


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
            "plot": Markup(places.get(picture.name, "")),  # noqa: S704 (made by Bokeh)
            "note": notes.get(picture.name),
        }
        for picture in PICTURES
    ]
    galaxy = str(field.attrs.get("galaxy", "unnamed field"))
    page = _get_template().render(
        title=f"{galaxy}: HST Hα against MUSE",
        scripts=Markup(scripts),  # noqa: S704 (made by Bokeh)
        warnings=list_warnings(field, found.nebulae, found.numbers, shift),
        headings=_HEADINGS,
        numbers=[_list_cells(name, one) for name, one in found.numbers.items()],
        shift=_describe_shift(shift),
        sections=sections,
        **_list_provenance(field),
    )
    out.mkdir(parents=True, exist_ok=True)
    return _write_text(out / "report.html", page)


def _get_template() -> Template:
    """Return the page's template, in which every text is escaped that is not `Markup`."""
    text = files("phangs_xr.qa.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(text)


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
            (name, _format_options(record.get("options", {})), record.get("finished", ""))
            for name, record in records.items()
        ],
        "inputs": [
            (name, one.get("path", ""), one.get("sha256") or one.get("digest", ""))
            for name, one in attrs.get("inputs", {}).items()
        ],
        "versions": attrs.get("versions", {}).items(),
    }


def _format_options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items()) or "–"
