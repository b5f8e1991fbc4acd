"""Fields that share an archive: as if each were alone, whoever else writes to it, or dies."""

import json
import multiprocessing
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import xarray as xr

import phangs_xr
from phangs_xr.engine.config import Output, load_config, make_config
from phangs_xr.engine.directory import hold_directory
from phangs_xr.errors import InputError
from phangs_xr.io.archive import find_fields, list_parents, split_location
from phangs_xr.io.zarr import find_store
from phangs_xr.qa import check_field
from phangs_xr.qa.export_regions import export_regions
from tests.commands import call, refuse
from tests.configs import write_config

CHUNK = 100
GROUPS = ("ngc0628c/f555w_f814w", "ngc0628c/f547m", "ngc0628e/f555w_f814w", "ngc0628e/f547m")
DYING = """
import os, signal, sys
import phangs_xr

def start(title, tasks):
    if "fit_anchor" in title:
        os.kill(os.getpid(), signal.SIGKILL)
    return lambda done: None

phangs_xr.run(sys.argv[1], sys.argv[2], chunk=100, on_start=start)
"""
"""A run that dies when others of its products are made."""

PRODUCTS = ("halpha", "musehalpha", "halpha_smoothed", "fit_anchored", "nebula_mask")


def place(small, archive, group, **changes):
    """The configuration of the small galaxy, its store a group of an archive."""
    output = Output(store=str(archive), group=group, products=PRODUCTS, fits=())
    return replace(load_config(small), output=output, **changes)


def start(context, config, out):
    process = context.Process(target=phangs_xr.run, args=(config, out), kwargs={"chunk": CHUNK})
    process.start()
    return process


@pytest.fixture(scope="module")
def context():
    """Processes forked from one that has done nothing but import: each starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["phangs_xr"])
    return context


@pytest.fixture(scope="module")
def in_turn(small, tmp_path_factory):
    """An archive whose fields were written one after the other, not to be changed."""
    base = tmp_path_factory.mktemp("in_turn")
    for group in GROUPS:
        phangs_xr.run(place(small, base / "survey.zarr", group), base / group, chunk=CHUNK)
    return base / "survey.zarr"


def open_all(archive):
    """Without the summary that xarray looks for first: one of all fields would soon be outdated."""
    return xr.open_datatree(archive, engine="zarr", chunks={}, consolidated=False)


def assert_same_arrays(found, expected):
    """All nodes and values alike; attributes hold dates."""
    assert {node.path for node in found.subtree} == {node.path for node in expected.subtree}
    for node in expected.subtree:
        xr.testing.assert_equal(found[node.path].to_dataset(), node.to_dataset())


@pytest.mark.slow
def test_archive_written_at_once_and_killed_equals_that_written_in_turn(
    small, in_turn, context, tmp_path
):
    archive = tmp_path / "survey.zarr"
    output = {"store": str(archive), "products": PRODUCTS, "fits": []}
    configs = {
        group: write_config(tmp_path / f"{number}.toml", small, group=group, **output)
        for number, group in enumerate(GROUPS)
    }
    command = [sys.executable, "-c", DYING, str(configs[GROUPS[0]]), str(tmp_path / GROUPS[0])]
    dying = subprocess.Popen(command)
    processes = [start(context, configs[group], tmp_path / group) for group in GROUPS[1:]]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert dying.wait() == -signal.SIGKILL
    left = phangs_xr.open_store(archive / GROUPS[0])
    made = {name for node in left.subtree for name in node.data_vars}
    assert 0 < len(made & set(PRODUCTS)) < len(PRODUCTS), "it died in the middle of its work"
    resumed = start(context, configs[GROUPS[0]], tmp_path / GROUPS[0])
    resumed.join()
    assert resumed.exitcode == 0
    found, expected = (open_all(one) for one in (archive, in_turn))
    assert_same_arrays(found, expected)


def test_field_in_an_archive_is_that_alone(small, in_turn, tmp_path):
    alone = replace(load_config(small), output=Output(products=PRODUCTS, fits=()))
    expected = phangs_xr.run(alone, tmp_path, chunk=CHUNK)
    assert_same_arrays(phangs_xr.open_store(in_turn / GROUPS[1]), expected)


def test_plain_xarray_opens_all_or_one(in_turn):
    """In a process that does not know this package."""
    code = """
