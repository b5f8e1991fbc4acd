"""The sky itself: smooth light of disc, dust and diffuse gas; nebulae and stars as Gaussians."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from phangs_xr.simulate.frame import Array, Frame, Window
from phangs_xr.simulate.galaxy import FWHM_PER_SIGMA, Band, Galaxy
from phangs_xr.simulate.lines import (
    absorb,
    find_diffuse_ratios,
    rotate_disc,
    scatter_ratios,
)

TEXTURE_SIDE = 512
TEXTURE_PERIOD = 56.0
"""Arcsec after which the flat textures repeat."""

REACH = 5.5
"""Sigmas at which a Gaussian ends."""

DUST_POWER = -1.2
"""Dust's optical depth goes as wavelength to this power."""

CORE, HOLE, RIM = 0.12, 0.22, 2.9
"""Disc scale lengths: where arms dissolve, where young stars thin out, where the disc ends."""

STREAMING_PERIOD = 180.0
"""Arcsec after which streaming motions repeat."""

YOUNG_CURVATURE, YOUNG_ABSORPTION = 0.4, 2.0
"""Of young stars, over that of old ones."""

Light = tuple[list[Array], list[Array]]
"""Lines and continua."""

LANE_LEAD = 0.75
"""Phase by which dust lanes lead the arms, rad."""

_STREAMS = ("textures", "regions", "knots", "clusters", "stars", "cosmics", "catalogue")


def make_rng(galaxy: Galaxy, stream: str, index: int = 0) -> np.random.Generator:
    """Return the generator of one kind of random choice, independent of all others."""
    seeds = [galaxy.seed, _STREAMS.index(stream), *([index] if index else [])]
    return np.random.default_rng(seeds)


@dataclass(frozen=True)
class Sources:
    """Round Gaussians.

    Attributes
    ----------
    east, north
        Centres, arcsec from the galaxy's.
    sigma
        Own sizes before any telescope, arcsec.
    flux
        Line sources: 1e-20 erg/s/cm². Stars: the same per Å, at the narrow band's pivot.
    colour
        Exponent b of f_lambda ∝ lambda^b; unused by line sources.
    ratios
        Of other lines to Hα, a column each; without columns for stars.
    """

    east: Array
    north: Array
    sigma: Array
    flux: Array
    colour: Array
    ratios: Array

    def select(self, frame: Frame, window: Window, fwhm: float) -> "Sources":
        """Return those that reach into a window at a resolution, in the same order."""
        x, y, sigma = self._project(frame, fwhm)
        rows, cols = window
        reach = REACH * sigma
        near = (x > cols.start - reach) & (x < cols.stop - 1 + reach)
        near &= (y > rows.start - reach) & (y < rows.stop - 1 + reach)
        return Sources(*(getattr(self, item.name)[near] for item in fields(self)))

    def _project(self, frame: Frame, fwhm: float) -> tuple[Array, Array, Array]:
        """Pixel positions and sizes as seen at a resolution."""
        sigma = np.hypot(self.sigma, fwhm / FWHM_PER_SIGMA) / frame.scale
        return *frame.find_pixels(self.east, self.north), sigma

    def render(
        self, frame: Frame, window: Window, fwhm: float, find_fluxes: Callable[..., list[Array]]
    ) -> list[Array]:
        """Return their flux per pixel in a window at a resolution.

        Parameters
        ----------
        frame, window
            Which pixels.
        fwhm
            Resolution with the pixel's share in it, arcsec.
        find_fluxes
            From those that reach into the window, the flux of each; one image for each array.
        """
        near = self.select(frame, window, fwhm)
        x, y, sigma = near._project(frame, fwhm)
        along_y = _sample_gaussian(window[0], y, sigma)
        along_x = _sample_gaussian(window[1], x, sigma)
        # A sparse product touches only the rows each source reaches, and keeps clear of BLAS,
        # whose threads fight with the caller's.
        spread = sparse.csr_array(along_y.T)
        return [np.asarray(spread @ (along_x * flux[:, None])) for flux in find_fluxes(near)]


