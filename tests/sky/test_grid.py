"""Where pixels lie: against astropy's own WCS of the whole, unsliced image."""

import logging
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from hypothesis import given

from phangs_xr.errors import GridError
from phangs_xr.sky import Grid, get_grid, is_one_grid, measure_separation, require_one_grid
from tests.grids import (
    CD,
    SHAPE,
    SIP_TERMS,
    TAN,
    every_kind,
    make_grid,
    make_header,
    make_image,
    slices,
)


def locate_in_original(image: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the original image, from the values that `make_image` wrote."""
    return image.values.astype(float) % 1000, image.values.astype(float) // 1000


SELECTIONS = {
    "window": lambda image: image[20:150, 33:200],
    "strided": lambda image: image[3::7, 11:200:2],
    "reversed": lambda image: image[::-1, 200:3:-3],
    "nested": lambda image: image[10:170][5:100, 40:].isel(x=slice(3, 120, 4), y=slice(2, None, 3)),
    "coarsened": lambda image: image.coarsen(y=5, x=3, boundary="trim").mean(),
    "coarsened twice": lambda image: (
        image.astype(float).coarsen(y=4, x=4, boundary="trim").mean()[3:, 2:]
    ),
    "single column": lambda image: image[:, 17:18],
}


def project(wcs: WCS, cols: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions on the tangent plane [px of 1.1e-5 deg], before the sphere's rounding."""
    flat = np.column_stack([cols.ravel(), rows.ravel()])
    return wcs.wcs.p2s(wcs.pix2foc(flat + 1, 1), 1)["imgcrd"] / 1.1e-5


@every_kind
@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
def test_slices__stay_right_on_the_sky(kind, select):
    image = select(make_image(make_grid(kind)))
    original, sliced = WCS(make_header(kind)), image.sky.wcs
    rows, cols = np.indices(image.shape)
    original_rows, original_cols = np.meshgrid(image.y, image.x, indexing="ij")
    np.testing.assert_allclose(
        project(sliced, cols, rows),
        project(original, original_cols, original_rows),
        rtol=0,
        atol=1e-9,
    )
    # In degrees of RA the last bit of a double is 3e-10 px, and the sphere costs a few of them.
    truth = original.all_pix2world(original_cols, original_rows, 0)
    np.testing.assert_allclose(
        sliced.all_pix2world(cols, rows, 0), truth, rtol=0, atol=5e-9 * 1.1e-5
    )


@pytest.mark.parametrize("select", [SELECTIONS["strided"], SELECTIONS["reversed"]])
def test_slices__hold_the_pixels_their_coordinates_name(select):
    image = select(make_image(make_grid()))
    cols, rows = locate_in_original(image)
    np.testing.assert_array_equal(cols, np.broadcast_to(image.x, image.shape))
    np.testing.assert_array_equal(rows, np.broadcast_to(image.y.values[:, None], image.shape))


def test_strided_slices__scale_the_inverse_distortion_too():
    cards = SIP_TERMS | {"AP_ORDER": 2, "AP_2_0": -3e-6, "BP_ORDER": 2, "BP_1_1": 4e-6}
    original = WCS(make_header("sip", **cards))
    sliced = make_image(make_grid("sip", **cards))[10::3, 4::2].sky.wcs
    # astropy's focal-plane positions are relative to CRPIX, its pixels are not.
    focal, step = np.array([[50.0, 20.0], [-30.0, 60.0], [7.0, -70.0]]), np.array([2.0, 3.0])
    truth = (original.sip_foc2pix(focal, 1) - original.wcs.crpix) / step
    found = sliced.sip_foc2pix(focal / step, 1) - sliced.wcs.crpix
    assert np.abs(truth * step - focal).max() > 0.005
    np.testing.assert_allclose(found, truth, atol=1e-9)


def test_coarsen__puts_centres_at_the_mean_of_the_pixels_they_hold():
    found = make_image(make_grid()).coarsen(y=6, x=6, boundary="trim").mean().sky.wcs
    # A block of 6 px has its centre at 3.5 (counted from 1): FITS's CRPIX of a binned image.
    crpix = (np.array([TAN["CRPIX1"], TAN["CRPIX2"]]) - 3.5) / 6 + 1
    np.testing.assert_allclose(found.wcs.crpix, crpix, rtol=1e-14)
    np.testing.assert_allclose(found.wcs.cd, 6 * WCS(make_header()).wcs.cd, rtol=1e-14)


@given(slices)
def test_windows__equal_astropys_slices(edges):
    top, height, left, width = edges
    window = slice(top, top + height), slice(left, left + width)
    truth = WCS(make_header(), naxis=2).slice(window)
    found = make_image(make_grid())[window].sky
    np.testing.assert_allclose(found.wcs.wcs.crpix, truth.wcs.crpix, atol=1e-9)
    cols, rows = np.array([0, found.grid.shape[1] - 1]), np.array([0, found.grid.shape[0] - 1])
    np.testing.assert_allclose(
        project(found.wcs, cols, rows), project(truth, cols, rows), rtol=0, atol=1e-9
    )


@given(slices, slices)
def test_grid_window__composes_as_slices_of_images_do(first, second):
    grid, image = make_grid(), make_image(make_grid())
    for top, height, left, width in (first, second):
        ys, xs = slice(top // 3, top + height), slice(left // 4, left + width, 2)
        if 0 in image[ys, xs].shape or 1 in image[ys, xs].shape:
            return
        grid, image = grid.window(ys, xs), image[ys, xs]
    assert get_grid(image) == grid


def test_grid__travels_and_is_a_key():
    grid = make_grid("sip")
    assert pickle.loads(pickle.dumps(grid)) == grid  # noqa: S301
    assert {grid: 1}[make_grid("sip")] == 1


def test_grid_coords__make_the_same_grid_again():
    grid = make_grid().window(slice(4, 90, 3), slice(7, 80))
    assert get_grid(make_image(grid)) == grid
    assert make_image(grid).y.dtype == np.int64
    shifted = Grid(grid.wcs, 2.5, 0.5, 6.0, 2.0, (3, 4))
    assert get_grid(make_image(shifted)) == shifted


@every_kind
def test_grid__turns_positions_both_ways(kind):
    grid = make_grid(kind).window(slice(5, None, 2), slice(30, None))
    rows, cols = np.meshgrid([0.0, 3.3, 80.0], [1.0, 55.5, 190.0], indexing="ij")
    np.testing.assert_allclose(
        grid.to_pixel(*grid.to_sky(rows, cols)), [rows, cols], atol=1e-5 if kind == "sip" else 1e-8
    )


@pytest.mark.parametrize("kind", ["cd", "rotated", "sip", "swapped"])
def test_to_pixel__is_nan_where_the_projection_has_no_place(kind):
    grid = make_grid(kind)
    opposite = 24.17 + 180.0, -15.78
    assert np.all(np.isnan(grid.to_pixel([opposite[0]], [opposite[1]])))


def test_to_pixel__of_distorted_images_is_nan_or_right_far_outside():
    grid = make_grid("sip", A_2_0=3e-4, B_0_2=-3e-4)
    lon, lat = 24.17 + np.linspace(-0.3, 0.3, 101), 15.78 + np.linspace(-0.2, 0.2, 101)
    row, col = grid.to_pixel(lon, lat)
    known = np.isfinite(row)
    assert 0 < known.sum() < known.size
    back = grid.to_sky(row[known], col[known])
    np.testing.assert_allclose(back[0], lon[known], atol=1e-7)
    np.testing.assert_allclose(back[1], lat[known], atol=1e-7)


def test_grid__is_safe_in_threads():
    grid = make_grid("sip")
    rows, cols = np.meshgrid(np.arange(0, 180, 9.0), np.arange(0, 230, 9.0), indexing="ij")
    truth = grid.to_pixel(*grid.to_sky(rows, cols))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: grid.to_pixel(*grid.to_sky(rows, cols)), range(64)))
    for pair in found:
        np.testing.assert_array_equal(pair, truth)


