"""MUSE's map is taken as it is: nothing but its infinities is changed."""

import numpy as np
import pytest

import phangs_xr
from tests.images import chunk_image, make_image


@pytest.mark.parametrize("chunks", [None, 2])
@pytest.mark.parametrize("dtype", ["f4", ">f4", "f8"])
def test_values_are_kept_and_infinities_are_missing(chunks, dtype):
    values = np.array([[0.0, -2.5, 7e5], [np.nan, np.inf, -np.inf]], dtype)
    image = make_image(values)
    given = image if chunks is None else chunk_image(image, chunks)
    found = phangs_xr.extract_muse(given)["musehalpha"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0.0, -2.5, 7e5], [np.nan, np.nan, np.nan]])
