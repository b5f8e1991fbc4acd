"""The app of `phangs-xr explore`: maps at every zoom, and the nebulae, one by one, linked."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh
import pandas as pd
import xarray as xr
from bokeh.models import CustomJS
from bokeh.models.widgets.inputs import NumericInput

from phangs_xr.errors import InputError
from phangs_xr.qa.app_views import SCREEN, STRETCHES, Views, read_ids, write_ids
from phangs_xr.qa.figures.gallery import COUNT, plot_gallery
from phangs_xr.qa.figures.nebula_fluxes import draw_fluxes, find_flux_limits, plot_ratio_by_flux
from phangs_xr.qa.figures.nebula_table import tabulate_nebulae
from phangs_xr.qa.measure.products import find_best, find_plain, get_node
from phangs_xr.schema import PRODUCTS

WIDE = 1400
"""Width of a window whose own is not known [pixel]."""

_BLINK = 800
"""Time that each of two blinking maps is shown [ms]."""

_AROUND, _SCATTER = 110, 400
"""Room that the axes and tools of a map take beside it, and the side of a flux figure [pixel]."""

_NARROWEST = 320
"""Width of a window that the app still fits into [pixel]."""

_MODES = ("side by side", "blinking")

_COLOURS = {"problem": "#a50000", "warning": "#d55e00", "note": "#0072b2"}
"""Of a finding's mark: those of the report."""


def build_app(tree: xr.DataTree, width: int = WIDE) -> Any:
    """Build the app for one visitor.

    Parameters
    ----------
    tree
        A finished run, lazily opened. Nebulae and findings are shown if `phangs-xr qa` has measured
        them.
    width
        Of the visitor's window [pixel]: what stands side by side in a wide one is stacked in a
        narrow one, and nothing is wider.

    Returns
    -------
    panel.viewable.Viewable
        Findings; choices of products and stretch; one map, or two, side by side or blinking; the
        flux figures, and what is selected in them.

    Raises
    ------
    InputError
        If Panel is not installed, or the field has no `halpha`.
    """
    pn = require_panel()
    nebulae = get_node(tree, "nebulae")
    controls = _make_controls(pn, tree, width)
    chosen = controls.chosen
    maps = pn.bind(
        partial(_show_maps, pn, tree, nebulae, controls, width), controls.second, controls.mode
    )
    try:
        fluxes = _link_fluxes(pn, tree, nebulae, chosen, min(_SCATTER, width - _AROUND))
    except InputError as error:
        fluxes = pn.pane.Str(f"No nebulae: {error}")
    details = pn.bind(partial(_show_chosen, pn, tree, nebulae), chosen)
    return pn.Column(
        pn.pane.HTML(_list_findings(tree), sizing_mode="stretch_width"),
        controls.row,
        # What does not fit beside the others goes below.
        pn.FlexBox(pn.Column(maps), fluxes, pn.Column(details, scroll=True, max_width=width - 20)),
        sizing_mode="stretch_width",
    )


@dataclass
class _Controls:
    """The widgets: two products, how they are shown, stretch, nebulae; `row` holds all.

    `blinker` is what lets two maps blink, while they do.
    """

    first: Any
    second: Any
    mode: Any
    stretch: Any
    chosen: Any
    row: Any
    blinker: Any = None


def _make_controls(pn: Any, tree: xr.DataTree, width: int) -> _Controls:
    made = [name for name in PRODUCTS if name in tree["hst"].data_vars]
    names = {f"{PRODUCTS[name].long_name} ({name})": name for name in made}
    wide = min(330, width - 40)
    first = pn.widgets.Select(label="Map", options=names, value=find_best(tree), width=wide)
    others = {"none": "", **names}
    second = pn.widgets.Select(label="Second map", options=others, value="", width=wide)
    mode = pn.widgets.RadioButtonGroup(options=list(_MODES), value=_MODES[0], align="end")
    stretch = pn.widgets.Select(label="Stretch", options=list(STRETCHES), value="asinh", width=140)
    chosen = pn.widgets.TextInput(label="Nebulae (IDs, separated by commas)", width=260)
    row = pn.FlexBox(first, second, mode, stretch, chosen, align_items="end")
    return _Controls(first, second, mode, stretch, chosen, row)


