"""FITS in: against what astropy reads from the same files."""

import gzip
import io
import os
import pickle
import shutil
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import dask
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS
from dask.base import tokenize

from phangs_xr.errors import GridError, InputError
from phangs_xr.io.fits import FitsArray, FitsBackend, list_hdus
from phangs_xr.io.silence_astropy import silence_astropy
from tests.fits_files import SHAPE, make_header, make_pixels, make_plain, read_truth, write


def make_scaled(path: Path, dtype: str, blank: int | None = None, bscale: float = 0.25) -> Path:
    """Integers whose header scales them, written without astropy's own scaling."""
    hdu = fits.PrimaryHDU(make_pixels(dtype), make_header())
    hdu.writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        if bscale != 1:
            hdus[0].header.update({"BSCALE": bscale, "BZERO": 100.0})
        if blank is not None:
            hdus[0].header["BLANK"] = blank
    return path


def make_compressed(path: Path, dtype: str = "f4", **options: object) -> Path:
    image = fits.CompImageHDU(make_pixels(dtype), make_header(), **options)
    return write(path, fits.PrimaryHDU(), image)


def make_gzipped(path: Path) -> Path:
    plain = make_plain(path.with_suffix(".plain.fits"), "f4")
    zipped = path.with_suffix(".fits.gz")
    with gzip.open(zipped, "wb") as file:
        file.write(plain.read_bytes())
    plain.unlink()
    return zipped


