"""What HoloViews leaves to be done to a figure on the screen: its hooks for Bokeh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import CustomJSHover, FixedTicker

_TO_SKY = """
const x = special_vars.x, y = special_vars.y;
const east = x * terms[2] + y * terms[4], north = x * terms[3] + y * terms[5];
const reach = Math.cos(terms[1]) - north * Math.sin(terms[1]);
const ra = terms[0] + Math.atan2(east, reach);
const dec = Math.atan2(
  Math.sin(terms[1]) + north * Math.cos(terms[1]), Math.hypot(east, reach));
const write = (angle, digits, units, width) => {
  const parts = [];
  const step = 10 ** -digits / 3600;
  let left = Math.round(angle / step);
  const size = 10 ** digits;
  parts.push(String(Math.floor(left / 3600 / size)).padStart(width, '0') + units[0]);
  parts.push(String(Math.floor(left / 60 / size) % 60).padStart(2, '0') + units[1]);
  parts.push((left % (60 * size) / size).toFixed(digits).padStart(3 + digits, '0') + units[2]);
  return parts.join('');
};
const turn = 2 * Math.PI;
const hours = write(((ra % turn + turn) % turn) * 12 / Math.PI, 3, ['h', 'm', 's'], 2);
const degrees = write(Math.abs(dec) * 180 / Math.PI, 2, ['°', '′', '″'], 2);
return `${hours} ${dec < 0 ? '−' : '+'}${degrees}`;
"""
"""From offsets along the axes to RA and Dec, by the gnomonic projection about the centre
(Calabretta and Greisen 2002, A&A 395, 1077, section 5.1.3)."""


def show_tips(
    plot: Any,
    element: Any,
    *,
    name: str,
    terms: tuple[float, ...] | None,
    undo: str = "value",
    field: str = "image",
) -> None:
    """Let the hover tool tell the value of a pixel, and where on the sky it is.

    `undo` is what JavaScript makes of the number that is drawn, `value`, which is that of `field`;
    `terms` are those of `phangs_xr.qa.figures.sky_axes.OffsetPlane`.
    """
    # To ask the figure for its tools is to search all that it is made of.
    tool = plot.handles["hover"]
    tool.tooltips = [(name, f"@{field}{{custom}}")]
    tool.formatters = {f"@{field}": CustomJSHover(code=f"return ({undo}).toPrecision(4)")}
    if terms is not None:
        tool.tooltips = [*tool.tooltips, ("RA, Dec", "$x{custom}")]
        sky = CustomJSHover(args={"terms": list(terms)}, code=_TO_SKY)
        tool.formatters = {**tool.formatters, "$x": sky}


def name_ticks(plot: Any, element: Any, *, ticks: Sequence[tuple[float, str]]) -> None:
    """Name the ticks of a colour bar: a ticker belongs to one page only."""
    bar = plot.handles.get("colorbar")
    if bar is not None:
        bar.ticker = FixedTicker(ticks=[place for place, _ in ticks])
        bar.major_label_overrides = dict(ticks)
