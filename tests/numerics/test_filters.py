"""Fast filters against their plain forms, and their independence of what else is in the window."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from photutils.detection import find_peaks as find_peaks_plainly
from scipy import ndimage
from threadpoolctl import threadpool_limits

from phangs_xr.numerics.filters import (
    dilate_cross,
    dilate_disc,
    fill_holes,
    find_peaks,
    sample_gaussian,
    smooth_gaussian,
)

KERNELS = [(9.8, 49), (1.0, 4), (0.75, 3), (2.0, 0)]
WINDOWED = [(9.8, 49), (1.0, 4)]
PLACES = [(100, 100), (137, 63), (3, 211)]
SHAPES = [(300, 210), (33, 128), (7, 90), (1, 1), (1, 40)]


def make_image(shape, missing=0.2, seed=1):
    """Noise around a level, a bright star, and missing pixels, some in a corner as of a mosaic."""
    rng = np.random.default_rng(seed)
    image = rng.normal(3, 10, shape).astype(np.float32)
    image[shape[0] // 2, shape[1] // 2] = 1e5
    image[rng.random(shape) < missing] = np.nan
    image[: shape[0] // 3, : shape[1] // 4] = np.nan
    return image


def smooth_plainly(image, sigma, radius):
    """Weighted means by SciPy in double precision; NaN where nothing is within reach."""
    kernel = sample_gaussian(sigma, radius)
    present = np.isfinite(image)
    sums = []
    for values in (np.where(present, image.astype(float), 0.0), present.astype(float)):
        for axis in (0, 1):
            values = ndimage.correlate1d(values, kernel, axis=axis, mode="constant")
        sums.append(values)
    total, weight = sums
    square = np.ones([2 * radius + 1] * 2)
    reached = ndimage.binary_dilation(present, structure=square)
    return np.divide(total, weight, out=np.full(image.shape, np.nan), where=reached)


def fill_plainly(image, coverage, sigma, radius, passes):
    """As the earlier code: every pass fills everywhere, the end result is cut to the coverage."""
    filled = image.astype(float)
    for _ in range(passes):
        filled = np.where(np.isnan(filled), smooth_plainly(filled, sigma, radius), filled)
    return np.where(coverage, filled, np.nan)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("sigma", "radius"), KERNELS)
def test_smoothing_equals_scipys(shape, sigma, radius):
    image = make_image(shape)
    smoothed = smooth_gaussian(image, sigma, radius)
    assert smoothed.dtype == np.float32
    # Sums in double precision: only the result is rounded.
    np.testing.assert_allclose(smoothed, smooth_plainly(image, sigma, radius), rtol=6e-8)


def test_smoothing_keeps_double_precision():
    image = np.random.default_rng(3).normal(5, 1, (60, 50))
    image[20:30, 5:20] = np.nan
    smoothed = smooth_gaussian(image, 2.5, 12)
    np.testing.assert_allclose(smoothed, smooth_plainly(image, 2.5, 12), rtol=1e-12)


def test_smoothing_keeps_a_constant():
    image = np.full((70, 90), 7.3, dtype=np.float32)
    image[20:40, 10:60] = np.nan
    np.testing.assert_allclose(smooth_gaussian(image, 4.0, 20), np.float32(7.3), rtol=1e-6)


def test_smoothing_of_nothing_is_nothing():
    image = np.full((40, 30), np.nan, dtype=np.float32)
    assert np.isnan(smooth_gaussian(image, 1.0, 4)).all()
    assert smooth_gaussian(np.empty((0, 5), np.float32), 1.0, 4).shape == (0, 5)


def test_infinities_are_missing_to_smoothing():
    image = make_image((40, 50), missing=0)
    infinite, missing = image.copy(), image.copy()
    infinite[17, 21], missing[17, 21] = np.inf, np.nan
    np.testing.assert_array_equal(smooth_gaussian(infinite, 1, 4), smooth_gaussian(missing, 1, 4))


def count_changed_by_window(sigma, radius, row, column, missing):
    """Return how many pixels are smoothed to something else in a window than in the image."""
    # In double precision, which shows what rounding to single precision hides, but for ties.
    image = make_image((300, 400), missing).astype(np.float64)
    whole = smooth_gaussian(image, sigma, radius)
    top, left = max(row - radius, 0), max(column - radius, 0)
    window = image[top : row + 150 + radius, left:]
    part = smooth_gaussian(window, sigma, radius, (top, left))
    inner = part[row - top : row - top + 150, column - left :]
    expected = whole[row : row + 150, column:]
    assert np.isfinite(expected).any()
    return np.count_nonzero((inner != expected) & ~(np.isnan(inner) & np.isnan(expected)))


@pytest.mark.parametrize(("sigma", "radius"), WINDOWED)
@pytest.mark.parametrize(("row", "column"), PLACES)
@pytest.mark.parametrize("missing", [0, 0.2])
def test_smoothed_pixels_do_not_depend_on_the_window(sigma, radius, row, column, missing):
    assert count_changed_by_window(sigma, radius, row, column, missing) == 0


ARCHITECTURES = {"Haswell": "Haswell", "Prescott": "Katmai"}
"""What OpenBLAS may be told to play, and what it then says it is."""


def hash_smoothed():
    """Return a digest of all bits of smoothed images."""
    images = [smooth_gaussian(make_image((300, 400)), *how) for how in WINDOWED]
    return hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()


@pytest.mark.parametrize("core", ARCHITECTURES)
def test_smoothed_pixels_depend_neither_on_the_processor_nor_there_on_the_window(core):
    """OpenBLAS can play another processor; these two round differently within a block."""
    script = (
        "from tests.numerics.test_filters import *\n"
        "from threadpoolctl import threadpool_info\n"
        "print(hash_smoothed())\n"
        "print(*(count_changed_by_window(*how, *at, 0) for how in WINDOWED for at in PLACES))\n"
        "print(*{one['architecture'] for one in threadpool_info() if 'architecture' in one})"
    )
    environment = {**os.environ, "OPENBLAS_CORETYPE": core}
    made = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    digest, counts, played = made.stdout.splitlines()
    if played != ARCHITECTURES[core]:
        pytest.skip(f"OpenBLAS does not play {core} here, but {played}")
    assert digest == hash_smoothed()
    assert counts.split() == ["0"] * len(WINDOWED) * len(PLACES)


def test_smoothed_pixels_do_not_depend_on_threads():
    image = make_image((300, 400))
    made = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            made.append(smooth_gaussian(image, 9.8, 49))
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])


def test_smoothing_only_what_is_wanted_changes_nothing_there():
    image = make_image((300, 210))
    wanted = np.zeros(image.shape, dtype=bool)
    wanted[150:290:7, 40:180:11] = True
    smoothed = smooth_gaussian(image, 3.0, 15, wanted=wanted)
    whole = smooth_gaussian(image, 3.0, 15)
    np.testing.assert_array_equal(smoothed[wanted], whole[wanted])
    assert np.isnan(smoothed[:128]).all()


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("share", [0.02, 0.6])
def test_filling_equals_its_plain_form(passes, share):
    image = make_image((150, 130), missing=0)
    coverage = np.isfinite(image)
    rng = np.random.default_rng(2)
    image[ndimage.binary_dilation(rng.random(image.shape) < share, iterations=2)] = np.nan
    image[60:90, 70:95] = np.nan
    filled = fill_holes(image, coverage, 1.0, 4, passes)
    plain = fill_plainly(image, coverage, 1.0, 4, passes)
    np.testing.assert_allclose(filled, plain, rtol=2e-6, atol=1e-5)
    # 30 pixels across is wider than three passes reach.
    assert np.isnan(filled[75, 82])


def test_filling_changes_neither_its_input_nor_what_is_there():
    image = make_image((80, 60))
    before = image.copy()
    filled = fill_holes(image, np.ones(image.shape, bool), 1.0, 4, 2)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(filled[np.isfinite(image)], image[np.isfinite(image)])


def test_filling_without_holes_only_cuts_to_the_coverage():
    image = make_image((50, 40), missing=0)
    image[np.isnan(image)] = 1
    coverage = np.zeros(image.shape, dtype=bool)
    coverage[10:30] = True
    filled = fill_holes(image, coverage, 1.0, 4, 2)
    np.testing.assert_array_equal(filled, np.where(coverage, image, np.nan))


def test_a_later_pass_sees_what_an_earlier_one_filled_outside_the_coverage():
    image = np.full((9, 40), np.nan, dtype=np.float32)
    image[:, 0] = 1
    image[:, 1] = 3
    coverage = np.zeros(image.shape, dtype=bool)
    coverage[4, 8] = True
    # Seven pixels from the nearest value: only the second pass gets there, over no data.
    assert np.isnan(fill_holes(image, coverage, 1.0, 4, 1)[4, 8])
    assert 1 < fill_holes(image, coverage, 1.0, 4, 2)[4, 8] < 3


@pytest.mark.parametrize("iterations", [0, 1, 2, 5])
def test_dilation_by_a_cross_equals_scipys(iterations):
    mask = np.random.default_rng(3).random((40, 30)) > 0.97
    grown = dilate_cross(mask, iterations)
    expected = ndimage.binary_dilation(mask, iterations=iterations) if iterations else mask
    np.testing.assert_array_equal(grown, expected)


@pytest.mark.parametrize("shape", [(60, 50), (3, 50), (50, 3), (1, 1)])
@pytest.mark.parametrize("radius", [0, 1, 2, 5, 10])
def test_dilation_by_a_disc_equals_scipys(shape, radius):
    mask = np.random.default_rng(4).random(shape) > 0.98
    mask[0, 0] = True
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    expected = ndimage.binary_dilation(mask, structure=x**2 + y**2 <= radius**2)
    np.testing.assert_array_equal(dilate_disc(mask, radius), expected)


@pytest.mark.parametrize("dilate", [dilate_cross, dilate_disc])
def test_dilation_changes_no_input(dilate):
    mask = np.random.default_rng(5).random((20, 20)) > 0.8
    before = mask.copy()
    dilate(mask, 3)
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("separation", [2, 3.5, 7.5, 8])
@pytest.mark.parametrize("threshold", [5.0, 25.0])
def test_peaks_are_those_photutils_finds(separation, threshold):
    image = make_image((120, 90))
    # Peaks of one height, near each other and at the edges.
    image[100:103, 40:44] = 60
    image[0, 50] = image[119, 89] = image[60, 0] = 80
    rows, columns = find_peaks(image, threshold, separation)
    table = find_peaks_plainly(image, threshold, min_separation=separation)
    expected = set(zip(table["y_peak"].tolist(), table["x_peak"].tolist(), strict=True))
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == expected
    assert len(expected) > 4


def test_no_peaks_where_nothing_is_above_the_threshold():
    rows, columns = find_peaks(make_image((30, 30)), 1e6, 3)
    assert rows.size == columns.size == 0
    assert find_peaks(np.full((30, 30), np.nan, np.float32), 0, 3)[0].size == 0
