"""The narrow band, as MUSE sees it, as a sum of its line and its continuum.

    n = gain · K_n · M + q(u) · (w1 u^-w2 (c1 - K_1 M) + w2 u^w1 (c2 - K_2 M)) + sky,

M being MUSE's Hα, K what each band sees of the lines, and q = q0 + q1 x + q2 x² a polynomial in
x = ln u less its median, u = c1/c2 the colour of the line-free bands. First the gain, from the
local contrast alone, which knows no sky and little continuum, and least where the continuum is
bright: stars absorb the line, and their spectra are curved, as no colour quite tells. Then, with
the gain held, q and the sky from all scales: one fit for all would let such a continuum pull the
gain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from phangs_xr.numerics.find_shift import find_shift, resample_shift

Image = NDArray[np.floating]
Values = NDArray[np.float64]

COLOUR_SIGMA = 1.5
"""The colour is that of the bands smoothed by this [spaxel]."""

CONTRAST_SIGMA = 6.0
"""Local contrast is what is left of an image without its Gaussian mean of this width [spaxel]. Were
it wider, what the continuum is off by on large scales would pull the gain; narrower, few spaxels
would tell it."""

REACH = 3.0
"""Half-width of the Gaussians [σ]."""

MISMATCH = 0.02
"""Error of the line's model relative to it: the two point-spread functions, and K."""

CONTINUUM_MISMATCH = 0.03
"""Error of the continuum's model relative to it, which no colour tells: an absorption line of 1.5 Å
in a band of 40 to 60 Å is 3 per cent of it. Without it, the brightest continuum would say most of
what the line's gain is."""

CLIP, ROUNDS = 4.0, 6
"""Standard deviations from the model beyond which spaxels do not count, and how often that is
decided."""

PLAUSIBLE = 0.4, 2.5
"""Continuum over that interpolated between the bands, one of them alone included: a fit beyond
tells of something else, and the continuum is taken as interpolated."""

SHIFTS, SMALL_STEP = 4, 0.5
"""How often the shift is looked for at most, and the step that is small enough to be the last
[spaxel]: of images that lie further apart it is found up to 7 per cent wrong at first."""

DEGREE = 2
FEWEST = 200


@dataclass(frozen=True)
class MuseView:
    """What is to be fitted, all on MUSE's grid, NaN where missing.

    Attributes
    ----------
    narrow, first, second
        HST's bands at MUSE's resolution, sky-subtracted but for the narrow band's; without a second
        broad band there is no colour.
    variance
        Of the narrow band's model less the narrow band, from HST's noise.
    halpha, halpha_err
        MUSE's.
    responses
        K of the bands, in their order.
    used
        Spaxels that count: with data in all, on no star.
    weights
        w1 and w2 of the broad bands, in the logarithm of the wavelength.
    """

    narrow: Image
    first: Image
    second: Image | None
    variance: Image
    halpha: Image
    halpha_err: Image
    responses: tuple[Image, ...]
    used: NDArray[np.bool_]
    weights: tuple[float, float]


@dataclass(frozen=True)
class Model:
    """A fitted model, in the units of the images.

    `colour` is that of the median, about which `q` expands; `colours` the range that was fitted.
    `q_errors` are NaN where what was found for q was not plausible, and q is 1.
    """

    gain: float
    gain_error: float
    q: Values
    q_errors: Values
    sky: float
    sky_error: float
    colour: float
    colours: tuple[float, float]
    scatter: float


@dataclass(frozen=True)
class Smoother:
    """Gaussian means of the spaxels that count.

    Attributes
    ----------
    used
        Which do.
    sigma
        Of the Gaussian [spaxel].
    weight
        Its sum over those spaxels.
    """

    used: NDArray[np.bool_]
    sigma: float
    weight: Image

    @classmethod
    def build(cls, used: NDArray[np.bool_], sigma: float) -> Smoother:
        """Prepare for some spaxels and a width."""
        weight = scipy.ndimage.gaussian_filter(used.astype(np.float32), sigma, truncate=REACH)
        return cls(used, sigma, np.maximum(weight, 1e-6))

    def __call__(self, image: Image) -> Image:
        """Return the mean around each spaxel."""
        known = np.where(self.used, image, 0).astype(np.float32, copy=False)
        total = scipy.ndimage.gaussian_filter(known, self.sigma, truncate=REACH)
        return np.asarray(total / self.weight)