KINDS = {
    "float32": lambda path: make_plain(path, "f4"),
    "float64": lambda path: make_plain(path, "f8"),
    "uint8": lambda path: make_plain(path, "u1"),
    "int16": lambda path: make_plain(path, "i2"),
    "int32": lambda path: make_plain(path, "i4"),
    "int64": lambda path: make_plain(path, "i8"),
    "uint16 by BZERO": lambda path: make_plain(path, "u2"),
    "int8 by BZERO": lambda path: make_plain(path, "i1"),
    "int16 scaled": lambda path: make_scaled(path, "i2"),
    "int32 scaled": lambda path: make_scaled(path, "i4"),
    "float32 scaled": lambda path: make_scaled(path, "f4"),
    "int16 scaled with BLANK": lambda path: make_scaled(path, "i2", blank=40),
    "int16 with BLANK": lambda path: make_scaled(path, "i2", blank=40, bscale=1),
    "RICE rows": lambda path: make_compressed(path, compression_type="RICE_1"),
    "RICE tiles": lambda path: make_compressed(path, tile_shape=(30, 40)),
    "RICE int16": lambda path: make_compressed(path, "i2", tile_shape=(30, 40)),
    "GZIP tiles": lambda path: make_compressed(
        path, compression_type="GZIP_2", quantize_level=0, tile_shape=(20, 117)
    ),
    "gzipped file": make_gzipped,
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def stored(kind, tmp_path):
    return KINDS[kind](tmp_path / "image.fits")


@pytest.fixture
def plain(tmp_path):
    return make_plain(tmp_path / "ngc0628.fits", "f4")


@pytest.mark.parametrize("chunks", [None, {}, {"y": 20, "x": 117}, "auto"])
def test_open_dataset__has_astropys_pixels(stored, chunks):
    truth = read_truth(stored)
    with warnings.catch_warnings():
        # xarray says of chunks smaller than the file's tiles that they cost time.
        warnings.filterwarnings("ignore", "The specified chunks separate", UserWarning)
        image = xr.open_dataset(stored, chunks=chunks).image
    assert image.dtype == truth.dtype
    assert image.dtype.isnative
    assert image.dims == ("y", "x")
    values = image.values
    assert values.dtype == truth.dtype
    np.testing.assert_array_equal(values, truth)


SELECTIONS = [
    np.s_[5:60, 30:90],
    np.s_[::7, 3::2],
    np.s_[::-1, 100:4:-3],
    np.s_[44],
    np.s_[:, -1],
    np.s_[-3, 5],
    np.s_[[3, 80, 7], 10:12],
]


def test_open_dataset__reads_any_selection(stored):
    truth, image = read_truth(stored), xr.open_dataset(stored).image
    for key in SELECTIONS:
        np.testing.assert_array_equal(image[key].values, truth[key])


def test_open_dataset__labels_the_image(plain):
    dataset = xr.open_dataset(str(plain), engine="fits")
    assert list(dataset.data_vars) == ["image"]
    assert dataset.image.attrs["units"] == "electron / s"
    np.testing.assert_array_equal(dataset.y, np.arange(83))
    np.testing.assert_array_equal(dataset.x, np.arange(117))
    assert dataset.x.dtype == np.int64
    truth = WCS(fits.getheader(plain)).all_pix2world([0, 116], [0, 82], 0)
    np.testing.assert_allclose(
        dataset.sky.wcs.all_pix2world([0, 116], [0, 82], 0), truth, rtol=1e-15
    )


@pytest.mark.parametrize("kind", ["float32", "RICE tiles"], indirect=True)
def test_open_dataset__keeps_the_whole_header(stored, kind):
    image = xr.open_dataset(stored).image
    number = 1 if kind == "RICE tiles" else 0
    truth = fits.getheader(stored, number)
    assert fits.Header.fromstring(image.attrs["fits_header"], sep="\n") == truth
    assert image.attrs["fits_header"].split("\n") == [str(card) for card in truth.cards]


def test_open_dataset__keeps_long_and_odd_cards(tmp_path):
    header = make_header(OBSERVER="a long name " * 20)
    header["HIERARCH ESO TEL AMBI FWHM"] = 0.92
    header["COMMENT"] = "it's"
    path = write(tmp_path / "a.fits", fits.PrimaryHDU(make_pixels(), header))
    text = xr.open_dataset(path).image.attrs["fits_header"]
    assert fits.Header.fromstring(text, sep="\n") == fits.getheader(path)


def test_open_dataset__of_an_image_without_sky_has_no_wcs(tmp_path):
    path = write(tmp_path / "flat.fits", fits.PrimaryHDU(make_pixels()))
    dataset = xr.open_dataset(path)
    assert set(dataset.coords) == {"y", "x"}
    assert dataset["image"].attrs["wcs_problem"].startswith("expected a celestial WCS")
    assert dataset.image.attrs["units"] == ""
    with pytest.raises(GridError, match="expected image to have the coordinate wcs"):
        _ = dataset.image.sky.wcs


def test_open_dataset__leaves_out_dropped_variables(plain):
    assert "wcs" not in xr.open_dataset(plain, drop_variables="wcs").coords
    assert not xr.open_dataset(plain, drop_variables=["image", "x"]).data_vars


@pytest.fixture
def maps(tmp_path):
    """Several HDUs, as a MUSE file has them."""
    return write(
        tmp_path / "MAPS.fits",
        fits.PrimaryHDU(),
        fits.BinTableHDU.from_columns([fits.Column("id", "J", array=[1, 2])], name="BIN_ID"),
        fits.ImageHDU(np.zeros((2, 5, 6), "f4"), name="CUBE"),
        fits.ImageHDU(np.full((5, 6), 1, "f4"), make_header(), name="HA6562_FLUX"),
        fits.ImageHDU(np.full((5, 6), 2, "f4"), make_header(), name="HA6562_FLUX_ERR"),
        fits.ImageHDU(np.full((7, 6), 3, "i2")),
    )


@pytest.mark.parametrize(
    ("hdu", "value"),
    [(None, 1), (3, 1), (4, 2), ("HA6562_FLUX", 1), ("ha6562_flux_err", 2), (5, 3)],
)
def test_open_dataset__takes_an_hdu_by_number_or_name(maps, hdu, value):
    options = {} if hdu is None else {"hdu": hdu}
    assert xr.open_dataset(maps, **options).image[0, 0] == value


def test_list_hdus__gives_their_names(maps):
    names = ["PRIMARY", "BIN_ID", "CUBE", "HA6562_FLUX", "HA6562_FLUX_ERR", ""]
    assert list_hdus(maps) == names


@pytest.mark.parametrize(
    ("hdu", "message"),
    [
        (
            "HB4861_FLUX",
            r"expected HDU 'HB4861_FLUX' in .*MAPS.fits, found only 0 PRIMARY, 1 BIN_ID",
        ),
        (9, r"expected HDU 9 in .*MAPS.fits, found only .* 5 \(no name\): choose one of these"),
        (0, r"two-dimensional image in HDU 0 of .*, found no data: choose one of the HDUs \[3, 4"),
        (
            "BIN_ID",
            r"image in HDU 'BIN_ID' of .*, found a table: choose one of the HDUs \[3, 4, 5\]",
        ),
        ("cube", r"image in HDU 'cube' of .*, found an image of shape \(2, 5, 6\): choose one"),
    ],
)
def test_open_dataset__refuses_an_hdu_that_holds_no_image(maps, hdu, message):
    with pytest.raises(InputError, match=message):
        xr.open_dataset(maps, hdu=hdu)


def test_open_dataset__refuses_what_is_no_image(tmp_path):
    with pytest.raises(InputError, match=r"expected a FITS file, found no file .*none.fits: check"):
        xr.open_dataset(tmp_path / "none.fits")
    text = tmp_path / "text.fits"
    text.write_text("not FITS at all\n" * 500)
    with pytest.raises(InputError, match=r"expected a FITS file, found .*text.fits \(No SIMPLE"):
        xr.open_dataset(text)
    text.write_bytes(b"")
    with pytest.raises(InputError, match=r"expected a FITS file, found .*text.fits \(Empty"):
        xr.open_dataset(text)
    cube = write(tmp_path / "cube.fits", fits.PrimaryHDU(np.zeros((2, 3, 4))))
    with pytest.raises(InputError, match=r"image in .*cube.fits, found none .*0 PRIMARY\): give"):
        xr.open_dataset(cube)
    with pytest.raises(InputError, match="expected the path of a FITS file, found BytesIO"):
        xr.open_dataset(io.BytesIO(b""), engine="fits")


@pytest.mark.parametrize("kind", ["float32", "int16 scaled", "RICE rows"], indirect=True)
def test_open_dataset__refuses_a_truncated_file(stored):
    size = stored.stat().st_size
    os.truncate(stored, size - 2880 - 1)
    message = (
        rf"expected at least \d+ bytes in .*image.fits by the header of HDU \d, found {size - 2881}"
    )
    with pytest.raises(InputError, match=message + ": the file is truncated"):
        xr.open_dataset(stored)


def test_open_dataset__refuses_a_truncated_gzip_file(tmp_path):
    path = make_gzipped(tmp_path / "a.fits")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=r"expected a FITS file, found .*a.fits.gz \(.*complete"):
        xr.open_dataset(path)


