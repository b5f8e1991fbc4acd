"""Files that are right though unusual, each from file to product: what is made of them is the same
as of the usual file, and what is understood of them is said."""

import json
import logging

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

import phangs_xr
from phangs_xr.schema import COUNTS, FLUX
from tests.commands import SIZE, edit, make_header, refuse, set_pixels, write_field

NARROW = "narrow_f658n_sci"
MAPS = "NGC0628-0.92asec_MAPS"


def get_path(field, name):
    return field.parent / "data" / f"{name}.fits"


def read_pixels(field, name):
    return fits.getdata(get_path(field, name)).astype("f4")


def give(field, key, **values):
    """Write an input of the configuration as a table."""
    text = field.read_text()
    line = next(line for line in text.splitlines() if line.startswith(f"{key} = "))
    path = line.partition("= ")[2]
    items = ", ".join(f'{name} = "{value}"' for name, value in values.items())
    field.write_text(text.replace(line, f"{key} = {{ path = {path}, {items} }}"))


def add(field, key, path):
    field.write_text(field.read_text() + f'{key} = "{path}"\n')


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """What is made of the field as `write_field` writes it, every time the same."""
    place = tmp_path_factory.mktemp("usual")
    return phangs_xr.run(write_field(place), place / "out", threads=1)


@pytest.fixture
def run(field, tmp_path, caplog):
    """Run the field as it is now for some products; these and what they need by name."""
    caplog.set_level(logging.INFO, logger="phangs_xr")

    def run(*products, fits=()):
        wanted = f"[output]\nproducts = {json.dumps(products)}\nfits = {json.dumps(fits)}\n"
        field.write_text(field.read_text() + wanted)
        return phangs_xr.run(field, tmp_path / "out", threads=1)

    return run


def require_same_fluxes(one, other):
    for name in ("halpha", "anchored"):
        assert one["hst"][name].attrs["units"] == FLUX
        np.testing.assert_array_equal(one["hst"][name], other["hst"][name])


RATES = {"COUNTS/S": "count s-1", "DN/s": "adu s-1", "ELECTRONS/SEC": COUNTS}


@pytest.mark.parametrize("bunit", RATES)
def test_rate_of_any_counts_is_used_as_it_is(field, run, usual, bunit):
    edit(field, NARROW, BUNIT=bunit)
    unusual = run("anchored", "cont_raw", fits=["halpha_raw"])
    require_same_fluxes(unusual, usual)
    for name in ("narrow", "halpha_raw", "cont_raw"):
        assert unusual["hst"][name].attrs["units"] == RATES[bunit]
    # Each band's PHOTFLAM is per its own counts.
    assert unusual["hst"]["continuum1"].attrs["units"] == COUNTS
    with fits.open(field.parent / "out" / "ngc0628_halpha_raw.fits") as hdus:
        assert hdus[0].header["BUNIT"] == RATES[bunit]


@pytest.mark.parametrize("bunit", ["furlong", "erg/s/cm2/A", "no unit at all", "", "m / / s ("])
def test_other_unit_is_refused_in_the_files_own_words(field, tmp_path, capsys, bunit):
    edit(field, NARROW, BUNIT=bunit)
    line = refuse(capsys, tmp_path, "run", field)
    if bunit:
        assert f"found {bunit!r} in " in line
    assert "narrow_f658n_sci.fits: if the pixels are such" in line
    assert '[inputs] narrow = { path = "...", units = "electron/s" }' in line


def test_unit_of_muse_is_refused_with_its_own_remedy(field, tmp_path, capsys):
    edit(field, MAPS, hdu=1, BUNIT="Jy")
    line = refuse(capsys, tmp_path, "run", field)
    assert "musehalpha should have units" in line
    assert 'muse = { path = "...", units = "10**-20 erg s-1 cm-2" }' in line


@pytest.mark.parametrize(
    ("name", "key", "hdu", "units"),
    [(NARROW, "narrow", 0, "electron/s"), (MAPS, "muse", 1, "10**(-20)*erg/s/cm**2/spaxel")],
)
def test_configuration_gives_the_unit(field, run, usual, name, key, hdu, units):
    edit(field, name, hdu=hdu, BUNIT="nonsense")
    give(field, key, units=units)
    require_same_fluxes(run("anchored"), usual)


def test_unit_that_cannot_be_read_is_refused(field, tmp_path, capsys):
    give(field, "narrow", units="electrons per fortnight")
    line = refuse(capsys, tmp_path, "plan", field)
    assert "units should be a unit such as 'electron/s'" in line
    assert "found 'electrons per fortnight'" in line


