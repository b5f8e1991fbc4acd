"""Nebulae as regions: read back, they hold the very pixels of the mask, on the sky and on HST."""

import re
import shutil

import numpy as np
import pytest
import scipy
import xarray as xr
from astropy.wcs import WCS
from regions import PixCoord, PolygonPixelRegion, PolygonSkyRegion, Regions

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.io.zarr import FieldStore
from phangs_xr.qa import export_regions as module
from phangs_xr.qa import measure_nebulae
from phangs_xr.qa.export_regions import export_regions
from phangs_xr.qa.measure.trace_outlines import trace_polygons
from tests.commands import call, refuse
from tests.images import make_header, make_image

TEXT = re.compile(
    r"(\S+): (\S+)( \+- (\S+))? erg/s/cm2( \(part \d+ of \d+\))?|(\S+): no flux(?: \(part.*\))?"
)


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """The field, its nebulae, and their regions as read back from the file."""
    out = tmp_path_factory.mktemp("regions") / "nebulae.reg"
    path, nebulae, parts = export_regions(finished, out)
    assert path == out
    field = phangs_xr.open_store(finished)
    found = Regions.read(out, format="ds9")
    assert len(found) == parts
    return field, measure_nebulae(field), nebulae, found


def get_region_id(region) -> int:
    [tag] = region.meta["tag"]
    return int(tag.removeprefix("region_ID "))


def gather(found):
    """Regions by the ID in their tags."""
    parts = {}
    for region in found:
        parts.setdefault(get_region_id(region), []).append(region)
    return parts


def test_regions_hold_the_pixels_of_the_mask(exported):
    field, table, nebulae, found = exported
    mask = field["muse"]["nebula_mask"]
    values, wcs = mask.values, mask.sky.wcs
    parts = gather(found)
    assert list(parts) == np.unique(values[np.isfinite(values)]).tolist()
    assert nebulae == len(parts) == table.sizes["nebula"]
    for region_id, regions in parts.items():
        inside = values == region_id
        assert len(regions) == scipy.ndimage.label(inside)[1]
        assert all(isinstance(region, PolygonSkyRegion) for region in regions)
        pixels = [region.to_pixel(wcs) for region in regions]
        held = sum(one.to_mask(mode="center").to_image(values.shape) for one in pixels)
        np.testing.assert_array_equal(held, inside)
        assert sum(measure_area(one) for one in pixels) == pytest.approx(inside.sum(), rel=1e-5)


def measure_area(region) -> float:
    x, y = region.vertices.x, region.vertices.y
    return abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2


def test_regions_on_hst_hold_what_the_fluxes_are_summed_of(exported):
    field, table, _, found = exported
    image = field["hst"]["anchored"]
    values, wcs = image.values, image.sky.wcs
    parts = gather(found)
    checked = 0
    for row in np.flatnonzero(table["coverage_hst"] == 1)[::4]:
        region_id = int(table["region_ID"][row])
        flux = 0.0
        for region in parts[region_id]:
            held = region.to_pixel(wcs).to_mask(mode="center")
            flux += held.cutout(values)[held.data > 0].sum(dtype=np.float64)
        assert flux == pytest.approx(float(table["flux_anchored"][row]), rel=1e-9)
        checked += 1
    assert checked > 3


@pytest.mark.parametrize("run", ["finished", "banded_run"])
def test_texts_tell_id_and_flux_of_the_best_map(run, request, tmp_path):
    directory = request.getfixturevalue(run)
    flux = {"finished": "flux_anchored", "banded_run": "flux_hst_ha"}[run]
    path, _, _ = export_regions(directory, tmp_path / "nebulae.reg")
    table = measure_nebulae(phangs_xr.open_store(directory)).set_index(nebula="region_ID")
    parts = Regions.read(path, format="ds9")
    for region in parts:
        found = TEXT.fullmatch(region.meta["text"])
        one = table.sel(nebula=get_region_id(region))
        if not np.isfinite(one[flux]):
            assert int(found[6]) == get_region_id(region)
            continue
        assert int(found[1]) == get_region_id(region)
        assert float(found[2]) == pytest.approx(float(one[flux]) * 1e-20, rel=1e-3)
        if run == "finished":
            assert found[4] is None
        else:
            assert float(found[4]) == pytest.approx(float(one[f"{flux}_err"]) * 1e-20, rel=0.05)
    assert len(parts) == table.sizes["nebula"] + len(re.findall(r"\(part [2-9]", path.read_text()))


def test_what_qa_measured_is_not_measured_again(small_run, tmp_path, monkeypatch):
    copied = tmp_path / "out"
    shutil.copytree(small_run, copied)
    nebulae = measure_nebulae(phangs_xr.open_store(copied))
    FieldStore(str(copied / "ngc0628.zarr")).write_table(
        nebulae.assign(flux_anchored=nebulae["flux_anchored"] * 0 + 123.0)
    )
    monkeypatch.setattr("phangs_xr.qa.measure.nebulae.measure_nebulae", None)
    path, number, _ = export_regions(copied)
    assert path == copied / "ngc0628_nebulae.reg"
    assert path.read_text().count(": 1.230e-18 erg/s/cm2") >= number


