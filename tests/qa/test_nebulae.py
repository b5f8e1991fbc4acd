"""Nebula photometry equals plain sums over the whole image, ID by ID, however it is chunked."""

from functools import reduce

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS
from reproject import reproject_interp

from phangs_xr.engine.runner import Runner
from phangs_xr.errors import GridError, InputError
from phangs_xr.io.tables import read_catalogue
from phangs_xr.numerics.reductions import Block
from phangs_xr.numerics.resampling import resample_window
from phangs_xr.qa.measure.label_sums import LabelMap, SumNebulae, number_nebulae
from phangs_xr.qa.measure.nebulae import HST_FLUXES, MEASURED, measure_nebulae
from phangs_xr.schema import FLUX
from phangs_xr.simulate.dataset import simulate_galaxy
from phangs_xr.simulate.galaxy import Galaxy
from phangs_xr.sky import Grid, format_wcs
from tests.golden import GOLDEN, needs_golden, read_text

HST_SHAPE, MUSE_SHAPE = (230, 260), (64, 60)
NAN = np.nan


def make_grid(shape, scale, angle=0.0, ra=150.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, 30.0]
    wcs.wcs.crpix = [shape[1] / 2 + 0.37, shape[0] / 2 + 0.81]
    cos, sin = np.cos(angle), np.sin(angle)
    wcs.wcs.cd = scale / 3600 * np.array([[-cos, sin], [sin, cos]])
    return Grid(format_wcs(wcs), 0, 0, 1, 1, shape)


HST, MUSE = make_grid(HST_SHAPE, 0.04), make_grid(MUSE_SHAPE, 0.2, 0.3)

DISCS = {
    0: (30, 28, 3.3),
    1: (40, 33, 4.0),
    7: (25, 38, 2.2),
    90: (31, 35, 0.6),
    4000: (16, 16, 5.5),
    16777215: (38, 10, 6.0),
    23: (5, 5, 3.0),
}
"""Rows, columns and radii of nebulae on the mask: the first four inside HST's mosaic, two across
its edges, the last beyond."""
INSIDE, ACROSS, BEYOND = [0, 1, 7, 90], [4000, 16777215], [23]


def make_mask(dtype=np.float64, outside=-1.0):
    rows, columns = np.indices(MUSE_SHAPE)
    mask = np.full(MUSE_SHAPE, outside)
    for identity, (row, column, radius) in DISCS.items():
        mask[np.hypot(rows - row, columns - column) <= radius] = identity
    return mask.astype(dtype)


def label(image, grid, units=FLUX):
    return xr.DataArray(image, grid.coords(), ("y", "x"), attrs={"units": units})


def make_field(mask=None, **nodes):
    """HST products and MUSE's map of random numbers, without data here and there."""
    rng = np.random.default_rng(5)
    hst = {}
    for product in HST_FLUXES.values():
        image = rng.normal(100, 50, HST_SHAPE).astype(np.float32)
        hst[product] = label(image, HST)
    hst["anchored"][:, :90] = np.nan
    hst["halpha"][100:103, 140:150] = np.nan
    hst["fit_anchored"][120, 130] = np.inf
    musehalpha = rng.normal(2500, 900, MUSE_SHAPE).astype(np.float32)
    musehalpha[:20] = np.nan
    muse = {
        "musehalpha": label(musehalpha, MUSE),
        "nebula_mask": label(make_mask() if mask is None else mask, MUSE, ""),
    }
    return xr.DataTree.from_dict({"/hst": xr.Dataset(hst), "/muse": xr.Dataset(muse), **nodes})


def change(field, node, **images):
    """The same field with some images of a node replaced, or, if None, left out."""
    dataset = field[node].to_dataset()
    dropped = dataset.drop_vars([name for name, image in images.items() if image is None])
    kept = {name: image for name, image in images.items() if image is not None}
    nodes = {f"/{name}": child.to_dataset() for name, child in field.children.items()}
    return xr.DataTree.from_dict(nodes | {f"/{node}": dropped.assign(kept)})


