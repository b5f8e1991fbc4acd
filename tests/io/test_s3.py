"""The store on an object store: a real S3-speaking server on this machine, which forgets all."""

import json
import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import boto3
import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster
from moto.server import ThreadedMotoServer

import phangs_xr
from phangs_xr.cli import main
from phangs_xr.engine.config import Output, load_config
from phangs_xr.errors import InputError
from phangs_xr.io.archive import find_fields
from phangs_xr.io.zarr import FieldStore
from phangs_xr.qa import survey_fields
from phangs_xr.qa.export_cutout import export_cutout
from phangs_xr.qa.export_regions import export_regions
from phangs_xr.qa.measure.nebulae import MEASURED
from phangs_xr.schema import FLUX
from tests.configs import write_config

CHUNK = 300
BUCKET = "maps"


@pytest.fixture(scope="module")
def s3():
    """A client of the server, whose address and credentials are where S3's own tools look."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "someone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client
    server.stop()


def list_keys(s3, prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return {one["Key"] for page in pages for one in page.get("Contents", [])}


def move_store(small, name, **output):
    """The configuration of a small galaxy, its store on the server."""
    output = Output(store=f"s3://{BUCKET}/{name}/ngc0628.zarr", **output)
    return replace(load_config(small), output=output)


def refuse(title, tasks):
    raise AssertionError(f"{title} is done again")


def read_images(location):
    field = phangs_xr.open_store(location, chunked=False)
    return {
        name: image.values
        for node in ("hst", "muse")
        if node in field.children
        for name, image in field[node].data_vars.items()
    }


def assert_same_bits(location, expected):
    wanted, found = read_images(expected), read_images(location)
    assert found
    for name, image in found.items():
        assert image.tobytes() == wanted[name].tobytes(), name


@pytest.fixture(scope="module")
def local(small, tmp_path_factory):
    """The directory of a run with its store on the disk."""
    out = tmp_path_factory.mktemp("local")
    phangs_xr.run(small, out, chunk=CHUNK)
    return out


@pytest.fixture(scope="module")
def remote(small, s3, tmp_path_factory):
    """The configuration and the directory of a run with its store on the server."""
    config = move_store(small, "whole")
    out = tmp_path_factory.mktemp("remote")
    phangs_xr.run(config, out, chunk=CHUNK)
    return config, out


def test_other_tools_files_are_made_of_s3_as_of_a_disk(remote, local, tmp_path):
    image = phangs_xr.open_store(local)["hst"]["halpha"]
    center = image.sky.wcs.pixel_to_world(100.5, 100.5)
    made = {}
    for name, store in (("s3", remote[0].output.store), ("disk", local)):
        folder = tmp_path / name
        folder.mkdir()
        export_regions(store, folder / "nebulae.reg")
        export_cutout(store, center, 2, "halpha", folder / "cut")
        made[name] = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(made["s3"]) == {"nebulae.reg", "cut.fits", "cut.png"}
    assert made["s3"] == made["disk"]


def test_run_writes_to_s3_what_it_writes_to_a_disk(remote, local):
    config, out = remote
    assert set(read_images(config.output.store)) == set(read_images(local))
    assert_same_bits(config.output.store, local)
    names = {path.name for path in local.iterdir()} - {"ngc0628.zarr"}
    assert {path.name for path in out.iterdir()} == names
    for path in out.glob("*.fits"):
        assert path.read_bytes() == (local / path.name).read_bytes(), path.name
    for node in ("fits", "nebulae"):
        found, wanted = (
            phangs_xr.open_store(place)[node].dataset for place in (config.output.store, local)
        )
        xr.testing.assert_identical(found.load(), wanted.load())


def test_plain_xarray_opens_a_store_on_s3(remote, local):
    tree = xr.open_datatree(remote[0].output.store, engine="zarr", chunks={})
    expected = read_images(local)["anchored"]
    np.testing.assert_array_equal(tree["hst/anchored"].values, expected)


def test_finished_run_on_s3_does_nothing_again(remote):
    config, out = remote
    phangs_xr.run(config, out, chunk=CHUNK, on_start=refuse)


@pytest.mark.slow
def test_qa_and_info_take_a_url(small, s3, tmp_path, monkeypatch, capsys):
    # A store of its own: what is measured is written to it.
    config = move_store(small, "measured", products=("anchored", "nebula_mask"), fits=())
    url = config.output.store
    phangs_xr.run(config, tmp_path, chunk=CHUNK)
    monkeypatch.chdir(tmp_path)
    for command in (["qa", url, "--no-report"], ["info", url, "--no-statistics"]):
        with pytest.raises(SystemExit, match="0"):
            main([*command, "--quiet"])
    assert "hstmuseratio" in capsys.readouterr().out
    assert json.loads((tmp_path / "qa/numbers.json").read_text())["fluxes"]
    nebulae = phangs_xr.open_store(url)["nebulae"]
    assert set(MEASURED) <= set(nebulae.variables)


@pytest.mark.slow
def test_workers_write_to_s3(small, s3, local, tmp_path):
    config = move_store(small, "workers", products=("halpha",))
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    with cluster, Client(cluster, set_as_default=False) as client:
        phangs_xr.run(config, tmp_path, client, chunk=CHUNK)
    assert_same_bits(config.output.store, local)


DIE = """
import os, signal
from phangs_xr.cli import main
from phangs_xr.io.chunks import ZarrTarget

