"""Negatives are interpolated, within coverage: against astropy's interpolation."""

import numpy as np
import pytest
from scipy import ndimage

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.recipes import BARNES2023
from phangs_xr.sky import get_grid
from phangs_xr.steps import FillNegatives
from tests import plain
from tests.images import chunk_image, make_flux


def fill(values, chunks=None, **options):
    image = make_flux(values)
    image = image if chunks is None else chunk_image(image, chunks)
    return phangs_xr.fill_negatives(image, options=FillNegatives(**options))["anchored_intnegs"]


def make_field(shape=(130, 150)):
    rng = np.random.default_rng(2)
    field = rng.normal(3, 1, shape)
    field[rng.random(shape) > 0.995] = -5
    field[70:100, 80:120] = -1
    field[:, :13] = np.nan
    field[110:120, 60:75] = np.nan
    return field.astype(np.float32)


@pytest.mark.parametrize("chunks", [None, 60, "ragged", 9])
@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_filling_is_that_of_astropy(chunks, threshold):
    field = make_field()
    found = fill(field, chunks, threshold=threshold)
    expected = plain.fill_negatives(field.astype(float), threshold)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize("chunks", [None, 60])
def test_infinities_are_missing_wherever_the_negatives_are(chunks):
    field = np.abs(make_field()) + 1
    field[20, 30], field[40, 140], field[100, 100] = np.inf, -np.inf, -1
    expected = fill(np.where(np.isfinite(field), field, np.nan))
    np.testing.assert_array_equal(fill(field, chunks), expected)


def test_what_is_not_near_a_negative_keeps_its_bits():
    field = np.abs(make_field()) + 1
    np.testing.assert_array_equal(fill(field), field)
    field[100, 100] = 0.0
    changed = np.argwhere(~(fill(field).values == field) & np.isfinite(field)) - 100
    expected = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if abs(y) + abs(x) <= 2]
    np.testing.assert_array_equal(changed, expected)


def test_nothing_is_filled_where_there_are_no_data():
    field = make_field()
    assert np.isnan(fill(field).values[np.isnan(field)]).all()


def test_middle_of_a_wide_hole_stays_missing():
    field = np.full((90, 90), 5.0)
    field[30:60, 30:60] = -1
    found = fill(field).values
    # The hole is grown by two pixels, and each of two passes reaches four into it.
    grown = ndimage.binary_dilation(field < 0, iterations=2)
    missing = ndimage.binary_erosion(grown, np.ones((9, 9)), iterations=2)
    np.testing.assert_array_equal(np.isnan(found), missing)
    np.testing.assert_allclose(found[~missing], 5.0, rtol=1e-6)


def test_image_that_is_negative_everywhere_is_left_with_nothing():
    assert np.isnan(fill(np.full((30, 30), -1.0))).all()


@pytest.mark.parametrize("name", ["fill_negatives", "fit_anchor"])
def test_pixels_beyond_the_halo_do_not_matter(name):
    step = next(step for step in BARNES2023.steps if step.name == name)
    field = make_field((80, 80))
    halo = step.find_halo(step.options(), get_grid(make_flux(field)))
    other = field.copy()
    other[40 + halo + 1 :] = -7
    other[:, 40 + halo + 1 :] = np.nan
    assert fill(field).values[40, 40] == fill(other).values[40, 40]


def test_threshold_that_is_no_number_is_refused():
    with pytest.raises(InputError, match=r"threshold should be .* found nan: "):
        FillNegatives(threshold=np.nan)
