"""One file per step: kernels on plain arrays, options, and the function on labelled images."""

from phangs_xr.steps.add_noise import AddNoise, add_noise, reduce_to_noise
from phangs_xr.steps.anchor_halpha import AnchorHalpha, anchor_halpha
from phangs_xr.steps.calibrate_bands import CalibrateBands, calibrate_bands
from phangs_xr.steps.calibrate_bands import check_inputs as check_calibrate_bands
from phangs_xr.steps.clean_cosmic_rays import CleanCosmicRays, clean_cosmic_rays
from phangs_xr.steps.clean_cosmic_rays import find_halo as find_clean_cosmic_rays_halo
from phangs_xr.steps.compare_images import CompareImages, compare_images, reduce_to_offset
from phangs_xr.steps.convert_units import ConvertUnits, convert_units
from phangs_xr.steps.convert_units import check_inputs as check_convert_units
from phangs_xr.steps.correct_extinction import CorrectExtinction, correct_extinction
from phangs_xr.steps.correct_muse_extinction import CorrectMuseExtinction, correct_muse_extinction
from phangs_xr.steps.correct_muse_nii import CorrectMuseNii, correct_muse_nii
from phangs_xr.steps.correct_nii import CorrectNii, correct_nii, judge_nii, reduce_to_nii
from phangs_xr.steps.divide_by_area import DivideByArea, divide_by_area
from phangs_xr.steps.divide_muse_by_area import DivideMuseByArea, divide_muse_by_area
from phangs_xr.steps.estimate_errors import EstimateErrors, estimate_errors
from phangs_xr.steps.estimate_errors import check_inputs as check_estimate_errors
from phangs_xr.steps.estimate_errors import needs_measuring as needs_pixel_noise
from phangs_xr.steps.estimate_errors import reduce_to_noise as reduce_to_pixel_noise
from phangs_xr.steps.extract_lines import PRODUCTS_OF as LINE_SOURCES
from phangs_xr.steps.extract_lines import ExtractLines, extract_lines
from phangs_xr.steps.extract_lines import needs_measuring as needs_muse_noise
from phangs_xr.steps.extract_lines import reduce_to_noise as reduce_to_muse_noise
from phangs_xr.steps.extract_muse import ExtractMuse, extract_muse
from phangs_xr.steps.extract_muse import check_inputs as check_extract_muse
from phangs_xr.steps.fill_negatives import FillNegatives, fill_negatives
from phangs_xr.steps.fill_negatives import find_halo as find_fill_negatives_halo
from phangs_xr.steps.find_footprint import FindFootprint, find_footprint, reduce_to_box
from phangs_xr.steps.find_footprint import find_halo as find_footprint_halo
from phangs_xr.steps.fit_anchor import FitAnchor, fit_anchor, judge_line, reduce_to_line
from phangs_xr.steps.fit_anchor import find_halo as find_fit_anchor_halo
from phangs_xr.steps.fold_cube import FoldCube, fold_cube
from phangs_xr.steps.fold_cube import check_inputs as check_fold_cube
from phangs_xr.steps.join_halpha import MARGIN as JOIN_HALPHA_MARGIN
from phangs_xr.steps.join_halpha import JoinHalpha, join_halpha
from phangs_xr.steps.load import Load, load
from phangs_xr.steps.load import check_inputs as check_load
from phangs_xr.steps.load_muse_bands import LoadMuseBands, load_muse_bands
from phangs_xr.steps.load_muse_bands import check_inputs as check_load_muse_bands
from phangs_xr.steps.load_nebulae import LoadNebulae, judge_mask, load_nebulae, reduce_to_outside
from phangs_xr.steps.load_weights import LoadWeights, load_weights
from phangs_xr.steps.load_weights import check_inputs as check_load_weights
from phangs_xr.steps.match_bands import MatchBands, match_bands
from phangs_xr.steps.match_bands import check_inputs as check_match_bands
from phangs_xr.steps.match_bands import find_halo as find_match_bands_halo
from phangs_xr.steps.match_halpha import MatchHalpha, match_halpha
from phangs_xr.steps.match_halpha import find_halo as find_match_halpha_halo
from phangs_xr.steps.match_halpha import reduce_to_noise as reduce_to_hst_noise
from phangs_xr.steps.measure_response import NAMES as RESPONSE_MAPS
from phangs_xr.steps.measure_response import MeasureResponse, measure_response, reduce_to_field
from phangs_xr.steps.measure_response import check_inputs as check_measure_response
from phangs_xr.steps.measure_response import find_halo as find_measure_response_halo
from phangs_xr.steps.measure_sky import MeasureSky, measure_sky, reduce_to_sky
from phangs_xr.steps.measure_sky import is_needed as needs_sky
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
from phangs_xr.steps.solve_halpha import MARGIN as SOLVE_HALPHA_MARGIN
from phangs_xr.steps.solve_halpha import NAMES as MODEL_IMAGES
from phangs_xr.steps.solve_halpha import (
    SolveHalpha,
    judge_model,
    reduce_to_model,
    solve_halpha,
)
from phangs_xr.steps.solve_halpha import check_inputs as check_solve_halpha
from phangs_xr.steps.solve_halpha import find_halo as find_solve_halpha_halo
from phangs_xr.steps.subtract_background import (
    SubtractBackground,
    reduce_to_background,
    subtract_background,
)
from phangs_xr.steps.subtract_continuum import SubtractContinuum, subtract_continuum
from phangs_xr.steps.subtract_continuum import check_inputs as check_subtract_continuum
from phangs_xr.steps.subtract_log_continuum import SubtractLogContinuum, subtract_log_continuum
from phangs_xr.steps.subtract_log_continuum import check_inputs as check_subtract_log_continuum
from phangs_xr.steps.subtract_muse_continuum import SubtractMuseContinuum, subtract_muse_continuum
from phangs_xr.steps.subtract_sky import (
    SubtractSky,
    judge_backgrounds,
    reduce_to_backgrounds,
    subtract_sky,
)
from phangs_xr.steps.subtract_sky import has_pairs as needs_backgrounds
from phangs_xr.steps.weigh_residual import WeighResidual, weigh_residual
from phangs_xr.steps.weigh_residual import find_halo as find_weigh_residual_halo
from phangs_xr.steps.weigh_residual import reduce_to_noise as reduce_to_residual

