"""Every step there is, declared once: what it makes, on which grid, what it must measure first.

A recipe (`barnes2023`, …) names those it is made of.
"""

from phangs_xr import steps
from phangs_xr.photometry.curves import measure_rectangular_width
from phangs_xr.photometry.extinction import suggest_ebv
from phangs_xr.recipes.step import Step
from phangs_xr.schema import BANDS


def _name_bands(before: str = "", after: str = "") -> tuple[str, ...]:
    """Return what is made of each band alike."""
    return tuple(f"{before}{band}{after}" for band in BANDS)


def _pair_bands(made: str, taken: str) -> dict[str, tuple[str, ...]]:
    """Return which input each band's output is made with; `*` stands for the band."""
    return {made.replace("*", band): (taken.replace("*", band),) for band in BANDS}


LOAD = Step(
    steps.load,
    steps.Load,
    ("narrow", "continuum1", "continuum2"),
    sources=("narrow", "continuum1", "continuum2"),
    check=steps.check_load,
)

SUBTRACT_CONTINUUM = Step(
    steps.subtract_continuum,
    steps.SubtractContinuum,
    ("halpha_raw", "cont_raw"),
    check=steps.check_subtract_continuum,
)

CONVERT_UNITS = Step(
    steps.convert_units,
    steps.ConvertUnits,
    ("halpha",),
    check=steps.check_convert_units,
    curves={"throughput": ("rectangular_width", measure_rectangular_width)},
)

SUBTRACT_BACKGROUND = Step(
    steps.subtract_background,
    steps.SubtractBackground,
    ("halpha_bg", "halpha_bgsub"),
    reduce=steps.reduce_to_background,
    looks_at=("halpha",),
    numbers=("threshold", "background_mesh", "background_box", "background_origin"),
)

EXTRACT_MUSE = Step(
    steps.extract_muse,
    steps.ExtractMuse,
    ("musehalpha",),
    grid="muse",
    sources=("muse",),
    check=steps.check_extract_muse,
)

LOAD_NEBULAE = Step(
    steps.load_nebulae,
    steps.LoadNebulae,
    ("nebula_mask", "star_mask"),
    grid="muse",
    sources=("nebula_mask", "star_mask"),
    reduce=steps.reduce_to_outside,
    looks_at=("nebula_mask",),
    numbers=("zero_is_outside",),
    judge=steps.judge_mask,
)

REGRID_MUSE = Step(steps.regrid_muse, steps.RegridMuse, ("musehalpha_regrid",), unread=("narrow",))

SMOOTH_HST = Step(
    steps.smooth_hst,
    steps.SmoothHst,
    ("halpha_smoothed",),
    find_halo=steps.find_smooth_hst_halo,
    check=steps.check_smooth_hst,
    resolutions={"muse_fwhm": "muse"},
)

COMPARE_IMAGES = Step(
    steps.compare_images,
    steps.CompareImages,
    ("hstmuseratio", "hstmusediff"),
    reduce=steps.reduce_to_offset,
    looks_at=("halpha",),
    numbers=("offset",),
)

ANCHOR_HALPHA = Step(steps.anchor_halpha, steps.AnchorHalpha, ("anchored", "diff_anchored"))

FILL_NEGATIVES = Step(
    steps.fill_negatives,
    steps.FillNegatives,
    ("anchored_intnegs",),
    find_halo=steps.find_fill_negatives_halo,
)

FIT_ANCHOR = Step(
    steps.fit_anchor,
    steps.FitAnchor,
    ("fit_anchored", "fit_anchored_intnegs"),
    reduce=steps.reduce_to_line,
    looks_at=("halpha_smoothed", "musehalpha_regrid", "halpha"),
    numbers=(
        "slope",
        "slope_error",
        "intercept",
        "intercept_error",
        "correlation",
        "pixels",
        "negative_rms",
        "histogram_edges",
        "anchor_histogram",
    ),
    find_halo=steps.find_fit_anchor_halo,
    summary=(
        "smoothed HST = {slope:.4f} x MUSE {intercept:+.2f} "
        "(correlation {correlation:.3f}, {pixels:.0f} pixels)"
    ),
    judge=steps.judge_line,
)

