"""The store on an object store: a real S3-speaking server on this machine, which forgets all."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import boto3
import fsspec
import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster
from moto.server import ThreadedMotoServer

import phangs_xr
from phangs_xr.cli import main
from phangs_xr.config import Output, load_config
from phangs_xr.errors import InputError
from phangs_xr.io.zarr import FieldStore
from phangs_xr.schema import FLUX

CHUNK = 200
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
    store = f"s3://{BUCKET}/{name}/ngc0628.zarr"
    return replace(load_config(small), output=Output(store=store, **output))


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


def test_step_taken_again_on_s3_leaves_the_others(small, s3, local, tmp_path):
    config = move_store(small, "again", products=("halpha", "halpha_bg"), fits=())
    phangs_xr.run(config, tmp_path, chunk=CHUNK)
    phangs_xr.run(config, tmp_path, chunk=CHUNK, force=["convert_units"])
    assert_same_bits(config.output.store, local)


def test_qa_and_info_take_a_url(remote, tmp_path, monkeypatch, capsys):
    url = remote[0].output.store
    monkeypatch.chdir(tmp_path)
    main(["qa", url, "--no-report", "--quiet"])
    main(["info", url, "--no-statistics", "--quiet"])
    assert "anchored_intnegs_nocosmic" in capsys.readouterr().out
    assert json.loads((tmp_path / "qa/numbers.json").read_text())["fluxes"]
    nebulae = phangs_xr.open_store(url)["nebulae"]
    assert np.isfinite(nebulae["hst_flux_anchored"]).any()


def test_workers_write_to_s3(small, s3, local, tmp_path):
    config = move_store(small, "workers", products=("halpha_bg",))
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster, set_as_default=False) as client:
        phangs_xr.run(config, tmp_path, client, chunk=CHUNK)
    assert_same_bits(config.output.store, local)


def test_run_completes_an_interrupted_upload(small, s3, local, tmp_path):
    config = tmp_path / "ngc0628.toml"
    text = small.read_text().replace('= "hst/', f'= "{small.parent}/hst/')
    text = text.replace('= "muse/', f'= "{small.parent}/muse/')
    url = f"s3://{BUCKET}/torn/ngc0628.zarr"
    config.write_text(f'{text}\n[output]\nstore = "{url}"\n')
    out = tmp_path / "out"
    command = [sys.executable, "-m", "phangs_xr", "run", config, "--out", out, "--chunk", "100"]
    # As soon as chunks arrive of what the second stage makes, in the midst of it.
    process = subprocess.Popen([*command, "--quiet"])
    while not list_keys(s3, "torn/ngc0628.zarr/hst/anchored/c/"):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = phangs_xr.open_store(url)
    assert "halpha" in left["hst"].data_vars
    assert "anchored" not in left["hst"].data_vars
    titles = []
    phangs_xr.run(config, out, chunk=100, on_start=lambda title, n: titles.append(title) or print)
    assert not any("convert_units" in title for title in titles)
    assert_same_bits(url, local)
    assert len(list(out.glob("*.fits"))) == 18


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


def run_refused(config, tmp_path, capsys):
    """What the command line says to a configuration that cannot be run."""
    path = tmp_path / "bad.toml"
    inputs = config.inputs.given
    lines = [f'{name} = "{one.path}"' for name, one in inputs.items()]
    text = "\n".join(['galaxy = "ngc0628"', "[inputs]", *lines])
    path.write_text(f'{text}\n[output]\nstore = "{config.output.store}"\n')
    with pytest.raises(SystemExit, match="2"):
        main(["run", str(path), "--out", str(tmp_path / "out"), "--quiet"])
    assert not (tmp_path / "out").exists()
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_bucket_that_does_not_exist_is_refused(small, s3, tmp_path, capsys):
    config = replace(load_config(small), output=Output(store="s3://nowhere/ngc0628.zarr"))
    message = run_refused(config, tmp_path, capsys)
    assert "a bucket nowhere is needed, found none: create it" in message


def test_server_that_does_not_answer_is_refused(small, s3, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    message = run_refused(move_store(small, "silent"), tmp_path, capsys)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    assert "127.0.0.1:1" in message
    assert "check the URL, and credentials and endpoint in the environment" in message


def test_missing_package_is_named(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(fsspec.registry._registry, "s3", raising=False)
    message = run_refused(move_store(small, "none"), tmp_path, capsys)
    assert message.endswith("pip install 'phangs_xr[s3]'\n")
    with pytest.raises(InputError, match="knows nothing:// is needed"):
        FieldStore("nothing://maps/ngc0628.zarr").read_attrs()


def test_store_in_a_file_system_of_fsspec(small, local, tmp_path):
    config = replace(
        load_config(small), output=Output(store="memory://maps/ngc0628.zarr", products=("halpha",))
    )
    phangs_xr.run(config, tmp_path, chunk=CHUNK)
    assert_same_bits("memory://maps/ngc0628.zarr", local)
    assert os.listdir(tmp_path)
