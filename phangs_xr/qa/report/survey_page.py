"""The index page of a survey: a row per field with its picture, numbers, findings and report."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phangs_xr.drawing.stretch import choose_stretch
from phangs_xr.engine.runner import Runner
from phangs_xr.qa.figures.style import FLUX_MAP, SKY_COLOUR
from phangs_xr.qa.measure.numbers import write_whole
from phangs_xr.qa.measure.overviews import average_image
from phangs_xr.qa.measure.summarize_fields import NUMBERS, FieldSummary
from phangs_xr.qa.report.render_template import render_template

THUMBNAIL = 120
"""Most pixels along a side of a field's picture."""

COLUMNS = (
    ("compared", "nebulae", 0),
    ("median_ratio", "median ratio", 3),
    ("scatter", "scatter [dex]", 3),
    ("slope", "slope", 3),
    ("negative", "not positive", 0),
    ("shift", "shift [″]", 3),
)
"""The numbers of the page, their headings and decimals."""

_WEIGHTS = {"problem": 2, "warning": 1, "note": 0}

_SHOWN = 2
"""Findings of a field that are read without a click."""


def draw_thumbnail(image: xr.DataArray, runner: Runner | None = None) -> bytes:
    """Return a small picture of a map, north up if its grid is, as PNG.

    `image` may be lazy: it is read tile by tile by `runner`, threads of this process if None.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba
    from matplotlib.image import imsave

    small = average_image(image, runner, side=THUMBNAIL).values
    stretch = choose_stretch(small)
    share = np.clip(stretch.apply(small) / stretch.limits[1], 0, 1)
    pixels = colormaps[FLUX_MAP](share)
    pixels[~np.isfinite(small)] = to_rgba(SKY_COLOUR)
    buffer = io.BytesIO()
    # Rows of the sky go upwards, those of a picture downwards.
    imsave(buffer, pixels[::-1, :, :3], format="png")
    return buffer.getvalue()


def write_survey_page(
    path: Path, summaries: Sequence[FieldSummary], thumbnails: Sequence[bytes]
) -> Path:
    """Write the index page of a survey, which needs no network.

    Parameters
    ----------
    path
        Of the page; links to reports are relative to it where they can be.
    summaries
        Of the fields, a row each.
    thumbnails
        PNGs, in the order of the fields; empty where there is none.

    Returns
    -------
    Path
        Of the page.
    """
    rows = [_list_row(path, *pair) for pair in zip(summaries, thumbnails, strict=True)]
    counts = {
        name: sum(one.worst == name for one in summaries if one.state == "checked")
        for name in _WEIGHTS
    }
    page = render_template(
        "survey.html.j2",
        fields=rows,
        verdict=_tell_verdict(summaries, counts),
        columns=[(name, heading, NUMBERS[name][1]) for name, heading, _ in COLUMNS],
    )
    return write_whole(path, page)


def _tell_verdict(summaries: Sequence[FieldSummary], counts: dict[str, int]) -> str:
    unchecked = sum(one.state != "checked" for one in summaries)
    parts = [
        f"{counts['problem']} with problems" if counts["problem"] else "",
        f"{counts['warning']} with warnings" if counts["warning"] else "",
        f"{counts['note']} in which nothing wrong was found" if counts["note"] else "",
        f"{unchecked} that could not be used" if unchecked else "",
    ]
    return f"{len(summaries)} fields: {', '.join(part for part in parts if part)}."


def _list_row(path: Path, one: FieldSummary, thumbnail: bytes) -> dict[str, Any]:
    report = Path(one.directory) / "report.html" if one.directory else None
    told = [dict(found) for found in one.findings]
    if one.state != "checked":
        told = [{"severity": "problem", "sentence": f"{one.state}: {one.reason}"}]
    heavy = [found for found in told if found["severity"] != "note"] or told[:1]
    numbers = [(one.numbers.get(name, math.nan), digits) for name, _, digits in COLUMNS]
    return {
        "label": one.label,
        "galaxy": one.galaxy,
        "recipe": one.recipe,
        "best": one.best,
        "finished": one.finished[:16].replace("T", " "),
        "picture": base64.b64encode(thumbnail).decode(),
        "link": os.path.relpath(report, path.parent) if report and report.exists() else "",
        "cells": [_format_cell(value, digits) for value, digits in numbers],
        "weight": _WEIGHTS[one.worst],
        "worst": one.worst if one.state == "checked" else one.state,
        "shown": heavy[:_SHOWN],
        "more": [found for found in told if found not in heavy[:_SHOWN]],
    }


def _format_cell(value: float, digits: int) -> tuple[str, str]:
    """Return how a number reads, and by what it is sorted: unknown ones last."""
    if not math.isfinite(value):
        return "–", ""
    return f"{value:.{digits}f}".replace("-", "−"), repr(value)
