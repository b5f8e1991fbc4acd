"""Measure the sky of HST's bands where there is no MUSE to tell it: the clipped median."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from phangs_xr.errors import LARGEST, require_between
from phangs_xr.numerics.lazy import label_number, reduce_images
from phangs_xr.numerics.statistics import AskByName, AskDistribution, ClippedStatistics
from phangs_xr.photometry.labels import require_products
from phangs_xr.schema import BANDS, FLUX_DENSITY

NAMES = tuple(f"{band}_flux" for band in BANDS)


@dataclass(frozen=True)
class MeasureSky:
    """Options of `measure_sky`.

    Attributes
    ----------
    sigma
        Pixels further than so many standard deviations from the median are clipped.
    iterations
        How often.
    """

    sigma: float = 2.5
    iterations: int = 20

    def __post_init__(self) -> None:
        """Refuse clipping that is none."""
        require_between(
            "measure_sky",
            self,
            sigma=(0.5, LARGEST, "standard deviation"),
            iterations=(1, 100, "1"),
        )


@dataclass(frozen=True)
class ReduceToSky(AskByName):
    """Reduce bands to their clipped medians."""

    def finish(self, state: tuple[Any, ...]) -> dict[str, Any]:
        """Return `clipped_sky`, by band, 0 for one that is not there."""
        found = super().finish(state)
        return {
            "clipped_sky": np.array(
                [found[name]["median"] if name in found else 0.0 for name in NAMES]
            )
        }


def reduce_to_sky(options: MeasureSky, images: Collection[str] = NAMES) -> ReduceToSky:
    """Return the reduction of the bands of these names to their skies."""
    ask = AskDistribution(ClippedStatistics(options.sigma, options.iterations), moments=True)
    return ReduceToSky(tuple(((place,), ask) for place in range(len(images))), tuple(images))


def is_needed(options: MeasureSky, given: Collection[str]) -> bool:
    """Tell whether there is no MUSE map."""
    return "musehalpha" not in given


def measure_sky(
    narrow_flux: xr.DataArray,
    continuum1_flux: xr.DataArray,
    continuum2_flux: xr.DataArray | None = None,
    musehalpha: xr.DataArray | None = None,
    *,
    measured: Mapping[str, Any] | None = None,
    options: MeasureSky | None = None,
) -> xr.Dataset:
    """Measure the sky of HST's bands.

    Parameters
    ----------
    narrow_flux, continuum1_flux, continuum2_flux
        Bands on one grid [1e-20 erg/s/cm²/Å per pixel].
    musehalpha
        Where there is one nothing is measured: the comparison with MUSE tells more.
    measured
        The number of `reduce_to_sky`, when known; measured from the whole images if None.
    options
        How it is clipped.

    Returns
    -------
    xr.Dataset
        The number `clipped_sky`, per band [1e-20 erg/s/cm²/Å per pixel]; nothing with MUSE.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    options = options or MeasureSky()
    given = zip(NAMES, (narrow_flux, continuum1_flux, continuum2_flux), strict=True)
    images = {name: one for name, one in given if one is not None}
    require_products(**images)
    if musehalpha is not None:
        return xr.Dataset()
    if measured is None:
        measured = reduce_images(reduce_to_sky(options, images), *images.values())
    sky = label_number(measured["clipped_sky"], "clipped_sky", FLUX_DENSITY, ("band",), (3,))
    return xr.Dataset({"clipped_sky": sky})
