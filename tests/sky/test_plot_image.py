"""Images on paper: every pixel in its place, its colour and its unit."""

import dask
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS
from matplotlib import colormaps, pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from xarray.backends import BackendArray
from xarray.core import indexing

import phangs_xr  # noqa: F401 (which registers `.sky`)
from phangs_xr.errors import GridError, InputError
from phangs_xr.schema import FLUX
from phangs_xr.sky.plot_image import SIDE, reduce_to_drawing
from tests.images import make_flux, make_header

GREY = (0x40, 0x40, 0x40)


@pytest.fixture
def draw():
    """Draw an image on axes of a figure of its own, or of another's projection."""

    def draw(image, like=None, **options):
        figure = Figure(figsize=(6, 5), dpi=100)
        FigureCanvasAgg(figure)
        wcs = (image if like is None else like).sky.wcs
        return image.sky.plot(ax=figure.add_subplot(projection=wcs), **options)

    return draw


def read_colours(ax, rows, columns):
    """The colours on paper of places in the pixels of the axes."""
    canvas = ax.figure.canvas
    canvas.draw()
    page = np.asarray(canvas.buffer_rgba())
    x, y = ax.transData.transform(np.stack([columns, rows], axis=1)).T
    return [
        tuple(map(int, page[page.shape[0] - 1 - int(b), int(a), :3]))
        for a, b in zip(x, y, strict=True)
    ]


