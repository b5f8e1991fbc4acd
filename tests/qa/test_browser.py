"""The report in a browser: no error, no request, hover tells the nebula, selections are linked."""

import re
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from phangs_xr.io.zarr import FieldStore, find_store
from phangs_xr.qa.figures.sky_axes import OffsetPlane, place_on_sky
from phangs_xr.qa.measure.products import find_product
from phangs_xr.schema import PRODUCTS
from phangs_xr.sky.grid import get_grid
from tests.browsers import CHROMIUM, FLAGS, PATIENCE

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}"),
]

FIND = """
function* walk(one) {
  yield one;
  for (const child of one.child_views ?? []) yield* walk(child);
}
window.plots = () => {
  const roots = Object.values(Bokeh.index.roots ?? Bokeh.index);
  return roots.flatMap((root) => [...walk(root)]).filter((one) => one.model.type === 'Figure');
};
window.findPlot = (x, y) => plots().find((plot) => plot.model.renderers.some(
  (one) => one.glyph?.type === 'Scatter' && one.data_source.data.region_ID !== undefined
    && one.glyph.x.field === x && one.glyph.y.field === y));
window.findPoints = (plot) => plot.model.renderers.find(
  (one) => one.glyph?.type === 'Scatter' && one.data_source.data.region_ID !== undefined);
window.placePoints = (x, y) => {
  const plot = findPlot(x, y), points = findPoints(plot), data = points.data_source.data;
  const box = plot.canvas_view.el.getBoundingClientRect();
  const place = (scale, values, start) => Array.from(values).map(
    (value) => start + scale.compute(value));
  return {
    x: place(plot.frame.x_scale, data[x], box.x), y: place(plot.frame.y_scale, data[y], box.y),
    ids: Array.from(data.region_ID),
  };
};
window.listSelected = (x, y) =>
  Array.from(findPoints(findPlot(x, y)).data_source.selected.indices);
// Tooltips live in shadow trees: their text is that of the slots.
window.readTooltips = () => {
  const deep = (node) => [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes].map(
    (one) => one.nodeType === 3 ? one.data : one.tagName === 'STYLE' ? '' : deep(one)).join(' ');
  const find = (node) => [...(node.shadowRoot?.children ?? []), ...node.children].flatMap(
    (one) => /bk-Tooltip/i.test(one.className) ? [one] : find(one));
  return find(document.body).filter((one) => one.getClientRects().length).map(deep)
    .join(' ').replace(/\\s+/g, ' ').trim();
};
window.findBox = (x, y) => {
  const box = findPlot(x, y).canvas_view.el.getBoundingClientRect();
  return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height};
};
"""

FLUXES, SKY = ("muse", "anchored"), ("offset_x", "offset_y")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, report):
    """The page, what it said on the console, and what it asked for."""
    context = browser.new_context(viewport={"width": 1400, "height": 1200}, offline=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append((message.type, message.text)))
    page.on("pageerror", lambda error: said.append(("error", str(error))))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_function("window.Bokeh && Bokeh.documents.every((one) => one.is_idle)")
    page.add_script_tag(content=FIND)
    yield page, said, asked
    context.close()


def test_the_page_opens_without_error_and_without_network(opened, report, tmp_path):
    page, said, asked = opened
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert [text for kind, text in said if kind in ("error", "warning")] == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    # Two rows of maps, four linked panels, and the other figures, all with a size.
    sizes = page.evaluate("plots().map((one) => one.model.inner_width)")
    assert len(sizes) >= 17
    assert all(size > 50 for size in sizes)


