"""Whether a FITS file can be what its headers say, before a library believes them.

astropy makes room for, and loops over, whatever a damaged header asks for. Here only the cards that
say how large things are get read (FITS standard 4.0, sections 3 to 4.4 and 7.3), HDU by HDU, and
are held against the size of the file.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import IO, Any

from phangs_xr.errors import InputError, blame_input

_BLOCK = 2880
_CARD = 80

_BITPIX = ("8", "16", "32", "64", "-32", "-64")
_MOST = {"NAXIS": 999, "TFIELDS": 999, "ZNAXIS": 999}
"""The standard's own limits."""

_LARGEST_TILE = 2**28
"""Pixels of a compressed tile: a mosaic of 16,000² in one piece."""

_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
"""By their first two bytes."""

_STRUCTURAL = re.compile(
    r"XTENSION|BITPIX|GROUPS|[PG]COUNT|TFIELDS|Z?NAXIS\d*|ZIMAGE|ZBITPIX|ZTILE\d+"
)


@dataclass(frozen=True)
class _Header:
    """The structural cards of one HDU, as text."""

    path: Path
    number: int
    cards: Mapping[str, str]

    def get_count(self, name: str, default: int | None = None) -> int:
        """Return a card as a number of things: whole, not negative, within the standard's limit."""
        text = self.cards.get(name)
        if text is None and default is not None:
            return default
        most = _MOST.get(name)
        if text is None or not re.fullmatch(r"\+?\d{1,18}", text) or (most and int(text) > most):
            limits = f"0 to {most}" if most else "0 or more"
            raise self.refuse(f"a whole number, {limits}, in {name}", text or "no such card")
        return int(text)

    def require_bits(self, name: str) -> int:
        """Return a card as the bits of a pixel."""
        text = self.cards.get(name, "no such card")
        if text not in _BITPIX:
            raise self.refuse(f"one of {', '.join(_BITPIX)} in {name}", text)
        return int(text)

    def refuse(self, expected: str, found: str) -> InputError:
        """Return what refuses the file."""
        return InputError(
            f"expected {expected}, found {found} in HDU {self.number} of {self.path}: the file is "
            f"damaged, copy or download it again"
        )


def check_fits(path: Path) -> None:
    """Refuse a FITS file whose headers ask for what it cannot hold.

    Parameters
    ----------
    path
        Of the file, also compressed as a whole by gzip, bzip2 or xz.

    Raises
    ------
    InputError
        With the first card that is missing or cannot be true, or if the file is shorter than its
        headers say. What follows the last HDU is not looked at.
    """
    with blame_input("a FITS file", str(path), "check that it is complete"):
        with path.open("rb") as file:
            opener = _COMPRESSED.get(file.read(2))
        if opener is None:
            with path.open("rb") as file:
                _check_hdus(path, file, path.stat().st_size)
        else:
            with opener(path, "rb") as unpacked:
                _check_hdus(path, unpacked, None)


def _check_hdus(path: Path, file: IO[bytes], size: int | None) -> None:
    number = 0
    while (header := _read_header(path, file, number)) is not None:
        end = file.tell() + _count_bytes(header)
        found = size if size is not None else _measure(file, end)
        if found < end:
            raise InputError(
                f"expected at least {end} bytes in {path} by HDU {number}, found {found}: "
                f"the file is truncated, copy or download it again"
            )
        file.seek(-(-end // _BLOCK) * _BLOCK)
        number += 1


def _measure(file: IO[bytes], end: int) -> int:
    """Return how many of so many bytes an unpacked file has, which nothing but reading can tell."""
    here = file.tell()
    if end > here:
        file.seek(end - 1)
        end = end if file.read(1) else file.tell()
        file.seek(here)
    return end


def _read_header(path: Path, file: IO[bytes], number: int) -> _Header | None:
    """Return the next header, None if there is no further HDU."""
    cards: dict[str, str] = {}
    begun = False
    while True:
        block = file.read(_BLOCK)
        if not begun and not block.startswith(b"XTENSION=" if number else b"SIMPLE  ="):
            if number:
                return None
            raise InputError(
                f"expected a FITS file, found {path}, which does not begin with the card SIMPLE: "
                f"check that it is complete"
            )
        begun = True
        for start in range(0, len(block) - _CARD + 1, _CARD):
            card = block[start : start + _CARD].decode("latin-1")
            keyword = card[:8].rstrip()
            if keyword == "END" and not card[8:].strip():
                return _Header(path, number, cards)
            if card[8] == "=" and _STRUCTURAL.fullmatch(keyword):
                cards.setdefault(keyword, card[9:].split("/")[0].strip())
        # Where pixels are taken for cards, the whole file would be read for an END.
        if len(block) < _BLOCK or sum(byte < 32 for byte in block) > _BLOCK // 2:
            raise InputError(
                f"expected a card END in the header of HDU {number} of {path}, found none: "
                f"the file is damaged or truncated, copy or download it again"
            )


def _count_bytes(header: _Header) -> int:
    """Return the bytes of an HDU's data."""
    bits = header.require_bits("BITPIX")
    axes = [header.get_count(f"NAXIS{i + 1}") for i in range(header.get_count("NAXIS"))]
    if axes and axes[0] == 0 and header.cards.get("GROUPS") == "T":
        axes = axes[1:]
    _check_table(header, axes)
    items = prod(axes) if axes else 0
    groups, extra = header.get_count("GCOUNT", 1), header.get_count("PCOUNT", 0)
    return abs(bits) // 8 * groups * (extra + items)


def _check_table(header: _Header, axes: list[int]) -> None:
    """Refuse tables without a number of columns, and compressed images of other tiles than rows."""
    if header.cards.get("XTENSION", "").strip("' ") not in ("BINTABLE", "TABLE"):
        return
    header.get_count("TFIELDS")
    if len(axes) != 2:
        raise header.refuse("2 in NAXIS of a table", str(len(axes)))
    if header.cards.get("ZIMAGE") != "T":
        return
    header.require_bits("ZBITPIX")
    sides = [header.get_count(f"ZNAXIS{i + 1}") for i in range(header.get_count("ZNAXIS"))]
    # Without other word a tile is a row of the image.
    tiles = [
        header.get_count(f"ZTILE{i + 1}", side if i == 0 else 1) for i, side in enumerate(sides)
    ]
    if not all(tiles) or prod(tiles) > _LARGEST_TILE:
        found = " x ".join(map(str, tiles))
        raise header.refuse("tiles of 1 to 2**28 pixels in ZTILEn", found)
    number = prod(ceil(side / tile) for side, tile in zip(sides, tiles, strict=True))
    if number != axes[1]:
        raise header.refuse(f"{number} tiles by ZNAXISn and ZTILEn", f"{axes[1]} in NAXIS2")
