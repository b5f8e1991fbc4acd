"""The report: one page that answers whether to trust the maps, and each figure on paper."""

from __future__ import annotations

import base64
import io
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.qa.draw import render_figure, render_screen
from phangs_xr.qa.figures_cosmic import plot_cosmic_rays
from phangs_xr.qa.figures_flux import (
    plot_fluxes,
    plot_linked,
    plot_ratio_by_flux,
    plot_ratio_on_sky,
)
from phangs_xr.qa.figures_gallery import plot_gallery
from phangs_xr.qa.figures_maps import plot_maps
from phangs_xr.qa.figures_pixels import plot_histogram2d, plot_pixel_histograms
from phangs_xr.qa.nebula_table import NAMES
from phangs_xr.qa.page import (
    Section,
    format_image,
    format_note,
    format_page,
    format_plot,
    format_scripts,
    format_table,
    format_warning,
)
from phangs_xr.qa.products import has_product
from phangs_xr.qa.reduce import Overview, reduce_field
from phangs_xr.tiles import Runner

PRODUCT = "anchored"
"""The map that the figures compare with MUSE's."""

DPI = 130

BIAS_LIMIT = 0.1
"""Distance of the anchored map's median ratio from 1 above which the page warns."""

Numbers = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Picture:
    """One figure of the report.

    Attributes
    ----------
    name
        Of its place on the page.
    title, text
        What it shows.
    papers
        Make it for matplotlib, with RA and Dec axes where it is a map, by the names of their files.
    screen
        Makes it for the page; None shows the first of the papers.
    """

    name: str
    title: str
    text: str
    papers: Mapping[str, Callable[[], Any]]
    screen: Callable[[], Any] | None = None


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
    out = Path(out)
    overview = reduce_field(field, runner)
    out.mkdir(parents=True, exist_ok=True)
    sections: list[Section] = []
    models: dict[str, Any] = {}
    pictures = _list_pictures(field, nebulae, numbers, overview)
    bodies = {picture.name: _draw_picture(picture, out, models) for picture in pictures}
    scripts, places = format_scripts(models)
    for picture in pictures:
        body = format_plot(places[picture.name]) if picture.name in places else bodies[picture.name]
        sections.append(Section(picture.name, picture.title, picture.text, body))
    sections.append(_format_provenance(field))
    galaxy = str(field.attrs.get("galaxy", "unnamed field"))
    head = _format_head(field, nebulae, numbers, shift)
    page = format_page(f"{galaxy}: HST Hα against MUSE", head, sections, scripts)
    return _write_text(out / "report.html", page)


def _list_pictures(
    field: xr.DataTree, nebulae: xr.Dataset | None, numbers: Numbers, overview: Overview
) -> list[Picture]:
    """List the figures in reading order."""
    rows = nebulae if nebulae is not None else xr.Dataset()
    return [
        Picture(
            "fluxes",
            "Nebula fluxes",
            "HST and anchored HST fluxes of every nebula against MUSE's, their ratio against flux "
            "and on the sky. Select points in one panel: the others follow. Grey nebulae are "
            "partly covered.",
            {
                "fluxes": lambda: plot_fluxes(field, rows, product=PRODUCT, numbers=numbers),
                "ratio_by_flux": lambda: plot_ratio_by_flux(field, rows, product=PRODUCT),
                "ratio_on_sky": lambda: plot_ratio_on_sky(field, rows, product=PRODUCT, axes="sky"),
            },
            lambda: plot_linked(field, rows, product=PRODUCT, numbers=numbers),
        ),
        Picture(
            "maps",
            "Maps",
            "MUSE, HST, HST smoothed to MUSE's resolution, and their ratio, first in MUSE's "
            "colours, then each in its own. The panels pan together. Values are means over blocks "
            f"of {overview.factor} × {overview.factor} HST pixels.",
            {"maps": lambda: plot_maps(field, rows, axes="sky", overview=overview)},
            lambda: plot_maps(field, rows, overview=overview),
        ),
        Picture(
            "gallery",
            "Most discrepant nebulae",
            "The nebulae, covered by both, whose anchored HST and MUSE fluxes differ most.",
            {"gallery": lambda: plot_gallery(field, rows, product=PRODUCT)},
            lambda: plot_gallery(field, rows, product=PRODUCT),
        ),
        Picture(
            "histogram2d",
            "Anchoring line",
            "All pixels of smoothed HST against MUSE, and the least-squares line that anchors "
            "fit_anchored.",
            {"histogram2d": lambda: plot_histogram2d(field)},
            lambda: plot_histogram2d(field),
        ),
        Picture(
            "pixel_histograms",
            "Noise and background",
            "How the pixels spread; a Gaussian fitted to the lower side gives offset and noise.",
            {"pixel_histograms": lambda: plot_pixel_histograms(field, overview=overview)},
            lambda: plot_pixel_histograms(field, overview=overview),
        ),
        Picture(
            "cosmic_rays",
            "Cosmic rays",
            "The part of the map with most cosmic rays, before and after they were cut.",
            {"cosmic_rays": lambda: plot_cosmic_rays(field, axes="sky")},
            lambda: plot_cosmic_rays(field),
        ),
    ]


def _draw_picture(picture: Picture, out: Path, models: dict[str, Any]) -> str:
    """Write a figure's files, add its plot to the models; return what the page shows instead."""
    try:
        pages = [_write_figure(make(), out / name) for name, make in picture.papers.items()]
        if picture.screen is not None:
            models[picture.name] = render_screen(picture.screen())
    except InputError as error:
        return format_note(f"Not shown: {error}")
    return format_image(base64.b64encode(pages[0]).decode(), picture.title)


def _write_figure(drawing: Any, path: Path) -> bytes:
    """Write PNG and PDF, the same bytes every time; return the PNG."""
    figure = render_figure(drawing)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    path.with_suffix(".png").write_bytes(buffer.getvalue())
    figure.savefig(path.with_suffix(".pdf"), dpi=200, metadata={"CreationDate": None})
    plt.close(figure)
    return buffer.getvalue()


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


def _format_head(
    field: xr.DataTree,
    nebulae: xr.Dataset | None,
    numbers: Numbers,
    shift: Mapping[str, float] | None,
) -> str:
    """Recipe and date, what to beware of, and the numbers."""
    records = field.attrs.get("records", {})
    dates = [str(record.get("finished", "")) for record in records.values()]
    recipe = f"Recipe {field.attrs.get('recipe', 'unknown')}, finished {max(dates, default='–')}."
    parts = [f"{format_note(recipe)}"]
    parts += [format_warning(text) for text in list_warnings(field, nebulae, numbers, shift)]
    if numbers:
        rows = [_list_cells(name, one) for name, one in numbers.items()]
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
    if nebulae is None or not numbers.get(PRODUCT, {}).get("n"):
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
