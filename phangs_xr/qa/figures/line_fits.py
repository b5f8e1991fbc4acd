"""Lines fitted through the pixels of two images: a 2-D histogram, the bins' medians, the line."""

from __future__ import annotations

from dataclasses import dataclass

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.drawing.format_numbers import format_number, format_tick
from phangs_xr.errors import InputError
from phangs_xr.numerics.pair_counts import HISTOGRAM_EDGES
from phangs_xr.qa.figures.style import (
    BLACK,
    COLOURS,
    COUNT_MAP,
    FLUX_UNIT,
    Paper,
    arrange,
    draw_bar,
    frame,
    put_on_paper,
    style,
)
from phangs_xr.qa.measure.products import get_node
from phangs_xr.schema import BANDS

_SOFTENING = 10.0

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class LineFit:
    """A line y = slope · x + intercept, and the pixels it was fitted to.

    `counts` is the 2-D histogram on `HISTOGRAM_EDGES`, rows y; `points` are the medians of bins,
    shape (n, 2), none if the line went through all pixels. `x`, `y` name the axes; `about` what x
    is in the line's label.
    """

    counts: NDArray[np.float64]
    slope: float
    intercept: float
    title: str
    x: str
    y: str
    unit: str
    about: str = "MUSE"
    points: Curve | None = None


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
    fits = _require_fits(field, "anchor_histogram", "fit_anchor, which needs MUSE")
    fit = LineFit(
        fits["anchor_histogram"].values,
        float(fits["slope"]),
        float(fits["intercept"]),
        "Pixels of smoothed HST against MUSE",
        "MUSE Hα flux",
        "smoothed HST Hα flux",
        f"{FLUX_UNIT} per HST pixel",
    )
    return put_on_paper(draw_line_fit(fit), Paper(5.0, 4.6, right=1.0))


def plot_backgrounds(field: xr.DataTree, nebulae: xr.Dataset | None = None) -> hv.Layout:
    """Draw HST's bands against MUSE's, with the lines whose intercepts are the backgrounds.

    Parameters
    ----------
    field
        With the numbers of `subtract_sky` in `/fits`.
    nebulae
        Not needed.

    Returns
    -------
    hv.Layout
        A panel per band, as of `plot_histogram2d`, with the medians of the bins as dots.

    Raises
    ------
    InputError
        If the backgrounds were not measured.
    """
    fits = _require_fits(field, "sky_histogram", "subtract_sky, which needs MUSE's bands")
    panels = []
    for number, band in enumerate(BANDS):
        if not np.isfinite(fits["sky_slope"].values[number]):
            continue
        fit = LineFit(
            fits["sky_histogram"].values[number],
            float(fits["sky_slope"][number]),
            float(fits["sky_intercept"][number]),
            f"{band}: HST against MUSE",
            "MUSE",
            "HST",
            f"{FLUX_UNIT} Å⁻¹ per spaxel",
            points=fits["sky_points"].values[number],
        )
        panels.append(draw_line_fit(fit, side=330))
    return arrange(panels, 3, Paper(4.0, 3.8, right=1.0), linked=False)


def plot_nii(field: xr.DataTree, nebulae: xr.Dataset | None = None) -> hv.Overlay:
    """Draw MUSE's narrow-band line flux against its Hα, with the line whose slope is [NII]'s.

    Parameters
    ----------
    field
        With the numbers of `correct_nii` in `/fits`.
    nebulae
        Not needed.

    Returns
    -------
    hv.Overlay
        As of `plot_histogram2d`, with the medians of the bins as dots.

    Raises
    ------
    InputError
        If the slope was not measured.
    """
    fits = _require_fits(field, "nii_histogram", "correct_nii, which needs MUSE's bands")
    fit = LineFit(
        fits["nii_histogram"].values,
        float(fits["nii_slope"]),
        float(fits["nii_intercept"]),
        "MUSE's narrow band against its Hα",
        "MUSE Hα flux",
        "narrow band without continuum",
        f"{FLUX_UNIT} per spaxel",
        about="Hα",
        points=fits["nii_points"].values,
    )
    return put_on_paper(draw_line_fit(fit), Paper(5.0, 4.6, right=1.0))


