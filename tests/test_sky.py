"""Where pixels lie: against astropy's own WCS of the whole, unsliced image."""

import logging
import math
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import astropy.units as u
import dask
import numpy as np
import pytest
import xarray as xr
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS, DistortionLookupTable
from astropy.wcs.utils import pixel_to_pixel, proj_plane_pixel_area
from hypothesis import given, settings
from hypothesis import strategies as st

from phangs_xr.errors import GridError, InputError
from phangs_xr.sky import (
    Grid,
    PixelMap,
    find_overlap,
    format_wcs,
    get_grid,
    is_one_grid,
    map_pixels_between,
    measure_separation,
    parse_wcs,
    require_one_grid,
)

SHAPE = (180, 230)
TAN = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CUNIT1": "deg",
    "CUNIT2": "deg",
    "CRVAL1": 24.173940000012345,
    "CRVAL2": 15.78346,
    "CRPIX1": 120.5,
    "CRPIX2": 77.25,
    "RADESYS": "ICRS",
}
CD = {
    "CD1_1": -1.0759623608071234e-05,
    "CD1_2": 2.28702859899535e-06,
    "CD2_1": 2.28702859899535e-06,
    "CD2_2": 1.0759623608071e-05,
}
ROTATED = {
    "CDELT1": -1.1e-05,
    "CDELT2": 1.1e-05,
    "PC1_1": math.cos(0.5),
    "PC1_2": -math.sin(0.5),
    "PC2_1": math.sin(0.5),
    "PC2_2": math.cos(0.5),
}
SIP_TERMS = {
    "CTYPE1": "RA---TAN-SIP",
    "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 3,
    "A_2_0": 3.1e-6,
    "A_1_1": -1.7e-6,
    "A_0_3": 2.2e-9,
    "B_ORDER": 2,
    "B_0_2": 2.3e-6,
    "B_1_1": -4.1e-6,
}
TPV_TERMS = {
    "CTYPE1": "RA---TPV",
    "CTYPE2": "DEC--TPV",
    "PV1_1": 1.0001,
    "PV1_4": 0.3,
    "PV2_1": 0.9998,
    "PV2_5": -0.2,
}
HEADERS = {
    "cd": TAN | CD,
    "rotated": TAN | ROTATED,
    "sip": TAN | CD | SIP_TERMS,
    "zpn": TAN
    | CD
    | {"CTYPE1": "RA---ZPN", "CTYPE2": "DEC--ZPN", "PV2_1": 1.0, "PV2_3": 40.0, "LONPOLE": 170.0},
    "swapped": TAN
    | CD
    | {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 15.78, "CRVAL2": 24.17},
}


def make_header(kind: str = "cd", **cards: object) -> fits.Header:
    # Cards of astropy's own making keep no more than 20 characters of a number.
    lines = [
        f"{key:<8}= {value!r}".replace("e-", "E-") for key, value in (HEADERS[kind] | cards).items()
    ]
    return fits.Header.fromstring("\n".join(lines), sep="\n")


def make_grid(kind: str = "cd", shape: tuple[int, int] = SHAPE, **cards: object) -> Grid:
    return Grid(format_wcs(make_header(kind, **cards)), 0.0, 0.0, 1.0, 1.0, shape)


def make_image(grid: Grid, name: str = "halpha") -> xr.DataArray:
    rows, cols = np.indices(grid.shape)
    values = (rows * 1000 + cols).astype(np.float32)
    return xr.DataArray(values, grid.coords(), ("y", "x"), name=name)


