"""The command line: what users are told when what they ask for cannot be done."""

import errno
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.commands import SIZE, call, edit, refuse, set_pixels


@pytest.mark.parametrize("keyword", ["PHOTFLAM", "PHOTPLAM", "PHOTBW"])
@pytest.mark.parametrize("value", [None, 0.0, -1.0, "NaN", "abc"])
def test_run__bad_photometry(field, tmp_path, capsys, keyword, value):
    edit(field, "narrow_f658n_sci", **{keyword: value})
    line = refuse(capsys, tmp_path, "run", field, "--out", tmp_path / "out")
    assert keyword in line
    assert "narrow_f658n_sci.fits" in line
    assert f"{keyword.lower()} = ..." in line


def test_run__photometry_from_the_configuration(field, tmp_path):
    edit(field, "narrow_f658n_sci", PHOTFLAM=None)
    text = field.read_text().replace(
        'narrow = "data/narrow_f658n_sci.fits"',
        'narrow = { path = "data/narrow_f658n_sci.fits", photflam = 1.9697e-18 }',
    )
    field.write_text(text)
    assert call("run", field, "--out", tmp_path / "out", "--quiet") == 0


def test_run__missing_file(field, tmp_path, capsys):
    (field.parent / "data" / "cont_f555w_sci.fits").unlink()
    assert "cont_f555w_sci.fits" in refuse(capsys, tmp_path, "run", field)


def test_run__not_fits(field, tmp_path, capsys):
    (field.parent / "data" / "cont_f555w_sci.fits").write_text("not a FITS file")
    assert "FITS" in refuse(capsys, tmp_path, "run", field)


def test_run__truncated(field, tmp_path, capsys):
    path = field.parent / "data" / "cont_f814w_sci.fits"
    path.write_bytes(path.read_bytes()[:100_000])
    assert "cont_f814w_sci.fits" in refuse(capsys, tmp_path, "run", field)


@pytest.mark.parametrize(
    ("name", "hdu", "cards", "words"),
    [
        ("narrow_f658n_sci", 0, {"RADESYS": "FOO"}, r"narrow: .*narrow_f658n_sci.fits \(.*frame"),
        (
            "cont_f555w_sci",
            0,
            {"CRVAL1": "abc"},
            r"continuum1: .*f555w_sci.fits \(expected CRVAL1",
        ),
        ("cont_f814w_sci", 0, {"CD1_1": 0.0}, "continuum2: .*f814w_sci.fits .* by the matrix"),
        ("NGC0628-0.92asec_MAPS", 1, {"CRPIX1": 1j}, r"muse: .*MAPS.fits \(expected CRPIX1 to be"),
        (
            "narrow_f658n_sci",
            0,
            {"PHOTFLAM": "1.9e-18"},
            r"PHOTFLAM .* found '1.9e-18' in .*nar",
        ),
        ("narrow_f658n_sci", 0, {"PHOTFLAM": 1j}, r"PHOTFLAM .* found 1j in .*narrow"),
        ("NGC0628-0.92asec_MAPS", 1, {"EXTNAME": ""}, "HA6562_FLUX"),
    ],
)
def test_run__damaged_cards(field, tmp_path, capsys, name, hdu, cards, words):
    edit(field, name, hdu, **cards)
    line = refuse(capsys, tmp_path, "run", field, "--out", tmp_path / "out")
    assert re.search(words, line)


def test_run__damaged_catalogue(field, tmp_path, capsys):
    (field.parent / "data" / "c.fits").write_bytes(b"SIMPLE  =                    T".ljust(2880))
    field.write_text(field.read_text() + 'nebula_catalogue = "data/c.fits"\n')
    line = refuse(capsys, tmp_path, "run", field)
    assert re.search("expected an END card in the header of HDU 0 of .*c.fits", line)


@pytest.mark.parametrize("name", ["x" * 300, "a\\u0000b"])
@pytest.mark.parametrize("key", ["star_mask", "nebula_catalogue"])
def test_run__name_that_no_file_can_have(field, tmp_path, capsys, key, name):
    field.write_text(field.read_text() + f'{key} = "{name}"\n')
    assert re.search("expected a .*found no", refuse(capsys, tmp_path, "run", field))


