"""`python -m tests.truth`, from the root of the repository, says how near to the truth maps come.

One row per simulated galaxy and recipe: median and scatter (dex) of flux over truth of nebulae
brighter than 3000e-20 erg/s/cm², the scatter that the images' noise alone gives and the ratio of
both, the slope on the brightest per cent of pixels, median and robust scatter of the pulls of all
nebulae, scatter of the pulls of faint pixels, and of cosmic rays above 20 noises the share found,
of stars, clusters and knots the share cut by mistake (per cent).
"""

import argparse
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields, replace
from pathlib import Path

import numpy as np

from phangs_xr.recipes import RECIPES
from phangs_xr.simulate import REAL_EFFECTS, Effects, Galaxy, make_real_galaxy
from phangs_xr.simulate.galaxy import REAL_BANDS
from tests.truth.figures import Figures, measure_figures
from tests.truth.skies import Sky

COLUMNS = (
    *("median", "scatter", "floor", "ratio", "slope", "pull", "spread", "faint"),
    *("found %", "cut %"),
)
SWITCHES = [item.name for item in fields(Effects)]


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.truth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bands", nargs="+", choices=list(REAL_BANDS), default=list(REAL_BANDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 1500])
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=["default"])
    parser.add_argument(
        "--without",
        nargs="+",
        choices=SWITCHES,
        default=[],
        metavar="EFFECT",
        help=f"effects switched off: {', '.join(SWITCHES)}",
    )
    parser.add_argument("--data", type=Path, help="where galaxies and runs are kept")
    return parser.parse_args(arguments)


@contextmanager
def open_directory(path: Path | None, name: str) -> Iterator[Path]:
    """Give a directory, one that is removed in the end if none is asked for."""
    if path is not None:
        yield path / name
        return
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def format_row(name: str, figures: Figures) -> str:
    median, scatter, floor, slope, pull, spread, faint, found, cut = astuple(figures)
    shown = [f"{value:8.3f}" for value in (median, scatter, floor, figures.excess)]
    shown += [f"{value:8.3f}" for value in (slope, pull, spread, faint)]
    shown += [f"{100 * found:8.1f}", f"{100 * cut:8.2f}"]
    return f"{name:38s}{''.join(shown)}"


def choose_effects(without: Sequence[str]) -> Effects:
    plain = Effects()
    return replace(REAL_EFFECTS, **{name: getattr(plain, name) for name in without})


def list_galaxies(given: argparse.Namespace) -> Iterator[tuple[str, Galaxy]]:
    effects = choose_effects(given.without)
    for band in given.bands:
        for seed in given.seeds:
            for size in given.sizes:
                galaxy = make_real_galaxy(band, effects, seed=seed, size=size)
                yield f"{band.lower()}-{seed}-{size}", galaxy


def main(arguments: Sequence[str] | None = None) -> None:
    warnings.simplefilter("ignore")
    given = parse_arguments(arguments)
    print(f"{'':38s}{''.join(f'{name:>8s}' for name in COLUMNS)}", flush=True)
    measured: dict[str, list[Figures]] = {recipe: [] for recipe in given.recipes}
    for name, galaxy in list_galaxies(given):
        with open_directory(given.data, name) as directory:
            sky = Sky.simulate(galaxy, directory)
            for recipe in given.recipes:
                figures = measure_figures(sky, sky.run(recipe), recipe)
                measured[recipe].append(figures)
                print(format_row(f"{name} {recipe}", figures), flush=True)
    for recipe, rows in measured.items():
        mean = Figures(*np.mean([astuple(row) for row in rows], axis=0))
        print(format_row(f"mean of {len(rows)} {recipe}", mean))


if __name__ == "__main__":
    main()