ADD_NOISE = Step(
    steps.add_noise,
    steps.AddNoise,
    ("anchored_wnoise", "anchored_intnegs_wnoise"),
    reduce=steps.reduce_to_noise,
    looks_at=("anchored", "anchored_intnegs"),
    numbers=("noise_anchored", "noise_anchored_intnegs"),
    summary="noise of anchored: {noise_anchored:.2f} 10**-20 erg s-1 cm-2",
)

REMOVE_COSMIC_RAYS = Step(
    steps.remove_cosmic_rays,
    steps.RemoveCosmicRays,
    ("anchored_intnegs_nocosmic", "cosmic_mask"),
    reduce=steps.reduce_to_cosmic_rays,
    looks_at=("diff_anchored",),
    numbers=("sky_median", "sky_std", "sources", "cosmic_rays"),
    find_halo=steps.find_remove_cosmic_rays_halo,
    summary="cosmic rays: {cosmic_rays.shape[0]} of {sources:.0f} sources",
)

LOAD_WEIGHTS = Step(
    steps.load_weights,
    steps.LoadWeights,
    _name_bands(after="_weight"),
    sources=(*BANDS, *_name_bands(after="_weight")),
    unread=BANDS,
    check=steps.check_load_weights,
)

ESTIMATE_ERRORS = Step(
    steps.estimate_errors,
    steps.EstimateErrors,
    _name_bands(after="_err"),
    only_with=_pair_bands("*_err", "*"),
    reduce=steps.reduce_to_pixel_noise,
    measures=steps.needs_pixel_noise,
    looks_at=(*BANDS, *_name_bands(after="_weight")),
    numbers=("pixel_noise_ratio", "pixel_noise"),
    check=steps.check_estimate_errors,
)

FIND_FOOTPRINT = Step(
    steps.find_footprint,
    steps.FindFootprint,
    ("footprint",),
    sources=("narrow",),
    reduce=steps.reduce_to_box,
    looks_at=("narrow",),
    numbers=("data_box",),
    find_halo=steps.find_footprint_halo,
)

CALIBRATE_BANDS = Step(
    steps.calibrate_bands,
    steps.CalibrateBands,
    (*_name_bands(after="_flux"), *_name_bands(after="_flux_err")),
    only_with=_pair_bands("*_flux", "*") | _pair_bands("*_flux_err", "*_err"),
    check=steps.check_calibrate_bands,
)

FOLD_CUBE = Step(
    steps.fold_cube,
    steps.FoldCube,
    _name_bands("muse_"),
    grid="muse",
    sources=("muse_cube", *BANDS),
    only_with={"muse_continuum2": ("continuum2",)},
    unread=BANDS,
    check=steps.check_fold_cube,
)

LOAD_MUSE_BANDS = Step(
    steps.load_muse_bands,
    steps.LoadMuseBands,
    _name_bands("muse_", "_flux"),
    grid="muse",
    sources=(*_name_bands("muse_"), *BANDS),
    only_with=_pair_bands("muse_*_flux", "muse_*"),
    unread=BANDS,
    check=steps.check_load_muse_bands,
)

MATCH_BANDS = Step(
    steps.match_bands,
    steps.MatchBands,
    _name_bands(after="_on_muse"),
    grid="muse",
    only_with=_pair_bands("*_on_muse", "*_flux"),
    unread=("musehalpha",),
    find_halo=steps.find_match_bands_halo,
    check=steps.check_match_bands,
    resolutions={"muse_fwhm": "muse"},
)

SUBTRACT_SKY = Step(
    steps.subtract_sky,
    steps.SubtractSky,
    _name_bands(after="_skysub"),
    only_with=_pair_bands("*_skysub", "*_flux"),
    reduce=steps.reduce_to_backgrounds,
    measures=steps.needs_backgrounds,
    looks_at=(*_name_bands(after="_on_muse"), *_name_bands("muse_", "_flux"), "star_mask"),
    unread=(*_name_bands(after="_on_muse"), *_name_bands("muse_", "_flux"), "star_mask"),
    numbers=("sky_slope", "sky_intercept", "sky_points", "sky_histogram"),
    judge=steps.judge_backgrounds,
)

