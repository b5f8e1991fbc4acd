"""Errors of pixels by weights that drizzling made too hopeful, as measured on the images."""

import dask
import numpy as np
import pytest

import phangs_xr
from phangs_xr.engine.config import load_config


def test_measured_noise_is_lazy_too(joint_config, joint_products):
    options = load_config(joint_config).options["estimate_errors"]
    assert options.pixel_noise == "measured"
    names = ("narrow", "continuum1", "continuum2")
    images = {name: joint_products[name] for band in names for name in (band, f"{band}_weight")}

    def refuse(*_, **__):
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        chunked = {name: image.chunk(200) for name, image in images.items()}
        lazy = phangs_xr.estimate_errors(**chunked, options=options)
    plain = phangs_xr.estimate_errors(**images, options=options)
    for name, image in plain.items():
        np.testing.assert_array_equal(lazy[name].values, image.values, err_msg=name)
    assert plain["pixel_noise_ratio"].values[0] != pytest.approx(1.0, abs=0.02)
