"""One file per step: kernels on plain arrays, options, and the function on labelled images."""

from phangs_xr.steps.add_noise import AddNoise, add_noise, reduce_to_noise
from phangs_xr.steps.anchor_halpha import AnchorHalpha, anchor_halpha
from phangs_xr.steps.compare_images import CompareImages, compare_images, reduce_to_offset
from phangs_xr.steps.convert_units import ConvertUnits, convert_units
from phangs_xr.steps.convert_units import check_inputs as check_convert_units
from phangs_xr.steps.extract_muse import ExtractMuse, extract_muse
from phangs_xr.steps.extract_muse import check_inputs as check_extract_muse
from phangs_xr.steps.fill_negatives import FillNegatives, fill_negatives
from phangs_xr.steps.fill_negatives import find_halo as find_fill_negatives_halo
from phangs_xr.steps.fit_anchor import FitAnchor, fit_anchor, judge_line, reduce_to_line
from phangs_xr.steps.fit_anchor import find_halo as find_fit_anchor_halo
from phangs_xr.steps.load import Load, load
from phangs_xr.steps.load import check_inputs as check_load
from phangs_xr.steps.load_nebulae import LoadNebulae, judge_mask, load_nebulae, reduce_to_outside
from phangs_xr.steps.regrid_muse import RegridMuse, regrid_muse
from phangs_xr.steps.remove_cosmic_rays import (
    RemoveCosmicRays,
    reduce_to_cosmic_rays,
    remove_cosmic_rays,
)
from phangs_xr.steps.remove_cosmic_rays import find_halo as find_remove_cosmic_rays_halo
from phangs_xr.steps.smooth_hst import SmoothHst, smooth_hst
from phangs_xr.steps.smooth_hst import check_inputs as check_smooth_hst
from phangs_xr.steps.smooth_hst import find_halo as find_smooth_hst_halo
from phangs_xr.steps.subtract_background import (
    SubtractBackground,
    reduce_to_background,
    subtract_background,
)
from phangs_xr.steps.subtract_continuum import SubtractContinuum, subtract_continuum
from phangs_xr.steps.subtract_continuum import check_inputs as check_subtract_continuum

__all__ = [
    "AddNoise",
    "AnchorHalpha",
    "CompareImages",
    "ConvertUnits",
    "ExtractMuse",
    "FillNegatives",
    "FitAnchor",
    "Load",
    "LoadNebulae",
    "RegridMuse",
    "RemoveCosmicRays",
    "SmoothHst",
    "SubtractBackground",
    "SubtractContinuum",
    "add_noise",
    "anchor_halpha",
    "check_convert_units",
    "check_extract_muse",
    "check_load",
    "check_smooth_hst",
    "check_subtract_continuum",
    "compare_images",
    "convert_units",
    "extract_muse",
    "fill_negatives",
    "find_fill_negatives_halo",
    "find_fit_anchor_halo",
    "find_remove_cosmic_rays_halo",
    "find_smooth_hst_halo",
    "fit_anchor",
    "judge_line",
    "judge_mask",
    "load",
    "load_nebulae",
    "reduce_to_background",
    "reduce_to_cosmic_rays",
    "reduce_to_line",
    "reduce_to_noise",
    "reduce_to_offset",
    "reduce_to_outside",
    "regrid_muse",
    "remove_cosmic_rays",
    "smooth_hst",
    "subtract_background",
    "subtract_continuum",
]
