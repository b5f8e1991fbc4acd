"""Find a galaxy's files under the names that teams and archives give them, for a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from phangs_xr.errors import InputError
from phangs_xr.photometry.extinction import find_ebv, suggest_ebv
from phangs_xr.recipes import get_recipe
from phangs_xr.schema import BANDS, SOURCES

_GALAXY = re.compile(r"(ngc|ic|ugc|eso|m)[-_ ]?0*(\d+)(mosaic|[a-z]?)", re.IGNORECASE)
_FILTER = re.compile(r"(?<![a-z0-9])(f\d{3,4}[a-z]{0,2})(?![a-z0-9])", re.IGNORECASE)
_NARROW = re.compile(r"f65[678]n?$")
IMAGES = (".fits", ".fits.gz")
TABLES = (*IMAGES, ".ecsv", ".csv", ".vot", ".xml", ".parquet")
"""What the names of files end with."""

_SYNTHETIC = re.compile(r"asec[_-](acs|uvis|wfc3)[_-]", re.IGNORECASE)
_FIRST = ("f547m", "f550m", "f555w")
_SECOND = ("f814w",)


@dataclass(frozen=True)
class FoundFiles:
    """Candidates for each input, by its name in the configuration."""

    candidates: dict[str, list[Path]]

    def choose(self, recipe: str) -> dict[str, Path]:
        """Return the one file found for each input that a recipe takes.

        Raises
        ------
        InputError
            If there are several for any, with their names: it is not guessed which is meant.
        """
        taken = {name for step in get_recipe(recipe).steps for name in step.sources}
        candidates = {
            name: paths
            for name, paths in self.candidates.items()
            if name in taken or SOURCES[name].kind == "table"
        }
        unsure = [
            f"{name}: {', '.join(str(path) for path in paths)}"
            for name, paths in candidates.items()
            if len(paths) > 1
        ]
        if unsure:
            message = (
                f"one file per input is needed, found several: {'; '.join(unsure)}: name the "
                f"pointing (ngc628c), or point --hst and --muse at directories with one of them"
            )
            raise InputError(message)
        return {name: paths[0] for name, paths in candidates.items() if paths}


def find_files(galaxy: str, hst: Path, muse: Path) -> FoundFiles:
    """Find the files of a galaxy.

    Parameters
    ----------
    galaxy
        In any spelling: `ngc628c`, `NGC0628`, `NGC 628`. A pointing's letter, if given, must be in
        the HST names too.
    hst, muse
        Directories to search, with all below.

    Returns
    -------
    FoundFiles
        For `narrow`, `continuum1`, `continuum2` (team, MAST and notebook names, science images
        only), their weights, `muse`, its synthetic bands, `nebula_mask`, `nebula_catalogue` and
        `star_mask`.

    Raises
    ------
    InputError
        If a directory does not exist.
    """
    for directory in (hst, muse):
        if not directory.is_dir():
            message = f"{directory}: expected a directory to search, found none: correct the path"
            raise InputError(message)
    own = [path for path in _list_fits(hst) if _matches(path, galaxy)]
    images = [path for path in own if _is_science(path)]
    weights = [path for path in own if _is_weight(path)]
    maps = [path for path in _list_fits(muse) if _matches(path, galaxy, pointing=False)]
    bands = [path for path in maps if _SYNTHETIC.search(path.name)]
    return FoundFiles(
        {
            **_sort_bands(images, "{}"),
            **_sort_bands(weights, "{}_weight"),
            "muse": [path for path in maps if re.search(r"[_-]MAPS", path.name)],
            **_sort_bands(bands, "muse_{}"),
            "nebula_mask": _select(maps, r"neb(ulae)?_?mask"),
            "nebula_catalogue": _select(_list_files(muse, TABLES), r"nebulae_catalogue"),
            "star_mask": _select(maps, r"star_?mask"),
        }
    )


def _sort_bands(paths: Sequence[Path], name: str) -> dict[str, list[Path]]:
    """Sort images by what their filters are to us; `name` makes an input's of a band's."""
    return {
        name.format("narrow"): [path for path in paths if _NARROW.match(_get_filter(path))],
        name.format("continuum1"): [path for path in paths if _get_filter(path) in _FIRST],
        name.format("continuum2"): [path for path in paths if _get_filter(path) in _SECOND],
    }


def write_config(galaxy: str, found: dict[str, Path], base: Path, recipe: str) -> str:
    """Return a commented configuration, its paths relative to a directory where they can be.

    Parameters
    ----------
    galaxy
        Its name.
    found
        The file of each input.
    base
        Where the configuration will lie.
    recipe
        Its name.
    """
    lines = [
        "# A field of phangs_xr: `phangs-xr plan` says what it makes, `phangs-xr run` makes it.",
        f'galaxy = "{galaxy}"              # names the files',
        f'recipe = "{get_recipe(recipe).name}"',
        "# distance = 10.0               # of the galaxy [Mpc], for lengths in figures",
        "",
        "[inputs]                        # paths relative to this file",
        _write_input("narrow", found, base, "narrow band that holds H-alpha, electrons/s"),
        _write_input("continuum1", found, base, "broad band, bluewards as a rule"),
        _write_input("continuum2", found, base, "second broad band (optional)"),
        *_write_weights(found, base, recipe),
        _write_input("muse", found, base, "MAPS file; HA6562_FLUX is used, and other lines"),
        *_write_synthetic(found, base, recipe),
        _write_input("nebula_mask", found, base, "optional, for the comparison of fluxes"),
        _write_input("nebula_catalogue", found, base, "optional, for the comparison of fluxes"),
        _write_input("star_mask", found, base, "optional"),
        "# A header that lacks a keyword, or an image in another extension:",
        '# narrow = { path = "...", hdu = 1, photflam = 1.95e-18, photbw = 37.2 }',
        "",
        *(_BARNES_OPTIONS if recipe == "barnes2023" else _list_options(galaxy)),
        "# [output]",
        f'# products = ["{get_recipe(recipe).best}"]      # make only these and what they need',
        f'# fits = ["{get_recipe(recipe).best}"]          # write only these as FITS',
        '# store = "survey.zarr"         # one archive for many fields, each in a group',
        f'# group = "{galaxy}/f555w_f814w"',
        "",
    ]
    return "\n".join(lines)


_BARNES_OPTIONS = (
    "# [options.smooth_hst]",
    "# hst_fwhm = 0.1               # arcsec",
    "# muse_fwhm = 0.92             # arcsec, needed if the file's name does not give it",
    "# [options.convert_units]",
    '# bandwidth = "rectangular"    # the filter\'s true width in place of PHOTBW',
    '# throughput = "F658N.dat"     # two columns: wavelength [Angstrom], throughput',
)


def _list_options(galaxy: str) -> list[str]:
    """Return the lines of the options that the recipes with errors have."""
    ebv = find_ebv(galaxy)
    known = "Schlafly & Finkbeiner 2011" if ebv is not None else suggest_ebv(galaxy)
    return [
        "[options.correct_extinction]",
        f"{'# ' if ebv is None else ''}ebv = {0.05 if ebv is None else ebv}"
        f"                 # the Milky Way's E(B-V) [mag]: {known}",
        "# [options.estimate_errors]",
        '# pixel_noise = "measured"     # or "weights", 1/sqrt(weight) as it stands',
    ]


def _write_weights(found: dict[str, Path], base: Path, recipe: str) -> list[str]:
    if recipe == "barnes2023":
        return []
    comment = "inverse variance of it (optional, for errors)"
    return [_write_input(f"{band}_weight", found, base, comment) for band in BANDS]


def _write_synthetic(found: dict[str, Path], base: Path, recipe: str) -> list[str]:
    if recipe == "barnes2023":
        return []
    comment = "the band as MUSE's spectra give it (optional)"
    bands = [_write_input(f"muse_{band}", found, base, comment) for band in BANDS]
    return [*bands, '# muse_cube = "..."    # or the cube that these are then folded from']


def _write_input(name: str, found: dict[str, Path], base: Path, comment: str) -> str:
    if name not in found:
        return f'# {name} = "..."    # {comment}: none found'
    path = found[name].absolute()
    text = path.relative_to(base) if path.is_relative_to(base) else path
    return f'{name} = "{text.as_posix()}"    # {comment}'


def _list_fits(directory: Path) -> list[Path]:
    return _list_files(directory, IMAGES)


def _list_files(directory: Path, endings: tuple[str, ...]) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.name.endswith(endings))


def _select(paths: Iterable[Path], pattern: str) -> list[Path]:
    return [path for path in paths if re.search(pattern, path.name, re.IGNORECASE)]


def _is_weight(path: Path) -> bool:
    words = re.split(r"[_\-.]", path.name.lower())
    return "wht" in words and "err" in words


def _is_science(path: Path) -> bool:
    words = re.split(r"[_\-.]", path.name.lower())
    return "sci" in words and "err" not in words and "wht" not in words


def _get_filter(path: Path) -> str:
    found: Sequence[str] = _FILTER.findall(path.name.lower())
    return found[0] if found else ""


def _matches(path: Path, galaxy: str, pointing: bool = True) -> bool:
    wanted = _GALAXY.fullmatch(galaxy.strip())
    if wanted is None:
        return galaxy.lower() in re.split(r"[_\-.]", path.name.lower())
    for found in _GALAXY.finditer(path.name):
        same = found[1].lower() == wanted[1].lower() and found[2] == wanted[2]
        if same and (not pointing or not wanted[3] or found[3].lower() == wanted[3].lower()):
            return True
    return False
