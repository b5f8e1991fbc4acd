"""Pulls are in the errors that the maps state, and what is drawn of errors is what was measured."""

import dataclasses

import holoviews as hv
import numpy as np
import pytest
import scipy
import xarray as xr

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.qa import figures
from phangs_xr.qa.measure.findings import list_findings
from phangs_xr.qa.measure.nebulae import ErrorModel
from phangs_xr.qa.measure.noise import Noise, fit_noises
from phangs_xr.qa.measure.overviews import reduce_field, sample_image
from phangs_xr.qa.measure.pulls import find_spread, measure_pulls
from phangs_xr.qa.measure.sky_gradient import measure_gradient
from phangs_xr.sky import get_grid
from phangs_xr.steps.match_halpha import MatchHalpha, match_halpha


@pytest.fixture(scope="module")
def field(joint_run):
    return phangs_xr.open_store(joint_run, chunked=False)


@pytest.fixture(scope="module")
def nebulae(field):
    return field["nebulae"].to_dataset().load()


@pytest.fixture(scope="module")
def overview(field):
    return reduce_field(field)


def replace_images(field, path, **images):
    """The field with other values in some images."""
    tree = {node.path: node.to_dataset() for node in field.subtree}
    old = tree[path]
    tree[path] = old.assign({name: old[name].copy(data=one) for name, one in images.items()})
    return xr.DataTree.from_dict(tree)


def test_noise_of_hst_at_muses_resolution_is_that_of_drawn_noise(field):
    """Noise through the step that matches HST with MUSE, beside the formula."""
    model = ErrorModel.read(field)
    hst, muse = field["hst"], field["muse"]
    drawn = np.random.default_rng(1).normal(size=hst["halpha_hst"].shape)
    # White noise whose sums scatter as those of the map's pixels, which drizzling correlates.
    drawn *= float(field["fits"]["hst_noise"]) / model.ratio
    noise = hst["halpha_hst"].copy(data=drawn.astype(np.float32))
    options = MatchHalpha(hst_fwhm=0.07, muse_fwhm=muse["musehalpha"].attrs["fwhm"])
    zero = xr.zeros_like(muse["musehalpha"])
    seen = match_halpha(noise, hst["halpha_hst_err"], zero, np.zeros(2), options=options)
    inner = seen["halpha_on_muse"].values[12:-12, 12:-12]
    expected = np.sqrt(model.hst / (4 * np.pi * model.sigma**2))
    assert np.nanstd(inner) == pytest.approx(expected, rel=0.12)


def test_pulls_of_a_run_are_about_one(field, nebulae):
    pulls = measure_pulls(field, nebulae)
    middle, spread, number = find_spread(pulls.spaxels.values)
    assert number > 1000
    assert abs(middle) < 0.25
    assert 0.8 < spread < 1.25
    # HST above MUSE is a positive pull, as for nebulae.
    difference = field["muse"]["muse_minus_hst"].values
    known = np.isfinite(difference) & (difference != 0)
    assert (np.sign(pulls.spaxels.values[known]) == -np.sign(difference[known])).all()


def test_pulls_of_nebulae_are_of_whole_ones_in_both_errors(field, nebulae):
    found = measure_pulls(field, nebulae).nebulae
    for index in range(nebulae.sizes["nebula"]):
        one = nebulae.isel(nebula=index)
        if one["coverage_hst"] == 1 and one["coverage_muse"] == 1:
            error = float(one["flux_halpha_hst_err"] ** 2 + one["flux_muse_err"] ** 2) ** 0.5
            expected = float(one["flux_halpha_hst"] - one["flux_muse"]) / error
            assert found[index] == pytest.approx(expected)
        else:
            assert np.isnan(found[index])


def test_spread_is_scipys():
    values = np.random.default_rng(2).standard_t(3, 5000)
    middle, spread, number = find_spread(np.append(values, [np.nan, np.inf]))
    assert number == 5000
    assert middle == np.median(values)
    expected = scipy.stats.median_abs_deviation(values, scale="normal")
    assert spread == pytest.approx(expected, rel=1e-3)
    assert find_spread(np.array([np.nan]))[2] == 0


def test_recipe_without_errors_has_no_pulls(checked):
    field, nebulae, *_ = checked
    assert measure_pulls(field, nebulae) is None
    with pytest.raises(InputError, match=r"muse_minus_hst.*are needed for pulls"):
        figures.plot_pulls(field, nebulae)
    with pytest.raises(InputError, match=r"anchored_err.*are needed here"):
        figures.plot_derived_maps(field)


@pytest.mark.parametrize(("rise", "noise"), [((0.0, 0.0), 1.0), ((3.0, -2.0), 1.0)])
def test_gradient_is_that_of_the_sky_beside_sources(rise, noise):
    rng = np.random.default_rng(3)
    rows, columns = np.indices((60, 80))
    image = rng.normal(0, noise, (60, 80)) + rise[0] * rows / 59 + rise[1] * columns / 79
    image[10:25, 50:70] += rng.exponential(30, (15, 20))
    image[:, :5] = np.nan
    found = measure_gradient(xr.DataArray(image, dims=("y", "x")))
    assert found == pytest.approx(sum(map(abs, rise)), abs=0.25)


