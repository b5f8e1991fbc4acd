"""How every figure looks: both backends' options, colours, stretches, units, scale bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import holoviews as hv

# Importing the modules registers both backends, so that a figure carries the options of either,
# without touching the one that the reader's notebook has chosen.
import holoviews.plotting.bokeh
import holoviews.plotting.mpl
import numpy as np
from bokeh.models import BoxSelectTool, CustomJSHover, FixedTicker, HoverTool, Toolbar
from holoviews.plotting.mpl import LayoutPlot
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogFormatter, NullFormatter
from numpy.typing import NDArray

FLUX_UNIT = "10⁻²⁰ erg s⁻¹ cm⁻²"
"""As axes show it; the data say `10**-20 erg s-1 cm-2`."""

FLUX_MAP = "inferno"
RATIO_MAP = "RdBu_r"
COUNT_MAP = "cividis"
SKY_COLOUR = "#404040"
OUTLINE, STAR_OUTLINE = "#56b4e9", "#00c08a"
BLACK, GREY = "#222222", "#8c8c8c"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which all kinds of colour vision tell apart."""

FONTS = {"title": 11, "labels": 11, "ticks": 9, "legend": 9, "cticks": 9}
_SEPARATORS = (("ʰ", "ᵐ", "ˢ"), ("°", "′", "″"))
_MANY = 500
_DIGITS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def style(
    element: Any,
    *,
    bokeh: dict[str, Any] | None = None,
    mpl: dict[str, Any] | None = None,
    **both: Any,
) -> Any:
    """Return an element with options for both backends; names that differ are given apart."""
    # Each panel says its own range: to find one for all takes a fifth of the time.
    both = {"normalize": False, **both}
    element = element.opts(**both, **(bokeh or {}), backend="bokeh")
    return element.opts(**both, **(mpl or {}), backend="matplotlib")


def frame(
    overlay: Any,
    *,
    bokeh: dict[str, Any] | None = None,
    mpl: dict[str, Any] | None = None,
    smaller: int = 0,
    **both: Any,
) -> Any:
    """Return an overlay with the house's fonts and options for both backends.

    Parameters
    ----------
    overlay
        Or a single element.
    bokeh, mpl
        Options of one backend.
    smaller
        By how many points the fonts are smaller than usual, for small panels.
    **both
        Options of both backends.
    """
    sizes = {name: size - smaller for name, size in FONTS.items()}
    bokeh = {"fontsize": {name: f"{size}pt" for name, size in sizes.items()}, **(bokeh or {})}
    mpl = {**(mpl or {})}
    mpl["hooks"] = [quieten, *mpl.get("hooks", [])]
    mpl["fontsize"] = sizes
    return style(overlay, bokeh=bokeh, mpl=mpl, **both)


@dataclass(frozen=True)
class Paper:
    """Size of a panel on paper, and the room around it for labels and bars [inch].

    Attributes
    ----------
    width, height
        Of the axes.
    left, right, bottom, top
        Room on each side.
    margin
        More room, left of the first column.
    """

    width: float
    height: float
    left: float = 0.75
    right: float = 0.2
    bottom: float = 0.6
    top: float = 0.35
    margin: float = 0.0

    def measure(self, rows: int, columns: int) -> tuple[float, float]:
        """Return width and height of a figure of so many panels [inch]."""
        across, up = self._cell
        return self.margin + columns * across, rows * up

    def place(self, row: int, column: int, rows: int, columns: int) -> tuple[float, ...]:
        """Return left, bottom, width, height of one panel, as fractions of the figure."""
        across, up = self._cell
        width, height = self.measure(rows, columns)
        return (
            (self.margin + column * across + self.left) / width,
            ((rows - 1 - row) * up + self.bottom) / height,
            self.width / width,
            self.height / height,
        )

    @property
    def _cell(self) -> tuple[float, float]:
        return self.left + self.width + self.right, self.bottom + self.height + self.top


