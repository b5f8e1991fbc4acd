"""The anchored maps have MUSE's flux: by the definition, and on a galaxy whose truth is known."""

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage

import phangs_xr
from phangs_xr.steps import SmoothHst
from tests.images import make_flux, make_image


def test_maps_by_hand():
    halpha = make_flux([[1.0, 2.0, np.nan, 4.0]])
    ratio = make_image(np.array([[2.0, -1.0, 3.0, np.nan]], np.float32), "")
    difference = make_flux([[10.0, np.nan, 10.0, -5.0]])
    result = phangs_xr.anchor_halpha(halpha, ratio, difference, 0.5)
    np.testing.assert_array_equal(result["anchored"], [[3.0, -2.5, np.nan, np.nan]])
    np.testing.assert_array_equal(result["diff_anchored"], [[11.0, np.nan, np.nan, -1.0]])


def test_flux_of_the_anchored_maps_is_that_of_the_sky(quiet, quiet_products):
    truth = fits.getdata(quiet / "truth" / "halpha.fits").astype(float)
    covered = np.isfinite(quiet_products["diff_anchored"].values)
    total = truth[covered].sum()
    for name, tolerance in (("diff_anchored", 0.02), ("fit_anchored", 0.02), ("anchored", 0.05)):
        found = quiet_products[name].values[covered].sum(dtype=float)
        assert found == pytest.approx(total, rel=tolerance)
    # Without the anchoring PHOTBW and the sky of the bands spoil it.
    assert quiet_products["halpha"].values[covered].sum(dtype=float) < 0.3 * total


def test_difference_map_has_muses_flux_at_muses_resolution(quiet_products):
    """Smoothed like HST, the map is MUSE's, but for the smoothing of the difference itself."""
    smoothed = phangs_xr.smooth_hst(
        quiet_products["diff_anchored"], options=SmoothHst(muse_fwhm=0.92)
    )["halpha_smoothed"]
    muse = quiet_products["musehalpha_regrid"].values
    inside = ndimage.minimum_filter(np.isfinite(smoothed.values), 61)
    assert inside.sum() > 30000
    off = (smoothed.values - muse)[inside]
    assert abs(off.mean()) < 0.01 * muse[inside].mean()
    assert np.corrcoef(smoothed.values[inside], muse[inside])[0, 1] > 0.98
