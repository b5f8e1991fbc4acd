"""Each step alone, as a process: `python -m tests.benchmarks.steps RESULT.json [CONFIG STORE]`.

With a finished store, the seconds that each step's lazy result takes to compute from the stored
images, its own measurements included, its products thrown away. Without one, how long the lazy
result takes to make for images of 16,000² pixels, and its tasks per chunk.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr

import phangs_xr
from phangs_xr.engine.config import load_config
from phangs_xr.engine.inputs import open_inputs
from phangs_xr.numerics.lazy import DEFAULT_CHUNK, chunk_image
from phangs_xr.recipes import BARNES2023
from phangs_xr.schema import COUNTS, FLUX
from phangs_xr.steps import SmoothHst
from tests.images import give_step, make_header, make_image

THREADS = 2
SIDE, MUSE_SIDE, PIXEL = 16_000, 3200, 0.04


class Discard:
    """A target that takes blocks and keeps none."""

    def __setitem__(self, key: Any, block: Any) -> None:
        pass


def measure_steps(config: Path, store: Path) -> dict[str, float]:
    """Return the seconds of each step, reading included."""
    loaded = load_config(config)
    images = {name: chunk_image(image) for name, image in open_inputs(loaded).items()}
    tree = phangs_xr.open_store(store)
    made = {name: tree[node][name] for node in ("hst", "muse", "fits") for name in tree[node]}
    seconds = {}
    for step in BARNES2023.steps:
        given = give_step(step, images, made)
        started = perf_counter()
        result = step.function(**given, options=loaded.get_options(step))
        blocks = [image.data for image in result.data_vars.values() if image.dims == ("y", "x")]
        with dask.config.set(scheduler="threads", num_workers=THREADS):
            da.store(blocks, [Discard() for _ in blocks], lock=False)
        seconds[step.name] = perf_counter() - started
    return seconds


def make_zeros(side: int, units: str, **attrs: Any) -> xr.DataArray:
    """Chunked image of one field of view, whatever its side, that nobody could hold."""
    header = make_header((side, side), PIXEL * SIDE / side)
    image = make_image(np.zeros((1, 1)), units, header, **attrs)
    zeros = da.zeros((side, side), chunks=DEFAULT_CHUNK, dtype="float32")
    coords = {"y": np.arange(side), "x": np.arange(side), "wcs": image.wcs}
    return xr.DataArray(zeros, coords, ("y", "x"), attrs=image.attrs)


def make_inputs() -> dict[str, xr.DataArray]:
    """Return the images of a large field."""
    pivots = {"narrow": 6584.0, "continuum1": 5300.0, "continuum2": 8000.0}
    cards = {"photflam": 1e-19, "photbw": 37.0}
    images = {
        name: make_zeros(SIDE, COUNTS, photplam=pivot, **cards) for name, pivot in pivots.items()
    }
    masks = {name: make_zeros(MUSE_SIDE, "") for name in ("nebula_mask", "star_mask")}
    return {**images, **masks, "muse": make_zeros(MUSE_SIDE, FLUX)}


def replace_products(result: xr.Dataset) -> Iterator[tuple[str, xr.DataArray]]:
    """Give what a step made without its graph: each step's own is measured."""
    for name, image in result.data_vars.items():
        if image.ndim == 2:
            image = make_zeros(len(image.y), image.units).assign_attrs(image.attrs)
        yield str(name), image


def measure_graphs() -> dict[str, tuple[float, float]]:
    """Return, per step, the seconds to make its lazy result, and the tasks per chunk."""
    images, made, found = make_inputs(), {}, {}
    options: Mapping[str, Any] = {"smooth_hst": SmoothHst(muse_fwhm=0.92)}
    for step in BARNES2023.steps:
        given = give_step(step, images, made)
        started = perf_counter()
        result = step.function(**given, options=options.get(step.name))
        seconds = perf_counter() - started
        chunks = result[step.outputs[0]].data.npartitions
        found[step.name] = (seconds, len(dict(result.__dask_graph__())) / chunks)
        made |= dict(replace_products(result))
    return found


def main(result: str, *paths: str) -> None:
    found = measure_steps(*map(Path, paths)) if paths else measure_graphs()
    Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
