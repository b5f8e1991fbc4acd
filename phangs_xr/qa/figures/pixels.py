"""Pixels counted: smoothed HST against MUSE with the anchoring line, and the noise of the maps."""

from __future__ import annotations

from collections.abc import Mapping

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.pair_counts import HISTOGRAM_EDGES
from phangs_xr.qa.figures.format_numbers import format_number, format_tick
from phangs_xr.qa.figures.style import (
    BLACK,
    COLOURS,
    COUNT_MAP,
    FLUX_UNIT,
    GREY,
    Paper,
    arrange,
    draw_bar,
    frame,
    put_on_paper,
    style,
)
from phangs_xr.qa.measure.noise import Noise, fit_noises
from phangs_xr.qa.measure.overviews import COUNTED, Overview, PixelHistogram, reduce_field
from phangs_xr.qa.measure.products import find_number, get_node

TITLES = {
    "halpha": "raw",
    "halpha_bgsub": "background-subtracted",
    "anchored": "anchored",
}

_SOFTENING = 10.0
_BINS = 120

Curve = NDArray[np.float64]


def plot_histogram2d(field: xr.DataTree, nebulae: xr.Dataset | None = None) -> hv.Overlay:
    """Draw the 2-D histogram of smoothed HST against MUSE pixels with the anchoring line.

    Parameters
    ----------
    field
        With `anchor_histogram`, `slope` and `intercept` in `/fits`, as `fit_anchor` measures them.
    nebulae
        Not needed.

    Returns
    -------
    hv.Overlay
        Axes are linear within ±10 and logarithmic beyond. The line is smoothed = slope · MUSE +
        intercept; dashed is y = x.

    Raises
    ------
    InputError
        If the histogram was not measured.
    """
    fits = get_node(field, "fits")
    if "anchor_histogram" not in fits:
        message = (
            "anchor_histogram is needed here, the field's /fits does not hold it: "
            "run fit_anchor, which needs MUSE"
        )
        raise InputError(message)
    counts = fits["anchor_histogram"].values
    rows, columns = (_find_filled(counts.sum(axis)) for axis in (1, 0))
    window = counts[rows, columns].astype(np.float32)
    muse, hst = (HISTOGRAM_EDGES[part.start : part.stop + 1] for part in (columns, rows))
    (left, right), (bottom, top) = (tuple(_soften(edges[[0, -1]])) for edges in (muse, hst))
    x = hv.Dimension("muse_pixel", label="MUSE Hα flux", unit=f"{FLUX_UNIT} per HST pixel")
    y = hv.Dimension("hst_pixel", label="smoothed HST Hα flux", unit=f"{FLUX_UNIT} per HST pixel")
    pixels = hv.Dimension("pixels", label="pixels per bin")
    shown = np.where(window > 0, window, np.nan)[::-1]
    picture = hv.Image(shown, bounds=(left, bottom, right, top), kdims=[x, y], vdims=[pixels])
    most = max(float(window.max()), 10.0)
    decades = 10.0 ** np.arange(int(np.log10(most)) + 1)
    ticks = [(float(value), format_tick(value)) for value in decades]
    bar = draw_bar("pixels per bin", ticks, below=False)
    picture = style(
        picture,
        cmap=COUNT_MAP,
        cnorm="log",
        clim=(1, most),
        bokeh={"tools": ["hover"], **bar["bokeh"]},
        mpl=bar["mpl"],
    )
    slope, intercept = find_number(field, "slope"), find_number(field, "intercept")
    label = f"line: {format_number(slope)} × MUSE {'−' if intercept < 0 else '+'} "
    label += format_number(abs(intercept))
    lines = [
        style(
            hv.Curve((_soften(muse), _soften(flux)), x, y, label=name),
            color=colour,
            apply_ranges=False,
            width=(2, 1.6),
            dash=dash,
        )
        for name, flux, colour, dash in (
            (label, slope * muse + intercept, COLOURS[1], "solid"),
            ("y = x", muse, BLACK, "dashed"),
        )
    ]
    panel = frame(
        hv.Overlay([picture, *lines]),
        title="Pixels of smoothed HST against MUSE",
        xlim=(left, right),
        ylim=(bottom, top),
        xticks=_list_ticks(muse),
        yticks=_list_ticks(hst),
        legend_position="top_left",
        show_grid=True,
        bokeh={"frame_width": 420, "frame_height": 420},
        mpl={"aspect": "auto"},
    )
    return put_on_paper(panel, Paper(5.0, 4.6, right=1.0))


def _find_filled(counts: NDArray[np.int64]) -> slice:
    """From the first to the last bin with pixels, and one more on either side."""
    filled = np.flatnonzero(counts)
    if filled.size == 0:
        return slice(0, counts.size)
    return slice(max(int(filled[0]) - 1, 0), min(int(filled[-1]) + 2, counts.size))


def _soften(flux: NDArray[np.float64]) -> Curve:
    return np.arcsinh(flux / _SOFTENING)


def _list_ticks(flux: Curve) -> list[tuple[float, str]]:
    """Powers of ten within a range of flux, at least 10 from zero, and zero."""
    powers = 10.0 ** np.arange(1, 8)
    values = np.concatenate([-powers[::-1], [0.0], powers])
    values = values[(values >= flux[0]) & (values <= flux[-1])]
    return [(float(_soften(value)), format_tick(float(value))) for value in values]


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
