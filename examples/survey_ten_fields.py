"""A survey of ten simulated galaxies in one archive: one run fails, one is taken again.

    python examples/survey_ten_fields.py OUT [--size 600] [--fields 10]

Each field has its own configuration; all name one store, and each a group of it. Two worker
processes run them. One galaxy's narrow-band image is cut short: its run is refused, the others go
on, and the index page says so. Then one field is run with another option, and the survey reads just
that one again.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from phangs_xr.simulate import make_real_galaxy, simulate_galaxy

BROKEN, CHANGED = 1, 2
"""Which of them fails, and which is taken again."""


def make_fields(out: Path, size: int, fields: int) -> list[Path]:
    """Simulate the galaxies; return their configurations, which share a store."""
    configs = []
    for number in range(fields):
        galaxy = make_real_galaxy(size=size, seed=number)
        config = simulate_galaxy(out / f"data/field{number}", galaxy, recipe="default")
        with config.open("a") as text:
            group = f'group = "ngc0628-{number}/f555w_f814w"'
            text.write(f'\n[output]\nstore = "{out}/survey.zarr"\n{group}\nfits = []\n')
        configs.append(config)
    return configs


def call(out: Path, command: str, *arguments: object) -> None:
    """Run the command line in a directory."""
    words = [command, *map(str, arguments), "--quiet"]
    print("$ phangs-xr", *words, flush=True)
    subprocess.run([sys.executable, "-m", "phangs_xr", *words], cwd=out, check=False)  # noqa: S603


def main() -> None:
    """Make the fields, run them, survey them; change one, and do it again."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=600, help="side of the mosaics [pixel]")
    parser.add_argument("--fields", type=int, default=10, help="three at least")
    given = parser.parse_args()
    out = given.out.absolute()
    configs = make_fields(out, given.size, given.fields)
    narrow = next((configs[BROKEN].parent / "hst").glob("*f658n*sci.fits"))
    narrow.write_bytes(narrow.read_bytes()[:-20000])
    call(out, "run", *configs, "--workers", 2)
    call(out, "survey", *configs)
    changed = configs[CHANGED]
    changed.write_text(re.sub(r"(?m)^ebv = .*$", "ebv = 0.0", changed.read_text()))
    call(out, "run", changed)
    call(out, "survey", *configs)


if __name__ == "__main__":
    main()
