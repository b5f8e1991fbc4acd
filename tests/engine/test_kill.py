"""Killed at any moment, a run is completed by the next one, to the same bits.

PHANGS_XR_KILLS sets how many times it is killed (20 in a thorough test).
"""

import json
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest

import phangs_xr
from phangs_xr.recipes import RECIPES
from phangs_xr.simulate import make_real_galaxy, simulate_galaxy

KILLS = int(os.environ.get("PHANGS_XR_KILLS", "4"))


@pytest.fixture(params=["barnes2023", "default"])
def config(request, small, tmp_path):
    """The configuration of a small galaxy for a recipe."""
    if request.param == "barnes2023":
        return small
    galaxy = make_real_galaxy(size=300, seed=8)
    return simulate_galaxy(tmp_path / "galaxy", galaxy, recipe=request.param)


OUTPUTS = {step.name: step.outputs for recipe in RECIPES.values() for step in recipe.steps}


@pytest.fixture(scope="module")
def context():
    """Processes forked from one that has done nothing but import: each starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["phangs_xr"])
    return context


def start(context, config, out):
    process = context.Process(target=phangs_xr.run, args=(config, out), kwargs={"chunk": 100})
    process.start()
    return process


def read_records(out):
    """The records of the steps, as they lie on the disk."""
    path = out / "ngc0628.zarr" / "zarr.json"
    if not path.exists():
        return {}
    return json.loads(path.read_text())["attributes"].get("records", {})


def list_times(out, records):
    """When the products of the recorded steps were written, as far as they are kept."""
    store = out / "ngc0628.zarr"
    paths = {
        path.parent.name: path
        for grid in ("hst", "muse")
        for path in store.glob(f"{grid}/*/zarr.json")
    }
    made = {name for step in records for name in OUTPUTS[step]}
    return {name: path.stat().st_mtime_ns for name, path in paths.items() if name in made}


def read_all(out):
    """All that a run leaves: images and numbers, and the bytes of its other files."""
    tree = phangs_xr.open_store(out)
    arrays = {
        f"{group}/{name}": np.asarray(values)
        for group in ("hst", "muse", "fits", "nebulae")
        for name, values in tree[group].variables.items()
    }
    files = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    return arrays, files


def assert_same(found, expected):
    assert set(found[0]) == set(expected[0])
    for name, values in found[0].items():
        assert values.dtype == expected[0][name].dtype
        np.testing.assert_array_equal(values, expected[0][name], err_msg=name)
    assert found[1] == expected[1]


def finish(context, config, out):
    process = start(context, config, out)
    process.join()
    assert process.exitcode == 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_runs_are_completed(context, config, tmp_path):
    whole = tmp_path / "whole"
    finish(context, config, tmp_path / "first")
    begun = time.monotonic()
    finish(context, config, whole)
    duration = time.monotonic() - begun
    expected = read_all(whole)
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    killed, steps_when_killed = 0, []
    out, number = tmp_path / "out0", 0
    while killed < KILLS:
        records = read_records(out)
        times = list_times(out, records)
        process = start(context, config, out)
        process.join(draw.uniform(0, duration))
        process.kill()
        process.join()
        after = read_records(out)
        assert {name: after.get(name) for name in records} == records, "a finished step was redone"
        assert times.items() <= list_times(out, after).items()
        assert process.exitcode in (0, -signal.SIGKILL)
        if process.exitcode:
            killed += 1
            steps_when_killed.append(len(after))
            continue
        assert_same(read_all(out), expected)
        number += 1
        out = tmp_path / f"out{number}"
    print(f"killed with so many steps recorded: {steps_when_killed}")
    records = read_records(out)
    times = list_times(out, records)
    finish(context, config, out)
    assert times.items() <= list_times(out, records).items()
    assert_same(read_all(out), expected)
    assert not list(out.rglob("*.partial*"))