def test_the_page_fits_a_telephone(browser, report, tmp_path):
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(report.as_uri())
    page.wait_for_function("window.Bokeh && Bokeh.documents.every((one) => one.is_idle)")
    page.screenshot(path=tmp_path / "narrow.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    first = page.locator(".finding").first.bounding_box()
    assert first["y"] + first["height"] < 844
    context.close()


def test_hovering_a_point_tells_its_nebula(opened, checked, tmp_path):
    page, *_ = opened
    points = page.evaluate("([x, y]) => placePoints(x, y)", FLUXES)
    index = points["x"].index(max(points["x"]))
    page.mouse.move(points["x"][index] - 30, points["y"][index])
    page.mouse.move(points["x"][index], points["y"][index], steps=5)
    page.wait_for_function("readTooltips().length > 0")
    text = page.evaluate("readTooltips()")
    page.screenshot(path=tmp_path / "hover.png")
    nebula = checked[1].isel(nebula=index)
    assert re.search(rf"\bID: *{float(nebula['region_ID']):g}\b", text)
    flux, muse = float(nebula["flux_anchored"]), float(nebula["flux_muse"])
    expected = [f"{float(nebula['ra']):.5f}°", f"{float(nebula['dec']):.5f}°"]
    # JavaScript writes 1e+5 where Python writes 1e+05.
    fluxes = [f"{value:.3e}".replace("e+0", "e+") for value in (flux, muse)]
    for part in (*expected, *fluxes, f"{flux / muse:.3f}"):
        assert part in text


def test_hovering_a_map_tells_where_it_is(opened, checked, tmp_path):
    page, *_ = opened
    box, (x, y), step = page.evaluate(
        """() => {
          const shows = (plot) => plot.model.renderers.some((one) => one.glyph?.type === 'Image');
          const plot = plots().find(shows);
          plot.canvas_view.el.scrollIntoView();
          const {x, y} = plot.canvas_view.el.getBoundingClientRect(), frame = plot.frame;
          const place = [0.3, 0.6].map((part, axis) => Math.round(
            axis ? frame.bbox.top + part * frame.bbox.height
                 : frame.bbox.left + part * frame.bbox.width));
          const offsets = [frame.x_scale.invert(place[0]), frame.y_scale.invert(place[1])];
          const step = Math.abs(frame.x_scale.invert(place[0] + 1) - offsets[0]);
          return [[x + place[0], y + place[1]], offsets, step];
        }"""
    )
    page.mouse.move(box[0] - 20, box[1])
    page.mouse.move(*box, steps=4)
    page.wait_for_function("readTooltips().includes('RA, Dec')")
    text = page.evaluate("readTooltips()")
    page.screenshot(path=tmp_path / "place.png")
    told = re.search(r"RA, Dec: *(\S+ \S+)", text)[1].translate(str.maketrans("−°′″", "-dms"))
    grid = get_grid(find_product(checked[0], "halpha"))
    rows, columns = np.indices(grid.shape)
    xs, ys = OffsetPlane(grid).place(rows, columns)
    nearest = np.unravel_index(np.argmin(np.hypot(xs - x, ys - y)), grid.shape)
    expected = SkyCoord(*grid.to_sky(*nearest), unit="deg")
    # The mouse lies on whole pixels of the screen, of `step` arcsec.
    assert SkyCoord(told).separation(expected).arcsec < step


def test_points_chosen_by_a_box_are_chosen_on_the_sky(opened, tmp_path):
    page, *_ = opened
    assert page.evaluate("([x, y]) => listSelected(x, y)", SKY) == []
    sky = page.evaluate("([x, y]) => findBox(x, y)", SKY)
    before = page.screenshot(clip=sky, full_page=True)
    points = page.evaluate("([x, y]) => placePoints(x, y)", FLUXES)
    places = sorted(zip(points["x"], points["y"], range(len(points["x"])), strict=True))
    middle = places[len(places) // 2 - 5 : len(places) // 2 + 5]
    left, right = middle[0][0] - 3, middle[-1][0] + 3
    top, bottom = min(one[1] for one in middle) - 3, max(one[1] for one in middle) + 3
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(right, bottom, steps=10)
    page.mouse.up()
    page.wait_for_function("([x, y]) => listSelected(x, y).length > 0", arg=SKY)
    # And it is seen: the others fade, with one of the next frames.
    while page.screenshot(clip=sky, full_page=True) == before:
        page.wait_for_timeout(100)
    page.screenshot(path=tmp_path / "selected.png")
    chosen = page.evaluate("([x, y]) => listSelected(x, y)", SKY)
    inside = {index for x, y, index in places if left <= x <= right and top <= y <= bottom}
    assert set(chosen) == inside
    assert 10 <= len(chosen) < len(places)


@pytest.fixture(scope="module")
def served(finished, checked, tmp_path_factory):
    """The address of the app, for a finished run whose nebulae are measured."""
    place = tmp_path_factory.mktemp("served")
    directory = place / "run"
    shutil.copytree(finished, directory)
    store = FieldStore(find_store(directory))
    store.write_table(checked[1])
    finding = {"severity": "warning", "sentence": "Nothing can be trusted."}
    store.write_attrs(quality={"findings": [finding]})
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "phangs_xr", "explore", directory, "--port", port, "--no-show"]
    log = place / "log"
    with log.open("w") as output:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output)
    try:
        yield f"http://localhost:{port}/", log, process
    finally:
        process.terminate()
        process.wait()