write, written = ZarrTarget.__setitem__, []

def write_some(self, key, block):
    write(self, key, block)
    written.extend([key] * (self.array.basename == "anchored"))
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

ZarrTarget.__setitem__ = write_some
main()
"""
"""A command that is killed when the third chunk of anchored is written."""


@pytest.mark.slow
def test_run_completes_an_interrupted_upload(small, s3, local, tmp_path):
    config = move_store(small, "torn", products=("anchored",), fits=())
    store = config.output.store
    path = write_config(
        tmp_path / "ngc0628.toml", small, store=store, products=["anchored"], fits=[]
    )
    out = tmp_path / "out"
    command = [sys.executable, "-c", DIE, "run", path, "--out", out, "--chunk", "200", "--quiet"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    # In the midst of the second stage.
    assert len(list_keys(s3, "torn/ngc0628.zarr/hst/anchored/c/")) >= 3
    left = read_images(config.output.store)
    assert "halpha" in left
    assert "anchored" not in left
    titles = []

    def note(title, tasks):
        titles.append(title)
        return lambda done: None

    phangs_xr.run(path, out, chunk=200, on_start=note)
    assert not any("convert_units" in title for title in titles)
    assert "anchored" in read_images(config.output.store)
    assert_same_bits(config.output.store, local)


def test_deleting_an_array_on_s3_spares_those_whose_names_begin_alike(s3):
    store = FieldStore(f"s3://{BUCKET}/names/ngc0628.zarr")
    for name in ("halpha", "halpha_bg"):
        target = store.create(name, {"units": FLUX}, (10, 10), 10)
        target[0:10, 0:10] = np.ones((10, 10), dtype=np.float32)
        target.finish()
    store.delete("hst/halpha")
    store.delete("hst/nothing")
    assert not store.has_image("halpha")
    assert store.has_image("halpha_bg")
    prefix = "names/ngc0628.zarr/hst/halpha_bg"
    assert list_keys(s3, "names/") == {f"{prefix}/zarr.json", f"{prefix}/c/0/0"}


@pytest.mark.parametrize(
    ("store", "endpoint", "message"),
    [
        ("s3://nowhere/ngc0628.zarr", None, "a bucket nowhere is needed, found none: create it"),
        ("s3://maps/new.zarr", "http://127.0.0.1:1", "check the URL, and credentials and endpoint"),
    ],
)
def test_store_that_cannot_be_reached_is_refused_in_one_line(
    store, endpoint, message, small, s3, tmp_path
):
    path = write_config(tmp_path / "bad.toml", small, store=store)
    environment = {**os.environ, "AWS_MAX_ATTEMPTS": "1"}
    if endpoint:
        environment["AWS_ENDPOINT_URL"] = endpoint
    command = [sys.executable, "-m", "phangs_xr", "run", path, "--out", tmp_path / "out"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.startswith(f"phangs-xr: {store}: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(InputError, match=r"knows s3:// is needed.*pip install 'phangs_xr\[s3\]'$"):
        FieldStore("s3://maps/ngc0628.zarr").read_attrs()
    with pytest.raises(InputError, match="knows nothing:// is needed"):
        FieldStore("nothing://maps/ngc0628.zarr").read_attrs()


def test_store_in_a_file_system_of_fsspec(small, local, tmp_path):
    config = replace(
        load_config(small), output=Output(store="memory://maps/ngc0628.zarr", products=("halpha",))
    )
    phangs_xr.run(config, tmp_path, chunk=CHUNK)
    assert_same_bits("memory://maps/ngc0628.zarr", local)
    assert os.listdir(tmp_path)


# Threads share the filters of warnings, and put them back at other times.
@pytest.mark.filterwarnings("ignore:Consolidated metadata:zarr.errors.ZarrUserWarning")
def test_fields_share_an_archive_on_s3(small, s3, local, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = f"s3://{BUCKET}/survey.zarr"
    groups = ("ngc0628c/one", "ngc0628e/one")
    outputs = [
        Output(store=archive, group=group, products=("halpha",), fits=()) for group in groups
    ]
    configs = [replace(load_config(small), output=output) for output in outputs]
    with ThreadPoolExecutor(len(groups)) as pool:
        runs = [
            pool.submit(phangs_xr.run, config, tmp_path / config.output.group, chunk=CHUNK)
            for config in configs
        ]
    for run, output in zip(runs, outputs, strict=True):
        run.result()
        assert_same_bits(output.location, local)
    assert find_fields(archive) == [f"{archive}/{group}" for group in groups]
    tree = xr.open_datatree(archive, engine="zarr", chunks={}, consolidated=False)
    named = [node.path for node in tree.subtree if "halpha" in node.data_vars]
    assert sorted(named) == [f"/{group}/hst" for group in groups]
    survey = survey_fields([archive], tmp_path / "survey")
    assert [one.location for one in survey.summaries] == [f"{archive}/{one}" for one in groups]
    assert {one.state for one in survey.summaries} == {"checked"}
