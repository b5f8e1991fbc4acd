"""A run, from files to files: what is written, what is made again, and what makes no difference."""

import fcntl
import os
import re
import shutil
import warnings

import dask
import numpy as np
import pytest
import xarray as xr
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

import phangs_xr
from phangs_xr.engine.config import load_config
from phangs_xr.engine.field import find_largest_tile, list_passes, prepare_field
from phangs_xr.engine.inputs import open_inputs
from phangs_xr.errors import InputError
from phangs_xr.io.fits import FitsArray
from phangs_xr.recipes import BARNES2023
from phangs_xr.schema import NUMBERS, PRODUCTS
from phangs_xr.sky import get_grid
from tests import plain
from tests.commands import SIZE, set_pixels
from tests.configs import with_options
from tests.images import measure_range

# The 18 of the issue and of DESIGN section 4, by hand.
FITS = (
    *("halpha_raw", "cont_raw", "halpha", "halpha_bg", "halpha_bgsub", "musehalpha"),
    *("musehalpha_regrid", "halpha_smoothed", "hstmuseratio", "hstmusediff", "anchored"),
    *("diff_anchored", "anchored_intnegs", "fit_anchored", "fit_anchored_intnegs"),
    *("anchored_wnoise", "anchored_intnegs_wnoise", "anchored_intnegs_nocosmic"),
)
STEPS = {step.name: step for step in BARNES2023.steps}
MAKERS = {name: step.name for step in BARNES2023.steps for name in step.outputs}


def get_store(out):
    return out / "ngc0628.zarr"


def get_fits(out, name):
    return out / f"ngc0628_{name}.fits"


def read_images(out):
    tree = phangs_xr.open_store(get_store(out))
    return {
        name: tree[product.grid][name].values
        for name, product in PRODUCTS.items()
        if product.grid in tree and name in tree[product.grid]
    }


def assert_same_bits(found, expected):
    assert set(found) == set(expected)
    for name, image in found.items():
        same = image.view(np.uint32) == expected[name].view(np.uint32)
        assert same.all(), f"{name}: {(~same).sum()} pixels differ"


def list_times(out):
    """When each product's array and FITS file was written."""
    times = {}
    for name in MAKERS:
        product = PRODUCTS[name]
        times[name] = (get_store(out) / product.grid / name / "zarr.json").stat().st_mtime_ns
        if name in FITS:
            times[f"{name}.fits"] = get_fits(out, name).stat().st_mtime_ns
    return times


def list_redone(out, before):
    """The steps whose products were written since; a step writes all of its products or none."""
    after = list_times(out)
    changed = {name.removesuffix(".fits") for name in after if after[name] != before[name]}
    redone = {MAKERS[name] for name in changed}
    assert changed == {name for step in redone for name in STEPS[step].outputs}
    assert all(after[f"{name}.fits"] != before[f"{name}.fits"] for name in changed & set(FITS))
    return redone


def list_after(name):
    """A step and all that comes after it, by the declarations of the steps."""
    touched = {name}
    for step in BARNES2023.steps * 2:
        needs = {need for need in (*step.inputs, *step.looks_at) if need not in step.sources}
        made = {output for one in touched for output in (*STEPS[one].outputs, *STEPS[one].numbers)}
        if needs & made:
            touched.add(step.name)
    return touched


