"""Several fields in one command: side by side on a cluster, and none stops the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from logging import ERROR
from pathlib import Path

from phangs_xr.cli.console import show_table, write_log
from phangs_xr.errors import InputError

LISTEN_EVERY = 0.2
"""How long Ctrl-C may go unheard while several fields are at work [s]."""


def run_fields(
    configs: Sequence[Path], run_one: Callable[[Path], None], at_once: int, debug: bool
) -> None:
    """Run several fields; one that fails does not stop the others.

    Parameters
    ----------
    configs
        Their configurations.
    run_one
        Runs one of them.
    at_once
        How many at a time.
    debug
        Whether to show the traceback of each failure.

    Raises
    ------
    InputError
        After all are done, if any failed.
    """

    def attempt(config: Path) -> str:
        try:
            run_one(config)
        except Exception as error:  # any failure of one field is that field's alone
            if debug:
                traceback.print_exc()
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            text = f"failed: {kind}{error}"
            write_log(f"{config} {text}", ERROR)
            return text
        return "done"

    # In this thread if it is one at a time, where Ctrl-C reaches the field at work.
    results = [*map(attempt, configs)] if at_once == 1 else map_at_once(attempt, configs, at_once)
    show_table("fields", ("configuration", "result"), zip(configs, results, strict=True))
    failed = [str(config) for config, text in zip(configs, results, strict=True) if text != "done"]
    if failed:
        raise InputError(f"{len(failed)} of {len(configs)} fields failed: {', '.join(failed)}")


def map_at_once(
    function: Callable[[Path], str], configs: Sequence[Path], at_once: int
) -> list[str]:
    """Call a function for several fields at a time; Ctrl-C does not wait for those at work."""
    pool = ThreadPoolExecutor(at_once)
    try:
        futures = [pool.submit(function, config) for config in configs]
        # A signal that the system hands to another thread does not end a wait of this one: it is
        # heard when the wait is over.
        while wait(futures, timeout=LISTEN_EVERY).not_done:
            pass
        return [future.result() for future in futures]
    finally:
        # Of those still at work the tasks are dropped when the cluster is left.
        pool.shutdown(wait=False, cancel_futures=True)
