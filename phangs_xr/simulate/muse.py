"""MUSE's view: line maps, synthetic bands and a star mask on its own grid."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy import ndimage

from phangs_xr.schema import FLUX_SCALE
from phangs_xr.simulate.frame import Array, Frame, Window
from phangs_xr.simulate.galaxy import FWHM_PER_SIGMA, Band, Galaxy
from phangs_xr.simulate.hst import WORKERS, draw_noise
from phangs_xr.simulate.lines import add_lines, list_lines
from phangs_xr.simulate.scene import Scene

CELL = 100
BLOCK = 400
SAMPLES = 3
MARGIN = 7
FLUX_UNIT = "10**(-20)*erg/s/cm**2/spaxel"
LIGHT_SPEED = 2.99792458e18
JANSKY = 1e-23
NOISE_IMAGES = 10
IMAGES = ("HA6562", "NII6583", "VEL", "BAND", "BAND", "BAND", "HB4861", "OIII5006")
"""Which noise is whose; the order is that in which they were added."""

FIRST_BAND = IMAGES.index("BAND")

Images = NDArray[np.float32]
Mask = NDArray[np.bool]


@dataclass(frozen=True)
class Maps:
    """What MUSE measures, per spaxel; NaN where it did not look.

    Attributes
    ----------
    frame
        The pixel grid where it looked.
    stated
        The pixel grid where its headers say it looked.
    observed
        Where it looked.
    lines
        Extension name to map, as the MAPS file holds them.
    bands
        Synthetic images in the HST bands, Jy.
    stars
        Spaxels with foreground stars.
    """

    frame: Frame
    stated: Frame
    observed: Mask
    lines: dict[str, Images]
    bands: tuple[Images, ...]
    stars: Mask


def build_muse_frame(galaxy: Galaxy) -> Frame:
    """Return MUSE's grid: north up, the reference pixel off the pixel centres as in real maps."""
    spaxels = galaxy.width / galaxy.muse_scale
    side = int(spaxels * galaxy.muse_footprint * 1.12) + 2 * MARGIN
    x0 = round((side - 1) / 2 + galaxy.muse_east * spaxels) + 0.3
    y0 = round((side - 1) / 2 - galaxy.muse_north * spaxels) - 0.2
    return Frame((side, side), galaxy.muse_scale, x0, y0, 0.0, galaxy.ra, galaxy.dec)


def find_observed(galaxy: Galaxy, frame: Frame) -> Mask:
    """Tell which spaxels MUSE observed: three columns of pointings, staggered."""
    y, x = np.indices(frame.shape)
    side = galaxy.width / galaxy.muse_scale * galaxy.muse_footprint
    column = np.floor((x - (frame.shape[1] - side) / 2) / (side / 3)).astype(int)
    stagger = np.array([0.05, -0.03, 0.03])[np.clip(column, 0, 2)] * side
    inside = np.abs(y - (frame.shape[0] - 1) / 2 - stagger) < side / 2
    observed: Mask = inside & (column >= 0) & (column <= 2)
    return observed


def observe_maps(scene: Scene) -> Maps:
    """Look at a scene with MUSE.

    The line maps are the sky's true Hα at MUSE's resolution plus noise; HST's images differ from
    them by the galaxy's `slope` and `offset`.
    """
    galaxy, effects = scene.galaxy, scene.galaxy.effects
    stated = build_muse_frame(galaxy)
    observed = find_observed(galaxy, stated)
    x0, y0 = stated.find_pixels(*np.array([[effects.shift_east], [effects.shift_north]]))
    frame = replace(stated, x0=float(x0[0]), y0=float(y0[0]))
    count = len(list_lines(galaxy))
    rendered = _render(scene, frame)
    lines = _measure_lines(galaxy, frame, rendered[:count], rendered[count])
    bands = []
    for index, band in enumerate(galaxy.bands):
        noise = galaxy.muse_continuum_noise * _draw(galaxy, frame, FIRST_BAND + index)
        light = rendered[count + 1 + index] * effects.gains[index] + noise
        bands.append(_convert_to_jansky(band, light))
    for image in (*lines.values(), *bands):
        image[~observed] = np.nan
    return Maps(frame, stated, observed, lines, tuple(bands), _mask_stars(scene, frame))


def _draw(galaxy: Galaxy, frame: Frame, image: int) -> Images:
    whole = (slice(0, frame.shape[0]), slice(0, frame.shape[1]))
    return draw_noise(galaxy, NOISE_IMAGES + image, whole)


def _render(scene: Scene, frame: Frame) -> Images:
    """Lines, velocity, then each band's light, per spaxel at MUSE's resolution."""
    galaxy = scene.galaxy
    layers = len(list_lines(galaxy)) + 1 + len(galaxy.bands)
    images = np.empty((layers, *frame.shape), np.float32)
    with ThreadPoolExecutor(WORKERS) as pool:
        for window in frame.split(BLOCK):
            near = scene.select(frame, window, galaxy.muse_fwhm)
            cells = list(frame.split(CELL, window))
            rendered = pool.map(partial(_render_cell, near, frame), cells)
            for cell, image in zip(cells, rendered, strict=True):
                images[(slice(None), *cell)] = image
    return images


