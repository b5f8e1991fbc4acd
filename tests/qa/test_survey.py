"""Many fields in two tables and on one page: what each store holds, made again if it changed."""

import re
import shutil
import urllib.parse
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from astropy import units as u
from astropy.table import Table

import phangs_xr
from phangs_xr.cli import main
from phangs_xr.engine.directory import hold_directory
from phangs_xr.errors import InputError
from phangs_xr.io.zarr import FieldStore, find_store
from phangs_xr.qa import check_field, survey_fields
from phangs_xr.qa.measure.summarize_fields import (
    FieldSummary,
    join_nebulae,
    name_fields,
    tabulate_fields,
)
from phangs_xr.qa.report.survey_page import write_survey_page
from tests.browsers import CHROMIUM, PATIENCE
from tests.configs import write_config
from tests.qa.test_browser import browser  # noqa: F401


@pytest.fixture(scope="module")
def places(small_run, joint_run, banded_run, tmp_path_factory):
    """Copies of finished runs of three recipes, one of them without a check."""
    base = tmp_path_factory.mktemp("fields")
    runs = {"barnes2023": small_run, "default": joint_run, "chandar2025": banded_run}
    return [shutil.copytree(run, base / name / "f555w_f814w") for name, run in runs.items()]


@pytest.fixture(scope="module")
def survey(places, tmp_path_factory):
    """A survey of them, and of one that is not there."""
    out = tmp_path_factory.mktemp("survey")
    return survey_fields([*places, out / "lost"], out)


def test_nebulae_are_those_of_the_fields(survey, places):
    whole = pd.read_parquet(survey.page.parent / "nebulae.parquet")
    assert whole["field"].unique().tolist() == [one.label for one in survey.summaries[:3]]
    for place in places:
        own = phangs_xr.open_store(place)["nebulae"].to_dataset()
        label = f"{place.parent.name}/{place.name}"
        rows = whole[whole["field"] == label]
        assert rows["region_ID"].tolist() == own["region_ID"].values.tolist()
        for name in (one for one in own.data_vars if str(one).startswith("flux_")):
            np.testing.assert_array_equal(rows[name], own[name])
    # What a recipe does not measure is unknown.
    plain = whole[whole["field"] == "barnes2023/f555w_f814w"]
    assert plain["flux_halpha_joint"].isna().all()


def test_tables_have_units_in_both_formats(survey):
    for ending, form in (("ecsv", "ascii.ecsv"), ("parquet", "parquet")):
        nebulae = Table.read(survey.page.parent / f"nebulae.{ending}", format=form)
        assert nebulae["flux_halpha_joint"].unit == u.Unit("10**-20 erg s-1 cm-2")
        assert nebulae["flux_halpha_joint_err"].unit == u.Unit("10**-20 erg s-1 cm-2")
        fields = Table.read(survey.page.parent / f"fields.{ending}", format=form)
        assert fields["shift"].unit == u.arcsec
        assert len(fields) == 4


def test_numbers_of_a_field_are_those_of_its_check(survey, places):
    fields = pd.read_parquet(survey.page.parent / "fields.parquet").set_index("field")
    quality = FieldStore(find_store(places[1])).read_attrs()["quality"]
    row = fields.loc["default/f555w_f814w"]
    assert row["median_ratio"] == quality["fluxes"]["halpha_joint"]["median_ratio"]
    assert row["shift"] == quality["shift"]["shift"]
    assert row["map"] == "halpha_joint"
    assert row["warnings"] == [one["severity"] for one in quality["findings"]].count("warning")
    assert quality["findings"][0]["sentence"] in row["findings"]


def test_field_that_is_not_there_says_so(survey):
    lost = survey.summaries[3]
    assert lost.state == "failed"
    assert "should hold one {galaxy}.zarr, found none" in lost.reason
    page = survey.page.read_text()
    assert "should hold one {galaxy}.zarr" in page
    assert "1 that could not be used" in page


