"""The celestial WCS of an image as canonical text: one system, one text, every digit kept."""

import math
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from astropy.coordinates import ICRS, BaseCoordinateFrame
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning, Sip
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

from phangs_xr.errors import InputError, refuse_damaged
from phangs_xr.sky.check_cards import check_cards

_ICRS = ("RA", "ICRS or FK5 J2000", 2000.0)

_SEARCH_TOLERANCE = 1e-3
"""Pixels by which a position found through a distortion may miss; others did not converge."""

_SMALLEST, _LARGEST = 1e-9, 90.0
"""Sides of pixels [deg]."""

_LONGEST = 1000.0
"""How many times as long as wide a pixel may be."""

_SIP = re.compile(r"[AB]P?_(ORDER|DMAX|\d_\d)")

_STALE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|[PG]COUNT|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM"
    r"|WCSAXES[A-Z]?|WCSNAME[A-Z]|(CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA)\d[A-Z]?"
    r"|(PC|CD)\d_\d[A-Z]?|P[VS]\d_\d+[A-Z]?|(LON|LAT)POLE[A-Z]?|RADESYS[A-Z]?|RADECSYS"
    r"|EQUINOX[A-Z]?|ORIENTAT|[AB]P?_(ORDER|DMAX|\d_\d)|CP(DIS|ERR)\d|D2IM\w*|D[PQ]\d.*"
    r"|LTV\d|LTM\d_\d"
)
"""Keywords that describe an array as it was stored, alternative WCS (with a letter) included."""


def format_wcs(source: fits.Header | WCS) -> str:
    """Write the celestial WCS of an image as canonical FITS cards.

    Equal systems give equal text, whichever of the equivalent keywords the header used: the
    matrix is always CDi_j, in degrees, and photometry and observation keywords are left out.

    Parameters
    ----------
    source
        The header of a two-dimensional image, or an astropy WCS.

    Returns
    -------
    str
        One card per line, numbers with all their digits (astropy's own header keeps 12).

    Raises
    ------
    InputError
        If the two pixel axes are not the two axes of a celestial system, or if they are
        distorted otherwise than by SIP polynomials.
    """
    with refuse_damaged("a celestial WCS in the header"):
        if isinstance(source, fits.Header):
            source = _drop_idle_sip(source)
            check_cards(source)
        wcs = _read_celestial(source)
        _require_pixels(wcs)
        text = "\n".join(format_card(key, value) for key, value in _list_cards(wcs))
        _require_same_sky(wcs, parse_wcs(text))
    return text


def format_card(keyword: str, value: str | float) -> str:
    """Write one FITS card with all digits of its number; astropy's own cards keep 20 characters.

    Parameters
    ----------
    keyword
        At most eight letters.
    value
        Text or a number.

    Returns
    -------
    str
        The card without comment, not padded.
    """
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        return f"{keyword:<8}= '{quoted:<8}'"
    # Adding zero makes 0.0 of -0.0.
    return f"{keyword:<8}= {value + 0!r:>20}".replace("e", "E")


def parse_wcs(text: str) -> WCS:
    """Read the text of `format_wcs`.

    Parameters
    ----------
    text
        FITS cards, one per line.

    Returns
    -------
    astropy.wcs.WCS
        A new object at each call, because astropy's WCS must not be shared between threads.
    """
    # Copying costs a tenth of reading.
    return _read_text(text).deepcopy()


@lru_cache(maxsize=32)
def _read_text(text: str) -> WCS:
    return WCS(fits.Header.fromstring(text, sep="\n"))


def _read_celestial(source: fits.Header | WCS) -> WCS:
    with warnings.catch_warnings():
        # Real headers hold obsolete keywords, which astropy mends and warns of.
        warnings.simplefilter("ignore", FITSFixedWarning)
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        wcs = source.deepcopy() if isinstance(source, WCS) else WCS(source)
        found = wcs.has_celestial and {wcs.wcs.lng, wcs.wcs.lat} == {0, 1}
        wcs = wcs.celestial if found and wcs.naxis != 2 else wcs
        wcs.wcs.set()
    if not found:
        axes = ", ".join(str(axis) or "none" for axis in wcs.wcs.ctype)
        raise InputError(
            f"expected a celestial WCS (CTYPE1 and CTYPE2 such as RA---TAN, DEC--TAN), "
            f"found axes {axes}: add the WCS to the header"
        )
    return wcs