def _render_cell(scene: Scene, frame: Frame, window: Window) -> Sequence[Array]:
    galaxy = scene.galaxy
    blur = np.sqrt(galaxy.muse_fwhm**2 - galaxy.hst_fwhm**2) / FWHM_PER_SIGMA
    sigma = blur / frame.scale * SAMPLES
    pad = int(np.ceil(5 * sigma)) + 1
    first = pad + SAMPLES // 2
    centres = tuple(
        slice(first, first + SAMPLES * (part.stop - part.start), SAMPLES) for part in window
    )
    diffuse, continua = scene.evaluate_smooth(*frame.locate(window, pad, SAMPLES))

    def blur_light(light: Array) -> Array:
        smooth: Array = ndimage.gaussian_filter(light, sigma, truncate=5)[centres]
        return smooth

    smooth = [blur_light(light) for light in diffuse], [blur_light(light) for light in continua]
    lines, continua = scene.render(frame, window, galaxy.muse_fwhm, smooth)
    velocity = scene.evaluate_velocity(*frame.locate(window))
    bands = [
        continuum + add_lines(galaxy, index, lines, velocity)
        for index, continuum in enumerate(continua)
    ]
    return [*lines, velocity, *bands]


def _measure_lines(galaxy: Galaxy, frame: Frame, lines: Images, speed: Images) -> dict[str, Images]:
    fluxes = dict(zip(list_lines(galaxy), lines, strict=True))
    fluxes.setdefault("NII6583", galaxy.nii_ratio * fluxes["HA6562"])
    measured = {}
    for name, flux in fluxes.items():
        error = np.sqrt(galaxy.muse_noise**2 + galaxy.muse_photon_noise * flux)
        measured[f"{name}_FLUX"] = flux + error * _draw(galaxy, frame, IMAGES.index(name))
        measured[f"{name}_FLUX_ERR"] = error
    error = 300 * measured["HA6562_FLUX_ERR"] / (fluxes["HA6562"] + galaxy.muse_noise)
    error = np.minimum(error, 50)
    measured["HA6562_VEL"] = speed + error * _draw(galaxy, frame, IMAGES.index("VEL"))
    if galaxy.effects.lines:
        measured["HA6562_VEL_ERR"] = error
    return measured


def _convert_to_jansky(band: Band, light: Images) -> Images:
    """1e-20 erg/s/cm²/Å at the band's pivot to Jy."""
    return light * (band.photplam**2 / LIGHT_SPEED / FLUX_SCALE / JANSKY)


def _mask_stars(scene: Scene, frame: Frame) -> Mask:
    stars = scene.stars
    mask = np.zeros(frame.shape, bool)
    x, y = frame.find_pixels(stars.east, stars.north)
    radii = (0.8 + 0.25 * np.log10(stars.flux / stars.flux.min(initial=np.inf))) / frame.scale
    for column, row, radius in zip(x, y, radii, strict=True):
        window = find_stamp(frame, column, row, radius)
        rows, cols = np.ogrid[window]
        mask[window] |= np.hypot(rows - row, cols - column) <= radius
    return mask


def find_stamp(frame: Frame, x: float, y: float, reach: float) -> Window:
    """Return the window of a frame within `reach` pixels of a position; empty if there is none."""
    rows, cols = (
        slice(
            int(np.clip(np.floor(centre - reach), 0, length)),
            int(np.clip(np.ceil(centre + reach) + 1, 0, length)),
        )
        for centre, length in zip((y, x), frame.shape, strict=True)
    )
    return rows, cols


def write_maps(galaxy: Galaxy, maps: Maps, directory: Path) -> None:
    """Write the MAPS file, the synthetic bands and the star mask into a directory."""
    primary = fits.PrimaryHDU()
    primary.header["OBJECT"] = galaxy.muse_name
    primary.header["INSTRUME"] = "MUSE"
    primary.header["REDSHIFT"] = (galaxy.redshift, "systemic velocity (km/s)")
    primary.header["ORIGIN"] = ("phangs_xr", "simulated, not an observation")
    hdus = [primary]
    for name, image in maps.lines.items():
        header = make_header(maps.stated)
        header["BUNIT"] = "km/s" if "_VEL" in name else FLUX_UNIT
        hdus.append(fits.ImageHDU(image, header, name=name))
    stem = f"{galaxy.muse_name}-{galaxy.muse_fwhm:.2f}asec"
    fits.HDUList(hdus).writeto(directory / f"{stem}_MAPS.fits", overwrite=True)
    for band, image in zip(galaxy.bands, maps.bands, strict=True):
        header = make_header(maps.stated)
        header["BUNIT"] = "Jy"
        name = f"{stem}_{band.camera.upper()}_{band.filter}.fits"
        fits.writeto(directory / name, image, header, overwrite=True)
    fits.writeto(
        directory / f"{galaxy.muse_name}_starmask.fits",
        maps.stars.astype(np.int16),
        make_header(maps.stated),
        overwrite=True,
    )


def make_header(frame: Frame) -> fits.Header:
    """Return what all MUSE images say of their grid."""
    header = frame.header()
    header["EQUINOX"] = 2000.0
    return header
