"""What a run shows while it works and when it is done: bars on a terminal, lines in a log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from time import monotonic
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

Advance = Callable[[int], None]

_HANDLER = "phangs-xr"


class ProgressReport:
    """Report the progress of a run: a bar per pass on a terminal, a line per pass in a log.

    Parameters
    ----------
    quiet
        Report nothing.
    tile_megapixels
        Of one task, for the rate.
    """

    def __init__(self, quiet: bool, tile_megapixels: float) -> None:
        self._quiet = quiet
        self._size = tile_megapixels
        self._lock = Lock()
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        if not quiet and sys.stderr.isatty():
            self._progress = Progress(
                TextColumn("{task.description}", table_column=None),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TaskProgressColumn(show_speed=False),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def start(self, title: str, tasks: int) -> Advance:
        """Begin a pass of so many tasks; return what to call as they are done."""
        if self._quiet:
            return lambda done: None
        if self._progress is None:
            return self._start_line(title, tasks)
        return self._start_bar(self._progress, title, tasks)

    def _start_bar(self, progress: Progress, title: str, tasks: int) -> Advance:
        bar = progress.add_task(title, total=tasks, rate="")
        started = monotonic()
        done_so_far = 0

        def advance(done: int) -> None:
            nonlocal done_so_far
            with self._lock:
                done_so_far += done
                rate = done_so_far * self._size / max(monotonic() - started, 1e-3)
                progress.update(bar, advance=done, rate=f"{rate:.1f} Mpx/s")

        return advance

    def _start_line(self, title: str, tasks: int) -> Advance:
        started = monotonic()
        done_so_far = 0

        def advance(done: int) -> None:
            nonlocal done_so_far
            with self._lock:
                done_so_far += done
                if done_so_far == tasks:
                    seconds = monotonic() - started
                    rate = tasks * self._size / max(seconds, 1e-3)
                    line = f"{title}: {tasks} chunks, {seconds:.1f} s, {rate:.1f} Mpx/s"
                    sys.stderr.write(line + "\n")

        return advance


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on the standard output."""
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    make_console().print(table, markup=False)


def show_line(text: str) -> None:
    """Print a line on the standard output, as it is."""
    make_console().print(text, markup=False, highlight=False, soft_wrap=True)


def show_lines(lines: Sequence[str]) -> None:
    """Print lines that belong together, without others of another thread between them."""
    if lines:
        show_line("\n".join(lines))


def make_console() -> Console:
    """Return a console on today's standard output; wide where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 200)


def report_error(message: str) -> None:
    """Print a user's mistake as one line on the standard error."""
    sys.stderr.write(" ".join(f"phangs-xr: {message}".split()) + "\n")


def set_up_logging(quiet: bool, debug: bool) -> None:
    """Send the package's log to the standard error; warnings only if quiet."""
    logger = logging.getLogger("phangs_xr")
    logger.setLevel(logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO)
    for old in list(logger.handlers):
        if old.name == _HANDLER:
            logger.removeHandler(old)
    # A new one each time: the standard error may be another by now.
    handler = logging.StreamHandler()
    # What a user should know of a file is said in words of this package.
    logging.getLogger("astropy").setLevel(logging.WARNING if debug else logging.CRITICAL)
    handler.name = _HANDLER
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.addHandler(handler)
