"""Fold MUSE's spectra with HST's filters: the images that HST would have taken of them.

    f_ν = ∫ f_λ T λ dλ / (c ∫ T / λ dλ)

(a photon counter's mean, Bessell & Murphy 2012, PASP 124, 140, equation A11), over the part of the
band that the cube covers. Zeros and NaN are missing; a spaxel needs half of that part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import map_pixels, sum_planes
from phangs_xr.photometry.choose_curve import describe_curve, find_curve
from phangs_xr.photometry.curves import ANGSTROM_PER_KM, LIGHT_SPEED, Curve
from phangs_xr.photometry.labels import label_product
from phangs_xr.photometry.units import JANSKY_CGS
from phangs_xr.schema import BANDS, FLUX_DENSITY, FLUX_SCALE

Values = NDArray[np.float64]

LEAST = 0.5
"""Share of what the cube covers of a band that a spaxel must have."""


LEAST_COVERED = 0.05
"""Share of a band that a cube must cover to stand for it."""


@dataclass(frozen=True)
class FoldCube:
    """Options of `fold_cube`: there are none."""


def weigh_planes(wavelength: Values, curve: Curve) -> Values:
    """Return what each plane of a cube counts for in a band.

    Parameters
    ----------
    wavelength
        Of the planes, in vacuum, rising [Å].
    curve
        The band's throughput.

    Returns
    -------
    NDArray
        Shape (planes, 2): T λ dλ and T/λ dλ.
    """
    edges = (wavelength[1:] + wavelength[:-1]) / 2
    ends = 2 * wavelength[[0, -1]] - edges[[0, -1]]
    width = np.diff(np.concatenate([ends[:1], edges, ends[1:]]))
    seen = np.interp(wavelength, curve.wavelength, curve.throughput, left=0.0, right=0.0)
    return np.stack([seen * wavelength * width, seen / wavelength * width], axis=1)


def add_planes(planes: NDArray[np.floating], weights: Values) -> Values:
    """Return ∫f T λ dλ and ∫T/λ dλ of each band over some planes, where they have data.

    Parameters
    ----------
    planes
        Shape (n, y, x); 0 and NaN are missing.
    weights
        Shape (n, 2 bands), as `weigh_planes` gives them.

    Returns
    -------
    NDArray
        Shape (2 bands, y, x).
    """
    used = np.flatnonzero(weights.any(axis=1))
    total = np.zeros((weights.shape[1], *planes.shape[1:]))
    for plane in used:
        image = planes[plane]
        known = np.isfinite(image) & (image != 0)
        flux = np.where(known, image, 0)
        for band in range(0, weights.shape[1], 2):
            flux_weight, band_weight = weights[plane, band : band + 2]
            if band_weight:
                total[band] += flux_weight * flux
                total[band + 1] += band_weight * known
    return total


def divide_sums(flux: Values, band: Values, *, least: float, factor: float) -> Values:
    """Return the band's flux density, NaN where there is less of it than is needed."""
    known = band > least
    return np.divide(factor * flux, band, out=np.full_like(flux, np.nan), where=known)


def check_inputs(options: FoldCube, images: Mapping[str, xr.DataArray]) -> Iterator[str]:
    """Refuse a cube in other units, or beyond a band; say how much of each it covers."""
    if "muse_cube" not in images:
        return
    _require_density(images["muse_cube"])
    for band in BANDS:
        if band in images and f"muse_{band}" not in images:
            share = measure_share(images["muse_cube"], images[band], band)
            yield f"muse_cube covers {share:.1%} of {band}'s band: muse_{band} is of that part"


def measure_share(cube: xr.DataArray, image: xr.DataArray, band: str) -> float:
    """Return the share of a band that a cube covers.

    Raises
    ------
    InputError
        If that is next to nothing.
    """
    wavelength = cube["wavelength"].values
    share = find_curve(image, band).measure_coverage(wavelength[0], wavelength[-1])
    if share < LEAST_COVERED:
        message = (
            f"muse_cube: wavelengths of {band}'s band are needed, found {wavelength[0]:.0f} to "
            f"{wavelength[-1]:.0f} Angstrom: give another cube, or {band} from another filter"
        )
        raise InputError(message)
    return share


def _require_density(cube: xr.DataArray) -> None:
    found = str(cube.attrs.get("units"))
    # The factors of a unit may stand in any order.
    if sorted(found.split()) != sorted(FLUX_DENSITY.split()):
        message = (
            f"muse_cube should have units {FLUX_DENSITY!r}, found {found!r} in "
            f"{cube.attrs.get('source', 'its attributes')}: if the pixels are such, say so in the "
            f'configuration: [inputs] muse_cube = {{ path = "...", units = "{FLUX_DENSITY}" }}'
        )
        raise InputError(message)


def fold_cube(
    muse_cube: xr.DataArray,
    narrow: xr.DataArray,
    continuum1: xr.DataArray,
    continuum2: xr.DataArray | None = None,
    *,
    options: FoldCube | None = None,
) -> xr.Dataset:
    """Fold a spectral cube with the filters of HST's bands.

    Parameters
    ----------
    muse_cube
        Dims wavelength, y, x, as `phangs_xr.open_cube` gives it: `wavelength` in vacuum [Å]
        [1e-20 erg/s/cm²/Å per spaxel]. It is read some planes at a time and never held whole.
    narrow, continuum1, continuum2
        HST's bands, which tell the filters; their pixels are not read.
    options
        None to choose from.

    Returns
    -------
    xr.Dataset
        `muse_narrow`, `muse_continuum1` and, if given, `muse_continuum2` [Jy per spaxel], with the
        attributes `curve` and `coverage`, the share of the band that the cube covers; NaN where a
        spaxel has less than half of that.

    Raises
    ------
    InputError
        If the unit is another, a filter is not known, or the cube is beyond a band.
    """
    _require_density(muse_cube)
    bands = dict(zip(BANDS, (narrow, continuum1, continuum2), strict=True))
    given = {band: one for band, one in bands.items() if one is not None}
    shares = {band: measure_share(muse_cube, one, band) for band, one in given.items()}
    wavelength = muse_cube["wavelength"].values
    weights = np.concatenate(
        [weigh_planes(wavelength, find_curve(one, band)) for band, one in given.items()], axis=1
    )
    sums = sum_planes(add_planes, muse_cube, weights, made=2 * len(given), dtype=np.float64)
    # 1e-20 erg/s/cm²/Å times Å² over c [Å/s], in Jy.
    factor = 1 / (LIGHT_SPEED * ANGSTROM_PER_KM) / FLUX_SCALE / JANSKY_CGS
    made = {}
    for number, (band, image) in enumerate(given.items()):
        name = f"muse_{band}"
        least = LEAST * float(weights[:, 2 * number + 1].sum())
        flux = map_pixels(
            divide_sums,
            *sums[2 * number : 2 * number + 2],
            dtype=np.float32,
            least=least,
            factor=factor,
        )
        attrs = {"curve": describe_curve(image, band)["curve"], "coverage": shares[band]}
        made[name] = label_product(flux, name, "fold_cube", **attrs)
    return xr.Dataset(made)
