"""Nebula catalogues: any spelling of a galaxy finds its rows, and tables keep what they hold."""

import os

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.table import Table

from phangs_xr.errors import InputError
from phangs_xr.io.tables import normalise_galaxy, read_catalogue, write_table

FLUX = "10**-20 erg s-1 cm-2"


def write_catalogue(path, names, ids, *, hdu_name="", **columns):
    columns = [
        fits.Column("gal_name", "12A", array=np.array(names, dtype="S12")),
        fits.Column("region_ID", "D", array=np.array(ids, dtype=float)),
        *columns.values(),
    ]
    fits.BinTableHDU.from_columns(columns, name=hdu_name).writeto(path)
    return path


@pytest.fixture
def catalogue(tmp_path):
    """Rows of three galaxies, out of order, with units as PHANGS writes them."""
    return write_catalogue(
        tmp_path / "Nebulae_catalogue_v3.fits",
        ["IC5332", "NGC0628", "NGC0628", "NGC6280", "NGC0628"],
        [7, 12, 0, 3, 400],
        flux=fits.Column(
            "HA6562_FLUX", "D", unit="1e-20 erg/(s cm2)", array=[1.0, 2.0, np.nan, 4.0, 5.0]
        ),
        hii=fits.Column("HII_class_v3", "J", null=-99, array=[1, 0, -99, 1, 1]),
        edge=fits.Column("flag_edge", "J", array=[1, 0, 1, 0, 0]),
        sky=fits.Column("Environment", "10A", array=np.array(["a", "disc", "", "b", "arm"])),
        pair=fits.Column("pair", "2D", array=np.zeros((5, 2))),
        odd=fits.Column("odd", "E", unit="furlongs!", array=np.arange(5.0)),
    )


@pytest.mark.parametrize(
    "name",
    [
        "NGC0628",
        "ngc628",
        "ngc628c",
        "ngc628e",
        "NGC 628",
        "ngc628mosaic",
        b"NGC0628   ",
        "NGC_628",
    ],
)
def test_all_spellings_of_a_galaxy_are_one(name):
    assert normalise_galaxy(name) == "ngc628"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("NGC0628", "NGC6280"),
        ("NGC0628", "IC0628"),
        ("ESO097-013", "ESO971-3"),
        ("NGC5194a", "NGC5194b"),
    ],
)
def test_different_galaxies_stay_apart(one, other):
    assert normalise_galaxy(one) != normalise_galaxy(other)


@pytest.mark.parametrize(("name", "key"), [("NGC1672s", "ngc1672"), ("Circinus", "circinus")])
def test_key_leaves_out_the_pointing_alone(name, key):
    assert normalise_galaxy(name) == key


@pytest.mark.parametrize("galaxy", ["NGC0628", "ngc628c", "NGC 628"])
def test_catalogue_gives_the_rows_of_one_galaxy(catalogue, galaxy):
    rows = read_catalogue(catalogue, galaxy)
    assert rows["region_ID"].dtype == np.int64
    np.testing.assert_array_equal(rows["region_ID"], [12, 0, 400])
    np.testing.assert_array_equal(rows["HA6562_FLUX"], [2, np.nan, 5])
    assert set(rows["gal_name"].values) == {"NGC0628"}
    assert list(rows["Environment"].values) == ["disc", "", "arm"]
    assert rows["HA6562_FLUX"].dims == ("nebula",)


def test_units_are_kept_where_astropy_reads_them(catalogue):
    rows = read_catalogue(catalogue, "NGC0628")
    assert rows["HA6562_FLUX"].attrs["units"] == FLUX
    assert "units" not in rows["odd"].attrs


def test_missing_integers_are_nan_and_whole_columns_stay_integers(catalogue):
    rows = read_catalogue(catalogue, "NGC0628")
    np.testing.assert_array_equal(rows["HII_class_v3"], [0, np.nan, 1])
    assert rows["flag_edge"].dtype == np.int32


