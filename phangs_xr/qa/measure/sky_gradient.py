"""Whether the sky is level: a plane through what is dark in a map."""

from __future__ import annotations

import numpy as np
import xarray as xr

ITERATIONS = 8

CLIP = 2.0
"""Robust scatters beyond which a block is emission, or an artefact, and takes no part."""

FEWEST = 100
"""Blocks without which there is no plane to fit."""


def measure_gradient(image: xr.DataArray) -> float:
    """Return by how much the sky of a map rises across it.

    Parameters
    ----------
    image
        Block means of a map in any unit, 2-D; NaN where there are no data.

    Returns
    -------
    float
        The difference between highest and lowest corner of a plane fitted to the blocks that are
        left when those further from it than two robust scatters are taken out, again and again
        [unit of the image]; NaN of too few blocks. What fills more than half of the map and
        changes across it, as a galaxy's disc does, counts too.
    """
    rows, columns = np.indices(image.shape)
    values = image.values.astype(np.float64).ravel()
    places = [
        axis.ravel() / max(size - 1, 1)
        for axis, size in zip((rows, columns), image.shape, strict=True)
    ]
    terms = np.stack([np.ones(values.size), *places], axis=1)
    kept = known = np.isfinite(values)
    plane = np.zeros(3)
    for _ in range(ITERATIONS):
        if np.count_nonzero(kept) < FEWEST:
            return float("nan")
        plane = np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
        residual = values - terms @ plane
        middle = np.median(residual[kept])
        scatter = 1.4826 * np.median(np.abs(residual[kept] - middle))
        kept = known & (np.abs(residual - middle) <= CLIP * scatter)
    return float(abs(plane[1]) + abs(plane[2]))