@every_kind
def test_pixel_area__comes_from_the_whole_matrix(kind):
    truth = proj_plane_pixel_area(WCS(make_header(kind))) * 3600**2
    assert make_image(make_grid(kind)).sky.pixel_area == pytest.approx(truth, rel=1e-12)
    assert make_image(make_grid(kind))[::3, ::-2].sky.pixel_area == pytest.approx(6 * truth)


def test_pixel_area__of_a_rotated_header_is_not_its_pc11():
    area = make_image(make_grid("rotated")).sky.pixel_area
    assert area == pytest.approx((1.1e-5 * 3600) ** 2, rel=1e-12)


@every_kind
def test_footprint__is_astropys(kind):
    image = make_image(make_grid(kind))
    truth = WCS(make_header(kind)).calc_footprint(axes=SHAPE[::-1])
    if kind == "swapped":
        truth = truth[:, ::-1]
    np.testing.assert_allclose(image.sky.footprint, truth, rtol=1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda i: xr.concat(
                [i, i.assign_coords(wcs="")], "band", coords="all", compat="equals"
            ),
            r"expected one wcs for all of halpha, found 2: take one image",
        ),
        (lambda i: i.drop_vars("wcs"), r"expected halpha to have the coordinate wcs, found"),
        (lambda i: i.isel(x=[3, 9, 1]), r"evenly spaced pixels in x of halpha, found 3, 9, 1"),
        (lambda i: i.isel(y=[0, 1, 2, 4]), r"evenly spaced pixels in y of halpha.*with slices"),
        (lambda i: i.isel(y=[4, 4]), r"evenly spaced pixels in y of halpha, found 4, 4"),
        (lambda i: i.pad(x=2), r"evenly spaced pixels in x of halpha, found nan, nan"),
        (lambda i: i.isel(x=3), r"halpha to have the dimension x .*found dims \('y',\)"),
        (lambda i: i.drop_vars("y"), r"halpha to have the dimension y with its pixel"),
        (lambda i: i.mean(), r"halpha to have the dimension y .*found dims \(\)"),
        (lambda i: i[:, 5:5], r"pixel numbers in x of halpha, found 0 values"),
        (lambda i: i.assign_coords(x=i.x.astype(str)), r"pixel numbers in x of halpha, found 230"),
    ],
)
def test_get_grid__refuses_what_is_not_a_regular_slice(change, message):
    image = change(make_image(make_grid()))
    with pytest.raises(GridError, match=message):
        get_grid(image)
    with pytest.raises(GridError, match=message):
        _ = image.sky.wcs