def arrange(panels: Sequence[Any], columns: int, paper: Paper, *, linked: bool = True) -> hv.Layout:
    """Put panels side by side.

    Parameters
    ----------
    panels
        In reading order, each made by `frame`.
    columns
        Panels in a row.
    paper
        Size of each.
    linked
        Whether panels with the same axes pan together.
    """
    rows = -(-len(panels) // columns)
    cells = [divmod(index, columns) for index in range(len(panels))]
    places = [paper.place(row, column, rows, columns) for row, column in cells]
    # The last panel puts all in their places: options of panels are slow to change.
    last = panels[-1]
    hooks = last.opts.get("plot", backend="matplotlib").kwargs.get("hooks", [])
    hooks = [*hooks, partial(_place, places=places)]
    panels = [*panels[:-1], last.opts(hooks=hooks, backend="matplotlib")]
    layout = hv.Layout(panels).cols(columns)
    layout = layout.opts(
        normalize=False,
        shared_axes=linked,
        shared_datasource=True,
        merge_tools=True,
        backend="bokeh",
    )
    return layout.opts(
        normalize=False,
        shared_axes=linked,
        sublabel_format="",
        fig_inches=paper.measure(rows, columns),
        backend="matplotlib",
    )


def put_on_paper(panel: Any, paper: Paper) -> Any:
    """Return a single panel that matplotlib puts in its place: finding room costs seconds."""
    hooks = panel.opts.get("plot", backend="matplotlib").kwargs.get("hooks", [])
    hooks = [*hooks, partial(_place, places=[paper.place(0, 0, 1, 1)])]
    return panel.opts(hooks=hooks, fig_inches=paper.measure(1, 1), backend="matplotlib")


def _place(plot: Any, element: Any, *, places: list[tuple[float, ...]]) -> None:
    """Put the panels in their places (matplotlib hook)."""
    for axis, bounds in zip(plot.handles["fig"].axes, places, strict=False):
        axis.set_position(bounds)


def draw_legend(entries: Mapping[str, str], x: hv.Dimension, y: hv.Dimension) -> list[hv.Points]:
    """Return empty points that put names and colours into a legend.

    The legends that HoloViews makes of coloured points differ between backends, and hide the
    labels of other elements in one of them.
    """
    nowhere = (np.array([np.nan]), np.array([np.nan]))
    return [
        style(
            hv.Points(nowhere, kdims=[x, y], label=name),
            color=colour,
            apply_ranges=False,
            bokeh={"size": 7, "line_alpha": 0},
            mpl={"s": 20, "linewidth": 0},
        )
        for name, colour in entries.items()
    ]


def quieten(plot: Any, element: Any) -> None:
    """Leave the labels of minor ticks away, thin those of RA, use plain text (matplotlib hook).

    Labels that must be typeset as mathematics take longer than all else of a small figure.
    """
    axis = plot.handles["axis"]
    if hasattr(axis, "coords"):
        for coordinate, number, marks in zip(axis.coords, (3, 4), _SEPARATORS, strict=True):
            coordinate.set_ticks(number=number)
            coordinate.set_ticklabel(exclude_overlapping=True)
            coordinate.set_separator(marks)
        return
    for one in (axis.xaxis, axis.yaxis):
        one.set_minor_formatter(NullFormatter())
        if one.get_scale() == "log" and isinstance(one.get_major_formatter(), LogFormatter):
            one.set_major_formatter(lambda value, position: format_tick(value))


def rasterise_many(plot: Any, element: Any) -> None:
    """Keep thousands of points or bars as pixels in a PDF (matplotlib hook)."""
    if len(element) > _MANY:
        for artist in plot.handles["axis"].collections:
            artist.set_rasterized(True)


def hide_labels(plot: Any, element: Any, *, rows: bool, columns: bool) -> None:
    """Leave labels of RA or Dec to the panel below or to the left (matplotlib hook)."""
    axis = plot.handles["axis"]
    for coordinate, hidden in zip(getattr(axis, "coords", ()), (columns, rows), strict=False):
        if hidden:
            coordinate.set_ticklabel_visible(False)
            coordinate.set_auto_axislabel(False)
            coordinate.set_axislabel("")


def _is_mesh(artist: object) -> bool:
    return isinstance(artist, QuadMesh)


def show_as_image(plot: Any, element: Any) -> None:
    """Replace a regular mesh by the image it is (matplotlib hook).

    A PDF would hold a shape for each cell, or a picture of the whole page for each mesh.
    """
    mesh: Any = plot.handles["artist"]
    if not _is_mesh(mesh):
        return
    corners = mesh.get_coordinates()
    (left, bottom), (right, top) = corners[0, 0], corners[-1, -1]
    image = AxesImage(
        plot.handles["axis"],
        cmap=mesh.cmap,
        norm=mesh.norm,
        interpolation="none",
        origin="lower",
        extent=(left, right, bottom, top),
        zorder=mesh.get_zorder(),
    )
    image.set_data(mesh.get_array().reshape(corners.shape[0] - 1, corners.shape[1] - 1))
    mesh.remove()
    plot.handles["axis"].add_image(image)
    plot.handles["artist"] = image


class _PlainLayout(LayoutPlot):  # type: ignore[misc]
    """A layout that leaves the size of the figure as it is, for which it would draw it twice."""

    v17_layout_format = False


def render_figure(picture: Any) -> Figure:
    """Return the matplotlib figure of a HoloViews object, faster than `hv.render`."""
    renderer = hv.renderer("matplotlib")
    if not isinstance(picture, hv.Layout):
        plot = renderer.get_plot(picture)
    else:
        options = renderer.plot_options(picture, renderer.size)
        plot = _PlainLayout(picture, renderer=renderer, **options)
        plot.update(plot.keys[0])
    figure: Figure = plot.state
    return figure


def render_screen(picture: Any) -> Any:
    """Return the Bokeh plot of a HoloViews object; a drag selects points where it can.

    HoloViews leaves the choice of the first tool of several panels to Bokeh, which pans.
    """
    model = hv.renderer("bokeh").get_plot(picture).state
    for toolbar in model.select({"type": Toolbar}):
        for tool in toolbar.tools:
            members = getattr(tool, "tools", [tool])
            if members and all(isinstance(one, BoxSelectTool) for one in members):
                toolbar.active_drag = tool
    return model


def format_number(value: float) -> str:
    """Return a number as people write it: three digits, powers of ten raised."""
    if not math.isfinite(value):
        return "–"
    if value == 0 or 1e-2 <= abs(value) < 1000:
        return f"{value:.3g}".replace("-", "−")
    mantissa, exponent = f"{value:.2e}".split("e")
    power = f"10{str(int(exponent)).translate(_DIGITS)}"
    return f"{mantissa.replace('-', '−')}×{power}"


def format_tick(value: float) -> str:
    """Return a power of ten, or a small number, as an axis shows it."""
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:g}".replace("-", "−")
    exponent = str(round(math.log10(abs(value)))).translate(_DIGITS)
    return f"{'−' if value < 0 else ''}10{exponent}"


