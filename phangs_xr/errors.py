"""The mistakes a user can make, as exceptions whose one line says what to do about them."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line: what was expected, what was found (value, product, file), what to do.
    The command line prints it without a traceback and exits with 2.
    """


class GridError(InputError):
    """Images that must share one pixel grid do not."""
