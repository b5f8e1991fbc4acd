"""Square-pixel tangent-plane frames: where a pixel lies on the sky, and what its header says."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

Array = NDArray[np.float64]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Frame:
    """A pixel grid tangent to the sky at the galaxy's centre.

    Positions on the sky are offsets from that point in its tangent plane, arcsec, east and north;
    HST's and MUSE's frames share the point, so that offsets carry from one to the other exactly.

    Attributes
    ----------
    shape
        Rows and columns.
    scale
        Side of a pixel, arcsec.
    x0, y0
        0-based pixel position of the tangent point.
    rotation
        Angle of the rows against the parallel, deg.
    ra, dec
        The tangent point, deg.
    """

    shape: tuple[int, int]
    scale: float
    x0: float
    y0: float
    rotation: float
    ra: float
    dec: float

    @property
    def matrix(self) -> Array:
        """Arcsec east, north per pixel along x, y."""
        angle = np.deg2rad(self.rotation)
        cos, sin = np.cos(angle), np.sin(angle)
        return self.scale * np.array([[-cos, sin], [sin, cos]])

    def locate(self, window: Window, pad: int = 0, sub: int = 1) -> tuple[Array, Array]:
        """Return offsets east, north of a window's pixel centres, padded and divided.

        Parameters
        ----------
        window
            Rows and columns.
        pad
            Pixels (after division) to add on every side.
        sub
            Samples per pixel and axis; odd, so that pixel centres are among them.
        """
        rows, cols = (
            np.arange(-(sub // 2) - pad, (part.stop - part.start) * sub - sub // 2 + pad) / sub
            + part.start
            for part in window
        )
        y, x = np.meshgrid(rows - self.y0, cols - self.x0, indexing="ij")
        matrix = self.matrix
        return matrix[0, 0] * x + matrix[0, 1] * y, matrix[1, 0] * x + matrix[1, 1] * y

    def find_pixels(self, east: Array, north: Array) -> tuple[Array, Array]:
        """Return 0-based x, y of offsets."""
        inverse = np.linalg.inv(self.matrix)
        x = inverse[0, 0] * east + inverse[0, 1] * north + self.x0
        y = inverse[1, 0] * east + inverse[1, 1] * north + self.y0
        return x, y

    def split(self, step: int, window: Window | None = None) -> Iterator[Window]:
        """Yield windows of `step` pixels that tile the frame, or a window of it, row by row."""
        rows, cols = window or (slice(0, self.shape[0]), slice(0, self.shape[1]))
        for y in range(rows.start, rows.stop, step):
            for x in range(cols.start, cols.stop, step):
                yield slice(y, min(y + step, rows.stop)), slice(x, min(x + step, cols.stop))

    def header(self, radesys: str = "ICRS") -> fits.Header:
        """Return the celestial cards, CD matrix and all."""
        cd = self.matrix / 3600
        header = fits.Header()
        header["CRPIX1"] = (self.x0 + 1, "x of the reference pixel")
        header["CRPIX2"] = (self.y0 + 1, "y of the reference pixel")
        header["CRVAL1"] = (self.ra, "[deg] right ascension there")
        header["CRVAL2"] = (self.dec, "[deg] declination there")
        header["CTYPE1"] = "RA---TAN"
        header["CTYPE2"] = "DEC--TAN"
        header["CUNIT1"] = "deg"
        header["CUNIT2"] = "deg"
        for row in (0, 1):
            for column in (0, 1):
                header[f"CD{row + 1}_{column + 1}"] = cd[row, column]
        header["RADESYS"] = radesys
        return header

    def to_wcs(self) -> WCS:
        """Return the WCS of `header()`."""
        return WCS(self.header())
