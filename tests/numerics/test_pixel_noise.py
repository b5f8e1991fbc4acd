"""The noise of single pixels, of white and of drizzled noise, beside sources."""

import numpy as np
import pytest
from astropy.nddata import block_reduce
from scipy import ndimage

from phangs_xr.numerics.lazy import reduce_images
from phangs_xr.numerics.pixel_noise import MeasurePixelNoise
from phangs_xr.simulate.hst import drizzle
from tests.images import make_image

SHARE = 0.0762


def make_noise(share, side=500, seed=1):
    rng = np.random.default_rng(seed)
    return drizzle(rng.standard_normal((side + 2, side + 2)), share).astype(np.float32)


def measure(*images):
    reduction = MeasurePixelNoise(weighted=len(images) > 1)
    return reduce_images(reduction, *(make_image(one, "electron / s") for one in images))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (SHARE, 0.73)])
def test_scatter_of_pixels_is_found(share, expected):
    noise = make_noise(share)
    assert measure(noise) == pytest.approx(expected, abs=0.01)
    assert noise.std() == pytest.approx(expected, abs=0.01)
    # What drizzling takes from pixels it does not take from sums.
    assert block_reduce(noise, 20).std() / 20 == pytest.approx(1, abs=0.1)


def test_ratio_to_the_weights_is_found_beside_sources_and_slopes():
    y, x = np.indices((500, 500))
    rng = np.random.default_rng(2)
    sources = np.zeros((500, 500))
    sources[tuple(rng.integers(0, 500, (2, 60)))] = 400
    image = 0.01 * x + 0.02 * y + ndimage.gaussian_filter(sources, 2)
    weight = np.where(x < 250, 4.0, 0.25).astype(np.float32)
    image = (image + make_noise(SHARE) / np.sqrt(weight)).astype(np.float32)
    assert measure(image, weight) == pytest.approx(0.73, abs=0.02)
