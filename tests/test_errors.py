"""What is told of an input, and what stays a fault of the program."""

import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from phangs_xr.errors import InputError, refuse_damaged


@pytest.mark.parametrize(
    "read",
    [
        lambda: fits.Card.fromstring("A       = 'a' b").verify("exception"),
        lambda: Table.read("name.csv", format="no such format"),
        lambda: WCS(fits.Header({"CTYPE1": 1.5})),
    ],
)
def test_refuse_damaged__tells_what_astropy_raises(read):
    with pytest.raises(Exception) as raised:  # noqa: PT011
        read()
    assert not isinstance(raised.value, InputError)
    with (
        pytest.raises(InputError, match=r"expected x in y, found it damaged \(.+\): mend") as told,
        refuse_damaged("x in y"),
    ):
        _call_from_the_package(read)
    assert type(told.value.__cause__) is type(raised.value)
    assert "\n" not in str(told.value)


def _call_from_the_package(read):
    """Call with a frame of the package's own above, as its readers have it."""
    space = {"__name__": "phangs_xr.io.reader", "read": read}
    exec(compile("def call():\n    return read()", "reader.py", "exec"), space)  # noqa: S102
    # The lambda is this test's: it must count as the package's too.
    code = read.__code__
    space["read"] = type(read)(code, {**read.__globals__, "__name__": "phangs_xr.io.reader"})
    return space["call"]()


@pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, AssertionError, ValueError])
def test_refuse_damaged__leaves_faults_of_our_own(error):
    def fail():
        raise error("a fault")

    with pytest.raises(error, match="a fault"), refuse_damaged("x in y"):
        fail()


def test_refuse_damaged__tells_what_the_system_raises(tmp_path):
    with pytest.raises(InputError, match=r"found it damaged \(.*directory"), refuse_damaged("x"):
        tmp_path.open()


def test_refuse_damaged__leaves_what_is_told_already_and_lack_of_memory():
    for error in (InputError("as it is"), MemoryError("as it is")):
        with pytest.raises(type(error), match=r"^as it is$"), refuse_damaged("x in y"):
            raise error
