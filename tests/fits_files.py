"""FITS files as astropy writes them, and what it reads from them."""

from pathlib import Path

import numpy as np
from astropy.io import fits

SHAPE = (83, 117)
WCS_CARDS = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 24.173940000012345,
    "CRVAL2": 15.78346,
    "CRPIX1": 60.5,
    "CRPIX2": 40.25,
    "CD1_1": -1.0759623608071234e-05,
    "CD1_2": 2.28702859899535e-06,
    "CD2_1": 2.28702859899535e-06,
    "CD2_2": 1.0759623608071e-05,
    "RADESYS": "ICRS",
}


def make_header(**cards: object) -> fits.Header:
    """A header as HST images have it, with other cards besides."""
    # Cards of astropy's own making keep no more than 20 characters of a number.
    lines = [f"{key:<8}= {value!r}".replace("e-", "E-") for key, value in WCS_CARDS.items()]
    header = fits.Header.fromstring("\n".join(lines), sep="\n")
    header.update({"BUNIT": "ELECTRONS/S", "PHOTFLAM": 1.9697e-18} | cards)
    header.add_history("drizzled")
    return header


def make_pixels(dtype: str = "f4", shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Noise, and missing pixels if they can be NaN."""
    values = np.random.default_rng(1).normal(40.0, 20.0, shape).astype(dtype)
    if values.dtype.kind == "f":
        values[3:20, 40:60] = np.nan
    return values


def write(path: Path, *hdus: fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) -> Path:
    """Write a file and return where it is."""
    fits.HDUList(list(hdus)).writeto(path)
    return path


def make_plain(path: Path, dtype: str) -> Path:
    """Write a file of one image."""
    return write(path, fits.PrimaryHDU(make_pixels(dtype), make_header()))


def read_truth(path: Path) -> np.ndarray:
    """The last image's pixels, as astropy reads them."""
    with fits.open(path) as hdus:
        data = hdus[-1].data
        return data.astype(data.dtype.newbyteorder("="))
