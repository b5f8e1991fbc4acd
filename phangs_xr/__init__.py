"""H-alpha maps with HST's sharpness and MUSE's calibration, chunked and labelled."""

import gc
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

_COLLECTS = gc.isenabled()
# Importing makes many objects and no garbage: looking for it takes a fifth of the time.
gc.disable()
try:
    from phangs_xr import sky as sky  # registers the `.sky` accessor
    from phangs_xr.errors import GridError, InputError
finally:
    if _COLLECTS:
        if gc.get_freeze_count() == 0:
            # The two together make all there is old, or the first look would go through it twice.
            gc.freeze()
            gc.unfreeze()
        gc.enable()

if TYPE_CHECKING:
    from phangs_xr.engine.field import open_field
    from phangs_xr.engine.run import run
    from phangs_xr.io.cube import open_cube
    from phangs_xr.io.zarr import open_store
    from phangs_xr.numerics.statistics import (
        find_clipped_statistics,
        find_mad_std,
        find_median,
        find_percentile,
    )
    from phangs_xr.steps import (
        add_noise,
        anchor_halpha,
        calibrate_bands,
        clean_cosmic_rays,
        compare_images,
        convert_units,
        correct_extinction,
        correct_muse_extinction,
        correct_muse_nii,
        correct_nii,
        divide_by_area,
        divide_muse_by_area,
        estimate_errors,
        extract_lines,
        extract_muse,
        fill_negatives,
        find_footprint,
        fit_anchor,
        fold_cube,
        join_halpha,
        load,
        load_muse_bands,
        load_nebulae,
        load_weights,
        match_bands,
        match_halpha,
        measure_response,
        measure_sky,
        regrid_muse,
        remove_cosmic_rays,
        smooth_hst,
        solve_halpha,
        subtract_background,
        subtract_continuum,
        subtract_log_continuum,
        subtract_muse_continuum,
        subtract_sky,
        weigh_residual,
    )

__version__ = version("phangs_xr")

__all__ = [
    "GridError",
    "InputError",
    "add_noise",
    "anchor_halpha",
    "calibrate_bands",
    "clean_cosmic_rays",
    "compare_images",
    "convert_units",
    "correct_extinction",
    "correct_muse_extinction",
    "correct_muse_nii",
    "correct_nii",
    "divide_by_area",
    "divide_muse_by_area",
    "estimate_errors",
    "extract_lines",
    "extract_muse",
    "fill_negatives",
    "find_clipped_statistics",
    "find_footprint",
    "find_mad_std",
    "find_median",
    "find_percentile",
    "fit_anchor",
    "fold_cube",
    "join_halpha",
    "load",
    "load_muse_bands",
    "load_nebulae",
    "load_weights",
    "match_bands",
    "match_halpha",
    "measure_response",
    "measure_sky",
    "open_cube",
    "open_field",
    "open_store",
    "regrid_muse",
    "remove_cosmic_rays",
    "run",
    "smooth_hst",
    "solve_halpha",
    "subtract_background",
    "subtract_continuum",
    "subtract_log_continuum",
    "subtract_muse_continuum",
    "subtract_sky",
    "weigh_residual",
]

_HOMES = {
    "find_clipped_statistics": "numerics.statistics",
    "find_mad_std": "numerics.statistics",
    "find_median": "numerics.statistics",
    "find_percentile": "numerics.statistics",
    "open_cube": "io.cube",
    "open_field": "engine.field",
    "open_store": "io.zarr",
    "run": "engine.run",
}
"""Modules of what is not a step."""


def __getattr__(name: str) -> Any:
    """Import what the package offers when it is first asked for.

    Every module of the package imports this one, and no command needs all that it offers.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'steps')}"), name)


def __dir__() -> list[str]:
    """List what the package offers, imported or not."""
    return sorted({*globals(), *__all__})
