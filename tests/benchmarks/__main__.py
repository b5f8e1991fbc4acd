"""`python -m tests.benchmarks`, from the root of the repository, prints what the project claims."""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.cases import Case, Runs, Yardstick
from tests.benchmarks.commands import Usage, run_cli, run_python, sum_passes
from tests.benchmarks.tables import Cell, divide, print_table

NAMES = ("speed", "steps", "memory", "recipes", "processes", "report", "graph")
RECIPES = ("barnes2023", "chandar2025", "default")
PACKAGES = ("phangs_xr", "numpy", "dask", "xarray", "zarr", "astropy", "photutils", "reproject")
OTHERS = ("sum_nebulae", "write", "write_nocosmic")
SPEED_COLUMNS = (
    *("seconds", "run", "qa", "run --qa", "cpu"),
    *("yardstick", "yardstick / run --qa", "floor", "run --qa / floor"),
)
NEEDS_RUN = {"speed", "steps", "memory", "report"}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 4000], help="sides [pixel]")
    parser.add_argument("--large", action="store_true", help="8000 too")
    parser.add_argument("--huge", action="store_true", help="16000 too")
    parser.add_argument("--data", type=Path, help="where simulated galaxies are kept, or found")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="some tables")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each recipe, in turn")
    given = parser.parse_args(arguments)
    more = [8000] * given.large + [16000] * given.huge
    given.sizes = sorted({*given.sizes, *more})
    return given


@contextmanager
def open_directory(path: Path | None) -> Iterator[Path]:
    """Give the directory asked for, or one that is removed in the end."""
    if path is not None:
        path.mkdir(parents=True, exist_ok=True)
        yield path.resolve()
        return
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def print_speed(case: Case, runs: Runs, yardstick: Yardstick | None, out: Path) -> None:
    """Compare one command with the yardstick, one process too, and with reading and writing."""
    floor = case.measure_floor(out)
    with case.run(case.without_cosmics) as (bare, bare_runs):
        bare_floor = case.measure_floor(bare)
    totals = (yardstick.total, yardstick.without_cosmics) if yardstick else (None, None)
    measured = (("all steps", runs, floor), ("without cosmic rays", bare_runs, bare_floor))
    rows: list[list[Cell]] = []
    for (name, spent, least), plain in zip(measured, totals, strict=True):
        ours = spent.at_once.seconds
        whole = (ours, spent.at_once.cpu, plain, divide(plain, ours), least, ours / least)
        rows.append([name, spent.run.seconds, spent.qa.seconds, *whole])
    print_table(
        f"speed, {case.size}² pixels: yardstick at least 12 times run --qa at 4000² with cosmic "
        f"rays, 10 at 8000² without; run --qa at most 4 times the floor",
        SPEED_COLUMNS,
        rows,
    )
    if yardstick:
        print(f"yardstick: peak {yardstick.usage.peak:.0f} MB", flush=True)


def print_steps(case: Case, plain: Mapping[str, float], out: Path) -> None:
    """Compare each step alone."""
    rows = [
        (name, plain.get(name), seconds, divide(plain.get(name), seconds))
        for name, seconds in case.measure_steps(out).items()
    ]
    # What the yardstick does besides belongs to no step of ours.
    rest = [(name, plain[name], None, None) for name in OTHERS]
    print_table(
        f"steps alone, {case.size}² pixels, each with its reading and measuring",
        ("step", "yardstick s", "ours s", "yardstick / ours"),
        [*rows, *rest],
    )


def print_report(case: Case, out: Path) -> None:
    """Say what the report takes beyond the measurements."""
    bare = run_cli("qa", out, "--no-report", "--threads", 2)
    full = run_cli("qa", out, "--threads", 2)
    rest = full.seconds - bare.seconds
    print_table(
        f"report, {case.size}² pixels: at most 15 s",
        ("", "qa s", "qa --no-report s", "report s", "peak MB"),
        [("", full.seconds, bare.seconds, rest, full.peak)],
    )


