"""A product on a new grid needs the vocabulary, a declaration and nothing else."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS
from scipy import ndimage

from tests.commands import make_header


@pytest.fixture
def with_map(field):
    """The configuration of a small field with a map on a third grid, turned and coarser."""
    header = make_header((60, 50), 0.1)
    turn = np.deg2rad(25)
    step = 0.1 / 3600
    header["CD1_1"], header["CD1_2"] = -step * np.cos(turn), step * np.sin(turn)
    header["CD2_1"], header["CD2_2"] = step * np.sin(turn), step * np.cos(turn)
    header["BUNIT"] = "K km s-1"
    pixels = np.random.default_rng(1).normal(5, 1, (60, 50)).astype("f4")
    fits.PrimaryHDU(pixels, header).writeto(field.parent / "data/co.fits")
    text = field.read_text().replace(
        "[inputs]", 'recipe = "tried"\n[inputs]\nalma = "data/co.fits"'
    )
    field.write_text(text)
    return field


def test_product_on_a_third_grid_is_made_stored_and_kept(with_map, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tests.engine.add_grid", str(with_map), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"/alma/co", "/alma/narrow_on_alma", "/hst/narrow"} <= set(done.stdout.split())
    store = xr.open_datatree(next(out.glob("*.zarr")), engine="zarr")
    with fits.open(with_map.parent / "data/co.fits") as given:
        pixels, wcs = given[0].data, WCS(given[0].header)
    np.testing.assert_array_equal(store["alma/co"], pixels)
    with fits.open(with_map.parent / "data/narrow_f658n_sci.fits") as given:
        narrow, own = given[0].data, WCS(given[0].header)
    rows, columns = np.indices(pixels.shape)
    x, y = own.world_to_pixel(wcs.pixel_to_world(columns, rows))
    expected = ndimage.map_coordinates(narrow.astype(float), [y, x], order=1, cval=np.nan)
    inside = (x > 1) & (y > 1) & (x < narrow.shape[1] - 2) & (y < narrow.shape[0] - 2)
    found = store["alma/narrow_on_alma"].values
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-4)
    written = fits.getdata(out / "ngc0628_narrow_on_alma.fits")
    np.testing.assert_array_equal(written, found)