def find_idle_sip(header: fits.Header) -> bool:
    """Tell whether a header holds SIP coefficients that its CTYPE does not ask for.

    Drizzling leaves those of an exposure behind; only a CTYPE that ends in -SIP makes them count
    (Shupe et al. 2005, section 2), whereas astropy applies them all the same.
    """
    asked = all(str(header.get(f"CTYPE{axis}", "")).strip().endswith("-SIP") for axis in (1, 2))
    return not asked and any(_SIP.fullmatch(keyword) for keyword in header)


def _drop_idle_sip(header: fits.Header) -> fits.Header:
    if not find_idle_sip(header):
        return header
    kept = fits.Header([card for card in header.cards if not _SIP.fullmatch(card.keyword)])
    for axis in (1, 2):
        if str(kept.get(f"CTYPE{axis}", "")).strip().endswith("-SIP"):
            # With one axis alone it is no distortion either.
            kept[f"CTYPE{axis}"] = str(kept[f"CTYPE{axis}"]).strip().removesuffix("-SIP")
    return kept


def _require_pixels(wcs: WCS) -> None:
    """Refuse a matrix without inverse, pixels of no size of this world, and unknown systems."""
    # Wcslib puts 1 deg for an axis whose row of the matrix is zero.
    area = abs(float(np.linalg.det(wcs.pixel_scale_matrix)))
    sides = np.linalg.norm(wcs.pixel_scale_matrix, axis=0)
    whole = _SMALLEST**2 <= area <= _LARGEST**2 and sides.max() <= _LONGEST * sides.min()
    if not whole:
        raise InputError(
            f"expected pixels of {_SMALLEST:g} to {_LARGEST:g} deg on the sky, found "
            f"{sides[0]:g} by {sides[1]:g} by the matrix (CDi_j, or CDELTi with PCi_j): mend it"
        )
    # Astropy knows by RADESYS which frame it is, or raises.
    if wcs.wcs.lngtyp == "RA":
        get_astropy_frame(wcs)


def _require_same_sky(wcs: WCS, kept: WCS) -> None:
    """Refuse distortions that the canonical cards cannot hold: look-up tables, TPV and the like."""
    # A card NAXIS3 may be left over in the header of an image.
    width, height = (wcs.pixel_shape or (1000, 1000))[:2]
    cols, rows = np.array([0.0, width, 0.3 * width]), np.array([0.0, height, 0.8 * height])
    whole, found = (np.stack(pixel_to_sky(system, rows, cols)) for system in (wcs, kept))
    scale = math.sqrt(abs(np.linalg.det(kept.pixel_scale_matrix)))
    if not np.allclose(found, whole, rtol=0, atol=1e-4 * scale, equal_nan=True):
        raise InputError(
            "expected a projection with at most a SIP distortion, found one that look-up tables "
            "or other coefficients distort (TPV, TNX): use a drizzled or resampled image"
        )


def _list_cards(wcs: WCS) -> Iterator[tuple[str, str | float | int]]:
    prm = wcs.wcs
    matrix = wcs.pixel_scale_matrix
    yield "WCSAXES", 2
    for axis in (0, 1):
        ctype = str(prm.ctype[axis])
        # Without coefficients it is the plain projection.
        yield f"CTYPE{axis + 1}", ctype if wcs.sip is not None else ctype.removesuffix("-SIP")
        yield f"CUNIT{axis + 1}", "deg"
        yield f"CRVAL{axis + 1}", float(prm.crval[axis])
        yield f"CRPIX{axis + 1}", float(prm.crpix[axis])
    for i, j in np.ndindex(2, 2):
        yield f"CD{i + 1}_{j + 1}", float(matrix[i, j])
    yield "LONPOLE", float(prm.lonpole)
    yield "LATPOLE", float(prm.latpole)
    if prm.lngtyp == "RA":
        radesys, equinox = _get_reference_system(prm)
        yield "RADESYS", radesys
        if radesys != "ICRS":
            yield "EQUINOX", equinox
    for axis, index, value in prm.get_pv():
        yield f"PV{axis}_{index}", float(value)
    if wcs.sip is not None:
        yield from _list_sip_cards(wcs.sip)


def _list_sip_cards(sip: Sip) -> Iterator[tuple[str, float | int]]:
    for name, values in (("A", sip.a), ("B", sip.b), ("AP", sip.ap), ("BP", sip.bp)):
        if values is None:
            continue
        yield f"{name}_ORDER", len(values) - 1
        for i, j in np.argwhere(values):
            yield f"{name}_{i}_{j}", float(values[i, j])


