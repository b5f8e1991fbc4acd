"""The model of the narrow band: what was planted is found, and each part of it is needed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from phangs_xr.numerics import fit_continuum
from phangs_xr.numerics.fit_continuum import (
    MuseView,
    find_colour,
    fit_robust_offset,
    fit_shifted,
    fit_view,
    interpolate_bands,
    solve_line,
)

SHAPE = (160, 170)
WEIGHTS = (0.49, 0.51)
GAIN, Q, SKY = 0.96, (1.04, -0.15, 0.0), 4.0
RESPONSES = (0.0133, 5e-4, 2e-4)


def make_field(rng, sigma):
    field = ndimage.gaussian_filter(rng.standard_normal(SHAPE), sigma)
    return field / field.std()


def make_view(noise=0.0, q=Q, responses=RESPONSES, seed=1):
    """A view whose truth is known: nebulae on diffuse gas, two populations of stars."""
    rng = np.random.default_rng(seed)
    truth = 300 * np.exp(1.3 * make_field(rng, 2.5))
    level = 20 * np.exp(0.8 * make_field(rng, 15))
    colour = 0.15 * make_field(rng, 12) + 0.2
    first = level * np.exp(WEIGHTS[1] * colour)
    second = level * np.exp(-WEIGHTS[0] * colour)
    x = colour - np.median(colour)
    quotient = q[0] + q[1] * x + q[2] * x**2
    narrow = GAIN * responses[0] * truth + quotient * level + SKY
    error = noise * np.sqrt(100**2 + 4 * truth)
    halpha = truth + error * rng.standard_normal(SHAPE)
    view = MuseView(
        narrow,
        first + responses[1] * truth,
        second + responses[2] * truth,
        np.zeros(SHAPE),
        halpha,
        error + 1e-3,
        tuple(np.broadcast_to(one, SHAPE) for one in responses),
        np.ones(SHAPE, bool),
        WEIGHTS,
    )
    return view, truth


def test_planted_numbers_are_found():
    view, truth = make_view()
    model = fit_view(view)
    assert model.gain == pytest.approx(GAIN, abs=0.002)
    assert model.q == pytest.approx(Q, abs=0.01)
    assert model.sky == pytest.approx(SKY, abs=0.1)
    line = solve_line(view, model)
    assert np.median(np.abs(line / truth - 1)) < 0.005


def test_gain_is_unbiased_by_the_noise_of_the_line_map():
    """Errors in variables: without their variance the gain comes out too small."""
    gains = {True: [], False: []}
    for seed in range(5):
        view, _ = make_view(noise=1.0, seed=seed)
        for known in gains:
            error = view.halpha_err if known else np.full(SHAPE, 1e-3)
            gains[known].append(fit_view(replace(view, halpha_err=error)).gain)
    assert np.mean(gains[True]) == pytest.approx(GAIN, abs=0.005)
    assert np.mean(gains[False]) < GAIN - 0.02


def test_gain_is_not_what_the_brightest_continuum_says(monkeypatch):
    """Clusters in nebulae absorb the line, knots elsewhere do not, and no colour tells them."""
    gains = {fit_continuum.CONTINUUM_MISMATCH: [], 0.0: []}
    for seed in range(4):
        view, truth = make_view(noise=0.3, seed=seed)
        rng = np.random.default_rng(100 + seed)
        peaks = [(rng.random(SHAPE) < 0.004) * one for one in (truth, np.ones(SHAPE))]
        spots = [ndimage.gaussian_filter(one, 1.5) for one in peaks]
        clusters, knots = (1000 * one / one.max() for one in spots)
        view = replace(
            view,
            narrow=view.narrow + 0.94 * clusters + 1.04 * knots,
            first=view.first + clusters + knots,
            second=view.second + clusters + knots,
        )
        for mismatch, found in gains.items():
            monkeypatch.setattr(fit_continuum, "CONTINUUM_MISMATCH", mismatch)
            found.append(fit_view(view).gain)
    known, blind = gains.values()
    assert np.mean(known) == pytest.approx(GAIN, abs=0.01)
    assert np.mean(blind) < GAIN - 0.02


def test_continuum_needs_the_colour():
    """Populations of stars differ: one factor for all leaves what one that knows the colour does
    not."""
    view, truth = make_view(q=(1.02, -0.6, 0.0))
    model = fit_view(view)
    off = np.abs(solve_line(view, model) - truth)
    one = replace(model, q=np.array([model.q[0], 0.0, 0.0]))
    assert np.median(off) < 0.1 * np.median(np.abs(solve_line(view, one) - truth))


def test_absorption_is_part_of_the_continuum():
    """A continuum that is 4 per cent lower than interpolated, as with stellar absorption."""
    view, truth = make_view(q=(0.96, 0.0, 0.0))
    model = fit_view(view)
    assert model.q[0] == pytest.approx(0.96, abs=0.003)
    bare = replace(model, q=np.array([1.0, 0.0, 0.0]))
    faint = truth < np.quantile(truth, 0.3)
    off = solve_line(view, bare)[faint] - truth[faint]
    assert np.median(off) < -10 * np.median(np.abs(solve_line(view, model)[faint] - truth[faint]))


def test_lines_in_the_broad_bands_are_solved_for():
    """[OIII] that is strong in half of the galaxy: no gain can make up for it."""
    excited = np.where(np.arange(SHAPE[1]) < 85, 4e-3, 2e-4)
    view, truth = make_view(responses=(0.0133, excited, 0.0))
    line = solve_line(view, fit_view(view))
    bright = truth > np.quantile(truth, 0.9)
    assert np.abs(line / truth - 1)[bright].max() < 0.02
    blind = replace(view, responses=(view.responses[0], *np.zeros((2, *SHAPE))))
    lost = solve_line(blind, fit_view(blind))[bright] / truth[bright]
    assert np.ptp(np.quantile(lost, (0.1, 0.9))) > 0.08


@pytest.mark.parametrize("shift", [(0.35, -0.2), (-1.4, 2.1)])
def test_shift_is_found_and_taken_out(shift):
    view, _ = make_view(noise=0.3)
    moved = replace(view, halpha=ndimage.shift(view.halpha, shift, order=3, mode="nearest"))
    inner = np.zeros(SHAPE, bool)
    inner[6:-6, 6:-6] = True
    model, found, error, _ = fit_shifted(replace(moved, used=inner), 0.2)
    assert found == pytest.approx(shift, abs=0.03)
    assert 0 < error < 0.2
    assert model.gain == pytest.approx(GAIN, abs=0.02)
    still = fit_view(replace(moved, used=inner))
    assert still.scatter > 1.5 * model.scatter


def test_one_band_has_no_colour():
    view, _ = make_view(q=(1.0, 0.0, 0.0))
    one = replace(view, second=None, responses=view.responses[:2])
    assert not find_colour(one).any()
    assert fit_view(one).q.shape == (1,)
    assert interpolate_bands([view.first], find_colour(one), WEIGHTS) is view.first


def test_implausible_continuum_is_taken_as_interpolated():
    view, _ = make_view(q=(6.0, 0.0, 0.0))
    model = fit_view(view)
    assert model.q.tolist() == [1, 0, 0]
    assert np.isnan(model.q_errors).all()


def test_too_few_spaxels_are_refused():
    view, _ = make_view()
    none = np.zeros(SHAPE, bool)
    none[0, :50] = True
    with pytest.raises(ValueError, match="50 spaxels"):
        fit_view(replace(view, used=none))


def test_offset_is_not_drawn_by_outliers():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 50, SHAPE)
    y = 1.03 * x + 2.5 + 0.1 * rng.standard_normal(SHAPE)
    y[::7] += 40
    used = np.ones(SHAPE, bool)
    assert fit_robust_offset(x, y, used) == pytest.approx(2.5, abs=0.02)
    assert fit_robust_offset(x, np.full(SHAPE, np.nan), used) == 0
