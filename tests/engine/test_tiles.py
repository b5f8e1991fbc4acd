"""Tiles cover images once, reductions read what they need once, tasks run and report."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info
from xarray.backends import BackendArray
from xarray.core import indexing

from phangs_xr.engine.runner import Runner
from phangs_xr.engine.tiles import (
    Measurement,
    Tile,
    group_by_cell,
    list_tiles,
    read_overlap,
    read_window,
    run_reductions,
)
from phangs_xr.numerics.lazy import reduce_images
from phangs_xr.numerics.statistics import (
    AskDistribution,
    AskTogether,
    ClippedStatistics,
    MadStd,
    Quantile,
)
from phangs_xr.sky import get_grid
from tests.images import make_flux, make_header

RUNNER = Runner(threads=2, chunk=100)


@dataclass
class Recorded(BackendArray):
    """Pixels that note how often each was read."""

    values: np.ndarray
    read: np.ndarray = field(init=False)

    def __post_init__(self):
        self.shape, self.dtype = self.values.shape, self.values.dtype
        self.read = np.zeros(self.shape, dtype=int)

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key):
        self.read[key] += 1
        return self.values[key]


def record(values):
    """A lazily opened image, and its pixels that note who reads them."""
    stored = Recorded(np.asarray(values, dtype=np.float32))
    image = make_flux(values)
    return image.copy(data=indexing.LazilyIndexedArray(stored)), stored


SHAPES = st.tuples(st.integers(1, 90), st.integers(1, 90))


@given(SHAPES, st.integers(9, 99), st.integers(1, 40))
def test_tiles_cover_each_pixel_once_and_begin_at_cells(shape, chunk, cell):
    covered = np.zeros(shape, dtype=int)
    for tile in list_tiles(shape, chunk, cell):
        covered[tile.ys, tile.xs] += 1
        assert tile.ys.start % cell == tile.xs.start % cell == 0
        assert covered[tile.ys, tile.xs].shape == tile.shape
        assert max(tile.shape) <= max(chunk, cell)
    assert (covered == 1).all()


@given(SHAPES, st.integers(9, 99), st.integers(0, 120))
def test_a_tile_lies_within_the_window_grown_from_it(shape, chunk, depth):
    pixels = np.arange(shape[0] * shape[1]).reshape(shape)
    for tile in list_tiles(shape, chunk):
        window = tile.grow(depth, shape)
        inside = pixels[window.ys, window.xs][tile.within(window)]
        np.testing.assert_array_equal(inside, pixels[tile.ys, tile.xs])
        assert window.ys.start == max(tile.ys.start - depth, 0)
        assert window.xs.stop == min(tile.xs.stop + depth, shape[1])


def test_window_reads_its_pixels_alone():
    values = np.arange(600.0).reshape(20, 30)
    image, stored = record(values)
    window = read_window(image, Tile(slice(4, 9), slice(10, 12)))
    np.testing.assert_array_equal(window.values, values[4:9, 10:12])
    assert stored.read.sum() == 10
    assert window["y"].values.tolist() == [4, 5, 6, 7, 8]


def test_overlap_on_another_grid_is_what_the_tile_falls_on():
    header = make_header((50, 50), pixel=0.2)
    muse = make_flux(np.arange(2500.0).reshape(50, 50), header=header)
    target = get_grid(make_flux(np.zeros((250, 250))))
    part = read_overlap(muse, target, Tile(slice(0, 50), slice(200, 250)))
    # A fifth of 250 pixels in each direction, and what is read around it.
    assert part["y"].values[[0, -1]].tolist() == [0, 9 + 5]
    assert part["x"].values[[0, -1]].tolist() == [39 - 4, 49]


def test_overlap_with_a_grid_elsewhere_still_says_what_it_is_of():
    header = make_header((50, 50), shift=(90_000.0, 0.0))
    far = make_flux(np.ones((50, 50)), header=header)
    target = get_grid(make_flux(np.zeros((100, 100))))
    part = read_overlap(far, target, Tile(slice(0, 100), slice(0, 100)))
    assert part.shape == (1, 1)
    assert part.attrs["units"] == far.attrs["units"]


def add(shared, item):
    return shared + item


def test_runner_merges_results_of_all_items():
    assert RUNNER.run("add", add, 100, range(40), merge=sum) == 40 * 100 + sum(range(40))


def give_odd(shared, item):
    return item if item % 2 else None


def test_runner_leaves_out_results_that_are_none():
    assert RUNNER.run("give", give_odd, None, range(20), merge=sum) == sum(range(1, 20, 2))


def test_runner_without_merge_returns_nothing_but_calls_for_every_item():
    seen = []
    assert RUNNER.run("note", lambda shared, item: seen.append(item), None, range(9)) is None
    assert sorted(seen) == list(range(9))


def test_runner_reports_what_it_starts_and_each_task():
    started, done = [], []

    def start(title, tasks):
        started.append((title, tasks))
        return done.append

    runner = Runner(threads=2, on_start=start)
    runner.run("add up", add, 0, range(7), merge=sum)
    assert started == [("add up", 7)]
    assert sum(done) == 7


def fail(shared, item):
    raise ValueError(f"item {item}")


def test_runner_raises_what_a_task_raises():
    with pytest.raises(ValueError, match="item 3"):
        RUNNER.run("fail", fail, None, [3])


def test_tasks_have_one_thread_each_for_matrix_products():
    seen = []

    def note(shared, item):
        seen.extend(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")

    RUNNER.run("note", note, None, range(3))
    assert seen
    assert set(seen) == {1}


def make_noise(seed, shape=(330, 270)):
    image = np.random.default_rng(seed).normal(3, 20, shape).astype(np.float32)
    image[:40] = np.nan
    return image


@pytest.mark.parametrize("chunk", [100, 137, 1000])
def test_reductions_of_tiles_are_those_of_the_whole_image(chunk):
    one, other = make_noise(1), make_noise(2)
    clipped = AskDistribution(ClippedStatistics(3, 10), moments=True)
    parts = (((0,), AskDistribution(MadStd("one"))), ((1,), AskDistribution(MadStd("other"))))
    image, second = make_flux(one), make_flux(other)
    measurements = {
        "clipped": Measurement(clipped, (image,)),
        "together": Measurement(AskTogether(parts), (image, second)),
    }
    found = run_reductions(measurements, Runner(threads=2, chunk=chunk))
    assert found["clipped"] == reduce_images(clipped, image)
    assert found["together"] == {
        "one": reduce_images(AskDistribution(MadStd()), image)["mad_std"],
        "other": reduce_images(AskDistribution(MadStd()), second)["mad_std"],
    }


def test_measurements_of_images_of_other_shapes_each_see_their_own():
    large, small = make_flux(make_noise(1)), make_flux(make_noise(2)[:120, :90])
    median = AskDistribution(Quantile(0.5))
    measurements = {
        "large": Measurement(median, (large,)),
        "small": Measurement(median, (small,)),
        "again": Measurement(AskDistribution(MadStd()), (large,)),
    }
    found = run_reductions(measurements, RUNNER)
    assert list(found) == ["large", "small", "again"]
    assert found == {name: reduce_images(*one) for name, one in list_measured(measurements)}


def list_measured(measurements):
    return [(name, (one.reduction, *one.images)) for name, one in measurements.items()]


def test_no_measurements_need_no_pass():
    def refuse(title, tasks):
        raise AssertionError(title)

    assert run_reductions({}, Runner(on_start=refuse)) == {}


def test_measurements_of_one_image_share_each_pass_over_it():
    image, stored = record(make_noise(3))
    measurements = {
        "median": Measurement(AskDistribution(Quantile(0.5)), (image,)),
        "low": Measurement(AskDistribution(Quantile(0.001)), (image,)),
        "noise": Measurement(AskDistribution(MadStd()), (image,)),
    }
    passes = []
    run_reductions(measurements, Runner(threads=2, chunk=100, on_start=lambda *_: passes.append))
    assert (stored.read == 2).all()


@dataclass(frozen=True)
class SumAround:
    """First count pixels, then sum the means of squares around every pixel of the first image."""

    reach: int = 3
    cell: int = 1
    passes: int = 2

    @property
    def depth(self):
        return self.reach

    def find_depth(self, state):
        return 0 if state == 0 else self.reach

    def start(self):
        return 0

    def look(self, state, block):
        if state == 0:
            return block.select(0).owned[0].size
        image = block.arrays[0]
        total = 0
        ys, xs = block.core
        for y in range(ys.start, ys.stop):
            for x in range(xs.start, xs.stop):
                around = image[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
                total += int(around.sum())
        return total

    def merge(self, one, other):
        return one + other

    def advance(self, state, merged):
        return merged if state == 0 else ("done", merged)

    def is_done(self, state):
        return isinstance(state, tuple)

    def finish(self, state):
        return state[1]


@dataclass(frozen=True)
class SumAlone(SumAround):
    """Counts and sums the pixels of an image, without neighbours."""

    reach: int = 0

    def look(self, state, block):
        (owned,) = block.owned
        return owned.size if state == 0 else int(owned.sum())


@pytest.mark.parametrize("order", [("far", "near"), ("near", "far")])
def test_measurements_of_one_image_have_the_neighbours_of_the_farthest(order):
    values = np.random.default_rng(4).integers(0, 9, (40, 30))
    image, _ = record(values)
    given = {"far": Measurement(SumAround(), (image,)), "near": Measurement(SumAlone(), (image,))}
    found = run_reductions({name: given[name] for name in order}, Runner(threads=2, chunk=20))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, 3), (7, 7))
    assert found == {"far": windows.sum(), "near": values.sum()}


@dataclass(frozen=True)
class LargestTile(SumAround):
    """The side of the largest tile, found in two passes."""

    reach: int = 0

    def look(self, state, block):
        return max(block.select(0).owned[0].shape)

    def merge(self, one, other):
        return max(one, other)


@pytest.mark.parametrize(
    ("cells", "groups"),
    [
        ({"noise": 1, "box": 100, "line": 100, "rays": 100}, ["noise, box, line, rays"]),
        ({"noise": 1, "box": 101, "line": 100, "rays": 100}, ["noise, box", "line, rays"]),
        ({"box": 37, "noise": 1, "line": 100, "rays": 50}, ["box, noise", "line, rays"]),
        ({"box": 40, "line": 100}, ["box, line"]),
        # A box larger than a chunk takes in those that divide it.
        ({"line": 100, "box": 500, "other": 150}, ["line, box", "other"]),
    ],
    ids=str,
)
def test_measurements_share_tiles_no_larger_than_one_alone_needs(cells, groups):
    image = make_flux(np.zeros((600, 620)))
    measurements = {name: Measurement(LargestTile(cell=n), (image,)) for name, n in cells.items()}
    titles = []
    runner = Runner(
        threads=2, chunk=200, on_start=lambda title, _: titles.append(title) or (lambda _: None)
    )
    found = run_reductions(measurements, runner)
    assert list(found) == list(cells)
    assert max(found.values()) <= max(200, *cells.values())
    assert [", ".join(group) for group in group_by_cell(cells, 200)] == groups
    assert titles == [f"measure {group}" for group in groups for _ in range(2)]


def test_a_pass_reads_only_the_images_and_neighbours_it_looks_at():
    values = np.random.default_rng(4).integers(0, 9, (40, 30))
    image, stored = record(values)
    unused, untouched = record(values)
    measurement = {"sum": Measurement(SumAround(), (image, unused))}
    found = run_reductions(measurement, Runner(threads=2, chunk=20))["sum"]
    padded = np.pad(values, 3)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))
    assert found == windows.sum()
    assert untouched.read.sum() == 0
    # Once by itself, then with three neighbours on each inner side.
    assert stored.read.sum() == values.size + (2 * 20 + 2 * 3) * (30 + 2 * 3)
    assert stored.read[0, 0] == 2