@pytest.mark.parametrize("place", [("--threads", "2"), ("--workers", "2")])
def test_run__damaged_pixels_that_are_read_late(field, tmp_path, capfd, monkeypatch, place):
    """Tiles that no check looks at beforehand: the run itself meets them, in its tasks."""
    monkeypatch.setattr("phangs_xr.engine.inputs._LOOK_CHUNK", 40)
    path = field.parent / "data" / "narrow_f658n_sci.fits"
    with fits.open(path) as hdus:
        pixels, header = hdus[0].data.copy(), hdus[0].header.copy()
    tiles = fits.CompImageHDU(pixels, header, tile_shape=(20, 20))
    fits.HDUList([fits.PrimaryHDU(), tiles]).writeto(path, overwrite=True)
    with fits.open(path, disable_image_compression=True) as hdus:
        stored = hdus[1].header
        rows = stored["NAXIS1"] * stored["NAXIS2"]
        end = hdus[1].fileinfo()["datLoc"] + rows + stored["PCOUNT"]
    content = path.read_bytes()
    path.write_bytes(content[: end - 3000] + b"\xff" * 3000 + content[end:])
    assert call("plan", field, "--quiet") == 0
    capfd.readouterr()
    assert call("run", field, "--out", tmp_path / "out", "--chunk", "100", "--quiet", *place) == 2
    line = capfd.readouterr().err
    assert re.search(r"expected pixels in HDU 1 of .*narrow_f658n_sci.fits, found it damaged", line)
    assert line.count("\n") == 1, line


def test_run__no_image(field, tmp_path, capsys):
    path = field.parent / "data" / "narrow_f658n_sci.fits"
    fits.PrimaryHDU().writeto(path, overwrite=True)
    assert "narrow_f658n_sci.fits" in refuse(capsys, tmp_path, "run", field)


def test_run__cube(field, tmp_path, capsys):
    set_pixels(field, "narrow_f658n_sci", np.ones((3, 40, 40), "f4"))
    assert "narrow_f658n_sci.fits" in refuse(capsys, tmp_path, "run", field)


def test_run__no_wcs(field, tmp_path, capsys):
    with fits.open(field.parent / "data" / "narrow_f658n_sci.fits") as hdus:
        pixels = hdus[0].data.copy()
        cards = [card for card in hdus[0].header.cards if card.keyword.startswith("PHOT")]
    header = fits.Header(cards)
    header["BUNIT"] = "ELECTRONS/S"
    path = field.parent / "data" / "narrow_f658n_sci.fits"
    fits.PrimaryHDU(pixels, header).writeto(path, overwrite=True)
    line = refuse(capsys, tmp_path, "run", field)
    assert "WCS" in line
    assert "narrow_f658n_sci.fits" in line


@pytest.mark.parametrize("fill", [np.nan, 0.0])
@pytest.mark.parametrize("command", ["run", "plan"])
def test_run__no_data(field, tmp_path, capsys, fill, command):
    set_pixels(field, "cont_f555w_sci", np.full((SIZE, SIZE), fill, "f4"))
    line = refuse(capsys, tmp_path, command, field)
    assert "continuum1" in line
    assert "NaN and zeros" in line


def test_run__no_common_sky(field, tmp_path, capsys):
    edit(field, "NGC0628-0.92asec_MAPS", hdu=1, CRVAL2=15.88346)
    line = refuse(capsys, tmp_path, "run", field)
    assert "6.00 arcmin" in line
    assert "muse" in line


def test_run__maps_without_halpha(field, tmp_path, capsys):
    edit(field, "NGC0628-0.92asec_MAPS", hdu=1, EXTNAME="OIII5006_FLUX")
    line = refuse(capsys, tmp_path, "run", field)
    assert "HA6562_FLUX" in line
    assert "OIII5006_FLUX" in line


def test_run__resolution_not_in_the_name(field, tmp_path, capsys):
    (field.parent / "data" / "NGC0628-0.92asec_MAPS.fits").rename(
        field.parent / "data" / "NGC0628_MAPS.fits"
    )
    field.write_text(field.read_text().replace("NGC0628-0.92asec_MAPS", "NGC0628_MAPS"))
    assert "muse_fwhm" in refuse(capsys, tmp_path, "run", field)


def test_run__resolution_finer_than_hst(field, tmp_path, capsys):
    field.write_text(field.read_text() + "[options.smooth_hst]\nmuse_fwhm = 0.05\n")
    assert "at least hst_fwhm" in refuse(capsys, tmp_path, "run", field)


