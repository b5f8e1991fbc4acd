"""Every step there is, declared once: what it makes, on which grid, what it must measure first.

A recipe (`barnes2023`, …) names those it is made of.
"""

from phangs_xr import steps
from phangs_xr.photometry.curves import measure_rectangular_width
from phangs_xr.recipes.step import Step

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

REGRID_MUSE = Step(steps.regrid_muse, steps.RegridMuse, ("musehalpha_regrid",))

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
    summary="cosmic rays: {cosmic_rays} of {sources:.0f} sources",
)
