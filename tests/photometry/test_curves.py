"""Throughput curves of filters: widths worked out by hand."""

import numpy as np
import pytest

from phangs_xr.photometry.curves import measure_rectangular_width


def test_measure_rectangular_width__of_a_triangle_is_half_its_base():
    wavelength = np.array([6550.0, 6560.0, 6563.0, 6570.0])
    throughput = np.array([0.0, 0.5, 0.35, 0.0])
    assert measure_rectangular_width(wavelength, throughput) == pytest.approx(10.0)
    assert measure_rectangular_width(wavelength, 2 * throughput) == pytest.approx(10.0)


def test_measure_rectangular_width__of_a_box_is_its_width():
    wavelength = np.array([1.0, 2.0, 2.0, 7.0, 7.0, 9.0])
    throughput = np.array([0.0, 0.0, 0.3, 0.3, 0.0, 0.0])
    assert measure_rectangular_width(wavelength, throughput) == pytest.approx(5.0)
