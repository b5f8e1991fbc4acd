"""Masks keep their numbers: 0 is a nebula like any other."""

import numpy as np
import pytest

import phangs_xr
from phangs_xr.sky import get_grid
from tests.images import make_flux, make_header, make_image

IDS = np.array([[-1, 0, 1], [2, -1, 2000]])


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64, ">i4"])
def test_region_ids_are_kept_and_outside_is_missing(dtype):
    loaded = phangs_xr.load_nebulae(make_image(IDS.astype(dtype), ""))["nebula_mask"]
    np.testing.assert_array_equal(loaded, [[np.nan, 0, 1], [2, np.nan, 2000]])
    assert loaded.dtype == np.float32


def test_nan_is_outside_too():
    mask = make_image(np.where(IDS < 0, np.nan, IDS), "")
    loaded = phangs_xr.load_nebulae(mask)["nebula_mask"]
    np.testing.assert_array_equal(loaded, [[np.nan, 0, 1], [2, np.nan, 2000]])


def test_star_mask_keeps_its_zeros():
    stars = make_image(np.array([[0, 1], [3, 0]], np.int16), "")
    loaded = phangs_xr.load_nebulae(star_mask=stars)
    assert list(loaded) == ["star_mask"]
    np.testing.assert_array_equal(loaded["star_mask"], stars)


def test_mask_of_another_grid_is_sampled_at_the_pixel_centres():
    like = make_flux(np.zeros((4, 6)))
    # The same sky in pixels half as wide.
    fine = np.kron(np.arange(-1, 23).reshape(4, 6), np.ones((2, 2))).astype(np.int32)
    mask = make_image(fine, "", header=make_header((8, 12), pixel=0.02))
    loaded = phangs_xr.load_nebulae(mask, musehalpha=like)["nebula_mask"]
    expected = np.arange(-1.0, 23.0).reshape(4, 6)
    expected[0, 0] = np.nan
    np.testing.assert_array_equal(loaded, expected)
    assert get_grid(loaded) == get_grid(like)


def test_pixels_that_a_mask_does_not_reach_are_outside():
    like = make_flux(np.zeros((4, 6)))
    mask = make_image(np.ones((4, 6), np.int32), "", header=make_header((4, 6), shift=(4, 0)))
    loaded = phangs_xr.load_nebulae(mask, musehalpha=like)["nebula_mask"]
    np.testing.assert_array_equal(loaded, [[1] * 2 + [np.nan] * 4] * 4)


def test_nothing_given_makes_nothing():
    assert not phangs_xr.load_nebulae().data_vars
