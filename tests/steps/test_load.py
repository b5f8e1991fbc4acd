"""Padding becomes missing, and bands come onto one grid with the flux they had."""

import numpy as np
import pytest
from reproject import reproject_exact

import phangs_xr
from phangs_xr.schema import COUNTS
from phangs_xr.sky import get_grid
from phangs_xr.steps.load import describe_alignment
from tests.images import chunk_image, make_header, make_image

SHAPE = (60, 75)
NARROW = make_image(np.ones(SHAPE, np.float32), COUNTS)


def make_star(shape, x, y, sigma=4.0):
    rows, columns = np.indices(shape)
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)).astype(np.float32)


def load_with(other):
    return phangs_xr.load(NARROW, other)["continuum1"]


def test_padding_is_missing_and_nothing_else():
    values = np.array([[0.0, -0.0, 1e-38, -3.0, np.nan, np.inf, -np.inf]], np.float32)
    loaded = phangs_xr.load(make_image(values, COUNTS), make_image(values, COUNTS))
    expected = np.array([[np.nan, np.nan, 1e-38, -3.0, np.nan, np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(loaded["narrow"], expected)
    np.testing.assert_array_equal(loaded["continuum1"], expected)


def test_bands_of_one_grid_keep_their_bits_whatever_their_frame_is_called():
    values = make_star(SHAPE, 35, 30)
    other = make_image(values, COUNTS, header=make_header(SHAPE, radesys="FK5"))
    loaded = load_with(other)
    np.testing.assert_array_equal(loaded, np.where(values == 0, np.nan, values))
    assert get_grid(loaded) == get_grid(NARROW)
    text = describe_alignment("continuum1", other, NARROW)
    assert text == "continuum1 differs from narrow in RADESYS alone: taken as one grid"


def test_alignment_is_said_only_where_there_is_something_to_say():
    moved = make_image(NARROW.values, COUNTS, header=make_header(SHAPE, shift=(0.4, 0)))
    assert "brought onto it by pixel overlap" in describe_alignment("continuum1", moved, NARROW)
    assert describe_alignment("continuum1", NARROW, NARROW) == ""


GRIDS = {
    "shifted": ((60, 75), {"shift": (0.3, -0.6)}),
    "larger pixels": ((50, 60), {"pixel": 0.05}),
    "smaller pixels": ((150, 200), {"pixel": 0.0164}),
    "tiny rotated pixels": ((360, 465), {"pixel": 0.0066, "rotation": 40.0}),
    "rotated": ((85, 90), {"rotation": 33.0}),
    "rotated FK5": ((85, 90), {"rotation": 12.0, "radesys": "FK5"}),
}


@pytest.fixture(params=GRIDS)
def band(request):
    shape, kwargs = GRIDS[request.param]
    header = make_header(shape, **kwargs)
    star = make_star(shape, shape[1] / 2 + 3, shape[0] / 2 - 2, 0.12 / kwargs.get("pixel", 0.04))
    # 0.0 would be taken for padding.
    return make_image(np.maximum(star, 1e-10), COUNTS, header=header)


def test_flux_is_kept_on_another_grid(band):
    loaded = load_with(band)
    assert get_grid(loaded) == get_grid(NARROW)
    assert np.nansum(loaded.values, dtype=float) == pytest.approx(band.values.sum(), rel=1e-3)


@pytest.mark.parametrize("chunks", [None, 19])
def test_other_grid_is_that_of_reproject_on_the_whole_image(band, chunks):
    # A gap across the seams of the chunks.
    band.values[band.shape[0] // 2 :, : band.shape[1] // 2] = 0
    source, target = get_grid(band), get_grid(NARROW)
    if target.to_wcs().wcs.radesys != source.to_wcs().wcs.radesys:
        # reproject would turn one frame's numbers into the other's; here they count as one.
        as_icrs = make_header(band.shape, rotation=12.0)
        source = get_grid(make_image(band.values, COUNTS, header=as_icrs))
    (values, covered), (valid, _) = (
        reproject_exact((one, source.to_wcs()), target.to_wcs(), shape_out=SHAPE)
        for one in (band.values, (band.values != 0).astype(float))
    )
    expected = np.where(
        covered * valid >= 0.999,
        values / np.where(valid > 0, valid, 1) * target.pixel_area / source.pixel_area,
        np.nan,
    )
    narrow = NARROW if chunks is None else chunk_image(NARROW, chunks)
    loaded = phangs_xr.load(narrow, band)["continuum1"].compute()
    np.testing.assert_array_equal(np.isnan(loaded), np.isnan(expected))
    np.testing.assert_allclose(loaded, expected, rtol=0, atol=2e-6 * band.values.max())
    assert 0.1 < np.isnan(expected).mean() < 0.9


def test_missing_pixel_of_another_grid_leaves_a_hole_no_wider_than_it():
    values = np.ones(SHAPE, np.float32)
    values[30, 40] = 0
    loaded = load_with(make_image(values, COUNTS, header=make_header(SHAPE, shift=(0.5, 0.5))))
    hole = np.argwhere(np.isnan(loaded.values[10:-10, 10:-10])) + 10
    np.testing.assert_array_equal(hole, [[29, 39], [29, 40], [30, 39], [30, 40]])


def test_pixels_beyond_the_other_grid_are_missing():
    half = make_image(np.ones((60, 37), np.float32), COUNTS, header=make_header((60, 37)))
    loaded = load_with(half)
    covered = np.flatnonzero(np.isfinite(loaded.values).all(axis=0))
    np.testing.assert_array_equal(covered, np.arange(19, 56))


def test_photometry_comes_from_the_header_and_from_attributes():
    cards = "PHOTFLAM= 1.5E-18\nPHOTPLAM= 6584.0\nPHOTBW  = 37.0\nEXPTIME = 100.0"
    narrow = NARROW.assign_attrs(fits_header=cards, photflam=2e-18)
    loaded = phangs_xr.load(narrow, NARROW)
    found = {key: loaded["narrow"].attrs.get(key) for key in ("photflam", "photplam", "photbw")}
    assert found == {"photflam": 2e-18, "photplam": 6584.0, "photbw": 37.0}
    assert "fits_header" not in loaded["narrow"].attrs
    assert "photflam" not in loaded["continuum1"].attrs
