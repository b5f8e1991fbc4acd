"""Figures show what the data hold, where it lies; images are reduced without reading them whole."""

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes import WCSAxes
from bokeh.document import Document
from xarray.backends import BackendArray
from xarray.core import indexing

from phangs_xr.drawing.average_blocks import average_blocks, choose_factor
from phangs_xr.drawing.format_numbers import format_number, format_tick
from phangs_xr.drawing.stretch import Stretch, choose_stretch
from phangs_xr.engine.runner import Runner
from phangs_xr.engine.tiles import Measurement, run_reductions
from phangs_xr.errors import InputError
from phangs_xr.qa import figures
from phangs_xr.qa.figures.cosmic_rays import choose_crowded_window
from phangs_xr.qa.figures.gallery import rank_nebulae
from phangs_xr.qa.figures.nebula_table import classify_nebulae, tabulate_nebulae
from phangs_xr.qa.figures.sky_axes import OffsetPlane, SkyPlane, place_on_sky
from phangs_xr.qa.figures.style import choose_ratio_limit, tick_ratios
from phangs_xr.qa.measure.noise import fit_noise
from phangs_xr.qa.measure.overviews import (
    PixelHistogram,
    ReduceToOverview,
    average_image,
    reduce_field,
    reduce_image,
)
from phangs_xr.qa.measure.products import find_product
from phangs_xr.qa.measure.trace_outlines import trace_nebula, trace_outlines
from phangs_xr.qa.report.draw_on_paper import render_figure
from phangs_xr.schema import FLUX
from phangs_xr.sky.grid import Grid, get_grid
from phangs_xr.sky.wcs import format_wcs

FIGURES = {
    "plot_fluxes": lambda field, nebulae: figures.plot_fluxes(field, nebulae),
    "plot_linked": lambda field, nebulae: figures.plot_linked(field, nebulae),
    "plot_ratio_by_flux": lambda field, nebulae: figures.plot_ratio_by_flux(field, nebulae),
    "plot_ratio_on_sky": lambda field, nebulae: figures.plot_ratio_on_sky(field, nebulae),
    "plot_maps": lambda field, nebulae: figures.plot_maps(field, nebulae),
    "plot_histogram2d": lambda field, nebulae: figures.plot_histogram2d(field),
    "plot_pixel_histograms": lambda field, nebulae: figures.plot_pixel_histograms(field),
    "plot_cosmic_rays": lambda field, nebulae: figures.plot_cosmic_rays(field),
    "plot_gallery": lambda field, nebulae: figures.plot_gallery(field, nebulae),
}


@pytest.fixture(autouse=True)
def hooks_apply(caplog):
    """HoloViews only warns when a hook fails."""
    yield
    assert not [one.getMessage() for one in caplog.records if one.name.startswith("param")]


def make_wcs(rotation: float = 0.0, scale: float = 0.04) -> str:
    turn = np.deg2rad(rotation)
    cosine, sine, pixel = np.cos(turn), np.sin(turn), scale / 3600
    header = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 24.0, "CRVAL2": 15.0,
        "CRPIX1": 50.5, "CRPIX2": 40.5, "CUNIT1": "deg", "CUNIT2": "deg", "RADESYS": "ICRS",
        "CD1_1": -pixel * cosine, "CD1_2": pixel * sine,
        "CD2_1": pixel * sine, "CD2_2": pixel * cosine,
    }  # fmt: skip
    from astropy.wcs import WCS

    return format_wcs(WCS(header))


def make_image(values, rotation: float = 0.0, scale: float = 0.04, **attrs) -> xr.DataArray:
    values = np.asarray(values)
    grid = Grid(make_wcs(rotation, scale), 0, 0, 1, 1, values.shape)
    return xr.DataArray(values, coords=grid.coords(), dims=("y", "x"), attrs=attrs)


