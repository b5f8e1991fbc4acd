"""Damage files and configurations many times: `python -m tests.fuzz --n 10000`.

Prints what became of the examples by kind of input and of damage, and the longest of them; ends
with 1 if any ended in a traceback or not at all.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz.damage import KINDS, change_line
from tests.fuzz.field import FILES, LIMIT, Outcome, try_field, try_image, write_inputs

STATES = ("used", "told", "traceback", "hung")


def try_example(config: Path, seed: int, run: bool, limit: float) -> tuple[str, str, Outcome]:
    """Damage one file of a field, try it, and mend it again."""
    rng = random.Random(seed)
    kind = rng.choice((*FILES, "configuration"))
    if kind == "configuration":
        before = config.read_text()
        config.write_text(change_line(rng, before))
        try:
            return kind, "change_line", try_field(config, run, limit)
        finally:
            config.write_text(before)
    path = config.parent / "data" / FILES[kind]
    content = path.read_bytes()
    damage = rng.choice(list(KINDS))
    path.write_bytes(KINDS[damage](rng, content))
    try:
        if kind == "weight":
            return kind, damage, try_image(path, limit)
        return kind, damage, try_field(config, run, limit)
    finally:
        path.write_bytes(content)


def main() -> int:
    """Try the examples and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run-every", type=int, default=5, help="run each so many-th example too")
    options = parser.parse_args()
    counts: Counter[tuple[str, str, str]] = Counter()
    longest = (0.0, 0)
    bad = 0
    with tempfile.TemporaryDirectory() as place:
        config = write_inputs(Path(place))
        for number in range(options.n):
            seed = options.seed * 1_000_000 + number
            run = number % options.run_every == 0
            kind, damage, outcome = try_example(config, seed, run, LIMIT)
            counts[kind, damage, outcome.state] += 1
            longest = max(longest, (outcome.seconds, seed))
            if outcome.state in ("traceback", "hung"):
                bad += 1
                print(f"seed {seed}: {kind}, {damage}: {outcome.state}\n{outcome.text}", flush=True)
    print(f"{'input':14} {'damage':16} " + " ".join(f"{state:>9}" for state in STATES))
    for kind, damage in sorted({key[:2] for key in counts}):
        row = " ".join(f"{counts[kind, damage, state]:9}" for state in STATES)
        print(f"{kind:14} {damage:16} {row}")
    totals = Counter(state for key, n in counts.items() for state in [key[2]] * n)
    print(f"{'all':31} " + " ".join(f"{totals[state]:9}" for state in STATES))
    print(f"longest {longest[0]:.2f} s (seed {longest[1]})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
