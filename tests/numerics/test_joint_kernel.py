"""The joint estimate: against the whole image in Fourier space, and against drawn noise."""

import numpy as np
import pytest
from scipy import ndimage

from phangs_xr.numerics.joint_kernel import find_error_ratios, make_filter, make_kernel
from phangs_xr.steps.weigh_residual import convolve_known, find_excess

SIDE, SIGMA, HST, MUSE = 256, 1.95, 2500.0, 1600.0


def make_residual(seed=1):
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), 1.2) * 300


@pytest.mark.parametrize("residual_excess", [0.0, 200.0])
def test_correction_is_that_of_the_whole_image(residual_excess):
    """Away from the border, where Fourier's image goes on periodically."""
    residual = make_residual()
    excess = find_excess(residual_excess, HST, SIGMA)
    whole = np.fft.ifft2(make_filter(SIGMA, HST, MUSE, excess, SIDE) * np.fft.fft2(residual)).real
    reach = 20
    made = convolve_known(
        residual,
        origin=(0, 0),
        sigma=SIGMA,
        reach=reach,
        density=HST,
        muse_noise=np.sqrt(MUSE),
        residual_excess=residual_excess,
        share=False,
    )
    inner = slice(40, -40)
    off = np.abs(made - whole)[inner, inner].max()
    assert off < 1e-4 * np.ptp(whole[inner, inner])


def test_kernel_holds_all_of_the_filter():
    kernel = make_kernel(SIGMA, HST, MUSE, 0.0, 20)
    assert kernel.sum() == pytest.approx(make_filter(SIGMA, HST, MUSE, 0.0)[0, 0], rel=1e-4)
    assert np.abs(kernel[[0, -1]]).max() < 1e-5 * kernel.max()


def test_errors_of_sums_are_those_of_drawn_noise():
    """Noise of H and M drawn a thousand times; sums over a nebula of 30 and of 400 spaxels."""
    rng = np.random.default_rng(2)
    side = 128
    gain = make_filter(SIGMA, HST, MUSE, 0.0, side)
    frequency = np.fft.fftfreq(side)
    blur = np.exp(-2 * (np.pi * SIGMA) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    y, x = np.ogrid[:side, :side]
    masks = [np.hypot(y - 64, x - 64) < radius for radius in (3.1, 11.3)]
    sums = []
    for _ in range(1000):
        hst = rng.normal(0, np.sqrt(HST), (side, side))
        muse = rng.normal(0, np.sqrt(MUSE), (side, side))
        spectrum = np.fft.fft2(hst)
        moved = gain * (np.fft.fft2(muse) - blur * spectrum)
        joint = hst + np.fft.ifft2(moved).real
        sums.append([image[mask].sum() for mask in masks for image in (hst, joint)])
    drawn = np.std(sums, axis=0).reshape(2, 2)
    cut = [mask[40:90, 40:90] for mask in masks]
    parts = find_error_ratios(SIGMA, HST, MUSE, 0.0, 0.0, cut)
    own = np.sqrt(HST * np.array([mask.sum() for mask in masks]))
    joint = np.hypot(own * parts["kept"], np.sqrt(MUSE) * parts["muse"])
    np.testing.assert_allclose(own * parts["own"], drawn[:, 0], rtol=0.08)
    np.testing.assert_allclose(joint, drawn[:, 1], rtol=0.08)
    assert (joint < own).all()
    assert ((parts["share"] > 0) & (parts["share"] < 1)).all()


def test_muse_without_noise_decides_on_all_that_it_resolves():
    shares = [
        find_error_ratios(SIGMA, HST, muse, 0.0, 0.0, [np.ones((20, 20), bool)])["share"][0]
        for muse in (1e-3, MUSE, 1e9)
    ]
    assert shares[0] < 0.01
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > 0.99