def average_plainly(image, factor):
    """The mean of the finite pixels of each block, block by block."""
    rows, columns = (-(-size // factor) for size in image.shape)
    means = np.full((rows, columns), np.nan)
    for row in range(rows):
        for column in range(columns):
            block = image[row * factor :, column * factor :][:factor, :factor].astype(float)
            if np.isfinite(block).any():
                means[row, column] = np.nanmean(np.where(np.isfinite(block), block, np.nan))
    return means


class CountingArray(BackendArray):
    """An image that remembers how many pixels were read at a time, and in all."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.reads = values, values.shape, values.dtype, []

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key):
        part = self.values[key]
        self.reads.append(part.size)
        return part


@pytest.mark.parametrize("factor", [1, 3, 7, 50])
def test_blocks_are_averaged_over_their_finite_pixels(factor):
    rng = np.random.default_rng(1)
    image = rng.normal(5, 2, (47, 61)).astype(np.float32)
    image[rng.random(image.shape) < 0.3] = np.nan
    image[:10, :10] = np.nan
    found = average_blocks(image, factor)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, average_plainly(image, factor), rtol=1e-5)


@pytest.mark.parametrize("chunk", [21, 30, 100])
def test_an_image_is_averaged_alike_tile_by_tile(chunk):
    values = np.random.default_rng(2).normal(size=(83, 95)).astype(np.float32)
    values[:30, 40:] = np.nan
    image = make_image(values)
    found = average_image(image, Runner(chunk=chunk), side=20)
    np.testing.assert_allclose(found.values, average_plainly(values, 5), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.values, reduce_image(image, 20).values)


def test_a_large_image_is_read_tile_by_tile_and_once():
    pixels = CountingArray(np.ones((700, 900), dtype=np.float32))
    lazy = xr.Variable(("y", "x"), indexing.LazilyIndexedArray(pixels))
    image = xr.DataArray(lazy, coords=Grid(make_wcs(), 0, 0, 1, 1, pixels.shape).coords())
    average_image(image, Runner(chunk=200), side=90)
    assert max(pixels.reads) <= 200 * 200
    assert sum(pixels.reads) == pixels.values.size


def test_reduced_pixels_keep_their_place_on_the_sky():
    image = make_image(np.zeros((80, 100), dtype=np.float32))
    small = reduce_image(image, 10)
    # The middle of the first block of 10 x 10 pixels is between its fifth and sixth.
    expected = get_grid(image).to_sky(4.5, 4.5)
    np.testing.assert_allclose(get_grid(small).to_sky(0, 0), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 1), (320, 321), (1999, 700), (7400, 7400), (14000, 10000)])
def test_reduced_images_are_small_enough_and_blocks_do_not_straddle_chunks(shape):
    factor = choose_factor(shape, 320, 2000)
    assert max(shape) / factor <= 320
    assert max(shape) <= 2000 or 2000 % factor == 0


def count_pixels(values) -> PixelHistogram:
    field = xr.DataTree.from_dict(
        {"/hst": xr.Dataset({"halpha": make_image(values.astype(np.float32), units=FLUX)})}
    )
    return reduce_field(field).histograms["halpha"]


def test_pixel_histograms_count_as_numpy_does():
    values = np.random.default_rng(3).normal(-2, 5, (400, 500))
    values[:50] = np.nan
    values[60, 60] = np.inf
    histogram = count_pixels(values)
    finite = values[np.isfinite(values)]
    assert histogram.size == finite.size
    levels = np.array([0.01, 0.16, 0.5, 0.84, 0.99])
    np.testing.assert_allclose(
        histogram.find_quantile(levels), np.quantile(finite, levels), rtol=0.01, atol=0.01
    )
    edges = np.linspace(-20, 20, 21)
    expected, _ = np.histogram(finite, edges)
    np.testing.assert_allclose(histogram.rebin(edges), expected, rtol=0.02, atol=40)


def test_large_images_are_sampled_whatever_the_tiles():
    values = np.arange(90 * 110, dtype=np.float32).reshape(90, 110)
    image = make_image(values)
    measurement = Measurement(ReduceToOverview(factor=5, strides=(4,)), (image,))
    for chunk in (15, 40, 200):
        [(_, counts)] = run_reductions({"one": measurement}, Runner(chunk=chunk))["one"]
        whole = PixelHistogram(counts)
        assert whole.size == values[::4, ::4].size
        median = np.median(values[::4, ::4])
        assert whole.find_quantile(np.array(0.5)) == pytest.approx(median, rel=0.01)


def test_noise_is_found_beside_emission():
    rng = np.random.default_rng(4)
    values = rng.normal(-3.0, 2.0, (600, 600))
    values[:150] += rng.exponential(15.0, (150, 600))
    noise = fit_noise(count_pixels(values))
    assert noise.offset == pytest.approx(-3.0, abs=0.2)
    assert noise.sigma == pytest.approx(2.0, rel=0.05)


def test_an_image_of_one_value_has_no_noise():
    assert fit_noise(count_pixels(np.full((50, 50), 7.0))) is None


def test_outlines_run_along_the_edges_of_the_pixels():
    mask = np.full((80, 100), np.nan)
    mask[10:20, 30:34] = 0
    mask[40:44, 40:60] = 12
    image = make_image(mask)
    rows, columns = get_grid(image).to_pixel(*trace_nebula(image, 0))
    assert (np.nanmin(rows), np.nanmax(rows)) == pytest.approx((9.5, 19.5), abs=1e-6)
    assert (np.nanmin(columns), np.nanmax(columns)) == pytest.approx((29.5, 33.5), abs=1e-6)
    ra, _ = trace_outlines(image)
    assert np.isnan(ra).sum() == 1, "ID 0 and ID 12, one gap between them"


def test_touching_nebulae_are_outlined_apart():
    mask = np.full((20, 20), np.nan)
    mask[5:10, 5:10], mask[5:10, 10:15] = 3, 4
    ra, _ = trace_outlines(make_image(mask))
    assert np.isnan(ra).sum() == 1


def test_a_mask_without_nebulae_has_no_outlines():
    ra, dec = trace_outlines(make_image(np.full((20, 20), np.nan)))
    assert ra.size == dec.size == 0


def test_offsets_are_those_of_the_sky():
    image = make_image(np.zeros((80, 100)))
    plane = OffsetPlane(get_grid(image))
    centre = SkyCoord(24 * u.deg, 15 * u.deg)
    assert plane.is_upright
    for angle, expected in ((0, (0.0, 1.5)), (90, (1.5, 0.0))):
        place = centre.directional_offset_by(angle * u.deg, 1.5 * u.arcsec)
        found = place_on_sky(plane, place.ra.deg, place.dec.deg)
        np.testing.assert_allclose(np.ravel(found), expected, atol=1e-4)


def test_a_turned_image_keeps_its_own_axes():
    plane = OffsetPlane(get_grid(make_image(np.zeros((80, 100)), rotation=30)))
    assert not plane.is_upright
    assert [one.label for one in plane.dims] == ["Δx", "Δy"]
    assert plane.place(39.5, 59.5)[0] == pytest.approx(10 * 0.04, rel=1e-6)


@pytest.mark.parametrize("rotation", [0, 30])
@pytest.mark.parametrize("plane_of", [OffsetPlane, SkyPlane])
def test_pixels_are_drawn_where_they_lie(rotation, plane_of):
    values = np.arange(80 * 100, dtype=np.float32).reshape(80, 100)
    image = make_image(values, rotation)
    cut = image.isel(y=slice(10, 70), x=slice(20, 90))
    plane = plane_of(get_grid(image))
    picture = plane.draw(cut, cut.values, hv.Dimension("value"))
    for row, column in ((10, 20), (35, 60), (69, 89)):
        x, y = plane.place(row, column)
        xs, ys = (picture.dimension_values(axis, expanded=False) for axis in (0, 1))
        found = picture.dimension_values(2, flat=False)[
            np.abs(ys - y).argmin(), np.abs(xs - x).argmin()
        ]
        assert found == values[row, column]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_on_the_screen(name, checked):
    picture = FIGURES[name](*checked[:2])
    assert isinstance(picture, hv.core.Dimensioned)
    before = hv.Store.current_backend
    # A notebook shows an object as often as it is asked to: each page needs its own models.
    pages = [Document(), Document()]
    for page in pages:
        page.add_root(hv.render(picture, backend="bokeh"))
    assert hv.Store.current_backend == before


@pytest.mark.parametrize("name", ["plot_fluxes", "plot_gallery"])
def test_notebooks_draw_figures_on_paper(name, checked):
    """Through HoloViews' own renderer, which lays out panels in its own way."""
    assert hv.render(FIGURES[name](*checked[:2]), backend="matplotlib").axes


def list_axes(name, checked):
    """The axes of a figure on paper that show labels."""
    figure = render_figure(FIGURES[name](*checked[:2]))
    return [axis for axis in figure.axes if axis.axison and axis.xaxis.get_visible()]


@pytest.mark.parametrize("name", sorted(set(FIGURES) - {"plot_gallery"}))
def test_every_axis_says_its_unit(name, checked):
    dimensionless = ("/ MUSE", "share of pixels")
    axes = list_axes(name, checked)
    assert axes
    for axis in axes:
        for label in (axis.get_xlabel(), axis.get_ylabel()):
            assert "(" in label or any(text in label for text in dimensionless), label


def test_flux_points_hold_what_was_measured(checked):
    field, nebulae, *_ = checked
    layout = figures.plot_fluxes(field, nebulae)
    for panel, name in zip(layout, ("halpha", "anchored"), strict=True):
        points = next(one for one in panel if isinstance(one, hv.Points) and not one.label)
        np.testing.assert_array_equal(points["region_ID"], nebulae["region_ID"])
        np.testing.assert_array_equal(points["muse"], nebulae["flux_muse"])
        np.testing.assert_array_equal(points[name], nebulae[f"flux_{name}"])
        ratio = nebulae[f"flux_{name}"].values / nebulae["flux_muse"].values
        np.testing.assert_allclose(points[f"ratio_{name}"], ratio)


def test_linked_figures_share_one_table(checked):
    from bokeh.models import ColumnDataSource

    plot = hv.render(figures.plot_linked(*checked[:2]), backend="bokeh")
    tables = [one for one in plot.select({"type": ColumnDataSource}) if "region_ID" in one.data]
    assert len(tables) == 1
    assert {"muse", "halpha", "anchored", "ratio_anchored", "ra", "dec"} <= set(tables[0].data)


def test_paper_maps_have_ra_and_dec_axes(checked):
    field, nebulae, *_ = checked
    figure = render_figure(figures.plot_maps(field, nebulae, axes="sky"))
    assert len(figure.axes) == 8
    for axis in figure.axes:
        assert isinstance(axis, WCSAxes)
        # The axes count the pixels of the whole image.
        sky = axis.wcs.pixel_to_world_values(0, 0)
        np.testing.assert_allclose(sky, get_grid(find_product(field, "halpha")).to_sky(0, 0))


def test_the_maps_ratio_is_that_of_the_anchoring(checked):
    from phangs_xr.qa.figures.maps import find_ratio

    field, *_ = checked
    overview = reduce_field(field, side=10_000)
    found = find_ratio(field, overview).values
    expected = find_product(field, "hstmuseratio").values
    known = np.isfinite(found)
    assert known.sum() > 0.9 * (expected > 0).sum()
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-4)


def make_nebulae(flux, muse, coverage=1.0, **columns) -> xr.Dataset:
    flux, muse = np.asarray(flux, dtype=float), np.asarray(muse, dtype=float)
    variables = {
        "flux_halpha": flux,
        "flux_anchored": flux,
        "flux_muse": muse,
        "coverage_hst": np.broadcast_to(coverage, flux.shape),
        "coverage_muse": np.ones(flux.shape),
        "ra": np.full(flux.shape, 24.0),
        "dec": np.full(flux.shape, 15.0),
        "area": np.ones(flux.shape),
        **columns,
    }
    ids = {"region_ID": ("nebula", np.arange(flux.size))}
    return xr.Dataset({name: ("nebula", one) for name, one in variables.items()}, coords=ids)


def test_the_most_discrepant_nebulae_come_first():
    nebulae = make_nebulae(
        flux=[100, 300, 20, 90, -5, 1e6, np.nan],
        muse=[100, 100, 100, 100, 100, 100, 100],
        coverage=[1, 1, 1, 1, 1, 0.5, 1],
    )
    # Without a positive ratio first, then 1/5, 3, 0.9, 1; not what is half covered or unknown.
    assert rank_nebulae(nebulae).tolist() == [4, 2, 1, 3, 0]


def test_classes_are_taken_from_the_newest_column():
    columns = {"HII_class": [9, 9, 9], "HII_class_v3": [1.0, 0.0, np.nan]}
    groups = classify_nebulae(make_nebulae([1, 1, 1], [1, 1, 1], [1, 0.9, 1], **columns))
    assert groups.tolist() == ["HII_class_v3 = 1", "partly covered", "no class"]


def test_classes_may_be_text_or_absent():
    text = make_nebulae([1, 1], [1, 1], HII_class=np.array(["HII ", ""]))
    assert classify_nebulae(text).tolist() == ["HII_class = HII", "no class"]
    assert classify_nebulae(make_nebulae([1], [1])).tolist() == ["nebula"]


def test_negative_fluxes_are_counted_in_the_title(checked):
    field, *_ = checked
    nebulae = make_nebulae([1e3, -2e3, 5e3], [1e3, 1e3, 6e3])
    panel = figures.plot_fluxes(field, nebulae).values()[0]
    title = panel.opts.get("plot", backend="bokeh").kwargs["title"]
    assert title.endswith("; 1 ≤ 0")


def test_the_table_says_what_it_needs(checked):
    field, *_ = checked
    with pytest.raises(InputError, match=r"nebulae with flux_muse.*found no flux_muse"):
        tabulate_nebulae(field, xr.Dataset(), "anchored")
    with pytest.raises(InputError, match="found no nebula"):
        tabulate_nebulae(field, make_nebulae([], []), "anchored")


@pytest.fixture(scope="module")
def without_muse(checked):
    field, *_ = checked
    return xr.DataTree.from_dict({"/hst": field["hst"].to_dataset()[["halpha", "halpha_bgsub"]]})


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("plot_fluxes", "flux_muse"),
        ("plot_ratio_by_flux", "flux_muse"),
        ("plot_ratio_on_sky", "flux_muse"),
        ("plot_histogram2d", "anchor_histogram"),
        ("plot_cosmic_rays", "anchored_intnegs"),
        ("plot_gallery", "flux_muse"),
    ],
)
def test_figures_say_what_is_missing(name, missing, without_muse):
    with pytest.raises(InputError, match=missing):
        FIGURES[name](without_muse, xr.Dataset())


