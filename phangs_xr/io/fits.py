"""FITS images as lazy xarray datasets: the backend `fits` of `xr.open_dataset`."""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from astropy.io import fits
from numpy.typing import NDArray
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from phangs_xr.errors import InputError, refuse_damaged
from phangs_xr.io.check_fits import check_fits
from phangs_xr.io.fits_target import FitsTarget, build_header, write_fits
from phangs_xr.io.silence_astropy import silence_astropy
from phangs_xr.photometry.units import normalise_units
from phangs_xr.sky.grid import Grid
from phangs_xr.sky.wcs import find_idle_sip, format_wcs

__all__ = [
    "FitsArray",
    "FitsBackend",
    "FitsTarget",
    "build_header",
    "list_hdus",
    "write_fits",
]

_log = logging.getLogger(__name__)

CHUNK = 2000
"""Side of the chunks [px] where the file suggests none."""

_ROWS = 500
"""Rows of a chunk where the file is compressed row by row: a chunk must span the full width."""

_SUFFIXES = (".fits", ".fit", ".fits.gz", ".fits.fz")


_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
_WELL_FORMED = re.compile(r"COMMENT |HISTORY |CONTINUE|HIERARCH|        |[A-Z0-9_-]+ *(?<=^.{8})= ")


class FitsBackend(BackendEntrypoint):
    """Open one image of a FITS file: `xr.open_dataset(path, chunks={})`."""

    description = "Two-dimensional FITS images, with their sky"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "hdu")

    def open_dataset(  # type: ignore[override]  # xarray's backends name their own options
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        hdu: int | str | None = None,
    ) -> xr.Dataset:
        """Open an image without reading its pixels.

        Parameters
        ----------
        filename_or_obj
            Path of the file.
        drop_variables
            Variables or coordinates to leave out.
        hdu
            Number or name of the HDU; by default the first with a two-dimensional image.

        Returns
        -------
        Dataset
            The variable `image` with dims `y`, `x`, its pixel coordinates, `wcs` if the header
            has a celestial one, and the attributes `units`, `fits_header` and, without `wcs`, why
            not: `wcs_problem`. Axes of length 1 before the two are dropped. A card that cannot be
            parsed is text in `fits_header`.

        Raises
        ------
        InputError
            If the file is missing, no FITS, damaged, shorter than its headers say, or has no such
            image.
        """
        path = _get_path(filename_or_obj)
        with _read_from(path):
            stored = _find_image(path, hdu)
        image = xr.Variable(
            ("y", "x"),
            indexing.LazilyIndexedArray(stored.array),
            {
                "units": normalise_units(str(stored.header.get("BUNIT", ""))),
                "fits_header": stored.text,
            },
            {"preferred_chunks": stored.chunks},
        )
        coords, problem = _make_coords(stored)
        if problem:
            image.attrs["wcs_problem"] = problem
        dataset = xr.Dataset({"image": image}, coords)
        dropped = [drop_variables] if isinstance(drop_variables, str) else drop_variables or []
        return dataset.drop_vars(dropped, errors="ignore")

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell by its name whether a path is a FITS file."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        return os.fspath(filename_or_obj).lower().endswith(_SUFFIXES)


@dataclass(frozen=True)
class FitsArray(BackendArray):
    """The pixels of one image HDU, read on demand; safe in threads, picklable.

    Each read opens the file itself: an open file shared by threads gives wrong pixels in silence.

    Attributes
    ----------
    path, hdu
        The file and the number of the HDU.
    shape, dtype
        Of the image as read: native byte order, scaled.
    offset
        Where the pixels start [bytes] if they lie there as they are; None if they must be
        decompressed or scaled.
    stamp
        Time of change [ns] and size [bytes] of the file, which dask's names depend on.
    dropped
        How many axes of length 1 the file has before these two.
    """

    path: str
    hdu: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int | None
    stamp: tuple[int, int]
    dropped: int = 0

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Read the pixels of an indexer."""
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        with refuse_damaged(f"pixels in HDU {self.hdu} of {self.path}"):
            # Not the time of change, which another machine may see otherwise.
            size = get_stamp(self.path)[1]
            if size != self.stamp[1]:
                raise InputError(
                    f"expected {self.stamp[1]} bytes in {self.path} as when it was opened, found "
                    f"{size}: it has changed since, open it again"
                )
            # What overflows in damaged pixels is as good as any other number in them.
            with silence_astropy(), np.errstate(all="ignore"):
                return self._read_pixels(key)

    def _read_pixels(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        if self.offset is None:
            with fits.open(self.path, memmap=False) as hdus:
                whole = (0,) * self.dropped + key
                return np.asarray(hdus[self.hdu].section[whole], dtype=self.dtype)
        stored = self.dtype.newbyteorder(">")
        pixels = np.memmap(self.path, stored, "r", self.offset, self.shape)
        return np.array(pixels[key], dtype=self.dtype)


@dataclass(frozen=True)
class _StoredImage:
    array: FitsArray
    header: fits.Header
    chunks: dict[str, int]

    @property
    def text(self) -> str:
        return str(self.header.tostring(sep="\n", endcard=False, padding=False))


def _get_path(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"expected the path of a FITS file, found {type(path).__name__}: give a str or a Path"
        )
    path = Path(path)
    if not os.path.isfile(path):  # which, unlike `Path.is_file`, takes any name
        raise InputError(f"expected a FITS file, found no file {path}: check the path")
    return path


@contextmanager
def _read_from(path: Path) -> Iterator[None]:
    """Read a file's headers: the one place where damage to them is told of."""
    check_fits(path)
    with refuse_damaged(f"FITS headers in {path}"), silence_astropy():
        yield


