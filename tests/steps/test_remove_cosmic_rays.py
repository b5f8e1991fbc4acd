"""Cosmic rays are the sources in a moat: against photutils on the whole image."""

import numpy as np
import pytest

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import reduce_images
from phangs_xr.recipes import BARNES2023
from phangs_xr.sky import get_grid
from phangs_xr.steps import RemoveCosmicRays, reduce_to_cosmic_rays
from tests import plain
from tests.images import chunk_image, make_flux

SHAPE = (330, 350)


def make_sky(sources, shape=SHAPE, seed=2):
    """Noise, and stars on pedestals; a source (x, y, True) has a moat around it."""
    rng = np.random.default_rng(seed)
    sky = rng.normal(0, 1, shape)
    rows, columns = np.indices(shape)
    for x, y, struck in sources:
        distance = np.hypot(columns - x, rows - y)
        sky += 500 * np.exp(-(distance**2) / (2 * 1.3**2)) + 20 * (distance < 16)
        if struck:
            sky -= 100 * ((distance > 6) & (distance < 8))
    return sky.astype(np.float32)


SOURCES = [
    (50.0, 60.0, True),
    (120.3, 60.7, False),
    # On the seams of chunks of 100 and of 110 pixels.
    (199.5, 99.5, True),
    (299.6, 200.2, True),
    (110.0, 219.9, True),
    (60.0, 250.0, False),
    # Too near the image's edge for a whole profile.
    (5.0, 150.0, True),
    (345.5, 325.0, True),
]


def find(sky, chunks=None, **options):
    image = make_flux(sky)
    reduction = reduce_to_cosmic_rays(RemoveCosmicRays(**options))
    if chunks is None:
        return reduce_images(reduction, image)
    return reduce_images(reduction, chunk_image(image, chunks)).compute()


def sort(xy):
    return xy[np.lexsort((xy[:, 0], xy[:, 1]))]


@pytest.mark.parametrize("chunks", [None, 100, 110, "ragged"])
def test_cosmic_rays_are_the_sources_in_a_moat(chunks):
    sky = make_sky(SOURCES)
    found = find(sky, chunks)
    struck = sort(np.array([(x, y) for x, y, struck in SOURCES if struck]))
    np.testing.assert_allclose(found["cosmic_rays"], struck, rtol=0, atol=0.2)
    assert found["sources"] == find(sky)["sources"] >= len(SOURCES)
    np.testing.assert_allclose(
        found["cosmic_rays"], sort(plain.find_cosmic_rays(sky.astype(float))), rtol=0, atol=1e-4
    )


def test_rings_without_data_condemn_no_star():
    sky = make_sky([(120.0, 100.0, False)], shape=(200, 240))
    rows, columns = np.indices(sky.shape)
    distance = np.hypot(columns - 120, rows - 100)
    sky[(distance > 5) & (distance < 30)] = np.nan
    found = find(sky)
    assert found["sources"] >= 1
    assert len(found["cosmic_rays"]) == 0
    np.testing.assert_array_equal(plain.find_cosmic_rays(sky.astype(float)).size, 0)


@pytest.mark.parametrize("seed", range(3))
def test_crowded_field_with_gaps_is_judged_as_on_the_whole_image(seed):
    rng = np.random.default_rng(seed)
    sources = [(*rng.uniform(0, 330, 2), bool(rng.random() > 0.5)) for _ in range(120)]
    sky = make_sky(sources, seed=seed)
    for _ in range(20):
        y, x = rng.integers(0, 320, 2)
        sky[y : y + 12, x : x + 9] = np.nan
    sky[:35] = np.nan
    expected = plain.find_cosmic_rays(sky.astype(float))
    assert 20 < len(expected) < 120
    for chunks in (None, 100, "ragged"):
        found = find(sky, chunks)["cosmic_rays"]
        np.testing.assert_allclose(found, sort(expected), rtol=0, atol=1e-3)


