"""Units and numbers in words."""

import pytest
from astropy import units as u

from phangs_xr.drawing.format_numbers import format_round
from phangs_xr.drawing.format_units import format_unit
from phangs_xr.drawing.stretch import Stretch
from phangs_xr.schema import NUMBERS, PRODUCTS


@pytest.mark.parametrize(
    ("units", "text"),
    [
        ("10**-20 erg s-1 cm-2", "10⁻²⁰ erg s⁻¹ cm⁻²"),
        ("10**-20 erg s-1 cm-2 Angstrom-1", "10⁻²⁰ erg s⁻¹ cm⁻² Å⁻¹"),
        ("electron / s", "electron s⁻¹"),
        ("s2 electron-2", "s² electron⁻²"),
        ("Angstrom", "Å"),
        ("", ""),
        ("no unit at all", "no unit at all"),
    ],
)
def test_units_read_as_people_write_them(units, text):
    assert format_unit(units) == text


def test_units_of_the_vocabulary_stay_what_they_are():
    for units in {one.units for one in (*PRODUCTS.values(), *NUMBERS.values())}:
        text = format_unit(units)
        assert "-" not in text
        assert "*" not in text
        # Astropy reads raised powers too, but no number raised to one.
        bare = text.replace("10⁻²⁰", "1e-20")
        assert u.Unit(bare) == u.Unit(units)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (-20.0, "-20"), (5e-18, "5×10⁻¹⁸"), (-1e7, "-10⁷")]
)
def test_round_numbers_read_as_on_a_colour_bar(value, text):
    assert format_round(value) == text


@pytest.mark.parametrize("scale", [1e-18, 1e-3, 1.0, 1e12])
def test_colour_bars_have_ticks_whatever_the_unit(scale):
    ticks = Stretch.between(-20.0 * scale, 400.0 * scale).ticks
    assert [place for place, _ in ticks] == pytest.approx(
        [place for place, _ in Stretch.between(-20.0, 400.0).ticks]
    )
    assert len(ticks) >= 3
