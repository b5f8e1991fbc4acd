"""Fields and stores in words: the summary of a run, and what a store holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phangs_xr.engine.field import Field
from phangs_xr.engine.runner import Runner
from phangs_xr.engine.tiles import Measurement, run_reductions
from phangs_xr.io.zarr import FieldStore, find_store, open_store
from phangs_xr.numerics.statistics import AskDistribution
from phangs_xr.numerics.value_counts import Numbers, Values
from phangs_xr.schema import GRIDS, NUMBERS


@dataclass(frozen=True)
class AskSummary:
    """Ask a distribution for what `info` shows of an image."""

    def __call__(self, values: Values) -> Numbers:
        """Return pixels with data, median, MAD standard deviation and two percentiles."""
        return {
            "pixels": values.size,
            "median": values.find_median(),
            "mad_std": values.find_mad_std(),
            "low": values.find_quantile(0.001),
            "high": values.find_quantile(0.999),
        }


def summarize_field(ready: Field) -> Iterator[str]:
    """Return the lines that end a run: where everything is, and the numbers that matter."""
    numbers = ready.store.read_numbers(NUMBERS)
    fits = [name for name in ready.fits_names if ready.get_path(name).exists()]
    yield f"{ready.config.galaxy}: {len(fits)} FITS files in {ready.out}"
    yield f"store: {ready.store.location}"
    yield from filter(None, (one.step.summarize(numbers) for one in ready.plan.steps))


def list_products(
    store: str | Path, runner: Runner | None
) -> tuple[dict[str, Any], list[list[str]]]:
    """Return a store's attributes, and a row for each product in it.

    Parameters
    ----------
    store
        Path or URL.
    runner
        Where to compute statistics; none are if None.
    """
    tree = open_store(store)
    location = FieldStore(find_store(store))
    rows = []
    for grid in GRIDS:
        if grid not in tree:
            continue
        names = [str(name) for name in tree[grid].dataset.data_vars]
        found: dict[str, Any] = {}
        if runner is not None:
            asked = {
                name: Measurement(AskDistribution(AskSummary()), (image,))
                for name, image in location.open_images(names).items()
            }
            found = run_reductions(asked, runner, "summarize")
        for name in names:
            image = tree[grid][name]
            step = str(image.attrs["step"])
            row = [name, image.attrs["units"], "x".join(map(str, image.shape)), step]
            row.append(tree.attrs["records"][step]["finished"][:16])
            if found:
                row += _format_summary(found[name], image.size)
            rows.append(row)
    return {str(name): value for name, value in tree.attrs.items()}, rows


def list_numbers(store: str | Path) -> list[list[str]]:
    """Return a row for each measured number of a store."""
    numbers = FieldStore(find_store(store)).read_numbers(NUMBERS)
    return [
        [
            name,
            f"{value:.6g}" if isinstance(value, float) else "x".join(map(str, np.shape(value))),
            NUMBERS[name].units,
            NUMBERS[name].long_name,
        ]
        for name, value in numbers.items()
    ]


def _format_summary(found: Numbers, size: int) -> list[str]:
    values = [f"{found[name]:.4g}" for name in ("median", "mad_std", "low", "high")]
    return [f"{100 * found['pixels'] / size:.1f} %", *values]
