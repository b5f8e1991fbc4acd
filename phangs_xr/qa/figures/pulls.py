"""Whether the errors hold: HST's map against MUSE's, in their errors."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.qa.figures.draw_map import MAP_WIDTH, draw_marks, draw_values
from phangs_xr.qa.figures.hooks_matplotlib import rasterise_many
from phangs_xr.qa.figures.sky_axes import Axes, choose_plane
from phangs_xr.qa.figures.style import (
    BLACK,
    COLOURS,
    FLUX_UNIT,
    GREY,
    RATIO_MAP,
    SKY_COLOUR,
    Paper,
    arrange,
    frame,
    style,
    thin_out,
)
from phangs_xr.qa.measure.overviews import Overview, reduce_field, sample_image
from phangs_xr.qa.measure.products import find_distance
from phangs_xr.qa.measure.pulls import NEEDED, Pulls, find_spread, measure_pulls
from phangs_xr.sky.grid import get_grid

REACH = 6.0
"""Pulls that are shown, either side."""

_COLOURS_REACH = 4.0

_BINS = 48
_SIDE = 330
_PULL = "(HST − MUSE) / error"


def plot_pulls(
    field: xr.DataTree,
    nebulae: xr.Dataset,
    *,
    axes: Axes = "offset",
    overview: Overview | None = None,
) -> hv.Layout:
    """Draw how far HST's map, alone, is from MUSE's in their errors.

    Parameters
    ----------
    field
        Of a recipe that gives errors.
    nebulae
        As `measure_nebulae` returns them; without any, spaxels alone are drawn.
    axes
        Offsets from the centre [arcsec], or RA and Dec (matplotlib only).
    overview
        Of `reduce_field`, when there is one already.

    Returns
    -------
    hv.Layout
        Histogram of the pulls of spaxels and nebulae beside the Gaussian that they follow if all
        errors hold; the pull of each nebula against its flux; those of spaxels on the sky, one for
        each block of HST's pixels.

    Raises
    ------
    InputError
        If the field has no comparison with errors.
    """
    pulls = measure_pulls(field, nebulae)
    if pulls is None:
        message = (
            f"{', '.join(NEEDED)} and the noise of HST's map are needed for pulls, the field does "
            f"not hold all: run a recipe that gives errors, with MUSE's errors"
        )
        raise InputError(message)
    overview = reduce_field(field) if overview is None else overview
    plane = choose_plane(overview.grid, axes, find_distance(field))
    target = get_grid(next(iter(overview.images.values())))
    picture = draw_values(
        plane,
        sample_image(pulls.spaxels, target),
        _PULL,
        cmap=RATIO_MAP,
        limits=(-_COLOURS_REACH, _COLOURS_REACH),
        ticks=(-4, -2, 0, 2, 4),
    )
    sky = frame(
        hv.Overlay([picture, *draw_marks(overview, plane)]),
        title="spaxels on the sky",
        bgcolor=SKY_COLOUR,
        show_legend=False,
        bokeh={**plane.bokeh, "frame_width": _SIDE, "frame_height": _SIDE},
        mpl=plane.mpl,
    )
    panels = [_draw_histogram(pulls), *_draw_by_flux(nebulae, pulls.nebulae), sky]
    return arrange(panels, 3, Paper(MAP_WIDTH + 0.4, MAP_WIDTH + 0.4, right=1.0), linked=False)


def _draw_histogram(pulls: Pulls) -> hv.Overlay:
    edges = np.linspace(-REACH, REACH, _BINS + 1)
    fine = np.linspace(-REACH, REACH, 201)
    x = hv.Dimension("pull", label=_PULL)
    y = hv.Dimension("density", label="share per unit of error")
    bell = hv.Curve((fine, np.exp(-0.5 * fine**2) / np.sqrt(2 * np.pi)), x, y, label="Gaussian")
    layers = [style(bell, color=BLACK, width=(1.5, 1.2), dash="dashed")]
    texts = []
    sets = {"spaxels": (pulls.spaxels.values, edges), "nebulae": (pulls.nebulae, edges[::4])}
    for (name, (values, bins)), colour in zip(sets.items(), COLOURS, strict=False):
        middle, spread, number = find_spread(values)
        if number == 0:
            continue
        counts, _ = np.histogram(values[np.isfinite(values)], bins)
        density = counts / number / np.diff(bins)
        centres = (bins[1:] + bins[:-1]) / 2
        steps = hv.Curve((centres, density), x, y, label=f"{number} {name}")
        layers.append(style(steps, color=colour, interpolation="steps-mid", width=(2, 1.6)))
        texts.append(f"{name} {middle:+.2f} ± {spread:.2f}".replace("-", "−"))
    return frame(
        hv.Overlay(layers),
        title=", ".join(texts),
        xlim=(-REACH, REACH),
        ylim=(0, 0.62),
        show_grid=True,
        legend_position="top_right",
        bokeh={"frame_width": _SIDE, "frame_height": _SIDE},
        mpl={"aspect": "auto"},
    )


def _draw_by_flux(nebulae: xr.Dataset, pulls: NDArray[Any]) -> list[hv.Overlay]:
    """Draw the pull of each nebula against its flux; nothing without nebulae that have pulls."""
    if not np.isfinite(pulls).any():
        return []
    flux = nebulae["flux_muse"].values.astype(np.float64)
    shown = np.isfinite(pulls) & (flux > 0)
    x = hv.Dimension("muse", label="MUSE Hα flux", unit=FLUX_UNIT)
    y = hv.Dimension("pull", label=_PULL)
    ids = nebulae["region_ID"].values[shown]
    points = hv.Points((flux[shown], pulls[shown], ids), kdims=[x, y], vdims=["region_ID"])
    thin = thin_out(int(shown.sum()))
    ends = np.array([flux[shown].min() / 1.6, flux[shown].max() * 1.6])
    high = max(REACH, 1.1 * float(np.abs(pulls[shown]).max()))
    lines = [
        style(
            hv.Curve((ends, [level, level]), x, y),
            color=BLACK if level == 0 else GREY,
            width=(1.2, 1.0),
            dash="solid" if level == 0 else "dashed",
        )
        for level in (0, -1, 1, -3, 3)
    ]
    tips = [("ID", "@region_ID"), ("MUSE", "@muse{0.000a}"), ("pull", "@pull{0.00}")]
    marks = style(
        points,
        color=COLOURS[1],
        bokeh={
            "size": 7 * thin**0.5,
            "line_alpha": 0,
            "fill_alpha": 0.8,
            "tools": ["hover"],
            "hover_tooltips": tips,
        },
        mpl={"s": 16 * thin, "linewidth": 0, "hooks": [rasterise_many]},
    )
    panel = frame(
        hv.Overlay([*lines, marks]),
        title="nebulae by flux",
        logx=True,
        xlim=tuple(ends),
        ylim=(-high, high),
        show_grid=True,
        show_legend=False,
        bokeh={"frame_width": _SIDE, "frame_height": _SIDE},
        mpl={"aspect": "auto"},
    )
    return [panel]
