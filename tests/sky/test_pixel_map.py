"""From the pixels of one grid to those of another: against astropy's whole-image maps."""

import numpy as np
import pytest
from astropy.wcs.utils import pixel_to_pixel
from hypothesis import given, settings
from hypothesis import strategies as st

from phangs_xr.sky import Grid, PixelMap, find_overlap, map_pixels_between
from tests.grids import make_grid, slices


def make_source(**cards: object) -> Grid:
    """A grid like MUSE's, 0.2 arcsec, turned against the target."""
    turned = {"CD1_1": -5.5e-5, "CD1_2": 3e-6, "CD2_1": 3e-6, "CD2_2": 5.5e-5}
    return make_grid(shape=(60, 70), **{"CRPIX1": 31.8, "CRPIX2": 27.3} | turned | cards)


def map_exactly(target: Grid, source: Grid) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.indices(target.shape)
    col, row = pixel_to_pixel(target.to_wcs(), source.to_wcs(), cols, rows)
    return row, col


@pytest.mark.parametrize(
    ("target", "source", "tolerance"),
    [
        (make_grid(), make_source(), 1e-7),
        (make_source(), make_grid(), 1e-6),
        (make_grid("rotated"), make_source(), 1e-7),
        (make_grid().window(slice(7, 150, 3), slice(None, None, -2)), make_source(), 1e-7),
        (make_grid(), make_source().window(slice(3, None), slice(5, None, 2)), 1e-7),
        # Bilinear interpolation of a distortion: 50² / 8 px × its second derivative.
        (make_grid("sip"), make_source(), 1e-3),
        (make_grid(), make_source(RADESYS="FK5", EQUINOX=1975.0), 1e-6),
        (make_source(RADESYS="FK5", EQUINOX=1975.0), make_grid(RADESYS="FK4"), 1e-5),
    ],
)
def test_map_pixels_between__is_right(target, source, tolerance):
    found = map_pixels_between(target, source)
    assert [positions.shape for positions in found] == [target.shape] * 2
    np.testing.assert_allclose(found, map_exactly(target, source), atol=tolerance)


def test_map_pixels_between__compares_raw_numbers_of_icrs_and_fk5():
    target = make_grid()
    icrs = map_pixels_between(target, make_source())
    fk5 = map_pixels_between(target, make_source(RADESYS="FK5", EQUINOX=2000.0))
    np.testing.assert_array_equal(fk5, icrs)


@settings(max_examples=60)
@given(slices, st.sampled_from([make_source(), make_source(RADESYS="FK5", EQUINOX=1975.0)]))
def test_map_pixels_between__has_the_same_bits_for_every_window(edges, source):
    top, height, left, width = edges
    window = slice(top, top + height), slice(left, left + width)
    for target in (make_grid(), make_grid().window(slice(3, None, 2), slice(1, None))):
        part = map_pixels_between(target.window(*window), source) if target.shape[0] > top else None
        if part is not None:
            whole = map_pixels_between(target, source)
            np.testing.assert_array_equal(part, [values[window] for values in whole])
            columns = np.arange(target.shape[1])[window[1]]
            placed = PixelMap.build(target, source).place(window[0], columns)
            np.testing.assert_array_equal(placed, part)


def test_map_pixels_between__is_nan_beyond_the_projection():
    opposite = make_source(CRVAL1=24.17 + 180.0, CRVAL2=-15.78)
    assert np.all(np.isnan(map_pixels_between(make_grid(), opposite)))
    assert find_overlap(make_grid(), opposite, 5) == (slice(0, 0), slice(0, 0))


@settings(max_examples=60)
@given(slices, st.integers(0, 3))
def test_find_overlap__holds_every_neighbour_of_every_pixel(edges, pad):
    top, height, left, width = edges
    target = make_grid().window(slice(top, top + height), slice(left, left + width))
    source = make_source().window(slice(20, 34), slice(24, 40))
    rows, cols = find_overlap(target, source, pad)
    for positions, window, size in zip(
        map_pixels_between(target, source), (rows, cols), source.shape, strict=True
    ):
        wanted = (
            max(np.floor(positions.min()) - pad, 0),
            min(np.ceil(positions.max()) + 1 + pad, size),
        )
        if rows.stop > rows.start:
            assert (window.start, window.stop) == wanted


def test_find_overlap__is_empty_where_images_do_not_meet():
    assert find_overlap(make_grid(), make_source(CRVAL2=16.5), 3) == (slice(0, 0), slice(0, 0))
    beside = make_source(CRPIX2=27.3 + 70)
    assert find_overlap(make_grid(), beside, 3) == (slice(0, 0), slice(0, 0))
