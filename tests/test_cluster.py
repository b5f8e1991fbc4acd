"""A Dask cluster gives the bits that threads give, whatever happens to its workers."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import cloudpickle
import dask
import dask.array as da
import numpy as np
import psutil
import pytest
import xarray as xr
from dask.callbacks import Callback
from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import WorkerPlugin

import phangs_xr
from phangs_xr.cli import main
from phangs_xr.config import Output, load_config
from phangs_xr.errors import InputError
from phangs_xr.lazy import is_chunked
from phangs_xr.recipes import BARNES2023
from phangs_xr.schema import NUMBERS, PRODUCTS
from phangs_xr.simulate import Galaxy, simulate_galaxy
from phangs_xr.steps import SmoothHst
from phangs_xr.tiles import FAN_IN, Runner
from tests.images import give_step, make_header, make_image, measure_range, take_steps

CHUNK = 300
MEMORY_LIMIT = 1_500_000_000


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The configuration of a simulated galaxy of 1200² pixels."""
    return load_config(simulate_galaxy(tmp_path_factory.mktemp("galaxy"), Galaxy(size=1200)))


@pytest.fixture(scope="module")
def anchored(config):
    """The same, but for two products and what they need."""
    return replace(config, output=Output(products=("anchored", "halpha_bg")))


@pytest.fixture(scope="module")
def passes():
    """The passes of the run on threads: title, tiles, tasks, and bytes that are sent for them."""
    return []


@pytest.fixture(scope="module")
def threads(config, passes, tmp_path_factory):
    """The directory of a run on threads."""
    run, graphs = Runner.run, []

    def watch(runner, title, function, shared, items, merge=None):
        sent = [len(cloudpickle.dumps(one)) for one in (function, shared, *items)]
        result = run(runner, title, function, shared, items, merge)
        passes.append((title, len(items), graphs.pop(), sum(sent)))
        return result

    out = tmp_path_factory.mktemp("threads")
    with pytest.MonkeyPatch.context() as patch, Callback(start=lambda dsk: graphs.append(len(dsk))):
        patch.setattr(Runner, "run", watch)
        phangs_xr.run(config, out, chunk=CHUNK)
    return out


@pytest.fixture(scope="module")
def cluster():
    """One worker process, whose nanny starts it again whenever it dies."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit=MEMORY_LIMIT, dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.fixture
def two_workers(cluster):
    """A client of two worker processes."""
    cluster.scale(2)
    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        yield client


def read_images(out):
    field = phangs_xr.open_store(out, chunked=False)
    nodes = [node for node in ("hst", "muse") if node in field.children]
    return {name: image for node in nodes for name, image in field[node].data_vars.items()}


def assert_same_bits(out, expected):
    """Assert that all there is in a directory is as in another one, bit for bit."""
    wanted = read_images(expected)
    found = read_images(out)
    assert found
    for name, image in found.items():
        assert image.values.tobytes() == wanted[name].values.tobytes(), name
    for name, value in phangs_xr.open_store(out)["fits"].data_vars.items():
        np.testing.assert_array_equal(value, phangs_xr.open_store(expected)["fits"][name])
    for path in Path(out).glob("*.fits"):
        assert path.read_bytes() == (Path(expected) / path.name).read_bytes(), path.name


def act_after(tasks, act):
    """Return an `on_start` for `run`, which acts once when so many tasks are done."""
    left = [tasks]

    def advance(done):
        left[0] -= done
        if left[0] == 0:
            act()

    return lambda title, tasks: advance


def find_workers(client):
    """Process identifiers of the workers, by address."""
    return client.run(os.getpid)


def test_processes_give_the_bits_of_threads(config, threads, two_workers, tmp_path):
    phangs_xr.run(config, tmp_path, two_workers, chunk=CHUNK)
    assert len(list(tmp_path.glob("*.fits"))) == 18
    assert_same_bits(tmp_path, threads)


def test_one_chunk_gives_the_same_to_a_millionth_of_the_range(config, threads, tmp_path):
    phangs_xr.run(config, tmp_path, chunk=1200)
    found = read_images(tmp_path)
    for name, image in read_images(threads).items():
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(image), err_msg=name)
        difference = np.nanmax(np.abs(found[name].values - image.values), initial=0)
        assert difference <= 1e-6 * measure_range(image), name


# The first pass over HST's grid has 16 tasks after one of MUSE's: it writes. Task 25 measures.
@pytest.mark.parametrize("tasks", [5, 25])
def test_run_survives_a_killed_worker(tasks, anchored, threads, two_workers, tmp_path):
    before = find_workers(two_workers)
    victim = next(iter(before.values()))

    phangs_xr.run(
        anchored,
        tmp_path,
        two_workers,
        chunk=CHUNK,
        on_start=act_after(tasks, lambda: os.kill(victim, signal.SIGKILL)),
    )
    assert not psutil.pid_exists(victim)
    assert_same_bits(tmp_path, threads)


class CountTasks(WorkerPlugin):
    """How many tasks a worker has finished."""

    def setup(self, worker):
        worker.finished = 0
        self.worker = worker

    def transition(self, key, start, finish, **kwargs):
        self.worker.finished += finish == "memory"


def test_worker_that_joins_late_takes_its_share(anchored, threads, cluster, tmp_path):
    cluster.scale(1)
    with Client(cluster, set_as_default=False) as client:
        while len(early := find_workers(client)) > 1:
            time.sleep(0.05)
        client.register_plugin(CountTasks(), name="count")
        phangs_xr.run(
            anchored,
            tmp_path,
            client,
            chunk=CHUNK,
            on_start=act_after(3, lambda: cluster.scale(2)),
        )
        finished = client.run(lambda dask_worker: dask_worker.finished)
        client.unregister_worker_plugin("count")
    late = finished.keys() - early.keys()
    assert len(late) == 1
    assert finished[late.pop()] > 0
    assert_same_bits(tmp_path, threads)


def exceed_memory():
    """Take more memory than a worker may have."""
    taken = b"x" * MEMORY_LIMIT
    time.sleep(60)
    return len(taken)


def test_run_survives_a_worker_that_runs_out_of_memory(anchored, threads, two_workers, tmp_path):
    address, victim = next(iter(find_workers(two_workers).items()))

    def starve():
        two_workers.run(exceed_memory, workers=[address], wait=False)

    phangs_xr.run(anchored, tmp_path, two_workers, chunk=CHUNK, on_start=act_after(5, starve))
    assert not psutil.pid_exists(victim)
    assert_same_bits(tmp_path, threads)
