"""The structure of damaged files: refused by what is in their headers, before anything is made."""

import bz2
import gzip
import lzma
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from astropy.io import fits

from phangs_xr.errors import InputError
from phangs_xr.io.check_fits import check_fits
from tests.fits_files import make_header, make_pixels, write

CARD = 80


def set_card(path, keyword, value, number=0):
    """Put a value, as it stands, in place of that of a card; None takes the card away."""
    content = path.read_bytes()
    place = -CARD
    for _ in range(number + 1):
        place = find_card(content, keyword, place + CARD)
    card = b"" if value is None else f"{keyword:<8}= {value}".encode("latin-1")
    path.write_bytes(content[:place] + card.ljust(CARD) + content[place + CARD :])


def find_card(content, keyword, start):
    name = keyword.ljust(8).encode()
    return next(i for i in range(start, len(content), CARD) if content.startswith(name, i))


@pytest.fixture
def image(tmp_path):
    extension = fits.ImageHDU(make_pixels(), make_header(), name="SCI")
    extension.header["TEXT"] = "a / b"
    return write(tmp_path / "image.fits", fits.PrimaryHDU(make_pixels("i2")), extension)


@pytest.fixture
def table(tmp_path):
    columns = [fits.Column("a", "3D", array=np.ones((4, 3))), fits.Column("b", "PJ()", array=[[1]])]
    table = fits.BinTableHDU.from_columns(columns, name="T")
    return write(tmp_path / "table.fits", fits.PrimaryHDU(), table)


@pytest.fixture
def tiles(tmp_path):
    packed = fits.CompImageHDU(make_pixels(), make_header(), tile_shape=(30, 40))
    return write(tmp_path / "tiles.fits", fits.PrimaryHDU(), packed)


WRONG = [None, "'2'", "(1, 2)", "NaN", "-1", "1.0", "T", "99999999999999999999", "", "2 2", "'x"]


SIZES = ["BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT"]
# Of an image, two may be left out.
CASES = [(key, one) for key in SIZES for one in WRONG if one or key not in ("PCOUNT", "GCOUNT")]


@pytest.mark.parametrize(("keyword", "value"), CASES)
def test_check_fits__refuses_wrong_sizes(image, keyword, value):
    number = 0 if keyword in ("PCOUNT", "GCOUNT") else 1
    set_card(image, keyword, value, number)
    with pytest.raises(InputError, match=rf"^expected {keyword} to be .* HDU 1 of .*image"):
        check_fits(image)


@pytest.mark.parametrize("keyword", ["NAXIS1", "PCOUNT", "GCOUNT"])
def test_check_fits__refuses_what_the_file_cannot_hold(image, keyword):
    set_card(image, keyword, 10**15)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"at least \d{15,} bytes in .*HDU \d, found \d+: "):
        check_fits(image)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("TFIELDS", "1000", "TFIELDS to be a whole number, 0 to 999"),
        ("TFIELDS", None, "TFIELDS .* found no such card"),
        ("TFIELDS", "1", "NAXIS1 to be 24, the width of all columns"),
        ("TFORM1", "'999999999D'", r"NAXIS1 to be 8000000000"),
        ("TFORM1", "'3?'", r"TFORM1 to be the format of a column, as '1D', in HDU 1 .* '3\?'"),
        ("TFORM2", None, "TFORM2 to be the format .* found no such card"),
        ("BITPIX", "16", "BITPIX to be 8 for a table"),
        ("NAXIS", "1", "NAXIS to be 2 for a table"),
        ("PCOUNT", "-112", "PCOUNT to be a whole number, 0 or more"),
        ("NAXIS2", "400000000", "the file is truncated"),
    ],
)
def test_check_fits__refuses_wrong_tables(table, keyword, value, words):
    set_card(table, keyword, value, number=1 if keyword in ("BITPIX", "NAXIS") else 0)
    with pytest.raises(InputError, match=words):
        check_fits(table)


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("ZNAXIS1", "99999999", r"NAXIS2 to be \d+, a row for each tile by ZNAXISn and ZTILEn"),
        ("ZTILE1", "0", "ZTILE1 to be a whole number, 1 or more"),
        ("ZBITPIX", "'x'", "ZBITPIX to be 8, 16, 32, 64, -32 or -64"),
        ("ZNAXIS", "2000", "ZNAXIS to be a whole number, 0 to 999"),
        ("ZNAXIS2", None, "ZNAXIS2 .* found no such card"),
    ],
)
def test_check_fits__refuses_wrong_compressed_images(tiles, keyword, value, words):
    set_card(tiles, keyword, value)
    with pytest.raises(InputError, match=words):
        check_fits(tiles)