@pytest.fixture
def out(small_run, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(small_run, tmp_path / "out")


@pytest.fixture
def own(small, tmp_path):
    """A copy of the small galaxy's files and configuration, to be changed."""
    return shutil.copytree(small.parent, tmp_path / "data") / small.name


def test_all_files_are_there_and_no_others(finished):
    expected = {"ngc0628.zarr", "ngc0628_fits.csv", *(f"ngc0628_{name}.fits" for name in FITS)}
    assert {path.name for path in finished.iterdir()} == expected
    assert not list(finished.rglob("*.partial*"))


def test_store_holds_all_products_as_declared(finished):
    tree = phangs_xr.open_store(finished)
    assert set(tree.children) == {"hst", "muse", "nebulae", "fits"}
    for name in MAKERS:
        product = PRODUCTS[name]
        image = tree[product.grid][name]
        assert image.dtype == np.float32
        assert image.dims == ("y", "x")
        assert image.chunks is not None
        assert image.attrs["units"] == product.units
        assert image.attrs["long_name"] == product.long_name
        assert image.attrs["step"] == MAKERS[name]
    numbers = {name for step in BARNES2023.steps for name in step.numbers}
    assert set(tree["fits"].data_vars) == numbers
    for name in numbers:
        assert tree["fits"][name].attrs["units"] == NUMBERS[name].units
        assert tree["fits"][name].dims == NUMBERS[name].dims


def test_store_says_how_it_was_made(finished, simulated):
    attrs = phangs_xr.open_store(finished).attrs
    assert (attrs["galaxy"], attrs["recipe"]) == ("ngc0628", "barnes2023")
    assert attrs["versions"]["phangs_xr"] == phangs_xr.__version__
    assert attrs["versions"]["numpy"] == np.__version__
    inputs = load_config(simulated).inputs.given
    assert set(attrs["inputs"]) == set(inputs)
    for name, one in inputs.items():
        assert attrs["inputs"][name]["path"] == str(one.path)
        assert attrs["inputs"][name]["size"] == one.path.stat().st_size
    assert set(attrs["records"]) == set(STEPS)
    assert attrs["records"]["smooth_hst"]["options"] == {"hst_fwhm": 0.1, "muse_fwhm": 0.92}
    for name, record in attrs["records"].items():
        assert record["outputs"] == list(STEPS[name].outputs)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record["finished"])


def test_plain_xarray_opens_the_store(finished):
    ours = phangs_xr.open_store(finished)
    with xr.open_datatree(get_store(finished)) as plain:
        assert set(plain.children) == set(ours.children)
        for group in ours.children:
            xr.testing.assert_identical(plain[group].to_dataset(), ours[group].to_dataset())


@pytest.mark.parametrize("name", FITS)
def test_fits_and_store_hold_the_same(finished, name):
    image = phangs_xr.open_store(finished)[PRODUCTS[name].grid][name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(get_fits(finished, name)) as hdus:
            hdus.verify("exception")
            (hdu,) = hdus
            assert hdu.data.dtype == ">f4"
            same = hdu.data.astype("<f4").view(np.uint32) == image.values.view(np.uint32)
            assert same.all()
            header = hdu.header.copy()
    unit = header["BUNIT"]
    assert unit == PRODUCTS[name].units
    assert u.Unit(unit).to_string() is not None
    if "electron" not in unit:
        # The electron is in no FITS standard, but it is what HST counts.
        assert u.Unit(unit, format="fits") == u.Unit(unit)
    corners = [0, 0, image.shape[1] - 1], [0, image.shape[0] - 1, 7]
    np.testing.assert_allclose(
        WCS(header).all_pix2world(*corners, 0), image.sky.wcs.all_pix2world(*corners, 0), rtol=1e-14
    )
    opened = xr.open_dataset(get_fits(finished, name))["image"]
    assert get_grid(opened) == get_grid(image)
    assert opened.attrs["units"] == PRODUCTS[name].units
    assert ("PHOTFLAM" in header) == (name in ("halpha_raw", "cont_raw"))
    history = " ".join(header["HISTORY"])
    assert f"phangs_xr {phangs_xr.__version__}, recipe barnes2023" in history
    assert MAKERS[name] in history
    assert ("smooth_hst" in history) == (name in FITS[FITS.index("halpha_smoothed") :])


def test_table_of_numbers_is_that_of_the_store(finished):
    table = Table.read(finished / "ngc0628_fits.csv", format="ascii.csv")
    stored = phangs_xr.open_store(finished)["fits"]
    scalars = {name for name in stored.data_vars if not stored[name].ndim}
    assert {"slope", "slope_error", "intercept", "intercept_error", "offset"} < scalars
    assert set(table["name"]) == scalars
    for row in table:
        assert row["value"] == float(stored[row["name"]])
        assert row["name"] in STEPS[row["step"]].numbers


def test_catalogue_is_that_of_the_galaxy(finished, simulated):
    rows = Table.read(load_config(simulated).inputs.nebula_catalogue.path)
    nebulae = phangs_xr.open_store(finished)["nebulae"]
    here = rows[[str(name).strip() == "NGC0628" for name in rows["gal_name"]]]
    np.testing.assert_array_equal(nebulae["region_ID"], here["region_ID"])
    np.testing.assert_array_equal(nebulae["HA6562_FLUX"], here["HA6562_FLUX"])


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [100, 1200])
def test_tiles_of_any_size_make_the_same(simulated, finished, tmp_path, chunk):
    phangs_xr.run(simulated, tmp_path, chunk=chunk)
    expected = read_images(finished)
    for name, found in read_images(tmp_path).items():
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected[name]), err_msg=name)
        same = (found.view(np.uint32) == expected[name].view(np.uint32)).mean()
        off = np.nanmax(np.abs(found - expected[name]))
        print(f"chunk {chunk:5} {name:26} same bits {same:.6f}, largest difference {off:.2g}")
        assert off <= 1e-6 * measure_range(expected[name])
        assert same > 0.99
    table = (tmp_path / "ngc0628_fits.csv").read_text()
    assert table == (finished / "ngc0628_fits.csv").read_text()