def test_what_is_unchanged_is_not_made_again(places, tmp_path):
    read = []
    first = survey_fields(places, tmp_path, on_field=read.append)
    assert list(first.made) == read
    assert len(read) == 3
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert survey_fields(places, tmp_path).made == ()
    assert files == {path: path.stat().st_mtime_ns for path in files}
    check_field(places[0], report=False)
    store = FieldStore(find_store(places[0]))
    quality = store.read_attrs()["quality"]
    told = {"severity": "warning", "sentence": "Something is new.", "code": "new", "figure": ""}
    store.write_attrs(quality={**quality, "findings": [told]})
    again = survey_fields(places, tmp_path)
    assert again.made == ("barnes2023/f555w_f814w",)
    assert "Something is new." in again.page.read_text()


def test_survey_that_was_killed_is_completed(places, tmp_path):
    whole = survey_fields(places, tmp_path)
    page = whole.page.read_text()
    # As if it had ended before the page, and in the middle of a field.
    (tmp_path / "fields/list").write_text("[]")
    whole.page.write_text("half")
    kept = tmp_path / f"fields/{urllib.parse.quote('default/f555w_f814w', safe='')}.json"
    kept.write_text(kept.read_text()[:50])
    again = survey_fields(places, tmp_path)
    assert again.made == ("default/f555w_f814w",)
    assert again.page.read_text() == page


def test_field_that_is_taken_out_leaves_the_tables(places, tmp_path):
    survey_fields(places, tmp_path)
    less = survey_fields(places[:2], tmp_path)
    assert less.made == ()
    assert len(pd.read_parquet(tmp_path / "fields.parquet")) == 2
    assert "chandar2025" not in less.page.read_text()


def test_survey_checks_what_is_not_checked_and_writes_reports_if_asked(
    small_run, tmp_path, monkeypatch
):
    def check_quickly(location, runner, *, report):
        """As the real one, but for the figures, which take half a minute."""
        lines = check_field(location, runner, report=False)
        if report:
            (run / "qa/report.html").write_text("figures")
        return lines

    monkeypatch.setattr("phangs_xr.qa.survey.check_field", check_quickly)
    run = shutil.copytree(small_run, tmp_path / "galaxy/f555w")
    FieldStore(find_store(run)).write_attrs(quality=None)
    found = survey_fields([run], tmp_path / "out")
    assert found.summaries[0].state == "checked"
    assert not (run / "qa/report.html").exists()
    found = survey_fields([run], tmp_path / "out", report=True)
    assert found.made == ("galaxy/f555w",)
    link = re.search(r'<a href="([^"]+)">report</a>', found.page.read_text())[1]
    assert (found.page.parent / link).samefile(run / "qa/report.html")
    assert survey_fields([run], tmp_path / "out", report=True).made == ()


def test_products_that_change_are_checked_anew(small, small_run, tmp_path):
    """A run drops what was measured of the old images."""
    run = shutil.copytree(small_run, tmp_path / "galaxy/f555w")
    survey_fields([run], tmp_path / "out")
    before = FieldStore(find_store(run)).read_attrs()["quality"]
    assert before
    phangs_xr.run(small, run, force=["load"])
    assert FieldStore(find_store(run)).read_attrs()["quality"] is None
    assert survey_fields([run], tmp_path / "out").made == ("galaxy/f555w",)


def test_configuration_stands_for_its_run(small, tmp_path):
    archive = str(tmp_path / "survey.zarr")
    output = {"store": archive, "products": ["halpha", "musehalpha", "nebula_mask"], "fits": []}
    good = write_config(tmp_path / "good.toml", small, group="one/f555w", **output)
    bad = write_config(tmp_path / "bad.toml", small, group="two/f555w", **output)
    phangs_xr.run(good, tmp_path / "good")
    found = survey_fields([good, bad], tmp_path / "out")
    assert [(one.label, one.state) for one in found.summaries] == [
        ("one/f555w", "checked"),
        ("two/f555w", "failed"),
    ]
    again = survey_fields([archive, good], tmp_path / "out")
    assert [one.label for one in again.summaries] == ["one/f555w"]
    assert again.made == ()


