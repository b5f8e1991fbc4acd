"""Add seeded noise of the image's own level: N(0, rms2).

rms1 is the MAD standard deviation of the image, rms2 that of its pixels below 5 rms1. Every
100 × 100 pixel cell of the sky draws from a counter-based generator keyed by the seed and the
cell's place, so that a pixel's noise does not depend on the chunks (Philox: Salmon et al. 2011).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.numerics.lazy import map_pixels, reduce_images
from phangs_xr.numerics.statistics import AskDistribution, AskTogether
from phangs_xr.numerics.value_counts import Numbers, Values
from phangs_xr.photometry.labels import label_product, require_products

CELL = 100
"""Pixels along each side of the cells that draw their noise together."""


@dataclass(frozen=True)
class AddNoise:
    """Options of `add_noise`.

    Attributes
    ----------
    seed
        Same seed, same noise.
    """

    seed: int = 0


@dataclass(frozen=True)
class AskNoise:
    """Ask a distribution for the noise level, under a name."""

    name: str

    def __call__(self, values: Values) -> Numbers:
        """Return the noise level in the image's unit, NaN without pixels."""
        first = values.find_mad_std()
        # "Below" is strict; float32 pixels equal to a float64 bound are as good as absent.
        return {self.name: values.select(high=np.nextafter(5 * first, -np.inf)).find_mad_std()}


def reduce_to_noise(options: AddNoise, images: Collection[str] = ()) -> AskTogether:
    """Return the reduction of both anchored images to their noise levels."""
    return AskTogether(
        (
            ((0,), AskDistribution(AskNoise("noise_anchored"))),
            ((1,), AskDistribution(AskNoise("noise_anchored_intnegs"))),
        )
    )


def draw_noise(
    image: NDArray[np.floating],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    *,
    rms: float,
    seed: int,
    stream: int,
) -> NDArray[np.floating]:
    """Return the image with noise added.

    Parameters
    ----------
    image
        2-D; NaN stays.
    rows, columns
        Absolute positions of its pixels, consecutive.
    rms
        Standard deviation of the noise.
    seed, stream
        Choose the noise; different streams of one seed are independent.
    """
    noisy = image.copy()
    if not image.size:
        return noisy
    row_cells = range(int(rows[0]) // CELL, int(rows[-1]) // CELL + 1)
    column_cells = range(int(columns[0]) // CELL, int(columns[-1]) // CELL + 1)
    for row, column in product(row_cells, column_cells):
        ys = slice(max(row * CELL - rows[0], 0), (row + 1) * CELL - rows[0])
        xs = slice(max(column * CELL - columns[0], 0), (column + 1) * CELL - columns[0])
        part = noisy[ys, xs]
        if np.isnan(part).all():
            continue
        y, x = rows[0] + ys.start - row * CELL, columns[0] + xs.start - column * CELL
        cell = _draw_cell(seed, stream, row, column)[y : y + part.shape[0], x : x + part.shape[1]]
        part += (cell * np.float32(rms)).astype(image.dtype, copy=False)
    return noisy


def _draw_cell(seed: int, stream: int, row: int, column: int) -> NDArray[np.float32]:
    place = ((row & 0xFFFFFFFF) << 32) | (column & 0xFFFFFFFF)
    key = np.array([(seed * 2 + stream) & 0xFFFFFFFFFFFFFFFF, place], dtype=np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    return generator.standard_normal((CELL, CELL), dtype=np.float32)


def add_noise(
    anchored: xr.DataArray,
    anchored_intnegs: xr.DataArray,
    *,
    measured: Mapping[str, Any] | None = None,
    options: AddNoise | None = None,
) -> xr.Dataset:
    """Add noise at the level of each image to it.

    Parameters
    ----------
    anchored, anchored_intnegs
        [1e-20 erg/s/cm² per pixel].
    measured
        `noise_anchored` and `noise_anchored_intnegs`, when known; measured if None.
    options
        The seed; the default if None.

    Returns
    -------
    xr.Dataset
        `anchored_wnoise`, `anchored_intnegs_wnoise`, each from its own image, in the same unit and
        NaN where it is.

    Raises
    ------
    GridError
        If the images are not on one grid.
    InputError
        If a unit is another.
    """
    options = options or AddNoise()
    images = {"anchored": anchored, "anchored_intnegs": anchored_intnegs}
    require_products(**images)
    if measured is None:
        measured = reduce_images(reduce_to_noise(options), *images.values())
    noisy = {}
    for stream, (name, image) in enumerate(images.items()):
        made = map_pixels(
            draw_noise,
            image,
            positions=True,
            rms=measured[f"noise_{name}"],
            seed=options.seed,
            stream=stream,
        )
        noisy[f"{name}_wnoise"] = label_product(made, f"{name}_wnoise", "add_noise")
    return xr.Dataset(noisy)
