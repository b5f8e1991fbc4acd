"""Noise is seeded, tied to the sky and not to the chunks, normal and independent."""

import numpy as np
import pytest
from astropy.stats import mad_std
from scipy import stats

import phangs_xr
from phangs_xr.steps import AddNoise
from tests.images import chunk_image, make_flux

SHAPE = (430, 520)
RMS = {"noise_anchored": 2.0, "noise_anchored_intnegs": 5.0}


def add(image, options=None, measured=RMS):
    return phangs_xr.add_noise(image, image, measured=measured, options=options)


@pytest.fixture(scope="module")
def noise():
    """Noise of the two images, in units of its own standard deviation."""
    result = add(make_flux(np.zeros(SHAPE)))
    return [
        result["anchored_wnoise"].values / 2.0,
        result["anchored_intnegs_wnoise"].values / 5.0,
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_noise_is_normal(noise, which):
    values = noise[which].ravel().astype(float)
    assert stats.kstest(values, "norm").pvalue > 1e-3
    assert np.abs(values).max() > 4
    # Whatever is made by the 100-pixel cells must not repeat.
    assert np.unique(values).size > 0.98 * values.size


@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (0, 100), (100, 0), (100, 100), (200, 100)])
def test_noise_of_pixels_is_independent(noise, shift):
    dy, dx = shift
    one, other = noise[0][dy:, dx:], noise[0][: SHAPE[0] - dy, : SHAPE[1] - dx]
    assert abs((one * other).mean()) < 5 / np.sqrt(one.size)


def test_noise_of_the_images_is_independent(noise):
    assert abs((noise[0] * noise[1]).mean()) < 5 / np.sqrt(noise[0].size)


def test_same_seed_same_noise_and_another_seed_another(noise):
    image = make_flux(np.zeros(SHAPE))
    np.testing.assert_array_equal(add(image, AddNoise(seed=0))["anchored_wnoise"] / 2.0, noise[0])
    for seed in (1, 2, 12345678901234567890):
        other = add(image, AddNoise(seed=seed))["anchored_wnoise"].values / 2.0
        assert abs((noise[0] * other).mean()) < 5 / np.sqrt(other.size)
        assert abs((noise[1] * other).mean()) < 5 / np.sqrt(other.size)


@pytest.mark.parametrize("chunks", [100, 77, "ragged"])
def test_noise_does_not_know_the_chunks(noise, chunks):
    result = add(chunk_image(make_flux(np.zeros(SHAPE)), chunks))
    np.testing.assert_array_equal(result["anchored_wnoise"] / 2.0, noise[0])


def test_a_cut_gets_the_noise_of_its_place_on_the_sky(noise):
    cut = make_flux(np.zeros(SHAPE)).isel(y=slice(33, 250), x=slice(170, 415))
    result = add(cut)
    np.testing.assert_array_equal(result["anchored_wnoise"] / 2.0, noise[0][33:250, 170:415])


def test_noise_is_added_to_what_is_there():
    values = np.random.default_rng(0).normal(1000, 300, SHAPE).astype(np.float32)
    values[50:60] = np.nan
    noisy = add(make_flux(values))["anchored_wnoise"].values
    noise = add(make_flux(np.zeros(SHAPE)))["anchored_wnoise"].values
    np.testing.assert_array_equal(np.isnan(noisy), np.isnan(values))
    np.testing.assert_allclose(noisy - values, np.where(np.isnan(values), np.nan, noise), atol=2e-4)


@pytest.mark.parametrize("chunks", [None, 100])
def test_level_is_that_of_the_faint_pixels_of_each_image(chunks):
    rng = np.random.default_rng(1)
    images = []
    for level in (3.0, 11.0):
        values = rng.normal(0, level, SHAPE)
        values[rng.random(SHAPE) > 0.9] += rng.uniform(5, 500)
        values[:40] = np.nan
        images.append(make_flux(values))
    given = images if chunks is None else [chunk_image(image, chunks) for image in images]
    result = phangs_xr.add_noise(*given)
    for name, image in zip(("anchored", "anchored_intnegs"), images, strict=True):
        values = image.values.astype(float)
        rms = mad_std(values, ignore_nan=True)
        expected = mad_std(values[values < 5 * rms])
        added = (result[f"{name}_wnoise"].values - image.values)[40:].astype(float)
        assert added.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * added.size))


def test_image_without_pixels_stays_without():
    image = make_flux(np.full((120, 130), np.nan))
    result = phangs_xr.add_noise(image, image)
    assert np.isnan(result["anchored_wnoise"]).all()
