"""The plain recipe meets the earlier code's images and the truth of the simulated galaxy."""

import numpy as np
import pytest
from reproject import reproject_interp

from tests import plain
from tests.golden import (
    FILLED,
    IMAGES,
    INPUTS,
    cut_frame,
    needs_golden,
    read_reference,
    read_text,
)
from tests.images import make_header

STEPS = [
    "subtract_continuum",
    "convert_units",
    "subtract_background",
    "extract_muse",
    "regrid_muse",
    "smooth_hst",
    "compare_images",
    "anchor_halpha",
    "fill_negatives",
    "fit_anchor",
    "add_noise",
    "remove_cosmic_rays",
]
BANDS = ("narrow", "continuum1", "continuum2")


@pytest.fixture(scope="module")
def timings():
    return {}


@pytest.fixture(scope="module")
def products(timings):
    files = {name: INPUTS[name] for name in (*BANDS, "muse")}
    return plain.run_plain(**files, muse_fwhm=0.92, timings=timings)


def measure_inner_misfit(products, name):
    scale = read_reference("halpha") if name == "halpha_bg" else None
    misfit = plain.measure_misfit(products[name], read_reference(name), scale)
    return misfit[np.isfinite(misfit)] if name == "musehalpha" else cut_frame(misfit)


@needs_golden
@pytest.mark.parametrize("name", IMAGES)
def test_image_meets_the_reference(products, name):
    missing = np.isnan(read_reference(name))
    np.testing.assert_array_equal(cut_frame(np.isnan(products[name])), cut_frame(missing))
    assert np.nanmax(measure_inner_misfit(products, name)) < 0.05


@needs_golden
@pytest.mark.parametrize("name", FILLED)
def test_filled_image_meets_the_reference_inside_coverage(products, name):
    covered = cut_frame(
        np.isfinite(read_reference("fit_anchored" if "fit" in name else "anchored"))
    )
    missing = cut_frame(np.isnan(products[name]))
    np.testing.assert_array_equal(missing, np.isnan(cut_frame(read_reference(name))) | ~covered)
    misfit = measure_inner_misfit(products, name)[~missing]
    if name == "anchored_intnegs_nocosmic":
        # Beside the edge the reference interpolates from what it made up outside coverage.
        assert np.mean(misfit > 1) < 1e-4
        assert np.quantile(misfit, 0.999) < 0.05
    else:
        assert misfit.max() < 0.05


@needs_golden
def test_reference_fills_outside_coverage_but_the_recipe_does_not(products):
    outside = np.isnan(cut_frame(read_reference("anchored")))
    assert np.isfinite(cut_frame(read_reference("anchored_intnegs")))[outside].any()
    assert np.isnan(cut_frame(products["anchored_intnegs"])[outside]).all()


@needs_golden
def test_cosmic_rays_are_those_of_the_reference(products):
    expected = read_text("cosmics_xy")
    found = products["cosmics_xy"]
    order, expected_order = (np.lexsort(xy.T) for xy in (found, expected))
    np.testing.assert_allclose(found[order], expected[expected_order], rtol=0, atol=1e-6)
    rows, columns = np.nonzero(products["cosmic_mask"])
    distance = np.hypot(columns[:, None] - expected[:, 0], rows[:, None] - expected[:, 1])
    assert (distance.min(axis=1) <= 3).all()


@needs_golden
@pytest.mark.parametrize("name", ["anchored", "anchored_intnegs"])
def test_noise_is_as_strong_as_that_of_its_own_image(products, name):
    image = products[name]
    noise = products[f"{name}_wnoise"] - image
    np.testing.assert_array_equal(np.isnan(noise), np.isnan(image))
    noise = noise[np.isfinite(noise)]
    rms1 = plain.mad_std(image, ignore_nan=True)
    rms2 = plain.mad_std(image[image < 5 * rms1])
    assert abs(noise.mean()) < 5 * rms2 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(rms2, rel=5 / np.sqrt(2 * noise.size))
    assert np.mean(np.abs(noise) < rms2) == pytest.approx(0.6827, abs=0.005)


@needs_golden
def test_nebulae_are_those_of_the_reference(products):
    nebula_mask, _ = plain.load(INPUTS["nebula_mask"])
    musehalpha, muse_header = plain.extract_muse(INPUTS["muse"])
    _, header = plain.load(INPUTS["narrow"])
    on_hst = plain.regrid_mask(nebula_mask, muse_header, header)
    np.testing.assert_array_equal(on_hst, read_reference("nebmask_hst"))
    halpha, anchored = products["halpha"], products["anchored"]
    table = plain.sum_nebulae(nebula_mask, musehalpha, muse_header, halpha, anchored, header)
    np.testing.assert_array_equal(table[:, 0], np.arange(40))
    expected = read_text("nebula_fluxes")
    order, expected_order = np.argsort(table[:, 3]), np.argsort(expected[:, 2])
    np.testing.assert_allclose(table[order, 1:], expected[expected_order], rtol=1e-5, atol=1e-3)


@needs_golden
def test_every_step_is_timed(products, timings):
    assert set(timings) == {"load", *STEPS}


def test_one_continuum_is_scaled_by_photflam_and_pivot():
    broad = {"PHOTFLAM": 2e-19, "PHOTPLAM": 5000.0}
    narrow = {"PHOTFLAM": 2e-18, "PHOTPLAM": 6000.0}
    counts = np.array([[1.0, np.nan]])
    line, continuum = plain.subtract_continuum((counts * 3, narrow), (counts, broad))
    # Counts of a source of flat f_nu go as 1 / (PHOTFLAM PHOTPLAM²).
    expected = 2e-19 * 5000**2 / (2e-18 * 6000**2)
    np.testing.assert_allclose(continuum, [[expected, np.nan]], rtol=1e-12)
    np.testing.assert_allclose(line, [[3 - expected, np.nan]], rtol=1e-12)