def make_masks():
    """Masks with holes, parts that touch at corners, and what reaches the edges."""
    rng = np.random.default_rng(5)
    for width in (0.8, 1.5, 3.0):
        field = scipy.ndimage.gaussian_filter(rng.normal(size=(2, 40, 50)), (0, width, width))
        yield np.where(field[0] > 0, (field[1] > 0).astype(int), -1)
    yield np.array([[0, -1, 0], [-1, 0, -1], [0, 0, 0]])
    yield np.pad(np.full((1, 1), -1), 2, constant_values=3)
    yield np.zeros((1, 1), int)


@pytest.mark.parametrize("labels", list(make_masks()))
def test_polygons_are_the_pixels(labels):
    rows, columns = np.indices(labels.shape)
    traced = list(trace_polygons(labels))
    for number in np.unique(labels[labels >= 0]):
        inside = labels == number
        corners = [part for owner, part in traced if owner == number]
        assert len(corners) == scipy.ndimage.label(inside)[1]
        # Not only at the centres of pixels.
        for dy, dx in ((0, 0), (0.3, -0.45), (-0.49, 0.49)):
            held = np.zeros(labels.shape, int)
            for part in corners:
                y, x = part.T
                polygon = PolygonPixelRegion(PixCoord(x, y))
                held += polygon.contains(PixCoord(columns + dx, rows + dy))
            np.testing.assert_array_equal(held, inside)
        area, moment = np.sum([integrate(part) for part in corners], axis=0)
        assert area == inside.sum()
        assert moment == pytest.approx(columns[inside].sum(), abs=1e-9)


def integrate(corners):
    """Area of a polygon and the integral of x over it, by Green's theorem."""
    y, x = corners.T
    y2, x2 = np.roll(y, -1), np.roll(x, -1)
    cross = x * y2 - x2 * y
    sign = np.sign(cross.sum())
    return sign * cross.sum() / 2, sign * np.sum((x + x2) * cross) / 6


@pytest.mark.parametrize("system", ["ICRS", "FK5", "FK4", "galactic"])
def test_regions_are_in_a_system_that_their_readers_know(system):
    header = make_header((20, 30), pixel=0.2, rotation=20)
    if system == "galactic":
        header["CTYPE1"], header["CTYPE2"] = "GLON-TAN", "GLAT-TAN"
        del header["RADESYS"]
    else:
        header["RADESYS"], header["EQUINOX"] = system, 1950.0 if system == "FK4" else 2000.0
    mask = np.full((20, 30), np.nan)
    mask[3:9, 4:20], mask[12:15, 12:25] = 7, 9
    image = make_image(mask.astype(np.float32), units="", header=header)
    field = xr.DataTree.from_dict(
        {"/hst": xr.Dataset({"halpha": image}), "/muse": xr.Dataset({"nebula_mask": image})}
    )
    name, *lines = module._list_polygons(field, ["7: a", "9: b"])
    assert name == {"FK4": "icrs"}.get(system, system.lower())
    for region, region_id in zip(
        Regions.parse("\n".join([name, *lines]), format="ds9"), (7, 9), strict=True
    ):
        held = region.to_pixel(WCS(header)).to_mask(mode="center").to_image(mask.shape)
        np.testing.assert_array_equal(held, mask == region_id)


def test_export__refusals(field, tmp_path, capsys, small_run):
    assert "add --regions" in refuse(capsys, tmp_path, "export", small_run)
    assert "one {galaxy}.zarr" in refuse(capsys, tmp_path, "export", tmp_path, "--regions")
    nowhere = ("--out", tmp_path / "data" / "narrow_f658n_sci.fits" / "a.reg")
    line = refuse(capsys, tmp_path, "export", small_run, "--regions", "--quiet", *nowhere)
    assert "a place for a region file is needed" in line
    call("run", field, "--out", tmp_path / "out", "--quiet")
    capsys.readouterr()
    line = refuse(capsys, tmp_path, "export", tmp_path / "out", "--regions")
    assert "nebula_mask is needed to outline nebulae, found none: give it in [inputs]" in line
    with pytest.raises(InputError):
        export_regions(tmp_path / "out")


def test_export__says_what_it_wrote(small_run, tmp_path, capsys):
    out = tmp_path / "some.reg"
    assert call("export", small_run, "--regions", "--out", out, "--quiet") == 0
    text = capsys.readouterr().out
    assert re.fullmatch(rf"wrote {re.escape(str(out))} with \d+ nebulae in \d+ polygons\n", text)
    assert [path.name for path in tmp_path.iterdir()] == ["some.reg"]
