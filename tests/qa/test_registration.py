"""The shift between HST and MUSE is found as planted, with an uncertainty that holds."""

import logging

import numpy as np
import pytest
import xarray as xr
from astropy.wcs import WCS

from phangs_xr.engine.runner import Runner
from phangs_xr.qa.measure.registration import measure_shift
from phangs_xr.schema import FLUX
from phangs_xr.sky import Grid, format_wcs

HST_SCALE, MUSE_SCALE, PSF = 0.04, 0.2, 0.39
"""Pixels and the common PSF's sigma [arcsec]."""


def make_grid(size, scale, angle=0.0, parity=-1):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [24.17, 65.0]
    wcs.wcs.crpix = [size / 2 + 0.5] * 2
    cos, sin = np.cos(angle), np.sin(angle)
    wcs.wcs.cd = scale / 3600 * np.array([[parity * cos, sin], [-parity * sin, cos]])
    return Grid(format_wcs(wcs), 0, 0, 1, 1, (size, size))


def render(grid, east, north, flux, sigma):
    """Gaussian sources at offsets from the grid's centre [arcsec], as flux per pixel."""
    wcs = grid.to_wcs()
    offsets = np.linalg.solve(wcs.pixel_scale_matrix * 3600, np.stack([east, north]))
    columns, rows = offsets + (wcs.wcs.crpix - 1)[:, None]
    positions = np.arange(grid.shape[0])
    sigma = (sigma / np.sqrt(grid.pixel_area))[:, None]
    along_y = np.exp(-0.5 * ((positions - rows[:, None]) / sigma) ** 2)
    along_x = np.exp(-0.5 * ((positions - columns[:, None]) / sigma) ** 2)
    return np.einsum("s,sy,sx->yx", flux / (2 * np.pi * sigma[:, 0] ** 2), along_y, along_x)


def make_field(seed, shift, *, angle=0.4, parity=-1, noise=30.0, sources=25):
    """MUSE's map turned and shifted by arcsec east and north, with another gain and offset."""
    rng = np.random.default_rng(seed)
    hst, muse = make_grid(600, HST_SCALE), make_grid(110, MUSE_SCALE, angle, parity)
    east, north = rng.uniform(-9, 9, (2, sources))
    flux = 10 ** rng.uniform(3.5, 5.5, sources)
    sigma = np.hypot(PSF, rng.uniform(0.02, 0.5, sources))
    # Noise at the PSF's scale, as smoothing leaves it: drawn coarsely, then enlarged.
    coarse = rng.normal(size=(60, 60)) * noise / 50
    halpha = render(hst, east, north, 0.5 * flux, sigma) + np.kron(coarse, np.ones((10, 10))) + 3
    musehalpha = render(muse, east + shift[0], north + shift[1], flux, sigma) + 40
    musehalpha += rng.normal(size=muse.shape) * noise
    halpha[:, :40] = np.nan
    musehalpha[:5] = np.nan
    images = {
        "/hst": ("halpha_smoothed", halpha, hst),
        "/muse": ("musehalpha", musehalpha, muse),
    }
    return xr.DataTree.from_dict(
        {
            node: xr.Dataset(
                {name: (("y", "x"), image.astype(np.float32), {"units": FLUX})}, grid.coords()
            )
            for node, (name, image, grid) in images.items()
        }
    )


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.07, -0.13), (1.3, 0.8)])
def test_planted_shift_lies_within_its_uncertainty(shift):
    pulls = []
    for seed in range(8):
        found = measure_shift(make_field(seed, shift))
        assert found["shift_ra_error"] < 0.02
        pulls.append((found["shift_ra"] - shift[0]) / found["shift_ra_error"])
        pulls.append((found["shift_dec"] - shift[1]) / found["shift_dec_error"])
    # 16 deviations in units of their errors: mean 0 +- 0.25, rms 1 +- 0.18.
    assert abs(np.mean(pulls)) < 0.9
    assert 0.4 < np.sqrt(np.mean(np.square(pulls))) < 1.6


@pytest.mark.parametrize(("angle", "parity"), [(0.0, -1), (2.0, -1), (-1.2, 1)])
def test_direction_does_not_depend_on_how_muse_is_turned(angle, parity):
    found = measure_shift(make_field(3, (0.3, -0.1), angle=angle, parity=parity, noise=3))
    assert found["shift_ra"] == pytest.approx(0.3, abs=0.01)
    assert found["shift_dec"] == pytest.approx(-0.1, abs=0.01)
    assert found["shift"] == pytest.approx(np.hypot(0.3, 0.1), abs=0.01)


def test_more_noise_makes_the_uncertainty_larger():
    errors = [measure_shift(make_field(2, (0, 0), noise=n))["shift_ra_error"] for n in (10, 100)]
    assert errors[1] > 3 * errors[0]


@pytest.mark.parametrize("shift", [(0.15, 0.0), (0.03, -0.04)])
def test_only_a_shift_above_the_limit_warns(shift, caplog):
    with caplog.at_level(logging.WARNING, logger="phangs_xr"):
        found = measure_shift(make_field(1, shift, noise=3))
    warned = [record.getMessage() for record in caplog.records]
    if np.hypot(*shift) > found["limit"]:
        assert len(warned) == 1
        assert "more than 0.1 arcsec: anchoring is meaningless" in warned[0]
    else:
        assert not warned


def test_chunks_do_not_matter():
    field = make_field(4, (0.05, 0.05))
    whole = measure_shift(field)
    for chunk in (137, 600):
        assert measure_shift(field.map_over_datasets(lambda d: d.chunk(chunk))) == whole  # noqa: B023


@pytest.mark.parametrize("node", ["/hst", "/muse"])
def test_a_missing_map_leaves_the_shift_unknown(node):
    field = make_field(1, (0, 0))
    field = xr.DataTree.from_dict({node: field[node].to_dataset()})
    found = measure_shift(field)
    assert found["pixels"] == 0
    assert np.isnan([found["shift"], found["shift_ra"], found["shift_ra_error"]]).all()


@pytest.mark.parametrize("rows", [0, 9])
def test_too_little_in_common_leaves_the_shift_unknown(rows):
    field = make_field(1, (0, 0))
    muse = field["muse"].to_dataset()
    field["muse"] = xr.DataTree(muse.where(muse["y"] < rows))
    assert np.isnan(measure_shift(field)["shift_error"])


def test_constant_maps_leave_the_shift_unknown():
    field = make_field(1, (0, 0)).map_over_datasets(lambda d: xr.zeros_like(d) if d else d)
    assert np.isnan(measure_shift(field)["shift"])


def test_a_map_of_noise_alone_is_not_said_to_match():
    field = make_field(1, (0, 0), sources=0, noise=50)
    found = measure_shift(field)
    assert not found["shift_error"] < 0.05


def test_cluster_and_smaller_tiles_find_the_same(checked, client):
    field, *_, whole = checked
    assert measure_shift(field, Runner(client)) == whole
    tiled = measure_shift(field, Runner(threads=1, chunk=100))
    assert tiled == pytest.approx(whole, abs=1e-5)
