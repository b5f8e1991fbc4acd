"""What the app shows of a field's maps: read window by window, as far as it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import cached_property, partial

import holoviews as hv
import numpy as np
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
from phangs_xr.drawing.format_units import format_unit
from phangs_xr.qa.figures.draw_map import draw_compass, draw_line, draw_scale_bar
from phangs_xr.qa.figures.hooks_bokeh import show_tips
from phangs_xr.qa.figures.sky_axes import OffsetPlane, place_on_sky
from phangs_xr.qa.figures.style import FLUX_MAP, SKY_COLOUR
from phangs_xr.qa.measure.overviews import average_image, reduce_image
from phangs_xr.qa.measure.products import find_distance, find_plain, find_product, has_product
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

_LETTER = 6
"""Width of a letter of a title [pixel]."""

Range = tuple[float, float] | None
Line = NDArray[np.float64]


@dataclass
class Views:
    """What the app shows of a field's maps, lazily opened, read as far as it is looked at.

    `nebulae` are those of its `/nebulae`, empty if there are none; `side` is that of a map as it is
    drawn [pixel of the screen].
    """

    field: xr.DataTree
    nebulae: xr.Dataset
    side: int = SCREEN
    _whole: dict[str, xr.DataArray] = attribute(default_factory=dict, init=False, repr=False)

    @property
    def names(self) -> list[str]:
        """The products on HST's grid."""
        return [name for name in PRODUCTS if name in self.field["hst"].data_vars]

    @cached_property
    def plane(self) -> OffsetPlane:
        """Where all of them lie."""
        return OffsetPlane(get_grid(find_plain(self.field)), find_distance(self.field))

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

    @cached_property
    def lines(self) -> list[hv.Element]:
        """What lies over each map: outlines, scale bar, and north and east where it is turned."""
        return [*self.outlines, *draw_scale_bar(self.plane), *draw_compass(self.plane)]

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
            hooks=[partial(show_tips, name=name, field="flux", terms=self.plane.sky_terms)],
            backend="bokeh",
        )
        chosen = read_ids(ids, self.nebulae)
        x, y = self.places
        marks = hv.Points((x[chosen], y[chosen]), kdims=self.plane.dims).opts(
            marker="cross", size=22, color="white", line_width=1.5, backend="bokeh"
        )
        return hv.Overlay([picture, *self.lines, marks]).opts(
            title=self._describe(name, float(low), float(high)),
            fontsize={"title": "9pt"},
            bgcolor=SKY_COLOUR,
            data_aspect=1,
            frame_width=self.side,
            frame_height=self.side,
            invert_xaxis=self.plane.is_upright,
            active_tools=["wheel_zoom", "pan"],
            backend="bokeh",
        )

    def _describe(self, name: str, low: float, high: float) -> str:
        """Return a title in two lines, each as long as the map is wide at most."""
        unit = format_unit(PRODUCTS[name].units)
        ends = f"{format_number(low)} to {format_number(high)}"
        lines = (PRODUCTS[name].long_name, f"{name}: {ends}{f' {unit}' if unit else ''}")
        longest = self.side // _LETTER
        return "\n".join(
            line if len(line) <= longest else f"{line[: longest - 1]}…" for line in lines
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
