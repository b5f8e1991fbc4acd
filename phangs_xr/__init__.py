"""H-alpha maps with HST's sharpness and MUSE's calibration, chunked and labelled."""

from importlib.metadata import version

from phangs_xr import sky as sky  # registers the `.sky` accessor
from phangs_xr.errors import GridError, InputError
from phangs_xr.field import open_field
from phangs_xr.io.zarr import open_store
from phangs_xr.pipeline import run
from phangs_xr.statistics import (
    find_clipped_statistics,
    find_mad_std,
    find_median,
    find_percentile,
)
from phangs_xr.steps import (
    add_noise,
    anchor_halpha,
    compare_images,
    convert_units,
    extract_muse,
    fill_negatives,
    fit_anchor,
    load,
    load_nebulae,
    regrid_muse,
    remove_cosmic_rays,
    smooth_hst,
    subtract_background,
    subtract_continuum,
)

__version__ = version("phangs_xr")

__all__ = [
    "GridError",
    "InputError",
    "add_noise",
    "anchor_halpha",
    "compare_images",
    "convert_units",
    "extract_muse",
    "fill_negatives",
    "find_clipped_statistics",
    "find_mad_std",
    "find_median",
    "find_percentile",
    "fit_anchor",
    "load",
    "load_nebulae",
    "open_field",
    "open_store",
    "regrid_muse",
    "remove_cosmic_rays",
    "run",
    "smooth_hst",
    "subtract_background",
    "subtract_continuum",
]
