"""What a band sees of the lines: at each spaxel's velocity and with its ratios."""

import numpy as np
import pytest

from phangs_xr.errors import InputError
from phangs_xr.photometry import get_curve
from phangs_xr.photometry.extinction import find_extinction_factor
from phangs_xr.steps.measure_response import MeasureResponse, measure_response
from tests.images import make_header, make_image

SIDE = 40
CURVE = "WFC3_UVIS2_F658N"
REDSHIFT = 1450.0
"""At the edge of the filter [km/s]."""

SPAXELS = {"header": make_header((SIDE, SIDE), 0.2)}


def make_inputs(halpha=1e5, **lines):
    """Spaxels whose velocity rises by 400 km/s from left to right, with other lines."""
    shape = (SIDE, SIDE)
    velocity = np.broadcast_to(np.linspace(-200, 200, SIDE), shape)
    images = {
        "musehalpha": np.full(shape, halpha),
        "musehalpha_err": np.full(shape, 40.0),
        "line_velocity": velocity,
        "line_velocity_err": np.full(shape, 1.0),
    }
    images |= {name: np.full(shape, halpha * ratio) for name, ratio in lines.items()}
    made = {
        name: make_image(
            np.asarray(image, np.float32),
            "km s-1" if "velocity" in name else "10**-20 erg s-1 cm-2",
            **SPAXELS,
        )
        for name, image in images.items()
    }
    muse = make_image(np.zeros(shape, np.float32), redshift=REDSHIFT, **SPAXELS)
    band = make_image(
        np.zeros((SIDE, SIDE), np.float32),
        "electron / s",
        curve=CURVE,
        pivot=get_curve(CURVE).pivot,
        rectangular_width=get_curve(CURVE).rectangular_width,
    )
    return {"muse": muse, "narrow": band, "continuum1": band, **made}, velocity


def expect(velocity, nii, ebv=0.0):
    curve = get_curve(CURVE)
    speed = velocity + REDSHIFT
    seen = curve.find_response(6564.614, speed) + nii * (
        curve.find_response(6585.27, speed) + curve.find_response(6549.86, speed) / 3.05
    )
    return seen / find_extinction_factor(curve.pivot, ebv)


def respond(inputs, **options):
    return measure_response(**inputs, options=MeasureResponse(ebv=0.0, **options))


@pytest.mark.parametrize("nii", [0.15, 0.6])
def test_transmission_and_nii_are_those_of_each_spaxel(nii):
    inputs, velocity = make_inputs(nii_flux=nii, hbeta_flux=0.0, oiii_flux=0.0)
    found = respond(inputs)["line_response"].values
    np.testing.assert_allclose(found, expect(velocity, nii), rtol=2e-3)
    # The filter's edge: one number for the galaxy would be wrong by tens of per cent.
    assert np.ptp(found) > 0.3 * found.mean()
    no_nii = expect(velocity, 0.0)
    assert np.abs(found / no_nii - 1).max() > 0.03


def test_milky_way_dims_what_hst_sees():
    inputs, velocity = make_inputs(nii_flux=0.3, hbeta_flux=0.0, oiii_flux=0.0)
    found = measure_response(**inputs, options=MeasureResponse(ebv=0.1))["line_response"].values
    np.testing.assert_allclose(found, expect(velocity, 0.3, 0.1), rtol=2e-3)


def test_faint_spaxels_take_their_neighbourhood_s_values():
    inputs, velocity = make_inputs(nii_flux=0.3, hbeta_flux=0.0, oiii_flux=0.0)
    faint = np.zeros((SIDE, SIDE), bool)
    faint[18:22, 18:22] = True
    for name, value in (("musehalpha", 10.0), ("nii_flux", 300.0), ("line_velocity", 900.0)):
        inputs[name] = inputs[name].copy(data=np.where(faint, np.float32(value), inputs[name]))
    found = respond(inputs)["line_response"].values
    np.testing.assert_allclose(found[faint], expect(velocity, 0.3)[faint], rtol=0.02)


def test_unknown_velocity_of_the_galaxy_is_refused():
    inputs, _ = make_inputs(nii_flux=0.3)
    inputs["muse"].attrs.pop("redshift")
    with pytest.raises(InputError, match=r"redshift"):
        respond(inputs)
    assert respond(inputs, redshift=REDSHIFT)["line_response"].notnull().all()


def test_velocities_without_errors_count():
    inputs, velocity = make_inputs(nii_flux=0.3, hbeta_flux=0.0, oiii_flux=0.0)
    inputs.pop("line_velocity_err")
    found = respond(inputs)["line_response"].values
    np.testing.assert_allclose(found, expect(velocity, 0.3), rtol=2e-3)
    inputs.pop("line_velocity")
    found = respond(inputs)["line_response"].values
    np.testing.assert_allclose(found, expect(np.zeros_like(velocity), 0.3), rtol=2e-3)