def set_card(path: Path, old: bytes, card: bytes, count: int = 1) -> None:
    """Replace the card that begins with some bytes by others."""
    content = path.read_bytes()
    for _ in range(count):
        place = content.index(old)
        content = content[:place] + card.ljust(80) + content[place + 80 :]
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("card", "keyword", "value"),
    [
        (b"BUNIT   = 'unclosed / text", "BUNIT", "'unclosed"),
        (b"BUNIT   = 'a' b", "BUNIT", "'a' b"),
        (b"BUNIT   = 'e\xe9/s'", "BUNIT", "e?/s"),
        (b"BUNIT   = 1.2.3", "BUNIT", "1.2.3"),
        (b"BUNIT   = (1.0, 2.0)", "BUNIT", 1 + 2j),
        (b"bunit   = 'Jy'", "BUNIT", "Jy"),
        (b"B\xff\x01IT   = 'Jy'", "COMMENT", "B??IT   = 'Jy'"),
        (b"BUNIT     'Jy'", "COMMENT", "BUNIT     'Jy'"),
    ],
)
def test_open_dataset__keeps_damaged_cards_as_text(plain, card, keyword, value):
    truth = read_truth(plain)
    set_card(plain, b"BUNIT ", card)
    image = xr.open_dataset(plain).image
    with warnings.catch_warnings():
        # Others parse the text again.
        warnings.simplefilter("error")
        header = fits.Header.fromstring(image.fits_header, sep="\n")
        found = header[keyword]
        _ = header["PHOTFLAM"], header["HISTORY"]
    assert value in found if keyword == "COMMENT" else found == value
    np.testing.assert_array_equal(image, truth)


