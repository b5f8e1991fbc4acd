"""The line of HST against MUSE: against NumPy's least squares, and on a galaxy of known truth."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import mad_std

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import reduce_images
from phangs_xr.numerics.pair_counts import HISTOGRAM_EDGES
from phangs_xr.steps import FitAnchor, reduce_to_line
from tests import plain
from tests.images import chunk_image, make_flux

SHAPE = (230, 250)


def make_images():
    """Halpha, smoothed and MUSE with a line 0.6 x - 4 and scatter; each with gaps of its own."""
    rng = np.random.default_rng(9)
    muse = np.exp(rng.normal(3, 1.5, SHAPE)) - 10
    smoothed = 0.6 * muse - 4 + rng.normal(0, 2, SHAPE)
    halpha = smoothed + rng.normal(0, 8, SHAPE)
    muse[:30], smoothed[:, :20], halpha[-10:] = np.nan, np.nan, np.nan
    return [image.astype(np.float32) for image in (halpha, smoothed, muse)]


def measure(images, chunks=None):
    halpha, smoothed, muse = (make_flux(image) for image in images)
    reduction = reduce_to_line(FitAnchor())
    if chunks is None:
        return reduce_images(reduction, smoothed, muse, halpha)
    chunked = (chunk_image(image, chunks) for image in (smoothed, muse, halpha))
    return reduce_images(reduction, *chunked).compute()


@pytest.mark.parametrize("chunks", [None, 100, "ragged"])
def test_line_and_its_errors_are_those_of_least_squares(chunks):
    images = make_images()
    numbers = measure(images, chunks)
    _, smoothed, muse = (image.astype(float) for image in images)
    both = np.isfinite(smoothed) & np.isfinite(muse)
    line, covariance = np.polyfit(muse[both], smoothed[both], 1, cov=True)
    assert (numbers["slope"], numbers["intercept"]) == pytest.approx(line, rel=1e-9)
    errors = np.sqrt(np.diag(covariance))
    assert (numbers["slope_error"], numbers["intercept_error"]) == pytest.approx(errors, rel=1e-6)
    correlation = np.corrcoef(muse[both], smoothed[both])[0, 1]
    assert numbers["correlation"] == pytest.approx(correlation, rel=1e-9)
    assert numbers["pixels"] == both.sum()


def test_histogram_counts_the_pixels_finite_in_both():
    images = make_images()
    numbers = measure(images, 100)
    _, smoothed, muse = images
    both = np.isfinite(smoothed) & np.isfinite(muse)
    edges = numbers["histogram_edges"]
    expected, _, _ = np.histogram2d(smoothed[both], muse[both], bins=(edges, edges))
    # A value within rounding of an edge may fall on either side.
    assert np.abs(numbers["anchor_histogram"] - expected).sum() <= 4
    assert numbers["anchor_histogram"].sum() == both.sum()


def test_histogram_leaves_out_what_is_beyond_its_edges():
    values = np.array([[HISTOGRAM_EDGES[0] * 1.01, HISTOGRAM_EDGES[-1] * 1.01, 5.0, 7.0]])
    numbers = measure([values, [[5.0, 6.0, 7.0, 8.0]], values])
    assert numbers["anchor_histogram"].sum() == 2


def test_maps_are_those_of_the_plain_recipe():
    images = make_images()
    result = phangs_xr.fit_anchor(*(make_flux(image) for image in images))
    anchored, filled, _ = plain.fit_anchor(*(image.astype(float) for image in images))
    for name, expected in (("fit_anchored", anchored), ("fit_anchored_intnegs", filled)):
        np.testing.assert_array_equal(np.isnan(result[name]), np.isnan(expected))
        np.testing.assert_allclose(result[name], expected, rtol=1e-5, atol=1e-4)
    negatives = anchored[anchored <= 0]
    assert float(result["negative_rms"]) == pytest.approx(mad_std(negatives), rel=1e-5)


def test_fewer_negatives_are_filled_the_more_sigma_are_asked_for():
    images = [make_flux(image) for image in make_images()]
    changed = []
    for sigma in (1.0, 3.0, 1e9):
        result = phangs_xr.fit_anchor(*images, options=FitAnchor(negative_sigma=sigma))
        differ = result["fit_anchored_intnegs"] != result["fit_anchored"]
        changed.append(int((differ & result["fit_anchored"].notnull()).sum()))
    assert changed[0] > changed[1] > changed[2] == 0


def test_without_negatives_nothing_is_filled():
    muse = np.random.default_rng(6).uniform(50, 90, (40, 40))
    result = phangs_xr.fit_anchor(*(make_flux(2 * image) for image in (muse, muse, muse)))
    np.testing.assert_array_equal(result["fit_anchored_intnegs"], result["fit_anchored"])
    assert result["negative_rms"] == 0


@pytest.mark.parametrize(
    ("muse", "pixels"),
    [
        (np.full((8, 8), np.nan), 0),
        (np.where(np.arange(64).reshape(8, 8) < 2, 1.0, np.nan), 2),
        (np.full((8, 8), 3.0), 64),
        # Of these the sums are rounded: spread and slope are not exactly zero.
        (np.full((8, 8), 0.1), 64),
        (np.full((300, 300), 3.3), 90000),
    ],
)
def test_line_through_too_little_is_refused(muse, pixels):
    halpha = make_flux(np.arange(float(muse.size)).reshape(muse.shape))
    with pytest.raises(InputError, match=f"a line needs 3 pixels .* found {pixels}: "):
        phangs_xr.fit_anchor(halpha, halpha, make_flux(muse))


@pytest.mark.parametrize(("value", "side"), [(3.0, 8), (0.1, 8), (3.3, 300), (-7.7e4, 300)])
def test_line_without_a_slope_is_refused(value, side):
    flat = make_flux(np.full((side, side), value))
    muse = make_flux(np.random.default_rng(1).normal(7, 2, (side, side)))
    with pytest.raises(InputError, match=r"a slope is needed .* found 0: "):
        phangs_xr.fit_anchor(flat, flat, muse)


@pytest.mark.parametrize("value", [-2.0, np.nan, np.inf])
def test_meaningless_limit_of_negatives_is_refused(value):
    with pytest.raises(InputError, match=rf"negative_sigma should be at least 0 .*found {value}: "):
        FitAnchor(negative_sigma=value)


def test_line_through_what_hardly_varies_is_found():
    # By a hundred-thousandth of its values, a few of float32's steps.
    muse = (1000 + 0.01 * np.random.default_rng(1).normal(size=(300, 300))).astype(np.float32)
    halpha = (2 * (muse - np.float32(1000)) + 5).astype(np.float32)
    found = measure([halpha, halpha, muse])
    assert found["slope"] == pytest.approx(2, rel=1e-4)


def test_simulated_truth_is_recovered(quiet, quiet_products):
    truth = json.loads((quiet / "truth" / "truth.json").read_text())
    # The bands' interpolation does not follow the galaxy's colours to better than this.
    assert float(quiet_products["slope"]) == pytest.approx(truth["slope"], rel=0.05)
    assert float(quiet_products["intercept"]) == pytest.approx(truth["offset"], rel=0.1)
    sky = fits.getdata(quiet / "truth" / "halpha.fits").astype(float)
    found = quiet_products["fit_anchored"].values
    both = np.isfinite(found) & np.isfinite(quiet_products["musehalpha_regrid"].values)
    assert np.corrcoef(found[both], sky[both])[0, 1] > 0.995
