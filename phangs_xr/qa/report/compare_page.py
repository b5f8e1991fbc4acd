"""The page of a comparison: runs of one galaxy, map by map, nebula by nebula, option by option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr
from bokeh.models.glyphs import Image
from bokeh.models.renderers import GlyphRenderer

from phangs_xr.qa.figures.compare_figures import (
    plot_blinking,
    plot_difference,
    plot_pixel_pairs,
    plot_ratios,
)
from phangs_xr.qa.measure.compare_runs import Comparison, Run, list_differences, list_sentences
from phangs_xr.qa.measure.numbers import write_whole
from phangs_xr.qa.measure.products import find_distance
from phangs_xr.qa.report.draw_on_screen import embed_plots, render_screen
from phangs_xr.qa.report.render_template import render_template

MAP = "blinking-map"
"""Name of the pictures that blink, followed by their number: what the page finds them by."""


def write_compare_page(
    path: Path,
    reference: Run,
    comparisons: Sequence[Comparison],
    overviews: Mapping[str, xr.DataArray],
) -> Path:
    """Write the page of a comparison, which needs no network.

    Parameters
    ----------
    path
        Of the page.
    reference
        The first run.
    comparisons
        Of the others with it.
    overviews
        By the runs' labels, block means of their maps on the reference's grid; a run that is on
        another grid has none.

    Returns
    -------
    Path
        Of the page.
    """
    models = _draw_maps(reference, comparisons, overviews)
    for number, one in enumerate(comparisons):
        if one.nebulae.sizes.get("nebula"):
            models[f"ratios{number}"] = render_screen(plot_ratios(reference, one))
        if one.pixels is not None:
            models[f"pixels{number}"] = render_screen(
                plot_pixel_pairs(reference, one.run, one.pixels)
            )
    scripts, places = embed_plots(models)
    runs = [reference, *(one.run for one in comparisons)]
    sections = [
        {
            "label": one.run.label,
            "sentences": list_sentences(reference, one),
            "difference": places.get(f"difference{number}", ""),
            "ratios": places.get(f"ratios{number}", ""),
            "pixels": places.get(f"pixels{number}", ""),
        }
        for number, one in enumerate(comparisons)
    ]
    page = render_template(
        "compare.html.j2",
        title=f"{reference.tree.attrs.get('galaxy', 'field')}: {len(runs)} runs compared",
        scripts=scripts,
        reference=reference.label,
        runs=[_describe_run(run) for run in runs],
        blinking=[run.label for run in runs if run.label in overviews],
        map=places.get("blinking", ""),
        map_name=MAP,
        sections=sections,
        headings=("", *(run.label for run in runs)),
        differences=list_differences(runs),
    )
    return write_whole(path, page)


def _describe_run(run: Run) -> tuple[str, str, str, str]:
    attrs = run.tree.attrs
    dates = [str(one.get("finished", "")) for one in attrs.get("records", {}).values()]
    finished = max(dates, default="")[:16].replace("T", " ")
    return run.label, str(attrs.get("recipe", "")), run.product, finished


def _draw_maps(
    reference: Run, comparisons: Sequence[Comparison], overviews: Mapping[str, xr.DataArray]
) -> dict[str, Any]:
    images = list(overviews.values())
    if len(images) < 2:
        return {}
    distance = find_distance(reference.tree)
    blinking = render_screen(plot_blinking(reference, images, distance))
    pictures = [
        one for one in blinking.select({"type": GlyphRenderer}) if isinstance(one.glyph, Image)
    ]
    pictures.sort(key=lambda one: blinking.renderers.index(one))
    for number, picture in enumerate(pictures):
        picture.name = f"{MAP}{number}"
        picture.visible = number == 0
    models = {"blinking": blinking}
    for number, one in enumerate(comparisons):
        if one.run.label in overviews:
            pair = [images[0], overviews[one.run.label]]
            difference = plot_difference(reference, one.run, pair, distance)
            models[f"difference{number}"] = render_screen(difference)
    return models
