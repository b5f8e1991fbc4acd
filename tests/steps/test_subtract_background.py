"""The background on boxes: against photutils on the whole image."""

import numpy as np
import pytest
import xarray as xr
from astropy.stats import SigmaClip
from photutils.background import Background2D, SExtractorBackground

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.steps import SubtractBackground
from tests import plain
from tests.images import chunk_image, make_flux, measure_range


def make_sky(shape, seed=5, sources=40):
    """Noise on a slope, with sources of all sizes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    sky = rng.normal(0, 1, shape) + 0.01 * rows - 0.02 * columns
    for _ in range(sources):
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        sigma = rng.uniform(1, 6)
        distance = (rows - y) ** 2 + (columns - x) ** 2
        sky += rng.uniform(5, 60) * np.exp(-distance / (2 * sigma**2))
    return sky.astype(np.float32)


def add_gaps(sky):
    sky = sky.copy()
    sky[: sky.shape[0] // 3, : sky.shape[1] // 4] = np.nan
    sky[-30:] = np.nan
    sky[200:207, 200:260] = np.nan
    return sky


def subtract(sky, chunks=None, **options):
    image = make_flux(sky)
    image = image if chunks is None else chunk_image(image, chunks)
    result = phangs_xr.subtract_background(image, options=SubtractBackground(**options))
    return result.compute()


@pytest.mark.parametrize("chunks", [None, 100, "ragged"])
@pytest.mark.parametrize("filter_size", [1, 3, 5])
def test_background_is_that_of_photutils(filter_size, chunks):
    sky = add_gaps(make_sky((530, 470)))
    background, subtracted = plain.subtract_background(sky.astype(float), filter_size=filter_size)
    found = subtract(sky, chunks, filter_size=filter_size)
    assert measure_range(background) > 3
    for name, expected in (("halpha_bg", background), ("halpha_bgsub", subtracted)):
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(expected))
        np.testing.assert_allclose(
            found[name], expected, rtol=0, atol=2e-6 * measure_range(expected)
        )


@pytest.mark.parametrize("box_size", [37, 64, 150])
@pytest.mark.parametrize("shape", [(300, 300), (330, 290), (301, 151)])
def test_boxes_of_any_size_cut_any_image(shape, box_size):
    sky = make_sky(shape, sources=10)
    expected, _ = plain.subtract_background(sky.astype(float), box_size=box_size, filter_size=3)
    found = subtract(sky, 100, box_size=box_size, filter_size=3)["halpha_bg"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(60, 80), (60, 250), (99, 99), (250, 40), (100, 100)])
@pytest.mark.parametrize("filter_size", [1, 51])
def test_image_smaller_than_a_box_is_one_box(shape, filter_size):
    sky = make_sky(shape, sources=3)
    expected, _ = plain.subtract_background(sky.astype(float), filter_size=filter_size)
    found = subtract(sky, filter_size=filter_size)["halpha_bg"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_image_smaller_than_a_box_needs_its_share_of_sky_alone():
    sky = make_sky((60, 80), sources=0)
    # 5 % of the image are 240 pixels, of a box of 100² pixels 500.
    sky[4:] = np.nan
    expected, _ = plain.subtract_background(sky.astype(float), filter_size=1)
    np.testing.assert_allclose(subtract(sky, filter_size=1)["halpha_bg"], expected, atol=1e-5)
    assert np.isfinite(expected).sum() == 320


@pytest.mark.parametrize("left", [49, 50, 51])
def test_box_with_just_the_excluded_part_missing_is_as_photutils_has_it(left):
    sky = np.random.default_rng(8).normal(0, 1, (40, 40)).astype(np.float32)
    sky += 5 * np.indices(sky.shape)[0] // 10
    sky[10:20, 10:20].flat[left:] = np.nan
    missing = np.isnan(sky)
    expected = Background2D(
        sky.astype(float),
        10,
        coverage_mask=missing,
        fill_value=np.nan,
        exclude_percentile=50,
        filter_size=1,
        sigma_clip=SigmaClip(sigma=3, maxiters=10),
        bkg_estimator=SExtractorBackground(),
    ).background
    options = {"box_size": 10, "filter_size": 1, "exclude_percentile": 50, "min_pixels": 10**6}
    np.testing.assert_allclose(subtract(sky, **options)["halpha_bg"], expected, atol=1e-5)


def test_boxes_smaller_than_the_reach_of_sources_are_those_of_the_whole_image():
    sky = make_sky((75, 64), sources=4)
    options = {"box_size": 10, "filter_size": 3}
    whole = subtract(sky, **options)
    xr.testing.assert_identical(subtract(sky, 10, **options), whole)


def test_image_without_sources():
    rng = np.random.default_rng(4)
    sky = rng.uniform(2.9, 3.1, (210, 230)).astype(np.float32)
    found = subtract(sky, 100, filter_size=3)
    expected, _ = plain.subtract_background(sky.astype(float), filter_size=3)
    np.testing.assert_allclose(found["halpha_bg"], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["halpha_bg"], 3, atol=0.01)


def test_wide_filter_makes_one_number():
    found = subtract(add_gaps(make_sky((530, 470))), 100)["halpha_bg"].values
    assert np.unique(found[np.isfinite(found)]).size == 1


def test_a_cut_of_an_image_has_boxes_of_its_own():
    sky = make_sky((430, 420))
    image = make_flux(sky)
    options = SubtractBackground(filter_size=3)
    cut = image.isel(y=slice(37, 400), x=slice(55, 390))
    found = phangs_xr.subtract_background(chunk_image(cut, 100), options=options)
    expected, _ = plain.subtract_background(sky[37:400, 55:390].astype(float), filter_size=3)
    np.testing.assert_allclose(found["halpha_bg"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"filter_size": 4}, "filter_size should be odd"),
        ({"filter_size": 0}, "filter_size should be odd"),
        ({"box_size": 0}, "box_size and min_pixels should be at least 1"),
        ({"min_pixels": 0}, "box_size and min_pixels should be at least 1"),
        ({"grow_radius": -1}, "grow_radius at least 0"),
        ({"exclude_percentile": 150}, r"exclude_percentile should be 0 to 100 \[%\], found 150: "),
        ({"exclude_percentile": -1}, r"exclude_percentile should be 0 to 100 \[%\], found -1: "),
        ({"detect_sigma": np.nan}, r"detect_sigma should be at least 0 \[stand.*\], found nan: "),
        ({"detect_sigma": np.inf}, r"detect_sigma should be at least 0 \[stand.*\], found inf: "),
        ({"clip_sigma": -1}, r"clip_sigma should be at least 0 \[stand.*\], found -1: "),
        ({"clip_iterations": -3}, r"clip_iterations should be at least 0 \[time\], found -3: "),
    ],
)
def test_impossible_options_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        SubtractBackground(**options)


@pytest.mark.parametrize("chunks", [None, 100])
def test_image_with_too_little_sky_is_refused(chunks):
    sky = np.full((210, 230), np.nan, np.float32)
    sky[5:9, 5:9] = [1, 2, 3, 4]
    with pytest.raises(InputError, match=r"no box of 100 pixels has more than 5.* % of its pixels"):
        subtract(sky, chunks)