def test_open_dataset__says_why_there_is_no_wcs(plain):
    assert "wcs_problem" not in xr.open_dataset(plain).image.attrs
    set_card(plain, b"CRVAL1  =", b"CRVAL1  = 'abc'")
    image = xr.open_dataset(plain).image
    assert "wcs" not in image.coords
    assert "CRVAL1 to be a finite number for the WCS, found 'abc'" in image.wcs_problem


def test_open_dataset__takes_an_extension_that_astropy_cannot_type(tmp_path):
    image = fits.ImageHDU(make_pixels(), make_header(), name="SCI")
    path = write(tmp_path / "a.fits", fits.PrimaryHDU(), image, image.copy())
    set_card(path, b"XTENSION", b"XTENSION= 'IMAGF   '")
    np.testing.assert_array_equal(xr.open_dataset(path).image, read_truth(path))
    with pytest.raises(InputError, match=r"in HDU 1 of .*a.fits, found no image: choose"):
        xr.open_dataset(path, hdu=1)


@pytest.mark.parametrize("value", [b"'PE(1)'", b"0", b"NaN"])
def test_open_dataset__takes_tiles_of_a_plain_image_for_nothing(plain, value):
    set_card(plain, b"HISTORY", b"ZTILE1  = " + value)
    assert xr.open_dataset(plain, chunks={}).image.shape == SHAPE


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (b"BITPIX  =                  -33", r"expected BITPIX to be 8, .* in HDU 0 of .*628\.fits"),
        (b"NAXIS1  =                   -1", "expected NAXIS1 to be a whole number, 0 or more, in"),
        (b"BSCALE  = 'abc'", r"expected FITS headers in .*628\.fits, found it damaged \(.*: mend"),
        (
            b"TEXT    = 'a\x00\n'",
            r"FITS headers in .*628\.fits, found it damaged \(.*printable ASCII",
        ),
        (b"BLANK   = 'abc'", None),
        (b"EXTNAME = 5", None),
    ],
)
def test_open_dataset__tells_of_damaged_headers(plain, card, words):
    set_card(plain, card[:8] if card[:5] in (b"BITPI", b"NAXIS") else b"HISTORY", card)
    if words is None:
        assert xr.open_dataset(plain).image.shape == SHAPE
        return
    with pytest.raises(InputError, match=words):
        xr.open_dataset(plain)


def test_list_hdus__tells_of_damaged_headers(plain):
    set_card(plain, b"NAXIS1", b"NAXIS1  =                   -1")
    with pytest.raises(
        InputError, match="expected NAXIS1 to be a whole number, 0 or more, in HDU 0"
    ):
        list_hdus(plain)


@pytest.fixture
def broken_tiles(tmp_path):
    """A compressed image of which the last tiles are garbage."""
    path = make_compressed(tmp_path / "tiles.fits", tile_shape=(30, 40))
    content = path.read_bytes()
    with fits.open(path, disable_image_compression=True) as hdus:
        header = hdus[1].header
        rows = header["NAXIS1"] * header["NAXIS2"]
        end = hdus[1].fileinfo()["datLoc"] + rows + header["PCOUNT"]
    path.write_bytes(content[: end - 4000] + b"\xff" * 4000 + content[end:])
    return path


