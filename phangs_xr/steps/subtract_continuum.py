"""Interpolate the continuum between the broad bands and take it off the narrow band.

Each broad band is scaled to the narrow band's counts by their AB zero points, which is a linear
interpolation of f_ν between the pivot wavelengths (Barnes et al. 2023; zero points as in the HST
data handbooks):

    ZP = -2.5 log10 PHOTFLAM - 5 log10 PHOTPLAM - 2.408,    s_i = 10^(-0.4 (ZP_n - ZP_i)),
    C = c1 w1/s1 + c2 w2/s2,    w1 = |λ2 - λn| / |λ1 - λ2|,    w2 = |λ1 - λn| / |λ1 - λ2|.

Where the two terms have not the same sign, the first band stands alone: C = c1/s1.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log10
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.choose_curve import name_curve
from phangs_xr.photometry.keywords import Photometry, find_keyword, get_photometry
from phangs_xr.photometry.labels import label_product, require_products

logger = logging.getLogger(__name__)

Image = NDArray[np.floating]

AB_ZERO_POINT = -2.408
"""Of ZP = -2.5 log10(PHOTFLAM) - 5 log10(PHOTPLAM) - 2.408 (ACS data handbook, section 5.1.1)."""


@dataclass(frozen=True)
class SubtractContinuum:
    """Options of `subtract_continuum`: there are none."""


def interpolate_continuum(
    continuum1: Image, continuum2: Image, *, share1: float, share2: float, alone: float
) -> Image:
    """Return the continuum in the narrow band, in its counts.

    Parameters
    ----------
    continuum1, continuum2
        Broad-band counts, NaN where there are none.
    share1, share2
        Weight over scale, w_i/s_i, of each band.
    alone
        Scale of the first band where it stands alone, 1/s1.
    """
    first, second = continuum1 * share1, continuum2 * share2
    return np.where(first * second > 0, first + second, continuum1 * alone)


def scale_continuum(continuum1: Image, *, alone: float) -> Image:
    """Return the continuum in the narrow band from one broad band, in the narrow band's counts."""
    return continuum1 * alone


def check_inputs(options: SubtractContinuum, images: Mapping[str, xr.DataArray]) -> Iterable[str]:
    """Refuse bands whose headers lack photometry, or that have one pivot; there is no remark."""
    given = [name for name in ("narrow", "continuum1", "continuum2") if name in images]
    bands = [get_photometry(images[name], name) for name in given]
    if len(bands) == 3:
        weigh_bands(*bands)
    return ()


def subtract_continuum(
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    continuum2: xr.DataArray | None = None,
    *,
    options: SubtractContinuum | None = None,
) -> xr.Dataset:
    """Subtract the continuum from a narrow-band image.

    Parameters
    ----------
    narrow, continuum1, continuum2
        Images on one grid [electron / s, or each its own rate of counts], NaN where there are no
        data, with PHOTFLAM and PHOTPLAM as attributes or in the header they came with. Without a
        second continuum the first is scaled by its zero point alone.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `halpha_raw`, `cont_raw` [the narrow band's unit], NaN where `narrow` or `continuum1` is.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is not electrons per second, a photometric keyword is missing or not positive, or
        both continua have one pivot.
    """
    images = {"narrow": narrow, "continuum1": continuum1}
    if continuum2 is not None:
        images["continuum2"] = continuum2
    require_products(**images)
    bands = {name: get_photometry(image, name) for name, image in images.items()}
    alone = 1 / _find_scale(bands["narrow"], bands["continuum1"])
    if continuum2 is None:
        continuum = map_pixels(scale_continuum, continuum1, alone=alone)
    else:
        weight1, weight2 = weigh_bands(bands["narrow"], bands["continuum1"], bands["continuum2"])
        continuum = map_pixels(
            interpolate_continuum,
            continuum1,
            continuum2,
            share1=weight1 * alone,
            share2=weight2 / _find_scale(bands["narrow"], bands["continuum2"]),
            alone=alone,
        )
    halpha = map_pixels(np.subtract, narrow, continuum)
    photometry: dict[str, Any] = {
        "units": narrow.attrs["units"],
        "photflam": bands["narrow"].photflam,
        "photplam": bands["narrow"].pivot,
    }
    width = find_keyword(narrow, "photbw")
    if width is not None:
        photometry["photbw"] = width
    if name_curve(narrow):
        photometry["curve"] = name_curve(narrow)
    return xr.Dataset(
        {
            name: label_product(image, name, "subtract_continuum", **photometry)
            for name, image in (("halpha_raw", halpha), ("cont_raw", continuum))
        }
    )


def weigh_bands(narrow: Photometry, first: Photometry, second: Photometry) -> tuple[float, float]:
    """Return the weights of two broad bands by the distance of their pivots from the narrow one's.

    Raises
    ------
    InputError
        If both broad bands have the same pivot wavelength.
    """
    apart = abs(first.pivot - second.pivot)
    if apart == 0:
        message = (
            f"continuum1 and continuum2 should have different pivot wavelengths, both have "
            f"{first.pivot} Angstrom: give two different filters, or leave continuum2 out"
        )
        raise InputError(message)
    if (first.pivot - narrow.pivot) * (second.pivot - narrow.pivot) > 0:
        logger.warning(
            "extrapolation: both continua (pivots %s and %s Angstrom) lie on one side of the "
            "narrow band (%s Angstrom)",
            first.pivot,
            second.pivot,
            narrow.pivot,
        )
    return abs(second.pivot - narrow.pivot) / apart, abs(first.pivot - narrow.pivot) / apart


def _find_scale(narrow: Photometry, band: Photometry) -> float:
    """Return the counts of a flat f_ν source in a band over those in the narrow band."""
    zero_points = [
        -2.5 * log10(one.photflam) - 5 * log10(one.pivot) + AB_ZERO_POINT for one in (narrow, band)
    ]
    return float(10 ** (-0.4 * (zero_points[0] - zero_points[1])))
