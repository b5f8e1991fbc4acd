"""How chunks, threads and memory go together: a measured formula, both ways."""

from __future__ import annotations

import re

from dask.system import CPU_COUNT

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import DEFAULT_CHUNK

BASE_BYTES = 400e6
"""Of a process that has imported everything and holds a plan, meshes and histograms."""

BYTES_PER_PIXEL = 60.0
"""Of a tile at work: inputs, products and temporaries of the largest stage, and what the allocator
keeps of them, on the safe side: with chunks of 2000 pixels and two threads runs of 4000², 8000² and
16,000² peaked at 0.59, 0.64 and 0.67 GB, measuring the nebulae of 16,000² at 0.82 GB."""

SMALLEST_CHUNK = 200

_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def count_threads(threads: int | None) -> int:
    """Return how many threads a run uses when so many are asked for."""
    return threads or CPU_COUNT


def estimate_peak(chunk: int, threads: int) -> float:
    """Return the peak memory [byte] to expect of tiles of this side, so many at a time."""
    return BASE_BYTES + threads * BYTES_PER_PIXEL * chunk**2


def parse_memory(text: str) -> float:
    """Return an amount of memory in bytes.

    Raises
    ------
    InputError
        If the text is not a number with an optional unit (kB, MB, GB, TB; powers of 1000, and
        KiB … likewise taken as powers of 1024).
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    if found is None or float(found[1]) <= 0:
        message = f"--memory should be an amount such as 4GB or 800MB, found {text!r}"
        raise InputError(message)
    unit = _UNITS[found[2].lower()]
    if found[3]:
        unit = 1024.0 ** (list(_UNITS).index(found[2].lower()))
    return float(found[1]) * unit


def choose_chunk(memory: str | None, chunk: int | None, threads: int | None) -> int:
    """Return the side of the chunks [pixel]: as asked for, or the largest that memory allows.

    Parameters
    ----------
    memory
        To stay within, such as "4GB"; the default chunk if None.
    chunk
        Asked for; takes precedence.
    threads
        At work at the same time in one process's memory; the machine's if None.

    Raises
    ------
    InputError
        If the chunk is not a positive multiple of 100, or the memory too little for any chunk.
    """
    if chunk is not None:
        if chunk < 100 or chunk % 100:
            raise InputError(f"--chunk should be a multiple of 100 pixels, found {chunk}")
        return chunk
    if memory is None:
        return DEFAULT_CHUNK
    available = parse_memory(memory)
    number = count_threads(threads)
    sides = range(DEFAULT_CHUNK, SMALLEST_CHUNK - 1, -100)
    for side in sides:
        if estimate_peak(side, number) <= available:
            return side
    least = estimate_peak(SMALLEST_CHUNK, number)
    message = (
        f"--memory {memory}: at least {least / 1e6:.0f} MB are needed with {number} threads: "
        f"give more memory, or fewer --threads"
    )
    raise InputError(message)
