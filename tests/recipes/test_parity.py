"""The recipe makes what the earlier code made, and what `tests/plain.py` makes of other fields.

With `-s` a table is printed: product, largest difference in units of the tolerance, share of the
pixels within it, pixels with data here and there.
"""

import numpy as np
import pytest

import phangs_xr
from phangs_xr.recipes import BARNES2023
from phangs_xr.schema import PRODUCTS
from phangs_xr.simulate import F547M, Galaxy, simulate_galaxy
from tests import plain
from tests.golden import FILLED, IMAGES, cut_frame, read_reference, read_text

MADE = [name for step in BARNES2023.steps for name in step.outputs]


@pytest.fixture(scope="module")
def reference(golden):
    return {name: read_reference(name) for name in (*IMAGES, *FILLED)}


@pytest.fixture(scope="module")
def by_functions(golden, products):
    """By the public functions of labelled images."""
    return {name: products[name].values for name in MADE if name in products}


@pytest.fixture(scope="module")
def by_run(golden_config, tmp_path_factory):
    """By a run, as anyone reads its store."""
    tree = phangs_xr.run(golden_config, tmp_path_factory.mktemp("golden_run"), chunk=300)
    return {name: tree[PRODUCTS[name].grid][name].values for name in MADE}


@pytest.fixture(scope="module", params=["by_functions", "by_run"])
def made(request):
    return request.getfixturevalue(request.param)


def compare(name, result, expected, scale=None):
    """Return the misfit of the pixels finite in both, and print one row of the table."""
    misfit = plain.measure_misfit(result.astype(float), expected, scale)
    both = np.isfinite(misfit)
    found = misfit[both]
    print(
        f"{name:26} largest {found.max():8.4f}  share {np.mean(found <= 1):.6f}  "
        f"coverage {np.isfinite(result).sum()} {np.isfinite(expected).sum()}"
    )
    return found


@pytest.mark.parametrize("name", IMAGES)
def test_image_is_that_of_the_earlier_code(name, made, reference):
    cut = cut_frame if name != "musehalpha" else np.asarray
    found, expected = cut(made[name]), cut(reference[name])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    scale = reference["halpha"] if name == "halpha_bg" else None
    # The tolerance is 1; the plain recipe needs 0.05 of it.
    assert compare(name, found, expected, scale).max() < 0.1


@pytest.mark.parametrize(("name", "source"), FILLED.items())
def test_filled_image_is_that_of_the_earlier_code_where_there_is_coverage(
    name, source, made, reference
):
    found, expected = cut_frame(made[name]), cut_frame(reference[name])
    expected = np.where(np.isnan(cut_frame(reference[source])), np.nan, expected)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    misfit = compare(name, found, expected)
    if name == "anchored_intnegs_nocosmic":
        # Beside the edge the reference interpolates from what it made up outside coverage.
        assert np.mean(misfit <= 1) >= 0.999
        assert np.quantile(misfit, 0.999) < 0.1
    else:
        assert misfit.max() < 0.1


@pytest.mark.parametrize(("name", "source"), FILLED.items())
def test_nothing_is_filled_outside_coverage(name, source, made, reference):
    outside = np.isnan(made[source])
    assert np.isfinite(cut_frame(reference[name])[cut_frame(outside)]).any()
    assert np.isnan(made[name][outside]).all()


@pytest.mark.parametrize("name", ["anchored", "anchored_intnegs"])
def test_noise_is_as_strong_as_that_of_its_own_image(name, made):
    image = made[name].astype(float)
    noise = made[f"{name}_wnoise"] - image
    np.testing.assert_array_equal(np.isnan(noise), np.isnan(image))
    noise = noise[np.isfinite(noise)]
    rms = plain.measure_noise(image)
    assert abs(noise.mean()) < 5 * rms / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(rms, rel=5 / np.sqrt(2 * noise.size))
    assert np.mean(np.abs(noise) < rms) == pytest.approx(0.6827, abs=0.005)
    assert np.mean(np.abs(noise) > 3 * rms) == pytest.approx(0.0027, abs=0.0005)


