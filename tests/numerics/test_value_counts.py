"""Values counted by the bits that order them: every count and sum exact, against NumPy's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phangs_xr.numerics.value_counts import (
    count_coarsely,
    count_finely,
    decode_values,
    encode_values,
)

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


def make_image():
    """Noise, of which much is missing, with infinities."""
    rng = np.random.default_rng(12)
    image = rng.normal(2, 30, (317, 211)).astype(np.float32)
    image[rng.random(image.shape) < 0.7] = np.nan
    image[5, 7], image[9, 1] = np.inf, -np.inf
    return image


@given(hnp.arrays(np.float32, (5, 4), elements=finite))
def test_encode_values__sorts_as_values_do_and_decodes_to_them(values):
    keys = encode_values(values)
    np.testing.assert_array_equal(decode_values(keys), values.ravel().astype(np.float64))
    np.testing.assert_array_equal(
        np.argsort(keys, kind="stable"), np.argsort(values.ravel(), kind="stable")
    )


def test_encode_values__of_negative_zero_is_that_of_zero():
    assert encode_values(np.float32([-0.0])) == encode_values(np.float32([0.0]))


def test_count_coarsely__gives_exact_sums():
    values = make_image()
    counts, sums, squares = count_coarsely(encode_values(values))
    keys = encode_values(values[np.isfinite(values)])
    low = (keys & 0xFFFF).astype(object)
    assert counts.sum() == keys.size
    assert sums.sum() == low.sum()
    assert squares.sum() == (low**2).sum()


def test_count_finely__counts_the_wanted_bins_alone():
    image = np.random.default_rng(12).integers(-2, 3, (317, 211)).astype(np.float32)
    keys = encode_values(image)
    wanted = np.zeros(1 << 16, dtype=bool)
    wanted[encode_values(np.float32([2.0])) >> 16] = True
    found, number = count_finely(keys, wanted)
    np.testing.assert_array_equal(decode_values(found), [2.0])
    assert number.tolist() == [(image == 2).sum()]
