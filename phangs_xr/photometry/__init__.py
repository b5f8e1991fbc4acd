"""What light does on the way: filter curves, lines, extinction, units and labels of images.

Knows where pixels lie and what products are called; nothing of files, dask or other steps.
"""

from phangs_xr.photometry.choose_curve import find_curve, name_curve
from phangs_xr.photometry.curves import Curve, get_curve, list_curves, measure_rectangular_width
from phangs_xr.photometry.extinction import find_ebv, find_extinction_factor
from phangs_xr.photometry.lines import DOUBLETS, LINES, convert_air_to_vacuum

__all__ = [
    "DOUBLETS",
    "LINES",
    "Curve",
    "convert_air_to_vacuum",
    "find_curve",
    "find_ebv",
    "find_extinction_factor",
    "get_curve",
    "list_curves",
    "measure_rectangular_width",
    "name_curve",
]
