"""The check of fields of other recipes: what they compare, their errors, and their figures."""

import json

import numpy as np
import pytest
from astropy.io import fits

import phangs_xr
from phangs_xr.qa import check_field
from phangs_xr.qa.figures import plot_backgrounds, plot_fluxes, plot_nii
from phangs_xr.qa.figures.list_figures import list_pictures
from phangs_xr.sky import get_grid
from tests.browsers import require_clean_page


@pytest.fixture(scope="module")
def checked(banded_run, tmp_path_factory):
    """The lines of a check without a report, and where it wrote."""
    out = tmp_path_factory.mktemp("checked")
    return check_field(banded_run, report=False, out=out), out


@pytest.fixture(scope="module")
def field(checked, banded_run):
    return phangs_xr.open_store(banded_run, chunked=False)


def test_numbers_are_of_the_maps_that_the_recipe_compares(checked):
    lines, out = checked
    numbers = json.loads((out / "numbers.json").read_text())
    assert list(numbers["fluxes"]) == ["hst_contsub", "hst_ha"]
    assert any(line.startswith("hst_ha / MUSE: median ") for line in lines)


def test_errors_of_fluxes_are_those_of_independent_pixels(field):
    nebulae, hst = field["nebulae"], field["hst"]
    assert {"flux_hst_ha", "flux_hst_ha_err", "flux_hst_contsub_err"} <= set(nebulae.data_vars)
    # By hand, of one nebula: the weights are taken as they stand, so the ratio is 1.
    mask = field["muse"]["nebula_mask"]
    grid, own = get_grid(hst["hst_ha"]), get_grid(mask)
    rows, columns = np.indices(grid.shape)
    at = [np.rint(place).astype(int) for place in own.to_pixel(*grid.to_sky(rows, columns))]
    inside = (at[0] >= 0) & (at[1] >= 0) & (at[0] < own.shape[0]) & (at[1] < own.shape[1])
    labels = np.where(
        inside, mask.values[np.where(inside, at[0], 0), np.where(inside, at[1], 0)], np.nan
    )
    whole = np.flatnonzero(nebulae["coverage_hst"].values == 1)[:5]
    assert whole.size
    for index in whole:
        own_pixels = labels == nebulae["region_ID"].values[index]
        error = np.sqrt(np.sum(hst["hst_ha_err"].values[own_pixels].astype(float) ** 2))
        assert nebulae["flux_hst_ha_err"].values[index] == pytest.approx(error, rel=0.02)


def test_figures_are_those_of_the_steps_of_the_recipe(field):
    names = [picture.name for picture in list_pictures(field)]
    assert "backgrounds" in names
    assert "nii" in names
    assert "cosmic_rays" not in names
    assert "histogram2d" not in names


def test_fits_are_drawn_with_their_bins(field):
    panels = plot_backgrounds(field)
    assert [panel.opts.get("plot").kwargs.get("title") for panel in panels]
    assert len(panels) == 3
    dots = plot_nii(field).get(3)
    known = np.isfinite(field["fits"]["nii_points"].values).all(axis=1)
    assert len(dots) == known.sum()


def test_fluxes_have_error_bars_of_their_own(field):
    nebulae = field["nebulae"].to_dataset()
    (first, _) = plot_fluxes(field, nebulae)
    bars = [layer for layer in first if type(layer).__name__ == "ErrorBars"]
    assert bars


def test_page_holds_a_plot_for_each_figure(banded_run, tmp_path):
    check_field(banded_run, out=tmp_path)
    page = (tmp_path / "report.html").read_text()
    for name in ("fluxes", "maps", "backgrounds", "nii", "gallery", "pixel_histograms"):
        assert f'<section id="{name}">' in page
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert "Not shown" not in page
    require_clean_page(tmp_path / "report.html")


def test_files_of_the_run_are_what_the_store_holds(banded_run):
    tree = phangs_xr.open_store(banded_run)
    for name in ("hst_ha", "hst_ha_err_as2"):
        pixels = fits.getdata(banded_run / f"ngc0628_{name}.fits")
        np.testing.assert_array_equal(pixels, tree["hst"][name].values)
