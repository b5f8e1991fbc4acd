"""The command line: what users type and what it leads to."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, get_ident

import pytest

from phangs_xr.cli import main
from phangs_xr.cli.run_fields import map_at_once
from phangs_xr.errors import InputError
from tests.browsers import require_clean_page
from tests.commands import call, refuse
from tests.configs import write_config


@pytest.mark.slow
def test_demo__ends_with_a_report(tmp_path, capsys):
    assert call("demo", tmp_path / "out", "--size", 400, "--quiet") == 0
    *said, drawn, last = capsys.readouterr().out.splitlines()
    assert any(re.match(r"halpha_joint / MUSE: median (0\.9|1\.[01])", line) for line in said)
    assert re.match(r"halpha_joint / truth: median (0\.9|1\.0)\d+, scatter 0\.0", last)
    report = Path(drawn.removeprefix("report: "))
    assert report == tmp_path / "out/ngc0628/f555w_f814w/qa/report.html"
    page = report.read_text()
    assert page.rstrip().endswith("</html>")
    assert "Not shown" not in page
    assert {path.suffix for path in report.parent.iterdir()} == {
        *(".html", ".png", ".pdf", ".ecsv", ".json")
    }
    assert (tmp_path / "out/data/ngc0628.toml").exists()
    require_clean_page(report)


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
    from phangs_xr.engine.config import load_config

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


@pytest.mark.slow
def test_run__qa_draws_the_report_of_each_field(small, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    without = ["nebula_catalogue", "nebula_mask"]
    for name, output in (("raw", {"products": ["cont_raw"]}), ("bare", {"products": ["anchored"]})):
        write_config(tmp_path / f"{name}.toml", small, galaxy=name, without=without, **output)
    assert call("run", "raw.toml", "bare.toml", "--qa", "--quiet") == 2
    found = capsys.readouterr()
    assert found.err == "phangs-xr: 1 of 2 fields failed: raw.toml\n"
    assert re.search("raw.toml +│ failed.*halpha at least, found", found.out)
    assert "bare: no nebulae are measured without nebula_mask: give it in [inputs]" in found.out
    assert re.search(r"^MUSE lies 0\.\d+ \+- ", found.out, re.MULTILINE)
    page = (tmp_path / "bare/f555w_f814w/qa/report.html").read_text()
    assert "Without nebula_mask, nebulae are not compared" in page
    assert "MUSE lies" in page


INTERRUPT = """
import os, signal, sys
from phangs_xr.cli import main
from phangs_xr.io.zarr import FieldStore

# A shell that runs this in the background may have told it to ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
write_grid = FieldStore.write_grid

def interrupt(self, *arguments):
    write_grid(self, *arguments)
    if "/one/" in self.location:
        os.kill(os.getpid(), signal.SIGINT)

FieldStore.write_grid = interrupt
main()
"""
"""A command that is interrupted when the field named one gets its store."""


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--workers", 1)])
def test_run_many__stops_when_told_to(simulated, tmp_path, options):
    configs = [
        write_config(
            tmp_path / f"{name}.toml", simulated, galaxy=name, without=["nebula_catalogue"]
        )
        for name in ("one", "two", "three", "four", "five")
    ]
    command = [sys.executable, "-c", INTERRUPT, "run", *configs, "--chunk", "100", "--quiet"]
    done = subprocess.run(
        [*command, *map(str, options)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    last = done.stderr.splitlines()[-1]
    assert last == "phangs-xr: stopped: the next run completes what is not finished"
    assert (tmp_path / "one/f555w_f814w/one.zarr").exists()
    assert not (tmp_path / "one/f555w_f814w/one_fits.csv").exists()
    assert not (tmp_path / "five").exists()


@pytest.fixture
def heed_interrupts():
    """Have Ctrl-C raise KeyboardInterrupt, also where a shell has told pytest to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heed_interrupts")
def test_map_at_once__hears_a_signal_that_another_thread_receives():
    heard, finished = Event(), []

    def work(config):
        time.sleep(0.5)  # until the main thread waits
        signal.pthread_kill(get_ident(), signal.SIGINT)
        finished.append(heard.wait(20))

    with pytest.raises(KeyboardInterrupt):
        map_at_once(work, ["one"], 2)
    assert finished == []
    heard.set()


def test_run_many__debug_shows_the_traceback_and_goes_on(field, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad.toml"
    bad.write_text(field.read_text().replace("cont_f555w", "nothing"))
    with pytest.raises(InputError):
        main(["run", str(bad), str(field), "--debug", "--quiet"])
    captured = capsys.readouterr()
    assert "Traceback" in captured.err
    assert re.search(r"field.toml +│ done", captured.out)


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
