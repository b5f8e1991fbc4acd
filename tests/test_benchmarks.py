"""The benchmarks run, and print what they say they measure; how fast, no test can tell."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from phangs_xr.recipes import BARNES2023
from tests.benchmarks import steps, yardstick
from tests.benchmarks.__main__ import print_speed
from tests.benchmarks.cases import Case, Runs, Yardstick
from tests.benchmarks.commands import Usage

ROOT = Path(__file__).resolve().parents[1]
STEPS = [step.name for step in BARNES2023.steps]


def run_benchmarks(*arguments):
    command = [sys.executable, "-m", "tests.benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_table_of_memory_is_measured_and_nothing_is_left_but_the_galaxy(tmp_path):
    done = run_benchmarks("--sizes", 300, "--only", "memory", "--data", tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^300² +\d+ +1 +\d\S* +1 +\d\S* +(1|-)$", done.stdout, re.MULTILINE)
    assert "lazy results" not in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["sim300"]


def test_table_of_speed_compares_what_was_measured(small, small_run, tmp_path, capsys, monkeypatch):
    runs = Runs(run=Usage(4.0, 6.0, 300.0), qa=Usage(2.0, 3.0, 300.0), at_once=Usage(5.0, 8.0, 300))
    plain = Yardstick(Usage(60.0, 60.0, 900.0), {"remove_cosmic_rays": 20.0, "load": 1.0})
    case = Case(300, tmp_path)
    case.directory.symlink_to(small.parent)
    asked = []

    @contextmanager
    def run(self, config):
        asked.append(config.name)
        yield small_run, runs

    monkeypatch.setattr(Case, "run", run)
    print_speed(case, runs, plain, small_run)
    assert asked == ["without_cosmics.toml"]
    said = capsys.readouterr().out
    floor = r"+(\d\S*) +(\d\S*)$"
    assert re.search(rf"^all steps +4 +2 +5 +8 +60 +12 {floor}", said, re.MULTILINE), said
    assert re.search(rf"^without cosmic rays +4 +2 +5 +8 +40 +8 {floor}", said, re.MULTILINE), said
    assert "yardstick: peak 900 MB" in said
    assert [path.name for path in tmp_path.iterdir()] == ["sim300"]


def test_yardstick_times_the_plain_steps_and_writes_their_products(small, tmp_path):
    yardstick.main(str(small), str(tmp_path / "out"), "skip-cosmics")
    seconds = json.loads((tmp_path / "out" / "seconds.json").read_text())
    assert set(STEPS) - {"load_nebulae", "remove_cosmic_rays"} <= set(seconds)
    assert {"sum_nebulae", "write", "write_nocosmic"} <= set(seconds)
    assert (tmp_path / "out" / "anchored_intnegs_nocosmic.fits").exists()


def test_unknown_table_is_refused():
    done = run_benchmarks("--only", "luck")
    assert done.returncode == 2
    assert "invalid choice: 'luck'" in done.stderr


def test_every_step_is_measured_alone(small, small_run, tmp_path):
    steps.main(str(tmp_path / "steps.json"), str(small), str(small_run))
    found = json.loads((tmp_path / "steps.json").read_text())
    assert list(found) == STEPS
    assert all(seconds > 0 for seconds in found.values())


def test_every_graph_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "SIDE", 4000)
    monkeypatch.setattr(steps, "MUSE_SIDE", 800)
    steps.main(str(tmp_path / "graphs.json"))
    found = json.loads((tmp_path / "graphs.json").read_text())
    assert list(found) == STEPS
    assert all(seconds > 0 and tasks > 1 for seconds, tasks in found.values())


@pytest.mark.slow
def test_table_of_recipes_compares_all(tmp_path):
    done = run_benchmarks("--sizes", 300, "--only", "recipes", "--data", tmp_path, "--rounds", 1)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^barnes2023 +\d\S* +1 +\d+$", done.stdout, re.MULTILINE)
    for name in ("chandar2025", "default"):
        assert re.search(rf"^{name} +\d\S* +\d\S* +\d+$", done.stdout, re.MULTILINE)
