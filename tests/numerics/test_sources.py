"""Sources and rings: against photutils."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from photutils.detection import DAOStarFinder
from photutils.geometry import circular_overlap_grid
from photutils.profiles import RadialProfile

from phangs_xr.numerics.sources import find_reach, find_stars, make_kernel, overlap_disc, sum_rings

SHAPE = (230, 250)


def make_sky(seed=2, dtype=np.float32):
    """Noise, and sources of many heights and some widths, some of them over the edges."""
    rng = np.random.default_rng(seed)
    sky = rng.normal(0, 1, SHAPE)
    rows, columns = np.indices(SHAPE)
    for _ in range(60):
        y, x = rng.uniform(-2, 2 + np.array(SHAPE))
        width, height = rng.uniform(0.8, 3), rng.uniform(5, 300)
        sky += height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))
    sky[70:75, 130:150] = np.nan
    return sky.astype(dtype)


def sort(xy):
    return xy[np.lexsort((xy[:, 0], xy[:, 1]))]


@pytest.mark.parametrize("margin", [0, 9])
@pytest.mark.parametrize(("fwhm", "threshold"), [(3.0, 1.0), (3.0, 8.0), (2.0, 3.0), (6.3, 3.0)])
def test_sources_are_those_photutils_finds(margin, fwhm, threshold):
    sky = np.pad(make_sky(), margin, constant_values=np.nan)
    table = DAOStarFinder(threshold=threshold, fwhm=fwhm)(sky)
    expected = np.column_stack([table["x_centroid"], table["y_centroid"]])
    assert len(expected) > 10
    found = find_stars(sky, fwhm, threshold)
    np.testing.assert_allclose(sort(found), sort(expected), rtol=0, atol=1e-9)


def test_centroids_that_no_fit_holds_are_photutils():
    # Noise alone at a low threshold: fits run away, and the centre of gravity takes their place.
    sky = np.random.default_rng(5).normal(0, 1, (300, 300)).astype(np.float32)
    table = DAOStarFinder(threshold=0.3, fwhm=3.0)(sky)
    expected = np.column_stack([table["x_centroid"], table["y_centroid"]])
    found = find_stars(sky, 3.0, 0.3)
    np.testing.assert_allclose(sort(found), sort(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("fwhm", [1.5, 3.0, 4.2, 8.0])
def test_kernel_is_photutils(fwhm):
    finder = DAOStarFinder(threshold=1.0, fwhm=fwhm)
    kernel = make_kernel(fwhm)
    np.testing.assert_allclose(kernel.weights, finder.kernel.data, rtol=0, atol=1e-14)
    np.testing.assert_allclose(kernel.error, finder.threshold_eff, rtol=1e-14)


def test_nothing_is_found_where_nothing_stands_out():
    assert find_stars(np.zeros((50, 50), np.float32), 3.0, 1.0).shape == (0, 2)
    assert find_stars(np.full((50, 50), np.nan, np.float32), 3.0, 1.0).shape == (0, 2)


def test_sources_beyond_what_is_asked_for_may_be_left_out_but_no_others():
    sky = make_sky()
    found = find_stars(sky, 3.0, 3.0)
    part = find_stars(sky, 3.0, 3.0, (slice(90, 180), slice(100, 210)))
    inside = [(100 <= x < 210) and (90 <= y < 180) for x, y in found]
    assert 0 < sum(inside)
    assert {tuple(xy) for xy in found[inside]} <= {tuple(xy) for xy in part}
    assert len(part) < len(found)


@pytest.mark.parametrize("fwhm", [0.5, 3.0, 4.2, 6.0, 9.0])
def test_nothing_beyond_the_reach_matters(fwhm):
    sky = np.random.default_rng(6).normal(0, 1, (240, 240)).astype(np.float32)
    whole, reach, found = find_stars(sky, fwhm, 0.3), find_reach(fwhm), 0
    for y, x in np.ndindex(6, 6):
        low, high = np.array([40 * x, 40 * y]), np.array([40 * x, 40 * y]) + 40
        start = np.maximum(low - reach, 0)
        ys, xs = (slice(a, b + reach) for a, b in zip(start[::-1], high[::-1], strict=True))
        part = find_stars(sky[ys, xs], fwhm, 0.3) + start
        expected, part = (
            np.unique(one[((one >= low) & (one < high)).all(axis=1)], axis=0)
            for one in (whole, part)
        )
        np.testing.assert_allclose(part, expected, rtol=0, atol=1e-9)
        found += len(expected)
    assert found > 10


@given(
    x=st.floats(-3, 3),
    y=st.floats(-3, 3),
    radius=st.floats(0.1, 9),
)
@example(x=0.0, y=0.0, radius=0.11860060980404699)
@example(x=0.0, y=0.9, radius=0.1)
def test_overlap_is_exact(x, y, radius):
    edges = np.arange(-8, 9.0)
    found = overlap_disc(edges - y, edges - x, radius)
    expected = circular_overlap_grid(-8 - x, 8 - x, -8 - y, 8 - y, 16, 16, radius, 1, 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("x", "y"), [(120.3, 100.8), (3.2, 40.0), (249.0, 229.4)])
def test_rings_are_those_of_a_radial_profile(x, y):
    sky = make_sky(dtype=np.float64)
    mask = ~np.isfinite(sky)
    profile = RadialProfile(np.where(mask, 0.0, sky), (x, y), np.arange(15.0), mask=mask)
    areas = np.diff([circular_overlap_sum(x, y, radius) for radius in range(15)])
    expected = profile.profile * areas
    (found,) = sum_rings(sky, np.array([[x, y]]), 14)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def circular_overlap_sum(x, y, radius):
    """Return the area of a disc that lies in the image."""
    if radius == 0:
        return 0.0
    height, width = SHAPE
    edges = (-0.5 - x, width - 0.5 - x, -0.5 - y, height - 0.5 - y)
    return circular_overlap_grid(*edges, width, height, float(radius), 1, 1).sum()
