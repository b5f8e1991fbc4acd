"""A small field with every kind of input file, and what the command line makes of it."""

import contextlib
import io
import logging
import shutil
import signal
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.table import Table

from phangs_xr.cli import main
from phangs_xr.errors import InputError
from tests.commands import make_header, write_field

LIMIT = 10.0
"""What an example may take on a quiet machine [s]."""

CONFIG_FILES = {
    "nebula_mask": "data/NGC0628_nebulae_mask_V2.fits",
    "nebula_catalogue": "data/Nebulae_catalogue_v2.fits",
    "star_mask": "data/NGC0628_starmask.fits",
}

FILES = {
    "narrow": "narrow_f658n_sci.fits",
    "continuum": "cont_f555w_sci.fits",
    "tiled": "cont_f814w_sci.fits",
    "maps": "NGC0628-0.92asec_MAPS.fits",
    "mask": "NGC0628_nebulae_mask_V2.fits",
    "catalogue": "Nebulae_catalogue_v2.fits",
    "stars": "NGC0628_starmask.fits",
    "weight": "narrow_f658n_wht.fits",
}
"""Kinds of input, by the file that stands for each."""


def write_inputs(place: Path) -> Path:
    """Write a field with masks, a catalogue, a weight, and one image compressed in tiles."""
    config = write_field(place)
    data = place / "data"
    header = make_header((48, 48), 0.2)
    mask = np.full((48, 48), -1, ">i2")
    mask[10:20, 10:20], mask[30:40, 25:35] = 0, 3
    fits.PrimaryHDU(mask, header).writeto(data / FILES["mask"])
    stars = np.zeros((48, 48), "f4")
    stars[5:9, 5:9] = 1
    fits.PrimaryHDU(stars, header).writeto(data / FILES["stars"])
    rows = Table(
        {
            "gal_name": [b"NGC0628", b"NGC0628", b"IC5332"],
            "region_ID": [0.0, 3.0, 1.0],
            "HA6562_FLUX": np.array([1.0, 2.0, 3.0], "f4"),
            "HII_class": [1, 0, 1],
        }
    )
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(rows)]).writeto(data / FILES["catalogue"])
    with fits.open(data / FILES["tiled"]) as hdus:
        tiled = fits.CompImageHDU(hdus[0].data, hdus[0].header, tile_shape=(80, 80))
        tiled.writeto(data / "tiled.fits")
    (data / "tiled.fits").replace(data / FILES["tiled"])
    weight = np.full((240, 240), 400.0, "f4")
    fits.PrimaryHDU(weight, make_header((240, 240), 0.0396)).writeto(data / FILES["weight"])
    lines = [f'{name} = "{path}"' for name, path in CONFIG_FILES.items()]
    config.write_text(config.read_text() + "\n".join(lines) + "\n")
    return config


class Hung(BaseException):
    """An example that does not come to an end; nothing in between may take it for an error."""


@dataclass(frozen=True)
class Outcome:
    """What became of one example: used, told, traceback or hung."""

    state: str
    text: str
    seconds: float


def _stop(number: int, frame: object) -> None:
    raise Hung


@contextlib.contextmanager
def watch(seconds: float):
    """Raise Hung when the time is over; for the main thread."""
    before = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def call(*arguments: object) -> tuple[int, str]:
    """Run the command line in this process; return its exit code and what it said."""
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            return int(stop.code or 0), errors.getvalue()
    return 0, errors.getvalue()


def try_field(config: Path, run: bool, limit: float) -> Outcome:
    """Plan a field, and run it if it is wanted and can be."""
    out = config.parent / "out"
    shutil.rmtree(out, ignore_errors=True)

    def work() -> tuple[str, str]:
        code, said = call("plan", config, "--out", out, "--quiet")
        left = out.exists()
        if code == 0 and run:
            code, said = call("run", config, "--out", out, "--quiet", "--threads", "1")
            left = False
        lines = [line for line in said.splitlines() if not line.startswith("WARNING: ")]
        if code == 2 and len(lines) == 1 and not left:
            return "told", lines[0]
        return ("used", "") if code == 0 else ("traceback", f"exit {code}: {said}")

    try:
        return measure(work, limit)
    finally:
        shutil.rmtree(out, ignore_errors=True)


def try_image(path: Path, limit: float) -> Outcome:
    """Open an image with the FITS engine and read it, as weights will be."""

    def work() -> tuple[str, str]:
        try:
            xr.open_dataset(path, engine="fits", chunks=None)["image"].load()
        except InputError as error:
            return "told", str(error)
        return "used", ""

    return measure(work, limit)


def measure(work, limit: float) -> Outcome:
    """Do something under a watch."""
    logging.getLogger("phangs_xr").setLevel(logging.WARNING)
    started = time.monotonic()
    try:
        with watch(limit):
            state, text = work()
    except Hung:
        state, text = "hung", ""
    except Exception:
        state, text = "traceback", traceback.format_exc()
    return Outcome(state, text, time.monotonic() - started)