def find_colour(view: MuseView) -> Image:
    """Return ln u of the line-free bands, 0 without a second."""
    if view.second is None:
        return np.zeros_like(view.first)
    free = free_bands(view)
    smoother = Smoother.build(view.used, COLOUR_SIGMA)
    smooth = [smoother(one) for one in free]
    ratio = np.divide(
        smooth[0], smooth[1], out=np.ones_like(smooth[0]), where=(smooth[0] > 0) & (smooth[1] > 0)
    )
    return np.asarray(np.log(np.clip(ratio, 0.05, 20.0)))


def free_bands(view: MuseView) -> list[Image]:
    """Return the broad bands without their lines."""
    bands = [view.first] if view.second is None else [view.first, view.second]
    return [
        band - response * view.halpha
        for band, response in zip(bands, view.responses[1:], strict=False)
    ]


def interpolate_bands(bands: list[Image], log_colour: Image, weights: tuple[float, float]) -> Image:
    """Return w1 u^-w2 c1 + w2 u^w1 c2, linear in the bands; one band alone is itself."""
    if len(bands) == 1:
        return bands[0]
    first, second = weigh_colour(log_colour, weights)
    return first * bands[0] + second * bands[1]


def weigh_colour(log_colour: Image, weights: tuple[float, float]) -> tuple[Image, Image]:
    """Return what each broad band counts for in the continuum at a colour."""
    return (
        weights[0] * np.exp(-weights[1] * log_colour),
        weights[1] * np.exp(weights[0] * log_colour),
    )


def fit_view(view: MuseView) -> Model:
    """Fit gain, continuum and sky.

    Raises
    ------
    ValueError
        If too few spaxels count.
    """
    used = view.used
    if np.count_nonzero(used) < FEWEST:
        message = f"{np.count_nonzero(used)} spaxels"
        raise ValueError(message)
    log_colour = find_colour(view)
    centre = float(np.median(log_colour[used]))
    x = log_colour - centre
    base = interpolate_bands(free_bands(view), log_colour, view.weights)
    degree = 0 if view.second is None else DEGREE
    line = view.responses[0] * view.halpha
    terms = [base * x**power for power in range(degree + 1)]
    noise = (view.responses[0] * view.halpha_err) ** 2
    variance = view.variance + noise + (MISMATCH * line) ** 2
    weight = 1 / variance[used]
    gain_weight = 1 / (variance + (CONTINUUM_MISMATCH * base) ** 2)[used]

    smoother = Smoother.build(used, CONTRAST_SIGMA)

    def contrast(image: Image) -> Values:
        return np.asarray((image - smoother(image))[used], dtype=np.float64)

    matrix = np.stack([contrast(one) for one in (line, *terms)], axis=1)
    found = _solve(matrix, contrast(view.narrow), gain_weight, noise[used])
    gain, gain_error = float(found[0][0]), float(found[1][0])
    left = (view.narrow - gain * line)[used]
    ones = np.ones((weight.size, 1))
    matrix = np.concatenate([np.stack([one[used] for one in terms], axis=1), ones], axis=1)
    values, errors, scatter = _solve(matrix, left, weight)
    q, q_errors = values[:-1], errors[:-1]
    if not PLAUSIBLE[0] < q[0] < PLAUSIBLE[1]:
        q, q_errors = np.eye(degree + 1)[0], np.full(degree + 1, np.nan)
        values, errors, scatter = _solve(ones, left - base[used], weight)
    return Model(
        gain,
        gain_error,
        q,
        q_errors,
        float(values[-1]),
        float(errors[-1]),
        centre,
        (float(np.quantile(x[used], 0.002)), float(np.quantile(x[used], 0.998))),
        scatter,
    )


def _solve(
    matrix: Values, target: Values, weight: Values, noise: Values | None = None
) -> tuple[Values, Values, float]:
    """Fit by weighted least squares with clipping; values, errors, and the scatter in errors.

    `noise` is the variance of the first column, which is taken off the normal matrix: regressors
    with errors would be found too small.
    """
    kept = np.ones(target.size, dtype=bool)
    weighted = matrix * weight[:, None]
    roots = np.sqrt(weight)
    values = errors = np.full(matrix.shape[1], np.nan)
    scatter = 1.0
    for _ in range(ROUNDS):
        heavy = weighted * kept[:, None]
        normal = heavy.T @ matrix
        if noise is not None:
            normal[0, 0] -= (weight[kept] * noise[kept]).sum()
        inverse = np.linalg.pinv(normal)
        values = inverse @ (heavy.T @ target)
        residual = (target - matrix @ values) * roots
        scatter = 1.4826 * float(np.median(np.abs(residual[kept] - np.median(residual[kept]))))
        errors = scatter * np.sqrt(np.maximum(np.diag(inverse), 0))
        kept = np.abs(residual) < CLIP * max(scatter, 1e-30)
    return values, errors, scatter


