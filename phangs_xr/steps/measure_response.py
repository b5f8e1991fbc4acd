"""Say what each of HST's bands sees of a galaxy's lines, spaxel by spaxel.

    K_band = Σ_line (flux / Hα) · T(λ) λ / ∫T λ dλ,    λ = λ_line (1 + v/c),

over Hα, [NII], Hβ and [OIII]: the flux density that the band shows of an Hα flux of 1. Velocities
and ratios are those of the spaxel where Hα is strong, of its neighbourhood where it is weak, and
the field's where there is nothing. Across a galaxy K of a narrow band changes by tens of per cent,
as lines move through the filter and [NII] changes with metallicity.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError, require_between
from phangs_xr.numerics.collect import CollectPixels
from phangs_xr.numerics.filters import smooth_gaussian
from phangs_xr.numerics.lazy import map_halo, map_pixels, reduce_images
from phangs_xr.photometry.choose_curve import describe_curve, find_curve
from phangs_xr.photometry.curves import Curve
from phangs_xr.photometry.extinction import find_extinction_factor
from phangs_xr.photometry.labels import label_product, require_products
from phangs_xr.photometry.lines import DOUBLETS, LINES
from phangs_xr.schema import BANDS
from phangs_xr.sky import Grid

Image = NDArray[np.floating]
Values = NDArray[np.float64]

LINE_MAPS = {"nii_flux": "NII6583", "hbeta_flux": "HB4861", "oiii_flux": "OIII5006"}
"""MUSE's maps beside Hα, and their lines."""

NAMES = ("musehalpha", "musehalpha_err", "line_velocity", "line_velocity_err", *LINE_MAPS)

FALLBACK = {"nii_flux": 0.35, "hbeta_flux": 0.3, "oiii_flux": 0.15}
"""Ratios to Hα where MAPS has no such line: [NII] of a spiral's disc, Hβ of A_V = 0.3, [OIII] of
solar metallicity (Groves et al. 2023, MNRAS 520, 4902)."""

LARGEST_RATIO = 20.0


@dataclass(frozen=True)
class MeasureResponse:
    """Options of `measure_response`.

    Attributes
    ----------
    sigma
        Of the Gaussian neighbourhood of weak spaxels [spaxel].
    strong_velocity, strong_ratio
        Signal to noise of Hα from which a spaxel's own velocity, and its own ratios, count.
    strong_mean
        The same of its neighbourhood; below, the field's ratios count.
    redshift
        Systemic velocity [km/s]; REDSHIFT of the MAPS file if None.
    ebv
        E(B-V) of the Milky Way [mag], which dims what HST sees of lines that MUSE's maps have
        corrected; a run takes that of `correct_extinction`.
    """

    sigma: float = 2.5
    strong_velocity: float = 12.0
    strong_ratio: float = 40.0
    strong_mean: float = 15.0
    redshift: float | None = None
    ebv: float | None = None

    def __post_init__(self) -> None:
        """Refuse a neighbourhood that is none."""
        require_between("measure_response", self, sigma=(0.1, 50, "spaxel"))


def find_redshift(options: MeasureResponse, muse: xr.DataArray) -> float:
    """Return the systemic velocity [km/s].

    Raises
    ------
    InputError
        If neither the options nor MUSE's file give one.
    """
    value = options.redshift if options.redshift is not None else muse.attrs.get("redshift")
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 3e4:
        return float(value)
    message = (
        f"measure_response: the galaxy's systemic velocity [km/s] is needed, found REDSHIFT = "
        f"{value!r} in {muse.attrs.get('source', 'the MAPS file')}: correct the header, or set "
        f"[options.measure_response] redshift"
    )
    raise InputError(message)


def check_inputs(options: MeasureResponse, images: Mapping[str, xr.DataArray]) -> Iterable[str]:
    """Refuse bands of no known filter and a galaxy of unknown velocity; say which lines lack."""
    if "muse" not in images:
        return
    find_redshift(options, images["muse"])
    for band in (band for band in BANDS if band in images):
        describe_curve(images[band], band)
    for name, source in (("nii_flux", "muse_nii"), ("hbeta_flux", "muse_hbeta")):
        if source not in images:
            yield (
                f"the MAPS file has no {LINE_MAPS[name]}_FLUX: {FALLBACK[name]:g} of H-alpha is "
                f"taken for it"
            )
    if "muse_velocity" not in images:
        yield "the MAPS file has no HA6562_VEL: all gas is taken to be at the galaxy's velocity"


