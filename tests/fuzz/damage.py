"""What can happen to a file or a configuration, drawn from a source of random numbers."""

import copy
import gzip
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from tests.fuzz.pristine import CONFIG, make_files

CARD = 80
BLOCK = 2880

VALUES = (
    *("'abc'", "''", "'1.0'", "'NaN'", "'TAN'", "'a''b'", "'HA6562_FLUX'", "'1D'", "'999999999D'"),
    *("(1.0, 2.0)", "(1, 2)", "NaN", "inf", "-inf", "T", "F", "", "-1", "0", "1", "2", "3", "16"),
    *("0.0", "-0.5", "1.5", "7", "99", "999", "1000", "-32", "64", "100000", "2147483648"),
    *("-2147483648", "9223372036854775807", "99999999999999999999", "1E30", "-1E30", "1E300"),
    *("1E-300", "1E999", "1D5", "1.2.3", "12 34", "'unclosed", "0x10", "+", "T F", "1e", "&"),
    *("'10**(999999999) erg'", "'1e999999 erg'", "'GLON-TAN'", "'RA---SIN'", "'FK4'", "'GAPPT'"),
    *("'m/'", "'deg'", "'image'", "'LOOKUP'", "'RA---TPV'", "'TAN-SIP'", "'UNDEF'", "'PE(1)'"),
)
"""What stands after the equals sign."""

KEYWORDS = (
    *("BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT", "GROUPS", "EXTEND"),
    *("BSCALE", "BZERO", "BLANK", "BUNIT", "EXTNAME", "EXTVER", "EXTLEVEL", "INHERIT", "SIMPLE"),
    *("WCSAXES", "CTYPE1", "CTYPE2", "CTYPE3", "CUNIT1", "CUNIT2", "CRVAL1", "CRVAL2", "CRPIX1"),
    *("CRPIX2", "CDELT1", "CDELT2", "CROTA2", "PC1_1", "PC2_1", "CD1_1", "CD1_2", "CD2_2"),
    *("RADESYS", "EQUINOX", "LONPOLE", "LATPOLE", "PV1_1", "PV2_1", "PV2_99", "A_ORDER", "B_ORDER"),
    *("AP_ORDER", "A_2_0", "B_0_2", "CPDIS1", "D2IMDIS1", "CPERR1", "MJD-OBS", "DATE-OBS"),
    *("OBSGEO-X", "VELOSYS", "RESTFRQ", "SPECSYS", "NAXIS4", "DP1", "CRVAL1A", "CTYPE1A"),
    *("PHOTFLAM", "PHOTPLAM", "PHOTBW", "FILTER", "FILTER1", "OBJECT", "CHECKSUM", "DATASUM"),
    *("TFIELDS", "THEAP", "TTYPE1", "TTYPE2", "TFORM1", "TFORM2", "TFORM8", "TUNIT3", "TNULL4"),
    *("TSCAL6", "TZERO6", "TDIM7", "TDISP3", "TBCOL1", "TTYPE999", "TFORM0", "ZIMAGE", "ZBITPIX"),
    *("ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZCMPTYPE", "ZVAL1", "ZNAME1", "ZBLANK"),
    *(
        "ZQUANTIZ",
        "ZDITHER0",
        "ZSCALE",
        "ZZERO",
        "CONTINUE",
        "COMMENT",
        "HIERARCH",
        "END",
        "XTENSION",
    ),
)


@dataclass(frozen=True)
class Damage:
    """One change: what kind, to which file, in words, and the content after it."""

    kind: str
    target: str
    words: str
    content: bytes

    def __repr__(self) -> str:
        return f"<{self.kind} of {self.target}: {self.words}>"


def draw_damage(rng: Random) -> Damage:
    """A damaged file or configuration of any kind."""
    return damage_configuration(rng) if rng.random() < 0.2 else damage_file(rng)


