"""The app of `phangs-xr explore`: the map at every zoom, and the nebulae, one by one, linked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import cached_property, partial
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh
import numpy as np
import pandas as pd
import xarray as xr
from astropy.visualization import (
    AsinhStretch,
    BaseStretch,
    LinearStretch,
    LogStretch,
    SqrtStretch,
)
from numpy.typing import NDArray

from phangs_xr.drawing.format_numbers import format_number
from phangs_xr.errors import InputError
from phangs_xr.qa.figures.gallery import COUNT, plot_gallery
from phangs_xr.qa.figures.maps import draw_line
from phangs_xr.qa.figures.nebula_fluxes import draw_fluxes, find_flux_limits, plot_ratio_by_flux
from phangs_xr.qa.figures.nebula_table import tabulate_nebulae
from phangs_xr.qa.figures.sky_axes import OffsetPlane, place_on_sky
from phangs_xr.qa.figures.style import FLUX_MAP, SKY_COLOUR
from phangs_xr.qa.measure.overviews import average_image, reduce_image
from phangs_xr.qa.measure.products import find_best, find_plain, find_product, get_node, has_product
from phangs_xr.qa.measure.trace_outlines import trace_outlines
from phangs_xr.schema import PRODUCTS
from phangs_xr.sky.grid import get_grid

SCREEN = 600
"""Pixels along a side of what is sent to the browser."""

READ = 2400
"""Largest window, in pixels along a side, that is read anew at each zoom."""

STRETCHES: dict[str, BaseStretch] = {
    "asinh": AsinhStretch(0.05),
    "linear": LinearStretch(),
    "square root": SqrtStretch(),
    "logarithm": LogStretch(1000.0),
}
"""Ways from the share of a map's range (0 to 1) to that of the colours."""

_REACH = 0.5
"""Distance from a nebula's centre at which a tap still means it [arcsec]."""

Range = tuple[float, float] | None
Line = NDArray[np.float64]


