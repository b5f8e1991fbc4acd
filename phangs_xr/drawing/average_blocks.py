"""Images small enough to draw: means over square blocks of pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating[Any]]


def average_blocks(image: Image, factor: int) -> NDArray[np.float32]:
    """Return the means of square blocks over their finite pixels.

    The last blocks of the image may be partial; a block without finite pixels is NaN.
    """
    if factor == 1:
        return image.astype(np.float32, copy=False)
    rows, columns = (-(-size // factor) for size in image.shape)
    missing = [(0, -size % factor) for size in image.shape]
    if missing != [(0, 0), (0, 0)]:
        image = np.pad(image, missing, constant_values=np.nan)

    def add_up(values: Image) -> Image:
        # Rows first: that leaves little for the slow sums along the short axis.
        tall = values.reshape(rows, factor, columns * factor).sum(axis=1, dtype=np.float32)
        total: Image = tall.reshape(rows, columns, factor).sum(axis=2, dtype=np.float32)
        return total

    finite = np.isfinite(image)
    if finite.all():
        return (add_up(image) / factor**2).astype(np.float32)
    number = add_up(finite.astype(np.float32))
    total = add_up(np.where(finite, image, image.dtype.type(0)))
    with np.errstate(invalid="ignore"):
        return (total / number).astype(np.float32)


def choose_factor(shape: tuple[int, int], side: int, chunk: int) -> int:
    """Return the smallest block side that leaves at most `side` blocks along each axis.

    Images larger than a chunk get a divisor of it, so that no block straddles two chunks, if one is
    less than twice as large.
    """
    least = math.ceil(max(shape) / side)
    divisors = (factor for factor in range(least, 2 * least) if chunk % factor == 0)
    return least if max(shape) <= chunk else next(divisors, least)