def damage_file(rng: Random, target: str | None = None) -> Damage:
    """A file of the field with one or two changes."""
    files = make_files()
    target = target or rng.choice(sorted(files))
    content = files[target]
    # What is packed is damaged as a stream, or inside.
    inside = target.endswith(".gz") and rng.randint(0, 4) > 0
    if inside:
        content = gzip.decompress(content)
    kinds, words = [], []
    for _ in range(rng.choice((1, 1, 1, 2))):
        kind = rng.choice(sorted(CHANGES))
        content, said = CHANGES[kind](rng, content)
        kinds.append(kind)
        words.append(said)
    if inside:
        content = gzip.compress(content, 1, mtime=0)
    return Damage(" and ".join(sorted(set(kinds))), target, "; ".join(words), content)


def _list_cards(content: bytes) -> list[int]:
    """Where the cards of all headers begin, as far as they can be told."""
    found = []
    for start in range(0, len(content), BLOCK):
        if content[start : start + 8] in (b"SIMPLE  ", b"XTENSION"):
            place = start
            while place < len(content) and content[place : place + CARD] != b"END".ljust(CARD):
                found.append(place)
                place += CARD
                if place - start > 40 * BLOCK:
                    break
            found.append(place)
    return found or [0]


def _replace(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new + content[place + len(new) :]


def _name(content: bytes, place: int) -> str:
    return content[place : place + 8].decode("latin-1").strip()


def _set_value(rng: Random, content: bytes) -> tuple[bytes, str]:
    place = rng.choice(_list_cards(content))
    value = rng.choice(VALUES)
    card = (content[place : place + 8] + b"= " + value.encode()).ljust(CARD)
    return _replace(content, place, card), f"{_name(content, place)} = {value}"


def _drop_card(rng: Random, content: bytes) -> tuple[bytes, str]:
    cards = _list_cards(content)
    place = rng.choice(cards)
    return _replace(content, place, b" " * CARD), f"no {_name(content, place)}"


def _add_card(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Put a card in the place of another, or of the blanks behind END."""
    keyword, value = rng.choice(KEYWORDS), rng.choice(VALUES)
    card = f"{keyword:<8}= {value}".encode().ljust(CARD)
    place = rng.choice(_list_cards(content))
    end = content.find(b"END".ljust(CARD), place)
    if end >= 0 and (end + CARD) % BLOCK and rng.randint(0, 3):
        moved = card + b"END".ljust(CARD)
        return _replace(content, end, moved), f"{keyword} = {value} added at {end}"
    return _replace(content, place, card), f"{keyword} = {value} for {_name(content, place)}"


def _spoil_card(rng: Random, content: bytes) -> tuple[bytes, str]:
    place = rng.choice(_list_cards(content)) + rng.randint(0, 40)
    byte = rng.choice(b"\x00\t\n\r\x7f\x80\xe9\xff'= /&\"?aAE0")
    return _replace(content, place, bytes([byte])), f"byte {place} = {byte:#x}"


def _set_bytes(rng: Random, content: bytes) -> tuple[bytes, str]:
    place = rng.randrange(max(len(content), 1))
    length = rng.choice((1, 1, 2, 8, 100, 2880, 10000))
    seed = rng.randint(0, 99)
    length = min(length, len(content) - place)
    new = np.random.default_rng(seed).bytes(length) if seed else bytes(length)
    return _replace(content, place, new), f"{length} bytes from {place} on, seed {seed}"


def _cut(rng: Random, content: bytes) -> tuple[bytes, str]:
    length = rng.randint(0, len(content))
    if rng.random() < 0.5:
        length = length // BLOCK * BLOCK
    return content[:length], f"cut to {length} bytes"


def _shift(rng: Random, content: bytes) -> tuple[bytes, str]:
    place = rng.randint(0, len(content))
    length = rng.choice((1, CARD, BLOCK, BLOCK + 1))
    if rng.random() < 0.5:
        return content[:place] + content[place + length :], f"{length} bytes lost at {place}"
    filler = rng.choice((b"\0", b" ", b"E"))
    return content[:place] + filler * length + content[place:], f"{length} bytes put in at {place}"


CHANGES: dict[str, Callable[[Random, bytes], tuple[bytes, str]]] = {
    "value": _set_value,
    "card dropped": _drop_card,
    "card added": _add_card,
    "card spoiled": _spoil_card,
    "bytes changed": _set_bytes,
    "cut short": _cut,
    "bytes moved": _shift,
}

ODD = (
    *(
        math.nan,
        math.inf,
        -math.inf,
        -1,
        0,
        1,
        -0.5,
        0.5,
        1e-300,
        1e300,
        2**31,
        2**63 - 1,
        -(2**63),
    ),
    *(10**30, 7, 100, True, False, "", "abc", "x" * 300, "../x", "a\0b", "é", "\ud7ff", "%s", "~"),
    *(
        "1.0",
        "nan",
        "s3://",
        "memory://x.zarr",
        "http://[",
        "a\nb",
        ".",
        "/",
        "/dev/null",
        "x.zarr",
    ),
    *([], [1], ["halpha"], ["x"], [[]], {}, {"path": "x"}, {"path": 3}, {"": ""}),
)
"""Values that a configuration may hold anywhere."""


def damage_configuration(rng: Random) -> Damage:
    """A configuration with one or two changes."""
    content = copy.deepcopy(CONFIG)
    words = []
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.choice(_list_places(content))
        words.append(_change_place(rng, content, place))
    text = write_toml(content).encode("utf-8", "surrogatepass")
    if rng.randint(0, 4):
        return Damage("configuration", "configuration", "; ".join(words), text)
    text = write_toml(CONFIG).encode()
    place = rng.randrange(len(text))
    new = bytes(
        rng.choice(b"\"'[]{}=.,#\\ \n\x00\xe9019a") for _ in range(rng.choice((1, 1, 2, 5)))
    )
    text = _replace(text, place, new)
    return Damage("bytes of configuration", "configuration", f"{new!r} at {place}", text)


def _list_places(content: dict, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    places = []
    for key, value in content.items():
        places.append((*before, key))
        if isinstance(value, dict):
            places += _list_places(value, (*before, key))
    return places


def _change_place(rng: Random, content: dict, place: tuple[str, ...]) -> str:
    table = content
    for key in place[:-1]:
        table = table[key]
    name, where = place[-1], ".".join(place)
    change = rng.choice(("value", "value", "value", "dropped", "renamed", "added"))
    if change == "value":
        old = table[name]
        # As often as not of the kind that it should be, to get beyond the first check.
        like = [one for one in ODD if _is_like(one, old)] if rng.random() < 0.7 else []
        table[name] = copy.deepcopy(rng.choice(like or ODD))
        return f"{where} = {table[name]!r:.60}"
    if change == "added":
        keys = ("hdu", "photflam", "store", "products", "fits", "throughput", "x", "rings")
        key = rng.choice(keys)
        table[key] = copy.deepcopy(rng.choice(ODD))
        return f"{key} = {table[key]!r:.60} beside {where}"
    value = table.pop(name)
    if change == "renamed":
        table[name[:-1] + rng.choice(("", "x", "é"))] = value
    return f"{where} {change}"


def _is_like(one: object, old: object) -> bool:
    number = int | float
    return isinstance(one, type(old)) or (isinstance(one, number) and isinstance(old, number))


def write_toml(value: object) -> str:
    """Write a document as TOML, tables inside others as inline tables."""
    return "\n".join(f"{_quote(key)} = {_write_value(one)}" for key, one in value.items()) + "\n"


def _write_value(value: object) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_quote(key)} = {_write_value(one)}" for key, one in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_write_value, value))}]"
    if isinstance(value, str):
        return _quote(value)
    return repr(value).lower()


def _quote(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", r"\\u\1", json.dumps(text, ensure_ascii=True))
