"""Run several fields on one Dask cluster, started here or anywhere else.

    python run_on_cluster.py ngc0628.toml ngc1672.toml --workers 8
    python run_on_cluster.py ngc0628.toml ngc1672.toml --scheduler tcp://10.0.0.1:8786

Workers read the images themselves, so all machines must see the same files under the same paths.
Products go to `OUT/{galaxy}`. A run that was stopped is completed by the same command.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from distributed import Client, LocalCluster

import phangs_xr
from phangs_xr.engine.config import load_config

FIELDS_AT_ONCE = 4
"""Enough to keep the workers busy while one field measures what the next step needs."""


def run_field(path: Path, out: Path, chunk: int, client: Client) -> str:
    """Run one field and say how it went: one that fails does not stop the others."""
    try:
        field = phangs_xr.run(path, out / load_config(path).galaxy, client=client, chunk=chunk)
    except Exception as error:
        return f"{path}: failed: {error}"
    return f"{path}: {len(field['hst'].data_vars)} images in {out / field.attrs['galaxy']}"


def run_fields(paths: list[Path], out: Path, chunk: int, client: Client) -> bool:
    """Run all fields on one cluster, and say whether all went well."""
    work = partial(run_field, out=out, chunk=chunk, client=client)
    with ThreadPoolExecutor(FIELDS_AT_ONCE) as pool:
        results = list(pool.map(work, paths))
    print("\n".join(results))
    return not any(": failed: " in result for result in results)


def main() -> int:
    """Parse the command line, connect to a cluster or start one, and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("products"))
    parser.add_argument("--scheduler", help="address of a running scheduler")
    parser.add_argument("--workers", type=int, default=2, help="processes, without --scheduler")
    parser.add_argument("--chunk", type=int, default=2000, help="side of a chunk [pixel]")
    given = parser.parse_args()
    with ExitStack() as stack:
        cluster = given.scheduler
        if cluster is None:
            # One thread each: the steps hold the interpreter too much for two to share it.
            cluster = LocalCluster(
                n_workers=given.workers, threads_per_worker=1, dashboard_address="127.0.0.1:0"
            )
            stack.enter_context(cluster)
        client = stack.enter_context(Client(cluster))
        print(f"watch it on {client.dashboard_link}")
        return 0 if run_fields(given.configs, given.out, given.chunk, client) else 1


if __name__ == "__main__":
    raise SystemExit(main())
