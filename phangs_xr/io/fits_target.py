"""Images to FITS, chunk by chunk in bounded memory, from any number of threads or processes."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from astropy.io import fits

from phangs_xr.sky.grid import get_grid
from phangs_xr.sky.wcs import format_card, format_wcs

_BLOCK = 2880
"""Bytes of which a FITS file holds a whole number."""

_BAND = 4_000_000
"""Pixels to read at a time of an image that is not chunked."""

_PHOTOMETRY = ("photflam", "photplam", "photbw")


def build_header(image: xr.DataArray, history: Sequence[str] = ()) -> fits.Header:
    """Make the header of a product: what still holds of these pixels, and nothing else.

    Parameters
    ----------
    image
        Image with a `wcs`. Of its attributes `units` becomes BUNIT, `object` OBJECT, `fwhm`
        [arcsec] BMAJ, BMIN and BPA [deg], `curve`, `pivot` and `rectangular_width` CURVE, PIVOT and
        RECTW, and `photflam`, `photplam`, `photbw`, where they are finite, the cards of those
        names.
    history
        One HISTORY entry each.

    Returns
    -------
    astropy.io.fits.Header
        For float32 pixels of the image's shape. The same image gives the same bytes: no dates.

    Raises
    ------
    GridError
        If the image has lost its `wcs` or is not a regular slice.
    """
    grid = get_grid(image)
    lines = [
        "SIMPLE  =                    T",
        format_card("BITPIX", -32),
        format_card("NAXIS", 2),
        format_card("NAXIS1", grid.shape[1]),
        format_card("NAXIS2", grid.shape[0]),
        format_wcs(grid.to_wcs()),
        format_card("BUNIT", str(image.attrs.get("units", ""))),
    ]
    lines += [
        format_card(key.upper(), float(image.attrs[key]))
        for key in _PHOTOMETRY
        if np.isfinite(image.attrs.get(key, np.nan))
    ]
    header = fits.Header.fromstring("\n".join(lines), sep="\n")
    if image.attrs.get("object"):
        header["OBJECT"] = _to_ascii(str(image.attrs["object"]))
    _describe_beam(header, image.attrs)
    for entry in history:
        header.add_history(_to_ascii(entry))
    return header


def _describe_beam(header: fits.Header, attrs: Mapping[Any, Any]) -> None:
    """Add the resolution, and the filter, as far as they are known."""
    fwhm = attrs.get("fwhm", np.nan)
    if np.isfinite(fwhm):
        for key in ("BMAJ", "BMIN"):
            header[key] = (float(fwhm) / 3600, "FWHM of the point-spread function [deg]")
        header["BPA"] = (0.0, "its position angle [deg]")
    if attrs.get("curve"):
        header["CURVE"] = (_to_ascii(str(attrs["curve"]))[:60], "throughput curve of the filter")
    for name, key in (("pivot", "PIVOT"), ("rectangular_width", "RECTW")):
        if np.isfinite(attrs.get(name, np.nan)):
            header[key] = (float(attrs[name]), f"{name.replace('_', ' ')} of the filter [Angstrom]")


def _to_ascii(text: str) -> str:
    """FITS allows printable ASCII alone."""
    return re.sub(r"[^ -~]", "?", text)


@dataclass(frozen=True)
class FitsTarget:
    """A FITS image that is being written, by any number of threads or processes at once.

    Blocks are assigned as to an array, `target[ys, xs] = block`. The image has its own name
    only when `finish` gives it; until then it lies beside it as `.NAME.partial`.

    Attributes
    ----------
    path
        The final name.
    shape
        Rows and columns.
    offset
        Where the pixels start [bytes].
    """

    path: Path
    shape: tuple[int, int]
    offset: int

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], header: fits.Header, shape: tuple[int, int]
    ) -> "FitsTarget":
        """Write the header and reserve the space of the pixels.

        Parameters
        ----------
        path
            Final name of the file; a file of that name is kept until `finish`.
        header
            As from `build_header`.
        shape
            Rows and columns.

        Returns
        -------
        FitsTarget
            Ready for blocks.

        Raises
        ------
        OSError
            If the disk has no room for the file, or the directory cannot be written.
        """
        text = header.tostring(sep="", endcard=True, padding=True).encode("ascii")
        target = cls(Path(path).absolute(), shape, len(text))
        size = -(-(len(text) + 4 * shape[0] * shape[1]) // _BLOCK) * _BLOCK
        try:
            with target.partial.open("wb") as file:
                file.write(text)
                file.flush()
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
        except OSError:
            target.discard()
            raise
        return target

    @property
    def partial(self) -> Path:
        """The name of the unfinished file."""
        return self.path.with_name(f".{self.path.name}.partial")

    def __setitem__(self, key: tuple[slice, slice], block: Any) -> None:
        # Mapped, the bytes are swapped on their way into the file; `create` has reserved its space.
        pixels = np.memmap(self.partial, ">f4", "r+", self.offset, self.shape)
        window = pixels[key]
        window[:] = np.reshape(block, window.shape)

    def discard(self) -> None:
        """Remove the unfinished file."""
        self.partial.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name.

        It is then safe from the end of this process, not yet from that of the machine: waiting for
        the disk, file by file, took an eighth of a run, and Zarr does not wait either.
        """
        os.replace(self.partial, self.path)


def write_fits(
    image: xr.DataArray, path: str | os.PathLike[str], history: Sequence[str] = ()
) -> None:
    """Write an image as a FITS file of float32 pixels, chunk by chunk.

    Right under dask's threads and under distributed workers that share the file system, where
    astropy's own writing of dask arrays gives zeros.

    Parameters
    ----------
    image
        Image with dims `y`, `x` and a `wcs`; chunked, or lazily opened, or in memory.
    path
        The file; an old one is replaced when the new one is complete.
    history
        One HISTORY entry each.

    Raises
    ------
    GridError
        If the image has lost its `wcs` or is not a regular slice.
    """
    image = image.transpose("y", "x")
    height, width = image.shape
    target = FitsTarget.create(path, build_header(image, history), (height, width))
    try:
        if image.chunks is not None:
            image.data.store(target, lock=False)
        else:
            rows = max(1, _BAND // width)
            for start in range(0, height, rows):
                band = image.isel(y=slice(start, start + rows))
                target[start : start + rows, :] = band.values
        target.finish()
    except BaseException:
        target.discard()
        raise
