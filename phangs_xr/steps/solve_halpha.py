"""Solve HST's narrow band for Hα: continuum, sky and [NII] as MUSE shows them, an error per pixel.

    H = (n - s - q(u) (a1 c1 + a2 c2)) / (gain · K_n - q(u) (a1 K_1 + a2 K_2)),
    a1 = w1 u^-w2,    a2 = w2 u^w1,

where u = c1/c2 is the colour of the line-free broad bands, smoothed as its noise asks for, K what
each band sees of the lines (`measure_response`), and gain, q and the skies come from the comparison
with MUSE at its resolution (`phangs_xr.numerics.fit_continuum`). The lines in the broad bands are
solved for in closed form. Linear in the pixels: no pixel is treated by its sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log, pi, sqrt
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError, require_between
from phangs_xr.numerics.collect import CollectImages
from phangs_xr.numerics.filters import BLOCK_SIDE, smooth_gaussian, smooth_widely
from phangs_xr.numerics.find_shift import LARGEST_SHIFT
from phangs_xr.numerics.fit_continuum import (
    MuseView,
    evaluate_quotient,
    fit_robust_offset,
    fit_shifted,
    measure_residual,
    weigh_colour,
)
from phangs_xr.numerics.lazy import label_number, map_halo, map_pixels, map_tiles, reduce_images
from phangs_xr.numerics.resampling import PAD, sample_shifted
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

WIDE = 8.0
"""σ from which on a Gaussian is taken over block means [pixel]."""

REACH = 5
"""Half-width of the colour's Gaussians [σ]."""


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


@dataclass(frozen=True)
class _Fit:
    """Fit what MUSE's grid shows; picklable, with what labels told."""

    names: tuple[str, ...]
    weights: tuple[float, float]
    scale: float
    area: float

    def __call__(self, images: Mapping[str, Image]) -> dict[str, Any]:
        return fit_images(images, self.weights, self.scale, self.area)


def fit_images(
    known: Mapping[str, Image], weights: tuple[float, float], scale: float, area: float
) -> dict[str, Any]:
    """Fit gain, continuum, skies and shift.

    Parameters
    ----------
    known
        MUSE's and HST's images on MUSE's grid, by `NAMES`.
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
    return CollectImages(names, _Fit(names, weights, scale, area))


def find_log_colour(
    first: Image,
    second: Image,
    first_err: Image,
    second_err: Image,
    *,
    origin: tuple[int, int],
    sigma: float,
    fine: float,
    signal: float,
    typical: float,
) -> Image:
    """Return ln(c1/c2) of smoothed bands, finer where they are bright.

    Parameters
    ----------
    first, second
        Line-free broad bands; NaN is missing.
    first_err, second_err
        Errors of their pixels.
    origin
        Absolute row and column of the first pixel.
    sigma, fine
        Of the two Gaussians [pixel].
    signal
        Signal to noise from which the finer one counts.
    typical
        ln(c1/c2) where neither tells.
    """
    colour = np.full_like(first, typical)
    for width, limit in ((sigma, 0.0), (fine, signal)):
        one, other = (_smooth(band, width, origin) for band in (first, second))
        # Errors change slowly: those of the mean follow from the pixel's own.
        share = limit / (2 * sqrt(pi) * width)
        bright = (one > np.maximum(share * first_err, 0)) & (
            other > np.maximum(share * second_err, 0)
        )
        np.divide(one, other, out=one, where=bright)
        np.clip(one, 0.05, 20, out=one)
        np.log(one, out=colour, where=bright)
    colour[np.isnan(first) | np.isnan(second)] = np.nan
    return colour


def _smooth(band: Image, sigma: float, origin: tuple[int, int]) -> Image:
    if sigma >= WIDE:
        return smooth_widely(band, sigma, REACH, origin)
    return smooth_gaussian(band, sigma, ceil(REACH * sigma), origin)


def free_band(flux: Image, response: Image, halpha: Image, *, sky: float) -> Image:
    """Return a broad band without sky and lines."""
    return flux - float(sky) - response * halpha


def find_terms(
    colour: Image, *, q: Values, colours: Values, weights: tuple[float, float]
) -> tuple[Image, Image]:
    """Return what each broad band counts for in the continuum, q(u) a1 and q(u) a2."""
    centre, low, high = (float(value) for value in colours)
    quotient = evaluate_quotient(colour, q, centre, (low, high))
    first, second = weigh_colour(colour, weights)
    return quotient * first, quotient * second


def find_continuum(
    colour: Image,
    *bands: Image,
    q: Values,
    colours: Values,
    weights: tuple[float, float],
    skies: Sequence[Any],
    squared: bool = False,
) -> Image:
    """Return the continuum, or its variance if the bands are errors and `squared`.

    Parameters
    ----------
    colour
        ln u; zeros for one broad band.
    *bands
        One or two broad bands, or their errors.
    q, colours, weights
        Of the model.
    skies
        To be taken off the bands; zeros for errors.
    squared
        Whether terms add in squares.
    """
    terms = find_terms(colour, q=q, colours=colours, weights=weights)
    total = np.zeros_like(colour)
    for term, band, sky in zip(terms, bands, skies, strict=False):
        part = term * (band - float(sky))
        total = total + (part**2 if squared else part)
    return total


def find_line_response(
    colour: Image,
    response: Image,
    *others: Image,
    gain: float,
    q: Values,
    colours: Values,
    weights: tuple[float, float],
) -> Image:
    """Return what is left of a line of flux 1 in the narrow band without its continuum [1/Å]."""
    lost = find_continuum(
        colour, *others, q=q, colours=colours, weights=weights, skies=[0.0] * len(others)
    )
    return float(gain) * response - lost


def divide_line(narrow: Image, continuum: Image, response: Image, *, sky: float) -> Image:
    """Return Hα."""
    return (narrow - float(sky) - continuum) / response


def divide_error(error: Image, variance: Image, response: Image) -> Image:
    """Return the error of Hα."""
    return np.sqrt(error**2 + variance) / response


def add_assumed(variance: Image, continuum: Image, *, relative: float) -> Image:
    """Return the variance of a continuum that is known to a share of it only."""
    return variance + (relative * continuum) ** 2


def find_width(line: Image, continuum: Image, error: Image) -> Image:
    """Return the equivalent width [Å] where the continuum is above three errors, else NaN."""
    known = continuum > 3 * error
    return np.divide(line, continuum, out=np.full_like(line, np.nan), where=known)


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


def fill_like(image: Image, *, value: float) -> Image:
    """Return one value where the image has data."""
    return np.where(np.isnan(image), np.nan, value)


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


def scale(image: Image, *, factor: float) -> Image:
    """Return the image times a factor."""
    return image * factor


def _stack(values: list[Any]) -> Any:
    """Return numbers as one array, lazily if they are not known yet."""
    return values if any(hasattr(one, "dask") for one in values) else np.array(values)
