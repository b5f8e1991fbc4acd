"""The plain recipe as a process: `python -m tests.benchmarks.yardstick CONFIG OUT [skip-cosmics]`.

Reads the same files, writes the same products, sums the same nebulae, all with whole arrays, and
leaves the seconds of each step in `OUT/seconds.json`. Nothing of phangs_xr is imported.
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from time import perf_counter
from unittest import mock

import numpy as np
from astropy.io import fits

from tests import plain

NO_PRODUCTS = ("offset", "fit", "cosmics_xy", "cosmic_mask")


def keep_cosmics(
    image: plain.Image, _: plain.Image
) -> tuple[plain.Image, plain.Image, plain.Image]:
    """Take the place of `remove_cosmic_rays`, whose cost grows as the pixels squared."""
    return image, np.empty((0, 0)), np.empty((0, 2))


def run_yardstick(config: Path, out: Path) -> dict[str, float]:
    """Run the plain recipe, nebulae and files included; return the seconds of each step.

    Those of `sum_nebulae` include bringing the mask onto HST's grid.
    """
    paths = {
        name: config.parent / path
        for name, path in tomllib.loads(config.read_text())["inputs"].items()
    }
    resolution = re.search(r"-([\d.]+)asec", paths["muse"].name)
    bands = (paths["narrow"], paths["continuum1"], paths["continuum2"], paths["muse"])
    seconds: dict[str, float] = {}
    made = plain.run_plain(*bands, muse_fwhm=float(resolution[1]), timings=seconds)
    header = fits.getheader(paths["narrow"])
    muse_header = fits.getheader(paths["muse"], "HA6562_FLUX")

    started = perf_counter()
    mask, mask_header = plain.load(paths["nebula_mask"])
    images = (made["halpha"], made["anchored"])
    plain.sum_nebulae(mask, made["musehalpha"], mask_header, *images, header)
    seconds["sum_nebulae"] = perf_counter() - started

    for name in sorted(made.keys() - NO_PRODUCTS):
        started = perf_counter()
        cards = plain.read_wcs(muse_header if name == "musehalpha" else header).to_header()
        fits.writeto(out / f"{name}.fits", made[name].astype(np.float32), cards)
        kind = "write_nocosmic" if name.endswith("nocosmic") else "write"
        seconds[kind] = seconds.get(kind, 0.0) + perf_counter() - started
    return seconds


def main(config: str, directory: str, *flags: str) -> None:
    out = Path(directory)
    out.mkdir()
    taken = keep_cosmics if flags else plain.remove_cosmic_rays
    with mock.patch.object(plain, "remove_cosmic_rays", taken):
        seconds = run_yardstick(Path(config), out)
    (out / "seconds.json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
