"""Counts become flux by the sensitivity and a width: numbers worked out by hand."""

import numpy as np
import pytest

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.schema import COUNTS
from phangs_xr.steps import ConvertUnits
from tests.images import make_image

COUNT_IMAGE = np.array([[2.0, -1.0, np.nan]], dtype=np.float32)


def make_counts(**photometry):
    return make_image(COUNT_IMAGE, COUNTS, **photometry)


def test_photbw_by_hand():
    halpha = phangs_xr.convert_units(make_counts(photflam=1e-18, photbw=50.0))["halpha"]
    np.testing.assert_allclose(halpha, [[1e4, -5e3, np.nan]], rtol=1e-6)


def test_rectangular_width_by_hand():
    options = ConvertUnits(bandwidth="rectangular", rectangular_width=75.0)
    halpha = phangs_xr.convert_units(make_counts(photflam=1e-18), options=options)["halpha"]
    np.testing.assert_allclose(halpha, [[1.5e4, -7.5e3, np.nan]], rtol=1e-6)


def test_width_that_is_not_asked_for_is_not_used():
    options = ConvertUnits(rectangular_width=75.0)
    halpha = phangs_xr.convert_units(make_counts(photflam=1e-18, photbw=50.0), options=options)
    assert halpha["halpha"].values[0, 0] == pytest.approx(1e4)


@pytest.mark.parametrize("width", [0.0, -3.0, np.nan])
def test_rectangular_needs_a_width(width):
    with pytest.raises(InputError, match="'rectangular' needs a positive rectangular_width"):
        ConvertUnits(bandwidth="rectangular", rectangular_width=width)


@pytest.mark.parametrize("keyword", ["photflam", "photbw"])
def test_missing_keyword_is_refused_by_name(keyword):
    photometry = {"photflam": 1e-18, "photbw": 50.0}
    del photometry[keyword]
    with pytest.raises(InputError, match=f"^narrow: {keyword.upper()} .* found no such card"):
        phangs_xr.convert_units(make_counts(**photometry))
