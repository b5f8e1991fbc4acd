"""Cutouts: the pixels of the map, in their place on the sky, and no others read."""

import re
import shutil

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS
from matplotlib import image as pictures

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.qa.export_cutout import export_cutout, read_position
from tests.commands import call, refuse

MOVED = {"NAXIS1", "NAXIS2", "CRPIX1", "CRPIX2", "HISTORY"}


def locate(directory, product, row, column):
    """The place of a pixel's first corner on the sky, and its image."""
    grid = "muse" if product.startswith("muse") else "hst"
    image = phangs_xr.open_store(directory)[grid][product]
    return image, image.sky.wcs.pixel_to_world(column - 0.5, row - 0.5)


def compare_headers(cut, whole, rows, columns, sizes):
    """Check that a cutout's header is the map's, but for the window."""
    assert [(card.keyword, card.value) for card in cut.cards if card.keyword not in MOVED] == [
        (card.keyword, card.value) for card in whole.cards if card.keyword not in MOVED
    ]
    assert (cut["NAXIS2"], cut["NAXIS1"]) == sizes
    assert [*cut["HISTORY"]][:-1] == [*whole["HISTORY"]]
    assert cut["CRPIX1"] == pytest.approx(whole["CRPIX1"] - columns, rel=0, abs=1e-9)
    assert cut["CRPIX2"] == pytest.approx(whole["CRPIX2"] - rows, rel=0, abs=1e-9)
    x, y = np.meshgrid(np.linspace(0, sizes[1] - 1, 5), np.linspace(0, sizes[0] - 1, 5))
    found = np.array(WCS(cut).all_pix2world(x, y, 0))
    expected = np.array(WCS(whole).all_pix2world(x + columns, y + rows, 0))
    # In pixels; numbers of 24 deg are good to 3e-10 of them.
    scale = np.sqrt(abs(np.linalg.det(WCS(whole).pixel_scale_matrix)))
    assert np.abs(found - expected).max() / scale < 1e-9


