"""A run on processes at work already: `python -m tests.benchmarks.processes CONFIG OUT N`.

Prints the seconds from the call to the last byte on workers that have a small field behind them, as
a cluster's have: neither the start of the processes nor their imports are in it.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from distributed import Client, LocalCluster

import phangs_xr
from phangs_xr.simulate import Galaxy, simulate_galaxy


def warm_up(client: Any) -> None:
    """Run a small field, so that client and workers have all imported that a run needs."""
    with TemporaryDirectory() as directory:
        config = simulate_galaxy(Path(directory) / "small", Galaxy(size=600))
        phangs_xr.run(config, Path(directory) / "out", client, chunk=200)


def measure_run(config: Path, out: Path, workers: int) -> float:
    """Return the seconds of a run on so many worker processes of one thread."""
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        warm_up(client)
        started = perf_counter()
        phangs_xr.run(config, out, client)
        return perf_counter() - started


if __name__ == "__main__":
    print(measure_run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
