"""A FITS file that cannot be what it says is refused before anybody makes room for it."""

import bz2
import gzip
import logging
import lzma

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.table import Table

from phangs_xr.errors import InputError
from phangs_xr.io.check_fits import check_fits
from phangs_xr.io.fits import list_hdus
from phangs_xr.photometry.keywords import find_keyword


@pytest.fixture
def path(tmp_path):
    """An image, a table, a compressed image and random groups, one after the other."""
    pixels = np.arange(12 * 15, dtype="f4").reshape(12, 15)
    table = fits.BinTableHDU(Table({"a": [1, 2], "b": ["x", "yy"]}), name="ROWS")
    tiled = fits.CompImageHDU(pixels, name="TILED", tile_shape=(5, 4))
    hdus = [fits.PrimaryHDU(pixels), table, tiled, fits.ImageHDU(pixels, name="LAST")]
    fits.HDUList(hdus).writeto(tmp_path / "whole.fits")
    return tmp_path / "whole.fits"


def replace(path, keyword, value, nth=0):
    """Put a card in the place of the nth of its keyword; None blanks it."""
    content = bytearray(path.read_bytes())
    place = -1
    for _ in range(nth + 1):
        place = content.index(f"{keyword:<8}=".encode(), place + 1)
    card = f"{keyword:<8}= {value}" if value is not None else ""
    content[place : place + 80] = card.ljust(80)[:80].encode("latin-1")
    path.write_bytes(content)


def test_whole_file_passes(path):
    check_fits(path)
    assert list_hdus(path) == ["PRIMARY", "ROWS", "TILED", "LAST"]


DAMAGE = [
    ("BITPIX", "7", 0, "expected one of 8, 16, .* in BITPIX, found 7 in HDU 0"),
    ("BITPIX", "'text'", 0, "in BITPIX, found 'text' in HDU 0"),
    ("BITPIX", "(1.0, 2.0)", 1, r"in BITPIX, found \(1.0, 2.0\) in HDU 1"),
    ("BITPIX", None, 3, "in BITPIX, found no such card in HDU 3"),
    ("NAXIS", "99999999999", 0, "a whole number, 0 to 999, in NAXIS, found 99999999999 in HDU 0"),
    ("NAXIS", "NaN", 0, "in NAXIS, found NaN in HDU 0"),
    ("NAXIS", "-2", 0, "in NAXIS, found -2 in HDU 0"),
    ("NAXIS1", None, 0, "0 or more, in NAXIS1, found no such card in HDU 0"),
    ("NAXIS1", "1e9", 0, "in NAXIS1, found 1e9 in HDU 0"),
    ("NAXIS2", "99999999999", 0, r"expected at least 6000000002820 bytes .* by HDU 0, found \d+"),
    ("NAXIS2", "-1", 1, "in NAXIS2, found -1 in HDU 1"),
    ("PCOUNT", "123456789012", 0, "expected at least 12345679.* bytes .* by HDU 1, found"),
    ("GCOUNT", "'a'", 0, "0 or more, in GCOUNT, found 'a' in HDU 1"),
    ("TFIELDS", "1000000000", 0, "0 to 999, in TFIELDS, found 1000000000 in HDU 1"),
    ("TFIELDS", None, 0, "in TFIELDS, found no such card in HDU 1"),
    ("NAXIS", "3", 1, "found no such card in HDU 1|expected 2 in NAXIS of a table, found 3"),
    ("ZNAXIS1", "99999999999", 0, r"expected \d+ tiles by ZNAXISn and ZTILEn, found 12 in NAXIS2"),
    ("ZNAXIS", "1000000", 0, "0 to 999, in ZNAXIS, found 1000000 in HDU 2"),
    ("ZTILE1", "0", 0, r"tiles of 1 to 2\*\*28 pixels in ZTILEn, found 0 x 5 in HDU 2"),
    ("ZTILE1", "999999999999", 0, "found 999999999999 x 5 in HDU 2"),
    ("ZBITPIX", "3", 0, "in ZBITPIX, found 3 in HDU 2"),
]


@pytest.mark.parametrize(("keyword", "value", "nth", "words"), DAMAGE)
def test_size_that_cannot_be_is_refused(path, keyword, value, nth, words):
    replace(path, keyword, value, nth)
    with pytest.raises(InputError, match=words) as refused:
        check_fits(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=words):
        xr.open_dataset(path, engine="fits")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_file_is_checked_alike(path, pack):
    packed = path.with_name("packed.fits.gz")
    packed.write_bytes(pack(path.read_bytes()))
    check_fits(packed)
    packed.write_bytes(pack(path.read_bytes()[:-3000]))
    with pytest.raises(InputError, match=r"bytes in .*packed.fits.gz by HDU 3, found \d+: "):
        check_fits(packed)
    packed.write_bytes(pack(path.read_bytes())[:-20])
    with pytest.raises(InputError, match=r"a FITS file, found .*packed.fits.gz \(\w+Error"):
        check_fits(packed)


def test_header_without_end_is_refused_without_reading_all(tmp_path):
    path = tmp_path / "endless.fits"
    card = b"SIMPLE  =                    T".ljust(80)
    path.write_bytes(card + b" " * (2880 - 80) + bytes(2880 * 1000))
    with pytest.raises(InputError, match=r"a card END in the header of HDU 0 of .*, found none"):
        check_fits(path)
    path.write_bytes(card * 72)
    with pytest.raises(InputError, match="a card END in the header of HDU 0"):
        check_fits(path)


def test_what_follows_the_last_hdu_is_not_looked_at(path):
    path.write_bytes(path.read_bytes() + b"\x00" * 5000)
    check_fits(path)


def test_random_groups_have_a_size_of_their_own(tmp_path):
    groups = fits.GroupData(np.zeros((3, 4, 5), "f4"), parnames=["U"], pardata=[np.ones(3)])
    fits.GroupsHDU(groups).writeto(tmp_path / "groups.fits")
    check_fits(tmp_path / "groups.fits")
    content = (tmp_path / "groups.fits").read_bytes()
    (tmp_path / "groups.fits").write_bytes(content[: 2880 + 50])
    with pytest.raises(InputError, match="by HDU 0, found 2930: the file is truncated"):
        check_fits(tmp_path / "groups.fits")


def test_unreadable_cards_are_left_out_and_named(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="phangs_xr")
    path = tmp_path / "odd.fits"
    header = fits.Header({"BUNIT": "Jy"})
    fits.PrimaryHDU(np.ones((3, 4), "f4"), header).writeto(path)
    replace(path, "BUNIT", "'a\x00b'")
    dataset = xr.open_dataset(path, engine="fits")
    assert "odd.fits: cards that cannot be read are left out: BUNIT" in caplog.text
    assert dataset.image.attrs["units"] == ""
    assert "BUNIT" not in dataset.image.attrs["fits_header"]
    np.testing.assert_array_equal(dataset.image, np.ones((3, 4)))


@pytest.mark.parametrize("value", ["'unterminated", "Jy of some kind", "1..2", "= ="])
def test_cards_that_break_the_standard_keep_their_words(tmp_path, value):
    path = tmp_path / "odd.fits"
    fits.PrimaryHDU(np.ones((3, 4), "f4"), fits.Header({"BUNIT": "Jy"})).writeto(path)
    replace(path, "BUNIT", value)
    dataset = xr.open_dataset(path, engine="fits")
    assert find_keyword(dataset.image, "bunit") == value
