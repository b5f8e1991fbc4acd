"""The app reads what is looked at, and knows which nebula is meant."""

import sys

import numpy as np
import pytest
import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.qa import app_views as reading
from phangs_xr.qa.app import build_app, serve_app
from phangs_xr.qa.app_views import Views, find_window, read_ids, write_ids
from phangs_xr.qa.measure.products import find_product
from phangs_xr.sky.grid import get_grid


@pytest.fixture
def views(checked):
    field, nebulae, *_ = checked
    return Views(field, nebulae)


def test_a_window_is_read_at_full_resolution(views):
    image = find_product(views.field, "halpha")
    rows, columns = slice(200, 260), slice(300, 400)
    x, y = views.plane.place([rows.start, rows.stop - 1], [columns.start, columns.stop - 1])
    found = views.read("halpha", tuple(x), tuple(y))
    assert get_grid(found) == get_grid(image.isel(y=rows, x=columns))
    np.testing.assert_array_equal(found, image.isel(y=rows, x=columns))


def test_a_large_window_is_reduced(views, monkeypatch):
    monkeypatch.setattr(reading, "SCREEN", 50)
    monkeypatch.setattr(reading, "READ", 100)
    ny, nx = find_product(views.field, "halpha").shape
    x, y = views.plane.place([0, ny - 1], [0, nx - 1])
    found = views.read("halpha", tuple(x), tuple(y))
    assert max(found.shape) <= 50
    # It lies where the whole image does.
    whole = get_grid(find_product(views.field, "halpha")).to_sky((ny - 1) / 2, (nx - 1) / 2)
    middle = get_grid(found)
    here = middle.to_sky((middle.shape[0] - 1) / 2, (middle.shape[1] - 1) / 2)
    np.testing.assert_allclose(here, whole, rtol=0, atol=middle.dy * 0.04 / 3600)


@pytest.mark.parametrize("place", [-1e4, 1e4])
def test_a_window_outside_the_image_is_its_edge(views, place):
    rows, columns = find_window(views.plane, (place, place + 1), (place, place + 1))
    assert rows.stop - rows.start == columns.stop - columns.start == 1
    assert views.read("halpha", (place, place + 1), (place, place + 1)).shape == (1, 1)


def test_every_stretch_keeps_the_ends_of_the_range():
    for stretch in reading.STRETCHES.values():
        np.testing.assert_allclose(stretch(np.array([0.0, 1.0])), [0.0, 1.0], atol=1e-12)
        assert np.all(np.diff(stretch(np.linspace(0, 1, 50))) > 0)


def test_ids_are_read_and_written(checked):
    nebulae = checked[1]
    ids = nebulae["region_ID"].values
    text = write_ids([0, 3], nebulae)
    assert text == f"{ids[0]:g}, {ids[3]:g}"
    assert read_ids(text, nebulae) == [0, 3]
    assert read_ids(f"{ids[3]:g}, nonsense, 999999,", nebulae) == [3]
    assert read_ids("1", xr.Dataset()) == []


def test_a_tap_means_the_nebula_under_it(views):
    x, y = views.places
    assert views.find_nebula(x[4], y[4]) == write_ids([4], views.nebulae)
    assert views.find_nebula(x[4] + 1000, y[4]) == ""
    assert views.find_nebula(None, None) == ""


def test_the_map_marks_the_chosen_nebulae(views):
    overlay = views.draw("anchored", "linear", write_ids([2, 5], views.nebulae))
    marks = overlay.values()[-1]
    np.testing.assert_allclose(marks.dimension_values(0), views.places[0][[2, 5]])
    np.testing.assert_allclose(marks.dimension_values(1), views.places[1][[2, 5]])
    assert "H-alpha flux anchored to MUSE by the ratio" in str(
        overlay.opts.get("plot", backend="bokeh").kwargs["title"]
    )


def test_a_field_without_nebulae_has_its_map(checked):
    field = xr.DataTree.from_dict({"/hst": checked[0]["hst"].to_dataset()[["halpha"]]})
    pn = pytest.importorskip("panel")
    shown = build_app(field)
    notes = [pane.object for pane in shown.select(pn.pane.Str)]
    assert any(str(note).startswith("No nebulae: nebulae with flux_muse") for note in notes)


def test_without_panel_it_says_how_to_install_it(checked, monkeypatch):
    monkeypatch.setitem(sys.modules, "panel", None)
    with pytest.raises(InputError, match=r"pip install 'phangs_xr\[explore\]'"):
        serve_app(checked[0])


def test_a_field_without_maps_is_refused():
    with pytest.raises(InputError, match="halpha"):
        serve_app(xr.DataTree.from_dict({"/": xr.Dataset()}))


def test_findings_of_the_store_are_told(checked):
    pn = pytest.importorskip("panel")
    field = checked[0].copy()
    assert "run phangs-xr qa" in build_app(field).select(pn.pane.HTML)[0].object
    found = [
        {"severity": "problem", "sentence": "All <b>wrong</b>."},
        {"severity": "note", "sentence": "Use nothing."},
    ]
    field.attrs["quality"] = {"findings": found}
    told = build_app(field).select(pn.pane.HTML)[0].object
    assert ": 1 finding<" in told
    assert "All &lt;b&gt;wrong&lt;/b&gt;." in told
    field.attrs["quality"] = {"findings": found[1:]}
    assert "nothing wrong was found" in build_app(field).select(pn.pane.HTML)[0].object
