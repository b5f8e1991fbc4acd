"""Chunks read and written directly: against zarr itself."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from xarray.core.indexing import BasicIndexer
from zarr.codecs import ZstdCodec

from phangs_xr.errors import InputError
from phangs_xr.io import chunks
from phangs_xr.io.chunks import CODEC, FRAME, FrameCache, StoredImage, ZarrTarget

SHAPE, CHUNK = (230, 310), 100


def make_pixels(seed=1):
    pixels = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    pixels[40:60, 90:130] = np.nan
    return pixels


def create(path, **options):
    layout = {"shape": SHAPE, "chunks": (CHUNK, CHUNK), "dtype": "float32", "fill_value": np.nan}
    options = {**layout, "compressors": CODEC, **options}
    return zarr.create_array(path, name="hst/halpha", **options)


@pytest.fixture
def stored(tmp_path):
    array = create(tmp_path / "a.zarr")
    array[:] = make_pixels()
    return array


def read(image, ys, xs):
    return np.asarray(image[BasicIndexer((ys, xs))])


def list_tiles(depth):
    """Windows of all tiles, with neighbours."""
    for row, column in product(range(0, SHAPE[0], CHUNK), range(0, SHAPE[1], CHUNK)):
        yield tuple(
            slice(max(start - depth, 0), min(start + CHUNK + depth, size))
            for start, size in zip((row, column), SHAPE, strict=True)
        )


@st.composite
def windows(draw):
    """Windows of any place and size, empty ones too."""
    parts = []
    for size in SHAPE:
        ends = draw(st.tuples(st.integers(0, size), st.integers(0, size)))
        parts.append(slice(min(ends), max(ends)))
    return tuple(parts)


@given(st.lists(windows(), min_size=1, max_size=6))
def test_any_windows_one_after_the_other_are_as_zarr_reads_them(tmp_path_factory, asked):
    path = tmp_path_factory.getbasetemp() / "windows.zarr"
    if not path.exists():
        create(path)[:] = make_pixels()
    image = StoredImage(zarr.open_array(path, path="hst/halpha", mode="r"))
    for ys, xs in asked:
        np.testing.assert_array_equal(read(image, ys, xs), make_pixels()[ys, xs])


@pytest.mark.parametrize("depth", [0, 3, FRAME, FRAME + 1, 2 * CHUNK])
def test_neighbours_of_any_depth_are_right_in_many_threads(stored, depth):
    image = StoredImage(stored)
    asked = [*list_tiles(depth)] * 3
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda window: read(image, *window), asked))
    for window, pixels in zip(asked, found, strict=True):
        np.testing.assert_array_equal(pixels, make_pixels()[window])


def test_steps_of_an_index_are_zarrs(stored):
    image = StoredImage(stored)
    np.testing.assert_array_equal(
        read(image, slice(3, 200, 7), slice(None)), make_pixels()[3:200:7]
    )
    np.testing.assert_array_equal(read(image, 5, slice(10, 20)), make_pixels()[5, 10:20])
    for key in (
        (-1, -2),
        (slice(3, 200), -7),
        (slice(200, 3, -9), slice(None, None, -1)),
        (slice(9, 9, 2), slice(None)),
        (slice(-400, 800, 50), np.int64(12)),
    ):
        np.testing.assert_array_equal(read(image, *key), make_pixels()[key])


def test_a_chunk_is_not_decompressed_for_each_of_its_neighbours(stored, monkeypatch):
    counted = []
    real = StoredImage._read_chunk
    monkeypatch.setattr(
        StoredImage,
        "_read_chunk",
        lambda self, index: counted.append(index) or real(self, index),
    )
    image = StoredImage(stored)
    for window in list_tiles(10):
        read(image, *window)
    assert len(set(counted)) == 12
    assert max(counted.count(index) for index in counted) <= 2


def test_only_so_many_frames_are_kept(stored, monkeypatch):
    monkeypatch.setattr(chunks, "FRAMES", 3)
    frames = FrameCache()
    image = StoredImage(stored, frames)
    for window in list_tiles(10):
        np.testing.assert_array_equal(read(image, *window), make_pixels()[window])
    assert len(frames._frames) == 3


def test_frame_that_was_asked_for_longest_ago_goes(stored, monkeypatch):
    monkeypatch.setattr(chunks, "FRAMES", 2)
    frames = FrameCache()
    image = StoredImage(stored, frames)
    corner = slice(0, 3), slice(0, 3)
    for index in ((0, 0), (0, 1)):
        frames.keep(("hst/halpha", index), image._read_chunk(index))
    assert frames.find(("hst/halpha", (0, 0)), corner) is not None
    frames.keep(("hst/halpha", (0, 2)), image._read_chunk((0, 2)))
    kept = [frames.find(("hst/halpha", (0, column)), corner) is not None for column in range(3)]
    assert kept == [True, False, True]


def test_images_that_share_frames_keep_them_apart(tmp_path):
    frames, images = FrameCache(), []
    for seed, name in enumerate(("one", "two")):
        array = zarr.create_array(
            tmp_path / "a.zarr",
            name=name,
            shape=SHAPE,
            chunks=(CHUNK, CHUNK),
            dtype="float32",
            fill_value=np.nan,
            compressors=CODEC,
        )
        array[:] = make_pixels(seed)
        images.append(StoredImage(array, frames))
    for window in list_tiles(10):
        for seed, image in enumerate(images):
            np.testing.assert_array_equal(read(image, *window), make_pixels(seed)[window])


def test_a_copy_in_another_process_reads_for_itself(stored):
    image = StoredImage(stored)
    read(image, slice(50, 150), slice(50, 150))
    copy = pickle.loads(pickle.dumps(image))  # noqa: S301  # our own
    assert len(image.frames._frames) == 4
    assert not copy.frames._frames
    np.testing.assert_array_equal(read(copy, slice(0, 130), slice(0, 99)), make_pixels()[:130, :99])


def test_a_lost_chunk_is_not_taken_for_missing_pixels(stored, tmp_path):
    (tmp_path / "a.zarr/hst/halpha/c/1/2").unlink()
    image = StoredImage(stored)
    for key in ((slice(0, 200, 7), slice(None)), (150, slice(None)), (slice(None), 250)):
        with pytest.raises(InputError, match=r"c/1/2: a chunk of halpha is needed, found none"):
            read(image, *key)
    with pytest.raises(InputError, match=r"c/1/2: a chunk of halpha is needed, found none: run"):
        read(image, slice(90, 120), slice(190, 220))
    np.testing.assert_array_equal(
        read(image, slice(0, 100), slice(0, 300)), make_pixels()[:100, :300]
    )


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x02\x01\x21\x04" + bytes(12)])
def test_a_damaged_chunk_is_refused(stored, tmp_path, content):
    (tmp_path / "a.zarr/hst/halpha/c/0/0").write_bytes(content)
    with pytest.raises(InputError, match=r"c/0/0: a chunk of halpha is needed, found one damaged"):
        read(StoredImage(stored), slice(0, 10), slice(0, 10))


@pytest.mark.parametrize("side", [CHUNK, 1000])
@pytest.mark.parametrize("left", ["header", "half", "all but one page", "all but one byte", "more"])
def test_a_chunk_of_another_length_is_refused_before_it_is_decoded(tmp_path, side, left):
    array = create(tmp_path / "a.zarr", shape=(side, side), chunks=(side, side))
    array[:] = np.random.default_rng(2).normal(size=(side, side))
    path = tmp_path / "a.zarr/hst/halpha/c/0/0"
    content = path.read_bytes()
    size = len(content)
    kept = {
        "header": 15,
        "half": size // 2,
        "all but one page": size - 4096,
        "all but one byte": size - 1,
        "more": size + 1,
    }[left]
    path.write_bytes((content + b"!")[:kept])
    found = (
        rf"{kept} bytes, its header says {size}" if kept > 15 else r"15 bytes, its header has 16"
    )
    message = rf"c/0/0: a chunk of halpha is needed, found one damaged \({found}\): run with"
    with pytest.raises(InputError, match=message):
        read(StoredImage(array), slice(0, 10), slice(0, 10))


def test_a_chunk_of_fewer_pixels_is_refused(stored, tmp_path):
    small = create(tmp_path / "b.zarr", chunks=(CHUNK // 2, CHUNK // 2))
    small[:] = make_pixels()
    content = (tmp_path / "b.zarr/hst/halpha/c/0/0").read_bytes()
    (tmp_path / "a.zarr/hst/halpha/c/0/0").write_bytes(content)
    with pytest.raises(InputError, match=r"damaged \(10000 bytes of pixels, expected 40000\): run"):
        read(StoredImage(stored), slice(0, 10), slice(0, 10))


def test_written_blocks_are_zarrs_with_full_chunks_at_the_edges(tmp_path):
    array = create(tmp_path / "a.zarr")
    target = ZarrTarget(array)
    for ys, xs in list_tiles(0):
        target[ys, xs] = make_pixels()[ys, xs]
    np.testing.assert_array_equal(array[:], make_pixels())
    by_zarr = create(tmp_path / "b.zarr")
    by_zarr[:] = make_pixels()
    for part in ("c/0/0", "c/2/3"):
        one, other = (
            (tmp_path / name / "hst/halpha" / part).read_bytes() for name in ("a.zarr", "b.zarr")
        )
        assert one == other


def test_blocks_that_are_no_chunks_are_zarrs_affair(tmp_path):
    array = create(tmp_path / "a.zarr")
    target = ZarrTarget(array)
    target[0:150, 0:310] = make_pixels()[:150]
    target[150:230, 0:310] = make_pixels()[150:]
    np.testing.assert_array_equal(array[:], make_pixels())


def test_parts_of_one_chunk_leave_the_rest_of_it(tmp_path):
    array = create(tmp_path / "a.zarr")
    target = ZarrTarget(array)
    for top in (0, 50):
        target[top : top + 50, 0:CHUNK] = make_pixels()[top : top + 50, :CHUNK]
    np.testing.assert_array_equal(array[:CHUNK, :CHUNK], make_pixels()[:CHUNK, :CHUNK])


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float64"},
        {"dtype": ">f4"},
        {"compressors": ZstdCodec()},
        {"compressors": None},
        {"shards": (2 * CHUNK, 2 * CHUNK)},
    ],
    ids=str,
)
def test_arrays_stored_otherwise_are_zarrs_affair(tmp_path, options):
    array = create(tmp_path / "a.zarr", **options)
    target = ZarrTarget(array)
    for ys, xs in list_tiles(0):
        target[ys, xs] = make_pixels()[ys, xs]
    np.testing.assert_array_equal(array[:], make_pixels())
    image = StoredImage(array)
    np.testing.assert_array_equal(
        read(image, slice(20, 222), slice(95, 310)), make_pixels()[20:222, 95:310]
    )
    assert not image.frames._frames
