"""The mistakes a user can make, as exceptions whose one line says what to do about them."""

import sys

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