def choose_strong(halpha: Image, error: Image, *others: Image) -> NDArray[np.bool_]:
    """Tell which spaxels have Hα at 12 errors and more."""
    strong: NDArray[np.bool_] = np.isfinite(halpha) & (halpha > 12 * error)
    return strong


def find_field_values(rows: Values, *, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the field's velocity and line ratios, from its strong spaxels.

    Parameters
    ----------
    rows
        Shape (images, spaxels), in the order of `names`.
    names
        Some of `NAMES`.

    Returns
    -------
    dict
        `field_velocity` [km/s], the median relative to REDSHIFT; `field_ratios` of `LINE_MAPS` to
        Hα, sums over sums.
    """
    known = dict(zip(names, rows, strict=False)) if rows.size else {}
    velocity = float(np.nanmedian(known["line_velocity"])) if "line_velocity" in known else 0.0
    ratios = []
    for name in LINE_MAPS:
        ratio = FALLBACK[name]
        if name in known:
            both = np.isfinite(known[name])
            total = known["musehalpha"][both].sum()
            ratio = float(known[name][both].sum() / total) if total > 0 else ratio
        ratios.append(min(max(ratio, 0.0), LARGEST_RATIO))
    return {
        "field_velocity": velocity if np.isfinite(velocity) else 0.0,
        "field_ratios": np.array(ratios),
    }


def reduce_to_field(options: MeasureResponse, images: Collection[str] = NAMES) -> CollectPixels:
    """Return the reduction of the maps of these names to the field's values."""
    return CollectPixels(choose_strong, _FindField(tuple(images)))


@dataclass(frozen=True)
class _FindField:
    names: tuple[str, ...]

    def __call__(self, rows: Values) -> dict[str, Any]:
        return find_field_values(rows, names=self.names)


def find_reach(options: MeasureResponse) -> int:
    """Return the half-width of the neighbourhood [spaxel]."""
    return ceil(4 * options.sigma)


def find_halo(options: MeasureResponse, grid: Grid) -> int:
    """Return how far a spaxel's response can depend on others [spaxel]."""
    return find_reach(options)


def choose_velocity(
    halpha: Image,
    halpha_err: Image,
    velocity: Image,
    velocity_err: Image,
    *,
    origin: tuple[int, int],
    field_velocity: float,
    sigma: float,
    reach: int,
    strong: float,
) -> Image:
    """Return a velocity for every spaxel: its own, its neighbourhood's, or the field's [km/s]."""
    signal = halpha / halpha_err
    weight = np.where(signal > 3, 1 / velocity_err**2, 0)
    weight = np.nan_to_num(np.where(np.isfinite(velocity), weight, 0)).astype(halpha.dtype)
    total = smooth_gaussian(weight, sigma, reach, origin)
    mean = smooth_gaussian(np.nan_to_num(velocity) * weight, sigma, reach, origin)
    near = np.divide(mean, total, out=np.full_like(mean, field_velocity), where=total > 1e-7)
    own = (signal > strong) & np.isfinite(velocity)
    return np.where(own, velocity, near)


def choose_ratio(
    halpha: Image,
    halpha_err: Image,
    line: Image,
    *,
    origin: tuple[int, int],
    field_ratio: float,
    sigma: float,
    reach: int,
    strong: float,
    strong_mean: float,
) -> Image:
    """Return a line's ratio to Hα for each spaxel: its own, its neighbourhood's, or the field's."""
    known = np.isfinite(halpha) & np.isfinite(line)
    mean_halpha = smooth_gaussian(np.where(known, halpha, 0), sigma, reach, origin)
    mean_line = smooth_gaussian(np.where(known, line, 0), sigma, reach, origin)
    error = smooth_gaussian(np.where(known, halpha_err, 0), sigma, reach, origin)
    error = error / (2 * np.sqrt(np.pi) * sigma)
    ratio = np.full_like(mean_halpha, field_ratio)
    np.divide(mean_line, mean_halpha, out=ratio, where=mean_halpha > strong_mean * error)
    own = known & (halpha > strong * halpha_err)
    np.divide(line, halpha, out=ratio, where=own)
    return np.clip(ratio, 0, LARGEST_RATIO)


def add_lines(
    velocity: Image, *ratios: Image, curve: Curve, redshift: float, dimming: float
) -> Image:
    """Return what a band sees of all lines, per Hα [1/Å].

    Parameters
    ----------
    velocity
        Relative to `redshift` [km/s].
    *ratios
        To Hα, of `LINE_MAPS`.
    curve
        Of the band's filter.
    redshift
        Systemic velocity [km/s].
    dimming
        Factor by which the Milky Way dims the band.
    """
    speed = velocity.astype(np.float64) + redshift
    response = curve.find_response(LINES["HA6562"], speed)
    for line, ratio in zip(LINE_MAPS.values(), ratios, strict=True):
        seen = curve.find_response(LINES[line], speed)
        for weak, (strong, share) in DOUBLETS.items():
            if strong == line:
                seen = seen + share * curve.find_response(LINES[weak], speed)
        response = response + ratio * seen
    return (response / dimming).astype(velocity.dtype)


def measure_response(
    musehalpha: xr.DataArray,
    musehalpha_err: xr.DataArray,
    muse: xr.DataArray,
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    continuum2: xr.DataArray | None = None,
    line_velocity: xr.DataArray | None = None,
    line_velocity_err: xr.DataArray | None = None,
    nii_flux: xr.DataArray | None = None,
    hbeta_flux: xr.DataArray | None = None,
    oiii_flux: xr.DataArray | None = None,
    *,
    measured: Mapping[str, Any] | None = None,
    options: MeasureResponse | None = None,
) -> xr.Dataset:
    """Measure what HST's bands see of the lines in MUSE's maps.

    Parameters
    ----------
    musehalpha, musehalpha_err, nii_flux, hbeta_flux, oiii_flux
        Maps on one grid [1e-20 erg/s/cm² per spaxel]; of a line without a map a typical ratio is
        taken.
    muse
        The MAPS file's image, for its attribute `redshift` [km/s]; its pixels are not read.
    narrow, continuum1, continuum2
        HST's bands, which tell the filters; their pixels are not read.
    line_velocity, line_velocity_err
        Of Hα, relative to the redshift [km/s]; 0 without.
    measured
        The numbers of `reduce_to_field`, when known; measured from the whole maps if None.
    options
        What counts as strong.

    Returns
    -------
    xr.Dataset
        `line_response` of the narrow band, `continuum1_response` and, if there is such a band,
        `continuum2_response` [1/Å], finite on the whole grid.

    Raises
    ------
    GridError
        If the maps are not on one grid.
    InputError
        If a unit is another, a filter is not known, or the redshift.
    """
    options = options or MeasureResponse()
    given = (musehalpha, musehalpha_err, line_velocity, line_velocity_err)
    lines = dict(zip(LINE_MAPS, (nii_flux, hbeta_flux, oiii_flux), strict=True))
    named = zip(NAMES, (*given, *lines.values()), strict=True)
    maps = {name: one for name, one in named if one is not None}
    require_products(**maps)
    if measured is None:
        measured = reduce_images(reduce_to_field(options, maps), *maps.values())
    near: dict[str, Any] = {
        "depth": find_reach(options),
        "sigma": options.sigma,
        "reach": find_reach(options),
    }
    halpha = (musehalpha, musehalpha_err)
    if line_velocity is not None:
        # Without errors all spaxels' velocities count alike.
        ones = map_pixels(np.ones_like, line_velocity)
        velocity = map_halo(
            choose_velocity,
            *halpha,
            line_velocity,
            ones if line_velocity_err is None else line_velocity_err,
            field_velocity=measured["field_velocity"],
            strong=options.strong_velocity,
            **near,
        )
    else:
        velocity = map_pixels(np.zeros_like, musehalpha)
    ratios = []
    for number, (name, line) in enumerate(lines.items()):
        if line is None:
            ratios.append(map_pixels(np.full_like, musehalpha, fill_value=FALLBACK[name]))
            continue
        ratios.append(
            map_halo(
                choose_ratio,
                *halpha,
                line,
                field_ratio=measured["field_ratios"][number],
                strong=options.strong_ratio,
                strong_mean=options.strong_mean,
                **near,
            )
        )
    redshift = find_redshift(options, muse)
    made = {}
    for band, image in zip(BANDS, (narrow, continuum1, continuum2), strict=True):
        if image is None:
            continue
        name = "line_response" if band == "narrow" else f"{band}_response"
        curve = find_curve(image, band)
        dimming = find_extinction_factor(curve.pivot, options.ebv or 0.0)
        response = map_pixels(
            add_lines, velocity, *ratios, curve=curve, redshift=redshift, dimming=dimming
        )
        made[name] = label_product(response, name, "measure_response", curve=curve.name)
    return xr.Dataset(made)