def test_a_field_without_muse_shows_its_map_and_its_noise(without_muse):
    assert len(figures.plot_maps(without_muse)) == 1
    assert len(figures.plot_pixel_histograms(without_muse)) == 2


def test_without_muse_no_map_is_said_to_have_its_colours(checked, without_muse):
    field, *_ = checked
    hst = without_muse["hst"].to_dataset().assign(halpha_smoothed=field["hst"]["halpha_smoothed"])
    layout = figures.plot_maps(xr.DataTree.from_dict({"/hst": hst}))
    titles = [panel.opts.get("plot", backend="bokeh").kwargs["title"] for panel in layout]
    assert titles == ["HST, own colours", "smoothed HST, own colours"]


def test_the_window_of_cosmic_rays_holds_most_of_them():
    crowd = np.random.default_rng(5).uniform(300, 380, (20, 2))
    lonely = np.array([[10.0, 900.0], [800.0, 40.0], [500.0, 500.0]])
    rows, columns, number = choose_crowded_window(np.vstack([crowd, lonely]), (1000, 1000), 160)
    assert number >= 15
    assert rows.stop - rows.start == columns.stop - columns.start == 160
    inside = [
        rows.start <= row < rows.stop and columns.start <= column < columns.stop
        for row, column in crowd
    ]
    assert number == sum(inside)


