"""Solve HST's narrow band for Hα: continuum, sky and [NII] as MUSE shows them, an error per pixel.

    H = (n - s - q(u) (a1 c1 + a2 c2)) / (gain · K_n - q(u) (a1 K_1 + a2 K_2)),
    a1 = w1 u^-w2,    a2 = w2 u^w1,

where u = c1/c2 is the colour of the line-free broad bands, smoothed as its noise asks for, K what
each band sees of the lines (`measure_response`), and gain, q and the skies come from the comparison
with MUSE at its resolution (`phangs_xr.numerics.fit_continuum`). The lines in the broad bands are
solved for in closed form. Linear in the pixels: no pixel is treated by its sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, log, sqrt
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError, require_between
from phangs_xr.numerics.collect import CollectImages
from phangs_xr.numerics.filters import BLOCK_SIDE
from phangs_xr.numerics.find_shift import LARGEST_SHIFT
from phangs_xr.numerics.fit_bands import FitBands
from phangs_xr.numerics.lazy import label_number, map_halo, map_pixels, map_tiles, reduce_images
from phangs_xr.numerics.resampling import PAD, sample_shifted
from phangs_xr.numerics.solve_line import (
    REACH,
    add_assumed,
    divide_error,
    divide_line,
    fill_like,
    find_continuum,
    find_line_response,
    find_log_colour,
    find_width,
    free_band,
    scale,
)
from phangs_xr.photometry.choose_curve import find_curve
from phangs_xr.photometry.extinction import find_extinction_factor
from phangs_xr.photometry.labels import keep_curve, label_product, require_products, require_units
from phangs_xr.photometry.lines import DOUBLETS, LINES
from phangs_xr.schema import BANDS, NUMBERS
from phangs_xr.sky import Grid, get_grid, require_one_grid

Image = NDArray[np.floating]
Values = NDArray[np.float64]

NAMES = (
    *(f"{band}_on_muse" for band in BANDS),
    *("musehalpha", "musehalpha_err", "line_response"),
    *(f"{band}_response" for band in BANDS[1:]),
    *(f"muse_{band}_flux" for band in BANDS[1:]),
    "star_mask",
)

MARGIN = PAD + LARGEST_SHIFT
"""Spaxels needed around those that HST's pixels fall on."""

LARGEST_GAIN = 0.15
"""Difference of HST's from MUSE's calibration that is nothing to worry about."""


@dataclass(frozen=True)
class SolveHalpha:
    """Options of `solve_halpha`.

    Attributes
    ----------
    ebv
        E(B-V) of the Milky Way [mag]; a run takes that of `correct_extinction`.
    colour_fwhm
        Of the Gaussian that the colour is that of [arcsec]: what MUSE's is that the fit was made
        with.
    fine_sigma
        Of the finer Gaussian that is taken where both bands, smoothed by it, are above
        `fine_signal` times their error [pixel].
    fine_signal
        See there.
    nii_ratio
        [NII]6583 over Hα where there is no MUSE map.
    redshift
        Systemic velocity where there is no MUSE map [km/s].
    continuum_error
        Relative error of the continuum where there is no MUSE map to fit it to: spectra of stars
        are curved by as much.
    """

    ebv: float | None = None
    colour_fwhm: float = 1.16
    fine_sigma: float = 4.0
    fine_signal: float = 20.0
    nii_ratio: float = 0.35
    redshift: float | None = None
    continuum_error: float = 0.03

    def __post_init__(self) -> None:
        """Refuse what is no colour excess, width or ratio."""
        require_between(
            "solve_halpha",
            self,
            colour_fwhm=(0.05, 60, "arcsec"),
            fine_sigma=(0.3, 100, "pixel"),
            nii_ratio=(0, 20, "ratio"),
            continuum_error=(0, 1, "ratio"),
        )
        if self.ebv is not None and not 0 <= self.ebv < 10:
            message = f"solve_halpha: ebv should be 0 to 10 mag, found {self.ebv}: correct it"
            raise InputError(message)


def weigh_bands(pivots: list[float]) -> tuple[float, float]:
    """Return the weights of the broad bands, linear in the logarithm of the pivots."""
    if len(pivots) < len(BANDS):
        return 1.0, 0.0
    narrow, first, second = pivots
    if first == second:
        message = (
            f"continuum1 and continuum2 should have different pivot wavelengths, both have "
            f"{first} Angstrom: give two different filters, or leave continuum2 out"
        )
        raise InputError(message)
    weight = log(second / narrow) / log(second / first)
    return weight, 1 - weight


