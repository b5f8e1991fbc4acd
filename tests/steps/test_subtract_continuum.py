"""The continuum is interpolated in f_nu by the pivots: numbers worked out by hand."""

import logging

import numpy as np
import pytest

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.schema import COUNTS
from tests.images import make_image

# NGC 628 c, from the headers of its mosaics.
F658N = {"photflam": 1.9512995e-18, "photplam": 6583.95, "photbw": 37.01}
F555W = {"photflam": 1.94305e-19, "photplam": 5360.17}
F814W = {"photflam": 6.95905e-20, "photplam": 8061.10}


def make_counts(values, band):
    return make_image(np.atleast_2d(np.asarray(values, np.float32)), COUNTS, **band)


def subtract(narrow, *continua):
    bands = (F658N, F555W, F814W)
    return phangs_xr.subtract_continuum(
        *(make_counts(v, band) for v, band in zip((narrow, *continua), bands, strict=False))
    )


def test_two_bands_by_hand():
    # 1/s1 = 0.1 (5/6)², 1/s2 = 0.05 (8/6)², weights 2/3 and 1/3.
    narrow = make_counts(10, {"photflam": 1e-18, "photplam": 6000.0})
    first = make_counts(30, {"photflam": 1e-19, "photplam": 5000.0})
    second = make_counts(60, {"photflam": 5e-20, "photplam": 8000.0})
    result = phangs_xr.subtract_continuum(narrow, first, second)
    expected = 30 * 0.1 * 25 / 36 * 2 / 3 + 60 * 0.05 * 64 / 36 / 3
    assert expected == pytest.approx(3.1666667)
    np.testing.assert_allclose(result["cont_raw"], expected, rtol=1e-6)
    np.testing.assert_allclose(result["halpha_raw"], 10 - expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (1, 1, 0.036096 + 0.024223),
        (1000, 0.001, 36.096),
        (1, -1, 0.066),
        (-1, 1, -0.066),
        (-1, -1, -0.036096 - 0.024223),
        (1, 0, 0.066),
        (0, 1, 0),
        (1, np.nan, 0.066),
        (np.nan, 1, np.nan),
    ],
)
def test_published_coefficients_of_ngc628(first, second, expected):
    found = subtract(5, first, second)["cont_raw"].item()
    assert found == pytest.approx(expected, rel=2e-5, nan_ok=True)


def test_one_band_is_scaled_by_its_zero_point():
    result = subtract([5, 6], [1, np.nan])
    np.testing.assert_allclose(result["cont_raw"], [[0.066, np.nan]], rtol=2e-5)
    np.testing.assert_allclose(result["halpha_raw"], [[4.934, np.nan]], rtol=2e-5)


def test_order_of_the_bands_matters_only_where_one_stands_alone():
    images = (make_counts(5, F658N), make_counts(2, F555W), make_counts(3, F814W))
    one = phangs_xr.subtract_continuum(*images)
    other = phangs_xr.subtract_continuum(images[0], images[2], images[1])
    np.testing.assert_allclose(one["cont_raw"], other["cont_raw"], rtol=1e-6)


def test_missing_pixels_stay_missing():
    result = subtract([1, np.nan, 1], [1, 1, np.nan], [1, 1, 1])
    np.testing.assert_array_equal(np.isnan(result["halpha_raw"]), [[False, True, True]])


def test_result_keeps_the_narrow_bands_photometry():
    result = subtract(1, 1, 1)
    for name in ("halpha_raw", "cont_raw"):
        assert {key: result[name].attrs[key] for key in F658N} == F658N


def test_photometry_of_the_header_does_as_well_as_that_of_attributes():
    cards = "\n".join(f"{key.upper():8}= {value}" for key, value in F658N.items())
    narrow = make_image(np.ones((2, 2), np.float32), COUNTS, fits_header=cards)
    result = phangs_xr.subtract_continuum(narrow, make_counts(np.ones((2, 2)), F555W))
    halpha = phangs_xr.convert_units(result["halpha_raw"])["halpha"]
    assert halpha.values[0, 0] == pytest.approx((1 - 0.066) * 1.9512995e-18 * 37.01e20, rel=1e-5)


@pytest.mark.parametrize(
    "pivots", [(5000.0, 6000.0), (7000.0, 8000.0)], ids=["both blue", "both red"]
)
def test_extrapolation_is_said(caplog, pivots):
    bands = [F658N, F555W | {"photplam": pivots[0]}, F814W | {"photplam": pivots[1]}]
    phangs_xr.subtract_continuum(*(make_counts(1, band) for band in bands))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.records[0].message.startswith("extrapolation: both continua")


def test_interpolation_is_not_worth_a_word(caplog):
    subtract(1, 1, 1)
    assert not caplog.records


def test_two_bands_of_one_pivot_are_refused():
    bands = (F658N, F555W, F814W | {"photplam": F555W["photplam"]})
    with pytest.raises(InputError, match=r"different pivot wavelengths, both have 5360\.17"):
        phangs_xr.subtract_continuum(*(make_counts(1, band) for band in bands))


@pytest.mark.parametrize("keyword", ["photflam", "photplam"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_missing_photometry_is_refused_by_name(keyword, position):
    bands = [dict(F658N), dict(F555W), dict(F814W)]
    del bands[position][keyword]
    name = ("narrow", "continuum1", "continuum2")[position]
    with pytest.raises(InputError, match=rf"^{name}: {keyword.upper()} .* found no such card"):
        phangs_xr.subtract_continuum(*(make_counts(1, band) for band in bands))
