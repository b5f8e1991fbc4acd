"""Files the simulation writes a block at a time."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from phangs_xr.simulate.frame import Window

BLOCK = 2880


@dataclass(frozen=True)
class Mosaic:
    """A float32 FITS image being written, under a temporary name until it is finished."""

    path: Path
    partial: Path
    start: int
    shape: tuple[int, int]

    @classmethod
    def create(cls, path: Path, cards: fits.Header, shape: tuple[int, int]) -> "Mosaic":
        """Write the header and reserve the space."""
        header = fits.Header(
            [
                ("SIMPLE", True),
                ("BITPIX", -32),
                ("NAXIS", 2),
                ("NAXIS1", shape[1]),
                ("NAXIS2", shape[0]),
            ]
        )
        header.extend(cards)
        text = header.tostring().encode("ascii")
        size = len(text) + -(-4 * shape[0] * shape[1] // BLOCK) * BLOCK
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("wb") as file:
            file.write(text)
            file.truncate(size)
        return cls(path, partial, len(text), shape)

    def __setitem__(self, window: Window, block: NDArray[np.float32]) -> None:
        rows, cols = window
        raw = block.astype(">f4")
        with self.partial.open("r+b", buffering=0) as file:
            for row, values in zip(range(rows.start, rows.stop), raw, strict=True):
                os.pwrite(
                    file.fileno(),
                    values.tobytes(),
                    self.start + 4 * (row * self.shape[1] + cols.start),
                )

    def finish(self) -> None:
        """Give the file its name."""
        self.partial.replace(self.path)
