"""How often Python looks for garbage: seldom, in a process of our own."""

import atexit
import gc

OBJECTS = 50_000
"""How many may be made between two looks, instead of Python's 700."""


def collect_seldom() -> None:
    """Have this process look for garbage seldom, and not once more before it ends.

    What is imported stays: to look through it again and again takes a third of a second of each
    command and a tenth of the time that figures take, and a last time another third.
    """
    gc.freeze()
    gc.set_threshold(OBJECTS)
    atexit.register(gc.freeze)
