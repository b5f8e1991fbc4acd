"""What a simulated galaxy is made of: every choice, and the truth that follows from them."""

import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from phangs_xr.errors import InputError
from phangs_xr.photometry import get_curve
from phangs_xr.photometry.lines import DOUBLETS, LINES
from phangs_xr.schema import FLUX_SCALE
from phangs_xr.simulate.effects import REAL_EFFECTS, Effects

SMALLEST = 200
NII_RATIO = 0.42
"""[NII]6583/Hα at the centre of a galaxy as metal-rich as PHANGS' spirals."""

FWHM_PER_SIGMA = 2.3548200450309493


@dataclass(frozen=True)
class Band:
    """One HST filter as its image header describes it, and how well it was observed.

    Attributes
    ----------
    filter
        Filter name, upper case.
    camera
        Which camera took it; decides the file's name and which keyword holds the filter.
    photflam
        Flux density of 1 electron/s, erg/s/cm²/Å.
    photplam
        Pivot wavelength, Å. The sky is evaluated here: bands are treated as monochromatic.
    photbw
        RMS bandwidth as headers give it, Å.
    sky
        Residual sky that drizzling left behind, electron/s per pixel.
    noise
        Standard deviation of empty sky, electron/s per pixel; white, not correlated by drizzling.
    exptime
        Exposure, s; sets the photon noise of what is bright.
    radesys
        Frame the header names. Coordinates are the same numbers whichever it is, as in the
        mosaics of NGC 628.
    """

    filter: str
    camera: Literal["acs", "uvis"]
    photflam: float
    photplam: float
    photbw: float
    sky: float
    noise: float
    exptime: float
    radesys: Literal["ICRS", "FK5"] = "ICRS"

    @property
    def curve(self) -> str:
        """The name of its throughput curve; WFC3's second chip stands for both."""
        return f"{'ACS_WFC' if self.camera == 'acs' else 'WFC3_UVIS2'}_{self.filter}"


F658N = Band("F658N", "acs", 1.9512995e-18, 6583.95, 37.01, -0.0041, 0.0037, 1422.0)
F555W = Band("F555W", "uvis", 1.8387e-19, 5308.4, 517.1, -0.0366, 0.0122, 858.0)
F814W = Band("F814W", "acs", 6.95905e-20, 8061.10, 654.4, -0.0760, 0.0188, 922.0, "FK5")
F547M = Band("F547M", "uvis", 4.6321e-19, 5447.25, 206.0, -0.0145, 0.0085, 1100.0)


