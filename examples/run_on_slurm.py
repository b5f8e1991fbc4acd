"""Run many fields on a SLURM cluster, whose jobs are Dask workers.

    pip install 'phangs_xr[slurm]'
    python run_on_slurm.py fields/*.toml --jobs 4 --cores 8 --memory 16GB --show-script
    python run_on_slurm.py fields/*.toml --jobs 4 --cores 8 --memory 16GB

This process schedules, and needs little: `submit_survey.sh` puts it into a job of its own. The
workers read and write the images themselves, so inputs and products must lie on a file system that
all nodes share. Jobs may start late, or end early: what they had in hand is done again elsewhere.
Products go to `OUT/{galaxy}`. A run that was stopped is completed by the same command.
"""

import argparse
from pathlib import Path

from dask_jobqueue import SLURMCluster
from distributed import Client
from run_on_cluster import run_fields


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("products"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cores", type=int, default=8, help="per job, a worker process on each")
    parser.add_argument("--memory", default="16GB", help="per job; 2 GB a core suits the chunk")
    parser.add_argument("--walltime", default="04:00:00", help="of a job")
    parser.add_argument("--queue", help="SLURM's partition")
    parser.add_argument("--account", help="that pays")
    parser.add_argument("--interface", help="network between nodes, such as ib0")
    parser.add_argument("--logs", type=Path, default=Path("logs"), help="of the jobs")
    parser.add_argument("--chunk", type=int, default=2000, help="side of a chunk [pixel]")
    parser.add_argument("--show-script", action="store_true", help="show the job script and stop")
    return parser.parse_args()


def make_cluster(given: argparse.Namespace) -> SLURMCluster:
    """Return a cluster that has no job yet."""
    return SLURMCluster(
        cores=given.cores,
        processes=given.cores,
        memory=given.memory,
        walltime=given.walltime,
        queue=given.queue,
        account=given.account,
        interface=given.interface,
        log_directory=str(given.logs),
        job_name="phangs_xr",
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
        # A lost allocation must not leave workers behind that wait for a scheduler.
        death_timeout=120,
    )


def main() -> int:
    """Show the job script, or submit the jobs and run the fields on them."""
    given = parse_arguments()
    with make_cluster(given) as cluster:
        if given.show_script:
            print(cluster.job_script())
            return 0
        cluster.scale(jobs=given.jobs)
        with Client(cluster) as client:
            print(f"watch it on {client.dashboard_link}")
            return 0 if run_fields(given.configs, given.out, given.chunk, client) else 1


if __name__ == "__main__":
    raise SystemExit(main())
