"""Turn continuum-subtracted counts into line flux: f = counts × PHOTFLAM × width × 1e20.

The earlier recipe takes PHOTBW, the RMS bandwidth, for the width. A line at the filter's peak needs
the rectangular width ∫T dλ / max T instead (Rodríguez et al., WFPC2 narrow-band photometry FAQ),
2 to 3 times as wide, or a fifth where the header's PHOTBW is wrong; the anchoring to MUSE takes up
the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_pixels
from phangs_xr.photometry.choose_curve import find_curve
from phangs_xr.photometry.keywords import require_photometry
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.schema import FLUX_SCALE


@dataclass(frozen=True)
class ConvertUnits:
    """Options of `convert_units`.

    Attributes
    ----------
    bandwidth
        "photbw": PHOTBW of the header, as published. "rectangular": `rectangular_width`.
    rectangular_width
        ∫T dλ / max T of the narrow filter [Å]; that of its throughput curve if None, where header
        or file's name tell the filter.
    """

    bandwidth: Literal["photbw", "rectangular"] = "photbw"
    rectangular_width: float | None = None

    def __post_init__(self) -> None:
        """Refuse a rectangular width that is not positive."""
        if self.rectangular_width is not None and not self.rectangular_width > 0:
            message = (
                f"convert_units: bandwidth 'rectangular' needs a positive rectangular_width "
                f"[Angstrom], found {self.rectangular_width}: give it, or the throughput curve"
            )
            raise InputError(message)


def check_inputs(options: ConvertUnits, images: Mapping[str, xr.DataArray]) -> Iterable[str]:
    """Refuse a narrow band whose header lacks the width that is asked for; there is no remark."""
    _find_width(options, images["narrow"])
    return ()


def _find_width(options: ConvertUnits, image: xr.DataArray) -> float:
    """Return the width that the line's flux density is multiplied by [Å]."""
    if options.bandwidth == "photbw":
        return require_photometry(image, "photbw", "narrow")
    if options.rectangular_width is not None:
        return options.rectangular_width
    return find_curve(image, "narrow").rectangular_width


def scale_counts(counts: NDArray[np.floating], *, factor: float) -> NDArray[np.floating]:
    """Return counts times a factor."""
    return counts * factor


def convert_units(halpha_raw: xr.DataArray, *, options: ConvertUnits | None = None) -> xr.Dataset:
    """Convert continuum-subtracted counts to line flux.

    Parameters
    ----------
    halpha_raw
        [electron / s], with the narrow band's PHOTFLAM and PHOTBW as attributes.
    options
        Which width to use; the default if None.

    Returns
    -------
    xr.Dataset
        `halpha` [1e-20 erg/s/cm² per pixel], NaN where `halpha_raw` is.

    Raises
    ------
    InputError
        If the unit is not counts, or a photometric keyword is missing or not positive.
    """
    options = options or ConvertUnits()
    require_products(halpha_raw=halpha_raw)
    width = _find_width(options, halpha_raw)
    factor = require_photometry(halpha_raw, "photflam", "narrow") * width * FLUX_SCALE
    halpha = map_pixels(scale_counts, halpha_raw, factor=factor)
    return xr.Dataset({"halpha": label_product(halpha, "halpha", "convert_units")})
