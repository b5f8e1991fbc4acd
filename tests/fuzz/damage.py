"""How a file is damaged: one card, one byte, or a piece of it, chosen by a random generator."""

import random
import re

BLOCK, CARD = 2880, 80

STRUCTURAL = ("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS")
ODD_VALUES = (
    *("'text'", "(1.0, 2.0)", "NaN", "nan", "-1", "0", "1", "2", "7", "999", "1E30", "1e400"),
    *("99999999999", "9223372036854775808", "-2147483649", "T", "F", "", "''", "'XYZ'", "1.5"),
    *("'\xe9\xff'", "= =", "'unterminated", "6.0D+02", "'RA---XXX'", "'DEC--TAN'", "'ICRSX'"),
    *("'1E'", "'0E'", "'99999999E'", "'PE(5)'", "'A'", "'erg / / s'", "'e' ", "'m' 3 'x'"),
)


def list_cards(content: bytes) -> list[int]:
    """Where the cards of all headers start, as far as they look like cards."""
    starts = []
    for block in range(0, len(content), BLOCK):
        for start in range(block, min(block + BLOCK, len(content) - CARD), CARD):
            card = content[start : start + CARD]
            if re.match(rb"[A-Z][A-Z0-9_-]* *(= |$)", card[:10]):
                starts.append(start)
    return starts


def choose_card(rng: random.Random, content: bytes) -> int:
    """A card, half of the time one that says how large things are."""
    starts = list_cards(content)
    sizes = [s for s in starts if content[s : s + 8].decode("latin-1").strip() in STRUCTURAL]
    return rng.choice(sizes if sizes and rng.random() < 0.5 else starts or [0])


def replace_value(rng: random.Random, content: bytes) -> bytes:
    """Give a card another value."""
    start = choose_card(rng, content)
    value = rng.choice(ODD_VALUES).encode("latin-1")
    card = (content[start : start + 8] + b"= " + value).ljust(CARD)[:CARD]
    return content[:start] + card + content[start + CARD :]


def drop_card(rng: random.Random, content: bytes) -> bytes:
    """Take a card away; the file keeps its length."""
    start = choose_card(rng, content)
    return content[:start] + b" " * CARD + content[start + CARD :]


def change_byte(rng: random.Random, content: bytes) -> bytes:
    """Change one byte, most often in a header."""
    starts = list_cards(content)
    in_header = starts and rng.random() < 0.8
    place = rng.choice(starts) + rng.randrange(CARD) if in_header else rng.randrange(len(content))
    return content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]


def cut_short(rng: random.Random, content: bytes) -> bytes:
    """Cut the file anywhere."""
    return content[: rng.randrange(len(content))]


def overwrite_bytes(rng: random.Random, content: bytes) -> bytes:
    """Overwrite a stretch with noise, zeros or blanks."""
    start = rng.randrange(len(content))
    length = min(rng.choice((4, 80, 400, 5000)), len(content) - start)
    filling = rng.choice((rng.randbytes(length), bytes(length), b" " * length))
    return content[:start] + filling + content[start + length :]


def swap_cards(rng: random.Random, content: bytes) -> bytes:
    """Exchange two cards."""
    one, other = sorted((choose_card(rng, content), choose_card(rng, content)))
    if one == other:
        return content
    cards = content[one : one + CARD], content[other : other + CARD]
    head, middle = content[:one], content[one + CARD : other]
    return head + cards[1] + middle + cards[0] + content[other + CARD :]


KINDS = {
    kind.__name__: kind
    for kind in (replace_value, drop_card, change_byte, cut_short, overwrite_bytes, swap_cards)
}


def change_line(rng: random.Random, text: str) -> str:
    """Change a configuration: a line dropped, doubled, retyped, renamed, or a letter changed."""
    lines = text.splitlines()
    number = rng.randrange(len(lines))
    before, after = lines[:number], lines[number + 1 :]
    key, _, value = lines[number].partition("=")
    odd = rng.choice(
        ("1", "-1", "nan", "inf", "true", '""', "[]", "{}", '"none.fits"', "1e400", '"\\u0000"')
    )
    letter = chr(rng.choice((0, 9, 34, 61, 91, 233, 955, 65, 120)))
    place = rng.randrange(len(lines[number]) + 1)
    return "\n".join(
        rng.choice(
            (
                [*before, *after],
                [*lines, lines[number]],
                [*before, f"{key}= {odd}", *after],
                [*before, f"{key.strip()}s = {value}", *after],
                [
                    *lines[:number],
                    f"{key}= {{ path = {value}, hdu = {odd} }}",
                    *lines[number + 1 :],
                ],
                [*before, f"{key}= {{ path = {value}, photflam = {odd}, units = {odd} }}"],
                [*lines, "[options.smooth_hst]", f"muse_fwhm = {odd}", f"hst_fwhm = {odd}"],
                [*lines, "[output]", f"products = [{odd}]", f"store = {odd}"],
                [*lines, "[options.subtract_background]", f"box_size = {odd}"],
                [
                    *before,
                    lines[number][:place] + letter + lines[number][place:],
                    *after,
                ],
            )
        )
    )
