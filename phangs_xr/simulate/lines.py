"""The galaxy's gas: its velocities, the ratios of its lines, and what a band sees of them."""

from collections.abc import Sequence

import numpy as np

from phangs_xr.photometry import get_curve
from phangs_xr.photometry.extinction import find_extinction_factor
from phangs_xr.photometry.lines import DOUBLETS, LINES
from phangs_xr.simulate.frame import Array
from phangs_xr.simulate.galaxy import Band, Galaxy

SEEN = ("HA6562", "NII6583", "HB4861", "OIII5006")
"""Lines that are simulated, Hα first; of doublets the stronger."""

ROTATION_SPEED = 200.0
GRADIENT = -0.12
"""Dex by which [NII]/Hα falls per disc scale length; [OIII]/Hβ rises by three times as much."""

SCATTER = {"NII6583": 0.08, "HB4861": 0.05, "OIII5006": 0.2}
"""Dex from nebula to nebula."""

DIFFUSE = {"NII6583": 0.15, "HB4861": 0.0, "OIII5006": 0.1}
"""Dex by which ratios to Hα of diffuse gas exceed those of nebulae."""

HBETA_RATIO = 0.29
"""Hβ/Hα of case B, dimmed by some dust of the galaxy."""

OIII_RATIO = 0.35
"""[OIII]5007/Hβ at the centre."""


def rotate_disc(galaxy: Galaxy, east: Array, north: Array) -> Array:
    """Return the line-of-sight velocity of a thin disc relative to the galaxy's, km/s."""
    angle, tilt = np.deg2rad(galaxy.position_angle), np.deg2rad(galaxy.inclination)
    along = east * np.sin(angle) + north * np.cos(angle)
    across = (east * np.cos(angle) - north * np.sin(angle)) / np.cos(tilt)
    radius = np.hypot(np.hypot(along, across), 1e-6)
    turnover = 0.3 * galaxy.disc_scale * galaxy.width
    speed: Array = ROTATION_SPEED * np.sin(tilt) * np.tanh(radius / turnover) * along / radius
    return speed


def find_ratios(galaxy: Galaxy, radius: Array) -> list[Array]:
    """Return the mean ratios to Hα of all lines but Hα, at radii in disc scale lengths."""
    if not galaxy.effects.lines:
        return []
    dex = GRADIENT * np.minimum(radius, 4.0)
    hbeta = np.full_like(radius, HBETA_RATIO)
    return [galaxy.nii_ratio * 10**dex, hbeta, hbeta * OIII_RATIO * 10 ** (-3 * dex)]


def list_lines(galaxy: Galaxy) -> tuple[str, ...]:
    """Return the lines that are rendered, Hα first."""
    return SEEN if galaxy.effects.lines else SEEN[:1]


def scatter_ratios(galaxy: Galaxy, radius: Array, rng: np.random.Generator) -> Array:
    """Return the ratios of single nebulae at some radii, a row each: the mean ones with scatter."""
    ratios = np.empty((radius.size, len(list_lines(galaxy)) - 1))
    for column, mean in enumerate(find_ratios(galaxy, radius)):
        ratios[:, column] = mean * 10 ** rng.normal(0, SCATTER[SEEN[1 + column]], radius.size)
    return ratios


def find_diffuse_ratios(galaxy: Galaxy, radius: Array) -> list[Array]:
    """Return the ratios to Hα of diffuse gas, of all lines but Hα."""
    ratios = find_ratios(galaxy, radius)
    return [ratio * 10 ** DIFFUSE[name] for name, ratio in zip(SEEN[1:], ratios, strict=False)]


def see_line(galaxy: Galaxy, band: Band, line: str, velocity: Array | float) -> Array:
    """Return the flux density that a band shows of a line of unit flux, 1/Å, seen from Earth.

    Parameters
    ----------
    galaxy, band
        The galaxy and the filter.
    line
        Its name in MUSE's maps; of a doublet's stronger line both are meant.
    velocity
        Relative to the galaxy's, km/s.
    """
    curve = get_curve(band.curve)
    speed = np.asarray(velocity, float) + galaxy.redshift
    response: Array = curve.find_response(LINES[line], speed)
    for weaker, (stronger, share) in DOUBLETS.items():
        if stronger == line:
            response = response + share * curve.find_response(LINES[weaker], speed)
    return response


def add_lines(galaxy: Galaxy, index: int, lines: Sequence[Array], velocity: Array) -> Array:
    """Return the light of all lines in a band, per pixel, 1e-20 erg/s/cm²/Å, seen from Earth.

    Parameters
    ----------
    galaxy
        The galaxy.
    index
        Of the band, in the order of the galaxy's.
    lines
        Flux of each line per pixel, 1e-20 erg/s/cm², before the Milky Way.
    velocity
        Relative to the galaxy's, km/s.
    """
    if not galaxy.effects.lines:
        factor = galaxy.nii_factor / galaxy.extinction / galaxy.rectwidth
        return lines[0] * (0.0 if index else factor)
    band = galaxy.bands[index]
    light = sum(
        flux * see_line(galaxy, band, name, velocity)
        for name, flux in zip(list_lines(galaxy), lines, strict=True)
    )
    return np.asarray(light / find_extinction_factor(band.photplam, find_colour_excess(galaxy)))


def find_colour_excess(galaxy: Galaxy) -> float:
    """Return the E(B-V) [mag] that dims the narrow band by the galaxy's `extinction`."""
    unit = find_extinction_factor(galaxy.narrow.photplam, 1.0)
    return float(np.log(galaxy.extinction) / np.log(unit))


def absorb(galaxy: Galaxy, band: Band, velocity: Array | float, share: float) -> Array | float:
    """Return the part of stars' light that Hα in absorption leaves of a band.

    Parameters
    ----------
    galaxy, band
        The galaxy and the filter.
    velocity
        Relative to the galaxy's, km/s.
    share
        Of the equivalent width of old stars.
    """
    width = galaxy.effects.absorption * share
    if not width:
        return 1.0
    response = get_curve(band.curve).find_response(LINES["HA6562"], velocity + galaxy.redshift)
    return np.asarray(1 - width * response)
