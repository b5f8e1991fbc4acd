"""How every figure looks: options, colours, units, scale bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import NDArray

from phangs_xr.drawing.colours import FLUX_MAP as FLUX_MAP
from phangs_xr.drawing.colours import SKY_COLOUR as SKY_COLOUR
from phangs_xr.drawing.format_units import format_unit
from phangs_xr.drawing.scale_bar import choose_round as choose_round
from phangs_xr.qa.figures.hooks_bokeh import name_ticks
from phangs_xr.qa.figures.hooks_matplotlib import (
    Ticks,
    add_bar,
    finish_axes,
    place_panels,
    show_as_image,
)
from phangs_xr.schema import FLUX

FLUX_UNIT = format_unit(FLUX)
"""As axes show it."""

RATIO_MAP = "RdBu_r"
COUNT_MAP = "cividis"
OUTLINE, STAR_OUTLINE = "#56b4e9", "#00c08a"
BLACK, GREY = "#222222", "#8c8c8c"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which all kinds of colour vision tell apart."""

FONTS = {"title": 11, "labels": 11, "ticks": 9, "legend": 9, "cticks": 9}


def style(
    element: Any,
    *,
    bokeh: dict[str, Any] | None = None,
    mpl: dict[str, Any] | None = None,
    width: tuple[float, float] | None = None,
    dash: str = "",
    **both: Any,
) -> Any:
    """Return an element with options for both backends; names that differ are given apart.

    Those of a line are its width, in Bokeh and in Matplotlib, and its dashes. A backend that nobody
    has imported draws nothing, and gets no options. A process that draws on paper alone, or for the
    screen alone, is spared the other; `phangs_xr.qa.figures` imports both.
    """
    own = {"bokeh": {**(bokeh or {})}, "matplotlib": {"apply_ticks": False, **(mpl or {})}}
    if width is not None:
        own["bokeh"]["line_width"], own["matplotlib"]["linewidth"] = width
    if dash:
        own["bokeh"]["line_dash"] = own["matplotlib"]["linestyle"] = dash
    return _set_options(element, both, own)


def _set_options(picture: Any, both: dict[str, Any], own: dict[str, dict[str, Any]]) -> Any:
    # Each panel says its own range: to find one for all takes a fifth of the time.
    both = {"normalize": False, **both}
    for backend in hv.Store.registry.keys() & own.keys():
        picture = picture.opts(**both, **own[backend], backend=backend)
    return picture


def frame(
    overlay: Any,
    *,
    bokeh: dict[str, Any] | None = None,
    mpl: dict[str, Any] | None = None,
    xticks: Ticks | None = None,
    yticks: Ticks | None = None,
    **both: Any,
) -> Any:
    """Return an overlay with the house's fonts and options for both backends.

    `overlay` may be a single element, `bokeh` and `mpl` are options of one backend. `xticks` and
    `yticks` are places on the axes, and how they read; None for what the backend chooses.
    """
    bokeh = {"fontsize": {name: f"{size}pt" for name, size in FONTS.items()}, **(bokeh or {})}
    bokeh |= {axis: marks for axis, marks in (("xticks", xticks), ("yticks", yticks)) if marks}
    finish = partial(finish_axes, sizes=FONTS, x=xticks, y=yticks)
    mpl = {"fontsize": dict(FONTS), **(mpl or {})}
    mpl["hooks"] = [finish, *mpl.get("hooks", [])]
    return style(overlay, bokeh=bokeh, mpl=mpl, **both)


def add_hooks(panel: Any, *hooks: Callable[[Any, Any], None], **options: Any) -> Any:
    """Return a panel with more hooks and options for matplotlib, if that draws here."""
    if "matplotlib" not in hv.Store.registry:
        return panel
    known = panel.opts.get("plot", backend="matplotlib").kwargs.get("hooks", [])
    return panel.opts(hooks=[*known, *hooks], **options, backend="matplotlib")


