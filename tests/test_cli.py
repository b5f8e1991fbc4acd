"""The command line: what users type, and what they are told when it cannot be done."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from phangs_xr.cli import main
from phangs_xr.errors import InputError
from tests.configs import write_config

CONFIG = """
galaxy = "ngc0628"
[inputs]
narrow = "{hst}/narrow_f658n_sci.fits"
continuum1 = "{hst}/cont_f555w_sci.fits"
continuum2 = "{hst}/cont_f814w_sci.fits"
muse = "{hst}/NGC0628-0.92asec_MAPS.fits"
"""

PHOTOMETRY = {
    "narrow_f658n_sci": (1.9697e-18, 6584.0, 37.2),
    "cont_f555w_sci": (1.94e-19, 5360.0, 360.0),
    "cont_f814w_sci": (6.96e-20, 8061.0, 650.0),
}
SIZE = 240


def make_header(shape, pixel, center=(24.17394, 15.78346)):
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = center
    header["CRPIX1"], header["CRPIX2"] = (shape[1] + 1) / 2, (shape[0] + 1) / 2
    header["CD1_1"], header["CD1_2"] = -pixel / 3600, 0.0
    header["CD2_1"], header["CD2_2"] = 0.0, pixel / 3600
    header["RADESYS"] = "ICRS"
    return header


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A small field that runs: three bands and a MAPS file."""
    folder = tmp_path_factory.mktemp("template")
    rng = np.random.default_rng(3)
    for name, (photflam, photplam, photbw) in PHOTOMETRY.items():
        header = make_header((SIZE, SIZE), 0.0396)
        header["PHOTFLAM"], header["PHOTPLAM"], header["PHOTBW"] = photflam, photplam, photbw
        header["BUNIT"], header["FILTER"] = "ELECTRONS/S", name.split("_")[1].upper()
        pixels = rng.normal(1.0, 0.05, (SIZE, SIZE)).astype("f4")
        fits.PrimaryHDU(pixels, header).writeto(folder / f"{name}.fits")
    header = make_header((48, 48), 0.2)
    header["BUNIT"] = "10**(-20)*erg/s/cm**2/spaxel"
    flux = rng.normal(100, 20, (48, 48)).astype("f4")
    maps = [fits.PrimaryHDU(), fits.ImageHDU(flux, header, name="HA6562_FLUX")]
    fits.HDUList(maps).writeto(folder / "NGC0628-0.92asec_MAPS.fits")
    return folder


@pytest.fixture
def field(template, tmp_path):
    """A copy of the field to spoil, and its configuration."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in template.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = tmp_path / "field.toml"
    config.write_text(CONFIG.format(hst="data"))
    return config


def call(*arguments):
    """Run the command line in this process; return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def refuse(capsys, tmp_path, *arguments):
    """Check that a call is refused with exit 2, one line, nothing written; return the line."""
    before = sorted(tmp_path.rglob("*"))
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err
    assert sorted(tmp_path.rglob("*")) == before
    return captured.err


def edit(field, name, hdu=0, **cards):
    path = field.parent / "data" / f"{name}.fits"
    with fits.open(path, mode="update") as hdus:
        for key, value in cards.items():
            if value is None:
                del hdus[hdu].header[key]
            else:
                hdus[hdu].header[key] = value


def set_pixels(field, name, values, hdu=0, keep=True):
    path = field.parent / "data" / f"{name}.fits"
    with fits.open(path) as hdus:
        header = hdus[hdu].header
    fits.PrimaryHDU(values, header if keep else None).writeto(path, overwrite=True)