def test_number_of_threads_makes_no_difference(small, out, tmp_path):
    phangs_xr.run(small, tmp_path / "one", chunk=200, threads=1)
    assert_same_bits(read_images(tmp_path / "one"), read_images(out))


def test_inputs_are_left_as_they_are(own, tmp_path):
    before = {path: path.read_bytes() for path in own.parent.rglob("*") if path.is_file()}
    phangs_xr.run(own, tmp_path / "new", chunk=300)
    assert {p: p.read_bytes() for p in own.parent.rglob("*") if p.is_file()} == before


def test_directory_is_named_after_the_galaxy_and_its_bands(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own.write_text(own.read_text() + '[output]\nproducts = ["cont_raw"]\n')
    phangs_xr.run(str(own))
    assert get_fits(tmp_path / "ngc0628" / "f555w_f814w", "cont_raw").exists()


def test_finished_run_does_nothing(small, out):
    before = list_times(out)
    phangs_xr.run(small, out, chunk=200)
    assert not list_redone(out, before)


@pytest.mark.parametrize("name", ["load", "add_noise"])
def test_forced_step_is_redone_with_what_depends_on_it(small, out, name):
    before, images = list_times(out), read_images(out)
    phangs_xr.run(small, out, chunk=200, force=[name])
    assert list_redone(out, before) == list_after(name)
    assert_same_bits(read_images(out), images)


CHANGES = {
    "regrid_muse": {"order": "bilinear"},
    "remove_cosmic_rays": {"disc_radius": 4.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_changed_option_redoes_exactly_what_it_touches(small, out, tmp_path, name):
    before, images = list_times(out), read_images(out)
    config = with_options(load_config(small), name, **CHANGES[name])
    phangs_xr.run(config, out, chunk=200)
    assert list_redone(out, before) == list_after(name)
    changed = read_images(out)
    assert any((changed[one] != images[one]).any() for one in STEPS[name].outputs)
    phangs_xr.run(config, tmp_path / "fresh", chunk=200)
    assert_same_bits(changed, read_images(tmp_path / "fresh"))


@pytest.mark.parametrize(
    ("name", "step"),
    [("star_mask", "load_nebulae"), ("muse", "extract_muse")],
)
def test_changed_input_redoes_exactly_what_it_touches(own, out, tmp_path, name, step):
    one = load_config(own).inputs.given[name]
    with fits.open(one.path, mode="update") as hdus:
        hdu = hdus["HA6562_FLUX"] if name == "muse" else hdus[0]
        hdu.data[30:33, 30:33] = 1
    before = list_times(out)
    phangs_xr.run(own, out, chunk=200)
    assert list_redone(out, before) == list_after(step)
    phangs_xr.run(own, tmp_path / "fresh", chunk=200)
    assert_same_bits(read_images(out), read_images(tmp_path / "fresh"))


def test_input_that_moved_redoes_nothing(own, out):
    before = list_times(out)
    phangs_xr.run(own, out, chunk=200)
    assert not list_redone(out, before)


def test_lost_fits_files_are_exported_from_the_store(small, out, small_run):
    before = list_times(out)
    for name in ("anchored", "musehalpha"):
        get_fits(out, name).unlink()
    phangs_xr.run(small, out, chunk=200)
    after = list_times(out)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"anchored.fits", "musehalpha.fits"}
    for name in ("anchored", "musehalpha"):
        assert get_fits(out, name).read_bytes() == get_fits(small_run, name).read_bytes()


def test_fits_file_asked_for_later_is_exported_from_the_store(own, out):
    before = list_times(out)
    own.write_text(own.read_text() + '[output]\nfits = ["narrow", "nebula_mask"]\n')
    phangs_xr.run(own, out, chunk=200)
    assert not list_redone(out, before)
    images = read_images(out)
    for name in ("narrow", "nebula_mask"):
        np.testing.assert_array_equal(fits.getdata(get_fits(out, name)), images[name])


def test_product_lost_from_the_store_is_made_again(small, out):
    images = read_images(out)
    shutil.rmtree(get_store(out) / "hst" / "hstmuseratio")
    phangs_xr.run(small, out, chunk=200)
    assert_same_bits(read_images(out), images)


def test_table_lost_is_written_again(small, out, small_run):
    (out / "ngc0628_fits.csv").unlink()
    phangs_xr.run(small, out, chunk=200)
    table = (out / "ngc0628_fits.csv").read_text()
    assert table == (small_run / "ngc0628_fits.csv").read_text()


def test_only_the_wanted_products_are_made(own, tmp_path):
    own.write_text(own.read_text() + '[output]\nproducts = ["halpha_bgsub"]\nfits = ["halpha"]\n')
    out = tmp_path / "few"
    phangs_xr.run(own, out, chunk=200)
    assert {path.name for path in out.glob("*.fits")} == {"ngc0628_halpha.fits"}
    assert set(read_images(out)) == {
        *("narrow", "continuum1", "continuum2", "halpha_raw", "halpha", "halpha_bgsub")
    }


def test_more_products_are_added_to_what_is_there(own, small_run, tmp_path):
    config = own.read_text()
    own.write_text(config + '[output]\nproducts = ["halpha_smoothed"]\n')
    out = tmp_path / "more"
    phangs_xr.run(own, out, chunk=200)
    own.write_text(config)
    phangs_xr.run(own, out, chunk=200)
    assert_same_bits(read_images(out), read_images(small_run))


def change_narrow(config):
    """Change the narrow band, and ask for few products."""
    with fits.open(load_config(config).inputs.narrow.path, mode="update") as hdus:
        hdus[0].data[100:110, 100:110] += 1
    config.write_text(config.read_text() + '[output]\nproducts = ["halpha"]\n')


def test_products_of_other_inputs_do_not_stay_beside_new_ones(own, out):
    change_narrow(own)
    phangs_xr.run(own, out, chunk=200)
    needed = {"narrow", "continuum1", "continuum2", "halpha_raw", "halpha"}
    assert set(read_images(out)) == needed | {"musehalpha", "nebula_mask", "star_mask"}
    with xr.open_datatree(get_store(out)) as plain:
        assert set(plain["hst"].data_vars) == needed
        assert set(plain["fits"].data_vars) == {"zero_is_outside"}


def test_redone_step_leaves_no_product_of_its_earlier_self(own, out):
    own.write_text(own.read_text() + '[output]\nproducts = ["halpha_bg"]\n')
    phangs_xr.run(own, out, chunk=200, force=["subtract_background"])
    with xr.open_datatree(get_store(out)) as plain:
        assert "halpha_bg" in plain["hst"]
        assert "halpha_bgsub" not in plain["hst"]


def test_store_of_another_galaxy_is_refused(own, out):
    shutil.move(get_store(out), out / "ngc1087.zarr")
    own.write_text(own.read_text().replace('galaxy = "ngc0628"', 'galaxy = "ngc1087"'))
    with pytest.raises(InputError, match=r"store of ngc1087 is needed, found one of ngc0628: give"):
        phangs_xr.run(own, out)


def test_second_run_at_once_is_refused(small, tmp_path):
    refused = []

    def start_another(title, tasks):
        with pytest.raises(InputError, match="found another run at work here: wait for it"):
            phangs_xr.run(small, tmp_path)
        refused.append(title)
        return lambda done: None

    phangs_xr.run(small, tmp_path, chunk=300, on_start=start_another)
    assert len(refused) > 4


def test_lock_of_another_process_is_respected(small, out):
    descriptor = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="found another run at work here"):
            phangs_xr.run(small, out)
    finally:
        os.close(descriptor)
    phangs_xr.run(small, out)


def test_progress_counts_every_tile(small, tmp_path):
    started, done = {}, {}

    def start(title, tasks):
        assert title not in started or title.startswith("measure")
        started[title] = started.get(title, 0) + tasks

        def advance(count):
            done[title] = done.get(title, 0) + count

        return advance

    phangs_xr.run(small, tmp_path, chunk=100, on_start=start)
    assert done == started
    assert started["load, subtract_continuum, convert_units, regrid_muse, smooth_hst"] == 9


def test_run_that_was_interrupted_is_completed(small, small_run, tmp_path):
    calls = []

    def note(title, tasks):
        calls.append(title)
        return lambda done: None

    def interrupt(title, tasks):
        if title.startswith("subtract_background"):
            raise KeyboardInterrupt
        return note(title, tasks)

    with pytest.raises(KeyboardInterrupt):
        phangs_xr.run(small, tmp_path, chunk=200, on_start=interrupt)
    assert "halpha_smoothed" in read_images(tmp_path)
    assert "anchored" not in read_images(tmp_path)
    before = len(calls)
    phangs_xr.run(small, tmp_path, chunk=200, on_start=note)
    assert not any("load" in title.split(", ") for title in calls[before:])
    assert_same_bits(read_images(tmp_path), read_images(small_run))


def test_without_muse_the_rest_is_made(own, tmp_path):
    lines = own.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("muse", "nebula", "star"))]
    own.write_text("\n".join(kept) + "\n")
    out = tmp_path / "hst"
    tree = phangs_xr.run(own, out, chunk=200)
    assert set(tree.children) == {"hst", "fits"}
    assert {path.name for path in out.glob("*.fits")} == {
        f"ngc0628_{name}.fits"
        for name in ("halpha_raw", "cont_raw", "halpha", "halpha_bg", "halpha_bgsub")
    }