def _sample_gaussian(part: slice, centre: Array, sigma: Array) -> Array:
    """Sample unit Gaussians, one a row, at the pixels of `part`; exactly 0 beyond their reach."""
    steps = (np.arange(part.start, part.stop) - centre[:, None]) / sigma[:, None]
    profile = np.exp(-0.5 * steps**2) / (np.sqrt(2 * np.pi) * sigma[:, None])
    return np.where(np.abs(steps) < REACH, profile, 0.0)


@dataclass(frozen=True)
class Scene:
    """Everything in the field.

    Attributes
    ----------
    galaxy
        The choices it is made from.
    textures
        Two periodic random fields of unit variance, for gas and for dust.
    diffuse_level
        Scale of the diffuse gas, 1e-20 erg/s/cm²/arcsec².
    regions
        HII regions, each as one Gaussian of its total flux and overall size.
    knots
        What the regions are made of; their sum is what telescopes see.
    clusters, stars
        Young clusters of the galaxy; foreground stars.
    """

    galaxy: Galaxy
    textures: tuple[Array, Array]
    diffuse_level: float
    regions: Sources
    knots: Sources
    clusters: Sources
    stars: Sources

    def select(self, frame: Frame, window: Window, fwhm: float) -> "Scene":
        """Return the scene with only the sources that reach into a window, to render it faster."""
        seen = {
            name: getattr(self, name).select(frame, window, fwhm)
            for name in ("knots", "clusters", "stars")
        }
        return replace(self, **seen)

    def evaluate_velocity(self, east: Array, north: Array) -> Array:
        """Return the gas' velocity relative to the galaxy's, km/s: rotation and streaming."""
        speed = rotate_disc(self.galaxy, east, north)
        if not self.galaxy.effects.streaming:
            return speed
        place = (north / STREAMING_PERIOD, east / STREAMING_PERIOD + 0.4)
        return speed + self.galaxy.effects.streaming * _sample(self.textures[0], *place)

    def evaluate_smooth(self, east: Array, north: Array) -> Light:
        """Return diffuse gas and the smooth continuum in each band, as HST resolves them.

        Returns
        -------
        tuple
            Per line 1e-20 erg/s/cm²/arcsec², and per band 1e-20 erg/s/cm²/Å/arcsec² at its pivot.
        """
        galaxy = self.galaxy
        disc = Disc.at(galaxy, self.textures, east, north)
        fade = np.exp(-disc.radius)
        bulge = galaxy.bulge_brightness * np.exp(
            -disc.radius * (galaxy.disc_scale / galaxy.bulge_scale)
        )
        old = galaxy.disc_brightness * np.exp(-disc.radius / 1.35) * (1 + 0.35 * disc.arm)
        young = galaxy.disc_brightness * galaxy.young_fraction * fade * disc.young
        colour = galaxy.colour_outside + (galaxy.colour_centre - galaxy.colour_outside) * fade
        curvature = galaxy.effects.curvature
        velocity = self.evaluate_velocity(east, north) if galaxy.effects.absorption else 0.0
        bands = []
        for band in galaxy.bands:
            away = np.log(band.photplam / galaxy.narrow.photplam)
            stars = (old + bulge) * np.exp(colour * away + curvature * away**2)
            stars *= absorb(galaxy, band, velocity, 1.0)
            stars += (
                young
                * np.exp(galaxy.colour_young * away + YOUNG_CURVATURE * curvature * away**2)
                * absorb(galaxy, band, velocity, YOUNG_ABSORPTION)
            )
            bands.append(stars * np.exp(-np.exp(DUST_POWER * away) * disc.dust))
        gas = self.diffuse_level * disc.gas
        others = [gas * ratio for ratio in find_diffuse_ratios(galaxy, disc.radius)]
        return [gas, *others], bands

    def render(self, frame: Frame, window: Window, fwhm: float, smooth: Light) -> Light:
        """Add the sources to the smooth light, at one resolution, per pixel of a frame.

        Parameters
        ----------
        frame, window
            Which pixels.
        fwhm
            Resolution with the pixel's share in it, arcsec.
        smooth
            `evaluate_smooth` of the window at that resolution.

        Returns
        -------
        tuple
            Each line (1e-20 erg/s/cm²/pixel) and, per band, the continuum (the same per Å).
        """
        area = frame.scale**2
        diffuse, continua = smooth
        gas = [
            knots + area * light
            for knots, light in zip(
                self.knots.render(frame, window, fwhm, find_line_fluxes), diffuse, strict=True
            )
        ]
        layers = [[area * continuum for continuum in continua]]
        for sources, absorbed in ((self.clusters, YOUNG_ABSORPTION), (self.stars, 0.0)):
            find_fluxes = partial(find_star_fluxes, self.galaxy, absorbed)
            layers.append(sources.render(frame, window, fwhm, find_fluxes))
        return gas, [np.sum(band, axis=0) for band in zip(*layers, strict=True)]


