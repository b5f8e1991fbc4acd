"""Statistics of whole images against NumPy's and astropy's, and their independence of chunks."""

import numpy as np
import pytest
import xarray as xr
from astropy.stats import mad_std, sigma_clipped_stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phangs_xr.numerics import statistics
from phangs_xr.numerics.lazy import is_chunked, reduce_images
from phangs_xr.numerics.reductions import Block
from phangs_xr.numerics.statistics import (
    AskDistribution,
    AskTogether,
    ClippedStatistics,
    MadStd,
    Quantile,
    find_clipped_statistics,
    find_mad_std,
    find_median,
    find_percentile,
)

RNG = np.random.default_rng(12)
SHAPE = (317, 211)


def draw_images():
    """Images of the distributions that astronomers meet, and of some that break things."""
    noise = RNG.normal(2, 30, SHAPE)
    holes = np.where(RNG.random(SHAPE) < 0.7, np.nan, noise)
    holes[5, 7], holes[9, 1] = np.inf, -np.inf
    few = np.full(SHAPE, np.nan)
    few[100, 100:104] = [4, 1, 2, 2]
    zeros = np.where(RNG.random(SHAPE) < 0.4, 0.0, noise)
    return {
        "normal": noise,
        "heavy": RNG.standard_cauchy(SHAPE) * 50 + 1e3,
        "bright": noise + RNG.pareto(1.2, SHAPE) * 20,
        "constant": np.full(SHAPE, -3.7),
        "steps": RNG.integers(-2, 3, SHAPE),
        # All in a few coarse bins: relative differences of 1e-5.
        "narrow": 1000 + RNG.normal(0, 0.01, SHAPE),
        "tiny": noise * 1e-42,
        "holes": holes,
        "few": few,
        "zeros": np.where(RNG.random(SHAPE) < 0.3, -0.0, zeros),
    }


IMAGES = {kind: image.astype(np.float32) for kind, image in draw_images().items()}


@pytest.fixture(params=IMAGES)
def image(request):
    return IMAGES[request.param]


@pytest.fixture(params=[True, False], ids=["small", "large"])
def _as_large(request, monkeypatch):
    """Also with the rule for large images, which keep the values of few bins."""
    if not request.param:
        monkeypatch.setattr(statistics, "_SMALL", 0)


def label(values):
    return xr.DataArray(values, dims=("y", "x"), attrs={"units": "adu"})


def keep_finite(image):
    return image[np.isfinite(image)].astype(np.float64)


@pytest.mark.usefixtures("_as_large")
@pytest.mark.parametrize("percent", [0, 0.1, 25, 50, 97.3, 100])
def test_percentile_equals_numpys(image, percent):
    found = find_percentile(label(image), percent)
    assert float(found) == pytest.approx(np.percentile(keep_finite(image), percent), rel=1e-14)
    assert found.attrs["units"] == "adu"


@pytest.mark.usefixtures("_as_large")
def test_median_equals_numpys(image):
    assert float(find_median(label(image))) == np.median(keep_finite(image))


@pytest.mark.usefixtures("_as_large")
def test_mad_std_equals_astropys(image):
    expected = mad_std(keep_finite(image))
    assert float(find_mad_std(label(image))) == pytest.approx(expected, rel=1e-14, abs=0)


@pytest.mark.usefixtures("_as_large")
@pytest.mark.parametrize(("sigma", "iterations"), [(3, 10), (3, 5), (2, 50), (3, 0)])
def test_clipped_statistics_equal_astropys(image, sigma, iterations):
    found = find_clipped_statistics(label(image), sigma, iterations)
    # With no iteration at all astropy would clip until nothing goes.
    values = keep_finite(image)
    expected = (
        sigma_clipped_stats(values, sigma=sigma, maxiters=iterations)
        if iterations
        else (values.mean(), np.median(values), values.std())
    )
    size = np.abs(values).max()
    for name, value in zip(("mean", "median", "std"), expected, strict=True):
        assert float(found[name]) == pytest.approx(value, rel=1e-9, abs=1e-9 * size), name


@pytest.mark.usefixtures("_as_large")
@pytest.mark.parametrize("level", [1e4, -1e6])
def test_level_far_above_the_scatter_leaves_its_digits(level):
    values = np.random.default_rng(6).normal(level, 1, (300, 250)).astype(np.float32)
    found = find_clipped_statistics(label(values), 3, 10)
    expected = sigma_clipped_stats(values.astype(np.float64), sigma=3, maxiters=10)
    for name, value in zip(("mean", "median", "std"), expected, strict=True):
        assert float(found[name]) == pytest.approx(value, rel=1e-11), name


def test_nothing_has_no_statistics():
    image = label(np.full((20, 30), np.nan, np.float32))
    assert np.isnan(find_median(image))
    assert np.isnan(find_mad_std(image))
    assert all(np.isnan(value) for value in find_clipped_statistics(image).values())