def test_noise_of_the_two_images_is_not_the_same(made):
    noise = [made[f"{name}_wnoise"] - made[name] for name in ("anchored", "anchored_intnegs")]
    both = np.isfinite(noise[0]) & np.isfinite(noise[1])
    assert abs(np.corrcoef(noise[0][both], noise[1][both])[0, 1]) < 5 / np.sqrt(both.sum())


def test_cosmic_rays_are_those_of_the_earlier_code(golden, made, reference):
    expected = read_text("cosmics_xy")
    rows, columns = np.indices(made["cosmic_mask"].shape)
    cut = np.zeros(rows.shape, bool)
    for x, y in expected:
        cut |= (columns - x) ** 2 + (rows - y) ** 2 <= 9
    np.testing.assert_array_equal(made["cosmic_mask"] == 1, cut)


def test_line_is_that_of_the_earlier_code(products, reference):
    both = np.isfinite(reference["halpha_smoothed"]) & np.isfinite(reference["musehalpha_regrid"])
    line = np.polyfit(reference["musehalpha_regrid"][both], reference["halpha_smoothed"][both], 1)
    assert float(products["slope"]) == pytest.approx(line[0], rel=1e-5)
    assert float(products["intercept"]) == pytest.approx(line[1], rel=1e-4)


def compare_with_plain(config, out, **options):
    """Run a configuration by both, and compare all that both make."""
    inputs = phangs_xr.engine.config.load_config(config).inputs
    second = inputs.continuum2
    expected = plain.run_plain(
        inputs.narrow.path,
        inputs.continuum1.path,
        second.path if second else None,
        inputs.muse.path,
        **options,
    )
    tree = phangs_xr.run(config, out, chunk=200)
    names = [name for name in (*IMAGES, *FILLED) if name in expected]
    assert len(names) == len(IMAGES) + len(FILLED)
    for name in names:
        found, truth = tree[PRODUCTS[name].grid][name].values, expected[name]
        np.testing.assert_array_equal(np.isnan(found), np.isnan(truth), err_msg=name)
        scale = expected["halpha"] if name == "halpha_bg" else None
        assert compare(name, found, truth, scale).max() < 0.1, name
    np.testing.assert_array_equal(tree["hst"]["cosmic_mask"] == 1, expected["cosmic_mask"])
    xy = expected["cosmics_xy"]
    np.testing.assert_allclose(
        tree["fits"]["cosmic_rays"], xy[np.lexsort((xy[:, 0], xy[:, 1]))], rtol=0, atol=1e-3
    )
    assert float(tree["fits"]["slope"]) == pytest.approx(expected["fit"][0], rel=1e-5)
    assert float(tree["fits"]["offset"]) == pytest.approx(float(expected["offset"]), rel=1e-5)
    return expected


def test_simulated_galaxy_is_what_the_plain_recipe_makes_of_it(simulated, tmp_path):
    expected = compare_with_plain(simulated, tmp_path, muse_fwhm=0.92)
    assert len(expected["cosmics_xy"]) > 2
    partly = np.isnan(expected["musehalpha_regrid"]) & np.isfinite(expected["halpha"])
    assert 0.1 < partly.mean() < 0.5, "MUSE should cover a part of the mosaic"


def test_one_continuum_and_other_resolutions(tmp_path):
    galaxy = Galaxy(
        size=300, seed=5, continuum1=F547M, continuum2=None, muse_fwhm=0.7, rotation=25.0
    )
    config = simulate_galaxy(tmp_path, galaxy)
    config.write_text(config.read_text() + "[options.smooth_hst]\nhst_fwhm = 0.2\n")
    compare_with_plain(config, tmp_path / "out", hst_fwhm=0.2, muse_fwhm=0.7)


def test_galaxy_without_noise(tmp_path):
    galaxy = Galaxy(size=250, seed=2, noise=0.0, cosmics_per_megapixel=0.0)
    config = simulate_galaxy(tmp_path, galaxy)
    compare_with_plain(config, tmp_path / "out", muse_fwhm=0.92)