def paint_mask(mask, margin=0):
    """The mask on the HST grid, `margin` pixels wider on every side, pixel by pixel."""
    rows, columns = np.indices([length + 2 * margin for length in HST_SHAPE]) - margin
    sky = HST.to_wcs().all_pix2world(columns.ravel(), rows.ravel(), 0)
    x, y = (np.rint(position).astype(int) for position in MUSE.to_wcs().all_world2pix(*sky, 0))
    inside = (x >= 0) & (x < MUSE_SHAPE[1]) & (y >= 0) & (y < MUSE_SHAPE[0])
    painted = np.full(rows.size, -1.0)
    painted[inside] = mask[y[inside], x[inside]]
    return painted.reshape(rows.shape)


def sum_plainly(image, painted, ids):
    image = image.astype(float)
    covered = np.isfinite(image)
    return np.array(
        [
            image[covered & (painted == i)].sum() if (covered & (painted == i)).any() else NAN
            for i in ids
        ]
    )


def test_fluxes_are_plain_sums():
    field = make_field()
    nebulae = measure_nebulae(field)
    ids = nebulae["region_ID"].values
    np.testing.assert_array_equal(ids, sorted(DISCS))
    painted = paint_mask(make_mask())
    for name, product in HST_FLUXES.items():
        expected = sum_plainly(field["hst"][product].values, painted, ids)
        np.testing.assert_allclose(nebulae[name], expected, rtol=1e-12)
    expected = sum_plainly(field["muse"]["musehalpha"].values, make_mask(), ids)
    np.testing.assert_allclose(nebulae["flux_muse"], expected, rtol=1e-12)


def test_coverage_is_the_fraction_of_all_pixels_also_beyond_the_mosaic():
    field = make_field()
    nebulae = measure_nebulae(field).set_xindex("region_ID")
    wide, painted = paint_mask(make_mask(), 200), paint_mask(make_mask())
    has_data = np.isfinite(field["hst"]["halpha"].values)
    for identity in DISCS:
        expected = (has_data & (painted == identity)).sum() / (wide == identity).sum()
        assert nebulae["coverage_hst"].sel(region_ID=identity) == expected
    assert (nebulae["coverage_hst"].sel(region_ID=[1, 7, 90]) == 1).all()
    assert 0 < nebulae["coverage_hst"].sel(region_ID=0) < 1
    for identity in ACROSS:
        assert 0 < nebulae["coverage_hst"].sel(region_ID=identity) < 1


def test_coverage_by_muse_is_the_fraction_of_its_pixels():
    nebulae = measure_nebulae(make_field()).set_xindex("region_ID")
    own = make_mask() == 4000
    expected = own[20:].sum() / own.sum()
    assert 0 < expected < 1
    assert nebulae["coverage_muse"].sel(region_ID=4000) == expected
    assert (nebulae["coverage_muse"].sel(region_ID=INSIDE) == 1).all()


def test_uncovered_nebulae_keep_a_row_with_no_flux():
    row = measure_nebulae(make_field()).set_xindex("region_ID").sel(region_ID=BEYOND[0])
    assert row["coverage_hst"] == 0
    assert row["coverage_muse"] == 0
    assert np.isnan([row[name].item() for name in (*HST_FLUXES, "flux_muse")]).all()
    assert row["area"] > 0


def test_partly_covered_nebula_has_the_sum_of_its_covered_pixels():
    field = make_field()
    ones = xr.ones_like(field["hst"]["halpha"])
    half = ones.where(ones["x"] >= 130)
    nebulae = measure_nebulae(change(field, "hst", halpha=half)).set_xindex("region_ID")
    painted = paint_mask(make_mask())
    flux = nebulae["flux_halpha"].sel(region_ID=0)
    assert flux == (painted[:, 130:] == 0).sum()
    assert nebulae["coverage_hst"].sel(region_ID=0) == flux / (painted == 0).sum()
    assert 0 < nebulae["coverage_hst"].sel(region_ID=0) < 1