def test_columns_with_several_values_a_row_are_left_out(catalogue):
    assert "pair" not in read_catalogue(catalogue, "NGC0628")


def test_fractional_ids_stay_floats(tmp_path):
    path = write_catalogue(tmp_path / "c.fits", ["NGC1"] * 2, [1.0, 2.5])
    np.testing.assert_array_equal(read_catalogue(path, "ngc1")["region_ID"], [1.0, 2.5])


def test_table_is_found_by_name(tmp_path):
    path = write_catalogue(tmp_path / "c.fits", ["NGC1"], [1], hdu_name="NEBULAE")
    assert read_catalogue(path, "ngc1", hdu="NEBULAE").sizes == {"nebula": 1}


def test_catalogue_survives_zarr(catalogue, tmp_path):
    rows = read_catalogue(catalogue, "NGC0628")
    rows.to_zarr(tmp_path / "rows.zarr", consolidated=False)
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "rows.zarr", consolidated=False), rows)


def test_galaxy_without_rows_lists_the_names_there_are(catalogue):
    with pytest.raises(InputError, match=r"rows of ngc1087 in .*v3\.fits.*IC5332, NGC0628, NGC62"):
        read_catalogue(catalogue, "ngc1087")


def test_repeated_ids_are_refused(tmp_path):
    path = write_catalogue(tmp_path / "c.fits", ["NGC1"] * 3, [4, 8, 8])
    with pytest.raises(InputError, match=r"one row per region_ID.*the first 8"):
        read_catalogue(path, "NGC0001")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no file .*none\.fits"):
        read_catalogue(tmp_path / "none.fits", "NGC1")


@pytest.mark.parametrize(
    ("hdu", "found"), [(0, "no table there"), (2, "no such HDU"), ("X", "no such HDU")]
)
def test_hdu_without_a_table_is_refused(catalogue, hdu, found):
    with pytest.raises(InputError, match=rf"FITS table in HDU {hdu!r} of .*{found}"):
        read_catalogue(catalogue, "NGC0628", hdu=hdu)


def test_file_that_is_no_fits_is_refused(tmp_path):
    (tmp_path / "c.fits").write_text("gal_name,region_ID\n")
    with pytest.raises(InputError, match=r"expected a FITS file, found .*c\.fits \(No SIMPLE"):
        read_catalogue(tmp_path / "c.fits", "NGC1")


def set_card(path, keyword, card):
    """Replace a card of the table by some bytes."""
    content = path.read_bytes()
    place = content.index(keyword.ljust(8).encode(), 2880)
    path.write_bytes(content[:place] + card.ljust(80) + content[place + 80 :])


@pytest.mark.parametrize(
    ("keyword", "card", "words"),
    [
        ("TTYPE3", b"", r"a table in HDU 1 of .*v3\.fits, found it damaged \(.*names must be str"),
        ("TTYPE3", b"TTYPE3  = 5", r"a table in HDU 1 of .*v3\.fits, found it damaged \("),
        ("TTYPE3", b"TTYPE3  = 'a' b", r"a table in HDU 1 of .*damaged \(Unparsable card \(TTYPE3"),
        ("TFORM3", b"TFORM3  = 'D", "TFORM3 to be the format of a column, as '1D', in HDU 1 of"),
        ("TFORM3", b"TFORM3  = 5", "TFORM3 to be the format of a column, as '1D', in HDU 1 of"),
        ("TFIELDS", b"TFIELDS = (1, 2)", "TFIELDS to be a whole number, 0 to 999, in HDU 1 of"),
        ("TUNIT3", b"TUNIT3  = '10**(999999999) erg'", r"TUNIT3 to be a unit in .*v3\.fits, found"),
        ("XTENSION", b"XTENSION= 'BINTABLF'", "no table there: give a nebula catalogue"),
    ],
)
def test_damaged_tables_are_told_of(catalogue, keyword, card, words):
    set_card(catalogue, keyword, card)
    with pytest.raises(InputError, match=words):
        read_catalogue(catalogue, "NGC0628")


