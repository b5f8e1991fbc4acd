"""Small labelled images for the tests of single steps."""

import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS

from phangs_xr.recipes import BARNES2023
from phangs_xr.schema import FLUX
from phangs_xr.sky.wcs import format_wcs


def make_header(shape, pixel=0.04, rotation=0.0, radesys="ICRS", shift=(0.0, 0.0)):
    """Header of a tangential image centred on one point of the sky; `shift` is (x, y) in pixels."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [24.17, 15.78]
    wcs.wcs.crpix = [(shape[1] + 1) / 2 + shift[0], (shape[0] + 1) / 2 + shift[1]]
    cos, sin = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
    wcs.wcs.cd = np.array([[-cos, sin], [sin, cos]]) * pixel / 3600
    wcs.wcs.radesys = radesys
    header = wcs.to_header()
    header["NAXIS1"], header["NAXIS2"] = shape[1], shape[0]
    return header


def make_image(values, units=FLUX, header: fits.Header | None = None, **attrs):
    """Image of the values as they are (their dtype too), on the grid of a header."""
    values = np.asarray(values)
    header = make_header(values.shape) if header is None else header
    coords = {
        "y": np.arange(values.shape[0]),
        "x": np.arange(values.shape[1]),
        "wcs": ((), np.array(format_wcs(header), dtype=np.dtypes.StringDType())),
    }
    return xr.DataArray(values, coords, ("y", "x"), attrs={"units": units, **attrs})


def make_flux(values, **kwargs):
    """Image of fluxes, float32."""
    return make_image(np.asarray(values, dtype=np.float32), **kwargs)


def chunk_ragged(image):
    """Chunks of three sizes a side, of which one is small."""
    rows, columns = image.shape
    ys, xs = (int(0.21 * rows), int(0.47 * rows)), (int(0.32 * columns), int(0.06 * columns))
    return image.chunk({"y": (*ys, rows - sum(ys)), "x": (*xs, columns - sum(xs))})


def chunk_image(image, chunks):
    """Square chunks, or `ragged` ones."""
    if chunks == "ragged":
        return chunk_ragged(image)
    return image.chunk({"y": chunks, "x": chunks})


def measure_range(values):
    """Distance of the 1st and the 99th percentile, the robust range of an image."""
    low, high = np.nanpercentile(values, (1, 99))
    return high - low


def give_step(step, images, made):
    """What a step's function takes: input files from `images`, products and numbers from `made`."""
    return {
        name: images[name] if name in step.sources else made[name]
        for name in step.inputs
        if name in (images if name in step.sources else made)
    }


def take_steps(images, options, recipe=BARNES2023):
    """Take all steps of a recipe by their public functions; products and numbers by name."""
    made = {}
    for step in recipe.steps:
        if "muse_cube" in step.sources and "muse_cube" not in images:
            continue
        result = step.function(**give_step(step, images, made), options=options.get(step.name))
        made.update(result.data_vars)
    return made
