"""The golden galaxy: simulated, 640² pixels, with what the earlier code made of it."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

SHARED = Path(os.environ.get("PHANGS_XR_SHARED", Path(__file__).resolve().parents[2] / "shared"))
GOLDEN = SHARED / "golden"
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason=f"no golden in {SHARED}: set PHANGS_XR_SHARED"
)

INPUTS = {
    "narrow": GOLDEN / "hst" / "ngc0628_acs_f658n_exp_drc_sci.fits",
    "continuum1": GOLDEN / "hst" / "ngc0628_uvis_f555w_exp_drc_sci.fits",
    "continuum2": GOLDEN / "hst" / "ngc0628_acs_f814w_exp_drc_sci.fits",
    "muse": GOLDEN / "muse" / "NGC0628-0.92asec_MAPS.fits",
    "nebula_mask": GOLDEN / "muse" / "NGC0628_nebulae_mask_V2.fits",
    "nebula_catalogue": GOLDEN / "muse" / "Nebulae_catalogue_v2.fits",
    "star_mask": GOLDEN / "muse" / "NGC0628_starmask.fits",
}

IMAGES = (
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
    "fit_anchored",
)
FILLED = {
    "anchored_intnegs": "anchored",
    "fit_anchored_intnegs": "fit_anchored",
    "anchored_intnegs_nocosmic": "diff_anchored",
}
"""Images with filled holes, each with the one that says where there is coverage."""

FRAME = 8
"""The earlier code filled up to 2 x 4 px from zeros beyond the array's edge."""


def read_reference(name: str) -> np.ndarray:
    """What the earlier code made."""
    return fits.getdata(GOLDEN / "reference" / f"ngc0628_{name}.fits").astype(float)


def read_text(name: str) -> np.ndarray:
    """Positions of its cosmic rays (x, y), or the nebulae's fluxes (HST, anchored, MUSE)."""
    return np.loadtxt(GOLDEN / "reference" / f"{name}.txt")


def cut_frame(image: np.ndarray) -> np.ndarray:
    """The image without its frame."""
    return image[FRAME:-FRAME, FRAME:-FRAME]
