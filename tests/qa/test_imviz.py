"""FITS products open in jdaviz's Imviz: the conditions of its reader, one by one.

As of jdaviz 4 (`jdaviz/configs/imviz/plugins/parsers.py`, `jdaviz/core/loaders/importers/image`):
the first HDU that is a two-dimensional image is taken; BUNIT is what `astropy.units.Unit` reads, or
is dropped; its WCS is that of `WCS(header, hdulist)`, and images are linked by it if it is of
APE 14 with two axes on the sky; the header is turned into a dict; pixels are of a numeric type.
"""

import numpy as np
import pytest
import xarray as xr
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS
from astropy.wcs.wcsapi import BaseHighLevelWCS

import phangs_xr
from phangs_xr.io.fits import write_fits
from phangs_xr.qa.export_cutout import export_cutout
from phangs_xr.schema import GRIDS, PRODUCTS

RUNS = ("finished", "banded_run", "joint_run")


def require_imviz(path, units) -> xr.DataArray:
    """Check that Imviz would take an image, with its sky and its unit."""
    with fits.open(path) as hdus:
        hdu = next(one for one in hdus if one.data is not None and one.is_image)
        assert hdu.data.ndim == 2
        assert hdu.data.dtype.kind == "f"
        assert u.Unit(hdu.header["BUNIT"]) == u.Unit(units)
        wcs = WCS(hdu.header, hdus)
        assert isinstance(wcs, BaseHighLevelWCS)
        assert wcs.has_celestial
        assert wcs.world_n_dim == wcs.pixel_n_dim == 2
        assert wcs.world_axis_physical_types == ["pos.eq.ra", "pos.eq.dec"]
        rows, columns = hdu.data.shape
        corner = wcs.pixel_to_world(columns - 1, rows - 1)
        assert np.allclose(wcs.world_to_pixel(corner), (columns - 1, rows - 1), atol=1e-6)
        header = dict(hdu.header)
        assert header["NAXIS"] == 2
        assert len(hdu.header.comments) == len(hdu.header)


@pytest.mark.parametrize("run", RUNS)
def test_every_file_of_a_run_opens(run, request):
    directory = request.getfixturevalue(run)
    paths = sorted(directory.glob("*.fits"))
    assert len(paths) >= 6
    for path in paths:
        product = PRODUCTS[path.stem.partition("_")[2]]
        require_imviz(path, product.units)
        assert CCDData.read(path).unit == u.Unit(product.units)


@pytest.mark.parametrize("run", RUNS)
def test_what_else_is_stored_opens_when_it_is_written(run, request, tmp_path):
    """Masks, maps of labels and what is kept in between: `[output] fits` may name them."""
    directory = request.getfixturevalue(run)
    field = phangs_xr.open_store(directory)
    written = {path.stem.partition("_")[2] for path in directory.glob("*.fits")}
    others = [
        (str(name), image)
        for grid in GRIDS
        for name, image in field[grid].data_vars.items()
        if name not in written
    ]
    assert {"nebula_mask"} <= {name for name, _ in others}
    for name, image in others:
        write_fits(image, tmp_path / "image.fits")
        require_imviz(tmp_path / "image.fits", PRODUCTS[name].units)


def test_cutouts_open(banded_run, tmp_path):
    image = phangs_xr.open_store(banded_run)["hst"]["hst_ha"]
    center = image.sky.wcs.pixel_to_world(300, 300)
    made = export_cutout(banded_run, center, 2, out=tmp_path / "cut")
    for path in made.paths[:-1]:
        require_imviz(path, image.attrs["units"])