def test_two_continua_agree_on_a_flat_source_and_fall_back_on_the_first():
    headers = [
        {"PHOTFLAM": flam, "PHOTPLAM": pivot}
        for flam, pivot in ((2e-18, 6584.0), (2e-19, 5360.0), (7e-20, 8061.0))
    ]
    flat = [1 / (header["PHOTFLAM"] * header["PHOTPLAM"] ** 2 * 1e10) for header in headers]
    bands = [(np.array([[count, count]]), h) for count, h in zip(flat, headers, strict=True)]
    bands[2][0][0, 1] *= -1
    line, continuum = plain.subtract_continuum(*bands)
    np.testing.assert_allclose(continuum, flat[0], rtol=1e-12)
    np.testing.assert_allclose(line, 0, atol=1e-12 * flat[0])


def test_shifted_band_keeps_its_flux_on_the_narrow_grid():
    header, other = make_header((60, 60), 0.04), make_header((50, 50), 0.05, rotation=20)
    y, x = np.indices((50, 50))
    star = np.exp(-((x - 24.5) ** 2 + (y - 24.5) ** 2) / 18)
    moved = plain.bring_onto_grid(star, other, header)
    assert np.nansum(moved) == pytest.approx(star.sum(), rel=1e-4)
    sampled, _ = reproject_interp((star, other), header, shape_out=(60, 60))
    assert np.nansum(sampled) > 1.4 * star.sum()


def test_frame_keyword_alone_does_not_resample():
    header, other = make_header((20, 20), 0.04), make_header((20, 20), 0.04, radesys="FK5")
    image = np.arange(400.0).reshape(20, 20)
    assert plain.bring_onto_grid(image, other, header) is image


def test_smoothing_keeps_gaps_and_gives_them_no_weight():
    header = make_header((80, 80), 0.04, rotation=30)
    image = np.full((80, 80), 7.0)
    image[:, 50:] = np.nan
    smoothed = plain.smooth_hst(image, header, muse_fwhm=0.5)
    np.testing.assert_array_equal(np.isnan(smoothed), np.isnan(image))
    np.testing.assert_allclose(smoothed[:, :50], 7.0, rtol=1e-6)


def test_smoothed_star_has_the_resolution_of_muse():
    header = make_header((120, 120), 0.04, rotation=30)
    y, x = np.indices((120, 120)) - 60
    sigma = 0.1 / 0.04 / 2.3548200450309493
    smoothed = plain.smooth_hst(np.exp(-(x**2 + y**2) / (2 * sigma**2)), header, muse_fwhm=0.8)
    variance = (smoothed * x**2).sum() / smoothed.sum()
    assert 0.04 * 2.3548200450309493 * np.sqrt(variance) == pytest.approx(0.8, rel=1e-3)


def test_negatives_become_their_surroundings_within_coverage():
    image = np.full((40, 40), 5.0)
    image[20, 20] = -3.0
    image[:, :10] = np.nan
    filled = plain.fill_negatives(image)
    np.testing.assert_array_equal(np.isnan(filled), np.isnan(image))
    np.testing.assert_allclose(filled[:, 10:], 5.0, rtol=1e-12)


def test_line_is_recovered_whatever_is_missing():
    rng = np.random.default_rng(5)
    muse = rng.normal(0, 10, (30, 30))
    smoothed = 0.6 * muse - 4
    muse[:5], smoothed[:, :5] = np.nan, np.nan
    halpha = 0.6 * np.full((30, 30), 8.0) - 4
    anchored, _, line = plain.fit_anchor(np.where(muse > 15, -90, halpha), smoothed, muse)
    assert line == pytest.approx((0.6, -4), rel=1e-10)
    np.testing.assert_allclose(anchored[~(muse > 15)], 8.0, rtol=1e-10)


def test_bright_image_without_negatives_is_left_as_it_is():
    muse = np.random.default_rng(6).uniform(50, 90, (20, 20))
    anchored, filled, _ = plain.fit_anchor(2 * muse, 2 * muse, muse)
    np.testing.assert_array_equal(filled, anchored)


def test_noise_is_seeded():
    image = np.random.default_rng(1).normal(0, 1, (50, 50))
    np.testing.assert_array_equal(plain.add_noise(image, 3), plain.add_noise(image, 3))
    assert (plain.add_noise(image, 3) != plain.add_noise(image, 4)).all()


def make_sky_with_a_star(moat):
    y, x = np.indices((90, 90))
    distance = np.hypot(x - 45, y - 45)
    sky = np.random.default_rng(2).normal(0, 1, (90, 90))
    sky += 500 * np.exp(-(distance**2) / (2 * 1.3**2)) + 20 * (distance < 16)
    return sky - 100 * moat * ((distance > 6) & (distance < 8))


@pytest.mark.parametrize(("moat", "count"), [(1, 1), (0, 0)])
def test_only_a_point_in_a_moat_is_a_cosmic_ray(moat, count):
    found = plain.find_cosmic_rays(make_sky_with_a_star(moat))
    assert len(found) == count
    np.testing.assert_allclose(found, np.full((count, 2), 45), atol=0.3)


def test_empty_sky_has_neither_sources_nor_cosmic_rays():
    sky = np.random.default_rng(4).normal(3, 1, (200, 200))
    background, subtracted = plain.subtract_background(sky)
    np.testing.assert_allclose(background, 3, atol=0.1)
    np.testing.assert_array_equal(subtracted, sky - background)
    image, mask, xy = plain.remove_cosmic_rays(sky, np.clip(sky, 0, 6))
    assert xy.shape == (0, 2)
    assert not mask.any()
    np.testing.assert_array_equal(image, sky)