def wait_for(browser, address, process, width=1300):
    """Open a page as soon as the process that is to serve it does."""
    page = browser.new_page(viewport={"width": width, "height": 1500})
    page.set_default_timeout(PATIENCE)
    while process.poll() is None:
        try:
            page.goto(address)
        except Exception:
            page.wait_for_timeout(500)
        else:
            return page
    raise RuntimeError(f"the app ended with {process.returncode}")


def test_the_app_shows_the_nebula_that_is_tapped(browser, served, checked, tmp_path):
    address, log, process = served
    page = wait_for(browser, address, process)
    page.wait_for_function("window.Bokeh && Bokeh.documents.some((one) => one.is_idle)")
    page.add_script_tag(content=FIND)
    # The first plot is the map.
    page.wait_for_function("plots().length >= 3")
    plane = OffsetPlane(get_grid(find_product(checked[0], "halpha")))
    nebula = checked[1].isel(nebula=0)
    x, y = place_on_sky(plane, float(nebula["ra"]), float(nebula["dec"]))
    place = page.evaluate(
        """([x, y]) => {
          const plot = plots()[0], box = plot.canvas_view.el.getBoundingClientRect();
          return [box.x + plot.frame.x_scale.compute(x), box.y + plot.frame.y_scale.compute(y)];
        }""",
        [float(x), float(y)],
    )
    page.mouse.click(*place)
    identity = f"{float(nebula['region_ID']):g}"
    page.get_by_text(f"ID {identity}, ratio").or_(
        page.get_by_role("rowheader", name="flux_anchored [")
    ).first.wait_for()
    page.screenshot(path=tmp_path / "app.png", full_page=True)
    assert page.get_by_label("Nebulae").input_value() == identity
    assert page.evaluate("document.documentElement.scrollWidth") <= 1300
    page.get_by_text(": 1 finding").wait_for()
    page.get_by_text("Nothing can be trusted.").wait_for()
    page.close()
    narrow = wait_for(browser, address, process, width=390)
    narrow.add_script_tag(content=FIND)
    narrow.wait_for_function("window.plots && plots().length >= 3")
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
    narrow.close()
    assert "Traceback" not in log.read_text()


def test_two_maps_lie_side_by_side_or_blink(browser, served):
    address, log, process = served
    page = wait_for(browser, address, process)
    page.add_script_tag(content=FIND)
    page.wait_for_function("window.plots && plots().length >= 3")
    title = "plots()[0].model.title.text"
    assert "10⁻²⁰ erg s⁻¹ cm⁻²" in page.evaluate(title)
    page.get_by_label("Second map").select_option(label=f"{PRODUCTS['halpha'].long_name} (halpha)")
    page.wait_for_function("plots().length >= 4")
    titles = page.evaluate("plots().slice(0, 2).map((one) => one.model.title.text)")
    assert [one.split("\n")[1].split(":")[0] for one in titles] == ["anchored", "halpha"]
    assert page.evaluate("plots()[0].model.x_range.id == plots()[1].model.x_range.id")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1300
    page.get_by_text("blinking").click()
    page.wait_for_function("plots().length == 3")
    for name in ("halpha:", "anchored:", "halpha:"):
        page.wait_for_function(f"{title}.includes('\\n{name}')")
    page.close()
    assert "Traceback" not in log.read_text()
