"""Whose fault an exception is: a library's, on an input it cannot read, or our own."""

import json

import pytest

from phangs_xr import errors
from phangs_xr.errors import InputError, blame_input


def test_blame_input__says_in_one_line_what_a_library_raised():
    with (
        pytest.raises(
            InputError, match=r"^expected JSON, found x \(JSONDecodeError: .*\): mend it$"
        ),
        blame_input("JSON", "x", "mend it"),
    ):
        json.loads("{\n]")


def test_blame_input__leaves_what_is_said_already():
    with pytest.raises(InputError, match=r"^said$"), blame_input("JSON", "x", "mend it"):
        raise InputError("said")


def test_blame_input__leaves_a_fault_of_our_own(monkeypatch):
    monkeypatch.setattr(errors, "LARGEST", None)
    with pytest.raises(TypeError, match="not supported"), blame_input("options", "x", "mend it"):
        # Compares with LARGEST, in code of the package.
        errors.require_between("step", _Options(), size=(0, 1.0, "px"))


class _Options:
    size = 2.0


def test_blame_input__leaves_interrupts():
    with pytest.raises(KeyboardInterrupt), blame_input("JSON", "x", "mend it"):
        raise KeyboardInterrupt