def test_read__damaged_tiles_are_told_of(broken_tiles):
    image = xr.open_dataset(broken_tiles, chunks={}).image
    assert np.isfinite(image[:3, :30].values).all()
    words = r"^expected pixels in HDU 1 of .*tiles\.fits, found it damaged \(.*\): mend it, or copy"
    with pytest.raises(InputError, match=words):
        image.compute(scheduler="threads", num_workers=8)
    with pytest.raises(InputError, match=words):
        xr.open_dataset(broken_tiles).load()


def test_read__damaged_tiles_are_told_of_by_workers(broken_tiles, client):
    image = xr.open_dataset(broken_tiles, chunks={}).image
    with client.as_current(), pytest.raises(InputError, match="expected pixels in HDU 1 of"):
        image.compute()


@pytest.mark.parametrize("kind", ["float32", "RICE tiles"], indirect=True)
def test_read__a_file_that_has_changed_is_told_of(stored):
    image = xr.open_dataset(stored).image
    os.truncate(stored, stored.stat().st_size // 2)
    with pytest.raises(InputError, match=r"expected \d+ bytes in .*image\.fits as when it was"):
        image.load()
    stored.unlink()
    with pytest.raises(InputError, match=r"pixels in HDU \d of .*image\.fits, found it damaged"):
        image.load()


@pytest.mark.parametrize("name", ["_choose", "_clean_cards", "_get_dtype", "_suggest_chunks"])
def test_open_dataset__shows_faults_of_its_own(plain, monkeypatch, name):
    def fail(*args):
        raise AttributeError("a fault of ours")

    monkeypatch.setattr(f"phangs_xr.io.fits.{name}", fail)
    with pytest.raises(AttributeError, match="a fault of ours"):
        xr.open_dataset(plain)


def test_read__shows_faults_of_its_own(plain, monkeypatch):
    def fail(*args):
        raise TypeError("a fault of ours")

    image = xr.open_dataset(plain).image
    monkeypatch.setattr(FitsArray, "_read_pixels", fail)
    with pytest.raises(TypeError, match="a fault of ours"):
        image.load()


def test_silence_astropy__leaves_no_filter_behind():
    before = list(warnings.filters)
    starts, ends = Barrier(4), Barrier(4)

    def read(_: int) -> None:
        with silence_astropy():
            starts.wait()
            warnings.warn("not shown", AstropyWarning, stacklevel=1)
            ends.wait()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(8)))
    assert warnings.filters == before


def test_open_dataset__accepts_missing_padding(plain):
    truth = read_truth(plain)
    header_size = len(fits.getheader(plain).tostring())
    os.truncate(plain, header_size + truth.nbytes)
    np.testing.assert_array_equal(xr.open_dataset(plain).image, truth)
    os.truncate(plain, header_size + truth.nbytes - 1)
    with pytest.raises(InputError, match="the file is truncated"):
        xr.open_dataset(plain)