def locate_in_original(image: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the original image, from the values that `make_image` wrote."""
    return image.values.astype(float) % 1000, image.values.astype(float) // 1000


@pytest.fixture(params=HEADERS)
def kind(request):
    return request.param


def test_format_wcs__keeps_every_digit_of_the_header(kind):
    header = make_header(kind)
    found = parse_wcs(format_wcs(header))
    corners = [0, 0, 229, 229], [0, 179, 0, 179]
    truth = WCS(header).all_pix2world(*corners, 0)
    np.testing.assert_allclose(found.all_pix2world(*corners, 0), truth, rtol=3e-16)
    assert found.wcs.crval[0] == header["CRVAL1"]


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
        InputError, match=r"^expected a celestial WCS in the header, found .*: mend its keywords$"
    ):
        format_wcs(make_header(CTYPE2="DEC--SIN"))


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


slices = st.tuples(
    st.integers(0, SHAPE[0] - 2),
    st.integers(1, 99),
    st.integers(0, SHAPE[1] - 2),
    st.integers(1, 99),
)


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


def test_pixel_area__comes_from_the_whole_matrix(kind):
    truth = proj_plane_pixel_area(WCS(make_header(kind))) * 3600**2
    assert make_image(make_grid(kind)).sky.pixel_area == pytest.approx(truth, rel=1e-12)
    assert make_image(make_grid(kind))[::3, ::-2].sky.pixel_area == pytest.approx(6 * truth)


def test_pixel_area__of_a_rotated_header_is_not_its_pc11():
    area = make_image(make_grid("rotated")).sky.pixel_area
    assert area == pytest.approx((1.1e-5 * 3600) ** 2, rel=1e-12)


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


def test_measure_separation__is_astropys():
    grids = make_grid(), make_grid(CRVAL1=24.3, CRVAL2=15.9, RADESYS="FK5", EQUINOX=1975.0)
    first, second = (grid.to_wcs().pixel_to_world(114.5, 89.5) for grid in grids)
    truth = first.separation(second).arcmin
    assert measure_separation(*grids) == pytest.approx(truth, rel=1e-9)
    assert measure_separation(grids[0], grids[0]) == 0


def test_sel__finds_the_nearest_pixel(kind):
    image = make_image(make_grid(kind))
    for row, col in ((0, 0), (179, 229), (57, 103)):
        ra, dec = get_grid(image).to_sky(row + 0.4, col - 0.4)
        found = image.sky.sel(ra=ra, dec=dec)
        assert (found.y.item(), found.x.item()) == (row, col)
        part = image[2::3, 1::2]
        row, col = row // 4, col // 4
        ra, dec = get_grid(part).to_sky(row, col)
        assert part.sky.sel(ra=ra, dec=dec).item() == part[row, col].item()


@pytest.mark.parametrize(
    ("row", "col"), [(-0.6, 5), (179.6, 5), (5, -0.6), (5, 229.6), (-46, -636)]
)
def test_sel__refuses_positions_outside(row, col):
    image = make_image(make_grid())
    ra, dec = (float(value) for value in get_grid(image).to_sky(row, col))
    message = r"expected a position inside the image \(corners at .*\), found RA 24.* Dec 15"
    with pytest.raises(InputError, match=message):
        image.sky.sel(ra=ra, dec=dec)


def test_sel__refuses_the_other_side_of_the_sky_and_nan():
    image = make_image(make_grid())
    with pytest.raises(InputError, match="inside the image"):
        image.sky.sel(ra=204.17, dec=-15.78)
    with pytest.raises(InputError, match="inside the image"):
        image.sky.sel(ra=np.nan, dec=15.78)


def test_sel__takes_the_window_that_holds_a_box():
    image = make_image(make_grid(CD1_2=0.0, CD2_1=0.0))
    (ra1, dec1), (ra2, dec2) = (get_grid(image).to_sky(*p) for p in ((20.2, 30.2), (61.7, 90.7)))
    found = image.sky.sel(ra=slice(ra1, ra2), dec=slice(dec1, dec2))
    assert (found.y[0], found.y[-1], found.x[0], found.x[-1]) == (20, 62, 30, 91)
    backwards = image.sky.sel(ra=slice(ra2, ra1), dec=slice(dec2, dec1))
    xr.testing.assert_identical(backwards, found)
    whole = image.sky.sel(ra=slice(24.0, 24.4), dec=slice(15.7, 15.9))
    xr.testing.assert_identical(whole, image)


def test_sel__of_a_turned_image_holds_the_whole_box():
    image = make_image(make_grid("rotated"))
    sky = image.sky.with_coords()
    ra, dec = (float(value) for value in get_grid(image).to_sky(80, 110))
    box = slice(ra - 3e-4, ra + 3e-4), slice(dec - 2e-4, dec + 2e-4)
    inside = (abs(sky.ra - ra) <= 3e-4) & (abs(sky.dec - dec) <= 2e-4)
    found = image.sky.sel(ra=box[0], dec=box[1])
    assert inside.sum() > 1000
    assert inside.sel(x=found.x, y=found.y).sum() == inside.sum()


def test_sel__takes_boxes_across_ra_zero():
    image = make_image(make_grid(CRVAL1=0.0003, CD1_2=0.0, CD2_1=0.0))
    found = image.sky.sel(ra=slice(359.9999, 0.0005), dec=slice(15.7, 15.9))
    width = 0.0006 * np.cos(np.deg2rad(15.783)) / abs(CD["CD1_1"])
    assert found.sizes["x"] == pytest.approx(width, abs=2)
    assert 0 < found.x[0] < found.x[-1] < 229


@pytest.mark.parametrize(
    ("ra", "dec", "message"),
    [
        (slice(25.0, 25.1), slice(15.0, 15.1), r"inside the image .*found RA 25.0 to 25.1, Dec 15"),
        (24.17, slice(15.0, 15.9), "two positions or two slices"),
        (slice(None, 24.2), slice(15.0, 15.9), "slices with two ends and no step"),
        (slice(24.0, 24.2, 2), slice(15.0, 15.9), "slices with two ends and no step"),
    ],
)
def test_sel__refuses_boxes_it_cannot_read(ra, dec, message):
    with pytest.raises(InputError, match=message):
        make_image(make_grid()).sky.sel(ra=ra, dec=dec)


@pytest.mark.parametrize(
    ("size", "truth_size"),
    [
        (2.0, 2.0 * u.arcsec),
        (0.5 * u.arcsec, 0.5 * u.arcsec),
        ((1.0, 3.0), (1.0, 3.0) * u.arcsec),
        (1.2e-3 * u.deg, 4.32 * u.arcsec),
    ],
)
@pytest.mark.parametrize(("row", "col"), [(90.2, 100.4), (3.0, 226.0)])
def test_cutout__is_astropys(size, truth_size, row, col):
    image = make_image(make_grid())
    centre = SkyCoord(*get_grid(image).to_sky(row, col), unit="deg")
    truth = Cutout2D(image.values, centre, truth_size, wcs=WCS(make_header()), mode="trim")
    np.testing.assert_array_equal(image.sky.cutout(centre, size), truth.data)
    np.testing.assert_array_equal(
        image.sky.cutout((centre.ra.deg, centre.dec.deg), size), truth.data
    )


def test_cutout__converts_positions_of_other_systems():
    image = make_image(make_grid(RADESYS="FK5", EQUINOX=2000.0))
    ra, dec = get_grid(image).to_sky(90, 100)
    centre = SkyCoord(ra, dec, unit="deg", frame="icrs")
    raw = image.sky.cutout((ra, dec), 1.0)
    xr.testing.assert_identical(image.sky.cutout(centre, 1.0), raw)
    xr.testing.assert_identical(image.sky.cutout(centre.galactic, 1.0), raw)


@pytest.mark.parametrize("radesys", ["ICRS", "FK5"])
def test_cutout__reads_fk5_positions_as_raw_numbers(radesys):
    image = make_image(make_grid(RADESYS=radesys))
    # Taken literally, FK5 lies 20 milliarcsec, half a pixel, away from ICRS.
    for row, col in ((90.3, 100.3), (90.3, 99.7), (89.7, 100.3)):
        ra, dec = get_grid(image).to_sky(row, col)
        raw = image.sky.cutout((ra, dec), 1.0)
        found = image.sky.cutout(SkyCoord(ra, dec, unit="deg", frame="fk5"), 1.0)
        xr.testing.assert_identical(found, raw)


def test_cutout__of_oblong_pixels_is_as_large_on_the_sky():
    image = make_image(make_grid())[:, ::3]
    found = image.sky.cutout((24.17394, 15.78346), 2.0)
    pixel = np.sqrt(get_grid(image).pixel_area / 3)
    assert found.shape == (round(2.0 / pixel), round(2.0 / pixel / 3))


def test_cutout__refuses_what_lies_outside():
    image = make_image(make_grid())
    with pytest.raises(InputError, match=r"found a cutout around RA 30.0, Dec 15.0"):
        image.sky.cutout((30.0, 15.0), 3.0)
    with pytest.raises(InputError, match=r"expected a positive size of the cutout, found -1"):
        image.sky.cutout((24.17394, 15.78346), -1)


def test_with_coords__allocates_nothing_and_is_right():
    grid = make_grid(shape=(16000, 16000))
    image = xr.DataArray(
        np.broadcast_to(np.float32(0), grid.shape), grid.coords(), ("y", "x"), name="halpha"
    )
    tracemalloc.start()
    sky = image.sky.with_coords()
    repr(sky)
    window = sky[100:15000:3, 7:].isel(x=slice(4, 900))
    values = [window.ra[3, 5].item(), window.dec[3, 5].item()]
    found = sky.sel(ra=values[0], dec=values[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One plane of RA alone would take 2 GB.
    assert peak < 20e6
    assert (found.y.item(), found.x.item()) == (109, 16)
    assert sky.ra.attrs["units"] == "deg"
    truth = WCS(make_header()).all_pix2world(16, 109, 0)
    np.testing.assert_allclose(values, truth, rtol=1e-14)


def test_with_coords__selects_as_the_accessor_does():
    image = make_image(make_grid())
    sky = image.sky.with_coords()
    ra, dec = get_grid(image).to_sky([5, 60], [9, 70])
    box = {"ra": slice(ra[0], ra[1]), "dec": slice(dec[0], dec[1])}
    xr.testing.assert_equal(
        sky.sel(**box).drop_vars(["ra", "dec"]), image.sky.sel(ra=box["ra"], dec=box["dec"])
    )
    points = sky.sel(ra=xr.DataArray(ra, dims="nebula"), dec=xr.DataArray(dec, dims="nebula"))
    assert points.values.tolist() == [5009, 60070]
    with pytest.raises(InputError, match="inside the image"):
        sky.sel(ra=185.0, dec=15.0)
    with pytest.raises(InputError, match="expected both ra and dec and no tolerance"):
        sky.sel(ra=ra[0])


def test_with_coords__aligns_by_grid():
    sky = make_image(make_grid()).sky.with_coords()
    assert (sky + sky).ra.xindexes["ra"].equals(sky.xindexes["ra"])
    other = make_image(make_grid(CRVAL1=24.2)).sky.with_coords()
    assert not other.xindexes["ra"].equals(sky.xindexes["ra"])
    renamed = sky.rename(ra="lon", x="column")
    assert renamed.lon[7, 9].item() == sky.ra[7, 9].item()
    row = sky.isel(y=4)
    np.testing.assert_array_equal(row.ra, sky.ra[4])


def test_header__describes_the_slice():
    original = make_header("sip", TELESCOP="HST", PHOTFLAM=1.9697e-18, BITPIX=16, NAXIS=2)
    original.update({"BSCALE": 0.5, "CROTA2": 3.0, "CRVAL1O": 3.0, "ORIENTAT": 1.0, "LTV1": 4.0})
    original.update({"NAXIS1": 230, "NAXIS2": 180, "CHECKSUM": "x", "OBSERVER": "a" * 90})
    original.add_history("drizzled")
    text = original.tostring(sep="\n", endcard=False, padding=False)
    image = make_image(make_grid("sip")).assign_attrs(fits_header=text)[20:90, 30:]
    header = image.sky.header()
    truth = WCS(original).all_pix2world([33, 200], [25, 80], 0)
    np.testing.assert_allclose(WCS(header).all_pix2world([3, 170], [5, 60], 0), truth, rtol=1e-15)
    assert header["PHOTFLAM"] == 1.9697e-18
    assert header["OBSERVER"] == "a" * 90
    assert list(header["HISTORY"]) == ["drizzled"]
    stale = {
        "BITPIX",
        "NAXIS",
        "NAXIS1",
        "BSCALE",
        "CROTA2",
        "CRVAL1O",
        "ORIENTAT",
        "LTV1",
        "CHECKSUM",
    }
    assert not stale & set(header)
    assert header["CRPIX1"] == TAN["CRPIX1"] - 30


def test_datasets__share_the_sky_of_their_images():
    image = make_image(make_grid())
    dataset = xr.Dataset({"narrow": image, "continuum1": image * 2})
    assert dataset.sky.grid == image.sky.grid
    assert dataset.sky.pixel_area == image.sky.pixel_area
    part = dataset.sky.cutout((24.17394, 15.78346), 1.0)
    xr.testing.assert_identical(
        part.narrow, image.sky.cutout((24.17394, 15.78346), 1.0).rename("narrow")
    )
    assert "ra" in dataset.sky.with_coords().coords
    assert dataset.sky.header()["CRPIX1"] == TAN["CRPIX1"]


def test_sky__computes_nothing(tmp_path):
    def fail(*arguments, **options):
        raise AssertionError("something was computed")

    make_image(make_grid()).to_dataset().to_zarr(tmp_path / "a.zarr", consolidated=False)
    with dask.config.set(scheduler=fail):
        for chunked in (
            make_image(make_grid()).chunk(50),
            xr.open_zarr(tmp_path / "a.zarr", consolidated=False).halpha,
        ):
            assert chunked.sky.cutout((24.17394, 15.78346), 2.0).chunks is not None
            box = {"ra": slice(24.17, 24.18), "dec": slice(15.78, 15.79)}
            assert chunked.sky.sel(**box).chunks is not None
            assert chunked.sky.with_coords()[3:, 4:].chunks is not None
            assert require_one_grid(a=chunked, b=chunked) == make_grid()
