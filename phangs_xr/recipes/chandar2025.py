"""The recipe of the published PHANGS-HST Hα maps (Chandar et al. 2025, AJ 169, 150).

Flux densities with errors; backgrounds and [NII] by MUSE's synthetic bands; the continuum between
the logarithms of the broad bands; the Milky Way's extinction undone. Without MUSE it ends at the
line flux of the narrow band, [NII] and background included.
"""

from phangs_xr.recipes import declare_steps as step
from phangs_xr.recipes.step import Recipe

FITS = (
    "hst_ha",
    "hst_ha_err",
    "hst_ha_as2",
    "hst_ha_err_as2",
    "muse_ha_as2",
    "muse_contsub_ha",
    "muse_contsub_ha_as2",
    "hst_contsub",
    "hst_contsub_err",
)

CHANDAR2025 = Recipe(
    name="chandar2025",
    title="The published PHANGS-HST maps: backgrounds and [NII] by MUSE, an error for every pixel",
    steps=(
        step.LOAD,
        step.LOAD_WEIGHTS,
        step.ESTIMATE_ERRORS,
        step.FIND_FOOTPRINT,
        step.CALIBRATE_BANDS,
        step.EXTRACT_MUSE,
        step.LOAD_NEBULAE,
        step.FOLD_CUBE,
        step.LOAD_MUSE_BANDS,
        step.MATCH_BANDS,
        step.SUBTRACT_SKY,
        step.CORRECT_EXTINCTION,
        step.CORRECT_MUSE_EXTINCTION,
        step.SUBTRACT_LOG_CONTINUUM,
        step.SUBTRACT_MUSE_CONTINUUM,
        step.CORRECT_NII,
        step.CORRECT_MUSE_NII,
        step.DIVIDE_BY_AREA,
        step.DIVIDE_MUSE_BY_AREA,
    ),
    fits=FITS,
    compared=("hst_contsub", "hst_ha"),
    best="hst_ha",
    advice=(
        "hst_ha is H-alpha freed of [NII] by one factor for the galaxy; hst_contsub still holds "
        "[NII]. Neither is anchored to MUSE nebula by nebula."
    ),
    options={
        "extract_muse": {"zeros": "missing"},
        "match_bands": {"beyond": "zero"},
    },
    products=(*FITS, "musehalpha", "nebula_mask", "star_mask"),
)