def test_sky_level_is_clipped():
    sky = make_sky(SOURCES) + np.float32(40)
    found = find(sky, 100)
    _, median, std = plain.sigma_clipped_stats(sky.astype(float), sigma=3, maxiters=5)
    assert (found["sky_median"], found["sky_std"]) == pytest.approx((median, std), rel=1e-6)


@pytest.mark.parametrize("chunks", [None, 100])
def test_sky_without_sources_has_no_cosmic_rays(chunks):
    found = find(np.clip(make_sky([]), -3, 3), chunks)
    assert found["sources"] == 0
    assert found["cosmic_rays"].shape == (0, 2)


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_image_without_data_or_variation_has_no_cosmic_rays(value):
    assert find(np.full(SHAPE, value), 100)["cosmic_rays"].shape == (0, 2)


def remove(image, chunks=None, diff=None, **kwargs):
    images = [make_flux(image), make_flux(image if diff is None else diff)]
    if chunks is not None:
        images = [chunk_image(one, chunks) for one in images]
    return phangs_xr.remove_cosmic_rays(*images, **kwargs)


@pytest.mark.parametrize("chunks", [None, 100, 51])
def test_discs_are_cut_and_filled_from_around(chunks):
    xy = np.array([[50.2, 60.9], [99.5, 100.5], [0.0, 3.0], [349.0, 329.4]])
    rows, columns = np.indices(SHAPE)
    inside = np.zeros(SHAPE, bool)
    for x, y in xy:
        inside |= np.hypot(columns - x, rows - y) <= 3
    values = np.where(inside, 1e5, 20.0)
    result = remove(values, chunks, measured={"cosmic_rays": xy})
    np.testing.assert_array_equal(result["cosmic_mask"], inside)
    np.testing.assert_allclose(result["anchored_intnegs_nocosmic"], 20.0, rtol=1e-6)


def test_wider_discs_are_asked_for_by_option():
    result = remove(
        np.ones((60, 60)),
        measured={"cosmic_rays": np.array([[30.0, 30.0]])},
        options=RemoveCosmicRays(disc_radius=5.0),
    )
    rows, columns = np.indices((60, 60)) - 30
    np.testing.assert_array_equal(result["cosmic_mask"], np.hypot(rows, columns) <= 5)


@pytest.mark.parametrize("chunks", [20, 31])
def test_only_the_middle_of_wide_discs_stays_missing_in_any_chunks(chunks):
    image = np.random.default_rng(3).normal(size=(60, 60))
    given = {
        "measured": {"cosmic_rays": np.array([[30.0, 30.0], [19.5, 19.5]])},
        "options": RemoveCosmicRays(disc_radius=6.0),
    }
    whole = remove(image, **given)["anchored_intnegs_nocosmic"]
    np.testing.assert_array_equal(remove(image, chunks, **given)[whole.name], whole)
    rows, columns = np.indices((60, 60))
    near = np.minimum(np.hypot(rows - 30, columns - 30), np.hypot(rows - 19.5, columns - 19.5)) < 3
    assert 0 < np.isnan(whole.values).sum() < near.sum()
    assert not np.isnan(whole.values[~near]).any()


def test_nothing_is_filled_outside_coverage():
    diff = np.ones((60, 60))
    diff[:, :31] = np.nan
    image = np.where(np.isnan(diff), np.nan, 4.0)
    result = remove(image, diff=diff, measured={"cosmic_rays": np.array([[32.0, 30.0]])})
    found = result["anchored_intnegs_nocosmic"].values
    np.testing.assert_array_equal(np.isnan(found), np.isnan(diff))
    np.testing.assert_allclose(found[:, 31:], 4.0, rtol=1e-6)


def test_without_cosmic_rays_the_image_keeps_its_bits():
    sky = np.clip(make_sky([]), -3, 3)
    result = remove(sky, 100)
    np.testing.assert_array_equal(result["anchored_intnegs_nocosmic"], sky)
    assert not result["cosmic_mask"].any()