def check_inputs(options: SolveHalpha, images: Mapping[str, xr.DataArray]) -> Iterator[str]:
    """Refuse bands of one pivot, and a galaxy of unknown velocity; say what is assumed."""
    weigh_bands([find_curve(images[name], name).pivot for name in BANDS if name in images])
    if "muse" in images:
        lacking = [band for band in BANDS[1:] if band in images and f"muse_{band}" not in images]
        if lacking:
            names = " and ".join(f"muse_{band}" for band in lacking)
            yield f"without {names} no sky is taken off HST's broad bands"
        return
    if options.redshift is None:
        yield "no MUSE map and no redshift: lines are taken to be at rest"
    yield (
        f"no MUSE map: [NII]6583 is taken as {options.nii_ratio:g} of H-alpha everywhere, the "
        f"continuum as it is interpolated, to {options.continuum_error:.0%}, the sky as the median "
        f"away from sources: all fluxes share an error of tens of per cent"
    )


def judge_model(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Say if the continuum could not be fitted, and if HST and MUSE disagree on the line's flux."""
    if np.isnan(numbers["continuum_q_error"][0]):
        yield (
            "the comparison with MUSE gives no plausible continuum: it is taken as interpolated; "
            "look at the broad bands, and at what MUSE's H-alpha map is"
        )
    if abs(numbers["gain"] - 1) > LARGEST_GAIN:
        yield (
            f"HST's line flux is {numbers['gain']:.2f} times MUSE's: check PHOTFLAM and the "
            f"filter's curve"
        )


def reduce_to_model(
    options: SolveHalpha, images: Mapping[str, xr.DataArray | None]
) -> CollectImages:
    """Return the reduction of the images on MUSE's grid to the model of the narrow band."""
    names = tuple(images)
    first = images.get("narrow_on_muse")
    weights, scale, area = (1.0, 0.0), 0.2, 25.0
    if first is not None:
        pivots = [
            image.attrs["pivot"]
            for name, image in images.items()
            if name.endswith("_on_muse") and image is not None
        ]
        weights = weigh_bands(pivots)
        grid = get_grid(first)
        scale, area = sqrt(grid.pixel_area), first.attrs["pixel_area_ratio"]
    return CollectImages(names, FitBands(names, weights, scale, area))


def find_halo(options: SolveHalpha, grid: Grid) -> int:
    """Return the half-width of the colour's Gaussian [pixel]."""
    sigma = max(options.colour_fwhm / 2.3548 / sqrt(grid.pixel_area), options.fine_sigma)
    return ceil(REACH * sigma) + 2 * BLOCK_SIDE


def assume_response(options: SolveHalpha, image: xr.DataArray, ebv: float) -> float:
    """Return what a band sees of the lines where there is no MUSE map [1/Å]."""
    curve = find_curve(image, str(image.name))
    speed = options.redshift or 0.0
    seen = float(curve.find_response(LINES["HA6562"], speed))
    strong, share = DOUBLETS["NII6548"]
    seen += options.nii_ratio * float(curve.find_response(LINES[strong], speed))
    seen += options.nii_ratio * share * float(curve.find_response(LINES["NII6548"], speed))
    return seen / find_extinction_factor(curve.pivot, ebv)


def solve_halpha(
    narrow_flux: xr.DataArray,
    continuum1_flux: xr.DataArray,
    continuum2_flux: xr.DataArray | None = None,
    narrow_flux_err: xr.DataArray | None = None,
    continuum1_flux_err: xr.DataArray | None = None,
    continuum2_flux_err: xr.DataArray | None = None,
    narrow_on_muse: xr.DataArray | None = None,
    continuum1_on_muse: xr.DataArray | None = None,
    continuum2_on_muse: xr.DataArray | None = None,
    musehalpha: xr.DataArray | None = None,
    musehalpha_err: xr.DataArray | None = None,
    line_response: xr.DataArray | None = None,
    continuum1_response: xr.DataArray | None = None,
    continuum2_response: xr.DataArray | None = None,
    muse_continuum1_flux: xr.DataArray | None = None,
    muse_continuum2_flux: xr.DataArray | None = None,
    star_mask: xr.DataArray | None = None,
    clipped_sky: Any = None,
    *,
    measured: Mapping[str, Any] | None = None,
    options: SolveHalpha | None = None,
) -> xr.Dataset:
    """Solve HST's narrow band for Hα.

    Parameters
    ----------
    narrow_flux, continuum1_flux, continuum2_flux, narrow_flux_err, ...
        HST's bands and errors on one grid [1e-20 erg/s/cm²/Å per HST pixel], with the attributes of
        `calibrate_bands`, as the Milky Way lets them through.
    narrow_on_muse, continuum1_on_muse, continuum2_on_muse
        The bands as MUSE sees them [1e-20 erg/s/cm²/Å per spaxel].
    musehalpha, musehalpha_err
        MUSE's Hα and its error [1e-20 erg/s/cm² per spaxel]. Without, [NII] and the sky are taken
        as the options and `clipped_sky` say, and the continuum as it is interpolated.
    line_response, continuum1_response, continuum2_response
        What the bands see of the lines [1/Å].
    muse_continuum1_flux, muse_continuum2_flux
        MUSE's synthetic bands [1e-20 erg/s/cm²/Å per spaxel], for the skies of HST's.
    star_mask
        Non-zero on stars, on MUSE's grid.
    clipped_sky
        Of the bands [1e-20 erg/s/cm²/Å per HST pixel], as `measure_sky` finds it.
    measured
        The numbers of `reduce_to_model`, when known; measured from the whole images if None.
    options
        What is assumed.

    Returns
    -------
    xr.Dataset
        `halpha_hst`, `halpha_hst_err` [1e-20 erg/s/cm² per HST pixel], `continuum`,
        `continuum_err` [1e-20 erg/s/cm²/Å per HST pixel], `colour` (ln of the broad bands' ratio),
        `equivalent_width` [Å]; NaN where a band is. The Milky Way's extinction is undone. And the
        numbers `field_sky` and, with MUSE, `gain` and `muse_shift`.

    Raises
    ------
    GridError
        If the images of one telescope are not on one grid.
    InputError
        If a unit is another, E(B-V) is not given, or too few spaxels are common.
    """
    options = options or SolveHalpha()
    fluxes = dict(zip(BANDS, (narrow_flux, continuum1_flux, continuum2_flux), strict=True))
    hst = {f"{band}_flux": one for band, one in fluxes.items() if one is not None}
    own = dict(zip(BANDS, (narrow_flux_err, continuum1_flux_err, continuum2_flux_err), strict=True))
    errors = {f"{band}_flux_err": one for band, one in own.items() if one is not None}
    grid = require_products(**hst, **errors)
    seen = (narrow_on_muse, continuum1_on_muse, continuum2_on_muse, musehalpha, musehalpha_err)
    told = (line_response, continuum1_response, continuum2_response)
    synthetic = (muse_continuum1_flux, muse_continuum2_flux, star_mask)
    named = zip(NAMES, (*seen, *told, *synthetic), strict=True)
    muse = {name: one for name, one in named if one is not None}
    weights = weigh_bands([image.attrs["pivot"] for image in hst.values()])
    if options.ebv is None:
        message = (
            "solve_halpha: ebv, the Milky Way's E(B-V) towards the galaxy [mag], is needed: set "
            "[options.correct_extinction] ebv"
        )
        raise InputError(message)
    factor = find_extinction_factor(narrow_flux.attrs["pivot"], options.ebv)
    if musehalpha is None:
        numbers: Mapping[str, Any] = _assume_numbers(clipped_sky)
        responses = [
            map_pixels(fill_like, narrow_flux, value=assume_response(options, image, options.ebv))
            for image in hst.values()
        ]
        halpha = map_pixels(fill_like, narrow_flux, value=0.0)
    else:
        for name, image in muse.items():
            if name != "star_mask":
                require_units(image, name)
        if measured is None:
            require_one_grid(**muse)
            measured = reduce_images(reduce_to_model(options, muse), *muse.values())
        numbers = measured
        area = grid.pixel_area / get_grid(musehalpha).pixel_area
        move = {"pad": MARGIN, "shift": numbers["muse_shift"]}
        halpha = map_tiles(
            sample_shifted, musehalpha, narrow_flux, factor=area, fill=0.0, order=1, **move
        )
        responses = [
            map_tiles(
                sample_shifted,
                muse[f"{'line' if band == 'narrow' else band}_response"],
                narrow_flux,
                factor=1.0,
                fill=numbers["mean_response"][number],
                order=1,
                **move,
            )
            for number, band in enumerate(band for band in BANDS if f"{band}_flux" in hst)
        ]
    return _solve(
        hst,
        errors,
        responses,
        halpha,
        numbers,
        weights,
        factor,
        grid,
        options,
        musehalpha is not None,
    )


def _assume_numbers(clipped_sky: Any) -> dict[str, Any]:
    """Return the model of a field without MUSE."""
    sky = np.zeros(3) if clipped_sky is None else clipped_sky
    return {
        "gain": 1.0,
        "continuum_q": np.array([1.0, 0.0, 0.0]),
        "continuum_colour": np.zeros(3),
        "field_sky": sky,
    }


def _solve(
    hst: Mapping[str, xr.DataArray],
    errors: Mapping[str, xr.DataArray],
    responses: list[xr.DataArray],
    halpha: xr.DataArray,
    numbers: Mapping[str, Any],
    weights: tuple[float, float],
    factor: float,
    grid: Grid,
    options: SolveHalpha,
    is_measured: bool,
) -> xr.Dataset:
    narrow, *broad = hst.values()
    names = [name.removesuffix("_flux") for name in hst]
    sky = [numbers["field_sky"][BANDS.index(name)] for name in names]
    model = {
        "q": numbers["continuum_q"],
        "colours": numbers["continuum_colour"],
        "weights": weights,
    }
    if len(broad) > 1 and len(errors) == len(hst):
        free = [
            map_pixels(free_band, image, response, halpha, sky=level)
            for image, response, level in zip(broad, responses[1:], sky[1:], strict=True)
        ]
        colour = map_halo(
            find_log_colour,
            *free,
            *list(errors.values())[1:],
            depth=find_halo(options, grid),
            sigma=options.colour_fwhm / 2.3548 / sqrt(grid.pixel_area),
            fine=options.fine_sigma,
            signal=options.fine_signal,
            typical=numbers["continuum_colour"][0],
        )
    else:
        colour = map_pixels(fill_like, narrow, value=numbers["continuum_colour"][0])
    continuum = map_pixels(find_continuum, colour, *broad, skies=_stack(sky[1:]), **model)
    response = map_pixels(find_line_response, colour, *responses, gain=numbers["gain"], **model)
    line = map_pixels(divide_line, narrow, continuum, response, sky=sky[0])
    attrs = keep_curve(narrow)
    made = {"halpha_hst": line}
    if len(errors) == len(hst):
        first, *others = errors.values()
        none = np.zeros(len(others))
        variance = map_pixels(find_continuum, colour, *others, skies=none, squared=True, **model)
        if not is_measured:
            variance = map_pixels(
                add_assumed, variance, continuum, relative=options.continuum_error
            )
        made["halpha_hst_err"] = map_pixels(divide_error, first, variance, response)
        error = map_pixels(np.sqrt, variance)
        made["continuum_err"] = map_pixels(scale, error, factor=factor)
        made["equivalent_width"] = map_pixels(
            find_width, line, map_pixels(scale, continuum, factor=factor), made["continuum_err"]
        )
    made["continuum"] = map_pixels(scale, continuum, factor=factor)
    made["colour"] = colour
    order = [name for name in PRODUCTS_MADE if name in made]
    found = {
        name: label_number(numbers[name], name, NUMBERS[name].units, NUMBERS[name].dims, shape)
        for name, shape in (("gain", ()), ("field_sky", (3,)), ("muse_shift", (2,)))
        if is_measured or name == "field_sky"
    }
    images = {name: label_product(made[name], name, "solve_halpha", **attrs) for name in order}
    return xr.Dataset({**images, **found})


PRODUCTS_MADE = (
    "halpha_hst",
    "halpha_hst_err",
    "continuum",
    "continuum_err",
    "colour",
    "equivalent_width",
)


def _stack(values: list[Any]) -> Any:
    """Return numbers as one array, lazily if they are not known yet."""
    return values if any(hasattr(one, "dask") for one in values) else np.array(values)
