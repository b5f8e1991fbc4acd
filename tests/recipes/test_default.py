"""The recipe `default` on a galaxy as hard as real ones: near the truth, and right on its error."""

import logging
import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage

import phangs_xr
from phangs_xr.engine.runner import Runner
from phangs_xr.qa.check_field import check_field
from phangs_xr.qa.measure.compare_truth import compare_truth
from phangs_xr.simulate import REAL_EFFECTS, make_real_galaxy
from phangs_xr.simulate.dataset import write_config
from tests.truth.figures import measure_figures
from tests.truth.skies import Sky

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    effects = replace(REAL_EFFECTS, shift_east=0.45, shift_north=-0.3)
    galaxy = make_real_galaxy("F658N", effects, size=700, seed=5, regions_per_megapixel=600.0)
    return Sky.simulate(galaxy, tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def out(sky):
    return sky.run("default")


@pytest.fixture(scope="module")
def hst(out):
    return phangs_xr.open_store(out)["hst"].to_dataset().load()


def test_map_is_near_the_truth_and_knows_its_error(sky, out):
    figures = measure_figures(sky, out, "default")
    assert figures.median == pytest.approx(1, abs=0.015)
    assert figures.excess < 1.35
    assert figures.slope == pytest.approx(1, abs=0.035)
    assert abs(figures.pull) < 0.35
    assert 0.6 < figures.pull_scatter < 1.4
    assert figures.faint == pytest.approx(1, abs=0.1)
    assert figures.found >= 0.85
    assert figures.cut < 0.01


def test_published_recipe_is_further_away(sky, out):
    """Else the figures tell nothing."""
    here = measure_figures(sky, out, "default")
    there = measure_figures(sky, sky.run("barnes2023"), "barnes2023")
    assert there.scatter > 1.5 * here.scatter
    assert abs(there.slope - 1) > 0.1


def test_shift_of_muse_is_found(sky, out):
    fits_numbers = phangs_xr.open_store(out)["fits"]
    effects, scale = sky.galaxy.effects, sky.galaxy.muse_scale
    planted = np.array([effects.shift_north, -effects.shift_east]) / scale
    found = fits_numbers["muse_shift"].values
    # Looked for once, between images that lie apart, it is 0.13 too small.
    assert np.abs(found - planted).max() < 0.06


def test_beyond_muse_the_map_goes_on_as_hst_alone(sky, hst):
    coverage = hst["muse_coverage"].values
    joint, alone = hst["halpha_joint"].values, hst["halpha_hst"].values
    far = ~ndimage.binary_dilation(sky.observed, iterations=120)
    known = np.isfinite(alone)
    assert coverage[far & known].max() < 1e-2
    off = np.abs(joint - alone) / hst["halpha_hst_err"].values
    assert off[far & known].max() < 0.02
    deep = ndimage.binary_erosion(sky.observed, iterations=60) & known
    assert np.median(coverage[deep]) > 0.95
    assert (hst["halpha_joint_err"].values[deep] <= hst["halpha_hst_err"].values[deep]).all()


def test_no_seam_shows_at_the_border_of_muse(sky, hst):
    """The step from strips inside to strips outside, in its own error."""
    off = hst["halpha_joint"].values - sky.truth
    error = hst["halpha_hst_err"].values / 0.73
    inside = sky.observed & ~ndimage.binary_erosion(sky.observed, iterations=15)
    outside = ndimage.binary_dilation(sky.observed, iterations=15) & ~sky.observed
    strips = [strip & np.isfinite(off) & (sky.truth < 50) for strip in (inside, outside)]
    means = [off[strip].mean() for strip in strips]
    errors = [np.sqrt((error[strip] ** 2).sum()) / strip.sum() for strip in strips]
    assert abs(means[0] - means[1]) < 4 * np.hypot(*errors) + 0.02 * np.nanmedian(error)


def test_residual_over_error_looks_like_noise_where_there_is_no_source(sky, hst):
    pull = (hst["halpha_joint"].values - sky.truth) / hst["halpha_joint_err"].values
    faint = pull[sky.observed & np.isfinite(pull) & (sky.truth < 20)]
    assert np.median(faint) == pytest.approx(0, abs=0.1)
    assert np.mean(np.abs(faint) > 3) < 0.01


def test_nebulae_carry_fluxes_widths_and_errors(out):
    nebulae = phangs_xr.open_store(out)["nebulae"].to_dataset()
    for name in ("flux_halpha_joint", "flux_halpha_hst", "flux_muse", "equivalent_width"):
        values, errors = nebulae[name].values, nebulae[f"{name}_err"].values
        known = np.isfinite(values)
        assert known.mean() > 0.8, name
        assert (errors[known] > 0).all(), name
    ratio = nebulae["flux_halpha_joint_err"] / nebulae["flux_halpha_hst_err"]
    assert float(ratio.median()) < 0.8


def test_equivalent_widths_are_those_of_the_truth(sky, out):
    nebulae = phangs_xr.open_store(out)["nebulae"].to_dataset().set_index(nebula="region_ID")
    galaxy = sky.galaxy
    halpha = sky.sum_nebulae(sky.truth)
    counts = fits.getdata(sky.directory / "truth/continuum.fits").astype(float)
    seen = np.where(np.isfinite(sky.truth), counts, np.nan)
    dimmed = sky.sum_nebulae(seen) * galaxy.narrow.photflam * 1e20
    expected = halpha / (dimmed * galaxy.extinction)
    rows = nebulae.reindex(nebula=np.arange(halpha.size))
    width, error = rows["equivalent_width"].values, rows["equivalent_width_err"].values
    bright = (halpha > 3000) & np.isfinite(width) & np.isfinite(expected)
    assert np.median(width[bright] / expected[bright]) == pytest.approx(1, abs=0.1)
    pulls = ((width - expected) / error)[bright]
    assert np.median(np.abs(pulls)) < 2


def test_truth_is_compared_in_one_line(sky, out):
    import xarray as xr

    truth = xr.open_dataset(sky.directory / "truth/halpha.fits", engine="fits", chunks={})
    found = compare_truth(phangs_xr.open_store(out), truth["image"])
    assert found.product == "halpha_joint"
    assert found.median == pytest.approx(1, abs=0.02)
    assert re.match(r"halpha_joint / truth: median \d\.\d{3}, scatter", str(found))


def test_chunks_do_not_matter(sky, hst, tmp_path):
    config = write_config(sky.galaxy, sky.directory / "chunked.toml", "default")
    again = phangs_xr.run(config, tmp_path / "out", chunk=200)["hst"].to_dataset()
    for name in ("halpha_joint", "halpha_hst", "halpha_joint_err", "continuum"):
        values, expected = again[name].values, hst[name].values
        np.testing.assert_array_equal(values, expected, err_msg=name)


VARIANTS = {
    "without MUSE": (("muse", "nebula", "star_mask"), "no MUSE map: .* fluxes share an error"),
    "without weights": (("weight",), "narrow has no weight: its noise is measured"),
    "with one continuum": (("continuum2", "muse_continuum2"), ""),
    "without synthetic bands": (
        ("muse_narrow", "muse_cont"),
        "without muse_continuum1 and .* no sky",
    ),
    "without a star mask": (("star_mask",), ""),
    "with HST alone": (("muse", "nebula", "star_mask", "weight", "continuum2"), "no MUSE map"),
}


@pytest.fixture(scope="module")
def least(tmp_path_factory):
    """A small galaxy, and the directory of its files."""
    galaxy = make_real_galaxy("F657N", size=420, seed=6)
    return Sky.simulate(galaxy, tmp_path_factory.mktemp("least"))


def write_variant(sky, name, dropped=(), replaced=()):
    config = write_config(sky.galaxy, sky.directory / f"{name}.toml", "default")
    lines = config.read_text().splitlines()
    kept = [
        line
        for line in lines
        if not any(re.match(rf"(\w+_)?{word}\w* = ", line) for word in dropped)
    ]
    text = "\n".join(kept) + "\n"
    for old, new in replaced:
        text = text.replace(old, new)
    config.write_text(text)
    return config


@pytest.mark.parametrize("name", VARIANTS)
def test_recipe_runs_without(name, least, tmp_path, caplog):
    dropped, said = VARIANTS[name]
    config = write_variant(least, name.replace(" ", "_"), dropped)
    with caplog.at_level(logging.INFO, "phangs_xr"):
        tree = phangs_xr.run(config, tmp_path / "out", chunk=300)
    assert re.search(said, caplog.text)
    hst = tree["hst"]
    assert ("halpha_joint" in hst) == ("muse" not in dropped)
    image, error = hst["halpha_hst"].values, hst["halpha_hst_err"].values
    np.testing.assert_array_equal(np.isnan(image), np.isnan(error))
    truth = least.truth
    faint = np.isfinite(image) & (truth < 20)
    pulls = (image - truth)[faint] / error[faint]
    scatter = 1.4826 * np.median(np.abs(pulls - np.median(pulls)))
    assert 0.7 < scatter < 1.3


def test_recipe_runs_on_maps_of_halpha_alone(least, tmp_path, caplog):
    (maps,) = (least.directory / "muse").glob("*_MAPS.fits")
    bare = maps.with_name(maps.name.replace("_MAPS", "_BARE"))
    with fits.open(maps) as hdus:
        fits.HDUList([hdus[0], hdus["HA6562_FLUX"]]).writeto(bare, overwrite=True)
    config = write_variant(least, "bare", replaced=[("_MAPS.fits", "_BARE.fits")])
    with caplog.at_level(logging.INFO, "phangs_xr"):
        tree = phangs_xr.run(config, tmp_path / "out")
    assert "no NII6583_FLUX: 0.35 of H-alpha is taken" in caplog.text
    assert "no HA6562_VEL" in caplog.text
    assert tree["hst"]["halpha_joint"].notnull().any()
    assert float(tree["fits"]["muse_noise"]) == pytest.approx(40, rel=0.6)


def test_less_known_means_larger_errors(least, tmp_path):
    """Of nebulae: with what MUSE tells, and where the bands' responses are assumed."""
    errors = []
    for name, dropped in (("all", ()), ("one", ("continuum2", "muse_continuum2"))):
        out = tmp_path / name
        phangs_xr.run(write_variant(least, name, dropped), out)
        check_field(out, Runner(), report=False)
        nebulae = phangs_xr.open_store(out)["nebulae"]
        errors.append(float((nebulae["flux_halpha_joint_err"] / nebulae["flux_muse"]).median()))
    assert errors[1] > 1.1 * errors[0]
