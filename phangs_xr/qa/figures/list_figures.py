"""The figures of the report: what each is called, what it shows, and who draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

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
from phangs_xr.qa.measure.measurements import Measured
from phangs_xr.qa.measure.products import get_recipe_of

Maker = Callable[[xr.DataTree, Measured], Any]


@dataclass(frozen=True)
class Picture:
    """One figure of the report.

    Attributes
    ----------
    name
        Of its place on the page.
    title
        Its heading.
    screen
        Makes it for the page.
    text
        What it shows, `{factor}` for the side of the blocks that maps are averaged over.
    on_paper
        Make it for matplotlib, with RA and Dec axes where it is a map, by the names of their files;
        none if that is no other than on the screen.
    step
        The step whose work it shows: it is no figure of a recipe without; "" if of none.
    needs_measured
        Whether it shows what was measured of the field, rather than the field alone.
    """

    name: str
    title: str
    screen: Maker
    text: str
    on_paper: Mapping[str, Maker] = field(default_factory=dict)
    step: str = ""
    needs_measured: bool = True

    @property
    def papers(self) -> Mapping[str, Maker]:
        """What makes its files, by their names."""
        return self.on_paper or {self.name: self.screen}


PICTURES = (
    Picture(
        "fluxes",
        "Nebula fluxes",
        lambda tree, found: plot_linked(tree, found.nebulae, numbers=found.numbers),
        "HST's fluxes of every nebula, map by map, against MUSE's, their ratio against flux "
        "and on the sky. Select points in one panel: the others follow. Grey nebulae are "
        "partly covered.",
        {
            "fluxes": lambda tree, found: plot_fluxes(tree, found.nebulae, numbers=found.numbers),
            "ratio_by_flux": lambda tree, found: plot_ratio_by_flux(tree, found.nebulae),
            "ratio_on_sky": lambda tree, found: plot_ratio_on_sky(tree, found.nebulae, axes="sky"),
        },
    ),
    Picture(
        "maps",
        "Maps",
        lambda tree, found: plot_maps(tree, overview=found.overview),
        "HST's maps beside MUSE's, first in MUSE's colours, then each in its own. The panels pan "
        "together. Values are means over blocks of {factor} × {factor} HST pixels.",
        {"maps": lambda tree, found: plot_maps(tree, axes="sky", overview=found.overview)},
    ),
    Picture(
        "pulls",
        "Do the errors hold?",
        lambda tree, found: plot_pulls(tree, found.nebulae, overview=found.overview),
        "HST's map, alone, against MUSE's at MUSE's resolution, in the errors that both state: if "
        "they hold, all follow the Gaussian, and the map of spaxels shows noise alone. A pull that "
        "follows spiral arms or nebulae is a residual that the errors do not know.",
        {
            "pulls": lambda tree, found: plot_pulls(
                tree, found.nebulae, axes="sky", overview=found.overview
            )
        },
        step="match_halpha",
    ),
    Picture(
        "derived",
        "How certain, and what of",
        lambda tree, found: plot_derived_maps(tree, overview=found.overview),
        "Flux over the error of a pixel; equivalent width where the continuum is above three "
        "errors; what the narrow band sees of the lines, by MUSE's velocities and [NII]; and the "
        "part that MUSE has in the map. Means over blocks of {factor} × {factor} HST pixels.",
        {
            "derived": lambda tree, found: plot_derived_maps(
                tree, axes="sky", overview=found.overview
            )
        },
        step="estimate_errors",
    ),
    Picture(
        "gallery",
        "Most discrepant nebulae",
        lambda tree, found: plot_gallery(tree, found.nebulae),
        "The nebulae, covered by both, whose HST and MUSE fluxes differ most.",
    ),
    Picture(
        "histogram2d",
        "Anchoring line",
        lambda tree, _: plot_histogram2d(tree),
        "All pixels of smoothed HST against MUSE, and the least-squares line that anchors "
        "fit_anchored.",
        step="fit_anchor",
        needs_measured=False,
    ),
    Picture(
        "backgrounds",
        "Backgrounds",
        lambda tree, _: plot_backgrounds(tree),
        "All spaxels of HST's bands, at MUSE's resolution, against MUSE's synthetic ones; dots are "
        "the medians of bins, the line goes through them. Its intercept is the background that "
        "was subtracted; its slope was not used.",
        step="subtract_sky",
        needs_measured=False,
    ),
    Picture(
        "nii",
        "[NII]",
        lambda tree, _: plot_nii(tree),
        "All spaxels of MUSE's narrow band without its continuum against MUSE's Hα; dots are the "
        "medians of bins, the slope of the line is what [NII] adds.",
        step="correct_nii",
        needs_measured=False,
    ),
    Picture(
        "pixel_histograms",
        "Noise and background",
        lambda tree, found: plot_pixel_histograms(tree, overview=found.overview, noise=found.noise),
        "How the pixels spread; a Gaussian fitted to the lower side gives offset and noise.",
    ),
    Picture(
        "cosmic_rays",
        "Cosmic rays",
        lambda tree, _: plot_cosmic_rays(tree),
        "The part of the map with most cosmic rays, before and after they were cut.",
        {"cosmic_rays": lambda tree, _: plot_cosmic_rays(tree, axes="sky")},
        step="remove_cosmic_rays",
        needs_measured=False,
    ),
)
"""All figures, in reading order."""


def list_pictures(field: xr.DataTree) -> tuple[Picture, ...]:
    """Return the figures that a field's recipe has something to show in."""
    steps = {"", *get_recipe_of(field).names}
    return tuple(picture for picture in PICTURES if picture.step in steps)
