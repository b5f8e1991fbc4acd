"""Errors of the published recipe, with measured pixel noise, on galaxies whose truth is known."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import block_reduce
from astropy.stats import mad_std
from scipy import ndimage

import phangs_xr
from tests.conftest import require_shared

BANDS = {
    "acs_f658n": ("acs_f658n", "uvis_f555w", "acs_f814w"),
    "uvis_f657n": ("uvis_f657n", "uvis_f555w", "uvis_f814w"),
}
BOX = 10


def write_config(directory, bands, path):
    names = ("narrow", "continuum1", "continuum2")
    lines = ['galaxy = "ngc0628"', 'recipe = "chandar2025"', "[inputs]"]
    for name, band in zip(names, bands, strict=True):
        lines.append(f'{name} = "{directory}/hst/ngc0628_{band}_exp_drc_sci.fits"')
        lines.append(f'{name}_weight = "{directory}/hst/ngc0628_{band}_err_drc_wht.fits"')
    lines += ["[options.correct_extinction]", "ebv = 0.0607"]
    lines += ["[options.estimate_errors]", 'pixel_noise = "measured"']
    path.write_text("\n".join(lines))
    return path


def flatten(image):
    """An image less its median over 101 pixels, as the median of medians of 10 x 10."""
    coarse = block_reduce(image, BOX, func=np.nanmedian)
    wide = ndimage.generic_filter(coarse, np.nanmedian, size=11, mode="nearest")
    fine = ndimage.zoom(np.nan_to_num(wide), BOX, order=1, grid_mode=True, mode="nearest")
    shape = fine.shape
    return image[: shape[0], : shape[1]] - fine


def sum_blocks(image, side):
    rows, columns = (length // side * side for length in image.shape)
    return block_reduce(image[:rows, :columns], side, func=np.sum)


@pytest.mark.parametrize("name", BANDS)
@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_errors_are_those_of_pixels_and_of_sums(name, tmp_path):
    directory = require_shared(f"truth/{name}")
    config = write_config(directory, BANDS[name], tmp_path / "errors.toml")
    tree = phangs_xr.run(config, tmp_path / "out", chunk=600)
    ratio = float(tree["fits"]["pixel_noise_ratio"][0])
    assert ratio == pytest.approx(0.73, abs=0.02)
    image, error = (
        tree["hst"][one].values.astype(float) for one in ("hst_contsub", "hst_contsub_err")
    )
    # Sky is where there is little of either light: sources are far from Gaussian.
    stars = fits.getdata(directory / f"hst/ngc0628_{BANDS[name][1]}_exp_drc_sci.fits")
    gas = fits.getdata(directory / "truth_halpha.fits")
    left = flatten(image)
    shape = tuple(slice(length) for length in left.shape)
    error, known = error[shape], np.isfinite(left) & np.isfinite(error[shape])
    sky = known.copy()
    for light in (stars, gas):
        smooth = ndimage.gaussian_filter(np.nan_to_num(light.astype(float)), 8)[shape]
        sky &= smooth < np.quantile(smooth[known], 0.5)
    left[~sky] = np.nan
    found = {1: mad_std((left / error)[sky])}
    for side in (10, 30):
        sums, squares = sum_blocks(left, side), sum_blocks(error**2, side)
        pulls = sums / np.sqrt(squares) * ratio
        found[side] = mad_std(pulls[np.isfinite(pulls)])
    print(name, {side: round(float(value), 3) for side, value in found.items()})
    assert found[1] == pytest.approx(1, abs=0.05)
    assert found[10] == pytest.approx(1, abs=0.1)
    assert found[30] == pytest.approx(1, abs=0.1)