def solve_line(view: MuseView, model: Model) -> Image:
    """Return the Hα that the narrow band shows by a model, free of lines in the broad bands."""
    log_colour = find_colour(view)
    quotient = evaluate_quotient(log_colour, model.q, model.colour, model.colours)
    bands = [view.first] if view.second is None else [view.first, view.second]
    continuum = quotient * interpolate_bands(bands, log_colour, view.weights)
    seen = interpolate_bands(list(view.responses[1 : 1 + len(bands)]), log_colour, view.weights)
    response = model.gain * view.responses[0] - quotient * seen
    return np.asarray((view.narrow - model.sky - continuum) / response)


def evaluate_quotient(
    log_colour: Image, q: Values, centre: float, limits: tuple[float, float]
) -> Image:
    """Return q(u), held at the ends of the fitted range."""
    x = np.clip(log_colour - centre, *limits)
    # Horner's rule, with plain floats, which leave single precision what it is.
    total = np.zeros_like(x)
    for value in q[::-1]:
        total *= x
        total += float(value)
    return np.asarray(total)


def fit_shifted(view: MuseView, scale: float) -> tuple[Model, Values, float, MuseView]:
    """Fit, find how far MUSE lies from HST, and fit where it lies, until the last step is small.

    Parameters
    ----------
    view
        As it is.
    scale
        Side of a spaxel [arcsec].

    Returns
    -------
    tuple
        The model; rows and columns by which MUSE's features lie beyond HST's [spaxel]; the
        uncertainty of the shift's length [spaxel]; and the view with HST's images moved.
    """
    model, moved = fit_view(view), view
    shift, error = np.zeros(2), float("nan")
    for _ in range(SHIFTS):
        line = np.where(moved.used, solve_line(moved, model), np.nan).astype(np.float32)
        muse = np.where(moved.used, view.halpha, np.nan).astype(np.float32)
        found = find_shift(line, muse, scale)
        if not np.isfinite(found.shift).all():
            break
        step = found.shift.astype(np.float64)
        error = float(np.hypot(*resample_shift(found, 1).std(axis=0)))
        shift = shift + step
        moved = move_view(view, shift)
        model = fit_view(moved)
        if np.hypot(*step) < SMALL_STEP:
            break
    return model, shift, error, moved


def move_view(view: MuseView, shift: Values) -> MuseView:
    """Return a view whose HST images are moved by some rows and columns [spaxel].

    They are smooth over several spaxels: cubic splines lose nothing of them.
    """

    def move(image: Image) -> Image:
        return np.asarray(scipy.ndimage.shift(np.nan_to_num(image), shift, order=3, mode="nearest"))

    used = scipy.ndimage.shift(view.used.astype(np.float64), shift, order=1, cval=0) > 0.99
    return replace(
        view,
        narrow=move(view.narrow),
        first=move(view.first),
        second=None if view.second is None else move(view.second),
        used=used & view.used,
    )


def fit_robust_offset(x: Image, y: Image, used: NDArray[np.bool_]) -> float:
    """Return the intercept of the straight line y against x, 3 σ clipped; 0 if there is none."""
    chosen = used & np.isfinite(x) & np.isfinite(y)
    first, second = x[chosen], y[chosen]
    slope, offset = 1.0, 0.0
    for _ in range(ROUNDS):
        if first.size < FEWEST or np.ptp(first) == 0:
            return 0.0
        slope, offset = np.polyfit(first, second, 1)
        residual = second - slope * first - offset
        residual -= np.median(residual)
        scatter = 1.4826 * np.median(np.abs(residual))
        kept = np.abs(residual) < 3 * max(scatter, 1e-30)
        first, second = first[kept], second[kept]
    return float(offset)


def measure_residual(view: MuseView, model: Model) -> float:
    """Return the relative error that the model's uncertainty leaves in every flux alike."""
    return abs(model.gain_error / model.gain)
