"""FITS out: against what astropy and fitsverify find in the files."""

import errno
import os
import pickle
import shutil
import subprocess
import warnings
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from phangs_xr.errors import GridError
from phangs_xr.io.fits import FitsTarget, build_header, write_fits
from phangs_xr.sky import Grid, format_wcs
from tests.fits_files import SHAPE, WCS_CARDS, make_header, make_pixels, make_plain, read_truth


def make_image(**attrs: object) -> xr.DataArray:
    grid = Grid(format_wcs(make_header()), 0.0, 0.0, 1.0, 1.0, SHAPE)
    units = {"units": "10**-20 erg s-1 cm-2"}
    return xr.DataArray(make_pixels(), grid.coords(), ("y", "x"), "halpha", units | attrs)


def test_build_header__says_what_holds():
    image = make_image(
        photflam=1.9697000000000123e-18, photbw=np.nan, object="NGC0628", fits_header="PHOTPLAM= 3"
    )
    header = build_header(image[10:, 20:], ["subtract_continuum", "bandwidth σ " + "x" * 100])
    assert header["BUNIT"] == "10**-20 erg s-1 cm-2"
    assert header["PHOTFLAM"] == 1.9697000000000123e-18
    assert header["OBJECT"] == "NGC0628"
    assert not {"PHOTBW", "PHOTPLAM"} & set(header)
    assert header["CD1_1"] == WCS_CARDS["CD1_1"]
    assert header["CRPIX1"] == 40.5
    assert (header["NAXIS1"], header["NAXIS2"]) == (97, 73)
    assert header["HISTORY"][0] == "subtract_continuum"
    assert "".join(header["HISTORY"][1:]) == "bandwidth ? " + "x" * 100


def test_build_header__always_has_a_unit():
    assert build_header(make_image(units=""))["BUNIT"] == ""
    bare = make_image()
    del bare.attrs["units"]
    assert build_header(bare)["BUNIT"] == ""


def test_build_header__refuses_an_image_that_lost_its_sky():
    with pytest.raises(GridError, match="expected halpha to have the coordinate wcs"):
        build_header(make_image().drop_vars("wcs"))


def check_file(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path) as hdus:
            hdus.verify("exception")
    if shutil.which("fitsverify"):
        report = subprocess.run(["fitsverify", "-q", path], capture_output=True, text=True)
        assert report.returncode == 0, report.stdout
        assert "OK" in report.stdout


CHUNKINGS = {
    "in memory": lambda image: image,
    "one chunk": lambda image: image.chunk(),
    "ragged": lambda image: image.chunk(y=13, x=50),
    "full rows": lambda image: image.chunk(y=13, x=-1),
}


@pytest.mark.parametrize("chunk", CHUNKINGS.values(), ids=CHUNKINGS)
@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_write_fits__writes_these_pixels(tmp_path, chunk, scheduler):
    image = make_image(photflam=1.9697e-18)
    path = tmp_path / "ngc0628_halpha.fits"
    with dask.config.set(scheduler=scheduler):
        write_fits(chunk(image), path, ["subtract_continuum"])
    check_file(path)
    data = fits.getdata(path)
    assert data.dtype == np.dtype(">f4")
    np.testing.assert_array_equal(data.astype("f4").view("u4"), image.values.view("u4"))
    assert [file.name for file in tmp_path.iterdir()] == ["ngc0628_halpha.fits"]


def test_write_fits__under_distributed_equals_that_of_threads(tmp_path, client):
    image = make_image().chunk(y=13, x=50)
    write_fits(image, tmp_path / "threads.fits")
    with client.as_current():
        write_fits(image, tmp_path / "workers.fits")
        write_fits(client.persist(image), tmp_path / "persisted.fits")
    truth = (tmp_path / "threads.fits").read_bytes()
    assert (tmp_path / "workers.fits").read_bytes() == truth
    assert (tmp_path / "persisted.fits").read_bytes() == truth
    np.testing.assert_array_equal(fits.getdata(tmp_path / "workers.fits"), make_pixels())


def test_write_fits__and_opening_lose_nothing(tmp_path):
    image = make_image()[5:70:2, ::-1]
    write_fits(image, tmp_path / "a.fits")
    back = xr.open_dataset(tmp_path / "a.fits").image
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, image)
    assert back.attrs["units"] == image.attrs["units"]
    np.testing.assert_array_equal(back.sky.footprint, image.sky.footprint)


@pytest.mark.parametrize("dtype", ["f8", "i2", "u1", "?"])
def test_write_fits__makes_float32_of_other_types(tmp_path, dtype):
    image = make_image().fillna(0).astype(dtype)
    write_fits(image, tmp_path / "a.fits")
    np.testing.assert_array_equal(fits.getdata(tmp_path / "a.fits"), image.values.astype("f4"))


def test_write_fits__streams_an_image_that_is_opened_lazily(tmp_path, monkeypatch):
    monkeypatch.setattr("phangs_xr.io.fits_target._BAND", 2000)
    plain = make_plain(tmp_path / "ngc0628.fits", "f4")
    image = xr.open_dataset(plain).image.T
    write_fits(image, tmp_path / "copy.fits")
    np.testing.assert_array_equal(fits.getdata(tmp_path / "copy.fits"), read_truth(plain))


def test_write_fits__gives_the_same_bytes_again(tmp_path):
    for name in ("a.fits", "b.fits"):
        write_fits(make_image().chunk(40), tmp_path / name, ["a", "b"])
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


def test_write_fits__that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "halpha.fits"
    write_fits(make_image(), path)
    old = path.read_bytes()

    def fail(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("no more")

    broken = make_image().chunk(40)
    broken = broken.copy(data=broken.data.map_blocks(fail, dtype="f4"))
    with pytest.raises(RuntimeError, match="no more"):
        write_fits(broken, path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_fits_target__has_its_name_only_when_finished(tmp_path):
    image = make_image()
    target = FitsTarget.create(tmp_path / "a.fits", build_header(image), SHAPE)
    target = pickle.loads(pickle.dumps(target))  # noqa: S301
    target[50:, 60:] = image.values[50:, 60:]
    target[:50, :] = image.values[:50]
    target[50:, :60] = image.values[50:, :60]
    assert not (tmp_path / "a.fits").exists()
    assert target.partial.stat().st_size % 2880 == 0
    target.finish()
    check_file(tmp_path / "a.fits")
    np.testing.assert_array_equal(fits.getdata(tmp_path / "a.fits"), image)
    assert not target.partial.exists()


def test_fits_target__leaves_nothing_where_the_disk_is_full(tmp_path, monkeypatch):
    def fail(*arguments: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(OSError, match="No space left"):
        FitsTarget.create(tmp_path / "a.fits", build_header(make_image()), SHAPE)
    assert not list(tmp_path.iterdir())


def test_fits_target__manages_where_space_cannot_be_reserved(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    write_fits(make_image(), tmp_path / "a.fits")
    check_file(tmp_path / "a.fits")


def test_fits_target__refuses_blocks_of_another_size(tmp_path):
    target = FitsTarget.create(tmp_path / "a.fits", build_header(make_image()), SHAPE)
    with pytest.raises(ValueError, match="reshape"):
        target[:3, :4] = np.zeros((3, 5))
