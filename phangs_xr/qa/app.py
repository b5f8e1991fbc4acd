"""The app of `phangs-xr explore`: the map at every zoom, and the nebulae, one by one, linked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.grid import get_grid
from phangs_xr.qa.draw import FLUX_MAP, SKY_COLOUR, format_number
from phangs_xr.qa.figures_flux import draw_fluxes, find_flux_limits, plot_ratio_by_flux
from phangs_xr.qa.figures_gallery import COUNT, plot_gallery
from phangs_xr.qa.figures_maps import draw_line
from phangs_xr.qa.nebula_table import tabulate_nebulae
from phangs_xr.qa.outlines import trace_outlines
from phangs_xr.qa.page import format_table
from phangs_xr.qa.planes import OffsetPlane, place_on_sky
from phangs_xr.qa.products import find_product, has_product
from phangs_xr.qa.reduce import average_image, reduce_image
from phangs_xr.schema import PRODUCTS

SCREEN = 600
"""Pixels along a side of what is sent to the browser."""

READ = 2400
"""Largest window, in pixels along a side, that is read anew at each zoom."""

STRETCHES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "asinh": lambda share: np.arcsinh(20 * share) / np.arcsinh(20),
    "linear": lambda share: share,
    "square root": lambda share: np.sqrt(np.clip(share, 0, None)),
    "logarithm": lambda share: np.log1p(1000 * np.clip(share, 0, None)) / np.log1p(1000),
}
"""Ways from the share of a map's range (0 to 1) to that of the colours."""

PRODUCT = "anchored"

Range = tuple[float, float] | None


@dataclass
class Views:
    """What the app shows of a field's maps, read as far as it is looked at.

    Attributes
    ----------
    field
        A finished run, lazily opened.
    """

    field: xr.DataTree
    _whole: dict[str, xr.DataArray] = field(default_factory=dict, init=False, repr=False)

    @property
    def names(self) -> list[str]:
        """The products on HST's grid."""
        return [name for name in PRODUCTS if name in self.field["hst"].data_vars]

    @property
    def plane(self) -> OffsetPlane:
        """Where all of them lie."""
        return OffsetPlane(get_grid(find_product(self.field, "halpha")))

    def get_whole(self, name: str) -> xr.DataArray:
        """Return a product reduced to about twice what fits on the screen, read once."""
        if name not in self._whole:
            image = self.field["hst"].data_vars[name]
            self._whole[name] = average_image(image, side=2 * SCREEN)
        return self._whole[name]

    def read(self, name: str, x_range: Range = None, y_range: Range = None) -> xr.DataArray:
        """Return what the screen can show of a product in a window.

        Parameters
        ----------
        name
            Of the product.
        x_range, y_range
            Offsets [arcsec]; the whole image if None.

        Returns
        -------
        xr.DataArray
            Block means, at most `SCREEN` along an axis.
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
        self, name: str, stretch: str, x_range: Range = None, y_range: Range = None
    ) -> hv.Image:
        """Return the picture of a product in a window, its colours those of the whole image."""
        image = self.read(name, x_range, y_range)
        finite = self.get_whole(name).values
        finite = finite[np.isfinite(finite)]
        low, high = np.percentile(finite, (1, 99.8)) if finite.size else (0.0, 1.0)
        share = (image.values - low) / max(float(high - low), 1e-30)
        colours = STRETCHES[stretch](share).astype(np.float32)
        picture = self.plane.draw(image, colours, hv.Dimension("brightness"))
        flux = self.plane.draw(image, image.values, hv.Dimension("flux"))
        both = hv.Image(
            np.dstack([picture.data, flux.data]),
            bounds=picture.bounds.lbrt(),
            kdims=self.plane.dims,
            vdims=["brightness", "flux"],
        )
        unit = PRODUCTS[name].units or "no unit"
        ends = f"{format_number(float(low))} to {format_number(float(high))}"
        title = f"{PRODUCTS[name].long_name}: {ends} [{unit}]"
        return both.opts(
            cmap=FLUX_MAP,
            clim=(0, 1),
            title=title,
            tools=["hover"],
            hover_tooltips=[("value", "@flux")],
            backend="bokeh",
        )


def find_window(
    plane: OffsetPlane, x_range: tuple[float, float], y_range: tuple[float, float]
) -> tuple[slice, slice]:
    """Return the rows and columns that lie in a range of offsets [arcsec], at least one of each."""
    ny, nx = plane.grid.shape
    (x0, x1), (y0, y1) = plane.place([0, ny - 1], [0, nx - 1])
    windows = []
    for (first, last), size, ends in ((((y0, y1)), ny, y_range), (((x0, x1)), nx, x_range)):
        places = sorted((value - first) / (last - first) * (size - 1) for value in ends)
        start = int(np.clip(np.floor(places[0]), 0, size - 1))
        windows.append(slice(start, int(np.clip(np.ceil(places[1]) + 1, start + 1, size))))
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
    views = Views(tree)
    names = {f"{PRODUCTS[name].long_name} ({name})": name for name in views.names}
    first = PRODUCT if PRODUCT in views.names else "halpha"
    product = pn.widgets.Select(name="Product", options=names, value=first, width=420)
    stretch = pn.widgets.Select(name="Stretch", options=list(STRETCHES), value="asinh", width=160)
    picture = hv.DynamicMap(pn.bind(views.draw, product, stretch), streams=[hv.streams.RangeXY()])
    head = pn.Row(product, stretch)
    nebulae = tree["nebulae"].to_dataset() if "nebulae" in tree.children else xr.Dataset()
    try:
        plots, selection = _link_nebulae(views, picture, nebulae)
    except InputError as error:
        return pn.Column(head, _frame_map(views, [picture]), pn.pane.Str(f"No nebulae: {error}"))
    details = pn.bind(partial(_show_selected, pn, tree, nebulae), selection.param.index)
    return pn.Column(head, pn.pane.HoloViews(plots, backend="bokeh"), details)


def require_panel() -> Any:
    """Return the module panel.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        import panel
    except ImportError as error:
        message = (
            f"explore needs packages of the extra 'explore', found no {error.name}: "
            f"pip install 'phangs_xr[explore]'"
        )
        raise InputError(message) from error
    return panel


