"""What a run shows while it works and when it is done: bars on a terminal, lines in a log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from time import gmtime, monotonic
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

from phangs_xr.errors import InputError

Advance = Callable[[int], None]

_HANDLER, _LOG = "phangs-xr", "phangs-xr --log"
"""Names of what sends the package's log to the standard error, and to a file."""

_logger = logging.getLogger("phangs_xr")


class ProgressReport:
    """Report the progress of a run: a bar per pass on a terminal, a line per pass in a log.

    Parameters
    ----------
    quiet
        Report nothing, but in the file of --log.
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
        advances = [self._start_line(title, tasks, write_log)]
        if self._progress is not None:
            advances.append(self._start_bar(self._progress, title, tasks))
        elif not self._quiet:
            advances.append(self._start_line(title, tasks, _write_line))

        def advance(done: int) -> None:
            for one in advances:
                one(done)

        return advance

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

    def _start_line(self, title: str, tasks: int, write: Callable[[str], None]) -> Advance:
        started = monotonic()
        done_so_far = 0

        def advance(done: int) -> None:
            nonlocal done_so_far
            with self._lock:
                done_so_far += done
                if done_so_far == tasks:
                    seconds = monotonic() - started
                    rate = tasks * self._size / max(seconds, 1e-3)
                    write(f"{title}: {tasks} chunks, {seconds:.1f} s, {rate:.1f} Mpx/s")

        return advance


def _write_line(text: str) -> None:
    sys.stderr.write(f"{text}\n")


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
    for line in text.splitlines():
        write_log(line)


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
    write_log(message, logging.ERROR)


def set_up_logging(quiet: bool, debug: bool) -> None:
    """Send the package's log to the standard error; warnings only if quiet."""
    level = logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO
    # The file of --log holds all, whatever is shown.
    _logger.setLevel(level if _find_log() is None else logging.DEBUG)
    for old in list(_logger.handlers):
        if old.name == _HANDLER:
            _logger.removeHandler(old)
    # A new one each time: the standard error may be another by now.
    handler = logging.StreamHandler()
    # What a user should know of a file is said in words of this package.
    logging.getLogger("astropy").setLevel(logging.WARNING if debug else logging.CRITICAL)
    handler.name = _HANDLER
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    _logger.addHandler(handler)


class _LineFormatter(logging.Formatter):
    """One line a record: time (UTC), level, process, words."""

    converter = staticmethod(gmtime)

    def __init__(self) -> None:
        layout = "%(asctime)s.%(msecs)03dZ %(levelname)s [%(process)d] %(message)s"
        super().__init__(layout, "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Put what is more than a line into one."""
        return " ".join(super().format(record).split())


def open_log(path: Path) -> None:
    """Append the package's log to a file too, from now on; `close_log` ends it.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    close_log()
    try:
        # Opened to append, a line is written at one go: commands may share a file.
        handler = logging.FileHandler(path, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        message = (
            f"--log {path}: a file that can be written is needed, found that it cannot "
            f"({error.strerror}): give another"
        )
        raise InputError(message) from None
    handler.name = _LOG
    handler.setFormatter(_LineFormatter())
    _logger.addHandler(handler)
    _logger.setLevel(logging.DEBUG)


def close_log() -> None:
    """Close the file of --log, if there is one."""
    handler = _find_log()
    if handler is not None:
        _logger.removeHandler(handler)
        handler.close()


def write_log(text: str, level: int = logging.INFO) -> None:
    """Write to the file of --log alone what is shown elsewhere by other ways."""
    handler = _find_log()
    if handler is not None:
        handler.handle(_logger.makeRecord(_logger.name, level, "", 0, text, (), None))


def _find_log() -> logging.Handler | None:
    return next((one for one in _logger.handlers if one.name == _LOG), None)
