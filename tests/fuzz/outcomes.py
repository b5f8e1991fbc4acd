"""Give damaged input to the command line, in this process, and say what came of it."""

import contextlib
import faulthandler
import io
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from phangs_xr import load
from phangs_xr.cli import main
from phangs_xr.errors import InputError
from tests.fuzz.damage import Damage, write_toml
from tests.fuzz.pristine import CONFIG, WEIGHT, make_files

PATIENCE = 60
"""Seconds after which something hangs, on any machine."""


class Hung(BaseException):
    """The patience is at an end; no `except Exception` hears it."""


@dataclass(frozen=True)
class Outcome:
    """What came of one example.

    Attributes
    ----------
    result
        "used", "told", "traceback" or "hung".
    text
        The line that was told, or the traceback.
    seconds
        Of this process's time.
    """

    result: str
    text: str
    seconds: float


class Bench:
    """A directory with the pristine field, of which one file at a time is damaged."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.config = place / "field.toml"
        self.files = {**make_files(), "field.toml": write_toml(CONFIG).encode()}
        for name, content in self.files.items():
            (place / name).write_bytes(content)

    def try_damage(self, damage: Damage, compute: bool) -> Outcome:
        """Plan with a damaged file, and run if that is accepted and asked for."""
        name = "field.toml" if damage.target == "configuration" else damage.target
        path = self.place / name
        path.write_bytes(damage.content)
        started = time.process_time()
        try:
            with _watch():
                result, text = self._use(damage, compute)
        except Hung:
            result, text = "hung", traceback.format_exc()
        finally:
            path.write_bytes(self.files[name])
        return Outcome(result, text, time.process_time() - started)

    def _use(self, damage: Damage, compute: bool) -> tuple[str, str]:
        if damage.target == WEIGHT:
            return _attempt(lambda: _open_image(self.place / WEIGHT))
        found = _attempt(lambda: _call("plan", self.config))
        written = self._remove_written()
        if written:
            return "traceback", f"plan wrote {written}"
        if found[0] != "used" or not compute:
            return found
        with tempfile.TemporaryDirectory() as out:
            found = _attempt(lambda: _call("run", self.config, "--out", out, "--threads", "2"))
        # A configuration may have its store here.
        self._remove_written()
        return found

    def _remove_written(self) -> list[str]:
        """Remove what is not of the field; return its names."""
        found = [path for path in self.place.iterdir() if path.name not in self.files]
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return [path.name for path in found]


def _open_image(path: Path) -> None:
    # What one opens in a notebook raises what the command line prints.
    try:
        image = xr.open_dataset(path, engine="fits")["image"].assign_attrs(source=str(path))
        load(image, image).compute(scheduler="sync")
    except InputError as error:
        raise SystemExit(_print(f"phangs-xr: {error}")) from None
    raise SystemExit(0)


def _print(line: str) -> int:
    sys.stderr.write(f"{line}\n")
    return 2


def _call(*arguments: object) -> None:
    main([*map(str, arguments), "--quiet"])


def _attempt(action: Callable[[], None]) -> tuple[str, str]:
    """Return "used", "told" or "traceback", and what was printed."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        # Each time, not once per line of code, and whatever the tests make of warnings.
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("always", RuntimeWarning)
        try:
            action()
        except SystemExit as stop:
            code = stop.code
        except Exception:
            return "traceback", traceback.format_exc()
        finally:
            _forget_log()
    text = err.getvalue()
    if code == 0:
        return "used", text
    one_line = code == 2 and text.count("\n") == 1 and re.match("phangs-xr: .{20,}", text)
    return ("told" if one_line else "traceback"), f"exit {code}: {text}"


def _forget_log() -> None:
    logging.getLogger("phangs_xr").handlers[:] = []


@contextlib.contextmanager
def _watch() -> Iterator[None]:
    """Raise `Hung` when it takes too long; end the process if not even that is heard."""

    def bark(*_: object) -> None:
        raise Hung(f"still at work after {PATIENCE} s")

    # The tests have a watchdog of the same kind.
    before = signal.signal(signal.SIGALRM, bark), signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    if os.environ.get("PYTEST_CURRENT_TEST") is None:
        faulthandler.dump_traceback_later(2 * PATIENCE, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before[0])
        signal.setitimer(signal.ITIMER_REAL, *before[1])
        if os.environ.get("PYTEST_CURRENT_TEST") is None:
            faulthandler.cancel_dump_traceback_later()
