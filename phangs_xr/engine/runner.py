"""Run tasks on threads of this process or on a Dask cluster's workers, and merge their results.

The tasks are one dask graph either way; on threads, freed memory is kept for the next task.
"""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import count
from typing import Any

from dask.base import compute
from dask.callbacks import Callback
from dask.delayed import delayed
from dask.system import CPU_COUNT
from dask.threaded import get as get_threaded
from threadpoolctl import threadpool_limits

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import DEFAULT_CHUNK

FAN_IN = 8
"""How many partial results are merged at a time."""

RETRIES = 2
"""How often a failed task of a cluster is tried again: shared files fail now and then."""

TRIM_EVERY = 4
"""Tasks after which free memory goes back to the system."""

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Runner:
    """Where tasks run.

    Attributes
    ----------
    client
        Of a Dask cluster; threads of this process if None.
    threads
        How many of this process's threads; one for each of the machine's cores if None.
    chunk
        Side of the tiles [pixel].
    on_start
        Called with what is about to be done and the number of tasks; returns a function to call
        with the number of tasks done since the last call.
    remote
        Whether the workers may be on other machines than this process.
    """

    client: Any = None
    threads: int | None = None
    chunk: int = DEFAULT_CHUNK
    on_start: Callable[[str, int], Advance] = field(default=lambda title, tasks: lambda done: None)
    remote: bool = False

    def run(
        self,
        title: str,
        function: Callable[[Any, Any], Any],
        shared: Any,
        items: Sequence[Any],
        merge: Callable[[Sequence[Any]], Any] | None = None,
    ) -> Any:
        """Call `function(shared, item)` for every item, as one dask graph.

        Parameters
        ----------
        title
            What is being done, for the progress report.
        function
            Picklable; its results are dropped unless `merge` is given.
        shared
            What all tasks need, sent to a cluster once per worker.
        items
            What each task needs.
        merge
            Joins a list of results, in any order and grouping; None results are left out.

        Returns
        -------
        object
            The merged result, None without `merge`.

        Raises
        ------
        InputError
            If a cluster's workers die of a task again and again, or its scheduler is gone.
        """
        name = f"{title.split()[0].rstrip(',')}-{uuid.uuid4().hex[:8]}"
        # Tasks go where what they need is: with one copy, to one worker.
        copies = max(len(self.client.nthreads()), 1) if self.client is not None else 1
        common = [
            delayed(shared, name=f"shared-{number}-{name}", traverse=False)
            for number in range(min(copies, len(items)))
        ]
        task = partial(_run_task, function)
        call = delayed(task, name=f"function-{name}", traverse=False)
        leaves = [
            call(common[number % len(common)], item, dask_key_name=(name, number))
            for number, item in enumerate(items)
        ]
        parts: list[Any] = leaves
        while merge is not None and len(parts) > 1:
            groups = [parts[i : i + FAN_IN] for i in range(0, len(parts), FAN_IN)]
            parts = [delayed(_merge, pure=False)(merge, group) for group in groups]
        report = self.on_start(title, len(leaves))
        root = parts[0] if merge is not None else None
        try:
            if self.client is not None:
                return self._run_on_cluster(title, leaves, root, report)
            names = {leaf.key for leaf in leaves}
            # Tasks run side by side already; more threads for their matrix products hinder them.
            with _Progress(names, report), threadpool_limits(1, user_api="blas"):
                # Not left to dask, which takes more outside the main thread.
                number = self.threads or CPU_COUNT
                results = compute(*parts, scheduler=get_threaded, num_workers=number)
            return results[0] if root is not None else None
        finally:
            _return_memory()

    def _run_on_cluster(self, title: str, leaves: Sequence[Any], root: Any, report: Advance) -> Any:
        from distributed import KilledWorker, as_completed
        from distributed.client import FutureCancelledError

        wanted = [*leaves, root] if root is not None else leaves
        try:
            futures = self.client.compute(wanted, retries=RETRIES)
            result = futures.pop() if root is not None else None
            completed = as_completed(futures, loop=self.client.loop)
            # A finished task that nothing waits for must not be done again if its worker dies.
            del futures
            for future in completed:
                # A failed task raises here, with its own traceback.
                if future.status != "finished":
                    future.result()
                report(1)
            return result.result() if result is not None else None
        except KilledWorker as error:
            message = (
                f"{title}: workers that outlive each task are needed, found {error.args[0]} at "
                f"work on {error.allowed_failures + 1} that died, the last at "
                f"{error.last_worker.address}: give workers more memory, or smaller chunks"
            )
            raise InputError(message) from error
        except FutureCancelledError as error:
            message = (
                f"{title}: a scheduler that stays to the end is needed, found it gone ({error}): "
                f"start it and run again, what is finished is kept"
            )
            raise InputError(message) from error


def _run_task(function: Callable[[Any, Any], Any], shared: Any, item: Any) -> Any:
    _keep_memory()
    try:
        return function(shared, item)
    finally:
        if next(_finished) % TRIM_EVERY == 0:
            _return_memory()


_finished = count(1)
"""Of this process: when memory is given back changes no result."""


@cache
def _keep_memory() -> None:
    """Have glibc keep freed buffers of up to a few chunks for the next task, in one place for all.

    Left to itself it keeps some per thread, in pieces that the next buffer may not fit into, and
    hands others back at once, to be had anew from the system page by page: that took a sixth of a
    run, and keeping the pieces half as much memory again, the more the longer a run lasts.
    """
    trim_threshold, mmap_threshold, arena_max = -1, -3, -8
    _call_glibc("mallopt", arena_max, 1)
    _call_glibc("mallopt", mmap_threshold, 32 << 20)
    _call_glibc("mallopt", trim_threshold, 128 << 20)


def _return_memory() -> None:
    """Have glibc hand what is free back to the system, so that what comes next begins afresh."""
    _call_glibc("malloc_trim", 0)


def _call_glibc(name: str, *numbers: int) -> None:
    try:
        getattr(ctypes.CDLL(None), name)(*numbers)
    except (AttributeError, OSError, TypeError):
        # Another C library, with other habits.
        return


class _Progress(Callback):
    """Report each finished task of a set to a function."""

    def __init__(self, names: set[str], report: Advance) -> None:
        def posttask(key: str, *_: Any) -> None:
            if key in names:
                report(1)

        super().__init__(posttask=posttask)  # type: ignore[no-untyped-call]


def _merge(merge: Callable[[Sequence[Any]], Any], results: Sequence[Any]) -> Any:
    return merge([result for result in results if result is not None])