CORRECT_EXTINCTION = Step(
    steps.correct_extinction,
    steps.CorrectExtinction,
    (*_name_bands(after="_bgcorr"), *_name_bands(after="_bgcorr_err")),
    only_with=_pair_bands("*_bgcorr", "*_flux") | _pair_bands("*_bgcorr_err", "*_flux_err"),
    asked={"ebv": suggest_ebv},
)

CORRECT_MUSE_EXTINCTION = Step(
    steps.correct_muse_extinction,
    steps.CorrectMuseExtinction,
    _name_bands("muse_", "_corrected"),
    grid="muse",
    only_with=_pair_bands("muse_*_corrected", "muse_*_flux"),
    shared={"ebv": "correct_extinction"},
)

SUBTRACT_LOG_CONTINUUM = Step(
    steps.subtract_log_continuum,
    steps.SubtractLogContinuum,
    ("hst_cont", "hst_contsub", "hst_contsub_err", "unsubtracted_mask"),
    tallies={"unsubtracted_mask": "unsubtracted"},
    check=steps.check_subtract_log_continuum,
    summary="pixels whose continuum counts as 0: {unsubtracted:.0f}",
)

SUBTRACT_MUSE_CONTINUUM = Step(
    steps.subtract_muse_continuum, steps.SubtractMuseContinuum, ("muse_contsub",), grid="muse"
)

CORRECT_NII = Step(
    steps.correct_nii,
    steps.CorrectNii,
    ("hst_ha", "hst_ha_err"),
    reduce=steps.reduce_to_nii,
    looks_at=("muse_contsub", "musehalpha", "star_mask"),
    unread=("muse_contsub", "musehalpha", "star_mask"),
    numbers=(
        "nii_slope",
        "nii_intercept",
        "nii_slope_equal_number",
        "nii_points",
        "nii_histogram",
    ),
    summary="MUSE's narrow band = {nii_slope:.4f} x H-alpha {nii_intercept:+.2f}: [NII]",
    judge=steps.judge_nii,
)

CORRECT_MUSE_NII = Step(
    steps.correct_muse_nii, steps.CorrectMuseNii, ("muse_contsub_ha",), grid="muse"
)

DIVIDE_BY_AREA = Step(
    steps.divide_by_area,
    steps.DivideByArea,
    ("hst_ha_as2", "hst_ha_err_as2"),
    only_with={"hst_ha_err_as2": ("hst_ha_err",)},
)

DIVIDE_MUSE_BY_AREA = Step(
    steps.divide_muse_by_area,
    steps.DivideMuseByArea,
    ("muse_ha_as2", "muse_contsub_ha_as2"),
    grid="muse",
    only_with={"muse_contsub_ha_as2": ("muse_contsub_ha",)},
)

CLEAN_COSMIC_RAYS = Step(
    steps.clean_cosmic_rays,
    steps.CleanCosmicRays,
    (*_name_bands(after="_clean"), "cosmic_mask"),
    only_with=_pair_bands("*_clean", "*"),
    tallies={"cosmic_mask": "cosmic_pixels"},
    find_halo=steps.find_clean_cosmic_rays_halo,
    working=16,
    summary="pixels of cosmic rays: {cosmic_pixels:.0f}",
)

EXTRACT_LINES = Step(
    steps.extract_lines,
    steps.ExtractLines,
    (
        "musehalpha_err",
        "line_velocity",
        "line_velocity_err",
        "nii_flux",
        "hbeta_flux",
        "oiii_flux",
    ),
    grid="muse",
    sources=("muse", *steps.LINE_SOURCES),
    only_with={
        "musehalpha_err": ("muse",),
        **{made: (taken,) for taken, made in steps.LINE_SOURCES.items() if taken[-4:] != "_err"},
        "line_velocity_err": ("muse_velocity_err",),
    },
    reduce=steps.reduce_to_muse_noise,
    measures=steps.needs_muse_noise,
    looks_at=("muse",),
    numbers=("muse_noise",),
)

