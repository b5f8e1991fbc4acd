"""What HoloViews leaves to be done to a figure on the screen: its hooks for Bokeh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import CustomJSHover, FixedTicker

from phangs_xr.drawing.stretch import Stretch


def show_values(plot: Any, element: Any, *, stretch: Stretch, title: str) -> None:
    """Let the hover tool undo a stretch."""
    code = f"return ({stretch.low!r} + {stretch.width!r} * Math.sinh(value)).toPrecision(4)"
    # To ask the figure for its tools is to search all that it is made of.
    tool = plot.handles["hover"]
    tool.tooltips = [(title, "@image{custom}")]
    tool.formatters = {"@image": CustomJSHover(code=code)}


def name_ticks(plot: Any, element: Any, *, ticks: Sequence[tuple[float, str]]) -> None:
    """Name the ticks of a colour bar: a ticker belongs to one page only."""
    bar = plot.handles.get("colorbar")
    if bar is not None:
        bar.ticker = FixedTicker(ticks=[place for place, _ in ticks])
        bar.major_label_overrides = dict(ticks)
