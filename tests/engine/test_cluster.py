"""A Dask cluster gives the bits that threads give, whatever happens to its workers."""

import asyncio
import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import cloudpickle
import dask
import numpy as np
import pytest
from dask.callbacks import Callback
from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import WorkerPlugin

import phangs_xr
from phangs_xr.cli import main
from phangs_xr.engine.config import Output, load_config
from phangs_xr.engine.runner import FAN_IN, Runner
from phangs_xr.errors import InputError
from phangs_xr.simulate import Galaxy, make_real_galaxy, simulate_galaxy
from tests.configs import write_config

SIDE, CHUNK = 900, 300
IMAGE = 4 * SIDE**2
"""Bytes of one image."""
HISTOGRAM = 3 * 8 * 65536
"""Bytes of the counts and sums that exact statistics are found from."""
MEMORY_LIMIT = 1_500_000_000


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The configuration of a simulated galaxy of nine chunks."""
    return load_config(simulate_galaxy(tmp_path_factory.mktemp("galaxy"), Galaxy(size=SIDE)))


@pytest.fixture(scope="module")
def anchored(config):
    """The same, but for one product and what it needs of both telescopes."""
    return replace(config, output=Output(products=("anchored",)))


@pytest.fixture(scope="module")
def background(config):
    """The same, but for one product that HST's images suffice for."""
    return replace(config, output=Output(products=("halpha_bg",)))


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
    # Told that a worker is lost, the cluster looks after 15 s whether one of that name is there,
    # and if it has just died again gives it up for good.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            memory_limit=MEMORY_LIMIT,
            dashboard_address="127.0.0.1:0",
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def two_workers(cluster):
    """A client of two worker processes."""
    with Client(cluster, set_as_default=False) as client:
        scale_up(cluster, client)
        yield client


def scale_up(cluster, client):
    """Wait until there are two workers."""
    cluster.scale(2)
    client.wait_for_workers(2, timeout=120)


def count_workers(client):
    return len(client.scheduler_info(n_workers=-1)["workers"])


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


def act_after(acts):
    """Return an `on_start` for `run`, which calls each function when so many tasks are done."""
    total = [0]

    def advance(done):
        total[0] += done
        if total[0] in acts:
            acts[total[0]]()

    return lambda title, tasks: advance


def find_workers(client):
    """Process identifiers of the workers, by address; not of those that are about to go."""
    return client.run(os.getpid, on_error="ignore")


@pytest.mark.slow
def test_processes_give_the_bits_of_threads(config, threads, two_workers, tmp_path):
    phangs_xr.run(config, tmp_path, two_workers, chunk=CHUNK)
    assert len(list(tmp_path.glob("*.fits"))) == 18
    assert_same_bits(tmp_path, threads)


@pytest.mark.parametrize("recipe", ["chandar2025", "default"])
def test_other_recipes_have_the_bits_of_threads(recipe, two_workers, tmp_path):
    galaxy = make_real_galaxy(size=400, seed=4)
    config = simulate_galaxy(tmp_path / "galaxy", galaxy, recipe=recipe)
    phangs_xr.run(config, tmp_path / "threads", chunk=200)
    phangs_xr.run(config, tmp_path / "processes", chunk=200, client=two_workers)
    assert_same_bits(tmp_path / "processes", tmp_path / "threads")


@pytest.mark.slow
def test_run_survives_killed_workers(anchored, threads, two_workers, tmp_path):
    killed = []

    def kill():
        killed.append(next(iter(find_workers(two_workers).values())))
        os.kill(killed[-1], signal.SIGKILL)

    # The first ten tasks write, the next ones measure.
    acts = act_after({5: kill, 15: kill})
    phangs_xr.run(anchored, tmp_path, two_workers, chunk=CHUNK, on_start=acts)
    assert len(set(killed)) == 2
    assert_same_bits(tmp_path, threads)


class CountTasks(WorkerPlugin):
    """How many tasks a worker has done."""

    def setup(self, worker):
        worker.tasks_done = 0
        self.worker = worker

    def transition(self, key, start, finish, **kwargs):
        self.worker.tasks_done += start == "executing" and finish == "memory"


@pytest.mark.slow
def test_worker_that_joins_late_takes_its_share(background, threads, cluster, tmp_path):
    cluster.scale(1)
    with Client(cluster, set_as_default=False) as client:
        while count_workers(client) > 1:
            time.sleep(0.05)
        early = find_workers(client)
        client.register_plugin(CountTasks(), name="count")

        def add_worker():
            scale_up(cluster, client)

        acts = act_after({3: add_worker})
        phangs_xr.run(background, tmp_path, client, chunk=CHUNK, on_start=acts)
        done = client.run(lambda dask_worker: dask_worker.tasks_done)
        client.unregister_worker_plugin("count")
    (late,) = done.keys() - early.keys()
    assert done[late] > 5
    assert_same_bits(tmp_path, threads)


