"""A whole data set of a simulated galaxy: HST's and MUSE's files, the truth, a configuration."""

import json
from pathlib import Path

from astropy.table import Table

from phangs_xr.errors import InputError
from phangs_xr.simulate import hst, muse, nebulae
from phangs_xr.simulate.frame import Frame
from phangs_xr.simulate.galaxy import Galaxy
from phangs_xr.simulate.lines import find_colour_excess
from phangs_xr.simulate.nebulae import Labels
from phangs_xr.simulate.scene import Scene, build_scene


def simulate_galaxy(
    out: str | Path,
    galaxy: Galaxy | None = None,
    *,
    chunk: int = 1000,
    recipe: str = "barnes2023",
) -> Path:
    """Write a simulated galaxy with known truth, ready for `phangs-xr run`.

    Parameters
    ----------
    out
        Directory, made if it is missing; files of the same names in it are replaced.
    galaxy
        What to simulate; `Galaxy()` if not given.
    chunk
        Rows and columns of the HST mosaics to hold in memory at a time. The files are the same,
        bit for bit, whatever it is.
    recipe
        That the configuration names; with any but `barnes2023`, which takes neither, it lists
        weights and synthetic bands too, and that no extinction is to be undone.

    Returns
    -------
    Path
        The configuration, `OUT/{name}.toml`. Beside it lie

        - `hst/`: narrow and broad bands (electron/s, exactly 0 outside the footprint) and their
          inverse variances;
        - `muse/`: line maps and synthetic bands (NaN outside MUSE's field), nebula mask and
          catalogue, star mask;
        - `truth/`: `halpha.fits` (1e-20 erg/s/cm² per HST pixel at HST's resolution),
          `continuum.fits` (electron/s in the narrow band), `regions.csv` (ra, dec in deg, flux in
          1e-20 erg/s/cm², sigma in arcsec, region_ID or -1), `cosmics.csv` of the narrow band and
          others named by their filters (0-based pixels, electron/s), and `truth.json` (slope and
          offset `fit_anchor` should find, noise, and every choice of the galaxy).

    Raises
    ------
    InputError
        If `chunk` is not positive, or `out` is a file.
    """
    galaxy = galaxy or Galaxy()
    out = Path(out)
    if chunk < 1:
        raise InputError(f"chunk must be a positive number of pixels, found {chunk}")
    if out.exists() and not out.is_dir():
        raise InputError(f"a directory is needed for a simulated galaxy, found the file {out}")
    folders = {name: out / name for name in ("hst", "muse", "truth")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    scene = build_scene(galaxy)
    frame = hst.build_frame(galaxy)
    cosmics = tuple(hst.draw_cosmics(galaxy, frame, index) for index in range(len(galaxy.bands)))
    hst.write_mosaics(scene, cosmics, folders["hst"], folders["truth"], chunk)
    for index, (band, rays) in enumerate(zip(galaxy.bands, cosmics, strict=True)):
        name = f"cosmics_{band.filter.lower()}.csv" if index else "cosmics.csv"
        rays.write(folders["truth"] / name)
    maps = muse.observe_maps(scene)
    muse.write_maps(galaxy, maps, folders["muse"])
    mask, identity = nebulae.label_nebulae(scene, maps)
    table = nebulae.measure_nebulae(galaxy, maps, mask)
    nebulae.write_nebulae(galaxy, maps.stated, mask, table, folders["muse"])
    _write_regions(scene, maps.frame, identity, folders["truth"] / "regions.csv")
    _write_truth(galaxy, folders["truth"] / "truth.json")
    return write_config(galaxy, out / f"{galaxy.name}.toml", recipe)


def _write_regions(scene: Scene, frame: Frame, identity: Labels, path: Path) -> None:
    regions = scene.regions
    ra, dec = frame.to_wcs().all_pix2world(*frame.find_pixels(regions.east, regions.north), 0)
    table = Table()
    table["ra"], table["dec"] = ra, dec
    table["flux"], table["sigma"] = regions.flux, regions.sigma
    table["region_ID"] = identity
    formats = {"ra": "%.8f", "dec": "%.8f", "flux": "%.6g", "sigma": "%.5f"}
    table.write(path, format="ascii.csv", formats=formats, overwrite=True)


def _write_truth(galaxy: Galaxy, path: Path) -> None:
    truth = {
        "slope": galaxy.slope,
        "offset": galaxy.offset,
        "halpha_noise": galaxy.halpha_noise,
        "noise": {band.filter: galaxy.noise * band.noise for band in galaxy.bands},
        "sky": {band.filter: band.sky for band in galaxy.bands},
        "muse_noise": galaxy.noise * galaxy.muse_noise,
        "galaxy": galaxy.choices(),
    }
    path.write_text(json.dumps(truth, indent=2) + "\n")


def write_config(galaxy: Galaxy, path: Path, recipe: str) -> Path:
    """Write the configuration of a recipe for a simulated galaxy whose files lie beside it."""
    names = ["narrow", "continuum1", "continuum2"][: len(galaxy.bands)]
    inputs = {
        name: f"hst/{hst.name_mosaic(galaxy, band, 'exp_drc_sci')}"
        for name, band in zip(names, galaxy.bands, strict=True)
    }
    muse_name = galaxy.muse_name
    stem = f"{muse_name}-{galaxy.muse_fwhm:.2f}asec"
    inputs["muse"] = f"muse/{stem}_MAPS.fits"
    if recipe != "barnes2023":
        for name, band in zip(names, galaxy.bands, strict=True):
            inputs[f"{name}_weight"] = f"hst/{hst.name_mosaic(galaxy, band, 'err_drc_wht')}"
            inputs[f"muse_{name}"] = f"muse/{stem}_{band.camera.upper()}_{band.filter}.fits"
    inputs["nebula_mask"] = f"muse/{muse_name}_nebulae_mask_V2.fits"
    inputs["nebula_catalogue"] = "muse/Nebulae_catalogue_v3.fits"
    inputs["star_mask"] = f"muse/{muse_name}_starmask.fits"
    lines = [
        "# Simulated by phangs_xr; the truth is in truth/.",
        f'galaxy = "{galaxy.name}"',
        f'recipe = "{recipe}"',
        "",
        "[inputs]",
        *(f'{name} = "{path}"' for name, path in inputs.items()),
    ]
    if recipe != "barnes2023":
        ebv = find_colour_excess(galaxy)
        lines += ["", "[options.correct_extinction]", f"ebv = {ebv:.4f}    # as simulated"]
    path.write_text("\n".join(lines) + "\n")
    return path
