"""The recipe `chandar2025` makes what the public code's version of 2025 made.

With `-s` a table is printed: product, largest difference over the reference's 1-99 % range, share
of the pixels within the tolerance, share with data in both or neither.
"""

import csv
import json

import numpy as np
import pytest
from astropy.io import fits

import phangs_xr
from phangs_xr.engine.config import make_config
from phangs_xr.photometry import find_extinction_factor
from phangs_xr.recipes import CHANDAR2025
from phangs_xr.schema import BANDS
from tests.conftest import require_shared

EBV = 0.0607
FILTERS = {"narrow": "f658n", "continuum1": "f555w", "continuum2": "f814w"}
KEPT = (
    *(name for name in CHANDAR2025.products if name != "nebula_mask"),
    *(f"{band}{kind}" for band in BANDS for kind in ("_flux", "_bgcorr", "_on_muse")),
    *(f"muse_{band}_corrected" for band in BANDS),
    *("hst_cont", "muse_contsub"),
)
DATA = slice(72, 568)
"""Rows and columns that the reference keeps: it crops the padding."""
FRAME = 8


def configure(golden, muse=True):
    hst = {
        band: golden / "hst" / f"ngc0628_{camera}_{FILTERS[band]}_exp_drc_sci.fits"
        for band, camera in zip(BANDS, ("acs", "uvis", "acs"), strict=True)
    }
    inputs = dict(hst)
    for band, path in hst.items():
        inputs[f"{band}_weight"] = path.with_name(path.name.replace("exp_drc_sci", "err_drc_wht"))
    if muse:
        stem = golden / "muse" / "NGC0628-0.92asec"
        for band, path in hst.items():
            camera, name = path.name.upper().split("_")[1:3]
            inputs[f"muse_{band}"] = f"{stem}_{camera}_{name}.fits"
        inputs["muse"] = f"{stem}_MAPS.fits"
        inputs["star_mask"] = golden / "muse" / "NGC0628_starmask.fits"
    return make_config(
        {
            "galaxy": "ngc0628",
            "recipe": "chandar2025",
            "inputs": {name: str(path) for name, path in inputs.items()},
            "options": {"correct_extinction": {"ebv": EBV}},
            "output": {"products": KEPT if muse else ("hst_contsub", "hst_contsub_err")},
        }
    )


@pytest.fixture(scope="module")
def golden2025():
    return require_shared("golden2025")


@pytest.fixture(scope="module")
def made(golden2025, tmp_path_factory):
    """What a run makes, in chunks that fit nothing."""
    out = tmp_path_factory.mktemp("chandar") / "out"
    return phangs_xr.run(configure(golden2025), out, chunk=200)


def list_compared(made):
    """What each file of the reference is here."""
    hst, muse = made["hst"].to_dataset(), made["muse"].to_dataset()
    width = hst["hst_contsub"].attrs["rectangular_width"]
    compared = {}
    for band, name in FILTERS.items():
        flux = hst[f"{band}_flux"]
        compared[f"hst_{name}"] = flux * find_extinction_factor(flux.attrs["pivot"], EBV)
        compared[f"hst_{name}_bgcorr"] = hst[f"{band}_bgcorr"]
        compared[f"hst_{name}_smre"] = muse[f"{band}_on_muse"]
        compared[f"muse_{name}"] = muse[f"muse_{band}_corrected"]
    # A difference that is meant: the reference divides by CD1_1², 4 % less than these pixels have.
    scale = hst["hst_ha"].sky.wcs.pixel_scale_matrix[0, 0] * 3600
    area = hst["hst_ha"].sky.pixel_area / scale**2
    return {
        **compared,
        "hst_f658n_bgcorr_cont": hst["hst_cont"],
        "hst_f658n_bgcorr_contsub": hst["hst_contsub"],
        "hst_f658n_bgcorr_f": hst["narrow_bgcorr"] * width,
        "muse_f658n_contsub": muse["muse_contsub"],
        **{name: hst[name] for name in ("hst_ha", "hst_ha_err")},
        **{name: hst[name] * area for name in ("hst_ha_as2", "hst_ha_err_as2")},
        **{name: muse[name] for name in ("muse_contsub_ha", "muse_ha_as2", "muse_contsub_ha_as2")},
        "muse_ha": muse["musehalpha"],
    }


