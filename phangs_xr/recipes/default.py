"""The recipe to measure with: Hα at the noise floor, with HST's sharpness and MUSE's fluxes.

What each band sees of the lines, cosmic rays, shift, continuum, sky and gain are taken from the
comparison with MUSE; the map is the best estimate of both, with an error for every pixel. Without
MUSE it ends at HST's own map, and says what it assumes.
"""

from phangs_xr.recipes import declare_steps as step
from phangs_xr.recipes.step import Recipe

FITS = (
    "halpha_joint",
    "halpha_joint_err",
    "halpha_hst",
    "halpha_hst_err",
    "continuum",
    "continuum_err",
    "equivalent_width",
)

DEFAULT = Recipe(
    name="default",
    title="H-alpha at the noise floor: the best estimate of HST and MUSE, with its error",
    steps=(
        step.LOAD,
        step.LOAD_WEIGHTS,
        step.ESTIMATE_ERRORS,
        step.CLEAN_COSMIC_RAYS,
        step.FIND_FOOTPRINT,
        step.CALIBRATE_BANDS,
        step.EXTRACT_MUSE,
        step.EXTRACT_LINES,
        step.LOAD_NEBULAE,
        step.FOLD_CUBE,
        step.LOAD_MUSE_BANDS,
        step.MEASURE_RESPONSE,
        step.MATCH_BANDS,
        step.MEASURE_SKY,
        step.CORRECT_EXTINCTION,
        step.SOLVE_HALPHA,
        step.MATCH_HALPHA,
        step.WEIGH_RESIDUAL,
        step.JOIN_HALPHA,
    ),
    fits=FITS,
    compared=("halpha_hst", "halpha_joint"),
    best="halpha_joint",
    advice=(
        "Measure on halpha_joint, whose errors are halpha_joint_err for pixels and "
        "flux_halpha_joint_err for nebulae; where MUSE has no data it goes on as halpha_hst, which "
        "is HST alone."
    ),
    options={
        "estimate_errors": {"pixel_noise": "measured"},
        "extract_muse": {"zeros": "missing"},
        "find_footprint": {"side": 1, "iterations": 1},
    },
    products=(
        *FITS,
        *("line_response", "colour", "muse_minus_hst", "cosmic_mask", "muse_coverage"),
        *("musehalpha", "musehalpha_err", "nebula_mask", "star_mask"),
    ),
)