def test_run__continua_at_one_pivot(field, tmp_path, capsys):
    edit(field, "cont_f814w_sci", PHOTPLAM=5360.0)
    assert "different pivot wavelengths" in refuse(capsys, tmp_path, "run", field)


def test_run__continua_on_one_side_warns(field, tmp_path, capsys):
    edit(field, "cont_f814w_sci", PHOTPLAM=5800.0)
    assert call("run", field, "--out", tmp_path / "out", "--quiet") == 0
    assert "extrapolation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "nearest"),
    [
        ("galaxy =", "galaxi =", "galaxy"),
        ("narrow =", "narow =", "narrow"),
        ("[inputs]", 'recipe = "barnes2024"\n[inputs]', "barnes2023"),
        ("[inputs]", "[options.smoth_hst]\n[inputs]", "smooth_hst"),
        ("[inputs]", "[options.smooth_hst]\nhst_fwmh = 1\n[inputs]", "hst_fwhm"),
    ],
)
def test_run__unknown_names_are_answered_with_the_nearest(
    field, tmp_path, capsys, old, new, nearest
):
    field.write_text(field.read_text().replace(old, new))
    assert f"did you mean {nearest!r}?" in refuse(capsys, tmp_path, "run", field)


def test_run__unknown_forced_step(field, tmp_path, capsys):
    line = refuse(capsys, tmp_path, "run", field, "--force", "smoth_hst")
    assert "smooth_hst" in line


@pytest.mark.parametrize("galaxy", ["../ngc0628", "a/b", "", "x" * 151, "é" * 76])
def test_run__galaxy_with_a_path_separator(field, tmp_path, capsys, galaxy):
    field.write_text(field.read_text().replace('"ngc0628"', f'"{galaxy}"'))
    assert "plain name" in refuse(capsys, tmp_path, "run", field)


def test_run__directory_is_a_file(field, tmp_path, capsys):
    (tmp_path / "out").write_text("in the way")
    assert "is a file" in refuse(capsys, tmp_path, "run", field, "--out", tmp_path / "out" / "x")