def test_positions_and_areas_are_those_of_the_mask():
    nebulae = measure_nebulae(make_field()).set_xindex("region_ID")
    for identity, (row, column, _) in DISCS.items():
        if identity in BEYOND:
            continue
        here = nebulae.sel(region_ID=identity)
        own = np.argwhere(make_mask() == identity)
        ra, dec = MUSE.to_wcs().all_pix2world(*own.mean(axis=0)[::-1], 0)
        assert here["ra"] == pytest.approx(float(ra), abs=1e-10)
        assert here["dec"] == pytest.approx(float(dec), abs=1e-10)
        assert here["area"] == pytest.approx(len(own) * 0.04, rel=1e-9)
        assert np.hypot(*(own.mean(axis=0) - (row, column))) < 3


def test_every_variable_says_its_unit_and_meaning():
    nebulae = measure_nebulae(make_field())
    assert set(nebulae) == set(MEASURED)
    assert nebulae["flux_anchored"].attrs["units"] == FLUX
    assert nebulae["area"].attrs["units"] == "arcsec2"
    assert all(nebulae[name].attrs["long_name"] for name in nebulae)


@pytest.mark.parametrize(
    ("dtype", "outside"),
    [(np.int32, -1), (np.int64, -1), (np.float32, -1), (np.float32, NAN), (np.float64, NAN)],
)
def test_masks_of_any_number_type_are_one(dtype, outside):
    expected = measure_nebulae(make_field())
    found = measure_nebulae(make_field(make_mask(dtype, outside)))
    xr.testing.assert_identical(found, expected)
    assert found["region_ID"].dtype == np.int64


def test_fractional_ids_stay_apart():
    mask = make_mask()
    mask[mask == 1] = 0.5
    ids = measure_nebulae(make_field(mask))["region_ID"].values
    assert ids.dtype == np.float64
    np.testing.assert_array_equal(ids[:2], [0, 0.5])


@pytest.mark.parametrize("chunk", [37, 100, 137, 300])
@pytest.mark.parametrize("lazily", ["dask", "tiles"])
def test_chunks_change_no_bit(chunk, lazily):
    field = make_field()
    expected = measure_nebulae(field)
    if lazily == "dask":
        field = field.map_over_datasets(lambda images: images.chunk(chunk))
    found = measure_nebulae(field, Runner(chunk=chunk, threads=2))
    xr.testing.assert_identical(found, expected)


def test_order_of_the_chunks_changes_no_bit():
    field = make_field()
    ids, labels = number_nebulae(make_mask())
    reduction = SumNebulae(LabelMap.build(labels, MUSE, ids.size), HST, 1)
    image = field["hst"]["halpha"].values

    def look(row, column):
        window = image[row : row + 100, column : column + 100]
        whole = tuple(slice(0, length) for length in window.shape)
        return reduction.look(None, Block((window,), whole, (row, column), (0, 0), image.shape))

    parts = [look(row, column) for row in range(0, 230, 100) for column in range(0, 260, 100)]
    found = []
    for order in (range(len(parts)), reversed(range(len(parts)))):
        merged = reduce(reduction.merge, [parts[index] for index in order])
        found.append(reduction.finish(reduction.advance(None, merged)))
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


def test_store_is_read_tile_by_tile(tmp_path):
    field = make_field()
    field.chunk({"y": 100, "x": 100}).to_zarr(tmp_path / "store.zarr", consolidated=False)
    stored = xr.open_datatree(
        tmp_path / "store.zarr", engine="zarr", chunks=None, consolidated=False
    )
    xr.testing.assert_identical(measure_nebulae(stored), measure_nebulae(field))
    assert not any(image._in_memory for image in stored["hst"].data_vars.values())


def test_each_chunk_is_read_once():
    field = make_field().chunk({"y": 100, "x": 100})
    read = []

    def note(block, block_info=None):
        read.append(tuple(map(tuple, block_info[0]["array-location"])))
        return block

    halpha = field["hst"]["halpha"]
    counted = halpha.copy(data=halpha.data.map_blocks(note, meta=np.empty((0, 0), np.float32)))
    measure_nebulae(change(field, "hst", halpha=counted))
    assert len(read) == len(set(read)) == 9