async def exceed_memory():
    """Take more memory than a worker may have, until the nanny sees it."""
    taken = b"x" * MEMORY_LIMIT
    await asyncio.sleep(60)
    return len(taken)


@pytest.mark.slow
def test_run_survives_a_worker_out_of_memory(background, threads, two_workers, tmp_path):
    address, victim = next(iter(find_workers(two_workers).items()))

    def starve():
        two_workers.run(exceed_memory, workers=[address], wait=False)

    acts = act_after({5: starve})
    phangs_xr.run(background, tmp_path, two_workers, chunk=CHUNK, on_start=acts)
    assert victim not in find_workers(two_workers).values()
    assert_same_bits(tmp_path, threads)


def die(shared, item):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(shared, item):
    raise ValueError(f"task {item} of {shared}")


def test_task_that_kills_its_workers_is_reported_in_one_line(two_workers):
    # As often as dask's own default allows, but without waiting for so many workers.
    two_workers.run_on_scheduler(
        lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0)
    )
    with pytest.raises(InputError, match=r"^look: .* on 1 that died.*more memory, or smaller"):
        Runner(two_workers).run("look", die, None, [1])
    two_workers.run_on_scheduler(
        lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 3)
    )


def test_error_in_a_task_keeps_its_kind_and_message(two_workers):
    with pytest.raises(ValueError, match="task 2 of it"):
        Runner(two_workers).run("look", fail, "it", [2])


def test_fields_share_a_cluster_and_one_that_fails_stops_no_other(
    small, two_workers, tmp_path, monkeypatch, capsys
):
    configs = [tmp_path / f"{name}.toml" for name in ("one", "bad", "gone", "two")]
    for path in configs:
        write_config(
            path, small, galaxy=path.stem, without=["nebula_catalogue"], products=["anchored"]
        )
    gone = configs[2].read_text().replace("narrow = ", 'narrow = "missing.fits" # ')
    configs[2].write_text(gone)
    # Fails in mid-run: a directory lies where a file should go.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad/f555w_f814w/bad_anchored.fits/taken").mkdir(parents=True)
    names = [path.name for path in configs]
    address = two_workers.scheduler.address
    with pytest.raises(SystemExit, match="2"):
        main(["run", *names, "--scheduler", address, "--chunk", "100", "--quiet"])
    found = capsys.readouterr()
    assert found.err == "phangs-xr: 2 of 4 fields failed: bad.toml, gone.toml\n"
    for row in ("one.toml +│ done", "two.toml +│ done", "bad.toml +│ failed.*directory"):
        assert re.search(row, found.out), row
    assert re.search("gone.toml +│ failed.*missing.fits", found.out)
    phangs_xr.run("one.toml", "threads", chunk=100)
    assert_same_bits(tmp_path / "one/f555w_f814w", tmp_path / "threads")


@pytest.mark.slow
def test_fields_are_checked_on_their_cluster(small, two_workers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two", "alone"):
        write_config(tmp_path / f"{name}.toml", small, galaxy=name, without=["nebula_catalogue"])
    options = ["--qa", "--no-report", "--chunk", "100", "--quiet"]
    address = two_workers.scheduler.address
    for places in (["one.toml", "two.toml", "--scheduler", address], ["alone.toml"]):
        with pytest.raises(SystemExit, match="0"):
            main(["run", *places, *options])
    one, two, alone = (
        (tmp_path / name / "f555w_f814w/qa/numbers.json").read_text()
        for name in ("one", "two", "alone")
    )
    assert one == two == alone


def test_graph_is_as_large_as_the_tiles(threads, passes):
    assert len(passes) >= 5
    for title, tiles, tasks, _ in passes:
        on_muse = "extract_muse" in title or "load_nebulae" in title
        assert tiles == (1 if on_muse else (SIDE // CHUNK) ** 2)
        assert 0 <= tasks - tiles <= tiles / (FAN_IN - 1) + 3, title


def test_no_image_is_sent_with_the_tasks(threads, passes):
    large = [(title, sent) for title, _, _, sent in passes if sent > IMAGE / 6]
    # All other passes need numbers alone; these need histograms too, whatever the image's size.
    assert [title for title, _ in large] == [
        "measure subtract_background, compare_images, fit_anchor",
        "measure add_noise, remove_cosmic_rays",
    ]
    assert all(sent < 3.5 * HISTOGRAM < sent + IMAGE for _, sent in large)
