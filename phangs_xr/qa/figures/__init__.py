"""Every figure of the comparison, each a function that returns a HoloViews object.

The objects carry options for both of HoloViews' backends: in a notebook choose one with
`hv.extension("bokeh")` or `hv.extension("matplotlib")`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phangs_xr.qa.figures.cosmic_rays import plot_cosmic_rays
    from phangs_xr.qa.figures.derived_maps import plot_derived_maps
    from phangs_xr.qa.figures.gallery import plot_gallery
    from phangs_xr.qa.figures.line_fits import plot_backgrounds, plot_histogram2d, plot_nii
    from phangs_xr.qa.figures.maps import plot_maps
    from phangs_xr.qa.figures.nebula_fluxes import (
        plot_fluxes,
        plot_linked,
        plot_ratio_by_flux,
        plot_ratio_on_sky,
    )
    from phangs_xr.qa.figures.pixels import plot_pixel_histograms
    from phangs_xr.qa.figures.pulls import plot_pulls
    from phangs_xr.qa.measure.overviews import reduce_field

__all__ = [
    "plot_backgrounds",
    "plot_cosmic_rays",
    "plot_derived_maps",
    "plot_fluxes",
    "plot_gallery",
    "plot_histogram2d",
    "plot_linked",
    "plot_maps",
    "plot_nii",
    "plot_pixel_histograms",
    "plot_pulls",
    "plot_ratio_by_flux",
    "plot_ratio_on_sky",
    "reduce_field",
]

_HOMES = {
    "plot_cosmic_rays": "figures.cosmic_rays",
    "plot_derived_maps": "figures.derived_maps",
    "plot_gallery": "figures.gallery",
    "plot_maps": "figures.maps",
    "plot_backgrounds": "figures.line_fits",
    "plot_histogram2d": "figures.line_fits",
    "plot_nii": "figures.line_fits",
    "plot_pixel_histograms": "figures.pixels",
    "plot_pulls": "figures.pulls",
    "reduce_field": "measure.overviews",
}


def __getattr__(name: str) -> Any:
    """Import a figure when it is asked for, and then both backends.

    A figure carries the options of either, without touching the one that the reader's notebook has
    chosen; the process that draws on paper imports its modules itself, with one backend.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for backend in ("bokeh", "mpl"):
        import_module(f"holoviews.plotting.{backend}")
    return getattr(import_module(f"phangs_xr.qa.{_HOMES.get(name, 'figures.nebula_fluxes')}"), name)
