"""Astropy without its warnings, in any number of threads at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

from astropy.utils.exceptions import AstropyWarning

_lock = Lock()
_inside = 0
_filters = ExitStack()


@contextmanager
def silence_astropy() -> Iterator[None]:
    """Leave out what Astropy warns of while files are read.

    What it warns of is either mended by it or refused in words of our own. `catch_warnings` is
    made for one thread: of several, the last to leave could bring back the filters of the first.
    Here the first to come sets the filter and the last to leave takes it away.
    """
    global _inside
    with _lock:
        if _inside == 0:
            _filters.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", AstropyWarning)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _filters.close()
