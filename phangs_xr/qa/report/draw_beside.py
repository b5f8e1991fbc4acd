"""A process beside this one that draws the figures on paper while this one works on the page.

It is a Python of its own, not a fork, which is unsafe beside threads, and it does not import the
user's script. It opens the store itself, and draws what shows images alone while this process
measures; what was measured then reaches it through a pipe.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import xarray as xr
from dask.system import cpu_count

from phangs_xr.engine.collect_seldom import collect_seldom
from phangs_xr.engine.runner import Runner
from phangs_xr.errors import InputError
from phangs_xr.io.zarr import open_store
from phangs_xr.qa.measure.measurements import Measured

if TYPE_CHECKING:
    from phangs_xr.qa.report.draw_on_paper import PapersHere

Papers: TypeAlias = "PapersBeside | PapersHere"
"""Whoever writes the files of all figures, in a process beside this one or here."""

_CODE = "from phangs_xr.qa.report.draw_beside import answer; answer()"


@contextmanager
def prepare_papers(
    tree: xr.DataTree, location: str, out: Path, runner: Runner | None = None
) -> Iterator[Papers]:
    """Give what draws the figures of a field, in a process of its own if a core is free for it.

    Those are of `tree`, the run in the store `location`; `out` is made if it is missing. The
    threads of `runner` measure at the same time. The process ends with the context.
    """
    alone = runner is not None and runner.threads == 1
    if alone or cpu_count() < 2 or not sys.executable:
        from phangs_xr.qa.report.draw_on_paper import PapersHere

        yield PapersHere(tree, out)
        return
    # Modules are found where this process finds them, whatever put them there.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-c", _CODE, location, str(out)]
    process = subprocess.Popen(  # noqa: S603 (this Python, with paths as its arguments)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    with ThreadPoolExecutor(1) as pool, process:
        try:
            yield PapersBeside(process, pool)
        finally:
            # It has answered, or nobody waits for its answer any more.
            process.kill()


class PapersBeside:
    """Has the figures drawn by another process, which runs `answer`.

    A thread of `pool` talks to it: it reads only once it has drawn what it can without.
    """

    def __init__(self, process: subprocess.Popen[bytes], pool: ThreadPoolExecutor) -> None:
        self._process, self._pool = process, pool
        self._answer: Future[tuple[bytes, bytes]] = Future()

    def draw(self, found: Measured) -> None:
        """Send what was measured."""
        self._answer = self._pool.submit(self._process.communicate, pickle.dumps(found))

    def finish(self) -> dict[str, str]:
        """Wait for the answer: why figures cannot be drawn; InputError if there is none."""
        text, _ = self._answer.result()
        if not text:
            message = (
                f"the figures: expected the process that draws them to end with an answer, found "
                f"it ended with {self._process.returncode} (negative: a signal; -9 is what a "
                f"system out of memory sends): free memory and run again, or with --threads 1, "
                f"which draws in one process"
            )
            raise InputError(message)
        failures: dict[str, str] | Exception = pickle.loads(text)  # noqa: S301 (from our own process)
        if isinstance(failures, Exception):
            raise failures
        return failures


def answer() -> None:
    """Draw the figures of the store and into the directory that the command line names.

    Reads a pickled `Measured` from standard input, writes to standard output, pickled, why figures
    cannot be drawn, or the exception that ended it.
    """
    # Who started this process decides when it ends; Ctrl-C reaches both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not get between the bytes of the answer.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        location, out = sys.argv[1:]
        try:
            result: Any = _draw(location, Path(out))
        except EOFError:
            # Nobody waits any more.
            return
        except Exception as error:
            result = _carry(error)
        answers.write(pickle.dumps(result))


def _draw(location: str, out: Path) -> dict[str, str]:
    from phangs_xr.qa.figures.list_figures import list_pictures
    from phangs_xr.qa.report.draw_on_paper import draw_papers

    collect_seldom()
    # The process that measures replaces the nebulae, and sends them when it has.
    tree = open_store(location, chunked=False, nebulae=False)
    early = [picture for picture in list_pictures(tree) if not picture.needs_measured]
    failures = draw_papers(tree, Measured(), out, early)
    found: Measured = pickle.load(sys.stdin.buffer)  # noqa: S301 (from who started this process)
    late = [picture for picture in list_pictures(tree) if picture.needs_measured]
    return {**failures, **draw_papers(tree, found, out, late)}


def _carry(error: Exception) -> Exception:
    """Return an exception that survives the way to the other process, with its traceback."""
    text = "".join(traceback.format_exception(error))
    if isinstance(error, InputError):
        return error
    try:
        error.add_note(f"In the process that draws the figures:\n{text}")
        pickle.loads(pickle.dumps(error))  # noqa: S301 (made here)
    except Exception:
        # Not every exception can be made anew from what it says of itself.
        return RuntimeError(f"in the process that draws the figures:\n{text}")
    return error