def test_run__a_good_field(field, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("run", field, "--out", out, "--quiet") == 0
    assert len(list(out.glob("ngc0628_*.fits"))) == 18
    assert (out / "ngc0628_fits.csv").exists()
    assert "smoothed HST" in capsys.readouterr().out


def test_run__progress_in_a_log_names_step_chunks_and_rate(field, tmp_path, capsys):
    assert call("run", field, "--out", tmp_path / "out") == 0
    err = capsys.readouterr().err
    assert "smooth_hst: 1 chunks" in err
    assert "Mpx/s" in err


def test_run__default_directory_is_galaxy_and_continua(field, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("run", field, "--quiet") == 0
    assert (tmp_path / "ngc0628" / "f555w_f814w" / "ngc0628.zarr").exists()


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
def test_run__no_data(field, tmp_path, capsys, fill):
    set_pixels(field, "cont_f555w_sci", np.full((SIZE, SIZE), fill, "f4"))
    line = refuse(capsys, tmp_path, "run", field)
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


@pytest.mark.parametrize("galaxy", ["../ngc0628", "a/b", ""])
def test_run__galaxy_with_a_path_separator(field, tmp_path, capsys, galaxy):
    field.write_text(field.read_text().replace('"ngc0628"', f'"{galaxy}"'))
    assert "plain name" in refuse(capsys, tmp_path, "run", field)


def test_run__directory_is_a_file(field, tmp_path, capsys):
    (tmp_path / "out").write_text("in the way")
    assert "is a file" in refuse(capsys, tmp_path, "run", field, "--out", tmp_path / "out" / "x")


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
    monkeypatch.setattr("phangs_xr.pipeline.count_bytes", lambda ready: (0, 0))
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


def test_command_line__debug_shows_the_traceback(field):
    (field.parent / "data" / "cont_f555w_sci.fits").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "phangs_xr", "run", field, "--debug"], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_plan__says_what_is_done_and_what_is_left_out(field, tmp_path, capsys):
    field.write_text("\n".join(li for li in field.read_text().splitlines() if "muse" not in li))
    assert call("plan", field, "--out", tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert "will run" in text
    assert "no input 'muse': muse -> extract_muse -> musehalpha -> regrid_muse" in text
    assert not (tmp_path / "out").exists()
    assert call("run", field, "--out", tmp_path / "out", "--quiet") == 0
    assert call("plan", field, "--out", tmp_path / "out") == 0
    assert "will run" not in capsys.readouterr().out.split("fields")[-1].split("store")[-1]


def test_run__without_muse_a_wanted_product_is_an_error_with_the_path(field, tmp_path, capsys):
    text = "\n".join(li for li in field.read_text().splitlines() if "muse" not in li)
    field.write_text(text + '\n[output]\nproducts = ["anchored"]\n')
    line = refuse(capsys, tmp_path, "run", field, "--out", tmp_path / "out")
    assert "no input 'muse': muse -> " in line
    assert "-> anchored" in line


def test_info__lists_products_units_and_statistics(field, tmp_path, capsys):
    out = tmp_path / "out"
    call("run", field, "--out", out, "--quiet")
    capsys.readouterr()
    assert call("info", out / "ngc0628.zarr", "--quiet") == 0
    text = capsys.readouterr().out
    assert "anchored_intnegs_nocosmic" in text
    assert "10**-20 erg s-1 cm-2" in text
    assert "subtract_continuum" in text
    assert "slope" in text


def test_info__no_store(tmp_path, capsys):
    assert "store of a field" in refuse(capsys, tmp_path, "info", tmp_path / "no.zarr")


def make_tree(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.mark.parametrize(
    "names",
    [
        (
            "hst/ngc628c_acs_f658n_exp_drc_sci.fits",
            "hst/ngc628c_acs_f658n_err_drc_wht.fits",
            "hst/ngc628c_uvis_f555w_exp_drc_sci.fits",
            "hst/ngc628c_acs_f814w_exp_drc_sci.fits",
        ),
        (
            "hst/hlsp_phangs-hst_hst_acs-wfc_ngc628c_f658n_v1_exp-drc-sci.fits",
            "hst/hlsp_phangs-hst_hst_acs-wfc_ngc628c_f658n_v1_err-drc-wht.fits",
            "hst/hlsp_phangs-hst_hst_wfc3-uvis_ngc628c_f555w_v1_exp-drc-sci.fits",
            "hst/hlsp_phangs-hst_hst_acs-wfc_ngc628c_f814w_v1_exp-drc-sci.fits",
        ),
    ],
)
@pytest.mark.parametrize("galaxy", ["ngc628c", "NGC0628", "NGC 628"])
def test_init__finds_both_name_families(tmp_path, capsys, monkeypatch, names, galaxy):
    make_tree(
        tmp_path,
        *names,
        "muse/NGC0628-0.92asec_MAPS.fits",
        "muse/NGC0628_nebulae_mask_V2.fits",
        "muse/Nebulae_catalogue_v2.fits",
        "muse/NGC0628_starmask.fits",
    )
    monkeypatch.chdir(tmp_path)
    assert call("init", galaxy, "--hst", "hst", "--muse", "muse", "--output", "f.toml") == 0
    from phangs_xr.config import load_config

    config = load_config(tmp_path / "f.toml")
    found = {name: one.path.name for name, one in config.inputs.given.items()}
    assert found["narrow"] == Path(names[0]).name
    assert found["continuum1"] == Path(names[2]).name
    assert found["continuum2"] == Path(names[3]).name
    assert found["muse"] == "NGC0628-0.92asec_MAPS.fits"
    assert set(found) >= {"nebula_mask", "nebula_catalogue", "star_mask"}


def test_init__lists_what_is_ambiguous(tmp_path, capsys, monkeypatch):
    make_tree(
        tmp_path,
        "hst/ngc628c_acs_f658n_exp_drc_sci.fits",
        "hst/ngc628e_acs_f658n_exp_drc_sci.fits",
        "hst/ngc628c_uvis_f555w_exp_drc_sci.fits",
    )
    monkeypatch.chdir(tmp_path)
    line = refuse(capsys, tmp_path, "init", "ngc628", "--hst", "hst")
    assert "ngc628c_acs_f658n" in line
    assert "ngc628e_acs_f658n" in line


def read_check(directory):
    """Return the bytes of what a check without report leaves."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_run__qa_measures_what_was_made(small, tmp_path, capsys):
    # The store lies elsewhere: what is measured belongs beside the FITS files all the same.
    store = tmp_path / "stores" / "ngc0628.zarr"
    config = write_config(tmp_path / "field.toml", small, store=str(store))
    out = tmp_path / "out"
    assert call("run", config, "--out", out, "--qa", "--no-report", "--quiet") == 0
    said = capsys.readouterr().out
    assert re.search(r"^ngc0628: 18 FITS files.*^ngc0628: \d+ nebulae$", said, re.DOTALL | re.M)
    assert call("qa", store, "--no-report", "--quiet") == 0
    assert said.endswith(capsys.readouterr().out.replace(str(store.parent), str(out)))
    found = read_check(out / "qa")
    assert found == read_check(store.parent / "qa")
    assert set(found) == {"nebulae.ecsv", "numbers.json"}


def test_run__qa_draws_the_report_of_each_field(small, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    without = ["nebula_catalogue", "nebula_mask"]
    for name, output in (("raw", {"products": ["cont_raw"]}), ("bare", {})):
        write_config(tmp_path / f"{name}.toml", small, galaxy=name, without=without, **output)
    assert call("run", "raw.toml", "bare.toml", "--qa", "--quiet") == 2
    found = capsys.readouterr()
    assert found.err == "phangs-xr: 1 of 2 fields failed: raw.toml\n"
    assert re.search("raw.toml +│ failed.*halpha at least, found", found.out)
    assert "bare: no nebulae are measured without nebula_mask: give it in [inputs]" in found.out
    assert re.search(r"^MUSE lies 0\.\d+ \+- ", found.out, re.MULTILINE)
    page = (tmp_path / "bare/f555w_f814w/qa/report.html").read_text()
    assert "This field has no nebula mask" in page
    assert "MUSE lies" in page


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
        ("[inputs]", "[options.convert_units]\nthroughput = 5\n[inputs]", "throughput should be"),
        ("[inputs]", '[inputs]\nnebula_catalogue = "data"', "expected a file, found a directory"),
    ],
)
def test_run__unusable_configuration(field, tmp_path, capsys, old, new, expected):
    field.write_text(field.read_text().replace(old, new))
    assert re.search(expected, refuse(capsys, tmp_path, "run", field))


def test_run__configuration_that_cannot_be_read(field, tmp_path, capsys):
    line = refuse(capsys, tmp_path, "run", field / "inside.toml")
    assert "expected a configuration file that can be read, found: Not a directory" in line


def test_init__no_such_place(tmp_path, capsys):
    line = refuse(capsys, tmp_path, "init", "ngc628", "--output", tmp_path / "none" / "x.toml")
    assert "expected a place for a new file, found: No such file" in line


def stop_run(first, *arguments, cwd):
    """Interrupt a run when its first field has a store; return exit code and last words."""
    command = [sys.executable, "-m", "phangs_xr", "run", *map(str, arguments), "--quiet"]
    process = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True)
    while not first.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


@pytest.mark.parametrize("options", [(), ("--workers", 1)])
def test_run_many__stops_when_told_to(simulated, tmp_path, options):
    configs = [
        write_config(
            tmp_path / f"{name}.toml", simulated, galaxy=name, without=["nebula_catalogue"]
        )
        for name in ("one", "two", "three", "four", "five")
    ]
    first = tmp_path / "one/f555w_f814w/one.zarr/hst"
    code, said = stop_run(first, *configs, "--chunk", 100, *options, cwd=tmp_path)
    assert code == 130
    assert (
        said.splitlines()[-1] == "phangs-xr: stopped: the next run completes what is not finished"
    )
    assert not (tmp_path / "one/f555w_f814w/one_fits.csv").exists()
    assert not (tmp_path / "five").exists()


def test_run_many__debug_shows_the_traceback_and_goes_on(field, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad.toml"
    bad.write_text(field.read_text().replace("cont_f555w", "nothing"))
    with pytest.raises(InputError):
        main(["run", str(bad), str(field), "--debug", "--quiet"])
    captured = capsys.readouterr()
    assert "Traceback" in captured.err
    assert re.search(r"field.toml +│ done", captured.out)


def test_run__no_report_without_qa(field, tmp_path, capsys):
    assert "expected with --qa" in refuse(capsys, tmp_path, "run", field, "--no-report")


def test_run_many__one_bad_field_does_not_stop_the_others(field, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad, other = tmp_path / "bad.toml", tmp_path / "other.toml"
    bad.write_text(field.read_text().replace("cont_f555w", "nothing"))
    other.write_text(field.read_text().replace('"ngc0628"', '"ngc1087"'))
    assert call("run", bad, field, other, "--quiet") == 2
    captured = capsys.readouterr()
    assert "1 of 3 fields failed" in captured.err
    assert captured.out.count("done") == 2
    for name in ("ngc0628", "ngc1087"):
        store = tmp_path / name / "f555w_f814w" / f"{name}.zarr"
        records = json.loads((store / "zarr.json").read_text())
        assert "remove_cosmic_rays" in records["attributes"]["records"]