def test_cosmic_rays_of_a_cut_are_counted_from_the_whole_image():
    sky = make_sky(SOURCES)
    cut = make_flux(sky).isel(y=slice(30, 300), x=slice(20, 330))
    found = reduce_images(
        reduce_to_cosmic_rays(RemoveCosmicRays()), chunk_image(cut, 100)
    ).compute()
    assert np.hypot(*(found["cosmic_rays"] - [50, 60]).T).min() < 0.2
    result = phangs_xr.remove_cosmic_rays(cut, cut)
    assert result["cosmic_mask"].sel(x=50, y=60) == 1


@pytest.mark.parametrize(("rings", "count"), [(4, 0), (14, 1)])
def test_rings_beyond_those_asked_for_do_not_matter(rings, count):
    assert len(find(make_sky([(150.0, 150.0, True)]), rings=rings)["cosmic_rays"]) == count


def make_pairs(gap, fwhm, seam=100):
    """Sources around the seam of two chunks, each with a brighter one `gap` widths up."""
    rows, columns = np.indices((200, 30 * fwhm * 5))
    sky = np.random.default_rng(5).normal(-2, 1, rows.shape)
    for number in range(30):
        x, y = fwhm * 5 * number + fwhm * 2, seam - 15 + number
        for height, place in ((500, y), (700, y + round(gap * fwhm))):
            square = (columns - x) ** 2 + (rows - place) ** 2
            sky += height * np.exp(-4 * np.log(2) * square / fwhm**2)
    return sky.astype(np.float32)


@pytest.mark.parametrize("gap", [-2.4, -1.8, 1.8, 2.4])
@pytest.mark.parametrize(("fwhm", "rings"), [(6, 3), (9, 14), (3, 14), (3, 1)])
def test_close_sources_at_seams_are_those_of_the_whole_image(gap, fwhm, rings):
    sky = make_pairs(gap, fwhm)
    whole = find(sky, fwhm=fwhm, rings=rings)
    found = find(sky, 100, fwhm=fwhm, rings=rings)
    assert found["sources"] == whole["sources"] >= 30
    np.testing.assert_allclose(found["cosmic_rays"], whole["cosmic_rays"], rtol=0, atol=1e-6)


def test_default_options_need_as_many_neighbours_as_the_rings():
    assert reduce_to_cosmic_rays(RemoveCosmicRays()).depth == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fwhm": 0.0}, r"fwhm should be positive \[pixel\], found 0.0"),
        ({"fwhm": -1.0}, r"fwhm should be positive \[pixel\], found -1.0"),
        ({"fwhm": np.nan}, r"fwhm should be positive \[pixel\], found nan"),
        ({"fwhm": np.inf}, r"fwhm should be positive \[pixel\], found inf"),
        ({"threshold": 0.0}, r"threshold should be positive \[standard deviation\], found 0.0"),
        ({"clip_sigma": 0.0}, r"clip_sigma should be positive \[standard deviation\], found 0.0"),
        ({"disc_radius": -3.0}, r"disc_radius should be positive \[pixel\], found -3.0"),
        ({"rings": 0}, r"rings should be at least 1, clip_iterations at least 0, found 0 and 5"),
        ({"clip_iterations": -1}, r"clip_iterations at least 0, found 14 and -1"),
    ],
    ids=str,
)
def test_meaningless_options_are_refused(options, message):
    with pytest.raises(InputError, match=f"^remove_cosmic_rays: .*{message}"):
        RemoveCosmicRays(**options)


def test_halo_is_as_wide_as_the_filling():
    step = next(step for step in BARNES2023.steps if step.name == "remove_cosmic_rays")
    image = make_flux(np.full((61, 61), 5.0))
    halo = step.find_halo(step.options(), get_grid(image))
    values = np.full((61, 61), 5.0)
    values[30, 30 + halo] = 500.0
    measured = {"cosmic_rays": np.array([[30.0, 30.0 - 3]])}
    near = remove(values, measured=measured)["anchored_intnegs_nocosmic"].values[30, 30]
    values[30, 30 + halo], values[30, 30 + halo + 1] = 5.0, 500.0
    far = remove(values, measured=measured)["anchored_intnegs_nocosmic"].values[30, 30]
    assert (near > 5, far) == (True, 5)