def test_workers_of_a_cluster_find_the_same(client):
    field = make_field()
    with client.as_current():
        found = measure_nebulae(field, Runner(client=client, chunk=100))
    xr.testing.assert_identical(found, measure_nebulae(field))


def scatter_pixels(seed):
    """Nebulae of one pixel each, few enough that most of the field has none."""
    mask = np.full(MUSE.shape, -1)
    mask.flat[np.random.default_rng(seed).choice(mask.size, 6, replace=False)] = np.arange(6)
    return mask


@pytest.mark.parametrize("mask", [make_mask(), *map(scatter_pixels, range(30))])
def test_mask_is_sampled_as_muse_is_regridded(mask):
    ids, labels = number_nebulae(mask)
    sampled = LabelMap.build(labels, MUSE, ids.size).sample(HST)
    factor = {"order": "nearest-neighbor", "factor": 1.0}
    values = np.where(labels < 0, np.nan, labels)
    expected = resample_window(values, MUSE, HST, **factor)
    np.testing.assert_array_equal(sampled, np.nan_to_num(expected, nan=-1))


@pytest.fixture
def catalogue():
    """Rows in another order than the mask's IDs, one ID without a row and one row without ID."""
    ids = [7, 0, 4000, 1, 90, 23, 5]
    return xr.Dataset(
        {
            "HA6562_FLUX": ("nebula", np.array(ids) * 10.0, {"units": FLUX}),
            "HII_class_v3": ("nebula", np.arange(7) % 2),
            "flag_edge": ("nebula", np.zeros(7, bool)),
            "Environment": ("nebula", np.array(list("abcdefg"), dtype=np.dtypes.StringDType())),
            "ra": ("nebula", np.arange(7.0), {"units": "deg"}),
        },
        {"region_ID": ("nebula", ids)},
    )


def test_catalogue_is_joined_by_id(catalogue):
    nebulae = measure_nebulae(make_field(**{"/nebulae": catalogue})).set_xindex("region_ID")
    assert nebulae.sizes["nebula"] == len(DISCS)
    known = nebulae.sel(region_ID=[7, 0, 4000, 1, 90, 23])
    np.testing.assert_array_equal(known["HA6562_FLUX"], catalogue["HA6562_FLUX"][:6])
    assert "".join(known["Environment"].values) == "abcdef"
    np.testing.assert_array_equal(known["HII_class_v3"], [0, 1, 0, 1, 0, 1])
    assert nebulae["HA6562_FLUX"].attrs["units"] == FLUX


def test_ids_without_a_catalogue_row_have_empty_columns(catalogue):
    row = (
        measure_nebulae(make_field(**{"/nebulae": catalogue}))
        .set_xindex("region_ID")
        .sel(region_ID=16777215)
    )
    assert np.isnan([row[name] for name in ("HA6562_FLUX", "HII_class_v3", "flag_edge")]).all()
    assert row["Environment"].item() == ""
    assert row["flux_halpha"] > 0


def test_catalogue_column_of_a_measured_name_is_kept_beside_it(catalogue):
    nebulae = measure_nebulae(make_field(**{"/nebulae": catalogue})).set_xindex("region_ID")
    assert nebulae["catalogue_ra"].sel(region_ID=90) == 4
    assert nebulae["ra"].sel(region_ID=90) == pytest.approx(150, abs=0.01)


def test_order_of_the_columns_is_not_that_of_the_store(catalogue):
    expected = measure_nebulae(make_field(**{"/nebulae": catalogue}))
    found = measure_nebulae(make_field(**{"/nebulae": catalogue[list(catalogue)[::-1]]}))
    assert list(found) == list(expected)


def test_measuring_again_gives_the_same(catalogue, tmp_path):
    once = measure_nebulae(make_field(**{"/nebulae": catalogue}))
    once.to_zarr(tmp_path / "nebulae.zarr", consolidated=False)
    stored = xr.open_zarr(tmp_path / "nebulae.zarr", consolidated=False)
    xr.testing.assert_identical(measure_nebulae(make_field(**{"/nebulae": stored})), once)