@dataclass(frozen=True)
class Galaxy:
    """A galaxy, the two telescopes that look at it, and the seed that fixes every random choice.

    Lengths called fractions are fractions of the HST mosaic's side, so that a larger mosaic holds a
    larger galaxy of the same shape; nebulae and stars keep their angular size and number density.
    Fluxes are in 1e-20 erg/s/cm².

    Attributes
    ----------
    size
        Side of the square HST mosaic, pixels.
    seed
        Fixes every random choice; not negative.
    name
        The galaxy, as file names on the HST side write it.
    ra, dec
        Centre of the mosaic and of the galaxy, deg.
    redshift
        Systemic velocity, km/s: what the primary header of a MAPS file calls REDSHIFT.
    narrow, continuum1, continuum2
        The bands. `continuum2=None` makes a galaxy with one continuum (choose `F547M` for it).
    rectwidth
        Rectangular width of the narrow band, Å: line counts are flux / (PHOTFLAM x rectwidth).
    nii_factor
        What the narrow band sees of Hα and [NII] together, over Hα alone.
    nii_ratio
        [NII]6583 / Hα in the MUSE maps.
    extinction
        Factor by which the Milky Way dims HST's Hα and MUSE's maps are corrected.
    pixel_scale, rotation
        HST pixel, arcsec, and its position angle, deg.
    hst_fwhm, muse_fwhm
        Gaussian resolutions, arcsec, both with the pixel's share already in them.
    footprint, footprint_angle
        Side of the observed square (a fraction) and its roll, deg; outside it mosaics hold zeros.
    muse_scale
        MUSE spaxel, arcsec.
    muse_footprint, muse_east, muse_north
        Side of MUSE's field and the place of its centre east and north of the galaxy's (fractions).
    muse_noise, muse_photon_noise, muse_continuum_noise
        Noise of a MUSE line flux per spaxel on empty sky, the variance each unit of flux adds, and
        the noise of the synthetic bands, 1e-20 erg/s/cm²/Å per spaxel.
    noise
        Factor on the noise of every image; 0 makes images without noise.
    inclination, position_angle
        Of the disc, deg.
    disc_scale, bulge_scale
        Exponential scale lengths (fractions).
    disc_brightness, bulge_brightness
        Central surface brightness at the narrow band's pivot, 1e-20 erg/s/cm²/Å/arcsec².
    colour_centre, colour_outside, colour_young
        Exponents b of f_lambda ∝ lambda^b: old stars at the centre and far out, young stars.
    young_fraction
        Light of unresolved young stars on an arm's ridge, over that of the old disc there.
    arms, pitch, arm_concentration
        Number of spiral arms, pitch angle (deg), and how tightly gas keeps to them (von Mises).
    dust
        Optical depth at the narrow band's pivot in a typical dust lane.
    regions_per_megapixel
        HII regions per 10^6 pixels of the mosaic.
    faintest_region, brightest_region, region_slope
        Flux range of the HII regions and a in dN/dF ∝ F^-a.
    region_fwhm
        Size of a region of `faintest_region`, arcsec; sizes grow as F^0.25.
    diffuse_fraction
        Share of the galaxy's Hα that is diffuse gas.
    clusters_per_megapixel, stars_per_megapixel
        Young clusters (along the arms) and foreground stars (anywhere) per 10^6 pixels.
    cosmics_per_megapixel
        Cosmic rays left in the narrow band per 10^6 observed pixels.
    effects
        What else real images have; nothing by default. See `make_real_galaxy`.
    """

    size: int = 2000
    seed: int = 1
    name: str = "ngc0628"
    ra: float = 24.17394
    dec: float = 15.78346
    redshift: float = 650.0
    narrow: Band = F658N
    continuum1: Band = F555W
    continuum2: Band | None = F814W
    rectwidth: float = 74.91
    nii_factor: float = 1.35
    nii_ratio: float = 0.3
    extinction: float = 1.152
    pixel_scale: float = 0.03962
    rotation: float = 0.0
    hst_fwhm: float = 0.1
    footprint: float = 0.84
    footprint_angle: float = 11.0
    muse_fwhm: float = 0.92
    muse_scale: float = 0.2
    muse_footprint: float = 0.64
    muse_east: float = -0.06
    muse_north: float = 0.1
    muse_noise: float = 40.0
    muse_photon_noise: float = 4.0
    muse_continuum_noise: float = 2.0
    noise: float = 1.0
    inclination: float = 9.0
    position_angle: float = 20.0
    disc_scale: float = 0.17
    bulge_scale: float = 0.018
    disc_brightness: float = 1.2e4
    bulge_brightness: float = 8e4
    colour_centre: float = -0.7
    colour_outside: float = -1.1
    colour_young: float = -1.9
    young_fraction: float = 0.9
    arms: int = 2
    pitch: float = 17.0
    arm_concentration: float = 3.5
    dust: float = 0.4
    regions_per_megapixel: float = 350.0
    faintest_region: float = 1e3
    brightest_region: float = 6e5
    region_slope: float = 1.75
    region_fwhm: float = 0.22
    diffuse_fraction: float = 0.5
    clusters_per_megapixel: float = 3000.0
    stars_per_megapixel: float = 5.0
    cosmics_per_megapixel: float = 10.0
    effects: Effects = field(default_factory=Effects)
    bands: tuple[Band, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("size", SMALLEST, 10**5),
            ("seed", 0, 2**63),
            ("noise", 0, 1e6),
            ("footprint", 0.05, 1.0),
            ("muse_footprint", 0.05, 1.0),
            ("diffuse_fraction", 0.0, 0.95),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"a simulated galaxy needs {name} in {low}..{high}, found {value}")
        if re.fullmatch(r"[a-z]+[0-9]+[a-z]*", self.name) is None:
            raise InputError(
                f"a simulated galaxy needs a name like 'ngc0628', found {self.name!r}: "
                "letters then digits, in lower case"
            )
        if self.muse_fwhm <= self.hst_fwhm:
            raise InputError(
                f"muse_fwhm must exceed hst_fwhm, found {self.muse_fwhm} and {self.hst_fwhm} arcsec"
            )
        bands = (self.narrow, self.continuum1, self.continuum2)
        object.__setattr__(self, "bands", tuple(band for band in bands if band is not None))

    @property
    def muse_name(self) -> str:
        """The galaxy as MUSE's files write it: upper case, four digits, no pointing letter."""
        letters, digits = re.findall(r"([a-z]+)([0-9]+)", self.name)[0]
        return f"{letters.upper()}{int(digits):04d}"

    @property
    def width(self) -> float:
        """Side of the HST mosaic, arcsec."""
        return self.size * self.pixel_scale

    @property
    def pixel_area(self) -> float:
        """Area of an HST pixel, arcsec²."""
        return self.pixel_scale**2

    @property
    def flux_per_count(self) -> float:
        """Flux (1e-20 erg/s/cm²) the recipe makes of 1 electron/s: PHOTFLAM x PHOTBW."""
        return self.narrow.photflam * self.narrow.photbw * FLUX_SCALE

    @property
    def counts_per_flux(self) -> float:
        """Electrons/s in the narrow band of a true Hα flux of 1e-20 erg/s/cm²."""
        width = self.narrow.photflam * FLUX_SCALE * self.rectwidth
        return self.nii_factor / self.extinction / width

    @property
    def slope(self) -> float:
        """HST's Hα flux, calibrated with PHOTBW, over MUSE's: what `fit_anchor` should find."""
        return self.flux_per_count * self.counts_per_flux

    @property
    def offset(self) -> float:
        """HST's Hα flux per pixel where MUSE has none: the residual skies, continuum-subtracted."""
        sky = self.narrow.sky
        for band, weight in zip(self.bands[1:], self.continuum_weights, strict=True):
            sky -= weight * band.sky
        return sky * self.flux_per_count

    @property
    def halpha_noise(self) -> float:
        """Noise of empty sky in the continuum-subtracted, PHOTBW-calibrated image, per pixel."""
        variance = self.narrow.noise**2
        for band, weight in zip(self.bands[1:], self.continuum_weights, strict=True):
            variance += (weight * band.noise) ** 2
        return float(self.noise * variance**0.5 * self.flux_per_count)

    @property
    def continuum_weights(self) -> tuple[float, ...]:
        """Narrow-band counts per count of each broad band: f_nu linear in wavelength."""
        pivots = [band.photplam for band in self.bands]
        scales = [
            band.photflam * band.photplam**2 / (self.narrow.photflam * self.narrow.photplam**2)
            for band in self.bands[1:]
        ]
        if len(scales) == 1:
            return (scales[0],)
        narrow, blue, red = pivots
        span = abs(blue - red)
        return (abs(red - narrow) / span * scales[0], abs(blue - narrow) / span * scales[1])

    def choices(self) -> dict[str, object]:
        """Every field by its name, bands by their filter's; what `truth.json` records."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        del named["bands"]
        del named["effects"]
        return {
            key: value.filter if isinstance(value, Band) else value for key, value in named.items()
        } | {"effects": asdict(self.effects)}


REAL_BANDS = {
    "F658N": (F658N, F555W, F814W),
    "F657N": (
        Band("F657N", "uvis", 0, 0, 0, -0.0045, 0.0036, 2000.0),
        F555W,
        Band("F814W", "uvis", 0, 0, 0, -0.0280, 0.0110, 830.0),
    ),
    "UVIS_F658N": (
        Band("F658N", "uvis", 0, 0, 0, -0.0020, 0.0016, 2500.0),
        F555W,
        Band("F814W", "uvis", 0, 0, 0, -0.0280, 0.0110, 830.0),
    ),
}
"""Narrow bands of PHANGS-HST, and the broad ones they are taken with."""


def make_real_galaxy(
    narrow: str = "F658N", effects: Effects = REAL_EFFECTS, **choices: Any
) -> Galaxy:
    """Return a galaxy as hard as real ones, whose headers agree with the filters' curves.

    Parameters
    ----------
    narrow
        Which of `REAL_BANDS`.
    effects
        All of `REAL_EFFECTS` if not given; `dataclasses.replace` switches single ones off.
    **choices
        Of `Galaxy`.

    Raises
    ------
    InputError
        If there is no such narrow band, or what `Galaxy` refuses.
    """
    if narrow not in REAL_BANDS:
        names = ", ".join(REAL_BANDS)
        raise InputError(f"a real galaxy's narrow band must be one of {names}, found {narrow!r}")
    first, *broad = map(_calibrate_band, REAL_BANDS[narrow])
    curve = get_curve(first.curve)
    seen = {name: float(curve.find_response(line, 650.0)) for name, line in LINES.items()}
    nii = NII_RATIO * (seen["NII6583"] + DOUBLETS["NII6548"][1] * seen["NII6548"])
    real: dict[str, Any] = {
        "narrow": first,
        "continuum1": broad[0],
        "continuum2": broad[1],
        "rectwidth": curve.rectangular_width,
        "nii_factor": (seen["HA6562"] + nii) * curve.rectangular_width,
        "nii_ratio": NII_RATIO,
        "inclination": 35.0,
        "rotation": 12.0,
    }
    return Galaxy(effects=effects, **(real | choices))


def _calibrate_band(band: Band) -> Band:
    curve = get_curve(band.curve)
    return replace(band, photflam=curve.photflam, photplam=curve.pivot, photbw=curve.photbw)