__all__ = [
    "JOIN_HALPHA_MARGIN",
    "LINE_SOURCES",
    "MODEL_IMAGES",
    "RESPONSE_MAPS",
    "SOLVE_HALPHA_MARGIN",
    "AddNoise",
    "AnchorHalpha",
    "CalibrateBands",
    "CleanCosmicRays",
    "CompareImages",
    "ConvertUnits",
    "CorrectExtinction",
    "CorrectMuseExtinction",
    "CorrectMuseNii",
    "CorrectNii",
    "DivideByArea",
    "DivideMuseByArea",
    "EstimateErrors",
    "ExtractLines",
    "ExtractMuse",
    "FillNegatives",
    "FindFootprint",
    "FitAnchor",
    "FoldCube",
    "JoinHalpha",
    "Load",
    "LoadMuseBands",
    "LoadNebulae",
    "LoadWeights",
    "MatchBands",
    "MatchHalpha",
    "MeasureResponse",
    "MeasureSky",
    "RegridMuse",
    "RemoveCosmicRays",
    "SmoothHst",
    "SolveHalpha",
    "SubtractBackground",
    "SubtractContinuum",
    "SubtractLogContinuum",
    "SubtractMuseContinuum",
    "SubtractSky",
    "WeighResidual",
    "add_noise",
    "anchor_halpha",
    "calibrate_bands",
    "check_calibrate_bands",
    "check_convert_units",
    "check_estimate_errors",
    "check_extract_muse",
    "check_fold_cube",
    "check_load",
    "check_load_muse_bands",
    "check_load_weights",
    "check_match_bands",
    "check_measure_response",
    "check_smooth_hst",
    "check_solve_halpha",
    "check_subtract_continuum",
    "check_subtract_log_continuum",
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
    "find_clean_cosmic_rays_halo",
    "find_fill_negatives_halo",
    "find_fit_anchor_halo",
    "find_footprint",
    "find_footprint_halo",
    "find_match_bands_halo",
    "find_match_halpha_halo",
    "find_measure_response_halo",
    "find_remove_cosmic_rays_halo",
    "find_smooth_hst_halo",
    "find_solve_halpha_halo",
    "find_weigh_residual_halo",
    "fit_anchor",
    "fold_cube",
    "join_halpha",
    "judge_backgrounds",
    "judge_line",
    "judge_mask",
    "judge_model",
    "judge_nii",
    "load",
    "load_muse_bands",
    "load_nebulae",
    "load_weights",
    "match_bands",
    "match_halpha",
    "measure_response",
    "measure_sky",
    "needs_backgrounds",
    "needs_muse_noise",
    "needs_pixel_noise",
    "needs_sky",
    "reduce_to_background",
    "reduce_to_backgrounds",
    "reduce_to_box",
    "reduce_to_cosmic_rays",
    "reduce_to_field",
    "reduce_to_hst_noise",
    "reduce_to_line",
    "reduce_to_model",
    "reduce_to_muse_noise",
    "reduce_to_nii",
    "reduce_to_noise",
    "reduce_to_offset",
    "reduce_to_outside",
    "reduce_to_pixel_noise",
    "reduce_to_residual",
    "reduce_to_sky",
    "regrid_muse",
    "remove_cosmic_rays",
    "smooth_hst",
    "solve_halpha",
    "subtract_background",
    "subtract_continuum",
    "subtract_log_continuum",
    "subtract_muse_continuum",
    "subtract_sky",
    "weigh_residual",
]
