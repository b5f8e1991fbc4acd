"""Fit what turns HST's bands into Hα where MUSE shows it: gain, continuum, skies and shift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.fit_continuum import (
    MuseView,
    fit_robust_offset,
    fit_shifted,
    measure_residual,
)
from phangs_xr.schema import BANDS

Image = NDArray[np.floating]


@dataclass(frozen=True)
class FitBands:
    """Fit what MUSE's grid shows; picklable, with what labels told: see `fit_images`."""

    names: tuple[str, ...]
    weights: tuple[float, float]
    scale: float
    area: float

    def __call__(self, images: Mapping[str, Image]) -> dict[str, Any]:
        """Fit the images."""
        return fit_images(images, self.weights, self.scale, self.area)


def fit_images(
    known: Mapping[str, Image], weights: tuple[float, float], scale: float, area: float
) -> dict[str, Any]:
    """Fit gain, continuum, skies and shift.

    Parameters
    ----------
    known
        MUSE's and HST's images on MUSE's grid, by the names of `solve_halpha`'s
        parameters.
    weights
        Of the broad bands.
    scale
        Side of a spaxel [arcsec].
    area
        A spaxel's over an HST pixel's.

    Returns
    -------
    dict
        The numbers of `solve_halpha`, skies per HST pixel.

    Raises
    ------
    InputError
        If too few spaxels have data in all of them.
    """
    broad = [band for band in BANDS[1:] if f"{band}_on_muse" in known]
    stars = known.get("star_mask")
    free = np.isfinite(known["musehalpha"]) & np.isfinite(known["narrow_on_muse"])
    for band in broad:
        free &= np.isfinite(known[f"{band}_on_muse"])
    if stars is not None:
        free &= np.nan_to_num(stars) == 0
    skies = dict.fromkeys(broad, 0.0)
    for band in broad:
        own = known.get(f"muse_{band}_flux")
        if own is not None:
            skies[band] = fit_robust_offset(own, known[f"{band}_on_muse"], free)
    bands = [known[f"{band}_on_muse"] - skies[band] for band in broad]
    responses = [known["line_response"], *(known[f"{band}_response"] for band in broad)]
    view = MuseView(
        known["narrow_on_muse"],
        bands[0],
        bands[1] if len(bands) > 1 else None,
        np.zeros_like(known["narrow_on_muse"]),
        np.nan_to_num(known["musehalpha"]),
        np.nan_to_num(known["musehalpha_err"], nan=np.inf),
        tuple(responses),
        free & np.isfinite(known["musehalpha_err"]),
        weights,
    )
    try:
        model, shift, shift_error, moved = fit_shifted(view, scale)
    except ValueError as error:
        message = (
            f"solve_halpha: spaxels with data in HST's bands and MUSE's H-alpha are needed to fit "
            f"the continuum, found {error}: check that the images overlap, or leave muse out"
        )
        raise InputError(message) from None
    q = np.zeros(3)
    q_errors = np.zeros(3)
    q[: model.q.size], q_errors[: model.q.size] = model.q, model.q_errors
    by_band = [model.sky, *(skies.get(band, np.nan) for band in BANDS[1:])]
    return {
        "gain": model.gain,
        "gain_error": model.gain_error,
        "continuum_q": q,
        "continuum_q_error": q_errors,
        "continuum_colour": np.array([model.colour, *model.colours]),
        "field_sky": np.array(by_band) / area,
        "muse_shift": shift,
        "muse_shift_error": shift_error,
        "mean_response": np.array(
            [float(np.median(one[view.used])) for one in responses]
            + [0.0] * (len(BANDS) - len(responses))
        ),
        "calibration_error": measure_residual(moved, model),
    }
