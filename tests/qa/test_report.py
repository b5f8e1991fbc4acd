"""The report is one page that needs no network and hides nothing; figures lie beside it."""

import re
from html.parser import HTMLParser

import pytest
import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.qa import figures
from phangs_xr.qa.report import write_report
from phangs_xr.qa.report.draw_on_paper import write_figure

FILES = (
    "cosmic_rays",
    "fluxes",
    "gallery",
    "histogram2d",
    "maps",
    "pixel_histograms",
    "ratio_by_flux",
    "ratio_on_sky",
)

ATTACK = "<script>alert('x')</script>"


class Page(HTMLParser):
    """What a page holds: its addresses, its ids, its cells and its other text."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.ids, self.cells, self.tags, self.texts = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_data(self, data):
        kind = self.tags[-1] if self.tags else ""
        if kind in ("td", "th"):
            self.cells.append(data)
        elif kind not in ("script", "style"):
            self.texts.append(data)


@pytest.fixture(scope="module")
def page(report):
    return Page(report.read_text(encoding="utf-8"))


def test_every_figure_lies_beside_the_page(report):
    for name in FILES:
        assert (report.parent / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (report.parent / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert {path.suffix for path in report.parent.iterdir()} == {".html", ".png", ".pdf"}


def test_the_page_is_small_enough_to_mail(report):
    assert report.stat().st_size < 10_000_000


def test_bokeh_warns_of_nothing(report, bokeh_warnings):
    assert report.exists()
    assert not bokeh_warnings


def test_the_page_asks_no_server(page):
    assert page.addresses
    assert all(address.startswith(("#", "data:")) for address in page.addresses)


def test_the_page_has_all_sections(page):
    sections = {"fluxes", "maps", "gallery", "histogram2d", "pixel_histograms", "cosmic_rays"}
    assert sections | {"provenance"} <= set(page.ids)
    assert not any("Not shown" in text for text in page.texts)


def test_the_page_tells_the_numbers(page, checked):
    anchored = checked[2]["anchored"]
    ratio, error = anchored["median_ratio"], anchored["median_ratio_error"]
    assert f"{ratio:.3f} ± {error:.3f}" in page.cells
    assert f"{100 * anchored['within_10_percent']:.0f} %" in page.cells
    assert any(f"{checked[3]['shift']:.3f}″" in text for text in page.texts)


def test_the_page_tells_how_it_was_made(page, checked):
    attrs = checked[0].attrs
    assert set(attrs["records"]) <= set(page.cells)
    assert {one["path"] for one in attrs["inputs"].values()} <= set(page.cells)
    assert set(attrs["versions"]) <= set(page.cells)
    assert any("hst_fwhm = 0.1" in cell for cell in page.cells)


def test_a_figure_is_the_same_bytes_every_time(checked, tmp_path):
    for name in ("one", "other"):
        write_figure(figures.plot_histogram2d(checked[0]), tmp_path / name)
    for suffix in (".png", ".pdf"):
        one, other = (tmp_path / f"{name}{suffix}" for name in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


@pytest.fixture(scope="module")
def hst_only(checked):
    """A field without MUSE, whose attributes hold markup."""
    field, *_ = checked
    tree = {"/hst": field["hst"].to_dataset()[["halpha", "halpha_bgsub"]]}
    attrs = {
        "galaxy": ATTACK,
        "recipe": ATTACK,
        "versions": {ATTACK: ATTACK},
        "inputs": {ATTACK: {"path": ATTACK, "sha256": ATTACK}},
        "records": {ATTACK: {"options": {ATTACK: ATTACK}, "finished": ATTACK}},
    }
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=attrs), **tree})


def test_a_field_without_muse_gets_what_can_be_shown(hst_only, tmp_path):
    page = Page(write_report(hst_only, None, {}, None, tmp_path).read_text(encoding="utf-8"))
    files = {path.name for path in tmp_path.iterdir()}
    names = ("maps", "pixel_histograms")
    assert files == {"report.html", *(f"{one}.{kind}" for one in names for kind in ("png", "pdf"))}
    assert any("no MUSE map" in text for text in page.texts)
    assert sum("Not shown" in text for text in page.texts) == 4


def test_text_of_files_is_escaped(hst_only, tmp_path):
    text = write_report(hst_only, None, {}, None, tmp_path).read_text(encoding="utf-8")
    assert ATTACK not in text
    assert len(re.findall(r"&lt;script&gt;alert", text)) >= 9


def test_a_page_replaces_an_earlier_one_whole(hst_only, tmp_path):
    (tmp_path / "report.html").write_text("old")
    page = write_report(hst_only, None, {}, None, tmp_path / "")
    assert page.read_text(encoding="utf-8").endswith("</html>\n")
    assert not list(tmp_path.glob("*.partial"))


def test_a_report_needs_the_halpha_map(tmp_path):
    empty = xr.DataTree.from_dict({"/": xr.Dataset()})
    with pytest.raises(InputError, match=r"halpha \(H-alpha flux\) is needed"):
        write_report(empty, None, {}, None, tmp_path / "qa")
    assert not (tmp_path / "qa").exists()


def test_the_page_begins_with_what_to_use(page):
    assert any("anchored keeps MUSE's fluxes" in text for text in page.texts)