@dataclass
class Views:
    """What the app shows of a field's maps, lazily opened, read as far as it is looked at.

    `nebulae` are those of its `/nebulae`, empty if there are none.
    """

    field: xr.DataTree
    nebulae: xr.Dataset
    _whole: dict[str, xr.DataArray] = attribute(default_factory=dict, init=False, repr=False)

    @property
    def names(self) -> list[str]:
        """The products on HST's grid."""
        return [name for name in PRODUCTS if name in self.field["hst"].data_vars]

    @cached_property
    def plane(self) -> OffsetPlane:
        """Where all of them lie."""
        return OffsetPlane(get_grid(find_plain(self.field)))

    @cached_property
    def places(self) -> tuple[Line, Line]:
        """Offsets of the nebulae [arcsec]."""
        if "ra" not in self.nebulae or "dec" not in self.nebulae:
            return np.empty(0), np.empty(0)
        return place_on_sky(self.plane, self.nebulae["ra"].values, self.nebulae["dec"].values)

    @cached_property
    def outlines(self) -> list[hv.Curve]:
        """The outlines of the nebulae, to be laid over a map."""
        if not has_product(self.field, "nebula_mask"):
            return []
        ra, dec = trace_outlines(find_product(self.field, "nebula_mask"))
        return [draw_line(self.plane, *place_on_sky(self.plane, ra, dec))] if ra.size else []

    def get_whole(self, name: str) -> xr.DataArray:
        """Return a product reduced to about twice what fits on the screen, read once."""
        if name not in self._whole:
            image = self.field["hst"].data_vars[name]
            self._whole[name] = average_image(image, side=2 * SCREEN)
        return self._whole[name]

    def read(self, name: str, x_range: Range = None, y_range: Range = None) -> xr.DataArray:
        """Return what the screen can show of a product in a window of offsets [arcsec].

        These are block means, at most `SCREEN` along an axis; of the whole image without a range.
        """
        image = self.field["hst"].data_vars[name]
        if x_range is None or y_range is None:
            return reduce_image(self.get_whole(name), SCREEN)
        rows, columns = find_window(self.plane, x_range, y_range)
        if max(rows.stop - rows.start, columns.stop - columns.start) <= READ:
            return reduce_image(image.isel(y=rows, x=columns), SCREEN)
        whole = self.get_whole(name)
        factor = round(get_grid(whole).dy / get_grid(image).dy)
        rows, columns = (
            slice(part.start // factor, max(part.stop // factor, part.start // factor + 1))
            for part in (rows, columns)
        )
        return reduce_image(whole.isel(y=rows, x=columns), SCREEN)

    def draw(
        self, name: str, stretch: str, ids: str, x_range: Range = None, y_range: Range = None
    ) -> hv.Overlay:
        """Return the picture of a product in a window, its colours those of the whole image.

        `stretch` is one of `STRETCHES`; `ids` are of nebulae to mark, as `read_ids` reads them. The
        window is that of `read`.
        """
        image = self.read(name, x_range, y_range)
        finite = self.get_whole(name).values
        finite = finite[np.isfinite(finite)]
        low, high = np.percentile(finite, (1, 99.8)) if finite.size else (0.0, 1.0)
        share = (image.values - low) / max(float(high - low), 1e-30)
        values = np.dstack([STRETCHES[stretch](share).astype(np.float32), image.values])
        picture = self.plane.draw(image, values, "brightness", "flux").opts(
            cmap=FLUX_MAP,
            clim=(0, 1),
            tools=["hover"],
            hover_tooltips=[("value", "@flux")],
            backend="bokeh",
        )
        chosen = read_ids(ids, self.nebulae)
        x, y = self.places
        marks = hv.Points((x[chosen], y[chosen]), kdims=self.plane.dims).opts(
            marker="cross", size=22, color="white", line_width=1.5, backend="bokeh"
        )
        unit = PRODUCTS[name].units or "no unit"
        ends = f"{format_number(float(low))} to {format_number(float(high))}"
        return hv.Overlay([picture, *self.outlines, marks]).opts(
            title=f"{PRODUCTS[name].long_name}: {ends} [{unit}]",
            bgcolor=SKY_COLOUR,
            data_aspect=1,
            frame_width=SCREEN,
            frame_height=SCREEN,
            invert_xaxis=self.plane.is_upright,
            active_tools=["wheel_zoom", "pan"],
            backend="bokeh",
        )

    def find_nebula(self, x: float | None, y: float | None) -> str:
        """Return the ID of the nebula nearest to a place on the map, nothing if all are far."""
        if x is None or y is None or self.places[0].size == 0:
            return ""
        distance = np.hypot(self.places[0] - x, self.places[1] - y)
        index = int(np.argmin(distance))
        radius = np.sqrt(float(self.nebulae["area"].values[index]) / np.pi)
        near = distance[index] <= max(2 * radius, _REACH)
        return write_ids([index], self.nebulae) if near else ""


def read_ids(text: str, nebulae: xr.Dataset) -> list[int]:
    """Return the indices of nebulae from their IDs, separated by commas; others are left out."""
    if "region_ID" not in nebulae.variables:
        return []
    known = {f"{value:g}": index for index, value in enumerate(nebulae["region_ID"].values)}
    names = (name.strip() for name in text.split(","))
    return [known[name] for name in names if name in known]


def write_ids(indices: Sequence[int], nebulae: xr.Dataset) -> str:
    """Return the IDs of some nebulae, separated by commas."""
    return ", ".join(f"{value:g}" for value in nebulae["region_ID"].values[list(indices)])


def find_window(
    plane: OffsetPlane, x_range: tuple[float, float], y_range: tuple[float, float]
) -> tuple[slice, slice]:
    """Return the rows and columns that lie in a range of offsets [arcsec], at least one of each."""
    ny, nx = plane.grid.shape
    (x0, x1), (y0, y1) = plane.place([0, ny - 1], [0, nx - 1])
    windows = []
    for (first, last), size, ends in ((((y0, y1)), ny, y_range), (((x0, x1)), nx, x_range)):
        places = sorted((value - first) / (last - first) * (size - 1) for value in ends)
        start, stop = (int(np.clip(np.floor(place + 0.5), 0, size - 1)) for place in places)
        windows.append(slice(start, stop + 1))
    return windows[0], windows[1]


def build_app(tree: xr.DataTree) -> Any:
    """Build the app for one visitor.

    Parameters
    ----------
    tree
        A finished run, lazily opened. Nebulae are shown if `phangs-xr qa` has measured them.

    Returns
    -------
    panel.viewable.Viewable
        Choices of product and stretch, the map, the flux figures, and what is selected in them.

    Raises
    ------
    InputError
        If Panel is not installed, or the field has no `halpha`.
    """
    pn = require_panel()
    nebulae = get_node(tree, "nebulae")
    views = Views(tree, nebulae)
    names = {f"{PRODUCTS[name].long_name} ({name})": name for name in views.names}
    first = find_best(views.field)
    product = pn.widgets.Select(label="Product", options=names, value=first, width=420)
    stretch = pn.widgets.Select(label="Stretch", options=list(STRETCHES), value="asinh", width=160)
    chosen = pn.widgets.TextInput(label="Nebulae (IDs, separated by commas)", width=300)
    picture = hv.DynamicMap(
        pn.bind(views.draw, product, stretch, chosen), streams=[hv.streams.RangeXY()]
    )

    def take_tap(x: float | None = None, y: float | None = None) -> None:
        chosen.value = views.find_nebula(x, y) or chosen.value

    hv.streams.Tap(source=picture).add_subscriber(take_tap)
    plots = [pn.pane.HoloViews(picture, backend="bokeh")]
    try:
        plots.append(_link_fluxes(pn, views, chosen))
    except InputError as error:
        plots.append(pn.pane.Str(f"No nebulae: {error}"))
    details = pn.bind(partial(_show_chosen, pn, tree, nebulae), chosen)
    left = pn.Column(pn.Row(product, stretch, chosen), plots[0], details)
    return pn.Row(left, *plots[1:])


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


def _link_fluxes(pn: Any, views: Views, chosen: Any) -> Any:
    """Put the flux figures beside the map: what is chosen here is chosen there, and back."""
    best = find_best(views.field)
    table = tabulate_nebulae(views.field, views.nebulae, best)
    fluxes = draw_fluxes(table, best, find_flux_limits(table))
    ratios = plot_ratio_by_flux(views.field, views.nebulae, product=best, table=table)
    sources: list[Any] = []
    overlays = []

    def take_selection(index: Sequence[int] = ()) -> None:
        if index:
            chosen.value = write_ids(index, views.nebulae)

    for overlay in (fluxes, ratios):
        layers = list(overlay)
        # Other points are those of the legend.
        place = next(i for i, one in enumerate(layers) if type(one) is hv.Points and not one.label)
        keep = partial(_keep_source, sources=sources)
        layers[place] = layers[place].opts(hooks=[keep], backend="bokeh")
        hv.streams.Selection1D(source=layers[place]).add_subscriber(take_selection)
        overlays.append(overlay.clone(layers))
    layout = hv.Layout(overlays).cols(1).opts(shared_datasource=True, backend="bokeh")

    def select(indices: list[int]) -> None:
        for source in sources:
            if list(source.selected.indices) != indices:
                source.selected.indices = indices

    def mark(event: Any) -> None:
        # A tap is told of outside the lock that protects what the browser is sent.
        indices = read_ids(event.new, views.nebulae)
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
        return pn.pane.Str("Tap a nebula on the map, select some in a plot, or type their IDs.")
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
        return build_app(tree)

    # Panel calls plain functions only, once for each visitor.
    pn.serve(visit, port=port, address="localhost", show=show, title=title)