def find_line_fluxes(sources: Sources) -> list[Array]:
    """Return the fluxes of nebulae in Hα and in all other lines."""
    return [sources.flux, *(sources.flux * sources.ratios.T)]


def find_star_fluxes(galaxy: Galaxy, absorbed: float, sources: Sources) -> list[Array]:
    """Return the flux densities of stars in all bands, of their Hα absorption a share taken off."""

    def find_flux(band: Band) -> Array:
        ratio = band.photplam / galaxy.narrow.photplam
        return sources.flux * ratio**sources.colour * absorb(galaxy, band, 0.0, absorbed)

    return [find_flux(band) for band in galaxy.bands]


@dataclass(frozen=True)
class Disc:
    """The shape of the galaxy at some positions: where its parts are, and how strong.

    Arms are logarithmic spirals, m (angle - ln(radius) / tan(pitch)) = const, bent and broken by
    random textures. One pair of textures runs along the spiral, so that its filaments do too and
    grow with radius; the other lies flat on the sky and gives the fine grain.

    Attributes
    ----------
    radius
        In disc scale lengths, in the plane of the disc.
    arm
        1 on the ridge of an arm, towards 0 between arms.
    gas
        Diffuse ionised gas, relative.
    young
        Light of unresolved young stars, over that of an undisturbed disc's centre.
    dust
        Optical depth at the narrow band's pivot; lanes lie along the arms' inner edges.
    """

    radius: Array
    arm: Array
    gas: Array
    young: Array
    dust: Array

    @classmethod
    def at(cls, galaxy: Galaxy, textures: tuple[Array, Array], east: Array, north: Array) -> "Disc":
        """Evaluate the disc at offsets east, north (arcsec)."""
        radius, angle = _deproject(galaxy, east, north)
        # Spirals wind without end towards the centre; a core keeps their phase finite there.
        turned = np.log(np.hypot(radius, CORE))
        settled = radius / (radius + CORE)
        pitch = np.tan(np.deg2rad(galaxy.pitch))
        phase = galaxy.arms * (angle - turned / pitch)
        drift = 3 * (angle + pitch * turned)
        spiral = (drift / (2 * np.pi), phase / (2 * np.pi))
        flat = (north / TEXTURE_PERIOD + 0.3, east / TEXTURE_PERIOD)
        gas, lanes = (_sample(field, *spiral) for field in textures)
        fine, knotty = (_sample(field, *flat) for field in textures)

        bend = phase + 0.45 * settled * gas
        arm = np.exp(galaxy.arm_concentration * (np.cos(bend) - 1))
        lane = np.exp(4.0 * (np.cos(bend + LANE_LEAD) - 1))
        rim = 1 / (1 + np.exp((radius - RIM) / 0.18))
        hole = -np.expm1(-((radius / HOLE) ** 2))

        filaments = np.exp(0.8 * lanes + 0.6 * knotty - 0.3 * np.abs(fine))
        depth = rim * filaments * np.exp(-radius / 2.2) * (0.12 + lane) * (0.25 + 0.75 * settled)
        clumps = np.exp(0.55 * gas + 0.45 * fine)
        spread = rim * (0.3 + 0.7 * hole) * np.exp(-radius / 1.4)
        return cls(
            radius=radius,
            arm=arm,
            gas=spread * clumps * (0.1 + 0.9 * arm),
            young=arm * hole * rim * np.exp(0.5 * fine + 0.3 * gas),
            dust=galaxy.dust * depth / (1 + depth / 4),
        )