def compare(name, found, expected):
    found, expected = np.asarray(found, float), expected.astype(float)
    if found.shape != expected.shape:
        found = found[DATA, DATA]
    if found.shape[0] > 200:
        found, expected = (image[FRAME:-FRAME, FRAME:-FRAME] for image in (found, expected))
    low, high = np.nanpercentile(expected, (1, 99))
    both = np.isfinite(found) & np.isfinite(expected)
    off = np.abs(found - expected)[both]
    within = off <= 1e-4 * (high - low) + 1e-5 * np.abs(expected[both])
    covered = np.isfinite(found) == np.isfinite(expected)
    print(
        f"{name:26} largest {off.max() / (high - low):.1e}  within {within.mean():.6f}  "
        f"coverage {covered.mean():.6f}"
    )
    assert within.all()
    assert covered.all()


def test_every_product_is_that_of_the_published_code(made, golden2025):
    for name, found in list_compared(made).items():
        compare(name, found, fits.getdata(golden2025 / "reference" / f"ngc0628_{name}.fits"))


def test_without_muse_the_line_flux_is_that_of_the_published_code(golden2025, tmp_path):
    made = phangs_xr.run(configure(golden2025, muse=False), tmp_path / "out", chunk=300)
    for name in ("hst_contsub", "hst_contsub_err"):
        expected = fits.getdata(golden2025 / "reference/without_muse" / f"ngc0628_{name}.fits")
        compare(name, made["hst"][name], expected)


def read_table(golden2025, name):
    with (golden2025 / "reference" / name).open() as file:
        return list(csv.DictReader(file))


def test_fits_are_those_of_the_published_tables(made, golden2025):
    found = made["fits"]
    names = {"narrow": "narrow", "continuum1": "broad1", "continuum2": "broad2"}
    rows = {row["filter"]: row for row in read_table(golden2025, "table_fits_bgcorr.csv")}
    for number, band in enumerate(BANDS):
        row = rows[names[band]]
        assert found["sky_slope"][number] == pytest.approx(float(row["slope_bins"]), rel=1e-5)
        expected = float(row["intercept_lowres"])
        assert found["sky_intercept"][number] == pytest.approx(expected, rel=1e-5)
    (row,) = read_table(golden2025, "table_fits_NII.csv")
    assert found["nii_slope"] == pytest.approx(float(row["slope_bins"]), rel=1e-5)
    assert found["nii_intercept"] == pytest.approx(float(row["intercept_lowres"]), rel=1e-4)


def test_filters_and_extinction_are_those_of_the_published_code(made, golden2025):
    numbers = json.loads((golden2025 / "reference" / "numbers.json").read_text())
    names = {"narrow": "narrow", "continuum1": "broad1", "continuum2": "broad2"}
    for band, name in names.items():
        attrs = made["hst"][f"{band}_flux"].attrs
        expected = numbers["bandpass"][name]
        assert attrs["pivot"] == pytest.approx(expected["pivot"], rel=1e-6)
        assert attrs["rectangular_width"] == pytest.approx(expected["rectwidth"], rel=1e-5)
        factor = find_extinction_factor(attrs["pivot"], EBV)
        assert factor == pytest.approx(numbers["extinction"][name], rel=1e-6)


def test_store_holds_what_is_kept_and_what_stages_hand_on(golden2025, tmp_path):
    config = make_config({**_describe(configure(golden2025)), "output": {}})
    made = phangs_xr.run(config, tmp_path / "out", chunk=700)
    held = {name for node in ("hst", "muse") for name in made[node].data_vars}
    assert set(CHANDAR2025.products) - {"nebula_mask"} <= held
    assert not held & {*BANDS, *(f"{band}_bgcorr" for band in BANDS), "footprint", "hst_cont"}
    files = {path.name for path in (tmp_path / "out").glob("*.fits")}
    assert files == {f"ngc0628_{name}.fits" for name in CHANDAR2025.fits}


def _describe(config):
    given = {name: str(one.path) for name, one in config.inputs.given.items()}
    options = {"correct_extinction": {"ebv": EBV}}
    return {
        "galaxy": "ngc0628",
        "recipe": "chandar2025",
        "inputs": given,
        "options": options,
    }


def test_files_say_resolution_filter_and_the_numbers_that_made_them(golden2025, tmp_path):
    config = make_config({**_describe(configure(golden2025)), "output": {"products": ["hst_ha"]}})
    phangs_xr.run(config, tmp_path / "out")
    header = fits.getheader(tmp_path / "out" / "ngc0628_hst_ha.fits")
    assert header["BMAJ"] == header["BMIN"] == pytest.approx(0.07 / 3600)
    assert header["BPA"] == 0
    assert header["BUNIT"] == "10**-20 erg s-1 cm-2"
    assert header["CURVE"] == "ACS_WFC_F658N"
    history = "\n".join(header["HISTORY"])
    for words in ('"ebv": 0.0607', "nii_slope = 1.23", "sky_intercept = 10.6", "beyond"):
        assert words in history