def test_open_dataset__reads_only_what_is_looked_at(tmp_path):
    """A sparse file of 6.4 GB: reading it, or reserving memory for it, would show."""
    path = tmp_path / "large.fits"
    header = fits.PrimaryHDU(np.zeros((1, 1), "f4"), make_header()).header
    header.update({"NAXIS1": 40000, "NAXIS2": 40000})
    path.write_bytes(header.tostring().encode())
    os.truncate(path, path.stat().st_size + 4 * 40000**2)
    tracemalloc.start()
    image = xr.open_dataset(path).image
    assert image[30000:30010, 20000:20100].values.sum() == 0
    chunked = xr.open_dataset(path, chunks={}).image
    assert chunked[39990:, 39990:].values.shape == (10, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    assert chunked.chunks == ((2000,) * 20, (2000,) * 20)


def test_open_dataset__suggests_chunks_that_suit_the_file(tmp_path, monkeypatch):
    rows = make_compressed(tmp_path / "rows.fits")
    tiles = make_compressed(tmp_path / "tiles.fits", tile_shape=(30, 40))
    assert xr.open_dataset(tiles, chunks={}).image.chunks == ((30, 30, 23), (40, 40, 37))
    monkeypatch.setattr("phangs_xr.io.fits._ROWS", 25)
    assert xr.open_dataset(rows, chunks={}).image.chunks == ((25, 25, 25, 8), (117,))


def test_open_dataset__takes_any_chunks_of_a_plain_file(plain):
    image = xr.open_dataset(plain, chunks={"y": 7, "x": 50}).image
    assert image.chunks == ((7,) * 11 + (6,), (50, 50, 17))
    np.testing.assert_array_equal(image, read_truth(plain))


def test_dask_names__follow_path_hdu_and_content(maps):
    # Otherwise dask draws random names for objects it does not know.
    with dask.config.set({"tokenize.ensure-deterministic": True}):
        check_names(maps)


def check_names(maps: Path) -> None:
    def name(hdu: int) -> str:
        return tokenize(xr.open_dataset(maps, hdu=hdu, chunks={}).image.data)

    def token(hdu: int) -> str:
        return tokenize(xr.open_dataset(maps, hdu=hdu).image.variable._data)

    for measure in (name, token):
        first = measure(3)
        assert measure(3) == first
        assert measure(4) != first
        state = maps.stat()
        os.utime(maps, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
        assert measure(3) != first


def test_open_dataset__travels(stored):
    dataset = pickle.loads(pickle.dumps(xr.open_dataset(stored)))  # noqa: S301
    np.testing.assert_array_equal(dataset.image, read_truth(stored))


def test_open_dataset__finds_the_engine_by_the_name(tmp_path):
    source = make_plain(tmp_path / "a.fits", "f4")
    for name in ("b.FITS", "c.fit", "d.fits"):
        copy = shutil.copy(source, tmp_path / name)
        assert xr.open_dataset(str(copy)).image.shape == SHAPE
    packed = make_compressed(tmp_path / "e.fits").rename(tmp_path / "e.fits.fz")
    assert xr.open_dataset(packed).image.shape == SHAPE


def test_guess_can_open__leaves_other_things_to_other_backends(tmp_path):
    backend = FitsBackend()
    assert backend.guess_can_open(tmp_path / "a.fits")
    assert not backend.guess_can_open("a.nc")
    assert not backend.guess_can_open("a.zarr")
    assert not backend.guess_can_open(io.BytesIO())


@pytest.mark.parametrize(
    "kind", ["float32", "int16 scaled", "RICE rows", "RICE tiles", "gzipped file"], indirect=True
)
def test_open_dataset__is_right_in_threads(stored):
    """An open file shared by threads gives wrong pixels: each read must open its own."""
    truth = read_truth(stored)
    image = xr.open_dataset(stored).image
    corners = [(y, x) for y in range(0, 80, 10) for x in range(0, 110, 10)]

    def differs(corner: tuple[int, int]) -> bool:
        window = np.s_[corner[0] : corner[0] + 13, corner[1] : corner[1] + 17]
        return not np.array_equal(image[window].values, truth[window], equal_nan=True)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(differs, corners)) == 0


@pytest.mark.parametrize("kind", ["float32", "int16 scaled", "RICE tiles"], indirect=True)
def test_open_dataset__is_right_under_distributed(stored, client):
    truth = read_truth(stored)
    with client.as_current():
        image = xr.open_dataset(stored, chunks={}).chunk(30).image
        np.testing.assert_array_equal(image.compute(), truth)


@pytest.mark.parametrize(
    "kind", ["float32", "float64", "int16", "uint16 by BZERO", "RICE tiles"], indirect=True
)
def test_zarr__loses_nothing(stored, tmp_path):
    dataset = xr.open_dataset(stored)[["image"]]
    dataset.to_zarr(tmp_path / "store.zarr", consolidated=False)
    back = xr.open_zarr(tmp_path / "store.zarr", consolidated=False)
    xr.testing.assert_identical(back.load(), dataset.load())
    assert back.image.dtype == dataset.image.dtype
    assert back.sky.grid == dataset.sky.grid
