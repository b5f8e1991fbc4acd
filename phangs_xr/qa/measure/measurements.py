"""What the figures need to know of a field beyond its images; without what draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import xarray as xr

from phangs_xr.qa.measure.noise import Noise
from phangs_xr.qa.measure.overviews import Overview

Numbers = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of a field for its figures.

    Attributes
    ----------
    nebulae
        As `measure_nebulae` returns them; empty without MUSE.
    numbers
        As `compare_fluxes` returns them.
    overview
        As `reduce_field` returns it; None if it is not known yet.
    noise
        Of its maps, as `fit_noises` returns it; None if it is not known yet.
    """

    nebulae: xr.Dataset = field(default_factory=xr.Dataset)
    numbers: Numbers = field(default_factory=dict)
    overview: Overview | None = None
    noise: Mapping[str, Noise] | None = None
