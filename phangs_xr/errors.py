"""The mistakes a user can make, as exceptions whose one line says what to do about them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

LARGEST = sys.float_info.max
"""Bound of an option that has none: but for infinity."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line: what was expected, what was found (value, product, file), what to do.
    The command line prints it without a traceback and exits with 2.
    """


def require_between(step: str, options: object, **bounds: tuple[float, float, str]) -> None:
    """Refuse options of a step that lie beyond their bounds, or are NaN.

    Parameters
    ----------
    step
        Whose options they are.
    options
        Its options.
    **bounds
        By name of the option: least, largest, and unit.

    Raises
    ------
    InputError
        If one does.
    """
    for name, (least, largest, unit) in bounds.items():
        value = getattr(options, name)
        if not least <= value <= largest:
            limits = f"at least {least:g}" if largest >= LARGEST else f"{least:g} to {largest:g}"
            message = f"{step}: {name} should be {limits} [{unit}], found {value}: correct it"
            raise InputError(message)


class GridError(InputError):
    """Images that must share one pixel grid do not."""


@contextmanager
def blame_input(expected: str, where: str, remedy: str) -> Iterator[None]:
    """Turn whatever a library raises while it reads an input into one line about that input.

    Libraries raise dozens of unrelated types of damaged input. What code of this package raises
    itself goes through as it is: it is no user's mistake.

    Parameters
    ----------
    expected
        What the input should be, "a FITS image".
    where
        The file, and what of it.
    remedy
        What to do.

    Raises
    ------
    InputError
        If a library raises.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if _is_own_fault(error):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"expected {expected}, found {where} ({reason}): {remedy}") from error


def _is_own_fault(error: Exception) -> bool:
    """Tell whether code of this package raised an error, not a library that it called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return module.split(".")[0] == __name__.split(".")[0]
