"""The text of a WCS, which images carry: against astropy's own reading of the header."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, DistortionLookupTable

from phangs_xr.errors import InputError
from phangs_xr.sky import format_wcs, parse_wcs
from phangs_xr.sky.wcs import find_idle_sip
from tests.grids import CD, TAN, TPV_TERMS, every_kind, make_grid, make_header, make_image


@every_kind
def test_format_wcs__keeps_every_digit_of_the_header(kind):
    header = make_header(kind)
    found = parse_wcs(format_wcs(header))
    corners = [0, 0, 229, 229], [0, 179, 0, 179]
    truth = WCS(header).all_pix2world(*corners, 0)
    np.testing.assert_allclose(found.all_pix2world(*corners, 0), truth, rtol=3e-16)
    assert found.wcs.crval[0] == header["CRVAL1"]


@every_kind
def test_format_wcs__is_a_fixed_point(kind):
    text = format_wcs(make_header(kind))
    assert format_wcs(parse_wcs(text)) == text


def test_format_wcs__is_one_text_for_equal_systems_in_other_keywords():
    plain = make_header(CD1_1=-2e-5, CD1_2=0.0, CD2_1=0.0, CD2_2=2e-5)
    other = make_header(
        CDELT1=-2e-5, CDELT2=2e-5, EQUINOX=2000.0, PHOTFLAM=1e-18, BUNIT="ELECTRONS/S"
    )
    for key in CD:
        del other[key]
    assert format_wcs(other) == format_wcs(plain)


def test_format_wcs__converts_other_units_to_degrees():
    arcsec = make_header(CUNIT1="arcsec", CUNIT2="arcsec", CRVAL1=36000.0, CRVAL2=7200.0)
    found = parse_wcs(format_wcs(arcsec))
    assert found.wcs.crval.tolist() == pytest.approx([10.0, 2.0], rel=1e-15)
    assert found.wcs.cd[1, 1] == pytest.approx(CD["CD2_2"] / 3600, rel=1e-15)


@pytest.mark.parametrize(
    ("cards", "radesys", "equinox"),
    [
        ({}, "ICRS", np.nan),
        ({"EQUINOX": 1975.0}, "FK4", 1975.0),
        ({"EQUINOX": 2000.0}, "FK5", 2000.0),
        ({"RADESYS": "FK5"}, "FK5", 2000.0),
        ({"RADECSYS": "FK5"}, "FK5", 2000.0),
        ({"RADESYS": "FK4"}, "FK4", 1950.0),
    ],
)
def test_format_wcs__fills_in_the_reference_system_as_the_standard_does(cards, radesys, equinox):
    header = fits.Header()
    header.update({key: value for key, value in (TAN | CD).items() if key != "RADESYS"} | cards)
    found = parse_wcs(format_wcs(header)).wcs
    assert found.radesys == radesys
    assert found.equinox == pytest.approx(equinox, nan_ok=True)


def test_format_wcs__reads_a_wcs_made_by_hand():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.cdelt = -1e-5, 1e-5
    for equinox, radesys in ((np.nan, "ICRS"), (1950.0, "FK4"), (2000.0, "FK5")):
        wcs.wcs.equinox = equinox
        assert parse_wcs(format_wcs(wcs)).wcs.radesys == radesys


def test_format_wcs__refuses_headers_without_a_sky():
    with pytest.raises(InputError, match=r"celestial WCS .*found axes none, none: add the WCS"):
        format_wcs(fits.Header())
    with pytest.raises(InputError, match=r"found axes WAVE: add"):
        format_wcs(fits.Header({"CTYPE1": "WAVE", "CRVAL1": 5e-7, "CDELT1": 1e-10}))


def test_format_wcs__refuses_broken_headers():
    with pytest.raises(
        InputError,
        match=r"^expected a celestial WCS in the header, found .*DEC--SIN.*: mend it,",
    ):
        format_wcs(make_header(CTYPE2="DEC--SIN"))


ASKED = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"}


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        ({"CRVAL1": "24.17"}, "expected CRVAL1 to be a finite number for the WCS, found '24.17'"),
        ({"CRPIX2": 1 + 2j}, r"expected CRPIX2 to be a finite number .* found \(1\+2j\)"),
        ({"CD1_1": True}, "expected CD1_1 to be a finite number"),
        ({"CRVAL2": 1e300}, "expected CRVAL2 to be a finite number"),
        ({"CDELT1": None}, "expected CDELT1 to be a finite number .* found no value"),
        ({"WCSAXES": 10**9}, "expected WCSAXES to be a whole number, 0 to 9, .* found 1000000000"),
        (
            {"A_ORDER": 99999, **ASKED},
            "expected A_ORDER to be a whole number, 0 to 9, .* found 99999",
        ),
        ({"CD1_1": 0.0, "CD1_2": 0.0}, "found it damaged .*matrix is singular"),
        (
            {"CD1_1": 0.0, "CD1_2": 0.0, "CD2_1": 0.0},
            "expected pixels of 1e-09 to 90 deg .* 1 by 1",
        ),
        ({"CD1_1": 1e-20, "CD1_2": 0.0}, "expected pixels of 1e-09 to 90 deg on the sky"),
        ({"CD1_1": 1e20, "CD2_2": 1e20}, "expected pixels of 1e-09 to 90 deg .* found 1e"),
        ({"RADESYS": "FOO"}, "found it damaged .*celestial frame"),
        ({"CTYPE1": 1.5}, "found it damaged"),
    ],
)
def test_format_wcs__refuses_damaged_cards(cards, words):
    """Wcslib passes over some of these in silence, and reserves any memory for others."""
    header = make_header()
    header.update(cards)
    with pytest.raises(InputError, match=words):
        format_wcs(header)


def test_format_wcs__takes_a_card_of_an_axis_there_is_not():
    assert format_wcs(make_header(NAXIS1=9, NAXIS2=8, NAXIS3=7)) == format_wcs(make_header())


def test_format_wcs__shows_faults_of_its_own(monkeypatch):
    def fail(wcs):
        raise TypeError("a fault of ours")

    monkeypatch.setattr("phangs_xr.sky.wcs._list_cards", fail)
    with pytest.raises(TypeError, match="a fault of ours"):
        format_wcs(make_header())


def test_format_wcs__refuses_distortions_it_cannot_write():
    wcs = WCS(make_header())
    wcs.cpdis1 = DistortionLookupTable(np.ones((2, 2), "f4"), (1, 1), (1, 1), (100, 100))
    with pytest.raises(InputError, match=r"at most a SIP distortion, .*: use a drizzled"):
        format_wcs(wcs)
    with pytest.raises(InputError, match="at most a SIP distortion"):
        format_wcs(make_header(**TPV_TERMS))


def test_format_wcs__knows_galactic_systems():
    cards = {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}
    grid = make_grid(**cards)
    assert "RADESYS" not in grid.wcs
    truth = WCS(make_header(**cards)).pixel_to_world(7, 9)
    lon, lat = grid.to_sky(9, 7)
    assert (lon, lat) == pytest.approx((truth.l.deg, truth.b.deg), rel=1e-14)
    assert make_image(grid).sky.cutout(truth.icrs, 0.04).size == 1


def test_format_wcs__takes_the_sky_out_of_more_axes():
    cube = make_header(WCSAXES=3, CTYPE3="AWAV", CUNIT3="m", CRVAL3=5e-7, CDELT3=1e-10, CD3_3=1e-10)
    assert format_wcs(cube) == format_wcs(make_header())


SIP_CARDS = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 3e-4, "B_0_2": -3e-4}


@pytest.mark.parametrize("cards", [{}, {"A_2_0": "damaged", "B_ORDER": 10**9}])
@pytest.mark.parametrize("ending", [("", ""), ("-SIP", ""), ("", "-SIP")])
def test_format_wcs__leaves_out_sip_that_ctype_does_not_ask_for(ending, cards):
    plain = make_header()
    header = plain.copy()
    header.update({**SIP_CARDS, **cards})
    for axis, part in enumerate(ending, 1):
        header[f"CTYPE{axis}"] += part
    assert find_idle_sip(header)
    assert format_wcs(header) == format_wcs(plain)


def test_format_wcs__keeps_sip_that_ctype_asks_for():
    header = make_header()
    header.update(SIP_CARDS)
    for axis in (1, 2):
        header[f"CTYPE{axis}"] += "-SIP"
    assert not find_idle_sip(header)
    assert "A_2_0   = " in format_wcs(header)
    assert "-SIP" in format_wcs(header)


def test_format_wcs__without_coefficients_is_the_plain_projection():
    header = make_header()
    for axis in (1, 2):
        header[f"CTYPE{axis}"] += "-SIP"
    assert not find_idle_sip(header)
    assert format_wcs(header) == format_wcs(make_header())