def _deproject(galaxy: Galaxy, east: Array, north: Array) -> tuple[Array, Array]:
    """Radius in disc scale lengths and azimuth in the plane of the disc."""
    across, along = _turn(east, north, galaxy.position_angle)
    across = across / np.cos(np.deg2rad(galaxy.inclination))
    scale = galaxy.disc_scale * galaxy.width
    return np.hypot(across, along) / scale, np.arctan2(across, along)


def _turn(east: Array, north: Array, angle: float) -> tuple[Array, Array]:
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return east * cos - north * sin, east * sin + north * cos


def _sample(field: Array, rows: Array, cols: Array) -> Array:
    """Sample a periodic field at positions in units of its period."""
    where = np.stack([rows * TEXTURE_SIDE, cols * TEXTURE_SIDE])
    found: Array = ndimage.map_coordinates(field, where, order=1, mode="grid-wrap")
    return found


def build_scene(galaxy: Galaxy) -> Scene:
    """Draw everything in the field from the galaxy's seed."""
    textures = _draw_textures(galaxy)
    regions = _draw_regions(galaxy, textures)
    return Scene(
        galaxy,
        textures,
        _scale_diffuse(galaxy, textures, float(regions.flux.sum())),
        regions,
        _draw_knots(galaxy, regions),
        _draw_clusters(galaxy, textures),
        _draw_stars(galaxy),
    )


def _draw_textures(galaxy: Galaxy) -> tuple[Array, Array]:
    """Two independent periodic fields with a power-law spectrum: the parts of one complex field."""
    rng = make_rng(galaxy, "textures")
    frequency = np.fft.fftfreq(TEXTURE_SIDE) * TEXTURE_SIDE
    wave = np.hypot(*np.meshgrid(frequency, frequency))
    wave[0, 0] = np.inf
    amplitude = np.where(wave > 2, wave, np.inf) ** -1.45 * np.exp(-((wave / 110) ** 2))
    noise = rng.standard_normal((2, TEXTURE_SIDE, TEXTURE_SIDE))
    fields = np.fft.ifft2((noise[0] + 1j * noise[1]) * amplitude)
    return fields.real / fields.real.std(), fields.imag / fields.imag.std()


def _scale_diffuse(galaxy: Galaxy, textures: tuple[Array, Array], regions: float) -> float:
    """Level at which the diffuse gas holds its share of the galaxy's flux."""
    step = 1 / 400
    nodes = (np.arange(-0.5, 0.5, step) + step / 2) * galaxy.width
    east, north = np.meshgrid(nodes, nodes)
    total = Disc.at(galaxy, textures, east, north).gas.sum() * (step * galaxy.width) ** 2
    share = galaxy.diffuse_fraction
    return float(share / (1 - share) * regions / total)


def _place_in_arms(
    galaxy: Galaxy, textures: tuple[Array, Array], rng: np.random.Generator, count: int
) -> tuple[Array, Array]:
    """Draw positions that follow the young stars' light."""
    scale = galaxy.disc_scale * galaxy.width
    found: list[NDArray[np.float64]] = [np.empty((2, 0))]
    while sum(part.shape[1] for part in found) < count:
        batch = 20_000
        radius = rng.gamma(2.0, 1.25, batch)
        angle = rng.uniform(0, 2 * np.pi, batch)
        along, across = radius * np.cos(angle), radius * np.sin(angle)
        across = across * np.cos(np.deg2rad(galaxy.inclination))
        east, north = _turn(across * scale, along * scale, -galaxy.position_angle)
        chance = 0.006 + 0.35 * Disc.at(galaxy, textures, east, north).young ** 1.3
        kept = rng.uniform(size=batch) < chance
        found.append(np.stack([east[kept], north[kept]]))
    east, north = np.concatenate(found, axis=1)[:, :count]
    return east, north