@contextmanager
def read_headers(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Check a file's path and headers, and tell of damage found while they are read.

    Raises
    ------
    InputError
        If the file is missing, no FITS or damaged.
    """
    place = _get_path(path)
    with _read_from(place):
        yield place


def get_stamp(path: str | Path) -> tuple[int, int]:
    """Return the time of change [ns] and the size [bytes] of a file."""
    state = os.stat(path)
    return state.st_mtime_ns, state.st_size


def list_hdus(path: str | os.PathLike[str]) -> list[str]:
    """List the names of the HDUs of a file, in their order.

    Parameters
    ----------
    path
        The FITS file.

    Returns
    -------
    list of str
        `PRIMARY` for the first unless it is named; empty for extensions without a name.

    Raises
    ------
    InputError
        If the file is missing or no FITS.
    """
    path = _get_path(path)
    with _read_from(path), fits.open(path) as hdus:
        return [hdu.name for hdu in hdus]


def read_card(path: str | os.PathLike[str], keyword: str) -> Any:
    """Return the value of a card of a file's first header, None if it has none.

    Parameters
    ----------
    path
        The FITS file.
    keyword
        Of the card.

    Raises
    ------
    InputError
        If the file is missing or no FITS.
    """
    path = _get_path(path)
    with _read_from(path), fits.open(path) as hdus:
        return _clean_cards(hdus[0].header).get(keyword)


def _find_image(path: Path, wanted: int | str | None) -> _StoredImage:
    with fits.open(path) as hdus, fits.open(path, disable_image_compression=True) as raw_hdus:
        number = _choose(path, list(hdus), wanted)
        hdu, raw = hdus[number], raw_hdus[number]
        with path.open("rb") as file:
            readable_in_place = file.read(6) == b"SIMPLE"
        plain = readable_in_place and not isinstance(raw, fits.BinTableHDU) and not _is_scaled(hdu)
        shape = hdu.shape[-2:]
        array = FitsArray(
            str(path.absolute()),
            number,
            shape,
            _get_dtype(hdu),
            raw.fileinfo()["datLoc"] if plain else None,
            get_stamp(path),
            len(hdu.shape) - 2,
        )
        return _StoredImage(array, _clean_cards(hdu.header), _suggest_chunks(raw, shape))


def _choose(path: Path, hdus: Sequence[Any], wanted: int | str | None) -> int:
    """Find the number of the wanted HDU, which holds a two-dimensional image."""
    listed = _list_names(hdus)
    images = [i for i, hdu in enumerate(hdus) if _is_flat_image(hdu)]
    if not images:
        raise InputError(
            f"expected a two-dimensional image in {path}, found none in its HDUs "
            f"({listed}): give an image, or one plane of a cube as an image"
        )
    if wanted is None:
        return images[0]
    number = find_hdu(path, hdus, wanted)
    if number not in images:
        raise InputError(
            f"expected a two-dimensional image in HDU {wanted!r} of {path}, found "
            f"{_describe(hdus[number])}: choose one of the HDUs {images} ({listed})"
        )
    return number


def find_hdu(path: Path, hdus: Sequence[Any], wanted: int | str) -> int:
    """Return the number of an HDU that is given by number or name.

    Raises
    ------
    InputError
        If there is none.
    """
    for number, hdu in enumerate(hdus):
        if wanted == number or (isinstance(wanted, str) and hdu.name == wanted.strip().upper()):
            return number
    raise InputError(
        f"expected HDU {wanted!r} in {path}, found only {_list_names(hdus)}: choose one of these"
    )


def _list_names(hdus: Sequence[Any]) -> str:
    return ", ".join(f"{i} {hdu.name or '(no name)'}" for i, hdu in enumerate(hdus))


def is_stored_plainly(path: Path, hdu: Any) -> bool:
    """Tell whether the numbers of an image HDU lie in the file as they are."""
    with path.open("rb") as file:
        readable_in_place = file.read(6) == b"SIMPLE"
    compressed = isinstance(hdu, fits.BinTableHDU | fits.CompImageHDU)
    return readable_in_place and not compressed and not _is_scaled(hdu)


def _is_flat_image(hdu: Any) -> bool:
    """Tell whether an HDU holds one image; axes of length 1 before its two are none."""
    if not _is_image(hdu) or len(hdu.shape) < 2 or 0 in hdu.shape:
        return False
    return all(size == 1 for size in hdu.shape[:-2])


def _is_image(hdu: Any) -> bool:
    """Tell images from tables, and from what astropy cannot type."""
    return bool(getattr(hdu, "is_image", False)) and hasattr(hdu, "shape")


def _describe(hdu: Any) -> str:
    if not _is_image(hdu):
        return "a table" if isinstance(hdu, fits.BinTableHDU | fits.TableHDU) else "no image"
    return f"an image of shape {hdu.shape}" if hdu.shape else "no data"


def _clean_cards(header: fits.Header) -> fits.Header:
    """Return cards that parse without a word: of others the value is text, or all is a comment."""
    return fits.Header([_clean_card(re.sub(r"[^ -~]", "?", card.image)) for card in header.cards])


def _clean_card(text: str) -> fits.Card:
    card = fits.Card.fromstring(text)
    try:
        # Astropy parses a card when it is asked, and not before.
        keyword, value, comment = card.keyword, card.value, card.comment
    except fits.VerifyError:
        keyword, value, comment = text[:8].rstrip().upper(), text[8:].strip("= "), ""
    else:
        if _WELL_FORMED.match(text):
            return card
    if _KEYWORD.fullmatch(keyword) and "=" in text:
        return fits.Card(keyword, value, comment)
    return fits.Card("COMMENT", text.rstrip()[:72])


def _is_scaled(hdu: Any) -> bool:
    header = hdu.header
    scaled = header.get("BSCALE", 1) != 1 or header.get("BZERO", 0) != 0
    return scaled or (header["BITPIX"] > 0 and "BLANK" in header)


def _get_dtype(hdu: Any) -> np.dtype[Any]:
    if _is_scaled(hdu):
        # One pixel says it: astropy's rule depends on BITPIX, BSCALE, BZERO and BLANK together.
        found = hdu.section[(slice(0, 1),) * len(hdu.shape)].dtype
    else:
        found = fits.BITPIX2DTYPE[hdu.header["BITPIX"]]
    native: np.dtype[Any] = np.dtype(found).newbyteorder("=")
    return native


def _suggest_chunks(raw: Any, shape: tuple[int, int]) -> dict[str, int]:
    """Chunks for `chunks={}`; xarray warns of others that split them, so none where all fit."""
    sides = CHUNK, CHUNK
    # In the header of an image that is not compressed, the card means nothing.
    if isinstance(raw, fits.BinTableHDU) and "ZTILE1" in raw.header:
        sides = int(raw.header.get("ZTILE2", 1)), int(raw.header["ZTILE1"])
        if sides[1] >= shape[1]:
            sides = -(-_ROWS // sides[0]) * sides[0], shape[1]
    return {
        axis: side for axis, side, size in zip(("y", "x"), sides, shape, strict=True) if side < size
    }


def _make_coords(stored: _StoredImage) -> tuple[dict[str, xr.Variable], str]:
    """Return the coordinates, without `wcs` if it cannot be read, and why it cannot."""
    if find_idle_sip(stored.header):
        _log.info(
            "%s: SIP coefficients are left in a header whose CTYPE (%s, %s) does not ask for them: "
            "not applied",
            *(stored.array.path, stored.header.get("CTYPE1"), stored.header.get("CTYPE2")),
        )
    text, problem = "", ""
    try:
        text = format_wcs(stored.header)
    except InputError as error:
        problem = str(error)
        _log.debug("%s is opened without wcs: %s", stored.array.path, error)
    rows, columns = stored.array.shape
    coords = Grid(text, 0.0, 0.0, 1.0, 1.0, (rows, columns)).coords()
    if not text:
        del coords["wcs"]
    return coords, problem
