"""Where a command's tasks run, by its options: on threads, on local processes, or on a cluster."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from phangs_xr.cli.console import ProgressReport, show_line
from phangs_xr.errors import InputError

LOCAL = "127.0.0.1:0"
"""Where a cluster of our own listens for browsers: a free port that only this machine reaches."""


@dataclass(frozen=True)
class Place:
    """The options of a command that say where and with how much its tasks run.

    Attributes
    ----------
    workers
        Local processes.
    scheduler
        Address of a Dask cluster.
    threads
        Of this process; one of these three at most.
    memory, chunk
        Memory for each process ("4GB"), or side of the chunks [pixel].
    dashboard
        Address of the dashboard of local processes; on this machine only if None.
    """

    workers: int | None = None
    scheduler: str | None = None
    threads: int | None = None
    memory: str | None = None
    chunk: int | None = None
    dashboard: str | None = None


@contextmanager
def make_runner(place: Place, quiet: bool) -> Iterator[Any]:
    """Give a runner on threads, on local processes, or on a cluster.

    Raises
    ------
    InputError
        If options exclude each other, or there is no such cluster or address.
    """
    from phangs_xr.engine.memory import choose_chunk
    from phangs_xr.engine.runner import Runner

    given = {
        "--workers": place.workers,
        "--scheduler": place.scheduler,
        "--threads": place.threads,
    }
    found = [name for name, value in given.items() if value is not None]
    if len(found) > 1:
        raise InputError(f"expected one of {', '.join(given)}, found {' and '.join(found)}")
    if place.dashboard is not None and place.workers is None:
        raise InputError(
            "--dashboard: expected with --workers, found without: add --workers, or leave it out"
        )
    if place.scheduler is None:
        at_once = place.threads if place.workers is None else 1
        side = choose_chunk(place.memory, place.chunk, at_once)
    with _connect(place) as client:
        if place.scheduler is not None:
            threads = max(client.nthreads().values(), default=1)
            side = choose_chunk(place.memory, place.chunk, threads)
        with ProgressReport(quiet, side**2 / 1e6) as report:
            remote = place.scheduler is not None
            yield Runner(client, place.threads, side, report.start, remote=remote)


@contextmanager
def _connect(place: Place) -> Iterator[Any]:
    if place.scheduler is not None:
        from distributed import Client

        try:
            client = Client(place.scheduler, timeout=20)
        except (OSError, ValueError) as error:
            message = (
                f"--scheduler {place.scheduler}: expected a Dask scheduler, found none ({error}): "
                f"give an address such as tcp://10.0.0.1:8786"
            )
            raise InputError(message) from None
        with client:
            yield client
    elif place.workers is not None:
        with _start_workers(place.workers, place.dashboard) as client:
            yield client
    else:
        yield None


@contextmanager
def _start_workers(workers: int, dashboard: str | None) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    from phangs_xr.engine.quiet_workers import QuietWorkers

    if dashboard is not None:
        _check_address(dashboard)
    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=dashboard or LOCAL
    )
    with cluster, Client(cluster) as client:
        client.register_plugin(QuietWorkers())
        if dashboard is not None:
            show_line(f"dashboard: {client.dashboard_link}")
        yield client


def _check_address(address: str) -> None:
    found = re.fullmatch(r"([\w.-]*|\[[0-9a-fA-F:]+\]):(\d{1,5})", address)
    if found is None or int(found[2]) > 65535:
        raise InputError(
            f"--dashboard {address}: expected HOST:PORT or :PORT (all of this machine's "
            f"interfaces), found neither: give 127.0.0.1:8787, say"
        )
    family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
    # Where it cannot listen, the cluster would fail half started, or take another port.
    try:
        with socket.socket(family, socket.SOCK_STREAM) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((found[1].strip("[]"), int(found[2])))
    except OSError as error:
        message = (
            f"--dashboard {address}: expected an address of this machine that is free, found that "
            f"it cannot be used ({error.strerror or error}): give another"
        )
        raise InputError(message) from None