@dataclass(frozen=True)
class Stretch:
    """A colour scale: asinh from `low` to `high`, linear up to about `width` above `low`.

    Attributes
    ----------
    low, high
        Values of the darkest and the brightest colour.
    width
        Where linear becomes logarithmic, above `low`.
    """

    low: float
    high: float
    width: float

    def apply(self, values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return values as numbers that a linear colour map shows as this stretch."""
        stretched: NDArray[np.floating[Any]] = np.arcsinh((values - self.low) / self.width)
        return stretched

    @property
    def limits(self) -> tuple[float, float]:
        """What `apply` makes of `low` and `high`."""
        return 0.0, float(np.arcsinh((self.high - self.low) / self.width))

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round values for a colour bar: where `apply` puts them, and how they read."""
        decades = np.arange(-6, 9)
        steps = np.outer(10.0**decades, [1.0, 2.0, 5.0]).ravel()
        values = np.concatenate([-steps[::-1], [0.0], steps])
        values = values[(values >= self.low) & (values <= self.high)]
        chosen: list[tuple[float, str]] = []
        gap = self.limits[1] / 6
        # Zero first, then the largest: these are what a reader looks for.
        for value in sorted(values, key=lambda value: (value != 0, -abs(value))):
            place = float(self.apply(np.asarray(value)))
            if all(abs(place - other) >= gap for other, _ in chosen):
                chosen.append((place, f"{value:g}"))
        return sorted(chosen)


def choose_stretch(values: NDArray[np.floating[Any]]) -> Stretch:
    """Return a stretch from the faintest to the brightest per cent of an image, NaN left out."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return Stretch(0.0, 1.0, 1.0)
    low, high = (float(value) for value in np.percentile(finite, (1.0, 99.8)))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    return Stretch(low, high, (high - low) / 15)


def show_values(stretch: Stretch, title: str) -> Callable[[Any, Any], None]:
    """Return a hook that lets the hover tool undo a stretch (bokeh)."""
    return partial(_show_values, stretch=stretch, title=title)


def _show_values(plot: Any, element: Any, *, stretch: Stretch, title: str) -> None:
    code = f"return ({stretch.low!r} + {stretch.width!r} * Math.sinh(value)).toPrecision(4)"
    for tool in plot.state.select({"type": HoverTool}):
        tool.tooltips = [(title, "@image{custom}")]
        tool.formatters = {"@image": CustomJSHover(code=code)}


def draw_bar(
    label: str, ticks: Sequence[tuple[float, str]], *, below: bool = True
) -> dict[str, Any]:
    """Return options of an element that is coloured by a value: a colour bar with named ticks.

    Parameters
    ----------
    label
        What the colours mean, with the unit.
    ticks
        Places on the scale, and how they read.
    below
        Whether the bar lies below the picture in bokeh; matplotlib has it on the right.

    Returns
    -------
    dict
        `bokeh` and `mpl`, for `style`; hooks are among them.
    """
    places, names = [place for place, _ in ticks], [name for _, name in ticks]
    bokeh = {
        "colorbar": True,
        "colorbar_position": "bottom" if below else "right",
        "clabel": label,
        "colorbar_opts": {"height": 8} if below else {"width": 10},
        "hooks": [partial(_name_ticks, places=places, names=names)],
    }
    # HoloViews would draw the whole figure anew for each bar.
    hook = partial(_add_bar, label=label, places=places, names=names)
    return {"bokeh": bokeh, "mpl": {"colorbar": False, "hooks": [show_as_image, hook]}}


def _name_ticks(plot: Any, element: Any, *, places: list[float], names: list[str]) -> None:
    """Name the ticks of a colour bar (bokeh hook): a ticker belongs to one page only."""
    bar = plot.handles.get("colorbar")
    if bar is not None:
        bar.ticker = FixedTicker(ticks=places)
        bar.major_label_overrides = dict(zip(places, names, strict=True))


def _add_bar(plot: Any, element: Any, *, label: str, places: list[float], names: list[str]) -> None:
    handles = plot.handles
    place = handles["axis"].inset_axes((1.03, 0.0, 0.04, 1.0))
    bar = handles["fig"].colorbar(handles["artist"], cax=place, extend="both")
    bar.set_ticks(places, labels=names)
    bar.minorticks_off()
    place.tick_params(labelsize=8)
    bar.set_label(label, fontsize=8)


def tick_ratios(limit: float, centre: float = 1.0) -> list[tuple[float, str]]:
    """Return round ratios between centre/limit and centre·limit, and how they read."""
    above = [step for step in (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0) if step <= limit]
    chosen = above[-3:] if limit < 4 else above[-4::2]
    factors = [*(1 / step for step in reversed(chosen)), 1.0, *chosen]
    return [(centre * factor, f"{centre * factor:.2g}") for factor in factors]


def thin_out(count: int) -> float:
    """Return a factor for the size of marks, 1 for few, less for many, so that all can be seen."""
    return float(np.clip(np.sqrt(300 / max(count, 1)), 0.25, 1.0))


def choose_round(length: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 30, 60, … not above a length."""
    rounds = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600]
    return max((value for value in rounds if value <= length), default=rounds[0])


def choose_ratio_limit(ratios: NDArray[np.floating[Any]]) -> float:
    """Return the largest ratio, or inverse of one, that colours should tell apart."""
    known = ratios[ratios > 0]
    if known.size == 0:
        return 3.0
    spread = float(np.exp(np.percentile(np.abs(np.log(known)), 95)))
    return next((limit for limit in (1.25, 1.5, 2.0, 3.0, 5.0, 10.0) if spread <= limit), 30.0)
