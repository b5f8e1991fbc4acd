"""The directory of a run: one run at a time in it, and room on its disk."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from phangs_xr.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says when a disk, or a user's share of it, is full."""


@contextmanager
def hold_directory(out: Path, galaxy: str, named: str = "--out") -> Iterator[None]:
    """Keep other runs out of a directory; the lock goes with the process, whatever ends it.

    Parameters
    ----------
    out
        The directory, made if there is none, and removed again if it stays empty.
    galaxy
        Whose half-written files of a killed run are removed.
    named
        What a user gives another with.

    Raises
    ------
    InputError
        If it cannot be made, or another run is at work in it.
    """
    missing = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in FULL:
            raise
        message = (
            f"{out}: a directory is needed, found that none can be made ({error.strerror}): give "
            f"another with {named}"
        )
        raise InputError(message) from error
    descriptor = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{out}: found another run at work here: wait for it, or give another {named}"
            raise InputError(message) from None
        for leftover in out.glob(f".{galaxy}_*.partial"):
            leftover.unlink()
        yield
    finally:
        os.close(descriptor)
        # A run that is refused leaves no trace.
        with suppress(OSError):
            for path in missing:
                path.rmdir()


def require_space(shares: Iterable[tuple[Path, int]]) -> None:
    """Refuse to begin what a disk has no room for.

    Parameters
    ----------
    shares
        Places, which need not exist yet, and the bytes that will be written there; those on one
        disk add up.

    Raises
    ------
    InputError
        If a disk has less free than that.
    """
    needed: dict[int, int] = {}
    for place, size in shares:
        existing = next(path for path in (place, *place.parents) if path.exists())
        disk = existing.stat().st_dev
        needed[disk] = needed.get(disk, 0) + size
        free = shutil.disk_usage(existing).free
        if needed[disk] > free:
            message = (
                f"{place}: {needed[disk] / 1e9:.2f} GB are needed for the products, found "
                f"{free / 1e9:.2f} GB free: free some, or limit [output] products and fits"
            )
            raise InputError(message)