@pytest.mark.parametrize(("bunit", "rate"), [("ELECTRONS", COUNTS), ("DN", "adu s-1")])
def test_counts_are_divided_by_the_exposure_time(field, run, usual, caplog, bunit, rate):
    edit(field, NARROW, BUNIT=bunit, EXPTIME=1422.0)
    set_pixels(field, NARROW, read_pixels(field, NARROW) * np.float32(1422.0))
    unusual = run("anchored")
    assert "narrow is in " in caplog.text
    assert "not a rate: divided by EXPTIME = 1422 s" in caplog.text
    assert unusual["hst"]["narrow"].attrs["units"] == rate
    np.testing.assert_allclose(unusual["hst"]["narrow"], usual["hst"]["narrow"], rtol=3e-7)


@pytest.mark.parametrize("exposure", [None, 0.0, -3.0, "long", True])
def test_counts_without_exposure_time_are_refused(field, tmp_path, capsys, exposure):
    edit(field, NARROW, BUNIT="ELECTRONS")
    if exposure is not None:
        edit(field, NARROW, EXPTIME=exposure)
    line = refuse(capsys, tmp_path, "run", field)
    assert "EXPTIME (exposure time, s) should be a positive number" in line
    assert f"found {exposure!r} in" in line


def add_sip(header, size=3e-4):
    header["A_ORDER"], header["B_ORDER"] = 2, 2
    header["A_2_0"], header["B_0_2"] = size, -size


def test_sip_that_ctype_does_not_ask_for_is_not_applied(field, run, usual, caplog):
    with fits.open(get_path(field, NARROW), mode="update") as hdus:
        add_sip(hdus[0].header)
    unusual = run("anchored")
    assert "SIP coefficients are left in a header whose CTYPE (RA---TAN, DEC--TAN)" in caplog.text
    assert "narrow_f658n_sci.fits: SIP" in caplog.text
    require_same_fluxes(unusual, usual)
    assert unusual["hst"]["halpha"].coords["wcs"] == usual["hst"]["halpha"].coords["wcs"]


@pytest.mark.parametrize(
    "shape", [(1, SIZE, SIZE), (1, 1, SIZE, SIZE)], ids=["three axes", "four axes"]
)
@pytest.mark.parametrize("tiled", [False, True])
def test_axes_of_length_one_are_dropped(field, run, usual, shape, tiled):
    path = get_path(field, NARROW)
    with fits.open(path) as hdus:
        pixels, header = hdus[0].data.reshape(shape), hdus[0].header
    header["CTYPE3"], header["CRVAL3"], header["CRPIX3"], header["CDELT3"] = "FREQ", 1e9, 1.0, 1.0
    made = fits.PrimaryHDU(pixels, header)
    if tiled:
        made = fits.CompImageHDU(
            pixels, header, compression_type="GZIP_2", quantize_level=0.0,
            tile_shape=(*shape[:-2], 50, 60),
        )  # fmt: skip
    made.writeto(path, overwrite=True)
    require_same_fluxes(run("anchored"), usual)


def write_mask(field, mask, name="mask.fits"):
    fits.PrimaryHDU(mask, make_header((48, 48), 0.2)).writeto(field.parent / "data" / name)
    add(field, "nebula_mask", f"data/{name}")


def make_mask(outside, dtype):
    mask = np.full((48, 48), outside, dtype)
    mask[10:20, 10:20], mask[30:40, 25:35] = 1, 3
    return mask


@pytest.mark.parametrize("dtype", ["u2", "i4", "u1", "f4"])
def test_zero_is_outside_in_a_mask_that_marks_nothing_else(field, run, caplog, dtype):
    write_mask(field, make_mask(0, dtype))
    found = run("nebula_mask")
    assert "the nebula mask has neither -1 nor NaN: 0 is taken for outside" in caplog.text
    expected = np.where(make_mask(0, "f4") == 0, np.nan, make_mask(0, "f4"))
    np.testing.assert_array_equal(found["muse"]["nebula_mask"], expected)
    assert float(found["fits"]["zero_is_outside"]) == 1


@pytest.mark.parametrize(("outside", "dtype"), [(-1, "i2"), (-1, "f4"), (np.nan, "f4")])
def test_zero_is_a_nebula_in_a_mask_that_marks_the_outside(field, run, caplog, outside, dtype):
    mask = make_mask(outside, dtype)
    mask[:5, :5] = 0
    write_mask(field, mask)
    found = run("nebula_mask")
    assert "0 is taken for outside" not in caplog.text
    expected = np.where(mask < 0, np.nan, mask.astype("f4"))
    np.testing.assert_array_equal(found["muse"]["nebula_mask"], expected)


