"""Runs compared: known ratios are found, what cannot be compared is said, the page blinks."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr
from astropy.table import Table

import phangs_xr
from phangs_xr.cli import main
from phangs_xr.engine.runner import Runner
from phangs_xr.engine.tiles import Measurement, run_reductions
from phangs_xr.errors import InputError
from phangs_xr.io.zarr import FieldStore, find_store
from phangs_xr.qa import compare_runs
from phangs_xr.qa.measure.compare_runs import (
    ComparePixels,
    compare_with,
    list_differences,
    list_sentences,
    open_runs,
    tabulate_comparison,
)
from tests.browsers import CHROMIUM, PATIENCE
from tests.qa.test_browser import FIND, browser  # noqa: F401
from tests.qa.test_figures import make_image


def change(tree, factor=1.0, offset=0.0, attrs=None, product="halpha_joint"):
    """The same field with another map, and nebulae that go with it."""
    nodes = {node.path: node.to_dataset() for node in tree.subtree}
    image = nodes["/hst"][product]
    nodes["/hst"] = nodes["/hst"].assign({product: image.copy(data=image.values * factor + offset)})
    rows = nodes["/nebulae"]
    nodes["/nebulae"] = rows.assign({f"flux_{product}": rows[f"flux_{product}"] * factor})
    nodes["/"] = nodes["/"].assign_attrs(attrs or {})
    return xr.DataTree.from_dict(nodes)


@pytest.fixture(scope="module")
def tree(joint_run):
    return phangs_xr.open_store(joint_run, chunked=False)


def test_known_ratio_and_line_are_found(tree):
    reference, other = open_runs({"one": tree, "two": change(tree, 1.2, 3.0)})
    found = compare_with(reference, other)
    assert found.numbers["median_ratio"] == pytest.approx(1.2)
    assert found.numbers["scatter"] == pytest.approx(0, abs=1e-6)
    assert found.pixels.slope == pytest.approx(1.2, rel=1e-6)
    assert found.pixels.offset == pytest.approx(3.0, rel=1e-3)
    assert found.pixels.correlation == pytest.approx(1.0)
    assert found.pixels.n == np.isfinite(reference.image.values).sum()
    whole = found.nebulae["whole"].values
    flux, error = (tree["nebulae"][f"flux_halpha_joint{end}"].values for end in ("", "_err"))
    pull = np.median((0.2 * flux / error)[whole])
    assert found.numbers["pull_median"] == pytest.approx(pull)
    first, second = list_sentences(reference, found)
    assert "two: nebula fluxes of halpha_joint are 1.200" in first
    assert "halpha_joint = 1.200 × halpha_joint +3" in second


@pytest.mark.parametrize("chunk", [100, 300, 1000])
def test_pixels_are_compared_as_numpy_does_whatever_the_tiles(chunk):
    rng = np.random.default_rng(1)
    x = rng.normal(1e4, 3, (250, 310)).astype(np.float32)
    y = (0.7 * x + rng.normal(0, 1, x.shape)).astype(np.float32)
    x[:20], y[:, 40:50] = np.nan, np.nan
    images = (make_image(x), make_image(y))
    measurement = Measurement(ComparePixels(), images)
    found = run_reductions({"one": measurement}, Runner(chunk=chunk))["one"]
    known = np.isfinite(x) & np.isfinite(y)
    a, b = x[known].astype(float), y[known].astype(float)
    slope, offset = np.polyfit(a - 1e4, b, 1)
    assert found.n == known.sum()
    assert found.slope == pytest.approx(slope, rel=1e-9)
    assert found.offset == pytest.approx(offset - 1e4 * slope, rel=1e-6)
    assert found.correlation == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-9)
    assert found.counts.sum() == known.sum()


def test_images_without_common_pixels_have_no_line():
    x, y = np.full((2, 60, 70), np.nan, np.float32)
    x[:30], y[30:] = 1, 1
    images = (make_image(x), make_image(y))
    found = run_reductions({"one": Measurement(ComparePixels(), images)}, Runner())["one"]
    assert found.n == 0
    assert np.isnan(found.slope)


def test_other_grids_are_compared_by_nebulae_alone(tree):
    cut = tree.copy()
    cut["hst"] = tree["hst"].to_dataset().isel(y=slice(10, None))
    reference, other = open_runs({"one": tree, "two": cut})
    found = compare_with(reference, other)
    assert found.pixels is None
    assert any(note.startswith("No pixels: ") for note in found.notes)
    assert found.numbers["median_ratio"] == 1


def test_masks_of_other_versions_are_not_mixed(tree):
    moved = tree.copy()
    rows = tree["nebulae"].to_dataset()
    moved["nebulae"] = (
        rows.assign_coords(ra=rows["ra"] + 5 / 3600)
        if "ra" in rows.coords
        else (rows.assign(ra=rows["ra"] + 5 / 3600))
    )
    reference, other = open_runs({"one": tree, "two": moved})
    found = compare_with(reference, other)
    assert any("apart, the masks are others" in note for note in found.notes)
    assert found.numbers == {}


def test_differences_are_those_of_options_and_inputs(tree):
    records = json.loads(json.dumps(tree.attrs["records"]))
    records["match_halpha"]["options"]["hst_fwhm"] = 0.5
    inputs = json.loads(json.dumps(tree.attrs["inputs"]))
    inputs["narrow"]["sha256"] = "0" * 64
    other = change(tree, attrs={"records": records, "inputs": inputs})
    runs = open_runs({"one": tree, "two": other})
    rows = {row[0]: row[1:] for row in list_differences(runs)}
    assert set(rows) == {"match_halpha hst_fwhm", "input narrow"}
    assert rows["match_halpha hst_fwhm"][1] == "0.5"
    assert list_differences(open_runs({"one": tree, "two": tree})) == []


def test_table_holds_the_fluxes_of_all(tree):
    reference, other = open_runs({"one": tree, "two": change(tree, 2.0)})
    table = tabulate_comparison(reference, [compare_with(reference, other)])
    one, two = (table[f"flux_halpha_joint {name}"].values for name in ("one", "two"))
    np.testing.assert_allclose(two, 2 * one)
    np.testing.assert_array_equal(table["region_ID"], tree["nebulae"]["region_ID"])


def test_what_cannot_be_compared_is_refused(tree):
    with pytest.raises(InputError, match="two runs or more are needed"):
        open_runs({"one": tree})
    with pytest.raises(InputError, match="found ngc0628 in one and ngc1300 in two"):
        open_runs({"one": tree, "two": change(tree, attrs={"galaxy": "ngc1300"})})
    with pytest.raises(InputError, match=r"one: the map anchored is needed.*give --map"):
        open_runs({"one": tree, "two": tree}, product="anchored")


@pytest.fixture(scope="module")
def page(joint_run, tmp_path_factory):
    """Two runs compared by the command, the second 1.5 times as bright."""
    base = tmp_path_factory.mktemp("compare")
    places = [shutil.copytree(joint_run, base / name / "f555w_f814w") for name in ("one", "two")]
    store = FieldStore(find_store(places[1]))
    tree = phangs_xr.open_store(places[1], chunked=False)
    rows = tree["nebulae"].to_dataset().load()
    store.write_table(rows.assign(flux_halpha_joint=1.5 * rows["flux_halpha_joint"]))
    out = base / "compared"
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, places), "--out", str(out), "--quiet"])
    assert ended.value.code == 0
    return out / "compare.html"


def test_files_hold_what_was_found(page):
    numbers = json.loads((page.parent / "compare.json").read_text())
    assert numbers["reference"] == "one/f555w_f814w"
    found = numbers["runs"]["two/f555w_f814w"]
    assert found["nebulae"]["median_ratio"] == pytest.approx(1.5)
    assert found["pixels"]["slope"] == pytest.approx(1)
    table = Table.read(page.parent / "compare_nebulae.ecsv")
    assert str(table["flux_halpha_joint one/f555w_f814w"].unit)
    np.testing.assert_allclose(table["ratio two/f555w_f814w"], 1.5)


def test_three_runs_are_compared_with_the_first(joint_run, page, tmp_path):
    runs = [page.parent.parent / name / "f555w_f814w" for name in ("two", "one")]
    lines = compare_runs([*runs, joint_run], tmp_path, product="halpha_hst")
    assert sum("By least squares" in line for line in lines) == 2
    assert (tmp_path / "compare.html").exists()


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}")
def test_page_blinks_and_fits(page, browser, tmp_path):  # noqa: F811
    context = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True)
    context.set_default_timeout(PATIENCE)
    view = context.new_page()
    said, asked = [], []
    view.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    view.on("pageerror", lambda error: said.append(str(error)))
    view.on("request", lambda request: asked.append(request.url))
    view.goto(page.as_uri())
    view.wait_for_function("window.Bokeh && Bokeh.documents.every((one) => one.is_idle)")
    view.add_script_tag(content=FIND)
    assert view.evaluate("document.documentElement.scrollWidth") <= 1400
    shown = "[0, 1].map((n) => find(n).visible)"
    assert view.evaluate(shown) == [True, False]
    view.get_by_role("button", name="two/f555w_f814w").click()
    assert view.evaluate(shown) == [False, True]
    view.get_by_role("button", name="blink").click()
    view.wait_for_function(f"{shown}[0]")
    view.wait_for_function(f"{shown}[1]")
    view.get_by_role("button", name="one/f555w_f814w").click()
    view.wait_for_timeout(1500)
    assert view.evaluate(shown) == [True, False], "a choice ends the blinking"
    box = view.evaluate(
        """() => {
          const {x, y, width, height} = plots()[0].canvas_view.el.getBoundingClientRect();
          return [x + width / 2, y + height / 3];
        }"""
    )
    view.mouse.move(box[0] - 20, box[1])
    view.mouse.move(*box, steps=4)
    view.wait_for_function("readTooltips().includes('RA, Dec')")
    # A drag over the left half of the ratios selects those nebulae, on the sky too.
    names = ["reference", "ratio"]
    area = view.evaluate("([x, y]) => findBox(x, y)", names)
    view.evaluate("([x, y]) => findPlot(x, y).canvas_view.el.scrollIntoView()", names)
    box = view.evaluate(
        """([x, y]) => {
          const plot = findPlot(x, y), {left, top, width, height} = plot.frame.bbox;
          const at = plot.canvas_view.el.getBoundingClientRect();
          const [x0, y0] = [at.x + left, at.y + top];
          return [x0 + 2, y0 + 2, x0 + width / 2, y0 + height - 2];
        }""",
        names,
    )
    assert area["width"] > 100
    view.mouse.move(*box[:2])
    view.mouse.down()
    view.mouse.move(*box[2:], steps=10)
    view.mouse.up()
    view.wait_for_function("listSelected('offset_x', 'offset_y').length > 0")
    view.set_viewport_size({"width": 390, "height": 844})
    assert view.evaluate("document.documentElement.scrollWidth") <= 390
    view.screenshot(path=tmp_path / "narrow.png")
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    context.close()
