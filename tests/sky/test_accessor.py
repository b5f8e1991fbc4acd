"""Images that know where they lie: selections, cut-outs, coordinates, headers."""

import tracemalloc

import astropy.units as u
import dask
import numpy as np
import pytest
import xarray as xr
from astropy.coordinates import SkyCoord
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from phangs_xr.errors import InputError
from phangs_xr.sky import get_grid, require_one_grid
from tests.grids import CD, TAN, every_kind, make_grid, make_header, make_image


@every_kind
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
