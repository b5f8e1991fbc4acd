"""A field in words, without a look at a pixel; and images as hvplot takes them."""

import dask
import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from astropy import units as u
from bokeh.models import HoverTool

import phangs_xr
from tests.images import make_flux


def test_field_names_its_maps_with_unit_resolution_and_size(joint_run):
    tree = phangs_xr.open_store(joint_run)
    rows = {row["map"]: row for row in tree.sky.list_maps()}
    assert set(rows) == {
        f"{node}/{name}" for node in ("hst", "muse") for name in tree[node].data_vars
    }
    one, muse = rows["hst/halpha_joint"], rows["muse/musehalpha"]
    assert one["unit"] == "10⁻²⁰ erg s⁻¹ cm⁻²"
    assert muse["resolution"] == "0.92″"
    ny, nx = tree["hst/halpha_joint"].shape
    side = tree["hst/halpha_joint"].sky.wcs.proj_plane_pixel_scales()[0].to_value(u.arcsec)
    assert one["pixels"] == f"{ny} × {nx} of {side:.3g}″"
    assert one["on the sky"] == f"{nx * side:.3g}″ × {ny * side:.3g}″"


def test_notebook_shows_a_table_and_computes_nothing():
    image = make_flux(np.zeros((3000, 4000)), long_name="flux <b>").chunk(1000)
    tree = xr.DataTree.from_dict({"/hst": xr.Dataset({"halpha": image})})
    tree.attrs["galaxy"] = "NGC <1>"

    def refuse(*_, **__):
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        text = tree.sky._repr_html_()
        assert "hst/halpha" in repr(tree.sky)
    assert "flux &lt;b&gt;" in text
    assert "NGC &lt;1&gt;" in text
    assert "2.67′ × 2′" in text


def test_what_has_no_place_is_left_out():
    tree = xr.DataTree.from_dict({"/hst": xr.Dataset({"plain": (("y", "x"), np.zeros((3, 4)))})})
    assert tree.sky.list_maps() == []


@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_hvplot_tells_ra_and_dec(joint_run):
    pytest.importorskip("hvplot.xarray")
    image = phangs_xr.open_store(joint_run)["hst/halpha_joint"][100:160, 50:150]
    plot = image.sky.with_coords(index=False).hvplot.image(
        x="x", y="y", hover_cols=["ra", "dec"], data_aspect=1
    )
    tips = [tool.tooltips for tool in hv.render(plot, "bokeh").select({"type": HoverTool})]
    assert {"ra (deg)", "dec (deg)"} <= {name for tip in tips for name, _ in tip}
    ra, dec = (plot.dimension_values(name, flat=False)[5, 7] for name in ("ra", "dec"))
    x, y = (plot.dimension_values(name, expanded=False) for name in ("x", "y"))
    place = image.sky.wcs.pixel_to_world(7, 5)
    assert (x[7], y[5]) == (57, 105)
    assert (ra, dec) == pytest.approx((place.ra.deg, place.dec.deg), abs=1e-9)
