"""Compare runs of one galaxy: recipes, options or continua; a page, numbers and a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from phangs_xr.engine.runner import Runner
from phangs_xr.errors import GridError
from phangs_xr.io.tables import write_table
from phangs_xr.io.zarr import find_store, open_store
from phangs_xr.qa.measure.compare_runs import (
    Comparison,
    Run,
    compare_with,
    list_sentences,
    open_runs,
    tabulate_comparison,
)
from phangs_xr.qa.measure.numbers import write_numbers
from phangs_xr.qa.measure.overviews import average_image
from phangs_xr.qa.measure.summarize_fields import name_fields
from phangs_xr.sky import require_one_grid


def compare_runs(
    places: Sequence[str | Path],
    out: str | Path | None = None,
    runner: Runner | None = None,
    *,
    product: str | None = None,
) -> list[str]:
    """Compare runs of one galaxy with the first of them, nebula by nebula and pixel by pixel.

    Parameters
    ----------
    places
        DIRs of runs, or their stores, paths or URLs; two at least.
    out
        Directory to write to: `compare.html`, which needs no network, `compare.json` with the
        numbers, `compare_nebulae.ecsv`; `{galaxy}_compare` here if None.
    runner
        Where to reduce the images, tile by tile; threads of this process if None.
    product
        The map to compare; the best of each run's recipe if None.

    Returns
    -------
    list of str
        What was found, in lines for the user.

    Raises
    ------
    InputError
        If there are less than two runs, they are of different galaxies, or one lacks the map.
    """
    locations = name_fields(list(dict.fromkeys(find_store(place) for place in places)))
    trees = {label: open_store(one, chunked=False) for label, one in locations.items()}
    reference, *others = open_runs(trees, runner, product)
    comparisons = [compare_with(reference, one, runner) for one in others]
    out = Path(f"{reference.tree.attrs['galaxy']}_compare") if out is None else Path(out)
    numbers = {
        "reference": reference.label,
        "map": reference.product,
        "runs": {one.run.label: _list_numbers(one) for one in comparisons},
    }
    lines = [text for one in comparisons for text in list_sentences(reference, one)]
    lines.append(f"numbers: {write_numbers(numbers, out / 'compare.json')}")
    table = tabulate_comparison(reference, comparisons)
    if table.sizes:
        lines.append(f"nebulae: {write_table(table, out / 'compare_nebulae.ecsv')}")
    # Who compares numbers alone is spared what draws.
    from phangs_xr.qa.report.compare_page import write_compare_page

    overviews = _reduce_maps(reference, others, runner)
    page = write_compare_page(out / "compare.html", reference, comparisons, overviews)
    return [*lines, f"comparison: {page}"]


def _list_numbers(one: Comparison) -> dict[str, Any]:
    pixels = one.pixels
    found: dict[str, Any] = {"map": one.run.product, "nebulae": dict(one.numbers)}
    if pixels is not None:
        names = ("n", "slope", "offset", "correlation")
        found["pixels"] = {name: getattr(pixels, name) for name in names}
    return {**found, "notes": list(one.notes)}


def _reduce_maps(
    reference: Run, others: Sequence[Run], runner: Runner | None
) -> dict[str, xr.DataArray]:
    """Return the block means of the maps that lie on the reference's grid, by label."""
    found = {}
    for run in (reference, *others):
        try:
            require_one_grid(reference=reference.image, other=run.image)
        except GridError:
            continue
        found[run.label] = average_image(run.image, runner)
    return found
