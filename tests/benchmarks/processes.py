"""A run on processes that are there already: `python -m tests.benchmarks.processes CONFIG OUT N`.

Prints the seconds from the call to the last byte, without those in which the local cluster and its
workers start: users of a cluster find it running.
"""

import sys
from pathlib import Path
from time import perf_counter

from distributed import Client, LocalCluster

import phangs_xr


def warm_up() -> None:
    """Import in a worker what its tasks need."""
    import phangs_xr.pipeline  # noqa: F401  # on the worker


def measure_run(config: Path, out: Path, workers: int) -> float:
    """Return the seconds of a run on so many worker processes of one thread."""
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.run(warm_up)
        started = perf_counter()
        phangs_xr.run(config, out, client)
        return perf_counter() - started


if __name__ == "__main__":
    print(measure_run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