def test_nothing_to_survey_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["survey", "nothing"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no field can be used" in said


def test_two_surveys_do_not_share_a_directory(places, tmp_path):
    with hold_directory(tmp_path, "another"), pytest.raises(InputError, match="at work here"):
        survey_fields(places, tmp_path)


def test_command_prints_what_it_found(places, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["survey", *map(str, places), "--out", str(tmp_path), "--quiet"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "3 fields, 3 made anew" in said
    assert str(tmp_path / "index.html") in said


def test_labels_are_unique():
    locations = [
        "survey.zarr/a/f555w",
        "/runs/a/f555w/ngc0628.zarr",
        "/more/a/f555w/ngc0628.zarr",
        "s3://bucket/x/b/f547m/ngc0628.zarr",
    ]
    assert list(name_fields(locations)) == ["a/f555w", "a/f555w (2)", "a/f555w (3)", "b/f547m"]
    assert list(name_fields(locations).values()) == locations


def make_rows(field, **columns):
    size = len(next(iter(columns.values())))
    named = {"field": ("nebula", np.full(size, field, dtype=object))}
    return xr.Dataset({**named, **{name: ("nebula", one) for name, one in columns.items()}})


def test_columns_of_all_fields_are_joined():
    one = make_rows("one", flux=np.array([1.0, 2.0]), number=np.array([1, 2]))
    two = make_rows("two", name=np.array(["a"]), number=np.array([3]))
    found = join_nebulae([one, xr.Dataset(), two])
    np.testing.assert_array_equal(found["flux"], [1, 2, np.nan])
    assert found["number"].values.tolist() == [1, 2, 3]
    assert found["name"].values.tolist() == ["", "", "a"]
    assert found["field"].values.tolist() == ["one", "one", "two"]


def test_units_that_differ_are_refused():
    one, two = (make_rows(name, flux=np.array([1.0])) for name in ("one", "two"))
    one["flux"].attrs["units"], two["flux"].attrs["units"] = "erg s-1 cm-2", "W m-2"
    with pytest.raises(InputError, match=r"'erg s-1 cm-2' in one and 'W m-2' in two"):
        join_nebulae([one, two])


def make_summaries(number):
    rng = np.random.default_rng(1)
    told = {"severity": "warning", "sentence": "Something & is <wrong>."}
    good = FieldSummary("x", "/x", "checked", galaxy="ngc", recipe="default", best="halpha_joint")
    made = []
    for index in range(number):
        one = replace(
            good, label=f"ngc{index}", numbers={"median_ratio": float(rng.normal(1, 0.1))}
        )
        made.append(replace(one, findings=[told] if index % 2 else []))
    made[3] = FieldSummary("ngc3", "/x", "failed", "it is lost")
    return made


def test_page_of_a_hundred_fields_is_small(tmp_path):
    summaries = make_summaries(100)
    # Pictures of noise do not compress.
    pictures = [np.random.default_rng(2).bytes(45_000)] * 100
    page = write_survey_page(tmp_path / "index.html", summaries, pictures)
    assert page.stat().st_size < 10e6
    assert "Something &amp; is &lt;wrong&gt;." in page.read_text()
    assert tabulate_fields(summaries).sizes["entry"] == 100


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}")
def test_page_sorts_filters_and_fits(browser, tmp_path):  # noqa: F811
    summaries = make_summaries(12)
    path = write_survey_page(tmp_path / "index.html", summaries, [b""] * 12)
    context = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    list_rows = "[...document.querySelectorAll('tbody tr:not([hidden]) b')].map((b) => b.innerText)"
    # As people count: ngc2 before ngc10.
    page.get_by_role("button", name="field").click()
    assert page.evaluate(list_rows) == [f"ngc{index}" for index in range(12)][::-1]
    page.get_by_role("button", name="median ratio").click()
    ratios = {one.label: one.numbers.get("median_ratio", np.inf) for one in summaries}
    assert page.evaluate(list_rows) == sorted(ratios, key=ratios.get)
    page.keyboard.press("Enter")
    descending = sorted(ratios, key=lambda name: -ratios[name] if ratios[name] < 9 else np.inf)
    assert page.evaluate(list_rows) == descending, "what is unknown stays last"
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("median ratio")
    page.locator("#filter").fill("lost")
    assert page.evaluate(list_rows) == ["ngc3"]
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#filter").fill("")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=tmp_path / "narrow.png")
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    context.close()
