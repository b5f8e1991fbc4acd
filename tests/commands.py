"""The command line in this process, and a small field to give to it or to spoil."""

import numpy as np
import pytest
from astropy.io import fits

from phangs_xr.cli import main

CONFIG = """
galaxy = "ngc0628"
[inputs]
narrow = "data/narrow_f658n_sci.fits"
continuum1 = "data/cont_f555w_sci.fits"
continuum2 = "data/cont_f814w_sci.fits"
muse = "data/NGC0628-0.92asec_MAPS.fits"
"""
PHOTOMETRY = {
    "narrow_f658n_sci": (1.9697e-18, 6584.0, 37.2),
    "cont_f555w_sci": (1.94e-19, 5360.0, 360.0),
    "cont_f814w_sci": (6.96e-20, 8061.0, 650.0),
}
SIZE = 240


def make_header(shape, pixel, center=(24.17394, 15.78346)):
    """A header of square pixels, north up [arcsec, deg]."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = center
    header["CRPIX1"], header["CRPIX2"] = (shape[1] + 1) / 2, (shape[0] + 1) / 2
    header["CD1_1"], header["CD1_2"] = -pixel / 3600, 0.0
    header["CD2_1"], header["CD2_2"] = 0.0, pixel / 3600
    header["RADESYS"] = "ICRS"
    return header


def write_field(place):
    """Write a small field that runs, three bands and a MAPS file; return its configuration."""
    folder = place / "data"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for name, (photflam, photplam, photbw) in PHOTOMETRY.items():
        header = make_header((SIZE, SIZE), 0.0396)
        header["PHOTFLAM"], header["PHOTPLAM"], header["PHOTBW"] = photflam, photplam, photbw
        header["BUNIT"], header["FILTER"] = "ELECTRONS/S", name.split("_")[1].upper()
        pixels = rng.normal(1.0, 0.05, (SIZE, SIZE)).astype("f4")
        fits.PrimaryHDU(pixels, header).writeto(folder / f"{name}.fits")
    header = make_header((48, 48), 0.2)
    header["BUNIT"] = "10**(-20)*erg/s/cm**2/spaxel"
    flux = rng.normal(100, 20, (48, 48)).astype("f4")
    maps = [fits.PrimaryHDU(), fits.ImageHDU(flux, header, name="HA6562_FLUX")]
    fits.HDUList(maps).writeto(folder / "NGC0628-0.92asec_MAPS.fits")
    config = place / "field.toml"
    config.write_text(CONFIG)
    return config


def call(*arguments):
    """Run the command line in this process; return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def refuse(capsys, tmp_path, *arguments):
    """Check that a call is refused with exit 2, one line, nothing written; return the line."""
    before = sorted(tmp_path.rglob("*"))
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err
    assert sorted(tmp_path.rglob("*")) == before
    return captured.err


def edit(field, name, hdu=0, **cards):
    """Change the header of an image of the field; None takes a card away."""
    path = field.parent / "data" / f"{name}.fits"
    with fits.open(path, mode="update") as hdus:
        for key, value in cards.items():
            if value is None:
                del hdus[hdu].header[key]
            else:
                hdus[hdu].header[key] = value


def set_pixels(field, name, values, hdu=0, keep=True):
    """Replace the pixels of an image of the field, and its header unless it is kept."""
    path = field.parent / "data" / f"{name}.fits"
    with fits.open(path) as hdus:
        header = hdus[hdu].header
    fits.PrimaryHDU(values, header if keep else None).writeto(path, overwrite=True)
