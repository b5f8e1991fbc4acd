"""The benchmarks run, and print what they say they measure; how fast, no test can tell."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from phangs_xr.recipes import BARNES2023
from tests.benchmarks import steps

ROOT = Path(__file__).resolve().parents[1]
STEPS = [step.name for step in BARNES2023.steps]


def run_benchmarks(*arguments):
    command = [sys.executable, "-m", "tests.benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_tables_have_their_rows_and_nothing_is_left_but_the_galaxy(tmp_path):
    done = run_benchmarks("--sizes", 400, "--only", "speed", "memory", "--data", tmp_path)
    assert done.returncode == 0, done.stderr
    for row in ("all steps", "without cosmic rays"):
        assert re.search(rf"^{row}( +\d\S*){{8}}$", done.stdout, re.MULTILINE), row
    assert re.search(r"^400² +\d+ +1 +\d\S* +1 +\d\S* +(1|-)$", done.stdout, re.MULTILINE)
    assert "lazy results" not in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["sim400"]


def test_unknown_table_is_refused():
    done = run_benchmarks("--only", "luck")
    assert done.returncode == 2
    assert "invalid choice: 'luck'" in done.stderr


def test_every_step_is_measured_alone(simulated, finished, tmp_path):
    steps.main(str(tmp_path / "steps.json"), str(simulated), str(finished))
    found = json.loads((tmp_path / "steps.json").read_text())
    assert list(found) == STEPS
    assert all(seconds > 0 for seconds in found.values())


def test_every_graph_is_measured(tmp_path):
    steps.main(str(tmp_path / "graphs.json"))
    found = json.loads((tmp_path / "graphs.json").read_text())
    assert list(found) == STEPS
    assert all(seconds > 0 and tasks > 1 for seconds, tasks in found.values())
