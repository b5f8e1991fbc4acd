"""Every figure of the comparison, each a function that returns a HoloViews object.

The objects carry options for both of HoloViews' backends: in a notebook choose one with
`hv.extension("bokeh")` or `hv.extension("matplotlib")`.
"""

# Importing the modules registers both backends, so that a figure carries the options of either,
# without touching the one that the reader's notebook has chosen.
import holoviews.plotting.bokeh
import holoviews.plotting.mpl  # noqa: F401

from phangs_xr.qa.figures_cosmic import plot_cosmic_rays
from phangs_xr.qa.figures_flux import (
    plot_fluxes,
    plot_linked,
    plot_ratio_by_flux,
    plot_ratio_on_sky,
)
from phangs_xr.qa.figures_gallery import plot_gallery
from phangs_xr.qa.figures_maps import plot_maps
from phangs_xr.qa.figures_pixels import plot_histogram2d, plot_pixel_histograms
from phangs_xr.qa.reduce import reduce_field

__all__ = [
    "plot_cosmic_rays",
    "plot_fluxes",
    "plot_gallery",
    "plot_histogram2d",
    "plot_linked",
    "plot_maps",
    "plot_pixel_histograms",
    "plot_ratio_by_flux",
    "plot_ratio_on_sky",
    "reduce_field",
]
