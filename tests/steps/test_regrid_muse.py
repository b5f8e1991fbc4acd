"""MUSE on HST's grid: against reproject, and with its flux."""

import numpy as np
import pytest
from reproject import reproject_interp

import phangs_xr
from phangs_xr.sky import get_grid
from phangs_xr.steps import RegridMuse
from tests.images import chunk_image, make_flux, make_header

HST = make_flux(np.zeros((230, 260)))
ORDERS = ["nearest-neighbor", "bilinear"]

# 0.2 arcsec are five HST pixels; 30 x 40 MUSE pixels lie within HST's field, 60 x 70 around it.
# A shift by a little keeps HST's pixel centres off the edges between MUSE's pixels.
MUSE = {
    "inside": make_header((30, 40), pixel=0.2, shift=(0.013, 0.027)),
    "inside, rotated": make_header((30, 40), pixel=0.2, rotation=27.0),
    "around": make_header((60, 70), pixel=0.2, rotation=-5.0),
    "across an edge": make_header((30, 40), pixel=0.2, rotation=10.0, shift=(15.3, 0)),
}


@pytest.fixture(params=MUSE)
def muse(request):
    header = MUSE[request.param]
    shape = (header["NAXIS2"], header["NAXIS1"])
    values = np.random.default_rng(7).normal(50, 20, shape)
    values[shape[0] // 2 : shape[0] // 2 + 3, 22:27] = np.nan
    return make_flux(values, header=header)


def regrid(muse, narrow=HST, order="nearest-neighbor"):
    return phangs_xr.regrid_muse(muse, narrow, options=RegridMuse(order))["musehalpha_regrid"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("chunks", [None, 100, "ragged"])
def test_values_are_those_of_reproject(muse, order, chunks):
    source, target = get_grid(muse), get_grid(HST)
    expected, _ = reproject_interp(
        (muse.values.astype(float), source.to_wcs()),
        target.to_wcs(),
        shape_out=HST.shape,
        order=order,
    )
    expected = expected * target.pixel_area / source.pixel_area
    found = regrid(muse, HST if chunks is None else chunk_image(HST, chunks), order).values
    off = np.isnan(found) != np.isnan(expected)
    off |= np.abs(found - expected) > 1e-5 * np.abs(expected) + 1e-6
    assert not off.any()
    assert 0.1 < np.isfinite(found).mean() < 1


@pytest.mark.parametrize("order", ORDERS)
def test_flux_is_kept(order):
    rows, columns = np.indices((30, 40))
    blob = 1e4 * np.exp(-((rows - 13.2) ** 2 + (columns - 21.7) ** 2) / 18)
    for name in ("inside", "inside, rotated"):
        moved = regrid(make_flux(blob, header=MUSE[name]), order=order)
        assert np.nansum(moved.values, dtype=float) == pytest.approx(blob.sum(), rel=2e-4)


def test_each_muse_pixel_becomes_a_block_of_25():
    values = np.arange(30 * 40, dtype=float).reshape(30, 40)
    moved = regrid(make_flux(values, header=MUSE["inside"])).values
    assert np.isfinite(moved).sum() == 30 * 40 * 25
    block = np.kron(values / 25, np.ones((5, 5)))
    np.testing.assert_allclose(moved[40:190, 30:230], block, rtol=1e-6)


def test_muse_elsewhere_gives_no_data():
    header = make_header((30, 40), pixel=0.2, shift=(300, 0))
    moved = regrid(make_flux(np.ones((30, 40)), header=header), chunk_image(HST, 100))
    assert np.isnan(moved).all()


def test_frames_that_count_as_one_are_not_converted():
    values = np.random.default_rng(1).normal(size=(30, 40))
    plain, other = (
        make_flux(values, header=make_header((30, 40), pixel=0.2, radesys=frame))
        for frame in ("ICRS", "FK5")
    )
    np.testing.assert_array_equal(regrid(plain, order="bilinear"), regrid(other, order="bilinear"))
