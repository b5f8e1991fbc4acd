"""Smoothing to MUSE's resolution: what a Gaussian must keep, and astropy's convolution."""

import numpy as np
import pytest

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.recipes import BARNES2023
from phangs_xr.sky import get_grid
from phangs_xr.steps import SmoothHst
from tests import plain
from tests.images import make_flux, make_header

TO_FWHM = 2 * np.sqrt(2 * np.log(2))


def smooth(values, header=None, **options):
    image = make_flux(values, header=header)
    return phangs_xr.smooth_hst(image, options=SmoothHst(**options))["halpha_smoothed"].values


def make_field(shape=(130, 150)):
    rng = np.random.default_rng(3)
    field = rng.normal(0, 1, shape) + 40 * (rng.random(shape) > 0.999)
    field[:20] = np.nan
    field[60:64, 50:90] = np.nan
    return field


def test_constant_stays_constant_beside_gaps_and_edges():
    field = np.where(np.isnan(make_field()), np.nan, 7.0)
    np.testing.assert_allclose(smooth(field, muse_fwhm=0.92), field, rtol=1e-6)


def test_flux_of_what_is_far_from_gaps_is_kept():
    field = np.zeros((140, 150))
    field[70, 75], field[65, 80] = 1000.0, -200.0
    smoothed = smooth(field, muse_fwhm=0.92)
    assert smoothed.sum(dtype=float) == pytest.approx(800.0, rel=1e-6)
    assert smoothed.max() < 20


@pytest.mark.parametrize("pixel", [0.04, 0.0396])
@pytest.mark.parametrize("muse_fwhm", [0.5, 0.92])
def test_star_takes_the_resolution_of_muse(pixel, muse_fwhm):
    rows, columns = np.indices((161, 161)) - 80
    sigma = 0.1 / TO_FWHM / pixel
    star = np.exp(-(rows**2 + columns**2) / (2 * sigma**2))
    header = make_header(star.shape, pixel=pixel, rotation=30)
    smoothed = smooth(star, header, muse_fwhm=muse_fwhm).astype(float)
    for axis in (rows, columns):
        width = np.sqrt((smoothed * axis**2).sum() / smoothed.sum())
        # The kernel ends at five sigma, which takes 6e-6 off its variance.
        assert width * pixel * TO_FWHM == pytest.approx(muse_fwhm, rel=1e-4)


def test_gaps_are_treated_as_astropy_does():
    field = make_field()
    header = make_header(field.shape)
    expected = plain.smooth_hst(field, header, hst_fwhm=0.15, muse_fwhm=0.8)
    found = smooth(field, header, hst_fwhm=0.15, muse_fwhm=0.8)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(field))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.nanmax(np.abs(expected)))


def test_equal_resolutions_leave_the_image_as_it_is():
    field = make_field()
    found = smooth(field, hst_fwhm=0.8, muse_fwhm=0.8)
    np.testing.assert_array_equal(found, field.astype(np.float32))


def test_unknown_resolution_is_refused():
    with pytest.raises(InputError, match=r"MUSE's resolution is not known.*muse_fwhm \[arcsec\]"):
        smooth(np.ones((4, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hst_fwhm": 0.0}, "hst_fwhm should be positive"),
        ({"hst_fwhm": np.nan}, "hst_fwhm should be positive"),
        ({"hst_fwhm": np.inf}, "hst_fwhm should be positive"),
        ({"muse_fwhm": 0.09}, "muse_fwhm should be at least hst_fwhm = 0.1 arcsec, found 0.09"),
        ({"muse_fwhm": np.nan}, "muse_fwhm should be at least hst_fwhm"),
        ({"muse_fwhm": np.inf}, "muse_fwhm should be at least hst_fwhm"),
    ],
)
def test_impossible_resolutions_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        SmoothHst(**options)


# Five σ, of √(MUSE² - HST²)/2.3548 arcsec at 0.04 arcsec a pixel: 0, 15.01 and 48.55 pixels.
@pytest.mark.parametrize(("muse_fwhm", "expected"), [(0.1, 0), (0.3, 16), (0.92, 49)])
def test_halo_is_as_wide_as_the_kernel(muse_fwhm, expected):
    """What lies farther than the declared halo away changes nothing; a pixel nearer does."""
    step = next(step for step in BARNES2023.steps if step.name == "smooth_hst")
    options = SmoothHst(muse_fwhm=muse_fwhm)
    field = np.zeros((161, 161))
    halo = step.find_halo(options, get_grid(make_flux(field)))
    assert halo == expected
    field[80, 80] = 1e6
    reached = np.argwhere(smooth(field, muse_fwhm=muse_fwhm) != 0) - 80
    assert np.abs(reached).max() == halo
