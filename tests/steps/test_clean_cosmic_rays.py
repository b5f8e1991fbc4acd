"""Cosmic rays go, stars, clusters and knots stay."""

import numpy as np
import pytest
from scipy import ndimage

from phangs_xr.errors import InputError
from phangs_xr.simulate.hst import drizzle
from phangs_xr.steps.clean_cosmic_rays import CleanCosmicRays, clean_cosmic_rays
from tests.images import make_image

SIDE, NOISE, SHARE = 300, 0.004, 0.0762
PSF = 0.85
"""Sigma of the sharpest point source HST gives [pixel]."""


def scatter_points(rng, count):
    return tuple(rng.integers(15, SIDE - 15, (2, count)))


def make_bands(rng, sources=(0.0, 0.0, 0.0), count=40):
    """Three bands of drizzled noise with point sources of some peaks, in noises, at one place."""
    places = scatter_points(rng, count)
    bands = []
    for peak in sources:
        noise = drizzle(rng.standard_normal((SIDE + 2, SIDE + 2)), SHARE)
        points = np.zeros((SIDE, SIDE))
        points[places] = peak * 2 * np.pi * PSF**2
        bands.append(NOISE * (noise + ndimage.gaussian_filter(points, PSF)))
    return bands, places


def clean(bands, **options):
    names = ("narrow", "continuum1", "continuum2")
    images = [make_image(band.astype(np.float32), "electron / s") for band in bands]
    errors = [make_image(np.full((SIDE, SIDE), 0.73 * NOISE, np.float32), "electron / s")] * 3
    given = dict(zip(names, images, strict=True)) | {
        f"{name}_err": one for name, one in zip(names, errors, strict=True)
    }
    return clean_cosmic_rays(**given, options=CleanCosmicRays(**options))


@pytest.mark.parametrize("band", [0, 1, 2])
def test_rays_of_every_band_are_found_and_replaced(band):
    rng = np.random.default_rng(band)
    bands, _ = make_bands(rng)
    rays = np.zeros((SIDE + 2, SIDE + 2))
    places = scatter_points(rng, 60)
    rays[places] = NOISE * rng.uniform(30, 300, 60)
    struck = bands[band] + drizzle(rays, SHARE)
    truth = bands[band]
    bands[band] = struck
    made = clean(bands)
    y, x = (axis - 1 for axis in places)
    found = made["cosmic_mask"].values[y, x] > 0
    assert found.mean() >= 0.95
    name = ("narrow", "continuum1", "continuum2")[band]
    left = made[f"{name}_clean"].values - truth
    assert np.median(np.abs(left[y, x][found])) < 1.5 * NOISE
    assert made["cosmic_mask"].values.sum() < 60 * 9


@pytest.mark.parametrize(
    ("sources", "what"),
    [
        ((60, 400, 300), "star"),
        ((2, 7, 4), "faint blue cluster"),
        ((80, 0, 0), "knot of an HII region"),
    ],
)
def test_sources_stay(sources, what):
    bands, places = make_bands(np.random.default_rng(5), sources)
    made = clean(bands)
    mask = made["cosmic_mask"].values > 0
    assert ndimage.binary_dilation(mask)[places].mean() <= 0.025, what
    assert mask.sum() <= 4


def test_noise_alone_has_no_rays():
    bands, _ = make_bands(np.random.default_rng(6))
    assert clean(bands)["cosmic_mask"].values.sum() == 0


def test_bands_are_untouched_elsewhere_and_missing_pixels_stay():
    rng = np.random.default_rng(7)
    bands, _ = make_bands(rng)
    bands[0][40, 50] += 100 * NOISE
    bands[0][:10] = np.nan
    made = clean(bands)
    narrow, mask = made["narrow_clean"].values, made["cosmic_mask"].values > 0
    assert mask[40, 50]
    np.testing.assert_array_equal(narrow[~mask], bands[0].astype(np.float32)[~mask])
    assert np.isnan(narrow[:10]).all()


def test_strange_options_are_refused():
    with pytest.raises(InputError, match="sharpness"):
        CleanCosmicRays(sharpness=1.5)
