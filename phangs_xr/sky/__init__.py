"""Where pixels lie: WCS as text, grids, maps from grid to grid, and the accessor `.sky`.

Knows errors, the vocabulary and `drawing`, nothing of files, dask or what an image shows. In order:
`wcs`, `grid`, `pixel_map`, `accessor` (of images) and `tree_accessor` (of fields); for the accessor
of images alone `ccddata`, and `plot_image`, which draws when it is asked to.
"""

from phangs_xr.sky.accessor import SkyAccessor
from phangs_xr.sky.grid import (
    Grid,
    get_grid,
    is_one_grid,
    measure_separation,
    require_one_grid,
)
from phangs_xr.sky.pixel_map import PixelMap, count_reach, find_overlap, map_pixels_between
from phangs_xr.sky.tree_accessor import SkyTreeAccessor
from phangs_xr.sky.wcs import format_wcs, parse_wcs

__all__ = [
    "Grid",
    "PixelMap",
    "SkyAccessor",
    "SkyTreeAccessor",
    "count_reach",
    "find_overlap",
    "format_wcs",
    "get_grid",
    "is_one_grid",
    "map_pixels_between",
    "measure_separation",
    "parse_wcs",
    "require_one_grid",
]
