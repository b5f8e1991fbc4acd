"""The numbers that compare nebula fluxes find what was planted, within their uncertainties."""

import json

import numpy as np
import pytest
import xarray as xr

from phangs_xr.errors import InputError
from phangs_xr.qa.measure.numbers import (
    compare_fluxes,
    compare_pairs,
    fit_robust_line,
    refit_lines,
    write_numbers,
)

SLOPE, INTERCEPT, SCATTER, SPREAD = 0.93, 0.31, 0.12, 0.6


def draw_pairs(seed, size=400):
    """Fluxes on a line in log-log with normal scatter, MUSE's log-normal of width `SPREAD`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(3.5, SPREAD, size)
    y = SLOPE * x + INTERCEPT + rng.normal(0, SCATTER, size)
    return 10**y, 10**x


def make_nebulae(hst, muse, coverage_hst=1.0, coverage_muse=1.0, **others):
    size = np.size(muse)
    columns = {
        "flux_halpha": hst,
        "flux_muse": muse,
        "coverage_hst": np.broadcast_to(coverage_hst, size),
        "coverage_muse": np.broadcast_to(coverage_muse, size),
        **others,
    }
    return xr.Dataset({name: ("nebula", np.asarray(v, float)) for name, v in columns.items()})


def test_planted_line_and_scatter_lie_within_their_uncertainties():
    truth = {
        "slope": SLOPE,
        "intercept": INTERCEPT,
        # The ratio spreads by the scatter and, with a slope other than 1, by the fluxes.
        "scatter": np.hypot(SCATTER, (1 - SLOPE) * SPREAD),
        "median_ratio": 10 ** (INTERCEPT + (SLOPE - 1) * 3.5),
    }
    pulls = {name: [] for name in truth}
    for seed in range(16):
        numbers = compare_pairs(*draw_pairs(seed))
        for name, value in truth.items():
            pulls[name].append((numbers[name] - value) / numbers[f"{name}_error"])
    for name, pull in pulls.items():
        # 16 deviations in units of their errors: mean 0 +- 0.25, rms 1 +- 0.18.
        assert abs(np.mean(pull)) < 0.9, name
        assert 0.4 < np.sqrt(np.mean(np.square(pull))) < 1.6, name


def test_gross_outliers_do_not_move_the_line():
    hst, muse = draw_pairs(1)
    clean = compare_pairs(hst, muse)
    hst[np.argsort(muse)[-20:]] *= 100
    found = compare_pairs(hst, muse)
    for name in ("slope", "intercept"):
        assert abs(found[name] - clean[name]) < 2 * clean[f"{name}_error"]


def test_exact_line_is_found_exactly():
    x = np.linspace(2, 5, 9)
    assert fit_robust_line(x, 0.8 * x + 0.25) == pytest.approx((0.8, 0.25), abs=1e-12)


def test_shares_and_counts_are_those_of_the_list():
    ratio = np.array([1.0, 1.09, 0.91, 1.2, 2.9, 0.34, 3.1, 0.3, -0.5, 0.0])
    numbers = compare_pairs(ratio * 100, np.full(10, 100.0))
    assert numbers["n"] == 10
    assert numbers["within_10_percent"] == 0.3
    assert numbers["within_factor_3"] == 0.6
    assert numbers["negative"] == 2
    assert numbers["median_ratio"] == pytest.approx(0.955)


def test_only_nebulae_that_both_cover_fully_count():
    nebulae = make_nebulae(
        np.full(8, 2.0),
        [1, 1, 1, 1, 1, np.nan, -1.0, 0.0],
        coverage_hst=[1, 0.999, 1, 1, 1, 1, 1, 1],
        coverage_muse=[1, 1, 0.5, 1, 1, 1, 1, 1],
    )
    assert compare_fluxes(nebulae)["halpha"]["n"] == 3


def test_each_product_is_compared_by_its_own_fluxes():
    hst, muse = draw_pairs(3)
    nebulae = make_nebulae(hst, muse, flux_anchored=2 * muse, flux_fit_anchored=muse)
    numbers = compare_fluxes(nebulae)
    assert list(numbers) == ["halpha", "anchored", "fit_anchored"]
    assert numbers["halpha"] == compare_pairs(hst, muse)
    assert numbers["anchored"]["median_ratio"] == 2
    assert numbers["anchored"]["intercept"] == pytest.approx(np.log10(2), abs=1e-12)
    assert numbers["fit_anchored"]["within_10_percent"] == 1


def test_uncovered_products_do_not_count():
    nebulae = make_nebulae([np.nan, 1, 1, 1, 1, 1, 1], np.arange(1.0, 8))
    assert compare_fluxes(nebulae)["halpha"]["n"] == 6


@pytest.mark.parametrize("size", [0, 1, 4])
def test_too_few_nebulae_give_no_numbers(size):
    numbers = compare_pairs(*draw_pairs(1, size))
    assert numbers["n"] == size
    for name in ("median_ratio", "scatter", "slope", "slope_error", "intercept"):
        assert np.isnan(numbers[name])


def test_negative_fluxes_alone_leave_a_ratio_but_no_line():
    _, muse = draw_pairs(1)
    numbers = compare_pairs(-muse, muse)
    assert numbers["median_ratio"] == -1
    assert numbers["negative"] == muse.size
    assert np.isnan(numbers["slope"])
    assert np.isnan(numbers["scatter"])


def test_numbers_are_the_same_each_time():
    assert compare_pairs(*draw_pairs(5)) == compare_pairs(*draw_pairs(5))


def test_unmeasured_nebulae_are_refused():
    with pytest.raises(
        InputError, match=r"expected flux_muse among the nebulae, found HA6562_FLUX"
    ):
        compare_fluxes(xr.Dataset({"HA6562_FLUX": ("nebula", [1.0])}))


def test_json_holds_null_for_what_is_not_known(tmp_path):
    numbers = {"halpha": {"n": np.int64(3), "slope": np.float64(0.1)}, "shift": float("nan")}
    path = write_numbers(numbers, tmp_path / "qa" / "numbers.json")
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {
        "halpha": {"n": 3, "slope": 0.1},
        "shift": None,
    }
    assert [entry.name for entry in path.parent.iterdir()] == ["numbers.json"]


def test_lines_through_resampled_points_are_near_those_fitted_to_them():
    rng = np.random.default_rng(3)
    x = rng.uniform(3, 6, 400)
    y = 1.1 * x - 0.4 + rng.normal(0, 0.1, 400)
    y[::20] += 3
    picked = rng.integers(0, 400, (200, 400))
    counts = np.stack([np.bincount(row, minlength=400) for row in picked])
    slopes, intercepts = refit_lines(x, y, counts, fit_robust_line(x, y))
    fitted = np.array([fit_robust_line(x[row], y[row]) for row in picked])
    # Within a tenth of what they spread.
    spread = fitted.std(axis=0)
    assert abs(slopes - fitted[:, 0]).mean() < 0.1 * spread[0]
    assert abs(intercepts - fitted[:, 1]).mean() < 0.1 * spread[1]
    np.testing.assert_allclose([slopes.std(), intercepts.std()], spread, rtol=0.1)


def test_points_drawn_at_one_place_allow_no_line():
    x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.1, 2.9])
    counts = np.array([[3, 0, 0], [1, 1, 1], [0, 0, 0]])
    slopes, intercepts = refit_lines(x, y, counts, fit_robust_line(x, y))
    assert np.isnan(slopes).tolist() == np.isnan(intercepts).tolist() == [True, False, True]