@pytest.mark.parametrize(
    ("box", "measured"),
    [
        (100, ["subtract_background, compare_images, fit_anchor"]),
        (101, ["subtract_background, compare_images", "fit_anchor"]),
        (400, ["subtract_background, compare_images, fit_anchor"]),
        (1000, ["subtract_background, compare_images, fit_anchor"]),
    ],
)
def test_passes_are_those_of_the_plan_whatever_the_boxes(own, tmp_path, box, measured):
    config = with_options(load_config(own), "subtract_background", box_size=box)
    ready = prepare_field(config, tmp_path / "out")
    planned = list_passes(ready, 200)
    times = r" \((once|2 to 4 times)\)$"
    titles = [re.sub(times, "", title) for title, _ in planned if title.startswith("measure")]
    last = "measure add_noise, remove_cosmic_rays"
    assert titles == [f"measure {names}" for names in ("load_nebulae", *measured)] + [last]
    assert find_largest_tile(ready, 200) == max(200, min(box, max(ready.grids["hst"].shape)))
    started = []

    def note(title, tasks):
        started.append((title, tasks))
        return lambda _: None

    phangs_xr.run(config, tmp_path / "out", chunk=200, on_start=note)
    assert {(re.sub(times, "", title), tasks) for title, tasks in planned} <= set(started)