def test_check_fits__refuses_compressed_images_beyond_any_compression(tiles):
    for keyword, value in (("ZTILE1", 10**9), ("ZNAXIS1", 3 * 10**9)):
        set_card(tiles, keyword, value)
    with pytest.raises(InputError, match=r"ZNAXIS1 to be of an image that \d+ bytes can hold"):
        check_fits(tiles)


@pytest.mark.parametrize(("form", "words"), [("'F99.3'", "within the 8"), ("'D'", "as 'F10.3'")])
def test_check_fits__refuses_wrong_tables_of_text(tmp_path, form, words):
    table = fits.TableHDU.from_columns([fits.Column("a", "F8.3", array=np.ones(3), ascii=True)])
    path = write(tmp_path / "text.fits", fits.PrimaryHDU(), table)
    check_fits(path)
    set_card(path, "TFORM1", form)
    with pytest.raises(InputError, match=words):
        check_fits(path)


def test_check_fits__refuses_cards_that_contradict_each_other(image):
    content = image.read_bytes()
    place = find_card(content, "TEXT", 0)
    card = b"NAXIS1  =                  116".ljust(CARD)
    image.write_bytes(content[:place] + card + content[place + CARD :])
    with pytest.raises(InputError, match=r"one card NAXIS1 in HDU 1 of .* found 117 and 116: mend"):
        check_fits(image)


def test_check_fits__refuses_a_header_without_end(image):
    """Of a file of 100 GB, of which no more than some MB may be looked at."""
    content = image.read_bytes()
    place = content.index(b"END".ljust(CARD), find_card(content, "TEXT", 0))
    image.write_bytes(content[:place])
    os.truncate(image, 10**11)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"expected an END card in the header of HDU 1 of"):
        check_fits(image)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_check_fits__refuses_a_file_without_fits(tmp_path):
    path = tmp_path / "a.fits"
    for content, words in (
        (b"", "Empty"),
        (b"SIMPLE? = T", "No SIMPLE"),
        (b"\x1f\x8b\x08", "ended"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"expected a FITS file, found .*a.fits \(.*{words}"):
            check_fits(path)


def test_check_fits__refuses_files_that_say_they_are_none(image):
    set_card(image, "SIMPLE", "F")
    with pytest.raises(InputError, match=r"SIMPLE to be T in HDU 0 of .*image\.fits, found F"):
        check_fits(image)


def zip_file(path):
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as packed:
        packed.write(path, "a.fits")
    return path.with_suffix(".zip")


def pack(path, module):
    packed = path.with_suffix(".packed")
    with module.open(packed, "wb") as file:
        file.write(path.read_bytes())
    return packed


PACK = {
    "gzip": lambda path: pack(path, gzip),
    "bzip2": lambda path: pack(path, bz2),
    "xz": lambda path: pack(path, lzma),
    "zip": zip_file,
}


@pytest.mark.parametrize("packing", PACK)
def test_check_fits__looks_into_packed_files(image, packing):
    check_fits(PACK[packing](image))
    set_card(image, "NAXIS1", 10**12)
    with pytest.raises(InputError, match=r"at least \d{12,} bytes .*the file is truncated"):
        check_fits(PACK[packing](image))


@pytest.mark.parametrize("packing", ["gzip", "bzip2", "xz"])
def test_check_fits__refuses_packed_files_cut_short(image, packing):
    packed = PACK[packing](image)
    os.truncate(packed, packed.stat().st_size // 2)
    with pytest.raises(InputError, match=r"expected a FITS file, found .*ended before"):
        check_fits(packed)


def test_check_fits__takes_what_follows_the_last_hdu(image, table, tiles):
    for path in (image, table, tiles):
        check_fits(path)
        path.write_bytes(path.read_bytes() + b"whatever is appended")
        check_fits(path)


def test_check_fits__takes_random_groups(tmp_path):
    groups = fits.GroupData(np.ones((3, 4, 5)), parnames=["a"], pardata=[np.ones(3)], bitpix=-32)
    path = write(tmp_path / "groups.fits", fits.GroupsHDU(groups))
    check_fits(path)
    os.truncate(path, 2880 + 3 * 21 * 4 - 1)
    with pytest.raises(InputError, match=f"at least {2880 + 3 * 21 * 4} bytes"):
        check_fits(path)
