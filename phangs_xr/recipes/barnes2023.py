"""The recipe of the PHANGS-HST narrow-band pipeline of 2023, with its numbers.

HST's continuum-subtracted map, and that map anchored to MUSE in three ways: by the ratio and by the
difference of the two at MUSE's resolution, and by a straight line.
"""

from phangs_xr.recipes import declare_steps as step
from phangs_xr.recipes.step import Recipe

BARNES2023 = Recipe(
    name="barnes2023",
    title="The PHANGS-HST narrow-band pipeline of 2023, number by number",
    steps=(
        step.LOAD,
        step.SUBTRACT_CONTINUUM,
        step.CONVERT_UNITS,
        step.SUBTRACT_BACKGROUND,
        step.EXTRACT_MUSE,
        step.LOAD_NEBULAE,
        step.REGRID_MUSE,
        step.SMOOTH_HST,
        step.COMPARE_IMAGES,
        step.ANCHOR_HALPHA,
        step.FILL_NEGATIVES,
        step.FIT_ANCHOR,
        step.ADD_NOISE,
        step.REMOVE_COSMIC_RAYS,
    ),
    fits=(
        "halpha_raw",
        "cont_raw",
        "halpha",
        "halpha_bg",
        "halpha_bgsub",
        "musehalpha",
        "musehalpha_regrid",
        "halpha_smoothed",
        "hstmuseratio",
        "hstmusediff",
        "anchored",
        "diff_anchored",
        "anchored_intnegs",
        "fit_anchored",
        "fit_anchored_intnegs",
        "anchored_wnoise",
        "anchored_intnegs_wnoise",
        "anchored_intnegs_nocosmic",
    ),
    compared=("halpha", "anchored", "anchored_intnegs", "fit_anchored"),
    best="anchored",
    advice=(
        "anchored keeps MUSE's fluxes at HST's resolution; halpha is for structure alone, its "
        "fluxes are too low by the filter's PHOTBW; no map says its error."
    ),
)