MEASURE_RESPONSE = Step(
    steps.measure_response,
    steps.MeasureResponse,
    ("line_response", "continuum1_response", "continuum2_response"),
    grid="muse",
    sources=("muse", *BANDS),
    only_with={"continuum2_response": ("continuum2",)},
    unread=("muse", *BANDS),
    reduce=steps.reduce_to_field,
    looks_at=steps.RESPONSE_MAPS,
    numbers=("field_velocity", "field_ratios"),
    find_halo=steps.find_measure_response_halo,
    check=steps.check_measure_response,
    shared={"ebv": "correct_extinction"},
)

MEASURE_SKY = Step(
    steps.measure_sky,
    steps.MeasureSky,
    (),
    reduce=steps.reduce_to_sky,
    measures=steps.needs_sky,
    looks_at=_name_bands(after="_flux"),
    unread=(*_name_bands(after="_flux"), "musehalpha"),
    numbers=("clipped_sky",),
)

SOLVE_HALPHA = Step(
    steps.solve_halpha,
    steps.SolveHalpha,
    ("halpha_hst", "halpha_hst_err", "continuum", "continuum_err", "colour", "equivalent_width"),
    only_with=dict.fromkeys(
        ("halpha_hst_err", "continuum_err", "equivalent_width"),
        ("narrow_flux_err", "continuum1_flux_err"),
    ),
    reduce=steps.reduce_to_model,
    looks_at=steps.MODEL_IMAGES,
    unread=(
        *_name_bands(after="_on_muse"),
        *_name_bands("muse_", "_flux")[1:],
        *("musehalpha_err", "star_mask"),
    ),
    numbers=(
        *("gain", "gain_error", "continuum_q", "continuum_q_error", "continuum_colour"),
        *("field_sky", "muse_shift", "muse_shift_error", "mean_response", "calibration_error"),
    ),
    find_halo=steps.find_solve_halpha_halo,
    margin=steps.SOLVE_HALPHA_MARGIN,
    working=24,
    check=steps.check_solve_halpha,
    shared={"ebv": "correct_extinction"},
    summary=(
        "HST's line flux = {gain:.4f} x MUSE's; MUSE's features lie {muse_shift[0]:+.2f}, "
        "{muse_shift[1]:+.2f} spaxels (y, x) from HST's +- {muse_shift_error:.2f}: taken out"
    ),
    judge=steps.judge_model,
)

MATCH_HALPHA = Step(
    steps.match_halpha,
    steps.MatchHalpha,
    ("halpha_on_muse", "muse_minus_hst"),
    grid="muse",
    reduce=steps.reduce_to_hst_noise,
    looks_at=("halpha_hst_err",),
    unread=("halpha_hst_err",),
    numbers=("hst_noise",),
    find_halo=steps.find_match_halpha_halo,
    resolutions={"muse_fwhm": "muse"},
    shared={"hst_fwhm": "match_bands"},
)

WEIGH_RESIDUAL = Step(
    steps.weigh_residual,
    steps.WeighResidual,
    ("joint_correction", "muse_share"),
    grid="muse",
    reduce=steps.reduce_to_residual,
    looks_at=("muse_minus_hst", "musehalpha", "musehalpha_err"),
    unread=("musehalpha", "musehalpha_err", "halpha_hst"),
    numbers=("muse_noise_level", "residual_excess", "residual_relative", "residual_left"),
    find_halo=steps.find_weigh_residual_halo,
    resolutions={"muse_fwhm": "muse"},
    shared={"hst_fwhm": "match_bands"},
)

JOIN_HALPHA = Step(
    steps.join_halpha,
    steps.JoinHalpha,
    ("halpha_joint", "halpha_joint_err", "muse_coverage"),
    only_with={"halpha_joint_err": ("halpha_hst_err",)},
    margin=steps.JOIN_HALPHA_MARGIN,
)