def draw_line_fit(fit: LineFit, *, side: int = 420) -> hv.Overlay:
    """Draw one fit; `side` is of its frame on the screen [pixel]."""
    rows, columns = (_find_filled(fit.counts.sum(axis)) for axis in (1, 0))
    window = fit.counts[rows, columns].astype(np.float32)
    across, up = (HISTOGRAM_EDGES[part.start : part.stop + 1] for part in (columns, rows))
    (left, right), (bottom, top) = (tuple(_soften(edges[[0, -1]])) for edges in (across, up))
    x = hv.Dimension("muse_pixel", label=fit.x, unit=fit.unit)
    y = hv.Dimension("hst_pixel", label=fit.y, unit=fit.unit)
    layers = [
        _draw_counts(window, (left, bottom, right, top), (x, y)),
        *_draw_lines(fit, across, (x, y)),
    ]
    if fit.points is not None:
        known = fit.points[np.isfinite(fit.points).all(axis=1)]
        dots = hv.Points((_soften(known[:, 0]), _soften(known[:, 1])), [x, y], label="medians")
        bokeh, mpl = {"size": 6, "line_color": "white"}, {"s": 22}
        layers.append(style(dots, color=BLACK, apply_ranges=False, bokeh=bokeh, mpl=mpl))
    return frame(
        hv.Overlay(layers),
        title=fit.title,
        xlim=(left, right),
        ylim=(bottom, top),
        xticks=_list_ticks(across),
        yticks=_list_ticks(up),
        legend_position="top_left",
        show_grid=True,
        bokeh={"frame_width": side, "frame_height": side},
        mpl={"aspect": "auto"},
    )


def _draw_counts(
    window: NDArray[np.float32],
    bounds: tuple[float, float, float, float],
    dims: tuple[hv.Dimension, hv.Dimension],
) -> hv.Image:
    pixels = hv.Dimension("pixels", label="pixels per bin")
    shown = np.where(window > 0, window, np.nan)[::-1]
    picture = hv.Image(shown, bounds=bounds, kdims=list(dims), vdims=[pixels])
    most = max(float(window.max()), 10.0)
    decades = 10.0 ** np.arange(int(np.log10(most)) + 1)
    bar = draw_bar(
        "pixels per bin", [(float(value), format_tick(value)) for value in decades], below=False
    )
    return style(
        picture,
        cmap=COUNT_MAP,
        cnorm="log",
        clim=(1, most),
        bokeh={"tools": ["hover"], **bar["bokeh"]},
        mpl=bar["mpl"],
    )


def _draw_lines(
    fit: LineFit, across: Curve, dims: tuple[hv.Dimension, hv.Dimension]
) -> list[hv.Curve]:
    label = f"line: {format_number(fit.slope)} × {fit.about} {'−' if fit.intercept < 0 else '+'} "
    label += format_number(abs(fit.intercept))
    return [
        style(
            hv.Curve((_soften(across), _soften(flux)), *dims, label=name),
            color=colour,
            apply_ranges=False,
            width=(2, 1.6),
            dash=dash,
        )
        for name, flux, colour, dash in (
            (label, fit.slope * across + fit.intercept, COLOURS[1], "solid"),
            ("y = x", across, BLACK, "dashed"),
        )
    ]


def _require_fits(field: xr.DataTree, name: str, remedy: str) -> xr.Dataset:
    fits = get_node(field, "fits")
    if name not in fits:
        message = f"{name} is needed here, the field's /fits does not hold it: run {remedy}"
        raise InputError(message)
    return fits


def _find_filled(counts: NDArray[np.float64]) -> slice:
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
