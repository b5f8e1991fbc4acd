"""Whether a FITS file's structure can be what its headers say: sizes, tables, chain of HDUs.

Astropy takes them at their word, and allocates, reads backwards or loops without end where a number
is damaged. Here the cards that sizes follow from are read as bytes, HDU by HDU, and compared with
what the file can hold, before Astropy sees the file.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from phangs_xr.errors import InputError

_CARD = 80
_BLOCK = 2880
_LONGEST_HEADER = 16 << 20
"""Bytes after which a header is taken for one that never ends: 200,000 cards."""

_MOST_AXES = _MOST_COLUMNS = 999
"""By the FITS standard."""

_DENSEST = 1 << 14
"""Bytes of an image that one byte of its compressed tiles may stand for, with room to spare."""

_SKIP = 1 << 20
"""Bytes of a compressed file to read at a time."""

_STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|[PG]COUNT|GROUPS|THEAP|TFIELDS|T(FORM|BCOL)\d+"
    r"|Z(IMAGE|BITPIX|NAXIS\d*|TILE\d+)"
)
_INTEGER = re.compile(r"[+-]?\d+")
_VALUE = re.compile(r"\s*('(?:[^']|'')*'|[^/]*)")
_END = re.compile(rb"END( *$| {0,76}[^A-Z0-9_-])")
"""As Astropy tells the end of a header, which need not be a right one."""

_BINARY_FORM = re.compile(r"'\s*(\d*)([LXBIJKAEDCMPQ])[^']*'")
_BITS = {"L": 8, "X": 1, "B": 8, "I": 16, "J": 32, "K": 64, "A": 8, "E": 32, "D": 64} | {
    "C": 64,
    "M": 128,
    "P": 64,
    "Q": 128,
}
_TEXT_FORM = re.compile(r"'\s*[AIFED](\d+)(\.\d+)?\s*'")


@contextmanager
def _open_zip(path: Path) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as files, files.open(files.infolist()[0]) as file:
        yield file


_PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"PK\x03\x04": _open_zip,
}
"""Packed files by their first bytes, as Astropy knows them, and how they are read."""


def check_fits(path: Path) -> None:
    """Refuse a file whose headers cannot be right, before memory or time is spent on them.

    Parameters
    ----------
    path
        The file, plain or packed as a whole (gzip, bzip2, xz, zip).

    Raises
    ------
    InputError
        If a header does not end; if a card from which sizes follow (BITPIX, NAXIS, NAXISn, PCOUNT,
        GCOUNT, TFIELDS, TFORMn, those of compressed images) is missing or no number that it can be;
        or if the file is too short for what its headers say.
    """
    try:
        with _open_bytes(path) as (file, size):
            _check_hdus(path, file, size)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise InputError(
            f"expected a FITS file, found {path} ({error}): check that it is complete"
        ) from error


@contextmanager
def _open_bytes(path: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """Open a file as if it were not packed; with its size, None where it is."""
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        start = file.read(8)
        file.seek(0)
        for magic, unpack in _PACKED.items():
            if start.startswith(magic):
                yield stack.enter_context(unpack(path)), None
                return
        yield file, path.stat().st_size


def _check_hdus(path: Path, file: IO[bytes], size: int | None) -> None:
    number, end = 0, 0
    while True:
        first = file.read(_BLOCK)
        # After the last HDU a file may hold anything that does not look like another.
        if number and not first.startswith((b"SIMPLE  ", b"XTENSION")):
            return
        if not first:
            raise EOFError("Empty or corrupt FITS file")
        if not number and not first.startswith(b"SIMPLE  ="):
            raise OSError("No SIMPLE card found, this file does not appear to be a valid FITS file")
        cards, length = _read_cards(file, first, f"HDU {number} of {path}")
        hdu = _Hdu(number, path, cards)
        data = _measure_data(hdu)
        _check_table(hdu)
        end += length
        found = _skip(file, data) if size is None else min(max(size - end, 0), data)
        if found < data:
            raise InputError(
                f"expected at least {end + data} bytes in {path} by the header of HDU {number}, "
                f"found {end + found if size is None else size}: the file is truncated, copy or "
                f"download it again"
            )
        end += data
        padding = -data % _BLOCK
        end += padding
        if size is None:
            _skip(file, padding)
        else:
            file.seek(end)
        number += 1


def _read_cards(file: IO[bytes], block: bytes, place: str) -> tuple[dict[str, str], int]:
    """Return the cards of a header that sizes follow from, unparsed, and its length [bytes]."""
    cards: dict[str, str] = {}
    length = 0
    while len(block) == _BLOCK or (block and not length):
        length += len(block)
        for start in range(0, len(block), _CARD):
            card = block[start : start + _CARD]
            if card.startswith(b"END") and _END.match(card):
                return cards, length
            _add_card(cards, card.decode("latin-1"), place)
        if length > _LONGEST_HEADER:
            break
        block = file.read(_BLOCK)
    raise InputError(
        f"expected an END card in the header of {place}, found none in {length} bytes: the file is "
        f"damaged, copy or download it again"
    )


def _add_card(cards: dict[str, str], card: str, place: str) -> None:
    keyword = card[:8].rstrip().upper()
    if not _STRUCTURE.fullmatch(keyword):
        return
    found = _VALUE.match(card, 9)
    value = found.group(1).strip() if found and card[8:9] == "=" else card[8:].strip()
    if cards.setdefault(keyword, value) != value:
        raise InputError(
            f"expected one card {keyword} in {place}, found {cards[keyword]} and {value}: mend its "
            f"header, or copy or download the file again"
        )


@dataclass(frozen=True)
class _Hdu:
    """The cards of one HDU that sizes follow from.

    Attributes
    ----------
    number, path
        Which HDU of which file.
    cards
        Their values as they stand.
    """

    number: int
    path: Path
    cards: dict[str, str]

    def refuse(self, keyword: str, expected: str) -> InputError:
        """Return the error that a card is not what it should be."""
        found = self.cards.get(keyword)
        return InputError(
            f"expected {keyword} to be {expected} in HDU {self.number} of {self.path}, found "
            f"{'no such card' if found is None else found or 'no value'}: mend its header, or copy "
            f"or download the file again"
        )

    def read_number(
        self, keyword: str, least: int, most: int | None = None, default: int | None = None
    ) -> int:
        """Return the whole number of a card, which must lie within bounds."""
        text = self.cards.get(keyword)
        if text is None and default is not None:
            return default
        if text is not None and _INTEGER.fullmatch(text) and len(text) < 20:
            value = int(text)
            if least <= value and (most is None or value <= most):
                return value
        bounds = f"{least} or more" if most is None else f"{least} to {most}"
        raise self.refuse(keyword, f"a whole number, {bounds},")

    def read_shape(self, prefix: str = "") -> list[int]:
        """Return the lengths of the axes, in FITS's order."""
        count = self.read_number(f"{prefix}NAXIS", 0, _MOST_AXES)
        return [self.read_number(f"{prefix}NAXIS{axis}", 0) for axis in range(1, count + 1)]

    def read_bits(self, keyword: str) -> int:
        """Return the bits of a pixel."""
        if self.cards.get(keyword) not in ("8", "16", "32", "64", "-32", "-64"):
            raise self.refuse(keyword, "8, 16, 32, 64, -32 or -64")
        return abs(int(self.cards[keyword]))

    @property
    def kind(self) -> str:
        """The type of an extension, empty for the primary HDU."""
        return self.cards.get("XTENSION", "").strip("' ")