@every_kind
def test_is_one_grid__allows_a_hundredth_of_a_pixel(kind):
    grid, header = make_grid(kind), make_header(kind)
    near = make_grid(kind, CRPIX1=header["CRPIX1"] + 0.009)
    far = make_grid(kind, CRPIX1=header["CRPIX1"] + 0.011)
    assert is_one_grid(grid, grid)
    assert is_one_grid(grid, near)
    assert not is_one_grid(grid, far)


def test_is_one_grid__sees_a_rotation_about_the_centre():
    turn = 0.02 / 100
    cards = {"CD1_2": CD["CD1_2"] + turn * CD["CD1_1"], "CD2_2": CD["CD2_2"] + turn * CD["CD2_1"]}
    assert not is_one_grid(make_grid(), make_grid(**cards))


def test_is_one_grid__counts_icrs_and_fk5_as_equal_by_raw_numbers():
    assert is_one_grid(make_grid(), make_grid(RADESYS="FK5", EQUINOX=2000.0))
    assert not is_one_grid(make_grid(), make_grid(RADESYS="FK5", EQUINOX=1975.0))
    assert not is_one_grid(make_grid(), make_grid(RADESYS="FK4", EQUINOX=1950.0))
    assert not is_one_grid(make_grid(), make_grid(CTYPE1="GLON-TAN", CTYPE2="GLAT-TAN"))


def test_is_one_grid__compares_pixels_not_their_bookkeeping():
    window = make_grid().window(slice(10, 60), slice(20, 90))
    cut = make_grid(CRPIX1=TAN["CRPIX1"] - 20, CRPIX2=TAN["CRPIX2"] - 10, shape=(50, 70))
    assert is_one_grid(window, cut)
    assert not is_one_grid(window, make_grid(shape=(50, 70)))
    assert not is_one_grid(window, make_grid())


def test_require_one_grid__returns_the_first_and_says_what_it_overlooks(caplog):
    narrow = make_image(make_grid())
    continuum = make_image(make_grid(RADESYS="FK5", EQUINOX=2000.0))
    with caplog.at_level(logging.INFO):
        assert require_one_grid(narrow=narrow, continuum1=narrow) == get_grid(narrow)
    assert not caplog.records
    with caplog.at_level(logging.INFO):
        assert require_one_grid(narrow=narrow, continuum1=continuum) == get_grid(narrow)
    assert "the wcs of narrow and continuum1 differ" in caplog.text


@pytest.mark.parametrize(
    ("make_other", "message"),
    [
        (
            lambda i: make_image(make_grid(CRVAL1=24.2)),
            r"expected narrow and continuum1 on one pixel grid, found other wcs \(centres 90\.\d+ "
            r"arcsec apart\): select the same pixels of both, or bring continuum1 onto the grid",
        ),
        (lambda i: i.assign_coords(x=i.x + 3), r"found other x \(from 0 by 1 and from 3 by 1\):"),
        (lambda i: i.assign_coords(y=i.y + 1), r"found other y \(from 0 by 1 and from 1 by 1\):"),
        (lambda i: i[:, :-2], r"found other shape \(\(180, 230\) and \(180, 228\)\):"),
        (lambda i: i[::2], r"found other shape .*; y \(from 0 by 1 and from 0 by 2\):"),
        (lambda i: i + make_image(make_grid(CRVAL1=24.2)), r"expected continuum1 to have the coo"),
    ],
)
def test_require_one_grid__names_the_images_and_what_differs(make_other, message):
    image = make_image(make_grid())
    with pytest.raises(GridError, match=message):
        require_one_grid(narrow=image, continuum1=make_other(image))


def test_measure_separation__is_astropys():
    grids = make_grid(), make_grid(CRVAL1=24.3, CRVAL2=15.9, RADESYS="FK5", EQUINOX=1975.0)
    first, second = (grid.to_wcs().pixel_to_world(114.5, 89.5) for grid in grids)
    truth = first.separation(second).arcmin
    assert measure_separation(*grids) == pytest.approx(truth, rel=1e-9)
    assert measure_separation(grids[0], grids[0]) == 0