def test_without_muse_the_rest_is_measured():
    field = change(make_field(), "muse", musehalpha=None)
    for product in ("anchored", "anchored_intnegs", "fit_anchored"):
        field = change(field, "hst", **{product: None})
    nebulae, full = measure_nebulae(field), measure_nebulae(make_field())
    xr.testing.assert_identical(nebulae["flux_halpha"], full["flux_halpha"])
    assert set(nebulae) == set(MEASURED)
    assert nebulae["flux_muse"].isnull().all()
    assert nebulae["flux_anchored"].isnull().all()
    assert (nebulae["coverage_muse"] == 0).all()


def test_store_without_mask_is_refused():
    with pytest.raises(InputError, match=r"nebula_mask in /muse of the store, found musehalpha: "):
        measure_nebulae(change(make_field(), "muse", nebula_mask=None))


def test_store_without_products_is_refused():
    field = make_field()
    field = xr.DataTree.from_dict({"/muse": field["muse"].to_dataset()})
    with pytest.raises(InputError, match=r"halpha in /hst of the store, found nothing: run"):
        measure_nebulae(field)


@pytest.mark.parametrize("outside", [-1.0, NAN])
def test_mask_without_a_nebula_is_refused(outside):
    with pytest.raises(InputError, match=r"found no pixel of a nebula.*mask of this galaxy"):
        measure_nebulae(make_field(np.full(MUSE_SHAPE, outside)))


@pytest.mark.parametrize(("ra", "apart"), [(150.1, r"5\.2"), (330.0, r"\d+\.\d")])
def test_mask_on_another_sky_is_refused(ra, apart):
    away = make_grid(MUSE_SHAPE, 0.2, 0.3, ra)
    muse = xr.Dataset({"nebula_mask": label(make_mask(), away, "")})
    field = make_field(**{"/muse": muse})
    with pytest.raises(InputError, match=rf"centres {apart} arcmin apart without overlap"):
        measure_nebulae(field)


def test_products_without_a_grid_are_refused():
    field = make_field()
    hst = field["hst"].to_dataset().drop_vars("wcs")
    nodes = {"/muse": field["muse"].to_dataset(), "/hst": hst}
    with pytest.raises(GridError, match=r"expected halpha to have the coordinate wcs"):
        measure_nebulae(xr.DataTree.from_dict(nodes))


def test_products_in_other_units_are_refused():
    field = make_field()
    counts = field["hst"]["halpha"].assign_attrs(units="electron / s")
    with pytest.raises(InputError, match=r"halpha should have units '10\*\*-20 erg"):
        measure_nebulae(change(field, "hst", halpha=counts))


def test_catalogue_of_other_ids_is_refused(catalogue):
    other = catalogue.assign_coords(region_ID=catalogue["region_ID"] + 5_000_000)
    with pytest.raises(InputError, match=r"region_IDs of nebula_mask \(0 to 16777215\).*none"):
        measure_nebulae(make_field(**{"/nebulae": other}))


def test_catalogue_of_other_places_is_refused():
    measured = measure_nebulae(make_field())
    places = {f"cen_{name}": ("nebula", measured[name].values) for name in ("ra", "dec")}
    rows = xr.Dataset(places, {"region_ID": measured["region_ID"]})
    assert "cen_ra" in measure_nebulae(make_field(**{"/nebulae": rows}))
    # 8 arcsec of right ascension are 6.9 arcsec on the sky at declination 30.
    rows["cen_ra"] += 8 / 3600
    with pytest.raises(InputError, match=r"within 5 arcsec.*median distance of 6\.9 arcsec"):
        measure_nebulae(make_field(**{"/nebulae": rows}))


