"""Throughput curves of filters, and what follows from them: by hand, and by published numbers."""

import numpy as np
import pytest
from astropy.io import fits

from phangs_xr.errors import InputError
from phangs_xr.photometry import (
    LINES,
    Curve,
    convert_air_to_vacuum,
    find_curve,
    find_ebv,
    find_extinction_factor,
    get_curve,
    list_curves,
    measure_rectangular_width,
    name_curve,
)
from phangs_xr.photometry.curves import encode_curve
from tests.conftest import require_shared
from tests.images import make_image


def test_measure_rectangular_width__of_a_triangle_is_half_its_base():
    wavelength = np.array([6550.0, 6560.0, 6563.0, 6570.0])
    throughput = np.array([0.0, 0.5, 0.35, 0.0])
    assert measure_rectangular_width(wavelength, throughput) == pytest.approx(10.0)
    assert measure_rectangular_width(wavelength, 2 * throughput) == pytest.approx(10.0)


def test_measure_rectangular_width__of_a_box_is_its_width():
    wavelength = np.array([1.0, 2.0, 2.0, 7.0, 7.0, 9.0])
    throughput = np.array([0.0, 0.0, 0.3, 0.3, 0.0, 0.0])
    assert measure_rectangular_width(wavelength, throughput) == pytest.approx(5.0)


KNOWN = {
    # Pivot, rectangular width, PHOTBW: from STScI's curves by synphot and by hand (Å).
    "ACS_WFC_F658N": (6583.95, 74.915, 25.0),
    "WFC3_UVIS1_F657N": (6566.61, 121.04, 39.22),
    "WFC3_UVIS1_F658N": (6585.63, 27.53, 8.30),
}


@pytest.mark.parametrize("name", KNOWN)
def test_curve_has_the_published_pivot_and_widths(name):
    curve = get_curve(name)
    pivot, width, photbw = KNOWN[name]
    assert curve.pivot == pytest.approx(pivot, abs=0.006)
    assert curve.rectangular_width == pytest.approx(width, abs=0.006)
    assert curve.photbw == pytest.approx(photbw, rel=0.005)


def test_photflam_is_that_of_the_headers():
    # Of images of these filters (STScI); PHOTFLAM changes by per cent with date and chip.
    assert get_curve("ACS_WFC_F658N").photflam == pytest.approx(2.00633696e-18, rel=1e-5)
    assert get_curve("WFC3_UVIS2_F555W").photflam == pytest.approx(1.84832352e-19, rel=1e-5)


@pytest.mark.parametrize("name", list_curves())
def test_packed_curve_is_the_whole_one(name):
    path = require_shared("curves") / f"{name}.dat"
    whole, packed = Curve(name, *np.loadtxt(path, unpack=True)), get_curve(name)
    for quantity in ("pivot", "rectangular_width", "photflam"):
        assert getattr(packed, quantity) == pytest.approx(getattr(whole, quantity), rel=1e-4)
    lines = np.linspace(3000, 11000, 4001)
    found, expected = packed.find_response(lines), whole.find_response(lines)
    assert np.abs(found - expected).max() <= 1e-4 * expected.max()


BOX = Curve("box", np.array([100.0, 200.0]), np.array([0.5, 0.5]))


def test_box_by_hand():
    # Of two points the integral of T/λ is a trapezium's.
    assert BOX.pivot == pytest.approx(np.sqrt(15000 / (100 * (1 / 100 + 1 / 200) / 2)))
    assert BOX.rectangular_width == 100
    # T λ / ∫T λ dλ
    assert BOX.find_response(150.0) == pytest.approx(150 / 15000)
    assert BOX.find_response(250.0) == 0
    # 120 (1 + v/c) with v = c/4
    assert BOX.find_response(120.0, 299792.458 / 4) == pytest.approx(150 / 15000)
    assert BOX.measure_coverage(0, 1e4) == pytest.approx(1)
    assert BOX.measure_coverage(100, 150) == pytest.approx((150**2 - 100**2) / (200**2 - 100**2))