def test_image_smaller_than_a_box_is_run_whole(own, tmp_path):
    inputs = load_config(own).inputs
    for one in (inputs.narrow, inputs.continuum1, inputs.continuum2):
        with fits.open(one.path) as hdus:
            header = hdus[0].header.copy()
            header["CRPIX1"] -= 105
            header["CRPIX2"] -= 110
            pixels = hdus[0].data[110:190, 105:195].copy()
        fits.PrimaryHDU(pixels, header).writeto(one.path, overwrite=True)
    tree = phangs_xr.run(own, tmp_path / "tiny", chunk=100)
    assert tree["hst"].sizes == {"y": 80, "x": 90}
    background, _ = plain.subtract_background(tree["hst"]["halpha"].values.astype(float))
    np.testing.assert_allclose(tree["hst"]["halpha_bg"], background, rtol=0, atol=1e-4)
    assert np.isfinite(tree["hst"]["anchored_intnegs_nocosmic"]).mean() > 0.9


def test_band_of_another_grid_is_that_of_the_whole_image(own, tmp_path, caplog):
    """The windows that tiles read of a rotated band hold all that they need."""
    path = load_config(own).inputs.continuum2.path
    with fits.open(path, mode="update") as hdus:
        wcs = WCS(hdus[0].header)
        angle = np.deg2rad(7.0)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = wcs.pixel_scale_matrix @ turn * 0.97
        for row in (0, 1):
            for column in (0, 1):
                hdus[0].header[f"CD{row + 1}_{column + 1}"] = matrix[row, column]
    whole = {name: image.load() for name, image in open_inputs(load_config(own)).items()}
    bands = (whole[name] for name in ("narrow", "continuum1", "continuum2"))
    expected = phangs_xr.load(*bands)["continuum2"]
    own.write_text(own.read_text() + '[output]\nproducts = ["continuum2"]\n')
    with caplog.at_level("INFO"):
        tree = phangs_xr.run(own, tmp_path / "turned", chunk=100)
    assert "continuum2 is on another grid than narrow: brought onto it" in caplog.text
    np.testing.assert_array_equal(np.isnan(tree["hst"]["continuum2"]), np.isnan(expected))
    np.testing.assert_allclose(
        tree["hst"]["continuum2"], expected, rtol=0, atol=1e-6 * measure_range(expected)
    )