def _frame_map(views: Views, layers: list[Any]) -> hv.Overlay:
    overlay = layers[0]
    for layer in layers[1:]:
        overlay = overlay * layer
    size = {"data_aspect": 1, "frame_width": SCREEN, "invert_xaxis": views.plane.is_upright}
    return overlay.opts(
        bgcolor=SKY_COLOUR, active_tools=["wheel_zoom", "pan"], **size, backend="bokeh"
    )


def _link_nebulae(
    views: Views, picture: hv.DynamicMap, nebulae: xr.Dataset
) -> tuple[hv.Layout, hv.streams.Selection1D]:
    """Put the nebulae on the map and beside it; all share one table, and so their selection."""
    table = tabulate_nebulae(views.field, nebulae, PRODUCT)
    plane = views.plane
    taken = {dimension.name for dimension in plane.dims}
    others = [one for one in table.dimensions() if one.name not in taken]
    points = hv.Points(table, kdims=plane.dims, vdims=others).opts(
        size=9,
        fill_alpha=0.0,
        line_color="white",
        selection_line_color="#e69f00",
        nonselection_line_alpha=0.4,
        tools=["tap", "box_select", "hover"],
        hover_tooltips=[("ID", "@region_ID")],
        backend="bokeh",
    )
    layers = [picture]
    if has_product(views.field, "nebula_mask"):
        ra, dec = trace_outlines(find_product(views.field, "nebula_mask"))
        layers.append(draw_line(plane, *place_on_sky(plane, ra, dec)))
    fluxes = draw_fluxes(table, PRODUCT, find_flux_limits(table, PRODUCT))
    ratios = plot_ratio_by_flux(views.field, nebulae, product=PRODUCT, table=table)
    layout = hv.Layout([_frame_map(views, [*layers, points]), fluxes, ratios]).cols(3)
    layout = layout.opts(shared_datasource=True, merge_tools=False, backend="bokeh")
    return layout, hv.streams.Selection1D(source=points)


def _show_selected(pn: Any, tree: xr.DataTree, nebulae: xr.Dataset, index: Sequence[int]) -> Any:
    """Return cut-outs and numbers of the first nebulae that are selected."""
    chosen = list(index)[:COUNT]
    if not chosen:
        return pn.pane.Str("Tap a nebula on the map or in a plot, or select several by a box.")
    table = pn.pane.HTML(format_table(*_list_numbers(nebulae.isel(nebula=chosen))))
    try:
        cutouts = pn.pane.HoloViews(plot_gallery(tree, nebulae, chosen=chosen), backend="bokeh")
    except InputError as error:
        return pn.Column(pn.pane.Str(f"No cut-outs: {error}"), table)
    return pn.Column(cutouts, table)


def _list_numbers(nebulae: xr.Dataset) -> tuple[list[str], list[list[str]]]:
    """Return the headings, with units, and the rows of a table of nebulae."""
    names = [str(name) for name, one in nebulae.data_vars.items() if one.dims == ("nebula",)]
    units = [str(nebulae[name].attrs.get("units", "")) for name in names]
    heads = [f"{name} [{unit}]" if unit else name for name, unit in zip(names, units, strict=True)]
    rows = [["region_ID", *(f"{value:g}" for value in nebulae["region_ID"].values)]]
    for head, name in zip(heads, names, strict=True):
        rows.append([head, *(_format_value(value) for value in nebulae[name].values.tolist())])
    return ["", *[""] * nebulae.sizes["nebula"]], rows


def _format_value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


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
    find_product(tree, "halpha")
    hv.extension("bokeh", logo=False)
    title = f"phangs_xr: {tree.attrs.get('galaxy', 'field')}"
    pn.serve(partial(build_app, tree), port=port, address="localhost", show=show, title=title)