import json, sys
import xarray as xr
whole = xr.open_datatree(sys.argv[1], engine="zarr", chunks={}, consolidated=False)
one = xr.open_datatree(sys.argv[1], group=sys.argv[2], engine="zarr", chunks={})
groups = [node.path for node in whole.subtree if "halpha" in node.data_vars]
values = float(one["hst/halpha"].mean()), float(whole[sys.argv[2]]["hst/halpha"].mean())
print(json.dumps([groups, values, "phangs_xr" in sys.modules]))
"""
    command = [sys.executable, "-c", code, str(in_turn), GROUPS[2]]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    groups, (one, other), known = json.loads(said)
    assert sorted(groups) == [f"/{group}/hst" for group in sorted(GROUPS)]
    assert one == other
    assert not known


def test_later_fields_are_seen_beside_the_earlier(small, in_turn, tmp_path):
    archive = tmp_path / "survey.zarr"
    for number, group in enumerate(GROUPS[:2], 1):
        config = replace(place(small, archive, group), output=Output(
            store=str(archive), group=group, products=("halpha",), fits=()))  # fmt: skip
        phangs_xr.run(config, tmp_path / group)
        tree = open_all(archive)
        assert len([node for node in tree.subtree if "halpha" in node.data_vars]) == number


def test_fields_of_an_archive_are_found(in_turn):
    locations = [f"{in_turn}/{group}" for group in sorted(GROUPS)]
    assert find_fields(str(in_turn)) == locations
    assert find_fields(f"{in_turn}/ngc0628e") == locations[2:]
    assert find_fields(locations[0]) == [locations[0]]
    assert find_fields(str(in_turn.parent / "nothing.zarr")) == []
    with pytest.raises(InputError, match=r"found an archive of 4: give one of .*ngc0628c/f547m"):
        phangs_xr.open_store(in_turn)


def test_locations_are_split_at_the_store():
    assert split_location("a/b.zarr/c/d/") == ("a/b.zarr", "c/d")
    assert split_location("s3://bucket/b.zarr/c") == ("s3://bucket/b.zarr", "c")
    assert split_location("a/b.zarr") == ("a/b.zarr", "")
    assert list_parents("a/b.zarr/c/d") == ["a/b.zarr", "a/b.zarr/c"]
    assert list_parents("a/b.zarr") == []
    assert find_store(Path("a/b.zarr/c")) == "a/b.zarr/c"


def test_check_of_a_field_goes_beside_the_archive(in_turn, small, tmp_path, monkeypatch):
    archive = tmp_path / "survey.zarr"
    phangs_xr.run(place(small, archive, "ngc0628c/f547m"), tmp_path / "elsewhere")
    field = archive / "ngc0628c/f547m"
    path, _, count = export_regions(field)
    assert path == tmp_path / "ngc0628c/f547m/ngc0628_nebulae.reg"
    assert count > 0
    lines = check_field(field, report=False)
    numbers = tmp_path / "ngc0628c/f547m/qa/numbers.json"
    assert f"numbers: {numbers}" in lines
    assert numbers.exists()
    assert not [path for path in archive.rglob("*.*") if path.suffix in (".reg", ".ecsv")]


def test_info_and_plan_take_a_group(in_turn, small, capsys, tmp_path):
    assert call("info", f"{in_turn}/{GROUPS[0]}", "--no-statistics") == 0
    assert "fit_anchored" in capsys.readouterr().out
    output = {"store": str(in_turn), "group": GROUPS[0], "products": PRODUCTS, "fits": []}
    path = write_config(tmp_path / "field.toml", small, **output)
    assert call("plan", path, "--out", in_turn.parent / GROUPS[0]) == 0
    assert "will run" not in capsys.readouterr().out


def test_group_is_held_by_one_run(small, tmp_path):
    config = place(small, tmp_path / "survey.zarr", "one/two")
    with ExitStack() as stack:
        stack.enter_context(hold_directory(tmp_path / "survey.zarr/one/two", "ngc0628"))
        with pytest.raises(InputError, match=r"another run at work.*\[output\] store or group"):
            phangs_xr.run(config, tmp_path / "elsewhere")
    assert not (tmp_path / "survey.zarr/zarr.json").exists()


@pytest.mark.parametrize("group", ["ngc0628c", f"{GROUPS[0]}/deeper"])
def test_fields_do_not_lie_in_fields(small, in_turn, tmp_path, group):
    with pytest.raises(InputError, match=r"a group of its own is needed, found.*ngc0628c/f5"):
        phangs_xr.run(place(small, in_turn, group), tmp_path)


def test_store_of_many_is_no_store_of_one(small, in_turn, tmp_path):
    config = replace(load_config(small), output=Output(store=str(in_turn), fits=()))
    with pytest.raises(InputError, match="found fields in it"):
        phangs_xr.run(config, tmp_path)


def test_group_of_another_galaxy_is_left_alone(small, in_turn, tmp_path):
    other = place(small, in_turn, GROUPS[0], galaxy="ngc1300")
    with pytest.raises(InputError, match=r"of ngc1300 is needed, found one of ngc0628.*group"):
        phangs_xr.run(other, tmp_path)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"group": "a/b"}, "group needs a store, found none"),
        ({"store": "a.zarr", "group": "a//b"}, "should be plain names"),
        ({"store": "a.zarr", "group": "../b"}, "should be plain names"),
        ({"store": "a.zarr", "group": "/a"}, "should be plain names"),
        ({"store": "a.zarr", "group": ""}, "should be plain names"),
        ({"store": "a.zarr", "group": "a/hst"}, "should be plain names"),
        ({"store": "a.zarr", "group": "b.zarr"}, "should be plain names"),
        ({"store": "s3://bucket/a", "group": "b"}, "ends in .zarr"),
    ],
)
def test_groups_that_are_none_are_refused(output, words):
    inputs = {"narrow": "a.fits", "continuum1": "b.fits"}
    with pytest.raises(InputError, match=words):
        make_config({"galaxy": "ngc0628", "inputs": inputs, "output": output})


def test_a_mistake_is_one_line(field, capsys, tmp_path):
    field.write_text(field.read_text() + '[output]\ngroup = "a"\n')
    assert "[output] group needs a store" in refuse(capsys, tmp_path, "run", field)
