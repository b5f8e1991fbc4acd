"""Simulate a galaxy, as a process of its own: `python -m tests.benchmarks.prepare SIZE DIR [real]`.

Leaves in DIR the configurations `ngc0628.toml` and `without_cosmics.toml`; the latter wants all
products but those of `remove_cosmic_rays`. A `real` galaxy has a configuration for each recipe,
`{recipe}.toml`.
"""

import json
import sys
from pathlib import Path

from phangs_xr.recipes import RECIPES
from phangs_xr.schema import PRODUCTS
from phangs_xr.simulate import Galaxy, make_real_galaxy, simulate_galaxy
from phangs_xr.simulate.dataset import write_config

COSMICS = ("anchored_intnegs_nocosmic", "cosmic_mask")


def prepare_case(size: int, directory: Path) -> None:
    """Write what there is not yet, and what follows from it."""
    config = directory / "ngc0628.toml"
    if not config.exists():
        config = simulate_galaxy(directory, Galaxy(size=size))
    kept = [name for name in PRODUCTS if name not in COSMICS]
    without = f"{config.read_text()}\n[output]\nproducts = {json.dumps(kept)}\n"
    (directory / "without_cosmics.toml").write_text(without)


def prepare_real(size: int, directory: Path) -> None:
    """Write a galaxy as hard as real ones, if there is none yet."""
    galaxy = make_real_galaxy(size=size)
    if not (directory / "ngc0628.toml").exists():
        simulate_galaxy(directory, galaxy, recipe="default")
    for recipe in RECIPES:
        write_config(galaxy, directory / f"{recipe}.toml", recipe)


if __name__ == "__main__":
    prepare = prepare_real if sys.argv[3:] == ["real"] else prepare_case
    prepare(int(sys.argv[1]), Path(sys.argv[2]))
