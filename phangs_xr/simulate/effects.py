"""What real galaxies and real telescopes do to Hα images: each effect a number, each can be off."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effects:
    """Effects beyond the plain galaxy's; none of them by default.

    Attributes
    ----------
    lines
        Hα, [NII], Hβ and [OIII] are seen through the throughput curves of all bands, at the
        wavelength that the disc's rotation gives them; their ratios change from the centre
        outwards, from nebula to nebula and between nebulae and diffuse gas.
    streaming
        Standard deviation of velocities about the disc's rotation, km/s; smooth over arcseconds.
    absorption
        Equivalent width of old stars' Hα in absorption, Å; young stars have twice as much.
    curvature
        c of the spectra of old stars, ln f = b ln(λ) + c ln²(λ); young stars have 0.4 of it. By
        it a continuum interpolated between two bands is wrong.
    drizzle
        Share of its noise that a pixel gives to each neighbour along a row, and along a column.
        Weights stay those of sums over many pixels; single pixels scatter less.
    wings
        Share of every source's light in the wings of HST's PSF: narrow band, then broad ones.
    wing_fwhm
        Of the wings' Gaussian, arcsec.
    broad_cosmics
        Cosmic rays in each broad band per 10^6 observed pixels. They, and those of the narrow band,
        are drizzled as the noise is.
    faintest_cosmic
        Peak of the faintest cosmic ray, electron/s.
    shift_east, shift_north
        By how much MUSE's headers place its maps wrong, arcsec.
    gains
        By how much MUSE's synthetic bands are too bright: narrow band, then broad ones.
    """

    lines: bool = False
    streaming: float = 0.0
    absorption: float = 0.0
    curvature: float = 0.0
    drizzle: float = 0.0
    wings: tuple[float, float, float] = (0.0, 0.0, 0.0)
    wing_fwhm: float = 0.35
    broad_cosmics: float = 0.0
    faintest_cosmic: float = 0.4
    shift_east: float = 0.0
    shift_north: float = 0.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)


REAL_EFFECTS = Effects(
    lines=True,
    streaming=10.0,
    absorption=1.5,
    curvature=-1.0,
    drizzle=0.0762,
    wings=(0.08, 0.10, 0.12),
    broad_cosmics=15.0,
    faintest_cosmic=0.05,
    shift_east=0.06,
    shift_north=-0.04,
    gains=(1.02, 0.97, 1.04),
)
"""All of them, as large as in PHANGS' images. The share of drizzling makes single pixels scatter
0.73 times as much as the weights say."""
