"""Simulate a galaxy, as a process of its own: `python -m tests.benchmarks.prepare SIZE DIR`.

Leaves in DIR the configurations `ngc0628.toml` and `without_cosmics.toml`; the latter wants all
products but those of `remove_cosmic_rays`.
"""

import json
import sys
from pathlib import Path

from phangs_xr.schema import PRODUCTS
from phangs_xr.simulate import Galaxy, simulate_galaxy

COSMICS = ("anchored_intnegs_nocosmic", "cosmic_mask")


def prepare_case(size: int, directory: Path) -> None:
    """Write what there is not yet, and what follows from it."""
    config = directory / "ngc0628.toml"
    if not config.exists():
        config = simulate_galaxy(directory, Galaxy(size=size))
    kept = [name for name in PRODUCTS if name not in COSMICS]
    without = f"{config.read_text()}\n[output]\nproducts = {json.dumps(kept)}\n"
    (directory / "without_cosmics.toml").write_text(without)


if __name__ == "__main__":
    prepare_case(int(sys.argv[1]), Path(sys.argv[2]))
