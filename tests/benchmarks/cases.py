"""One size of galaxy: our runs, the yardstick's, and the floor that reading and writing set."""

import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.benchmarks.commands import Usage, fresh_directory, run_cli, run_python

THREADS = ("--threads", "2")
BLOCK = 1 << 24
LARGEST_WITH_COSMICS, LARGEST = 4000, 8000
YARDSTICK_BYTES = 270
"""Per pixel, of the plain recipe's whole arrays."""


@dataclass(frozen=True)
class Yardstick:
    """The plain recipe, measured.

    Attributes
    ----------
    usage
        Of the whole process.
    steps
        Seconds of each step.
    """

    usage: Usage
    steps: dict[str, float]

    @property
    def total(self) -> float | None:
        """Seconds with cosmic rays removed, None if they were not."""
        return self.usage.seconds if "remove_cosmic_rays" in self.steps else None

    @property
    def without_cosmics(self) -> float:
        """Seconds of all but removing cosmic rays and writing what that makes."""
        spent = [self.steps.get(name, 0.0) for name in ("remove_cosmic_rays", "write_nocosmic")]
        return self.usage.seconds - sum(spent)


@dataclass(frozen=True)
class Runs:
    """Our commands, measured.

    Attributes
    ----------
    run, qa
        One after the other.
    at_once
        The two as one command, `run --qa`.
    """

    run: Usage
    qa: Usage
    at_once: Usage


@dataclass(frozen=True)
class Case:
    """A simulated galaxy in `data/sim{size}`."""

    size: int
    data: Path

    @property
    def directory(self) -> Path:
        return self.data / f"sim{self.size}"

    @property
    def config(self) -> Path:
        return self.directory / "ngc0628.toml"

    @property
    def without_cosmics(self) -> Path:
        return self.directory / "without_cosmics.toml"

    @property
    def megapixels(self) -> float:
        return self.size**2 / 1e6

    def prepare(self) -> None:
        """Simulate the galaxy unless it is there."""
        run_python("tests.benchmarks.prepare", self.size, self.directory)

    @contextmanager
    def run(self, config: Path) -> Iterator[tuple[Path, Runs]]:
        """Give the directory of a finished run with its nebulae, and what the commands took."""
        with fresh_directory(self.data / f"out{self.size}") as out:
            at_once = run_cli("run", config, "--out", out, "--qa", "--no-report", *THREADS)
        with fresh_directory(self.data / f"out{self.size}") as out:
            run = run_cli("run", config, "--out", out, *THREADS)
            qa = run_cli("qa", out, "--no-report", *THREADS)
            yield out, Runs(run, qa, at_once)

    def run_recipes(self, recipes: Sequence[str]) -> list[Usage]:
        """Run each recipe on a galaxy as hard as real ones."""
        directory = self.data / f"real{self.size}"
        run_python("tests.benchmarks.prepare", self.size, directory, "real")
        spent = []
        for recipe in recipes:
            with fresh_directory(self.data / f"out{self.size}") as out:
                spent.append(run_cli("run", directory / f"{recipe}.toml", "--out", out, *THREADS))
        return spent

    def run_workers(self, workers: int) -> tuple[float, float]:
        """Return the seconds of the command on local processes, and of the run on ready ones."""
        with fresh_directory(self.data / f"out{self.size}") as out:
            command = run_cli("run", self.config, "--out", out, "--workers", workers)
        with fresh_directory(self.data / f"out{self.size}") as out:
            ready = run_python("tests.benchmarks.processes", self.config, out, workers)
        return command.seconds, float(ready.said.split()[-1])

    def run_side_by_side(self, number: int) -> float:
        """Return the seconds of so many runs of one thread at the same time, each its own work."""

        def run(index: int) -> None:
            with fresh_directory(self.data / f"out{self.size}_{index}") as out:
                run_cli("run", self.config, "--out", out, "--threads", 1)

        started = perf_counter()
        with ThreadPoolExecutor(number) as pool:
            list(pool.map(run, range(number)))
        return perf_counter() - started

    def run_yardstick(self) -> Yardstick | None:
        """Run the plain recipe, without cosmic rays where they take hours; None if too large."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if self.size > LARGEST or YARDSTICK_BYTES * self.size**2 > memory:
            return None
        flags = () if self.size <= LARGEST_WITH_COSMICS else ("skip-cosmics",)
        with fresh_directory(self.data / f"yardstick{self.size}") as out:
            usage = run_python("tests.benchmarks.yardstick", self.config, out, *flags)
            return Yardstick(usage, json.loads((out / "seconds.json").read_text()))

    def measure_steps(self, out: Path) -> dict[str, float]:
        """Return our seconds of each step alone, from the images of a finished run."""
        result = self.directory / "steps.json"
        run_python("tests.benchmarks.steps", result, self.config, out)
        found: dict[str, float] = json.loads(result.read_text())
        result.unlink()
        return found

    def measure_floor(self, out: Path) -> float:
        """Return the seconds to read the input files once and to copy what a run wrote."""
        inputs = tomllib.loads(self.config.read_text())["inputs"].values()
        written = [path for path in out.rglob("*") if path.is_file() and _is_product(path, out)]
        with fresh_directory(self.data / f"floor{self.size}") as floor:
            os.sync()
            started = perf_counter()
            for name in inputs:
                _read_file(self.directory / name)
            for path in written:
                copy = floor / path.relative_to(out)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            return perf_counter() - started


def _is_product(path: Path, out: Path) -> bool:
    return path.suffix == ".fits" or path.relative_to(out).parts[0].endswith(".zarr")


def _read_file(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(BLOCK):
            pass