def test_too_few_blocks_have_no_gradient():
    assert np.isnan(measure_gradient(xr.DataArray(np.ones((5, 5)), dims=("y", "x"))))


def judge(field, nebulae, noise=None, overview=None):
    found = list_findings(field, nebulae, {}, {"shift": 0.0}, noise, overview)
    return {one.code: one for one in found}


def test_errors_that_do_not_hold_are_found(field, nebulae):
    muse = field["muse"]
    assert "pulls" not in judge(field, nebulae)
    assert "pull_median" not in judge(field, nebulae)
    scattered = replace_images(field, "/muse", muse_minus_hst=2 * muse["muse_minus_hst"].values)
    one = judge(scattered, nebulae)["pulls"]
    assert one.severity == "warning"
    assert one.figure == "pulls"
    assert "errors are too small by this factor" in one.sentence
    quiet = replace_images(field, "/muse", muse_minus_hst=0.3 * muse["muse_minus_hst"].values)
    assert "errors are too large" in judge(quiet, nebulae)["pulls"].sentence
    low = replace_images(field, "/muse", muse_minus_hst=muse["muse_minus_hst"].values - 60)
    assert judge(low, nebulae)["pull_median"].number > 0.25


def test_a_gradient_is_found(field, nebulae, overview):
    noise = fit_noises(overview)
    assert "sky_gradient" not in judge(field, nebulae, noise, overview)
    sigma = noise["halpha_joint"].sigma
    image = overview.images["halpha_joint"]
    tilted = image + sigma * np.linspace(0, 1, image.sizes["y"])[:, None].astype(np.float32)
    images = overview.images.assign(halpha_joint=tilted)
    changed = dataclasses.replace(overview, images=images)
    one = judge(field, nebulae, noise, changed)["sky_gradient"]
    assert one.number == pytest.approx(1, abs=0.2)
    assert "the sky rises by" in one.sentence
    silent = {"halpha_joint": Noise(0.0, 0.0, 1.0)}
    assert "sky_gradient" not in judge(field, nebulae, silent, changed)


def test_nebulae_on_stars_are_named(field, nebulae):
    mask = field["muse"]["nebula_mask"].values
    chosen = np.unique(mask[np.isfinite(mask)])[:2]
    clear = replace_images(field, "/muse", star_mask=np.zeros(mask.shape, np.float32))
    assert "stars" not in judge(clear, nebulae)
    marked = replace_images(field, "/muse", star_mask=np.isin(mask, chosen).astype(np.float32))
    one = judge(marked, nebulae)["stars"]
    assert one.severity == "note"
    assert one.number == 2
    assert f"{chosen[0]:g}, {chosen[1]:g}." in one.sentence


def test_drawn_maps_are_those_of_the_field(field, overview):
    panels = {
        panel.opts.get("plot", backend="bokeh").kwargs["title"]: panel
        for panel in figures.plot_derived_maps(field, overview=overview)
    }
    assert list(panels) == ["flux over error", "equivalent width", "line response", "MUSE's part"]
    means = overview.images
    expected = (means["halpha_joint"] / means["halpha_joint_err"]).values
    drawn = next(iter(panels["flux over error"])).dimension_values(2, flat=False)
    known = np.isfinite(expected) & (expected > 0.5)
    flipped = drawn if drawn.shape == expected.shape else drawn.T
    options = (flipped, flipped[:, ::-1])
    assert any(np.allclose(10 ** one[known], expected[known], rtol=1e-4) for one in options)


def test_muse_is_sampled_where_it_lies(field, overview):
    response = field["muse"]["line_response"]
    target = get_grid(overview.images["halpha_joint"])
    found = sample_image(response, target)
    rows, columns = np.indices(target.shape)
    places = get_grid(response).to_pixel(*target.to_sky(rows, columns))
    nearest = np.rint(places[0]).astype(int), np.rint(places[1]).astype(int)
    shape = response.shape
    inside = np.all([(0 <= at) & (at < n) for at, n in zip(nearest, shape, strict=True)], axis=0)
    expected = np.full(target.shape, np.nan, np.float32)
    expected[inside] = response.values[nearest[0][inside], nearest[1][inside]]
    same = (found.values == expected) | (np.isnan(found.values) & np.isnan(expected))
    # Places half-way between two pixels may fall to either.
    assert same.mean() > 0.99


def test_figures_are_drawn_on_paper_and_on_the_screen(field, nebulae, overview):
    """The other way round they are drawn for the report of the demo."""
    pulls = figures.plot_pulls(field, nebulae, overview=overview)
    maps = figures.plot_derived_maps(field, axes="sky", overview=overview)
    assert hv.render(pulls, backend="bokeh")
    assert len(hv.render(maps, backend="matplotlib").axes) >= 4
    assert len(figures.plot_pulls(field, xr.Dataset(), overview=overview)) == 2