def test_one_marked_pixel_decides_wherever_it_lies(field, run):
    mask = make_mask(0, "i2")
    mask[47, 47] = -1
    write_mask(field, mask)
    found = run("nebula_mask")["muse"]["nebula_mask"].values
    assert found[0, 0] == 0
    assert np.isnan(found[47, 47])


def make_catalogue(**columns):
    table = Table({"region_ID": [1, 3, 7], "HA6562_FLUX": [1.5, 2.5, 3.5]})
    for name, values in columns.items():
        table[name] = values
    return table


FORMATS = {
    "c.fits": "fits",
    "c.ecsv": "ascii.ecsv",
    "c.csv": "ascii.csv",
    "c.vot": "votable",
    "c.xml": "votable",
    "c.parquet": "parquet",
}


@pytest.mark.parametrize("name", FORMATS)
def test_catalogue_in_any_format(field, run, name):
    if name == "c.parquet":
        pytest.importorskip("pyarrow")
    table = make_catalogue(gal_name=["NGC0628", "NGC0628", "IC5332"])
    table.write(field.parent / "data" / name, format=FORMATS[name])
    add(field, "nebula_catalogue", f"data/{name}")
    found = run("musehalpha")["nebulae"]
    assert found["region_ID"].values.tolist() == [1, 3]
    assert found["HA6562_FLUX"].values.tolist() == [1.5, 2.5]


def test_format_that_needs_a_package_is_refused_with_its_name(field, tmp_path, capsys, monkeypatch):
    def read(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    monkeypatch.setattr(Table, "read", read)
    (field.parent / "data" / "c.parquet").write_bytes(b"PAR1")
    add(field, "nebula_catalogue", "data/c.parquet")
    assert "pip install pyarrow, or give the catalogue as" in refuse(capsys, tmp_path, "run", field)


def test_catalogue_in_no_format_is_refused(field, tmp_path, capsys):
    (field.parent / "data" / "c.dat").write_bytes(bytes(range(200)))
    add(field, "nebula_catalogue", "data/c.dat")
    line = refuse(capsys, tmp_path, "run", field)
    assert "expected a nebula catalogue in a format of tables that astropy knows, found " in line


@pytest.mark.parametrize(
    "ids",
    [
        MaskedColumn([1, 3, 7], mask=[False, True, False]),
        [1.0, np.nan, 7.0],
        MaskedColumn([1.0, 3.0, 7.0], mask=[False, True, False]),
    ],
    ids=["masked whole numbers", "NaN", "masked"],
)
@pytest.mark.parametrize("name", ["c.fits", "c.ecsv"])
def test_rows_without_an_id_are_left_out(field, run, caplog, ids, name):
    table = make_catalogue(gal_name=["NGC0628"] * 3)
    table["region_ID"] = ids
    table.write(field.parent / "data" / name)
    add(field, "nebula_catalogue", f"data/{name}")
    assert run("musehalpha")["nebulae"]["region_ID"].values.tolist() == [1, 7]
    assert "left out 1 rows of" in caplog.text


def test_catalogue_without_galaxies_is_that_of_this_one(field, run, caplog):
    make_catalogue().write(field.parent / "data" / "c.csv")
    add(field, "nebula_catalogue", "data/c.csv")
    assert run("musehalpha")["nebulae"].sizes["nebula"] == 3
    assert "no column gal_name: all its rows are taken as those of ngc0628" in caplog.text


def test_line_that_falls_is_a_warning_each_time(field, run, caplog, tmp_path):
    # MUSE bright where HST is faint.
    y, x = np.mgrid[:SIZE, :SIZE]
    set_pixels(field, NARROW, (1 + np.hypot(y - 120, x - 120) / 50).astype("f4"))
    with fits.open(get_path(field, MAPS), mode="update") as hdus:
        y, x = np.mgrid[:48, :48]
        hdus[1].data[:] = 500 - 5 * np.hypot(y - 24, x - 24)
    found = run("fit_anchored")
    assert float(found["fits"]["slope"]) < 0
    words = "smoothed HST falls where MUSE rises (slope -"
    assert words in caplog.text
    caplog.clear()
    phangs_xr.run(field, tmp_path / "out", threads=1)
    assert words in caplog.text
    assert [r.levelname for r in caplog.records if words in r.message] == ["WARNING"]


def test_mask_is_looked_at_lazily(field):
    write_mask(field, make_mask(0, "u2"))
    opened = phangs_xr.open_field(field)["muse"]["nebula_mask"]
    assert opened.chunks is not None
    assert np.isnan(opened.values[0, 0])
