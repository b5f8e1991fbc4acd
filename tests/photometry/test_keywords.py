"""How counts become flux: from attributes, else from the header, and never from nonsense."""

import numpy as np
import pytest

from phangs_xr.errors import InputError
from phangs_xr.photometry.keywords import (
    Photometry,
    find_keyword,
    get_photometry,
    require_photometry,
)
from phangs_xr.schema import COUNTS
from tests.images import make_image

CARDS = "PHOTFLAM= 1.5E-18\nPHOTPLAM= 6584.0\nEXPTIME = 100.0"


def make_counts(**attrs):
    return make_image(np.ones((2, 3), np.float32), COUNTS, **attrs)


def test_find_keyword__prefers_the_attribute_to_the_card():
    image = make_counts(fits_header=CARDS, photflam=2e-18)
    assert find_keyword(image, "photflam") == 2e-18
    assert find_keyword(image, "photplam") == 6584.0
    assert find_keyword(image, "exptime") == 100.0


def test_find_keyword__of_what_is_nowhere_is_none():
    assert find_keyword(make_counts(fits_header=CARDS), "photbw") is None
    assert find_keyword(make_counts(), "photflam") is None


def test_get_photometry__is_what_the_header_says():
    assert get_photometry(make_counts(fits_header=CARDS), "narrow") == Photometry(1.5e-18, 6584.0)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "no such card"),
        (0.0, "0.0"),
        (-1.0, "-1.0"),
        (np.nan, "nan"),
        (np.inf, "inf"),
        ("1e-18", "'1e-18'"),
        (True, "True"),
    ],
)
def test_require_photometry__refuses_what_is_no_positive_number(value, found):
    image = make_counts(source="data/narrow.fits", **({} if value is None else {"photbw": value}))
    expected = (
        r"^narrow: PHOTBW \(bandwidth, Angstrom\) should be a positive number, "
        rf"found {found} in data/narrow\.fits: correct the header, or .* photbw = \.\.\. }}$"
    )
    with pytest.raises(InputError, match=expected):
        require_photometry(image, "photbw", "narrow")