@dataclass(frozen=True)
class Paper:
    """Size of a panel on paper, and the room around it for labels and bars [inch].

    `left` to `top` are the room on each side, `margin` is more room left of the first column.
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

    def place(self, rows: int, columns: int, number: int = 1) -> list[tuple[float, ...]]:
        """Return left, bottom, width, height of the first panels, as fractions of the figure."""
        across, up = self._cell
        width, height = self.measure(rows, columns)
        return [
            (
                (self.margin + column * across + self.left) / width,
                ((rows - 1 - row) * up + self.bottom) / height,
                self.width / width,
                self.height / height,
            )
            for row, column in (divmod(index, columns) for index in range(number))
        ]

    @property
    def _cell(self) -> tuple[float, float]:
        return self.left + self.width + self.right, self.bottom + self.height + self.top


def arrange(panels: Sequence[Any], columns: int, paper: Paper, *, linked: bool = True) -> hv.Layout:
    """Put panels, made by `frame`, side by side in reading order, so many columns in a row.

    `paper` is the size of each; `linked` tells whether panels with the same axes pan together.
    """
    rows = -(-len(panels) // columns)
    places = paper.place(rows, columns, len(panels))
    # The last panel puts all in their places: options of panels are slow to change.
    panels = [*panels[:-1], add_hooks(panels[-1], partial(place_panels, places=places))]
    mpl = {"sublabel_format": "", "fig_inches": paper.measure(rows, columns)}
    bokeh = {"shared_datasource": True, "merge_tools": True}
    layout = hv.Layout(panels).cols(columns)
    return _set_options(layout, {"shared_axes": linked}, {"bokeh": bokeh, "matplotlib": mpl})


def put_on_paper(panel: Any, paper: Paper) -> Any:
    """Return a single panel that matplotlib puts in its place: finding room costs seconds."""
    place = partial(place_panels, places=paper.place(1, 1))
    return add_hooks(panel, place, fig_inches=paper.measure(1, 1))


def draw_bar(
    label: str, ticks: Sequence[tuple[float, str]], *, below: bool = True
) -> dict[str, Any]:
    """Return options of an element that is coloured by a value: a colour bar with named ticks.

    `label` is what the colours mean, with the unit; `ticks` are places on the scale, and how they
    read. The bar lies below the picture in Bokeh, unless not `below`; on the right in Matplotlib.
    The options are `bokeh` and `mpl`, for `style`; hooks are among them.
    """
    bokeh = {
        "colorbar": True,
        "colorbar_position": "bottom" if below else "right",
        "clabel": label,
        "colorbar_opts": {"height": 8} if below else {"width": 10},
        "hooks": [partial(name_ticks, ticks=ticks)],
    }
    hooks = [show_as_image, partial(add_bar, label=label, ticks=ticks)]
    return {"bokeh": bokeh, "mpl": {"colorbar": False, "hooks": hooks}}


def tick_ratios(limit: float, centre: float = 1.0) -> list[tuple[float, str]]:
    """Return round ratios between centre/limit and centre·limit, and how they read."""
    above = [step for step in (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0) if step <= limit]
    chosen = above[-3:] if limit < 4 else above[-4::2]
    factors = [*(1 / step for step in reversed(chosen)), 1.0, *chosen]
    return [(centre * factor, f"{centre * factor:.2g}") for factor in factors]


def thin_out(count: int) -> float:
    """Return a factor for the size of marks, 1 for few, less for many, so that all can be seen."""
    return float(np.clip(np.sqrt(300 / max(count, 1)), 0.25, 1.0))


def choose_ratio_limit(ratios: NDArray[np.floating[Any]]) -> float:
    """Return the largest ratio, or inverse of one, that colours should tell apart."""
    known = ratios[ratios > 0]
    if known.size == 0:
        return 3.0
    spread = float(np.exp(np.percentile(np.abs(np.log(known)), 95)))
    return next((limit for limit in (1.25, 1.5, 2.0, 3.0, 5.0, 10.0) if spread <= limit), 30.0)