def test_a_cutout_is_the_map_there_with_its_error(banded_run, tmp_path):
    image, center = locate(banded_run, "hst_ha", 300, 280)
    side = 100 * np.sqrt(image.sky.pixel_area)
    made = export_cutout(banded_run, center, side, out=tmp_path / "cut")
    assert made.product == "hst_ha"
    assert [path.name for path in made.paths] == ["cut.fits", "cut_err.fits", "cut.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(p.name for p in made.paths)
    for path, name in zip(made.paths, ("hst_ha", "hst_ha_err"), strict=False):
        with fits.open(path) as hdus, fits.open(banded_run / f"ngc0628_{name}.fits") as whole:
            assert len(hdus) == 1
            assert hdus[0].data.dtype == np.dtype(">f4")
            window = whole[0].data[250:350, 230:330]
            assert hdus[0].data.tobytes() == window.tobytes()
            compare_headers(hdus[0].header, whole[0].header, 250, 230, (100, 100))
            assert hdus[0].header["HISTORY"][-1].startswith(f"cutout of {name} around J0136")
    ccd = CCDData.read(made.paths[0])
    assert ccd.unit.to_string("fits") == "10**-20 erg s-1 cm-2"
    picture = pictures.imread(made.paths[2])
    assert min(picture.shape[:2]) > 500


@pytest.mark.parametrize(
    ("run", "product", "names"),
    [
        ("finished", None, ["ngc0628_anchored"]),
        ("finished", "musehalpha", ["ngc0628_musehalpha"]),
        ("banded_run", "hst_ha_as2", ["ngc0628_hst_ha_as2", "ngc0628_hst_ha_as2_err"]),
        ("joint_run", None, ["ngc0628_halpha_joint", "ngc0628_halpha_joint_err"]),
    ],
)
def test_history_of_any_recipe_is_kept(run, product, names, request, tmp_path, monkeypatch):
    directory = request.getfixturevalue(run)
    sources = {"ngc0628_hst_ha_as2_err": "ngc0628_hst_ha_err_as2"}
    monkeypatch.chdir(tmp_path)
    image, center = locate(directory, product or names[0].removeprefix("ngc0628_"), 60, 50)
    made = export_cutout(directory, center, 8 * np.sqrt(image.sky.pixel_area), product)
    assert [re.sub(r"_J013\d{3}\.\d\d\+15\d{4}\.\d", "", p.stem) for p in made.paths[:-1]] == names
    for path, name in zip(made.paths, names, strict=False):
        whole = fits.getheader(directory / f"{sources.get(name, name)}.fits")
        compare_headers(fits.getheader(path), whole, 56, 46, (8, 8))


def test_only_chunks_of_the_window_are_read(small_run, tmp_path):
    copied = tmp_path / "out"
    shutil.copytree(small_run, copied)
    chunks = [path for path in copied.glob("ngc0628.zarr/[hm]*/*/c/*/*") if path.is_file()]
    kept = copied / "ngc0628.zarr/hst/halpha/c/0/1"
    for path in chunks:
        if path != kept:
            path.write_bytes(b"damaged")
    image, inside = locate(small_run, "halpha", 150, 250)
    side = 60 * np.sqrt(image.sky.pixel_area)
    made = export_cutout(copied, inside, side, "halpha", tmp_path / "cut")
    np.testing.assert_array_equal(fits.getdata(made.paths[0]), image[120:180, 220:280])
    _, beyond = locate(small_run, "halpha", 195, 250)
    with pytest.raises(Exception, match=r"."):
        export_cutout(copied, beyond, side, "halpha", tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.fits", "cut.png", "out"]


@pytest.mark.parametrize(
    "text",
    [
        "01h36m41.7s +15d47m01s",
        "1:36:41.7 +15:47:01",
        "01 36 41.7 +15 47 01",
        "24.17375 15.7836111111",
        "24.17375,+15.7836111111",
        "24.17375d 15.7836111111d",
        "J013641.70+154701.0",
    ],
)
def test_positions_are_read_however_they_are_written(text):
    expected = SkyCoord(24.17375, 15 + 47 / 60 + 1 / 3600, unit="deg")
    assert read_position(text).separation(expected).arcsec < 1e-6


@pytest.mark.parametrize("text", ["", "nowhere", "24.17", "24.17 95", "1 2 3", "M 74"])
def test_what_is_no_position_is_refused(text):
    with pytest.raises(InputError, match=r"--at .*expected a position such as"):
        read_position(text)


def test_cutout__of_the_command_line(small_run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, center = locate(small_run, "halpha", 150, 150)
    at = f"{center.ra.deg:.6f} {center.dec.deg:.6f}"
    options = ("--size", 3, "--out", "cut", "--distance", 9.84, "--quiet")
    assert call("cutout", small_run / "ngc0628.zarr", "--at", at, *options) == 0
    found = capsys.readouterr()
    assert found.err == ""
    assert re.fullmatch(r"wrote cut.fits, cut.png: (7\d) x \1 pixels of anchored\n", found.out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--at", "24.5 15.78"), "expected a position inside the image.*found a cutout around RA"),
        (("--at", "24.17 -74"), "expected a position inside the image"),
        (("--at", "here"), "expected a position such as"),
        (("--size", "0"), "expected a positive size"),
        (("--size", "inf"), "expected a positive size"),
        (("--size", "nan"), "expected a positive size"),
        (("--map", "halfa"), "--map halfa: expected a product of .*choose one of .*anchored"),
        (("--map", "halpha_joint"), "--map halpha_joint: expected a product"),
        (("--out", "no/cut"), "a place for files is needed.*give another with --out"),
        (("--distance", "-1"), "expected a positive distance"),
    ],
)
def test_cutout__refusals(small_run, tmp_path, capsys, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    _, center = locate(small_run, "halpha", 150, 150)
    given = {"--at": f"{center.ra.deg} {center.dec.deg}", "--size": "2", **dict([options])}
    line = refuse(capsys, tmp_path, "cutout", small_run, *[one for p in given.items() for one in p])
    assert re.search(words, line)
