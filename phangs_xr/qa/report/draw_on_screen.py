"""The figures as plots of the page, which Bokeh draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh
import xarray as xr
from bokeh.core.validation.warnings import FIXED_SIZING_MODE
from bokeh.document import Document
from bokeh.embed import components
from bokeh.models import BoxSelectTool, Toolbar
from bokeh.resources import Resources
from holoviews.plotting.bokeh.util import silence_warnings

from phangs_xr.errors import InputError
from phangs_xr.qa.figures.list_figures import list_pictures
from phangs_xr.qa.measure.measurements import Measured


def draw_screens(field: xr.DataTree, found: Measured) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the plots of the page, and why others cannot be drawn, by their names."""
    models: dict[str, Any] = {}
    notes: dict[str, str] = {}
    for picture in list_pictures(field):
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


def embed_plots(models: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return Bokeh's own code and that of some plots, and the place of each plot on the page."""
    if not models:
        return "", {}
    document = Document()
    # Each model added would have all be searched anew for what they refer to.
    with document.models.freeze():
        for model in models.values():
            document.add_root(model)
    # HoloViews fixes the size of the frames, not of the plots around them, which Bokeh warns of.
    with silence_warnings(FIXED_SIZING_MODE):
        script, places = components(dict(models))
    # The whole of the resources would ask for files of Panel, which HoloViews imports.
    code = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    return f"<script>\n{code}\n</script>\n{script}", dict(places)
