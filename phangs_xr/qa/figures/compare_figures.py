"""Runs of one galaxy beside each other: maps that blink, ratios of nebulae, pixels by pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from bokeh.models import HoverTool

from phangs_xr.drawing.stretch import choose_stretch
from phangs_xr.qa.figures.draw_map import draw_compass, draw_image, draw_scale_bar, draw_values
from phangs_xr.qa.figures.line_fits import LineFit, draw_line_fit
from phangs_xr.qa.figures.sky_axes import OffsetPlane, place_on_sky
from phangs_xr.qa.figures.style import (
    BLACK,
    COLOURS,
    FLUX_UNIT,
    GREY,
    RATIO_MAP,
    SKY_COLOUR,
    Paper,
    arrange,
    choose_ratio_limit,
    draw_bar,
    frame,
    style,
    thin_out,
    tick_ratios,
)
from phangs_xr.qa.measure.compare_runs import Comparison, PixelComparison, Run
from phangs_xr.sky.grid import get_grid

_SIDE = 440
_PLOT = {"frame_width": _SIDE, "frame_height": _SIDE}
_POINTS = {
    "size": 6,
    "fill_alpha": 0.8,
    "nonselection_fill_alpha": 0.08,
    "nonselection_line_alpha": 0.0,
}


def plot_blinking(
    reference: Run, images: Sequence[xr.DataArray], distance: float | None = None
) -> hv.Overlay:
    """Draw maps on one grid over each other, the last on top, all in the colours of the first.

    Parameters
    ----------
    reference
        Whose grid it is.
    images
        Block means of the maps, a run each, the reference's first.
    distance
        Of the galaxy [Mpc], for the scale bar.
    """
    plane = OffsetPlane(get_grid(reference.image), distance)
    stretch = choose_stretch(images[0].values)
    pictures = [
        draw_image(plane, image, stretch, with_bar=number == 0)
        for number, image in enumerate(images)
    ]
    marks = [*draw_scale_bar(plane), *draw_compass(plane)]
    return _frame_map(plane, [*pictures, *marks], "")


def plot_difference(
    reference: Run, run: Run, images: Sequence[xr.DataArray], distance: float | None = None
) -> hv.Overlay:
    """Draw what a run's map has more than the reference's, block means of both given."""
    plane = OffsetPlane(get_grid(reference.image), distance)
    difference = images[1] - images[0].values
    finite = np.abs(difference.values[np.isfinite(difference.values)])
    reach = float(np.percentile(finite, 99)) if finite.size and finite.any() else 1.0
    picture = draw_values(
        plane,
        difference,
        f"{FLUX_UNIT} per HST pixel",
        cmap=RATIO_MAP,
        limits=(-reach, reach),
        ticks=[float(f"{one:.2g}") for one in (-reach, -reach / 2, 0.0, reach / 2, reach)],
    )
    marks = [*draw_scale_bar(plane), *draw_compass(plane)]
    return _frame_map(plane, [picture, *marks], f"{run.label} less {reference.label}")


def _frame_map(plane: OffsetPlane, layers: list[Any], title: str) -> hv.Overlay:
    return frame(
        hv.Overlay(layers),
        title=title,
        bgcolor=SKY_COLOUR,
        show_legend=False,
        bokeh={**plane.bokeh, **_PLOT},
        mpl=plane.mpl,
    )


def plot_ratios(reference: Run, comparison: Comparison) -> hv.Layout:
    """Draw the ratio of the fluxes of nebulae in two runs, against flux and on the sky, linked.

    Those that either does not cover fully are grey.
    """
    nebulae = comparison.nebulae
    plane = OffsetPlane(get_grid(reference.image))
    x, y = place_on_sky(plane, nebulae["ra"].values, nebulae["dec"].values)
    whole = nebulae["whole"].values
    columns = {
        name: nebulae[name].values
        for name in ("region_ID", "ra", "dec", "flux", "error", "reference", "ratio")
    }
    columns |= {plane.dims[0].name: x, plane.dims[1].name: y}
    columns["colour"] = np.where(whole, COLOURS[0], GREY)
    table = hv.Dataset(columns, kdims=["region_ID"], vdims=list(columns)[1:])
    limit = choose_ratio_limit(columns["ratio"][whole])
    label = f"{comparison.run.label} / {reference.label}"
    panels = [
        _draw_by_flux(table, reference, label, limit),
        _draw_on_sky(table, plane, label, limit),
    ]
    return arrange(panels, 2, Paper(4.2, 4.2, right=1.0))


def _place_points(table: hv.Dataset, dims: Sequence[hv.Dimension]) -> hv.Points:
    others = [one for one in table.dimensions() if one.name not in {dim.name for dim in dims}]
    return hv.Points(table, kdims=list(dims), vdims=others)


def _make_hover() -> HoverTool:
    tips = [("ID", "@region_ID"), ("RA", "@ra{0.00000}°"), ("Dec", "@dec{0.00000}°")]
    tips += [("reference", "@reference{0.000a}"), ("flux", "@flux{0.000a}")]
    return HoverTool(tooltips=[*tips, ("error", "@error{0.000a}"), ("ratio", "@ratio{0.000}")])


def _draw_by_flux(table: hv.Dataset, reference: Run, label: str, limit: float) -> hv.Overlay:
    x = hv.Dimension("reference", label=f"{reference.product} in {reference.label}", unit=FLUX_UNIT)
    y = hv.Dimension("ratio", label=label)
    flux = table["reference"]
    known = flux[(flux > 0) & (table["ratio"] > 0)]
    ends = (known.min() / 1.6, known.max() * 1.6) if known.size else (1.0, 10.0)
    line = style(
        hv.Curve((ends, (1.0, 1.0)), x, y), color=BLACK, apply_ranges=False, width=(1.2, 1.0)
    )
    tools = ["box_select", "lasso_select", "tap", _make_hover()]
    points = style(
        _place_points(table, (x, y)),
        bokeh={**_POINTS, "fill_color": "colour", "line_alpha": 0, "tools": tools},
        mpl={"color": "colour", "s": 14},
    )
    high = max(limit**1.5, 1.15)
    return frame(
        hv.Overlay([line, points]),
        title="against flux",
        logx=True,
        logy=True,
        xlim=ends,
        ylim=(1 / high, high),
        yticks=tick_ratios(high),
        show_grid=True,
        show_legend=False,
        bokeh=_PLOT,
        mpl={"aspect": "auto"},
    )


def _draw_on_sky(table: hv.Dataset, plane: OffsetPlane, label: str, limit: float) -> hv.Points:
    bar = draw_bar(label, tick_ratios(limit), below=False)
    thin = thin_out(len(table))
    look = {**_POINTS, "line_color": BLACK, "line_alpha": 0.6, "size": 8 * thin**0.5}
    return frame(
        _place_points(table, plane.dims),
        title="on the sky",
        show_grid=True,
        color="ratio",
        cmap=RATIO_MAP,
        clim=(1 / limit, limit),
        cnorm="log",
        bokeh={
            **{**look, "tools": ["box_select", "lasso_select", "tap", _make_hover()]},
            **{**bar["bokeh"], **plane.bokeh, **_PLOT},
        },
        mpl={"s": 26 * thin, **bar["mpl"], **plane.mpl},
    )


def plot_pixel_pairs(reference: Run, run: Run, pixels: PixelComparison) -> hv.Overlay:
    """Draw the 2-D histogram of the pixels of two maps, with the line through them."""
    fit = LineFit(
        pixels.counts.astype(np.float64),
        pixels.slope,
        pixels.offset,
        "pixel by pixel",
        f"{reference.product} in {reference.label}",
        f"{run.product} in {run.label}",
        FLUX_UNIT,
        about=reference.product,
    )
    return draw_line_fit(fit, side=_SIDE)
