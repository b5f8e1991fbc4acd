"""The mistakes a user can make, as exceptions whose one line says what to do about them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

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
def refuse_damaged(expected: str) -> Iterator[None]:
    """Tell in one line that an input is damaged, whatever Astropy raises over it.

    Astropy raises a dozen unrelated types for what it cannot read, among them those of faults in a
    program (TypeError, AttributeError, AssertionError). They tell of the input where Astropy, at
    work on what it holds, raised them: below our last call on the stack. A fault in a function of
    our own, or in whatever else it calls, passes as it is.

    Parameters
    ----------
    expected
        What the input should be, and where it lies, to fill "expected ..., found it damaged".

    Raises
    ------
    InputError
        In place of what Astropy raised, or of what the system raised over the file.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if not _tells_of_input(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        message = (
            f"expected {expected}, found it damaged ({reason}): mend it, or copy or download it "
            f"again"
        )
        raise InputError(message) from error


_OURS = __name__.partition(".")[0]


def _tells_of_input(error: Exception) -> bool:
    if isinstance(error, OSError | EOFError):
        return True
    # Too little memory is the machine's fault.
    if isinstance(error, MemoryError):
        return False
    packages = [
        str(frame.f_globals.get("__name__", "")).partition(".")[0]
        for frame, _ in walk_tb(error.__traceback__)
    ]
    last = max((place for place, name in enumerate(packages) if name == _OURS), default=-1)
    return packages[last + 1 : last + 2] == ["astropy"]