def test_response_of_a_velocity_that_is_missing_is_missing():
    found = get_curve("ACS_WFC_F658N").find_response(6564.614, np.array([0.0, np.nan]))
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


def test_unknown_curve_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"found 'ACS_WFC_F658'.*did you mean ACS_WFC_F658N"):
        get_curve("ACS_WFC_F658")


def test_curve_as_text_and_back():
    wavelength = np.linspace(6000, 7000, 501)
    curve = Curve("mine", wavelength, np.exp(-0.5 * ((wavelength - 6500) / 100) ** 2))
    back = get_curve(encode_curve(curve))
    assert back.name == "mine"
    assert back.pivot == pytest.approx(curve.pivot, rel=1e-7)
    assert back.rectangular_width == pytest.approx(curve.rectangular_width, rel=1e-4)


def make_named(source="", **cards):
    header = fits.Header(cards)
    return make_image(np.zeros((1, 1)), source=source, fits_header=header.tostring(sep="\n"))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (make_named(PHOTMODE="ACS WFC1 F658N MJD#55000.0"), "ACS_WFC_F658N"),
        (make_named(PHOTMODE="WFC3,UVIS1,F657N"), "WFC3_UVIS1_F657N"),
        (make_named(INSTRUME="WFC3", DETECTOR="UVIS", FILTER="F814W"), "WFC3_UVIS2_F814W"),
        (
            make_named(INSTRUME="ACS", DETECTOR="WFC", FILTER1="CLEAR1L", FILTER2="F814W"),
            "ACS_WFC_F814W",
        ),
        (make_named("hst/ngc628c_uvis_f555w_exp_drc_sci.fits"), "WFC3_UVIS2_F555W"),
        (make_named("a/hlsp_phangs-hst_hst_acs-wfc_ngc1300_f658_v1_sci.fits"), "ACS_WFC_F658N"),
        (make_named("hlsp_phangs-hst_hst_wfc3-uvis-acs-wfc_ngc628mosaic_f658_v1.fits"), ""),
        (make_named("image.fits", INSTRUME="ACS", DETECTOR="HRC", FILTER="F658N"), ""),
        (make_image(np.zeros((1, 1)), curve="WFC3_UVIS1_F547M"), "WFC3_UVIS1_F547M"),
    ],
)
def test_curve_is_named_by_header_or_file(image, expected):
    assert name_curve(image) == expected


def test_image_of_no_known_filter_is_refused_with_the_remedy():
    with pytest.raises(
        InputError, match=r"narrow: the filter's throughput curve is needed.* curve ="
    ):
        find_curve(make_named("image.fits"), "narrow")


def test_extinction_is_that_of_the_published_pipeline():
    # Chandar et al. (2025), NGC 628: E(B-V) = 0.0607.
    for name, factor in (("ACS_WFC_F658N", 1.15161), ("WFC3_UVIS2_F555W", 1.19782)):
        found = find_extinction_factor(get_curve(name).pivot, 0.0607)
        assert found == pytest.approx(factor, rel=1e-5)
    assert find_extinction_factor(6563.0, 0.0) == 1


@pytest.mark.parametrize("name", ["ngc628c", "NGC0628", "NGC 628", "ngc628mosaic", "ngc_0628"])
def test_colour_excess_is_found_in_any_spelling(name):
    assert find_ebv(name) == 0.0607


def test_colour_excess_of_another_galaxy_is_not_guessed():
    assert find_ebv("ngc6281") is None
    assert find_ebv("m51") is None


def test_lines_in_air_are_those_in_vacuum():
    # NIST, air.
    air = {"HA6562": 6562.79, "NII6583": 6583.45, "OIII5006": 5006.843, "HB4861": 4861.35}
    for name, wavelength in air.items():
        assert convert_air_to_vacuum(wavelength) == pytest.approx(LINES[name], abs=0.03)
