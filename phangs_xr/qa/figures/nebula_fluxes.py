"""Nebula fluxes: HST and anchored HST against MUSE, and their ratio against flux and on the sky."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from bokeh.models import HoverTool

from phangs_xr.qa.figures.hooks_matplotlib import rasterise_many
from phangs_xr.qa.figures.nebula_table import NAMES, Column, choose_colours, tabulate_nebulae
from phangs_xr.qa.figures.sky_axes import Axes, choose_plane
from phangs_xr.qa.figures.style import (
    BLACK,
    FLUX_UNIT,
    GREY,
    RATIO_MAP,
    Paper,
    arrange,
    choose_ratio_limit,
    draw_bar,
    frame,
    put_on_paper,
    style,
    thin_out,
    tick_ratios,
)
from phangs_xr.qa.measure.products import find_best, find_plain, list_compared
from phangs_xr.sky.grid import get_grid

_BINS = 8
_FEWEST = 5
_RATIO_REACH = 30.0
_PLOT = {"frame_width": 400, "frame_height": 400, "default_tools": ["wheel_zoom", "save", "reset"]}
_MUSE = hv.Dimension("muse", label="MUSE Hα flux", unit=FLUX_UNIT)


def plot_fluxes(
    field: xr.DataTree,
    nebulae: xr.Dataset,
    *,
    product: str | None = None,
    numbers: Mapping[str, Any] | None = None,
    table: hv.Dataset | None = None,
) -> hv.Layout:
    """Draw HST and anchored HST nebula fluxes against MUSE's, side by side, log-log.

    Parameters
    ----------
    field
        With `/hst`.
    nebulae
        As `measure_nebulae` returns them.
    product
        Which of the measured maps; the recipe's best if None.
    numbers
        As `compare_fluxes` returns them, for the titles.
    table
        Of `tabulate_nebulae`, when the figure shares its selection with others.

    Returns
    -------
    hv.Layout
        Two panels with y = x (line), 3x and x/3 (dashed); colours are catalogue classes, bars the
        catalogue's errors. Fluxes that are not positive are counted in the title.

    Raises
    ------
    InputError
        If there are no nebulae, or their fluxes were not measured.
    """
    product = product or find_best(field)
    table = tabulate_nebulae(field, nebulae, product) if table is None else table
    limits = find_flux_limits(table)
    names = dict.fromkeys((list_compared(field)[0], product))
    panels = [draw_fluxes(table, name, limits, numbers) for name in names]
    return arrange(panels, 2, Paper(4.2, 4.2))


def find_flux_limits(table: hv.Dataset) -> tuple[float, float]:
    """Return one range of fluxes for both axes of both panels of `plot_fluxes`."""
    fluxes = np.concatenate([table[name] for name in ("muse", *NAMES) if name in table])
    return _find_limits(fluxes[fluxes > 0])


def draw_fluxes(
    table: hv.Dataset,
    product: str,
    limits: tuple[float, float],
    numbers: Mapping[str, Any] | None = None,
) -> hv.Overlay:
    """Draw one panel of `plot_fluxes`."""
    y = hv.Dimension(product, label=f"{NAMES[product]} Hα flux", unit=FLUX_UNIT)
    guides = [
        _draw_guide(y, limits, factor, label=label)
        for factor, label in ((1.0, "y = x"), (3.0, "y = 3x, x/3"), (1 / 3, ""))
    ]
    layers = [*guides, *_draw_errors(table, y), _draw_points(table, y), *_draw_legend(table, y)]
    hidden = int(np.sum((table["muse"] <= 0) | (table[product] <= 0)))
    title = f"{NAMES[product]}{_describe(product, numbers)}{f'; {hidden} ≤ 0' if hidden else ''}"
    return _frame_fluxes(layers, title=title, xlim=limits, ylim=limits, legend_position="top_left")


def _frame_fluxes(layers: list[Any], **options: Any) -> hv.Overlay:
    mpl = {"aspect": "auto"}
    overlay = hv.Overlay(layers)
    return frame(overlay, show_grid=True, logx=True, logy=True, bokeh=_PLOT, mpl=mpl, **options)


def _describe(product: str, numbers: Mapping[str, Any] | None) -> str:
    """Median ratio and scatter, where they were measured."""
    found = (numbers or {}).get(product, {})
    ratio, scatter = (found.get(name, math.nan) for name in ("median_ratio", "scatter"))
    if not (math.isfinite(ratio) and math.isfinite(scatter)):
        return " against MUSE"
    return f": median {ratio:.2f}, scatter {scatter:.2f} dex"


def _find_limits(values: Column) -> tuple[float, float]:
    """Return a range for a logarithmic axis, with some air."""
    if values.size == 0:
        return 1.0, 10.0
    return float(values.min()) / 1.6, float(values.max()) * 1.6


def _draw_guide(
    y: hv.Dimension, limits: tuple[float, float], factor: float, power: int = 1, label: str = ""
) -> hv.Curve:
    """Draw y = factor x^power through all of a panel, dashed unless the factor is 1."""
    ends = np.array([limits[0] / 10, limits[1] * 10])
    line = hv.Curve((ends, factor * ends**power), _MUSE, y, label=label)
    dash = "solid" if factor == 1 else "dashed"
    return style(line, color=BLACK, apply_ranges=False, width=(1.2, 1.0), dash=dash)


def _draw_errors(table: hv.Dataset, y: hv.Dimension) -> list[hv.ErrorBars]:
    """Draw MUSE's errors, of the catalogue, across, and HST's, as measured, upwards."""
    muse, flux = table["muse"], table[y.name]
    both = (("error", muse, True), (f"error_{y.name}", flux, False))
    return [
        bars
        for name, values, horizontal in both
        for bars in _draw_bars((muse, flux), values, table[name], y, horizontal=horizontal)
    ]


def _draw_bars(
    place: tuple[Column, Column],
    values: Column,
    error: Column,
    y: hv.Dimension,
    *,
    horizontal: bool,
) -> list[hv.ErrorBars]:
    shown = np.isfinite(error) & (place[0] > 0) & (place[1] > 0)
    if not shown.any():
        return []
    # A bar that reaches zero or below has no end on a logarithmic axis.
    down = np.minimum(error, 0.9 * values)
    bars = hv.ErrorBars(
        tuple(column[shown] for column in (*place, down, error)),
        kdims=[_MUSE],
        vdims=[y, "error_down", "error_up"],
        horizontal=horizontal,
    )
    bokeh = {"line_color": GREY, "upper_head": None, "lower_head": None}
    mpl = {"edgecolor": GREY, "elinewidth": 0.6, "capsize": 0, "hooks": [rasterise_many]}
    return [style(bars, bokeh=bokeh, mpl=mpl)]


def _draw_points(table: hv.Dataset, y: hv.Dimension) -> hv.Points:
    mpl = {"color": "colour", "s": 14, "linewidth": 0, "alpha": 0.85, "hooks": [rasterise_many]}
    # Not `color`, whose column of the shared data holds the ratio's colours.
    bokeh = {**_options_of_points(table), "fill_color": "colour"}
    return style(_place_points(table, _MUSE, y), bokeh=bokeh, mpl=mpl)


def _place_points(table: hv.Dataset, x: hv.Dimension, y: hv.Dimension) -> hv.Points:
    """Return all of a table as points, so that figures share its selection."""
    others = [one for one in table.dimensions() if one.name not in (x.name, y.name)]
    return hv.Points(table, kdims=[x, y], vdims=others)


def _draw_legend(table: hv.Dataset, y: hv.Dimension) -> list[hv.Points]:
    """Return empty points that put the groups and their colours into a legend.

    The legends that HoloViews makes of coloured points differ between backends, and hide the
    labels of other elements in one of them.
    """
    nowhere = (np.array([np.nan]), np.array([np.nan]))
    look: dict[str, Any] = {"bokeh": {"size": 7, "line_alpha": 0}, "mpl": {"s": 20, "linewidth": 0}}
    return [
        style(
            hv.Points(nowhere, kdims=[_MUSE, y], label=name),
            color=colour,
            apply_ranges=False,
            **look,
        )
        for name, colour in choose_colours(table["group"]).items()
    ]


def _options_of_points(table: hv.Dataset) -> dict[str, Any]:
    tooltips = [("ID", "@region_ID"), ("RA", "@{ra}{%.5f}°"), ("Dec", "@{dec}{%.5f}°")]
    tooltips += [("MUSE", "@{muse}{%.3e}")]
    for name in (one for one in NAMES if one in table):
        tooltips += [(NAMES[name], f"@{{{name}}}{{%.3e}}")]
        tooltips += [(f"{NAMES[name]} / MUSE", f"@{{ratio_{name}}}{{%.3f}}")]
    printed: dict[str, Any] = {
        text.partition("{%")[0]: "printf" for _, text in tooltips if "{%" in text
    }
    hover = HoverTool(tooltips=[*tooltips, ("class", "@group")], formatters=printed)
    return {
        "size": 6,
        "line_alpha": 0,
        "fill_alpha": 0.8,
        "nonselection_fill_alpha": 0.08,
        "tools": ["box_select", "lasso_select", "pan", "box_zoom", "tap", hover],
    }


def plot_ratio_by_flux(
    field: xr.DataTree,
    nebulae: xr.Dataset,
    *,
    product: str | None = None,
    table: hv.Dataset | None = None,
) -> hv.Overlay:
    """Draw the ratio of anchored HST to MUSE flux of every nebula against its MUSE flux.

    Parameters are those of `plot_fluxes`.

    Returns
    -------
    hv.Overlay
        Points in the colours of their class, the running median and the range that holds 68 % of
        the nebulae (band), and ratios 1, 3 and 1/3.

    Raises
    ------
    InputError
        If there are no nebulae, or their fluxes were not measured.
    """
    product = product or find_best(field)
    table = tabulate_nebulae(field, nebulae, product) if table is None else table
    muse, ratio = table["muse"], table[f"ratio_{product}"]
    shown = (muse > 0) & (ratio > 0)
    y = hv.Dimension(f"ratio_{product}", label=f"{NAMES[product]} / MUSE")
    limits = _find_limits(muse[shown])
    reach = np.exp(np.abs(np.log(ratio[shown])).max(initial=0.0))
    high = min(max(1.15 * reach, 1.3), _RATIO_REACH)
    guides = [_draw_guide(y, limits, value, power=0) for value in (1.0, 1 / 3, 3.0)]
    band, median = _draw_running_median(muse[shown], ratio[shown], y)
    panel = _frame_fluxes(
        [*guides, *band, _draw_points(table, y), *median, *_draw_legend(table, y)],
        title=f"{NAMES[product]} / MUSE against flux",
        xlim=limits,
        ylim=(1 / high, high),
        legend_position="top_right",
        yticks=tick_ratios(high),
    )
    return put_on_paper(panel, Paper(5.5, 4.2))


def _draw_running_median(
    muse: Column, ratio: Column, y: hv.Dimension
) -> tuple[list[hv.Area], list[hv.Curve]]:
    """Band of 16 to 84 %, and median, in bins of equal width; nothing from too few nebulae."""
    if muse.size < _BINS * _FEWEST:
        return [], []
    edges = np.geomspace(muse.min(), muse.max() * (1 + 1e-9), _BINS + 1)
    place = np.digitize(muse, edges) - 1
    filled = [index for index in range(_BINS) if np.sum(place == index) >= _FEWEST]
    middle = np.sqrt(edges[:-1] * edges[1:])[filled]
    low, median, high = np.transpose(
        [np.percentile(ratio[place == index], (16, 50, 84)) for index in filled]
    )
    band = hv.Area((middle, low, high), kdims=[_MUSE], vdims=[y, "upper"])
    line = hv.Curve((middle, median), _MUSE, y, label="median, 16–84 %")
    # HoloViews looks for the range of an area where nothing is normalised.
    band = style(
        band,
        alpha=0.3,
        apply_ranges=False,
        bokeh={"fill_color": GREY, "line_alpha": 0},
        mpl={"color": GREY, "facecolor": GREY, "linewidth": 0},
    )
    return [band], [style(line, color=BLACK, width=(3, 2.2))]


def plot_ratio_on_sky(
    field: xr.DataTree,
    nebulae: xr.Dataset,
    *,
    product: str | None = None,
    axes: Axes = "offset",
    table: hv.Dataset | None = None,
) -> hv.Points:
    """Draw every nebula at its place on the sky, coloured by its ratio of anchored HST to MUSE.

    Parameters
    ----------
    field, nebulae, product, table
        As for `plot_fluxes`; a `table` must have been made for the same `axes`.
    axes
        Offsets from the centre of the HST image [arcsec], or RA and Dec (matplotlib only).

    Returns
    -------
    hv.Points
        White is a ratio of 1; the colours end where nearly all nebulae do, at 3 at most. Nebulae
        without a positive ratio are not drawn.

    Raises
    ------
    InputError
        If there are no nebulae, or their fluxes were not measured.
    """
    product = product or find_best(field)
    table = tabulate_nebulae(field, nebulae, product, axes) if table is None else table
    plane = choose_plane(get_grid(find_plain(field)), axes)
    limit = choose_ratio_limit(table[f"ratio_{product}"])
    bar = draw_bar(f"{NAMES[product]} / MUSE flux", tick_ratios(limit), below=False)
    thin = thin_out(len(table))
    look = {"line_alpha": 0.6, "line_color": BLACK, "size": 8 * thin**0.5}
    panel = frame(
        _place_points(table, *plane.dims),
        title=f"{NAMES[product]} / MUSE on the sky",
        show_grid=axes == "offset",
        color=f"ratio_{product}",
        cmap=RATIO_MAP,
        clim=(1 / limit, limit),
        cnorm="log",
        width=(0.5 * thin, 0.4 * thin),
        bokeh={**_options_of_points(table), **look, **bar["bokeh"], **plane.bokeh, **_PLOT},
        mpl={
            **{"s": 26 * thin, "edgecolor": BLACK, **bar["mpl"], **plane.mpl},
            "hooks": [*bar["mpl"]["hooks"], rasterise_many],
        },
    )
    return put_on_paper(panel, Paper(4.8, 4.8, left=1.1, right=1.0))


def plot_linked(
    field: xr.DataTree,
    nebulae: xr.Dataset,
    *,
    product: str | None = None,
    numbers: Mapping[str, Any] | None = None,
) -> hv.Layout:
    """Draw fluxes, ratio by flux and ratio on the sky so that a selection in one shows in all.

    Parameters and errors are those of `plot_fluxes`. In Bokeh all panels share one table of data,
    so the selection works in a saved page too.
    """
    product = product or find_best(field)
    table = tabulate_nebulae(field, nebulae, product)
    first = plot_fluxes(field, nebulae, product=product, numbers=numbers, table=table)
    panels = [
        *first,
        plot_ratio_by_flux(field, nebulae, product=product, table=table),
        plot_ratio_on_sky(field, nebulae, product=product, table=table),
    ]
    return arrange(panels, 2, Paper(4.2, 4.2, right=1.0))