def test_run__directory_that_cannot_be_made(field, tmp_path, capsys, monkeypatch):
    make = Path.mkdir

    def fail(self, *args, **kwargs):
        if self == tmp_path / "out":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        make(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", fail)
    line = refuse(capsys, tmp_path, "run", field, "--out", tmp_path / "out")
    assert "a directory is needed, found that none can be made (Input/output error)" in line


def test_run__store_of_another_galaxy(field, tmp_path, capsys):
    assert call("run", field, "--out", tmp_path / "out", "--quiet") == 0
    (tmp_path / "out" / "ngc0628.zarr").rename(tmp_path / "out" / "ngc1087.zarr")
    field.write_text(field.read_text().replace('"ngc0628"', '"ngc1087"'))
    capsys.readouterr()
    line = refuse(capsys, tmp_path, "run", field, "--out", tmp_path / "out")
    assert "found one of ngc0628" in line


@pytest.fixture
def small_disk(tmp_path):
    """A directory with room for less than the products."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_run__disk_too_small(field, tmp_path, capsys, small_disk):
    line = refuse(capsys, tmp_path, "run", field, "--out", small_disk / "out")
    assert "GB free" in line


def test_run__disk_of_the_store_too_small(field, tmp_path, capsys, small_disk):
    store = small_disk / "ngc0628.zarr"
    text = field.read_text()
    assert "[output]" not in text
    field.write_text(f'{text}\n[output]\nstore = "{store}"\n')
    line = refuse(capsys, tmp_path, "run", field, "--out", tmp_path / "out")
    assert f"{store}: " in line
    assert "GB free" in line


def test_run__disk_full_in_mid_run(field, tmp_path, capsys, small_disk, monkeypatch):
    monkeypatch.setattr("phangs_xr.engine.run.count_bytes", lambda ready: (0, 0))
    out = small_disk / "out"
    assert call("run", field, "--out", out, "--quiet") == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "more space is needed" in line
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    assert call("run", field, "--out", out, "--quiet") == 0
    assert len(list(out.glob("ngc0628_*.fits"))) == 18


def test_command_line__unknown_words(field, tmp_path, capsys):
    assert "Did you mean 'run'" in refuse(capsys, tmp_path, "rnu", field)
    assert "--fored" in refuse(capsys, tmp_path, "run", field, "--fored", "x")
    assert "Missing argument" in refuse(capsys, tmp_path, "run")


def test_run__without_muse_a_wanted_product_is_an_error_with_the_path(field, tmp_path, capsys):
    text = "\n".join(li for li in field.read_text().splitlines() if "muse" not in li)
    field.write_text(text + '\n[output]\nproducts = ["anchored"]\n')
    line = refuse(capsys, tmp_path, "run", field, "--out", tmp_path / "out")
    assert "no input 'muse': muse -> " in line
    assert "-> anchored" in line


def test_info__no_store(tmp_path, capsys):
    assert "store of a field" in refuse(capsys, tmp_path, "info", tmp_path / "no.zarr")


@pytest.mark.parametrize(
    "options",
    [("--workers", "2", "--threads", "2"), ("--scheduler", "tcp://x:1", "--workers", "2")],
)
@pytest.mark.parametrize("command", ["run", "qa"])
def test_command_line__places_to_work_do_not_combine(field, tmp_path, capsys, command, options):
    line = refuse(capsys, tmp_path, command, field, *options)
    assert "expected one of --workers, --scheduler, --threads, found " in line
    assert f"{options[2]} and" in line or f"and {options[2]}" in line


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[inputs]", '[output]\nstore = "maps"\n[inputs]', r"ends in \.zarr, found 'maps'"),
        ("[inputs]", '[output]\nstore = "file://"\n[inputs]', r"ends in \.zarr, found 'file://'"),
        ("[inputs]", '[output]\nstore = "a\\u0000.zarr"\n[inputs]', r"ends in \.zarr, .*x00"),
        (
            "[inputs]",
            f'[output]\nstore = "{"x" * 251}.zarr"\n[inputs]',
            "at most 255 bytes are needed, found one of 256",
        ),
        ("[inputs]", '[output]\nstore = "field.toml/a.zarr"\n[inputs]', r"field\.toml is a file"),
        ("[inputs]", "[options.convert_units]\nthroughput = 5\n[inputs]", "throughput should be"),
        ("galaxy", f"{'1' * 5000} = 1\ngalaxy = {'1' * 5000}\n#", "expected TOML, found: Exceeds"),
        ("galaxy", f"a = {'[' * 5000}\ngalaxy", "expected TOML, found: maximum recursion"),
        ("[inputs]", '[inputs]\nnebula_catalogue = "data"', "expected a file, found a directory"),
    ],
)
def test_run__unusable_configuration(field, tmp_path, capsys, old, new, expected):
    field.write_text(field.read_text().replace(old, new))
    assert re.search(expected, refuse(capsys, tmp_path, "run", field))


@pytest.mark.parametrize(
    "rows",
    [
        "",
        "6580 1\n",
        "6580 1\n6570 1\n",
        "6580 nan\n6590 1\n",
        "6580 0\n6590 0\n",
        "1 -1\n2 -1\n",
        "-1e308 1\n1e308 1\n",
    ],
)
def test_run__throughput_that_is_no_curve(field, tmp_path, capsys, rows):
    (tmp_path / "curve.dat").write_text(rows)
    field.write_text(field.read_text() + '[options.convert_units]\nthroughput = "curve.dat"\n')
    line = refuse(capsys, tmp_path, "run", field)
    assert f"found curve.dat of {rows.count(chr(10))} rows" in line


def test_run__directory_whose_name_is_too_long(field, tmp_path, capsys):
    line = refuse(capsys, tmp_path, "run", field, "--out", tmp_path / ("x" * 300))
    assert (
        "names of at most 255 bytes are needed, found one of 300: give another with --out" in line
    )


def test_run__configuration_that_cannot_be_read(field, tmp_path, capsys):
    line = refuse(capsys, tmp_path, "run", field / "inside.toml")
    assert "expected a configuration file that can be read, found: Not a directory" in line


def test_init__no_such_place(tmp_path, capsys):
    line = refuse(capsys, tmp_path, "init", "ngc628", "--output", tmp_path / "none" / "x.toml")
    assert "expected a place for a new file, found: No such file" in line


def test_run__no_report_without_qa(field, tmp_path, capsys):
    assert "expected with --qa" in refuse(capsys, tmp_path, "run", field, "--no-report")
