"""CCDData and back, bit for bit."""

import numpy as np
import pytest
import xarray as xr
from astropy import units as u
from astropy.nddata import CCDData

import phangs_xr  # noqa: F401 (which registers `.sky`)
from phangs_xr.errors import GridError, InputError
from phangs_xr.sky import get_grid, is_one_grid
from phangs_xr.sky.ccddata import read_ccddata
from tests.images import make_flux, make_header


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    values = rng.normal(5, 100, (30, 40))
    values[:3] = np.nan
    header = make_header(values.shape, rotation=12)
    image = make_flux(values, header=header, step="join_halpha").rename("halpha_joint")
    return image, make_flux(np.abs(values), header=header).rename("halpha_joint_err")


def test_image_goes_there_and_back_bit_for_bit(pair):
    image, error = pair
    ccd = image.sky.to_ccddata(error)
    assert isinstance(ccd, CCDData)
    assert ccd.unit == u.Unit("1e-20 erg s-1 cm-2")
    assert ccd.uncertainty.uncertainty_type == "std"
    np.testing.assert_array_equal(ccd.mask, np.isnan(image))
    back = read_ccddata(ccd)
    for name, expected in (("halpha_joint", image), ("halpha_joint_err", error)):
        assert back[name].dtype == np.float32
        assert back[name].values.tobytes() == expected.values.tobytes()
        assert is_one_grid(get_grid(back[name]), get_grid(expected))
    assert back["halpha_joint"].attrs == image.attrs


def test_slices_keep_their_place(pair):
    image, _ = pair
    part = image.isel(y=slice(10, 20), x=slice(5, 25))
    ccd = part.sky.to_ccddata()
    assert ccd.uncertainty is None
    sky = ccd.wcs.pixel_to_world(3, 4)
    expected = image.sky.wcs.pixel_to_world(8, 14)
    assert sky.separation(expected).to_value("arcsec") < 1e-9
    assert is_one_grid(get_grid(read_ccddata(ccd)), get_grid(part))


def test_foreign_ccddata_is_read(pair):
    wcs = pair[0].sky.wcs
    ccd = CCDData(np.ones((30, 40)), unit="Jy", mask=np.eye(30, 40, dtype=bool), wcs=wcs)
    back = read_ccddata(ccd)["image"]
    assert back.attrs["units"] == "Jy"
    np.testing.assert_array_equal(np.isnan(back), np.eye(30, 40, dtype=bool))


def test_what_cannot_be_turned_is_refused(pair):
    image, error = pair
    with pytest.raises(InputError, match="found a dataset"):
        xr.Dataset({"image": image}).sky.to_ccddata()
    with pytest.raises(GridError, match="on one pixel grid"):
        image.sky.to_ccddata(error.isel(y=slice(1, None)))
    with pytest.raises(InputError, match="a unit that astropy reads"):
        image.assign_attrs(units="spoons").sky.to_ccddata()
    with pytest.raises(InputError, match="no WCS"):
        read_ccddata(CCDData(np.ones((3, 3)), unit="Jy"))
