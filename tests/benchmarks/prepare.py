"""Simulate a galaxy, as a process of its own: `python -m tests.benchmarks.prepare SIZE DIR`.

Leaves in DIR the configurations `ngc0628.toml` and `without_cosmics.toml`, which wants all products
but those of `remove_cosmic_rays`; and `stages.json`, the steps that a run takes together.
"""

import json
import sys
from pathlib import Path

from phangs_xr.field import prepare_field
from phangs_xr.plan import list_stages
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
    plan = prepare_field(config, directory / "nothing").plan
    stages = [[step.name for step in stage.steps] for stage in list_stages(plan)]
    (directory / "stages.json").write_text(json.dumps(stages))


if __name__ == "__main__":
    prepare_case(int(sys.argv[1]), Path(sys.argv[2]))
