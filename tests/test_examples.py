"""The examples are accepted, and run: on local processes, and on jobs as SLURM would start them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from phangs_xr.cli.find_files import find_files
from phangs_xr.engine.config import load_config

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CONFIGS = sorted(EXAMPLES.glob("*.toml"))

SBATCH = """#!/bin/sh
script="$JOBS/script-$$.sh"
cp "$1" "$script"
sh "$script" >"$JOBS/$$.log" 2>&1 &
echo "Submitted batch job $!"
"""
"""Runs a copy of a job script on this machine at once, as SLURM does on a node sooner or later."""

SCANCEL = """#!/bin/sh
kill "$1" 2>/dev/null || true
"""


def run_script(name, *arguments, environment=None, cwd=None):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
    )


def assert_same_files(out, expected, number):
    names = sorted(path.name for path in out.glob("*.fits"))
    assert len(names) == number
    for name in names:
        assert (out / name).read_bytes() == (expected / name).read_bytes(), name


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_is_accepted(path):
    config = load_config(path)
    assert config.options["smooth_hst"].muse_fwhm in (0.92, 0.96)
    assert config.inputs.narrow.path.parent == EXAMPLES / "hst"


@pytest.mark.parametrize("name", ["ngc0628_team", "ngc0628_mast"])
def test_init_finds_the_files_that_a_configuration_names(name, tmp_path):
    config = load_config(EXAMPLES / f"{name}.toml")
    given = config.inputs.given
    for one in given.values():
        path = tmp_path / one.path.relative_to(EXAMPLES)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = find_files("ngc628c", tmp_path / "hst", tmp_path / "muse").choose(config.recipe)
    assert {name: path.name for name, path in found.items()} == {
        name: one.path.name for name, one in given.items()
    }


def test_one_continuum_leaves_the_second_out():
    config = load_config(EXAMPLES / "one_continuum.toml")
    assert config.inputs.continuum2 is None
    assert config.options["convert_units"].bandwidth == "rectangular"


@pytest.mark.slow
def test_fields_run_on_local_processes_though_one_fails(small, small_run, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text('galaxy = "ngc9999"\n[inputs]\nnarrow = "a.fits"\ncontinuum1 = "b.fits"\n')
    out = tmp_path / "products"
    done = run_script("run_on_cluster.py", bad, small, "--workers=2", "--chunk=200", f"--out={out}")
    assert done.returncode == 1, done.stderr
    assert re.search(rf"{bad}: failed: .*{tmp_path / 'a.fits'}", done.stdout)
    assert f"{small}: 21 images in {out / 'ngc0628'}" in done.stdout
    assert_same_files(out / "ngc0628", small_run, 18)


def test_survey_script_asks_for_the_jobs_that_were_meant(small, tmp_path):
    arguments = ["--cores=6", "--memory=12GiB", "--walltime=01:30:00", "--queue=short"]
    place = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SLURM_SUBMIT_DIR": str(EXAMPLES),
    }
    arguments += [f"--logs={tmp_path / 'logs'}", "--show-script"]
    done = subprocess.run(
        ["bash", EXAMPLES / "submit_survey.sh", small, *arguments],
        capture_output=True,
        text=True,
        env=place,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for line in ("--cpus-per-task=6", "--mem=12G", "-t 01:30:00", "-p short"):
        assert f"#SBATCH {line}" in lines
    (worker,) = [line for line in lines if "dask_worker" in line]
    for option in ("--nworkers 6", "--nthreads 1", "--memory-limit 2.00GiB", "--nanny"):
        assert option in worker


@pytest.mark.slow
def test_fields_run_on_jobs_of_slurm(small, small_run, tmp_path):
    given = load_config(small).inputs.given
    bands = [f'{name} = "{given[name].path}"' for name in ("narrow", "continuum1", "continuum2")]
    output = ["[output]", 'products = ["halpha"]']
    config = tmp_path / "few.toml"
    config.write_text("\n".join(['galaxy = "ngc0628"', "[inputs]", *bands, *output]))
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    for name, text in {"sbatch": SBATCH, "scancel": SCANCEL}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    out = tmp_path / "products"
    done = run_script(
        "run_on_slurm.py",
        config,
        "--jobs=1",
        "--cores=2",
        "--memory=4GB",
        "--interface=lo",
        "--chunk=200",
        f"--out={out}",
        environment={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "JOBS": str(jobs)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(jobs.glob("script-*.sh"))) == 1
    assert_same_files(out / "ngc0628", small_run, 2)


def test_survey_of_fields_in_one_archive(tmp_path):
    done = run_script("survey_ten_fields.py", tmp_path, "--size", 300, "--fields", 3)
    assert done.returncode == 0, done.stderr
    first, second = re.findall(r"(\d+) fields, (\d+) made anew", done.stdout)
    assert first == ("3", "2")
    assert second == ("3", "1")
    assert "the file is truncated" in done.stdout
    page = (tmp_path / "survey/index.html").read_text()
    assert "ngc0628-1/f555w_f814w: a finished run is needed" in page
    assert {path.name for path in (tmp_path / "survey.zarr").iterdir()} == {
        "zarr.json",
        "ngc0628-0",
        "ngc0628-2",
    }
