"""Ratio and difference of MUSE and HST: NumPy's own arithmetic."""

import numpy as np
import pytest

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.steps import CompareImages
from tests.images import chunk_image, make_flux


def make_images(shape=(230, 250)):
    rng = np.random.default_rng(11)
    images = [rng.normal(level, 3, shape).astype(np.float32) for level in (2, 2, 8)]
    # No denominator near zero, where float32 has few digits left.
    images[1] = np.abs(images[1]) + 1
    images[0][:30] = np.nan
    images[1][:, :20] = np.nan
    images[2][-25:] = np.nan
    return images


@pytest.mark.parametrize("percentile", [0.1, 0.0, 2.5, 100.0])
@pytest.mark.parametrize("chunks", [None, 100, "ragged"])
def test_offset_is_the_exact_percentile(percentile, chunks):
    images = [make_flux(image) for image in make_images()]
    if chunks is not None:
        images = [chunk_image(image, chunks) for image in images]
    result = phangs_xr.compare_images(*images, options=CompareImages(percentile))
    halpha, smoothed, muse = make_images()
    offset = abs(np.nanpercentile(halpha.astype(float), percentile))
    assert float(result["offset"]) == pytest.approx(offset, rel=1e-12)
    np.testing.assert_allclose(result["hstmuseratio"], muse / (smoothed + offset), rtol=1e-5)
    np.testing.assert_array_equal(result["hstmusediff"], muse - smoothed)


def test_ratio_where_the_denominator_is_zero_is_missing():
    halpha = make_flux(np.full((20, 20), -4.0))
    smoothed = make_flux(np.where(np.arange(20) < 5, -4.0, 1.0) * np.ones((20, 1)))
    result = phangs_xr.compare_images(halpha, smoothed, make_flux(np.full((20, 20), 10.0)))
    assert result["offset"] == 4
    assert np.isnan(result["hstmuseratio"][:, :5]).all()
    assert (result["hstmuseratio"][:, 5:] == 2).all()


def test_negative_denominators_divide_too():
    halpha = make_flux(np.full((20, 20), -1.0))
    smoothed = make_flux(np.full((20, 20), -5.0))
    result = phangs_xr.compare_images(halpha, smoothed, make_flux(np.full((20, 20), 10.0)))
    assert (result["hstmuseratio"] == -2.5).all()


def test_measured_number_is_taken_as_it_is():
    images = [make_flux(image) for image in make_images()]
    result = phangs_xr.compare_images(*images, measured={"offset": 100.0})
    _, smoothed, muse = make_images()
    np.testing.assert_allclose(result["hstmuseratio"], muse / (smoothed + 100), rtol=1e-5)


@pytest.mark.parametrize("percentile", [-5.0, 200.0, np.nan])
def test_what_is_no_percentile_is_refused(percentile):
    with pytest.raises(InputError, match=rf"should be 0 to 100 \[%\], found {percentile}: "):
        CompareImages(percentile)
