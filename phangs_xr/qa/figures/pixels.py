"""How the pixels of the maps spread, and the noise by what lies below zero."""

from __future__ import annotations

from collections.abc import Mapping

import holoviews as hv
import numpy as np
import xarray as xr

from phangs_xr.drawing.format_numbers import format_number
from phangs_xr.errors import InputError
from phangs_xr.qa.figures.style import (
    COLOURS,
    FLUX_UNIT,
    GREY,
    Paper,
    arrange,
    frame,
    style,
)
from phangs_xr.qa.measure.noise import Noise, fit_noises
from phangs_xr.qa.measure.overviews import COUNTED, Overview, PixelHistogram, reduce_field

TITLES = {
    "halpha": "raw",
    "halpha_bgsub": "background-subtracted",
    "anchored": "anchored",
    "hst_contsub": "continuum-subtracted",
    "hst_ha": "[NII] taken out",
    "halpha_hst": "HST alone",
    "halpha_joint": "joint",
}

_BINS = 120


def plot_pixel_histograms(
    field: xr.DataTree,
    nebulae: xr.Dataset | None = None,
    *,
    overview: Overview | None = None,
    noise: Mapping[str, Noise] | None = None,
) -> hv.Layout:
    """Draw how the pixels of the raw, background-subtracted and anchored maps spread.

    Parameters
    ----------
    field
        With as many of `halpha`, `halpha_bgsub` and `anchored` in `/hst` as there are.
    nebulae
        Not needed.
    overview
        Of `reduce_field`, when there is one already.
    noise
        Of `fit_noises`, when its pixels have been fitted already.

    Returns
    -------
    hv.Layout
        A panel per map, with the Gaussian fitted to its noise: offset and σ in the title.

    Raises
    ------
    InputError
        If the field has no `halpha`, or no map has pixels.
    """
    overview = reduce_field(field) if overview is None else overview
    noise = fit_noises(overview) if noise is None else noise
    panels = [
        _draw_histogram(TITLES[name], overview.histograms[name], noise[name])
        for name in COUNTED
        if name in noise
    ]
    if not panels:
        raise InputError(
            "pixels that differ are needed for a histogram, the maps hold none: "
            "check the coverage of the input images"
        )
    return arrange(panels, 3, Paper(4.0, 3.0, left=0.8), linked=False)


def _draw_histogram(title: str, histogram: PixelHistogram, noise: Noise) -> hv.Overlay:
    edges = noise.offset + noise.sigma * np.linspace(-6, 12, _BINS + 1)
    share = histogram.rebin(edges) / histogram.size / np.diff(edges)
    centres = (edges[1:] + edges[:-1]) / 2
    floor = max(share[share > 0].min(initial=noise.height), noise.height * 1e-5)
    shown = np.where(share > 0, share, np.nan)
    x = hv.Dimension("flux", label="Hα flux of a pixel", unit=FLUX_UNIT)
    y = hv.Dimension("share", label="share of pixels per unit of flux")
    steps = hv.Curve((centres, shown), x, y, label="pixels")
    bell = hv.Curve((centres, noise(centres)), x, y, label="Gaussian")
    zero = hv.Curve(([0.0, 0.0], [floor / 10, noise.height * 10]), x, y)
    layers = [
        style(zero, color=GREY, apply_ranges=False, width=(1, 0.8)),
        style(steps, color=COLOURS[0], interpolation="steps-mid", width=(2, 1.6)),
        style(bell, color=COLOURS[1], width=(2, 1.6)),
    ]
    return frame(
        hv.Overlay(layers),
        title=f"{title}: offset {format_number(noise.offset)}, σ {format_number(noise.sigma)}",
        logy=True,
        xlim=(float(edges[0]), float(edges[-1])),
        ylim=(floor / 2, noise.height * 3),
        show_grid=True,
        legend_position="top_right",
        bokeh={"frame_width": 330, "frame_height": 280},
        mpl={"aspect": "auto"},
    )