def measure_case(case: Case, only: Sequence[str]) -> Usage:
    """Print the tables of one size; return what `run --qa` took, for the one of all sizes."""
    yardstick = case.run_yardstick() if {"speed", "steps"} & set(only) else None
    with case.run(case.config) as (out, runs):
        if "steps" in only and yardstick:
            print_steps(case, yardstick.steps, out)
        if "report" in only:
            print_report(case, out)
        if "speed" in only:
            print_speed(case, runs, yardstick, out)
    return runs.at_once


def print_memory(cases: Sequence[Case], usages: Sequence[Usage]) -> None:
    """Compare the sizes' memory and cost, with what a command takes whatever the size, and without.

    A mosaic of one chunk keeps one thread busy, whatever their number.
    """
    rows: list[list[Cell]] = []
    for case, usage in zip(cases, usages, strict=True):
        seconds = usage.seconds, sum_passes(usage.said)
        costs = [spent / case.megapixels for spent in seconds]
        first = rows[0] if rows else [None, usage.peak, None, costs[0], None, costs[1]]
        row: list[Cell] = [f"{case.size}²"]
        for index, value in zip((1, 3, 5), (usage.peak, *costs), strict=True):
            row += [value, divide(value, first[index])]
        rows.append(row)
    print_table(
        "memory and cost of run --qa: peak at most 1000 MB, within 20 % of the first size's; "
        "s/Mpx within 25 %",
        (
            "size",
            "peak MB",
            "of the first",
            "s/Mpx",
            "of the first",
            "passes s/Mpx",
            "of the first",
        ),
        rows,
    )


def print_recipes(case: Case, rounds: int) -> None:
    """Compare the recipes, each run so many times in turn; the fastest run counts."""
    spent = zip(*(case.run_recipes(RECIPES) for _ in range(rounds)), strict=True)
    best = [min(runs, key=lambda one: one.seconds) for runs in spent]
    print_table(
        f"recipes, {case.size}² pixels: at most 2 times barnes2023, peak at most 1000 MB",
        ("", "run s", "of barnes2023", "peak MB"),
        [
            (name, one.seconds, one.seconds / best[0].seconds, one.peak)
            for name, one in zip(RECIPES, best, strict=True)
        ],
    )


def print_processes(case: Case) -> None:
    """Compare one worker process with two, and say what two cores give to such work at best."""
    measured = {workers: case.run_workers(workers) for workers in (1, 2)}
    ratios = [one / two for one, two in zip(measured[1], measured[2], strict=True)]
    print_table(
        f"processes, {case.size}² pixels: two at least 1.6 times as fast as one",
        ("", "command s", "run on ready workers s"),
        [
            *((f"--workers {number}", *spent) for number, spent in measured.items()),
            ("1/2", *ratios),
        ],
    )
    alone, together = case.run_side_by_side(1), case.run_side_by_side(2)
    print(
        f"two runs of one thread side by side: {together:.3g} s, one by itself {alone:.3g} s: "
        f"this machine does at most {2 * alone / together:.3g} times as much at once",
        flush=True,
    )


def print_graphs(directory: Path) -> None:
    """Say what the lazy results of a large field cost before anything is computed."""
    result = directory / "graphs.json"
    run_python("tests.benchmarks.steps", result)
    found = json.loads(result.read_text())
    result.unlink()
    print_table(
        "lazy results of 16000² pixels: graph under 1 s",
        ("step", "s", "tasks per chunk"),
        [(name, *numbers) for name, numbers in found.items()],
    )


def print_all(sizes: Sequence[int], only: Sequence[str], data: Path, rounds: int) -> None:
    """Print every table that was asked for as soon as it is measured."""
    cases = [Case(size, data) for size in sizes]
    usages = []
    for case in cases:
        if set(only) - {"graph", "recipes"}:
            case.prepare()
        if "recipes" in only:
            print_recipes(case, rounds)
        if NEEDS_RUN & set(only):
            usages.append(measure_case(case, only))
    if "memory" in only:
        print_memory(cases, usages)
    if "processes" in only:
        print_processes(cases[-1])
    if "graph" in only:
        print_graphs(data)


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse_arguments(arguments)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, Python {platform.python_version()}, {versions}", flush=True)
    with open_directory(given.data) as data:
        print_all(given.sizes, given.only, data, given.rounds)


if __name__ == "__main__":
    main()
