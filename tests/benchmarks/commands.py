"""Run a command as a fresh process, and measure it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Usage:
    """What a process took, children of its own left out.

    Attributes
    ----------
    seconds
        On the wall.
    cpu
        Seconds of all its threads.
    peak
        Resident memory [MB].
    said
        On its standard output and error.
    """

    seconds: float
    cpu: float
    peak: float
    said: str = ""


def run_python(module: str, *arguments: str | int | Path) -> Usage:
    """Run `python -m module arguments` in the repository, importing included.

    A process begins with the peak memory of the one that starts it: this one must stay small, so
    whatever needs NumPy is done in such processes.

    Raises
    ------
    RuntimeError
        If the command fails, with the end of what it said.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    # What was written before must not be paid for by this command.
    os.sync()
    with tempfile.TemporaryFile() as said:
        started = perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if process.returncode != 0:
        raise RuntimeError(f"exit {process.returncode}: {' '.join(command)}\n{text[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6, text)


def run_cli(command: str, *arguments: str | int | Path) -> Usage:
    """Run `phangs-xr command arguments`."""
    return run_python("phangs_xr", command, *arguments)


def sum_passes(said: str) -> float:
    """Return the seconds that the passes over the pixels took, as a command prints them."""
    return sum(float(seconds) for seconds in re.findall(r"chunks, ([\d.]+) s", said))


@contextmanager
def fresh_directory(path: Path) -> Iterator[Path]:
    """Give a path at which there is nothing, before and after."""
    shutil.rmtree(path, ignore_errors=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