def test_without_cosmic_rays_the_middle_is_shown():
    rows, columns, number = choose_crowded_window(np.empty((0, 2)), (1000, 600), 160)
    assert (rows, columns, number) == (slice(420, 580), slice(220, 380), 0)


def test_colour_bars_are_labelled_with_values():
    stretch = Stretch(-20.0, 400.0, 8.0)
    low, high = stretch.limits
    assert stretch.apply(np.array([-20.0, 400.0])) == pytest.approx([low, high])
    assert len(stretch.ticks) >= 3
    for place, name in stretch.ticks:
        assert low <= place <= high
        assert stretch.apply(np.array(float(name))) == pytest.approx(place)


def test_an_empty_image_has_a_stretch():
    stretch = choose_stretch(np.full((5, 5), np.nan))
    assert stretch.high > stretch.low


def test_ratio_colours_reach_to_most_ratios():
    assert choose_ratio_limit(np.array([0.9, 1.0, 1.1])) == 1.25
    assert choose_ratio_limit(np.array([0.4, 1.0, 2.5])) == 3.0
    assert choose_ratio_limit(np.array([np.nan, -1.0])) == 3.0
    places = [place for place, _ in tick_ratios(3.0)]
    np.testing.assert_allclose(np.multiply(places, places[::-1]), 1.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.23456, "1.23"), (-45.6, "−45.6"), (12345.0, "1.23×10⁴"), (-2e-5, "−2.00×10⁻⁵")],
)
def test_numbers_read_as_people_write_them(value, text):
    assert format_number(value) == text


def test_powers_of_ten_read_as_axes_show_them():
    assert [format_tick(value) for value in (-1e4, 0.0, 100.0, 1e6)] == ["−10⁴", "0", "100", "10⁶"]
