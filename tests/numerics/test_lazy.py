"""Kernels meet chunks as they meet a whole image, and know where on it they are."""

from dataclasses import dataclass

import dask
import numpy as np
import pytest
from scipy import ndimage

from phangs_xr.numerics.lazy import (
    get_origin,
    is_chunked,
    label_number,
    map_halo,
    map_pixels,
    map_tiles,
    reduce_images,
)
from phangs_xr.sky import get_grid
from tests.images import chunk_image, make_flux, make_header

SHAPE = (57, 83)
CHUNKS = [None, 100, 20, "ragged"]


def make_noise(seed=1):
    return make_flux(np.random.default_rng(seed).normal(size=SHAPE))


def cut(image, chunks):
    return image if chunks is None else chunk_image(image, chunks)


def number_pixels(image, rows, columns, *, factor):
    return image * factor + rows[:, None] * 1000 + columns


@pytest.mark.parametrize("chunks", CHUNKS)
def test_map_pixels__tells_the_absolute_positions(chunks):
    image = make_noise()
    part = image.isel(y=slice(5, 50), x=slice(7, 80))
    found = map_pixels(number_pixels, cut(part, chunks), positions=True, factor=0.0)
    assert is_chunked(found) == (chunks is not None)
    expected = np.arange(5, 50)[:, None] * 1000 + np.arange(7, 80)
    np.testing.assert_array_equal(found, expected)
    assert get_grid(found) == get_grid(part)
    assert found.dtype == np.float32


def test_map_pixels__takes_numbers_that_are_not_known_yet():
    image = make_noise()
    number = label_number(dask.delayed(float)(3), "offset", "")
    found = map_pixels(lambda pixels, offset: pixels + offset, image, offset=number)
    assert is_chunked(found)
    np.testing.assert_array_equal(found, image + np.float32(3))


@pytest.mark.parametrize("chunks", [None, 150])
def test_map_pixels__gives_rows_at_a_time_that_end_where_cells_do(chunks):
    image = make_flux(np.zeros((330, 10))).isel(y=slice(70, None))
    seen = []

    def note(pixels, rows, columns):
        seen.append((int(rows[0]), int(rows[-1])))
        return pixels

    with dask.config.set(scheduler="synchronous"):
        map_pixels(note, cut(image, chunks), positions=True).compute()
    edges = [(70, 99), (100, 199), (200, 299), (300, 329)]
    if chunks:
        edges[2:3] = [(200, 219), (220, 299)]
    assert sorted(seen) == edges


def test_map_pixels__unites_chunks_of_several_images():
    one, other = make_noise(1), make_noise(2)
    found = map_pixels(np.add, cut(one, 20), cut(other, "ragged"))
    assert found.chunks == cut(one, 20).chunks
    np.testing.assert_array_equal(found, one + other)


def average_around(image, *, origin, reach):
    assert image.size == 0 or image[0, 0] == origin[0] * 1000 + origin[1]
    return ndimage.uniform_filter(image.astype(float), 2 * reach + 1, mode="constant")


@pytest.mark.parametrize(("chunks", "depth"), [(100, 4), (20, 4), (3, 4), ("ragged", 4), (20, 60)])
def test_map_halo__sees_the_neighbours_and_where_it_is(chunks, depth):
    rows, columns = np.indices(SHAPE)
    image = make_flux(rows * 1000 + columns)
    whole = map_halo(average_around, image, depth=depth, reach=depth)
    found = map_halo(average_around, cut(image, chunks), depth=depth, reach=depth)
    assert found.chunks == cut(image, chunks).chunks
    np.testing.assert_allclose(found, whole, rtol=1e-6)


def average_nearest(piece, source, target):
    """The mean of 3 x 3 pixels around that which each of the target's centres lies on."""
    piece = ndimage.uniform_filter(piece, 3, mode="constant") if piece.size else piece
    made = np.full(target.shape, np.nan)
    rows, columns = source.to_pixel(*target.to_sky(*np.indices(target.shape)))
    rows, columns = (np.rint(one).astype(int) for one in (rows, columns))
    inside = (rows >= 0) & (rows < source.shape[0]) & (columns >= 0) & (columns < source.shape[1])
    made[inside] = piece[rows[inside], columns[inside]]
    return made


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("shift", [(0.2, 0.1), (9.0, 0.1), (500.0, 0.0)])
def test_map_tiles__gives_each_tile_the_window_it_needs(chunks, shift):
    header = make_header((20, 25), pixel=0.2, rotation=20, shift=shift)
    source = make_flux(np.arange(500.0).reshape(20, 25), header=header)
    like = make_noise()
    expected = average_nearest(source.values, get_grid(source), get_grid(like))
    found = map_tiles(average_nearest, source, cut(like, chunks), pad=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isfinite(expected).any() == (shift[0] < 100)


@dataclass(frozen=True)
class CountTwice:
    """Counts the pixels, in passes that may be more than it says."""

    depth: int = 0
    cell: int = 1
    passes: int = 2
    needed: int = 2

    def start(self):
        return ()

    def look(self, state, block):
        assert all(first % self.cell == 0 for first in block.offset)
        return block.owned[0].size

    def merge(self, one, other):
        return one + other

    def advance(self, state, merged):
        return (*state, merged)

    def is_done(self, state):
        return len(state) == self.needed

    def finish(self, state):
        return state


@pytest.mark.parametrize(("depth", "cell"), [(0, 1), (9, 1), (0, 25), (9, 25)])
def test_reduce_images__shows_each_pixel_once_a_pass(depth, cell):
    reduction = CountTwice(depth, cell)
    for chunks in (20, 5, "ragged"):
        found = reduce_images(reduction, cut(make_noise(), chunks)).compute()
        assert found == reduce_images(reduction, make_noise()) == (57 * 83,) * 2


def test_reduce_images__is_never_half_done():
    with pytest.raises(RuntimeError, match="CountTwice was not done after 2 passes"):
        reduce_images(CountTwice(needed=3), cut(make_noise(), 20)).compute()


def test_get_origin__of_what_is_no_plain_window_is_zero():
    image = make_noise()
    assert get_origin(image[5:, 7:]) == (5, 7)
    assert get_origin(image[5::2, 7:]) == (0, 0)
    assert get_origin(image[5:, 7:].drop_vars("x")) == (0, 0)