def test_simulated_galaxy_gives_its_catalogue(tmp_path):
    galaxy = Galaxy(size=500)
    simulate_galaxy(tmp_path, galaxy)

    def open_image(path, **options):
        image = xr.open_dataset(tmp_path / path, engine="fits", **options)["image"]
        return image.assign_attrs(units=FLUX)

    muse = {
        "musehalpha": open_image("muse/NGC0628-0.92asec_MAPS.fits", hdu="HA6562_FLUX"),
        "nebula_mask": open_image("muse/NGC0628_nebulae_mask_V2.fits"),
    }
    nodes = {
        "/hst": xr.Dataset({"halpha": open_image("truth/halpha.fits")}),
        "/muse": xr.Dataset(muse),
        "/nebulae": read_catalogue(tmp_path / "muse" / "Nebulae_catalogue_v3.fits", galaxy.name),
    }
    nebulae = measure_nebulae(xr.DataTree.from_dict(nodes), Runner(chunk=200))
    assert nebulae.sizes["nebula"] > 5
    np.testing.assert_allclose(nebulae["flux_muse"], nebulae["HA6562_FLUX"], rtol=1e-6)
    np.testing.assert_allclose(nebulae["ra"], nebulae["cen_ra"], rtol=1e-10)
    np.testing.assert_allclose(nebulae["dec"], nebulae["cen_dec"], rtol=1e-10)
    halpha, header = fits.getdata(tmp_path / "truth" / "halpha.fits", header=True)
    mask = fits.getdata(tmp_path / "muse" / "NGC0628_nebulae_mask_V2.fits", header=True)
    painted, _ = reproject_interp(mask, header, order="nearest-neighbor")
    expected = sum_plainly(halpha, painted, nebulae["region_ID"].values)
    np.testing.assert_allclose(nebulae["flux_halpha"], expected, rtol=1e-6)


def open_golden(path, **options):
    return xr.open_dataset(GOLDEN / path, engine="fits", **options)["image"]


def open_golden_field():
    products = {
        product: open_golden(f"reference/ngc0628_{product}.fits").assign_attrs(units=FLUX)
        for product in HST_FLUXES.values()
    }
    muse = {
        "musehalpha": open_golden("muse/NGC0628-0.92asec_MAPS.fits", hdu="HA6562_FLUX"),
        "nebula_mask": open_golden("muse/NGC0628_nebulae_mask_V2.fits"),
    }
    rows = read_catalogue(GOLDEN / "muse" / "Nebulae_catalogue_v2.fits", "ngc628c")
    return xr.DataTree.from_dict(
        {"/hst": xr.Dataset(products), "/muse": xr.Dataset(muse), "/nebulae": rows}
    )


@needs_golden
@pytest.mark.parametrize("chunk", [100, 137, 640])
def test_golden_fluxes_are_the_reference_s(chunk):
    nebulae = measure_nebulae(open_golden_field(), Runner(chunk=chunk))
    found = np.stack(
        [nebulae[name].values for name in ("flux_halpha", "flux_anchored", "flux_muse")], axis=1
    )
    expected = read_text("nebula_fluxes")
    # The reference has its rows in random order, and 0 where there is no data.
    expected[expected == 0] = np.nan
    order, other = np.argsort(found[:, 2]), np.argsort(expected[:, 2])
    np.testing.assert_allclose(found[order], expected[other], rtol=1e-6)


@needs_golden
@pytest.mark.parametrize("name", HST_FLUXES)
def test_golden_fluxes_are_plain_sums_over_the_reference_s_mask(name):
    nebulae = measure_nebulae(open_golden_field())
    painted = fits.getdata(GOLDEN / "reference" / "ngc0628_nebmask_hst.fits")
    image = fits.getdata(GOLDEN / "reference" / f"ngc0628_{HST_FLUXES[name]}.fits")
    expected = sum_plainly(image, painted, nebulae["region_ID"].values)
    np.testing.assert_allclose(nebulae[name], expected, rtol=1e-12)


@needs_golden
def test_golden_catalogue_agrees_with_the_measured_muse_fluxes():
    nebulae = measure_nebulae(open_golden_field())
    assert nebulae.sizes["nebula"] == nebulae["HA6562_FLUX"].count() == 40
    ratio = nebulae["flux_muse"] / nebulae["HA6562_FLUX"]
    assert abs(ratio.median() - 1) < 0.2