def _list_findings(tree: xr.DataTree) -> str:
    """Return what `phangs-xr qa` found, the weightiest first, as HTML."""
    found = (tree.attrs.get("quality") or {}).get("findings")
    title = f"<b>{html.escape(str(tree.attrs.get('galaxy', 'field')))}</b>"
    if not found:
        return f"{title}: nothing is known of its quality: run phangs-xr qa."
    rows = [
        f'<li><span style="color:{_COLOURS[one["severity"]]}">{one["severity"]}</span>: '
        f"{html.escape(one['sentence'])}</li>"
        for one in found
    ]
    worst = [one for one in found if one["severity"] != "note"]
    counted = f"{len(worst)} finding{'s' if len(worst) > 1 else ''}"
    state = counted if worst else "nothing wrong was found"
    opened = " open" if worst else ""
    listed = "".join(rows)
    return f"<details{opened}><summary>{title}: {state}</summary><ul>{listed}</ul></details>"


def _show_maps(
    pn: Any,
    tree: xr.DataTree,
    nebulae: xr.Dataset,
    controls: _Controls,
    width: int,
    second: str,
    mode: str,
) -> Any:
    """Return one map, two side by side that pan together, or one that blinks."""
    if controls.blinker is not None:
        controls.blinker.stop()
        controls.blinker = None
    beside = bool(second) and mode == _MODES[0] and width >= 2 * (220 + _AROUND)
    room = width - _AROUND - (_SCATTER + _AROUND if width >= 1100 and not beside else 20)
    side = min(SCREEN, room // 2 - _AROUND // 2 if beside else room)
    views = Views(tree, nebulae, side)
    first = controls.first
    shown = [first] if not second else [first, controls.second]
    if second and mode == _MODES[1]:
        shown = [_blink(pn, controls)]
    panes = [_show_map(pn, views, controls, product) for product in shown]
    return pn.FlexBox(*panes) if len(panes) > 1 else panes[0]


def _show_map(pn: Any, views: Views, controls: _Controls, product: Any) -> Any:
    picture = hv.DynamicMap(
        pn.bind(views.draw, product, controls.stretch, controls.chosen),
        streams=[hv.streams.RangeXY()],
    )

    def take_tap(x: float | None = None, y: float | None = None) -> None:
        controls.chosen.value = views.find_nebula(x, y) or controls.chosen.value

    hv.streams.Tap(source=picture).add_subscriber(take_tap)
    return pn.pane.HoloViews(picture, backend="bokeh")


def _blink(pn: Any, controls: _Controls) -> Any:
    """Return the name of one of two products, in turn."""
    turn = pn.widgets.Toggle(value=False)

    def change() -> None:
        turn.value = not turn.value

    controls.blinker = pn.state.add_periodic_callback(change, period=_BLINK)
    return pn.bind(
        lambda one, other, turned: other if turned else one, controls.first, controls.second, turn
    )


def require_panel() -> Any:
    """Return the module panel; InputError if it is not installed."""
    try:
        import panel
    except ImportError as error:
        message = (
            f"explore needs packages of the extra 'explore', found no {error.name}: "
            f"pip install 'phangs_xr[explore]'"
        )
        raise InputError(message) from error
    return panel


def _link_fluxes(pn: Any, tree: xr.DataTree, nebulae: xr.Dataset, chosen: Any, side: int) -> Any:
    """Put the flux figures beside the map: what is chosen here is chosen there, and back."""
    best = find_best(tree)
    table = tabulate_nebulae(tree, nebulae, best)
    fluxes = draw_fluxes(table, best, find_flux_limits(table))
    ratios = plot_ratio_by_flux(tree, nebulae, product=best, table=table)
    sources: list[Any] = []
    overlays = []

    def take_selection(index: Sequence[int] = ()) -> None:
        if index:
            chosen.value = write_ids(index, nebulae)

    for overlay in (fluxes, ratios):
        layers = list(overlay)
        # Other points are those of the legend.
        place = next(i for i, one in enumerate(layers) if type(one) is hv.Points and not one.label)
        keep = partial(_keep_source, sources=sources)
        layers[place] = layers[place].opts(hooks=[keep], backend="bokeh")
        hv.streams.Selection1D(source=layers[place]).add_subscriber(take_selection)
        sized = overlay.clone(layers).opts(frame_width=side, frame_height=side, backend="bokeh")
        overlays.append(sized)
    layout = hv.Layout(overlays).cols(1).opts(shared_datasource=True, backend="bokeh")

    def select(indices: list[int]) -> None:
        for source in sources:
            if list(source.selected.indices) != indices:
                source.selected.indices = indices

    def mark(event: Any) -> None:
        # A tap is told of outside the lock that protects what the browser is sent.
        indices = read_ids(event.new, nebulae)
        pn.state.execute(partial(select, indices), schedule=True)

    chosen.param.watch(mark, "value")
    return pn.pane.HoloViews(layout, backend="bokeh")


def _keep_source(plot: Any, element: Any, *, sources: list[Any]) -> None:
    """Remember the table behind some points (bokeh hook)."""
    if plot.handles["source"] not in sources:
        sources.append(plot.handles["source"])


def _show_chosen(pn: Any, tree: xr.DataTree, nebulae: xr.Dataset, ids: str) -> Any:
    """Return cut-outs and numbers of the first nebulae that are chosen."""
    chosen = read_ids(ids, nebulae)[:COUNT]
    if not chosen:
        return pn.pane.HTML("Tap a nebula on a map, select some in a plot, or type their IDs.")
    table = pn.pane.DataFrame(tabulate_numbers(nebulae.isel(nebula=chosen)), escape=True)
    try:
        cutouts = pn.pane.HoloViews(plot_gallery(tree, nebulae, chosen=chosen), backend="bokeh")
    except InputError as error:
        return pn.Column(pn.pane.Str(f"No cut-outs: {error}"), table)
    return pn.Column(cutouts, table)


def tabulate_numbers(nebulae: xr.Dataset) -> pd.DataFrame:
    """Return a table with a column for each nebula and a row for each number, with its unit."""
    table = pd.DataFrame(index=[f"{value:g}" for value in nebulae["region_ID"].values])
    for name, one in sorted(nebulae.data_vars.items()):
        if one.dims == ("nebula",):
            unit = one.attrs.get("units", "")
            head = f"{name} [{unit}]" if unit else str(name)
            values = one.values.tolist()
            table[head] = [f"{v:.6g}" if isinstance(v, float) else str(v) for v in values]
    return table.T.rename_axis(columns="region_ID")


def serve_app(tree: xr.DataTree, *, port: int = 0, show: bool = True) -> None:
    """Serve the app on this machine only, until it is interrupted.

    Parameters
    ----------
    tree
        A finished run, lazily opened.
    port
        0 takes a free one.
    show
        Whether to open a browser.

    Raises
    ------
    InputError
        If Panel is not installed, or the field has no `halpha`.
    """
    pn = require_panel()
    find_plain(tree)
    hv.extension("bokeh", logo=False)
    title = f"phangs_xr: {tree.attrs.get('galaxy', 'field')}"

    def visit() -> Any:
        return _fit_window(pn, partial(build_app, tree))

    # Panel calls plain functions only, once for each visitor.
    pn.serve(visit, port=port, address="localhost", show=show, title=title)


def _fit_window(pn: Any, build: Callable[[int], Any]) -> Any:
    """Build what a visitor sees as soon as the width of the window is known."""
    # Panel's own widgets cannot be told apart by what runs in the page.
    width = NumericInput(value=0, visible=False)
    place = pn.Column(width, pn.pane.Str("…"), sizing_mode="stretch_width")

    def fill(_: str, __: int, new: int) -> None:
        place[1:] = [build(max(new, _NARROWEST))]

    width.on_change("value", fill)
    ask = CustomJS(args={"width": width}, code="width.value = window.innerWidth")
    pn.state.curdoc.js_on_event("document_ready", ask)
    return place
