"""Keep small images, or the pixels that they have in common, for fits that need all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phangs_xr.numerics.reductions import Block

Rows = NDArray[np.float64]
Parts = dict[tuple[int, int], NDArray[np.floating]]

CELL = 100
"""Pixels are kept apart by cells of so many a side, so that no order of the chunks can matter."""


@dataclass(frozen=True)
class CollectPixels:
    """Reduce images to what a fit makes of all the pixels that it can use.

    For images of MUSE's pixels, of which a galaxy has a few million: they are kept whole, 4 bytes
    per image each.

    Parameters
    ----------
    choose
        Called with one array per image; tells which pixels are of use.
    fit
        Called with the chosen pixels, shape (images, pixels), in the image's order; returns the
        numbers.
    """

    choose: Callable[..., NDArray[np.bool_]]
    fit: Callable[[Rows], dict[str, Any]]
    depth: int = 0
    cell: int = CELL
    passes: int = 1

    def start(self) -> None:
        """Begin with nothing."""

    def look(self, state: None, block: Block) -> Parts:
        """Return the chosen pixels of a block, by cell."""
        images = block.owned
        chosen = self.choose(*images)
        parts = {}
        for top in range(0, images[0].shape[0], CELL):
            for left in range(0, images[0].shape[1], CELL):
                place = (slice(top, top + CELL), slice(left, left + CELL))
                rows = np.stack([image[place][chosen[place]] for image in images])
                if rows.size:
                    parts[block.offset[0] + top, block.offset[1] + left] = rows
        return parts

    def merge(self, one: Parts, other: Parts) -> Parts:
        """Join the cells of two blocks."""
        return {**one, **other}

    def advance(self, state: None, merged: Parts) -> dict[str, Any]:
        """Fit what was collected."""
        parts = [merged[cell] for cell in sorted(merged)]
        rows = np.concatenate(parts, axis=1) if parts else np.empty((0, 0))
        return self.fit(rows.astype(np.float64))

    def is_done(self, state: dict[str, Any] | None) -> bool:
        """Tell whether the fit was made."""
        return state is not None

    def finish(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the numbers."""
        return state


@dataclass(frozen=True)
class CollectImages:
    """Reduce small images to what a fit makes of them whole.

    As `CollectPixels`, for a fit that needs to know where pixels lie.

    Parameters
    ----------
    names
        Of the images, in their order.
    fit
        Called with the whole images by name; returns the numbers.
    """

    names: tuple[str, ...]
    fit: Callable[[Mapping[str, NDArray[np.floating]]], dict[str, Any]]
    depth: int = 0
    cell: int = 1
    passes: int = 1

    def start(self) -> None:
        """Begin with nothing."""

    def look(self, state: None, block: Block) -> Parts:
        """Return the block, by its place."""
        return {block.offset: np.stack(block.owned)}

    def merge(self, one: Parts, other: Parts) -> Parts:
        """Join two blocks."""
        return {**one, **other}

    def advance(self, state: None, merged: Parts) -> dict[str, Any]:
        """Put the blocks together, and fit."""
        shape = [
            max(place[axis] + part.shape[axis + 1] for place, part in merged.items())
            for axis in (0, 1)
        ]
        whole = np.empty((len(self.names), *shape), np.float32)
        for (row, column), part in merged.items():
            whole[:, row : row + part.shape[1], column : column + part.shape[2]] = part
        return self.fit(dict(zip(self.names, whole, strict=True)))

    def is_done(self, state: dict[str, Any] | None) -> bool:
        """Tell whether the fit was made."""
        return state is not None

    def finish(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the numbers."""
        return state
