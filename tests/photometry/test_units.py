"""What files write into BUNIT, as units that astropy reads."""

import pytest
from astropy.units import Unit

from phangs_xr.photometry.units import find_counts, normalise_units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ELECTRONS/S", "electron / s"),
        ("electrons/s", "electron / s"),
        ("e-/s", "electron / s"),
        ("electron / s", "electron / s"),
        ("electron s-1", "electron / s"),
        ("10**(-20)*erg/s/cm**2/spaxel", "10**-20 erg s-1 cm-2"),
        ("10**(-20)*erg/s/cm**2/pixel", "10**-20 erg s-1 cm-2"),
        ("10**-20 erg s-1 cm-2 spaxel-1", "10**-20 erg s-1 cm-2"),
        ("10**-20 erg s-1 cm-2", "10**-20 erg s-1 cm-2"),
        ("1e-20 erg/s/cm^2", "10**-20 erg s-1 cm-2"),
        ("10**(-20)*erg/s/cm**2/Angstrom", "10**-20 erg Angstrom-1 s-1 cm-2"),
        ("Jy", "Jy"),
        ("ELECTRONS", "electron"),
        ("ELECTRONS/SEC", "electron / s"),
        ("electron s**-1", "electron / s"),
        ("e/second", "electron / s"),
        ("electrons per second", "electron / s"),
        ("COUNTS/S", "count s-1"),
        ("counts / sec", "count s-1"),
        ("cts/s", "count s-1"),
        ("cps", "count s-1"),
        ("DN/s", "adu s-1"),
        ("adu s-1", "adu s-1"),
        ("ADU/S", "adu s-1"),
        ("DN", "adu"),
        ("counts", "count"),
        ("count/s/pixel", "count s-1"),
        ("electrons per fortnight", ""),
        ("m" * 5000, ""),
        ("erg" + "(" * 2000, ""),
        ("", ""),
        ("  ", ""),
        ("furlongs per fortnight", ""),
        ("UNITLESS", ""),
        # Astropy would work out the power.
        ("10**(999999999) erg", ""),
        ("10^99999999999999999999", ""),
        ("10+999999999 erg", ""),
    ],
)
def test_normalise_units__translates_what_files_say(text, expected):
    found = normalise_units(text)
    assert found == expected
    Unit(found)
    assert normalise_units(found) == found


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("electron / s", ("electron", True)),
        ("count s-1", ("count", True)),
        ("adu s-1", ("adu", True)),
        ("electron", ("electron", False)),
        ("adu", ("adu", False)),
        ("Jy", ("", False)),
        ("", ("", False)),
    ],
)
def test_find_counts__tells_counts_from_their_rate(units, expected):
    assert find_counts(units) == expected