def test_bands_that_differ_in_frame_alone_are_said_to_be_one_grid(own, tmp_path, caplog):
    own.write_text(own.read_text() + '[output]\nproducts = ["continuum2"]\n')
    with caplog.at_level("INFO"):
        phangs_xr.run(own, tmp_path / "out", chunk=300)
    assert "continuum2 differs from narrow in RADESYS alone: taken as one grid" in caplog.text


@pytest.mark.parametrize("chunk", [0, 50, 250, -100])
def test_chunk_that_cuts_cells_is_refused(small, tmp_path, chunk):
    with pytest.raises(InputError, match=f"a multiple of 100 pixels, found {chunk}"):
        phangs_xr.run(small, tmp_path / "none", chunk=chunk)
    assert not (tmp_path / "none").exists()


def test_unknown_step_cannot_be_forced(small, tmp_path):
    with pytest.raises(InputError, match="--force smooth: the recipe's steps are load, "):
        phangs_xr.run(small, tmp_path / "none", force=["smooth"])
    assert not (tmp_path / "none").exists()


def test_open_field_is_lazy_and_holds_what_a_run_begins_with(simulated, finished):
    field = phangs_xr.open_field(simulated)
    stored = phangs_xr.open_store(finished)
    assert set(field["hst"].data_vars) == {"narrow", "continuum1", "continuum2"}
    assert set(field["muse"].data_vars) == {"musehalpha", "nebula_mask", "star_mask"}
    for group in ("hst", "muse"):
        for name, image in field[group].data_vars.items():
            assert image.chunks is not None
            xr.testing.assert_equal(image, stored[group][name])
    xr.testing.assert_equal(field["nebulae"].to_dataset(), stored["nebulae"].to_dataset())