def _draw_power_law(
    rng: np.random.Generator, low: float, high: float, slope: float, count: int
) -> Array:
    power = 1 - slope
    uniform = rng.uniform(size=count)
    drawn: Array = (low**power + uniform * (high**power - low**power)) ** (1 / power)
    return drawn


def _count(galaxy: Galaxy, per_megapixel: float) -> int:
    return round(per_megapixel * galaxy.size**2 / 1e6)


def _draw_regions(galaxy: Galaxy, textures: tuple[Array, Array]) -> Sources:
    rng = make_rng(galaxy, "regions")
    count = _count(galaxy, galaxy.regions_per_megapixel)
    east, north = _place_in_arms(galaxy, textures, rng, count)
    flux = _draw_power_law(
        rng, galaxy.faintest_region, galaxy.brightest_region, galaxy.region_slope, count
    )
    fwhm = galaxy.region_fwhm * (flux / galaxy.faintest_region) ** 0.25
    sigma = fwhm / FWHM_PER_SIGMA * rng.lognormal(0, 0.25, count)
    radius, _ = _deproject(galaxy, east, north)
    return Sources(east, north, sigma, flux, np.zeros(count), scatter_ratios(galaxy, radius, rng))


def _draw_knots(galaxy: Galaxy, regions: Sources) -> Sources:
    """Break each region into a core, knots and, in some, a shell; the flux stays the region's."""
    rng = make_rng(galaxy, "knots")
    count = regions.flux.size
    pieces = 1 + rng.poisson(2.5 * (regions.flux / galaxy.faintest_region) ** 0.3)
    owner = np.repeat(np.arange(count), pieces)
    core = np.zeros(owner.size, bool)
    core[np.cumsum(pieces) - pieces] = True
    angle = rng.uniform(0, 2 * np.pi, owner.size)
    shell = (rng.uniform(size=count) < 0.3)[owner]
    around = 1.5 * rng.lognormal(0, 0.08, owner.size)
    distance = np.where(shell, around, np.abs(rng.normal(0, 1.0, owner.size)))
    distance = np.where(core, 0.0, distance) * regions.sigma[owner]
    share = rng.lognormal(0, 0.8, owner.size) * np.where(core, 2.0, 1.0)
    share = share / np.bincount(owner, share)[owner]
    sigma = regions.sigma[owner] * np.where(core, 0.8, rng.uniform(0.2, 0.55, owner.size))
    return Sources(
        regions.east[owner] + distance * np.sin(angle),
        regions.north[owner] + distance * np.cos(angle),
        sigma,
        regions.flux[owner] * share,
        np.zeros(owner.size),
        regions.ratios[owner],
    )


def _draw_clusters(galaxy: Galaxy, textures: tuple[Array, Array]) -> Sources:
    rng = make_rng(galaxy, "clusters")
    count = _count(galaxy, galaxy.clusters_per_megapixel)
    east, north = _place_in_arms(galaxy, textures, rng, count)
    flux = _draw_power_law(rng, 4.0, 4000.0, 2.0, count)
    colour = rng.normal(galaxy.colour_young, 0.3, count)
    return Sources(east, north, np.full(count, 0.02), flux, colour, np.empty((count, 0)))


def _draw_stars(galaxy: Galaxy) -> Sources:
    rng = make_rng(galaxy, "stars")
    count = _count(galaxy, galaxy.stars_per_megapixel)
    east, north = rng.uniform(-0.5, 0.5, (2, count)) * galaxy.width
    flux = _draw_power_law(rng, 400.0, 2e4, 1.5, count)
    colour = rng.uniform(-1.6, -0.2, count)
    return Sources(east, north, np.zeros(count), flux, colour, np.empty((count, 0)))