def test_tables_cut_short_are_told_of(catalogue):
    os.truncate(catalogue, catalogue.stat().st_size - 2880)
    with pytest.raises(InputError, match=r"bytes in .*v3\.fits by the header of HDU 1, found .*tr"):
        read_catalogue(catalogue, "NGC0628")


def test_faults_of_our_own_are_shown(catalogue, monkeypatch):
    def fail(*args):
        raise KeyError("a fault of ours")

    monkeypatch.setattr("phangs_xr.io.tables._require_units", fail)
    with pytest.raises(KeyError, match="a fault of ours"):
        read_catalogue(catalogue, "NGC0628")


def test_columns_of_lists_are_left_out(tmp_path):
    lists = np.array([np.arange(2.0), np.arange(3.0)], dtype=object)
    column = fits.Column("list", "PD()", array=lists)
    path = write_catalogue(tmp_path / "c.fits", ["NGC1"] * 2, [1, 2], lists=column)
    assert "list" not in read_catalogue(path, "NGC1")


def test_table_without_a_needed_column_lists_its_columns(tmp_path):
    Table({"gal_name": ["NGC1"], "ID": [1]}).write(tmp_path / "c.fits")
    with pytest.raises(InputError, match=r"column region_ID in .*found gal_name, ID"):
        read_catalogue(tmp_path / "c.fits", "NGC1")


@pytest.fixture
def table():
    return xr.Dataset(
        {
            "flux": ("nebula", [1 / 3, np.nan], {"units": FLUX}),
            "name": ("nebula", np.array(["a, b", ""], dtype=np.dtypes.StringDType())),
            "ratio": ("nebula", [1.0, 2.0], {"units": ""}),
        },
        {"region_ID": ("nebula", [0, 7])},
    )


def test_ecsv_keeps_units_types_and_every_digit(table, tmp_path):
    found = Table.read(write_table(table, tmp_path / "qa" / "nebulae.ecsv"))
    assert found.colnames == ["region_ID", "flux", "name", "ratio"]
    assert found["flux"].unit.to_string("fits") == FLUX
    assert found["region_ID"].dtype == np.int64
    np.testing.assert_array_equal(np.ma.filled(found["flux"], np.nan), [1 / 3, np.nan])
    assert found["name"][0] == "a, b"


def test_csv_keeps_every_digit(table, tmp_path):
    lines = write_table(table, tmp_path / "nebulae.csv").read_text().splitlines()
    assert lines[:2] == ["region_ID,flux,name,ratio", f'0,{1 / 3!r},"a, b",1.0']


def test_a_table_is_replaced_and_leaves_nothing_beside_it(table, tmp_path):
    for _ in range(2):
        write_table(table, tmp_path / "nebulae.ecsv")
    assert [path.name for path in tmp_path.iterdir()] == ["nebulae.ecsv"]


def test_other_formats_are_refused(table, tmp_path):
    with pytest.raises(InputError, match=r"ends in \.ecsv or .*\.parquet, found nebulae\.xlsx"):
        write_table(table, tmp_path / "nebulae.xlsx")


def test_images_are_no_table(tmp_path):
    with pytest.raises(
        InputError, match=r"one dimension for t\.csv, found dimensions \('y', 'x'\)"
    ):
        write_table(xr.Dataset({"image": (("y", "x"), np.zeros((2, 2)))}), tmp_path / "t.csv")


def test_hdu_of_a_table_that_is_no_fits_is_refused(table, tmp_path):
    path = write_table(table, tmp_path / "nebulae.ecsv")
    with pytest.raises(InputError, match=r"with HDU 2, found no FITS file .*: leave hdu out"):
        read_catalogue(path, "ngc0628", hdu=2)
