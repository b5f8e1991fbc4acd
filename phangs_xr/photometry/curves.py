"""Throughput curves of filters: those of ACS/WFC and WFC3/UVIS come with the package.

Vacuum Ångström against the throughput of telescope, camera, filter and detector together (STScI's,
as the SVO Filter Profile Service gives them), without the points that a straight line replaces.
The formulae are those of synphot (Lim et al., STScI, "synphot", section "Bandpass").
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from phangs_xr.errors import InputError

LIGHT_SPEED = 299792.458
"""[km/s]"""

ANGSTROM_PER_KM = 1e13

HST_AREA = 45238.93416
"""Light-collecting area of HST [cm²] (synphot's `primary_area`)."""

PHOTON = 1.98644586e-8
"""Planck's constant times the speed of light [erg Å] (CODATA 2018)."""

FAINTEST = 1e-8
"""Share of the peak below which the ends of a curve are cut off: at 1e-4, as drawn in most books,
the pivot of ACS F658N is off by 0.02 Å and its PHOTBW by half a per cent."""

TOLERANCE = 1e-6
"""Share of the peak that straight lines between the kept points may be off by."""

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """The throughput curve of a filter.

    Attributes
    ----------
    name
        Instrument, detector and filter, as `ACS_WFC_F658N`; of a user's own curve its file's.
    wavelength
        [Å], in vacuum, rising; two rows of one wavelength are a step.
    throughput
        Of the whole system, 0 to 1; only its shape matters but for `photflam`.
    """

    name: str
    wavelength: Values = field(repr=False)
    throughput: Values = field(repr=False)

    @property
    def pivot(self) -> float:
        """Pivot wavelength sqrt(∫T λ dλ / ∫T/λ dλ) [Å]."""
        return float(np.sqrt(self._integrate(1) / self._integrate(-1)))

    @property
    def rectangular_width(self) -> float:
        """∫T dλ / max T [Å]: the width of a box of the filter's height and area."""
        return measure_rectangular_width(self.wavelength, self.throughput)

    @property
    def photflam(self) -> float:
        """Inverse sensitivity hc / (A ∫T λ dλ) [erg/s/cm²/Å per electron/s], A that of HST."""
        return float(PHOTON / (HST_AREA * self._integrate(1)))

    @property
    def photbw(self) -> float:
        """RMS bandwidth, as STScI's PHOTBW [Å] (Koornneef et al. 1983)."""
        mean = np.exp(self._integrate(-1, np.log(self.wavelength)) / self._integrate(-1))
        spread = self._integrate(-1, np.log(self.wavelength / mean) ** 2) / self._integrate(-1)
        return float(mean * np.sqrt(spread))

    def find_response(self, line: float | Values, velocity: float | Values = 0.0) -> Values:
        """Return what the band sees of a line of unit flux, T(λ)λ / ∫T λ dλ [1/Å].

        Parameters
        ----------
        line
            Rest wavelength in vacuum [Å]; see `phangs_xr.photometry.LINES`.
        velocity
            Of the source, λ = line (1 + v/c) [km/s]; broadcast against `line`, NaN gives NaN.

        Returns
        -------
        NDArray
            Mean flux density over the band [erg/s/cm²/Å] of a line of 1 erg/s/cm²; 0 outside.
        """
        observed = np.asarray(line * (1 + np.asarray(velocity, dtype=np.float64) / LIGHT_SPEED))
        seen = np.interp(observed, self.wavelength, self.throughput, left=0.0, right=0.0)
        return np.asarray(seen * observed / self._integrate(1))

    def measure_coverage(self, first: float, last: float) -> float:
        """Return the share of ∫T λ dλ that lies between two wavelengths [Å]."""
        inside = (self.wavelength > first) & (self.wavelength < last)
        ends = np.clip([first, last], self.wavelength[0], self.wavelength[-1])
        places = np.concatenate([ends[:1], self.wavelength[inside], ends[1:]])
        seen = np.interp(places, self.wavelength, self.throughput) * places
        return float(np.trapezoid(seen, places) / self._integrate(1))

    def _integrate(self, power: int, values: Values | float = 1.0) -> float:
        product = values * self.throughput * self.wavelength**power
        return float(np.trapezoid(product, self.wavelength))


def measure_rectangular_width(
    wavelength: NDArray[np.floating], throughput: NDArray[np.floating]
) -> float:
    """Return the rectangular width of a filter, ∫T dλ / max T [unit of `wavelength`].

    Parameters
    ----------
    wavelength, throughput
        The filter's curve, 1-D, wavelengths rising.
    """
    return float(np.trapezoid(throughput, wavelength) / np.max(throughput))


def thin_curve(wavelength: Values, throughput: Values) -> tuple[Values, Values]:
    """Return a curve without its faint ends and the points that straight lines replace.

    Parameters
    ----------
    wavelength, throughput
        1-D, wavelengths rising.

    Returns
    -------
    tuple of NDArray
        Wavelengths and throughputs; interpolated, nowhere further off than `TOLERANCE` of the
        peak, and than `FAINTEST` of it at the ends.
    """
    peak = float(throughput.max())
    bright = np.flatnonzero(throughput >= FAINTEST * peak)
    ends = slice(max(bright[0] - 1, 0), bright[-1] + 2)
    wavelength, throughput = wavelength[ends], throughput[ends]
    kept = {0, wavelength.size - 1}
    spans = [(0, wavelength.size - 1)]
    while spans:
        first, last = spans.pop()
        inner = slice(first, last + 1)
        line = np.interp(wavelength[inner], wavelength[[first, last]], throughput[[first, last]])
        off = np.abs(line - throughput[inner])
        worst = first + int(np.argmax(off))
        if worst not in (first, last) and off[worst - first] > TOLERANCE * peak:
            kept.add(worst)
            spans += [(first, worst), (worst, last)]
    rows = sorted(kept)
    return wavelength[rows], throughput[rows]


@cache
def _read_package() -> dict[str, Values]:
    path = files("phangs_xr.photometry") / "curves.npz"
    with path.open("rb") as file, np.load(file) as table:
        return {name: table[name].astype(np.float64) for name in table.files}


def list_curves() -> list[str]:
    """Return the names of the curves that come with the package."""
    return sorted(_read_package())


def get_curve(name: str) -> Curve:
    """Return a curve that comes with the package, or that `encode_curve` made text of.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name.startswith("{"):
        content = json.loads(name)
        columns = (np.array(content[key], dtype=np.float64) for key in ("wavelength", "throughput"))
        return Curve(content["name"], *columns)
    known = _read_package()
    if name not in known:
        near = difflib.get_close_matches(name.upper(), known, n=3, cutoff=0.5)
        message = (
            f"a filter curve of this package is needed, found {name!r}: "
            f"{f'did you mean {near[0]}?' if near else 'give the path of a curve of your own'}"
        )
        raise InputError(message)
    return Curve(name, *known[name])


def encode_curve(curve: Curve) -> str:
    """Return a user's own curve as text, for the attributes of images; `get_curve` reads it."""
    columns = thin_curve(curve.wavelength, curve.throughput)
    content = {
        "name": curve.name,
        **{
            key: column.round(7).tolist()
            for key, column in zip(("wavelength", "throughput"), columns, strict=True)
        },
    }
    return json.dumps(content)