def test_one_pixel_has_statistics():
    image = label(np.float32([[np.nan, 4.5]]))
    assert float(find_percentile(image, 12)) == 4.5
    assert float(find_mad_std(image)) == 0
    assert {name: float(one) for name, one in find_clipped_statistics(image).items()} == {
        "mean": 4.5,
        "median": 4.5,
        "std": 0,
    }


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
images = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=finite
)


@given(images, st.floats(0, 100))
def test_percentile_equals_numpys_for_any_image(values, percent):
    found = float(find_percentile(label(values), percent))
    expected = np.percentile(values.astype(np.float64), percent)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-50)


@given(images)
def test_mad_std_equals_astropys_for_any_image(values):
    expected = mad_std(values.astype(np.float64))
    assert float(find_mad_std(label(values))) == pytest.approx(expected, rel=1e-12, abs=1e-50)


@given(images)
def test_median_lies_within_the_image_and_moves_with_its_sign(values):
    median = float(find_median(label(values)))
    assert values.min() <= median <= values.max()
    assert float(find_median(label(-values))) == pytest.approx(-median, rel=1e-15)


@pytest.mark.usefixtures("_as_large")
@pytest.mark.parametrize("kind", ["normal", "heavy", "bright", "narrow", "holes", "zeros"])
def test_answers_are_the_same_bits_for_any_chunks(kind):
    query = ClippedStatistics(3, 10)
    reductions = [
        AskDistribution(query, moments=True),
        AskDistribution(MadStd()),
        AskDistribution(Quantile(0.001)),
    ]
    for reduction in reductions:
        whole = reduce_images(reduction, label(IMAGES[kind]))
        for chunk in (300, 137, 60):
            chunked = label(IMAGES[kind]).chunk({"y": chunk, "x": chunk})
            assert reduce_images(reduction, chunked).compute() == whole


def test_chunked_images_are_asked_lazily():
    found = find_clipped_statistics(label(IMAGES["normal"]).chunk({"y": 100, "x": 100}))
    assert all(is_chunked(value) or value.chunks is not None for value in found.values())


def count_passes(reduction, image):
    """How often a reduction looks at an image, which is as large as can be."""
    whole = (slice(0, image.shape[0]), slice(0, image.shape[1]))
    state, passes = reduction.start(), 0
    while not reduction.is_done(state):
        block = Block((image,), whole, (0, 0), (0, 0), image.shape)
        state = reduction.advance(state, reduction.look(state, block))
        passes += 1
    return passes


@pytest.mark.parametrize("query", [Quantile(0.001), Quantile(0.5), MadStd()])
def test_two_passes_settle_ranks(query, monkeypatch):
    monkeypatch.setattr(statistics, "_SMALL", 0)
    image = np.concatenate([IMAGES["normal"], IMAGES["bright"]])
    assert count_passes(AskDistribution(query), image) == 2


def test_few_passes_settle_ten_clippings(monkeypatch):
    monkeypatch.setattr(statistics, "_SMALL", 0)
    for kind in ("normal", "bright", "heavy"):
        reduction = AskDistribution(ClippedStatistics(3, 10), moments=True)
        assert count_passes(reduction, IMAGES[kind]) <= 4


class AskBelow:
    """The MAD standard deviation of the values of a line that are ≤ 0."""

    def __init__(self, slope, intercept):
        self.slope, self.intercept = slope, intercept

    def draw(self, values):
        return (values - np.float32(self.intercept)) / np.float32(self.slope)

    def __call__(self, values):
        below = values.transform(self.draw).select(high=0.0)
        return {"size": below.size, "mad_std": below.find_mad_std()}


@pytest.mark.usefixtures("_as_large")
@pytest.mark.parametrize(("slope", "intercept"), [(0.58, -7.3), (-0.58, 3.0), (1.0, 0.0)])
@pytest.mark.parametrize("kind", ["normal", "bright", "heavy", "zeros", "holes"])
def test_values_of_a_line_are_known_from_those_it_is_drawn_through(kind, slope, intercept):
    ask = AskBelow(slope, intercept)
    found = reduce_images(AskDistribution(ask), label(IMAGES[kind]))
    drawn = ask.draw(IMAGES[kind])
    below = keep_finite(drawn[drawn <= 0])
    assert found["size"] == below.size
    assert found["mad_std"] == pytest.approx(mad_std(below), rel=1e-14)


def test_parts_asked_together_answer_as_if_alone():
    one, other = IMAGES["normal"], IMAGES["holes"]
    together = AskTogether(
        (
            ((1,), AskDistribution(MadStd("other"))),
            ((0,), AskDistribution(ClippedStatistics(3, 5), moments=True)),
        )
    )
    found = reduce_images(together, label(one), label(other))
    assert found["other"] == float(find_mad_std(label(other)))
    assert found["mean"] == float(find_clipped_statistics(label(one), 3, 5)["mean"])
