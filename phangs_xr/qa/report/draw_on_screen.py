"""The figures as plots of the page, which Bokeh draws."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh
import xarray as xr
from bokeh.models import BoxSelectTool, Toolbar

from phangs_xr.errors import InputError
from phangs_xr.qa.figures.pictures import PICTURES
from phangs_xr.qa.measure.measured import Measured


def draw_screens(field: xr.DataTree, found: Measured) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the plots of the page, and why others cannot be drawn, by their names.

    Parameters
    ----------
    field
        A finished run, lazily opened.
    found
        What was measured of it.
    """
    models: dict[str, Any] = {}
    notes: dict[str, str] = {}
    for picture in PICTURES:
        try:
            models[picture.name] = render_screen(picture.screen(field, found))
        except InputError as error:
            notes[picture.name] = f"Not shown: {error}"
    return models, notes


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