def _get_reference_system(prm: Any) -> tuple[str, float]:
    """RADESYS, which wcslib fills in by the standard's rule, and EQUINOX, which it may not."""
    radesys, equinox = str(prm.radesys), float(prm.equinox)
    if math.isnan(equinox):
        equinox = 1950.0 if radesys.startswith("FK4") else 2000.0
    return radesys, equinox


def get_frame(wcs: WCS) -> tuple[str, str, float]:
    """Tell what two systems must share for their raw numbers to mean the same direction.

    Parameters
    ----------
    wcs
        A celestial WCS.

    Returns
    -------
    tuple
        Kind of longitude, reference system and equinox; the same for ICRS and FK5 (J2000).
    """
    if wcs.wcs.lngtyp != "RA":
        return str(wcs.wcs.lngtyp), "", 0.0
    radesys, equinox = _get_reference_system(wcs.wcs)
    if radesys == "ICRS" or (radesys == "FK5" and equinox == 2000.0):
        return _ICRS
    return "RA", radesys, equinox


def scale_sip(sip: Sip, dx: float, dy: float, crpix: NDArray[np.float64]) -> Sip:
    """SIP polynomials for pixels dx, dy times as large: u -> u / dx, f -> f / dx, and y alike."""

    def scale(values: NDArray[np.float64] | None, step: float) -> NDArray[np.float64] | None:
        if values is None:
            return None
        powers = np.arange(len(values))
        scaled: NDArray[np.float64] = values * dx ** powers[:, None] * dy**powers / step
        return scaled

    return Sip(scale(sip.a, dx), scale(sip.b, dy), scale(sip.ap, dx), scale(sip.bp, dy), crpix)


def get_astropy_frame(wcs: WCS) -> BaseCoordinateFrame:
    """Return astropy's frame of a WCS, ICRS standing for FK5 (J2000) as in `get_frame`.

    Parameters
    ----------
    wcs
        A celestial WCS.

    Returns
    -------
    astropy.coordinates.BaseCoordinateFrame
        The system in which the raw numbers are to be understood.
    """
    return ICRS() if get_frame(wcs) == _ICRS else wcs_to_celestial_frame(wcs)


def pixel_to_sky(
    wcs: WCS, row: NDArray[np.float64], col: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn positions in pixels into longitude and latitude [deg].

    Parameters
    ----------
    wcs
        A celestial WCS, used by one thread.
    row, col
        0-based positions, arrays of one shape.

    Returns
    -------
    tuple of ndarray
        Longitude and latitude; NaN where the projection has no sky.
    """
    world = wcs.all_pix2world(col, row, 0)
    return world[wcs.wcs.lng], world[wcs.wcs.lat]


def sky_to_pixel(
    wcs: WCS, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn longitude and latitude [deg] into positions in pixels.

    Parameters
    ----------
    wcs
        A celestial WCS, used by one thread.
    lon, lat
        Directions in the system of the WCS, arrays of one shape.

    Returns
    -------
    tuple of ndarray
        0-based row and column; NaN where the projection cannot show the direction.
    """
    world = (lon, lat) if wcs.wcs.lng == 0 else (lat, lon)
    col, row = wcs.wcs_world2pix(*world, 0)
    if wcs.has_distortion:
        known = np.isfinite(row)
        row[known], col[known] = _undo_distortion(wcs, row[known], col[known])
    return row, col


def _undo_distortion(
    wcs: WCS, row: NDArray[np.float64], col: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels of undistorted positions; NaN where, far outside the image, the search diverges."""
    if row.size == 0:
        return row, col
    world = wcs.wcs_pix2world(col, row, 0)
    found_col, found_row = wcs.all_world2pix(*world, 0, quiet=True)
    back_col, back_row = wcs.wcs_world2pix(*wcs.all_pix2world(found_col, found_row, 0), 0)
    lost = ~(np.hypot(back_col - col, back_row - row) <= _SEARCH_TOLERANCE)
    return np.where(lost, np.nan, found_row), np.where(lost, np.nan, found_col)


def strip_header(header: fits.Header) -> fits.Header:
    """Leave out of a header what describes the stored array: its structure, scaling and WCS.

    Parameters
    ----------
    header
        Any image header; it is not changed.

    Returns
    -------
    astropy.io.fits.Header
        The other cards, in their order.
    """
    return fits.Header([card for card in header.cards if not _STALE.fullmatch(card.keyword)])