def average_plainly(values, factor):
    """Means of blocks, of what is there."""
    ny, nx = (-(-size // factor) for size in values.shape)
    whole = np.full((ny * factor, nx * factor), np.nan)
    whole[: values.shape[0], : values.shape[1]] = values
    with np.errstate(invalid="ignore"):
        blocks = whole.reshape(ny, factor, nx, factor)
        number = np.isfinite(blocks).sum(axis=(1, 3))
        return np.nansum(blocks, axis=(1, 3)) / number


def test_pixels_lie_where_they_are_and_gaps_are_grey(draw):
    values = np.zeros((30, 40))
    values[5, 33], values[20, 8] = 100, np.nan
    header = make_header(values.shape, rotation=25)
    ax = draw(make_flux(values, header=header), vmin=0, vmax=100, scale_bar=False)
    bright, gap, dark = read_colours(ax, [5, 20, 15], [33, 8, 15])
    ends = colormaps["inferno"]([0, 255], bytes=True)[:, :3].tolist()
    assert dark == tuple(ends[0])
    assert bright == tuple(ends[1])
    assert gap == GREY
    expected = WCS(header).pixel_to_world(33, 5)
    assert ax.wcs.pixel_to_world(33, 5).separation(expected).arcsec < 1e-9


def test_a_picture_says_what_it_shows(draw):
    image = make_flux(np.random.default_rng(1).normal(size=(200, 250)), long_name="H-alpha flux")
    ax = draw(image.rename("halpha"), distance=9.84)
    assert ax.get_title() == "H-alpha flux"
    assert [ax.coords[axis].get_axislabel() for axis in (0, 1)] == ["RA", "Dec"]
    [bar] = ax.child_axes
    assert bar.get_ylabel() == "10⁻²⁰ erg s⁻¹ cm⁻² per pixel"
    # 250 pixels of 0.04": a quarter of the width is 2.5". At 9.84 Mpc 1" is 47.7 pc.
    assert [text.get_text() for text in ax.texts] == ["2″ = 95 pc"]
    [line] = ax.lines
    assert np.ptp(line.get_xdata()) == pytest.approx(2 / 0.04)
    plain = draw(make_flux(np.ones((5, 5)), units="electron / s").rename("narrow"), scale_bar=False)
    assert plain.get_title() == "narrow"
    assert plain.child_axes[0].get_ylabel() == "electron s⁻¹"
    assert not plain.texts


@pytest.mark.parametrize("shape", [(20, 60), (60, 15), (30, 30)])
def test_axes_are_made_where_there_are_none(shape):
    pyplot.switch_backend("Agg")
    image = make_flux(np.ones(shape), long_name="Flux without its continuum, of HST alone")
    ax = image.sky.plot()
    try:
        assert ax.get_xlim() == pytest.approx((-0.5, shape[1] - 0.5))
        assert ax.get_ylim() == pytest.approx((-0.5, shape[0] - 0.5))
        # Nothing is cut off.
        box = ax.figure.get_tightbbox().extents
        width, height = ax.figure.get_size_inches()
        assert box[0] >= 0
        assert box[1] >= 0
        assert box[2] <= width
        assert box[3] <= height
    finally:
        pyplot.close(ax.figure)


def test_other_systems_are_named(draw):
    header = make_header((10, 10))
    header["CTYPE1"], header["CTYPE2"] = "GLON-TAN", "GLAT-TAN"
    del header["RADESYS"]
    ax = draw(make_flux(np.ones((10, 10)), header=fits.Header(header)))
    assert [ax.coords[axis].get_axislabel() for axis in (0, 1)] == ["l", "b"]


@pytest.mark.parametrize("chunks", [700, 512, 5000])
def test_a_large_graph_is_computed_once_and_chunk_by_chunk(draw, chunks):
    rng = np.random.default_rng(2)
    values = rng.normal(size=(1801, 3100)).astype(np.float32)
    values[:200, 1000:] = np.nan
    seen, calls = [], []

    def look(block):
        seen.append(block.size)
        return block

    def count(*given, **options):
        calls.append(1)
        return dask.get(*given, **options)

    image = make_flux(values).chunk(chunks)
    image = image.copy(data=image.data.map_blocks(look, dtype=np.float32, meta=np.empty((0, 0))))
    with dask.config.set(scheduler=count):
        ax = draw(image)
    assert len(calls) == 1
    assert sum(seen) == values.size
    [drawn] = ax.images
    assert max(drawn.get_array().shape) <= SIDE
    means, covered = reduce_to_drawing(image)
    factor = 3 if chunks == 5000 else 4  # which divides the chunks
    np.testing.assert_allclose(means, average_plainly(values, factor), rtol=1e-4, atol=1e-6)
    assert covered == (means.shape[0] * factor, means.shape[1] * factor)
    # A block that reaches beyond the image keeps its place; the axes end with the image.
    assert drawn.get_extent() == pytest.approx([-0.5, covered[1] - 0.5, -0.5, covered[0] - 0.5])
    assert ax.get_xlim() == pytest.approx((-0.5, 3099.5))


class CountingArray(BackendArray):
    """Pixels like those of a file, and how many were read at a time."""

    def __init__(self, shape):
        self.shape, self.dtype, self.reads = shape, np.dtype(np.float32), []

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key):
        part = np.broadcast_to(np.float32(1), self.shape)[key]
        self.reads.append(part.size)
        return part


def test_a_large_file_is_read_tile_by_tile():
    pixels = CountingArray((6100, 4100))
    lazy = xr.Variable(("y", "x"), indexing.LazilyIndexedArray(pixels), {"units": FLUX})
    means, _ = reduce_to_drawing(xr.DataArray(lazy))
    assert means.shape == (1220, 820)
    assert max(pixels.reads) <= 2000**2
    assert sum(pixels.reads) == 6100 * 4100


def test_a_window_lies_in_its_place_on_the_axes_of_the_whole(draw):
    image = make_flux(np.arange(50 * 60).reshape(50, 60), header=make_header((50, 60), rotation=9))
    window = image.isel(y=slice(10, 30, 2), x=slice(20, 50))
    ax = draw(window, like=image)
    # Every other row stands for two.
    assert ax.images[0].get_extent() == pytest.approx([19.5, 49.5, 9.0, 29.0], abs=1e-6)


def test_axes_of_another_sky_are_refused(draw):
    image = make_flux(np.ones((10, 12)))
    turned = make_flux(np.ones((10, 12)), header=make_header((10, 12), rotation=5))
    with pytest.raises(GridError, match=r"found another: make them with .*image\.sky\.wcs"):
        draw(image, like=turned)
    with pytest.raises(GridError, match="found Axes without"):
        image.sky.plot(ax=Figure().add_subplot())


def test_what_cannot_be_drawn_is_refused(draw):
    image = make_flux(np.ones((10, 12)))
    with pytest.raises(InputError, match="found a dataset"):
        xr.Dataset({"image": image}).sky.plot()
    with pytest.raises(InputError, match="vmin below vmax, found 3 and 2"):
        draw(image, vmin=3, vmax=2)
    with pytest.raises(InputError, match="a positive distance"):
        draw(image, distance=0)


@pytest.mark.parametrize("kind", [bool, np.int16, np.float64])
def test_images_of_any_type_and_without_data_are_drawn(draw, kind):
    draw(make_flux(np.eye(12)).astype(kind)).figure.canvas.draw()
    empty = draw(make_flux(np.full((12, 12), np.nan)), scale_bar=False)
    assert read_colours(empty, [6], [6]) == [GREY]