def _measure_data(hdu: _Hdu) -> int:
    """Return the bytes of an HDU's data, without padding."""
    if hdu.number == 0 and hdu.cards["SIMPLE"] != "T":
        raise hdu.refuse("SIMPLE", "T")
    bits, shape = hdu.read_bits("BITPIX"), hdu.read_shape()
    fixed = hdu.read_number("PCOUNT", 0, default=0)
    groups = hdu.read_number("GCOUNT", 1, default=1)
    if not shape:
        return 0
    if hdu.cards.get("GROUPS") == "T":
        if shape[0]:
            raise hdu.refuse("NAXIS1", "0 beside GROUPS = T")
        shape = shape[1:]
    return bits // 8 * groups * (fixed + math.prod(shape))


def _check_table(hdu: _Hdu) -> None:
    """Refuse tables whose columns are wider than their rows, and impossible compressed images."""
    if hdu.kind not in ("BINTABLE", "TABLE", "A3DTABLE"):
        return
    if hdu.cards["BITPIX"] != "8":
        raise hdu.refuse("BITPIX", "8 for a table")
    if hdu.cards["NAXIS"] != "2":
        raise hdu.refuse("NAXIS", "2 for a table")
    count = hdu.read_number("TFIELDS", 0, _MOST_COLUMNS)
    width = hdu.read_number("NAXIS1", 0)
    if hdu.kind == "TABLE":
        for column in range(1, count + 1):
            _check_text_column(hdu, column, width)
        return
    used = sum(_measure_column(hdu, column) for column in range(1, count + 1))
    if used != width:
        raise hdu.refuse("NAXIS1", f"{used}, the width of all columns by their TFORM,")
    rows = width * hdu.read_number("NAXIS2", 0)
    heap = hdu.read_number("PCOUNT", 0, default=0)
    hdu.read_number("THEAP", rows, rows + heap, default=rows)
    if hdu.cards.get("ZIMAGE") == "T":
        _check_compressed(hdu, rows + heap)


def _check_text_column(hdu: _Hdu, column: int, width: int) -> None:
    form = _TEXT_FORM.fullmatch(hdu.cards.get(f"TFORM{column}", ""))
    if form is None:
        raise hdu.refuse(f"TFORM{column}", "the format of a column of text, as 'F10.3',")
    start = hdu.read_number(f"TBCOL{column}", 1, width)
    if start - 1 + int(form.group(1)) > width:
        raise hdu.refuse(f"TFORM{column}", f"within the {width} characters of a row")


def _measure_column(hdu: _Hdu, column: int) -> int:
    """Return the bytes of a column in one row."""
    form = _BINARY_FORM.fullmatch(hdu.cards.get(f"TFORM{column}", ""))
    if form is None:
        raise hdu.refuse(f"TFORM{column}", "the format of a column, as '1D',")
    repeat = int(form.group(1) or 1)
    return -(-repeat * _BITS[form.group(2)] // 8)


def _check_compressed(hdu: _Hdu, stored: int) -> None:
    """Refuse a compressed image that does not have a row for each tile."""
    bits, shape = hdu.read_bits("ZBITPIX"), hdu.read_shape("Z")
    tiles = 1
    for axis, length in enumerate(shape, 1):
        side = hdu.read_number(f"ZTILE{axis}", 1, default=max(length, 1) if axis == 1 else 1)
        tiles *= -(-length // side)
    if tiles != hdu.read_number("NAXIS2", 0):
        raise hdu.refuse("NAXIS2", f"{tiles}, a row for each tile by ZNAXISn and ZTILEn,")
    if math.prod(shape) * bits // 8 > stored * _DENSEST:
        raise hdu.refuse("ZNAXIS1", f"of an image that {stored} bytes can hold")


def _skip(file: IO[bytes], count: int) -> int:
    """Read past bytes; return how many there were."""
    left = count
    while left > 0:
        piece = len(file.read(min(left, _SKIP)))
        if not piece:
            break
        left -= piece
    return count - left
