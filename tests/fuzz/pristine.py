"""The small field that is damaged: all kinds of input, each stored in another way."""

import gzip
import io
from functools import cache

import numpy as np
from astropy.io import fits

from tests.commands import PHOTOMETRY, make_header

SIZE = 100
SPAXELS = 20

CONFIG = {
    "galaxy": "ngc0628",
    "recipe": "barnes2023",
    "inputs": {
        "narrow": {"path": "narrow_f658n_sci.fits", "hdu": 0},
        "continuum1": "cont_f555w_sci.fits",
        "continuum2": "cont_f814w_sci.fits.gz",
        "muse": "NGC0628-0.92asec_MAPS.fits",
        "nebula_mask": "mask.fits",
        "star_mask": "stars.fits",
        "nebula_catalogue": "catalogue.fits",
    },
    "output": {"products": ["halpha", "musehalpha", "nebula_mask", "star_mask"], "fits": []},
    "options": {
        "convert_units": {"bandwidth": "rectangular", "throughput": "curve.dat"},
        "subtract_background": {"box_size": 50, "filter_size": 3},
        "smooth_hst": {"hst_fwhm": 0.1, "muse_fwhm": 0.92},
        "add_noise": {"seed": 7},
        "remove_cosmic_rays": {"fwhm": 3.0, "threshold": 5.0},
    },
}
WEIGHT = "weight.fits"
CATALOGUE = "catalogue.fits"


@cache
def make_files():
    """The content of every file, by its name."""
    rng = np.random.default_rng(3)
    narrow, first, second = (_make_band(name, rng) for name in PHOTOMETRY)
    tiled = fits.CompImageHDU(*first, tile_shape=(30, 40), compression_type="RICE_1")
    return {
        "narrow_f658n_sci.fits": _store(fits.PrimaryHDU(*narrow)),
        "cont_f555w_sci.fits": _store(fits.PrimaryHDU(), tiled),
        "cont_f814w_sci.fits.gz": gzip.compress(_store(fits.PrimaryHDU(*second)), 1, mtime=0),
        "NGC0628-0.92asec_MAPS.fits": _make_maps(rng),
        "mask.fits": _make_mask("i2", np.arange(SPAXELS**2).reshape(SPAXELS, -1) // 40 - 1),
        "stars.fits": _make_mask("u2", rng.random((SPAXELS, SPAXELS)) > 0.9),
        WEIGHT: _make_weight(rng),
        "curve.dat": b"# f658n\n6520.0 0.0\n6550.0 0.2\n6600.0 0.21\n6620.0 0.0\n",
        CATALOGUE: _make_catalogue(rng),
    }


def _store(*hdus):
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file)
    return file.getvalue()


def _make_band(name, rng):
    header = make_header((SIZE, SIZE), 0.0396)
    header["PHOTFLAM"], header["PHOTPLAM"], header["PHOTBW"] = PHOTOMETRY[name]
    header["BUNIT"], header["FILTER"] = "ELECTRONS/S", name.split("_")[1].upper()
    header["EXPTIME"], header["EQUINOX"] = 2200.0, 2000.0
    header["LONPOLE"], header["LATPOLE"] = 180.0, header["CRVAL2"]
    header.add_history("drizzled")
    return rng.normal(1.0, 0.05, (SIZE, SIZE)).astype("f4"), header


def _make_maps(rng):
    header = make_header((SPAXELS, SPAXELS), 0.2)
    header["BUNIT"] = "10**(-20)*erg/s/cm**2/spaxel"
    maps = [
        fits.ImageHDU(rng.normal(100, 20, (SPAXELS, SPAXELS)).astype("f4"), header, name=name)
        for name in ("HB4861_FLUX", "HA6562_FLUX", "HA6562_FLUX_ERR")
    ]
    return _store(fits.PrimaryHDU(), *maps)


def _make_mask(dtype, values):
    return _store(fits.PrimaryHDU(values.astype(dtype), make_header(values.shape, 0.2)))


def _make_weight(rng):
    """An inverse variance, as integers with a scale."""
    header = make_header((SIZE, SIZE), 0.0396)
    header["BUNIT"] = "ELECTRONS/S"
    stored = fits.ImageHDU(rng.integers(0, 9999, (SIZE, SIZE), "i4"), header, name="WHT")
    stored.header["BSCALE"], stored.header["BZERO"], stored.header["BLANK"] = 0.25, 100.0, -1
    return _store(fits.PrimaryHDU(), stored)


def _make_catalogue(rng):
    names = np.array(["NGC0628"] * 9 + ["IC5332"] * 3, dtype="S12")
    columns = [
        fits.Column("gal_name", "12A", array=names),
        fits.Column("region_ID", "D", array=np.arange(12.0)),
        fits.Column("HA6562_FLUX", "E", unit="1e-20 erg/(s cm2)", array=rng.random(12)),
        fits.Column("HII_class", "J", null=-99, array=np.arange(12)),
        fits.Column("flag", "L", array=np.arange(12) > 3),
        fits.Column("unsigned", "I", bzero=32768, array=np.arange(12, dtype="u2")),
        fits.Column("pair", "2D", dim="(2)", array=np.zeros((12, 2))),
        fits.Column("list", "PE()", array=np.array([np.arange(3.0)] * 12, dtype=object)),
        fits.Column("Environment", "10A", array=np.array(["disc"] * 12)),
    ]
    return _store(fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="NEBULAE"))