def test_open_field_reads_no_pixel(simulated, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a pixel was read")

    monkeypatch.setattr(FitsArray, "_read", refuse)
    with dask.config.set(scheduler=refuse):
        field = phangs_xr.open_field(simulated)
    with pytest.raises(AssertionError, match="a pixel was read"):
        field["hst"]["narrow"].compute()


def test_open_field_opens_an_image_without_data_that_a_run_refuses(field, tmp_path):
    set_pixels(field, "cont_f814w_sci", np.zeros((SIZE, SIZE), "f4"))
    assert not phangs_xr.open_field(field)["hst"]["continuum2"].notnull().any()
    with pytest.raises(InputError, match="continuum2: an image with data is needed, found only"):
        phangs_xr.run(field, tmp_path / "out")


def test_real_orion_is_anchored_to_muse(orion, tmp_path):
    config = tmp_path / "orion.toml"
    config.write_text(
        f"""galaxy = "orion"
        [inputs]
        narrow = "{orion}/orion_uvis_f656n_exp_drc_sci.fits"
        continuum1 = "{orion}/orion_uvis_f547m_exp_drc_sci.fits"
        muse = "{orion}/ORION-0.80asec_MAPS.fits"
        [options.smooth_hst]
        hst_fwhm = 0.8
        """
    )
    tree = phangs_xr.run(config, tmp_path / "out", chunk=300)
    hst = tree["hst"]
    assert float(tree["fits"]["slope"]) == pytest.approx(0.3151, abs=0.001)
    np.testing.assert_array_equal(hst["halpha_smoothed"], hst["halpha"])
    halpha, muse = hst["halpha"].values, hst["musehalpha_regrid"].values
    both = np.isfinite(halpha) & np.isfinite(muse)
    bright = both & (muse > np.median(muse[both])) & (halpha > 0)
    assert np.corrcoef(np.log10(halpha[bright]), np.log10(muse[bright]))[0, 1] >= 0.99
    anchored = hst["anchored"].values[bright]
    assert np.median(anchored / muse[bright]) == pytest.approx(1, abs=0.05)


def test_real_orion_is_the_same_by_the_filters_curves(orion, tmp_path):
    """Photometry by curves instead of the PHOT* cards that were computed for its headers."""
    files = {band: f"{orion}/orion_uvis_{band}_exp_drc_sci.fits" for band in ("f656n", "f547m")}
    config = tmp_path / "orion.toml"
    config.write_text(
        f"""galaxy = "orion"
        [inputs]
        narrow = {{ path = "{files["f656n"]}", photometry = "curve" }}
        continuum1 = {{ path = "{files["f547m"]}", photometry = "curve" }}
        muse = "{orion}/ORION-0.80asec_MAPS.fits"
        [options.smooth_hst]
        hst_fwhm = 0.8
        """
    )
    tree = phangs_xr.run(config, tmp_path / "out", chunk=300)
    # The second chip's curve, which stands for both, is 0.8 per cent off the first's.
    assert float(tree["fits"]["slope"]) == pytest.approx(0.3151, rel=0.01)
    halpha, muse = (tree["hst"][one].values for one in ("halpha", "musehalpha_regrid"))
    bright = np.isfinite(halpha) & np.isfinite(muse) & (halpha > 0)
    bright &= muse > np.nanmedian(muse)
    assert np.corrcoef(np.log10(halpha[bright]), np.log10(muse[bright]))[0, 1] >= 0.99
    assert tree["hst"]["narrow"].attrs["curve"] == "WFC3_UVIS2_F656N"
