"""Damage thousands of files and configurations: `python -m tests.fuzz --n 10000 --seed 1`."""

import argparse
import gc
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from random import Random

from tests.fuzz.damage import Damage, draw_damage
from tests.fuzz.outcomes import Bench, Outcome

LONGEST = 10
"""Seconds of the process's time, not the clock's, after which an example counts as hung."""

RESULTS = ("used", "told", "traceback", "hung")


def main() -> int:
    """Try the examples, print what came of them; 1 if any was neither used nor told of."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="how many examples")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run-every", type=int, default=3, help="run one of so many, plan others")
    parser.add_argument("--only", type=int, help="the number of one example, to see it again")
    asked = parser.parse_args()
    found: list[tuple[Damage, Outcome]] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place))
        for number in [asked.only] if asked.only is not None else range(asked.n):
            # Each example by itself, so that `--only` gives it again.
            damage = draw_damage(Random(f"{asked.seed} {number}"))
            outcome = bench.try_damage(damage, number % asked.run_every == 0)
            if outcome.seconds > LONGEST:
                outcome = replace(outcome, result="hung")
            found.append((replace(damage, content=b""), outcome))
            if number % 100 == 0:
                # The command line, made for one call, has Python keep what there is.
                gc.unfreeze()
                gc.collect()
            if outcome.result in RESULTS[2:] or asked.only is not None:
                print(f"{outcome.result}: {number} {damage}\n{outcome.text}", flush=True)
    if asked.only is not None:
        return 0
    _print_table("kind of damage", found, lambda damage: damage.kind)
    _print_table("file", found, lambda damage: damage.target)
    print(f"{len(found)} examples in {time.monotonic() - started:.0f} s")
    return int(any(outcome.result in RESULTS[2:] for _, outcome in found))


def _print_table(title: str, found: list[tuple[Damage, Outcome]], get_key) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    longest: dict[str, float] = defaultdict(float)
    for damage, outcome in found:
        for key in (get_key(damage), "all"):
            counts[key][outcome.result] += 1
            longest[key] = max(longest[key], outcome.seconds)
    print(f"{title:<34}" + "".join(f"{name:>10}" for name in RESULTS) + "   longest [s]")
    for key in sorted(counts, key=lambda key: (key == "all", key)):
        cells = "".join(f"{counts[key][name]:>10}" for name in RESULTS)
        print(f"{key:<34}{cells}{longest[key]:>14.2f}")
    print()


if __name__ == "__main__":
    sys.exit(main())
