"""The nebula catalogue: which spaxels belong to which HII region, and what each one emits."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table, vstack
from numpy.typing import NDArray
from scipy import ndimage

from phangs_xr.simulate.frame import Array, Frame
from phangs_xr.simulate.galaxy import FWHM_PER_SIGMA, Galaxy
from phangs_xr.simulate.muse import Maps, Mask, find_stamp, make_header
from phangs_xr.simulate.scene import Scene, make_rng

DETECTION = 3.0
"""Noises by which a nebula's peak must stand out."""

FEWEST_SPAXELS = 9
HALPHA_REDDENING = 2.52
OTHER_GALAXIES = ("IC5332", "NGC1087")

Labels = NDArray[np.int64]


def label_nebulae(scene: Scene, maps: Maps) -> tuple[Labels, Labels]:
    """Give each spaxel to the region that is brightest there, down to one noise.

    Returns
    -------
    tuple
        The mask, -1 outside and IDs from 0 in the order of their first spaxel; and the ID of every
        region of the scene, -1 for those too faint, too small or not observed.
    """
    galaxy, regions, frame = scene.galaxy, scene.regions, maps.frame
    blur = galaxy.muse_fwhm / FWHM_PER_SIGMA
    sigma = np.hypot(regions.sigma, blur) / frame.scale
    peak = regions.flux / (2 * np.pi * sigma**2)
    x, y = frame.find_pixels(regions.east, regions.north)
    owner = np.full(frame.shape, -1)
    best = np.full(frame.shape, galaxy.muse_noise)
    for index in np.flatnonzero(peak > DETECTION * galaxy.muse_noise):
        reach = sigma[index] * np.sqrt(2 * np.log(peak[index] / galaxy.muse_noise))
        window = find_stamp(frame, x[index], y[index], reach)
        rows, cols = np.ogrid[window]
        distance = np.hypot(rows - y[index], cols - x[index]) / sigma[index]
        light = peak[index] * np.exp(-0.5 * distance**2)
        brighter = light > best[window]
        owner[window][brighter] = index
        best[window][brighter] = light[brighter]
    owner[~maps.observed] = -1
    return _number(owner, regions.flux.size)


def _number(owner: Labels, count: int) -> tuple[Labels, Labels]:
    """Renumber owners of enough spaxels from 0, in the order of their first spaxel."""
    found, first, spaxels = np.unique(owner, return_index=True, return_counts=True)
    kept = (found >= 0) & (spaxels >= FEWEST_SPAXELS)
    found = found[kept][np.argsort(first[kept])]
    identity = np.full(count + 1, -1)
    identity[found] = np.arange(found.size)
    return identity[owner], identity[:-1]


def measure_nebulae(galaxy: Galaxy, maps: Maps, mask: Labels) -> Table:
    """Measure every nebula on the maps, in the columns of the PHANGS catalogue.

    Fluxes are sums over the nebula's spaxels, 1e-20 erg/s/cm², diffuse gas included; positions are
    0-based pixels of the mask and degrees; areas are spaxels; `HA6562_FLUX_CORR` undoes `EBV`.
    """
    count = int(mask.max()) + 1
    inside = mask >= 0
    labels = mask[inside]

    def total(image: NDArray[Any]) -> Array:
        return np.bincount(labels, image[inside], minlength=count).astype(float)

    rows, cols = np.indices(mask.shape).astype(float)
    area = total(np.ones(mask.shape))
    cen_x, cen_y = total(cols) / area, total(rows) / area
    ra, dec = maps.stated.to_wcs().all_pix2world(cen_x, cen_y, 0)
    rng = make_rng(galaxy, "catalogue")
    ebv = rng.gamma(4.0, 0.06, count)
    table = Table()
    table["gal_name"] = np.full(count, galaxy.muse_name, "S7")
    table["region_ID"] = np.arange(count, dtype=float)
    table["cen_x"], table["cen_y"] = cen_x, cen_y
    table["cen_ra"], table["cen_dec"] = ra, dec
    table["region_area"] = area
    table["region_circ_rad"] = np.sqrt(area / np.pi) * maps.frame.scale
    table["flag_edge"] = total(_find_rim(maps.observed)) > 0
    table["flag_star"] = total(maps.stars) > 0
    for line in ("HA6562", "NII6583"):
        table[f"{line}_FLUX"] = total(maps.lines[f"{line}_FLUX"])
        table[f"{line}_FLUX_ERR"] = np.sqrt(total(maps.lines[f"{line}_FLUX_ERR"] ** 2))
    table["HA6562_VEL"] = total(maps.lines["HA6562_VEL"]) / area
    table["EBV"] = ebv
    brighter = 10 ** (0.4 * HALPHA_REDDENING * ebv)
    table["HA6562_FLUX_CORR"] = table["HA6562_FLUX"] * brighter
    table["HA6562_FLUX_CORR_ERR"] = table["HA6562_FLUX_ERR"] * brighter
    table["HII_class_v3"] = (rng.uniform(size=count) < 0.92).astype(np.int64)
    for name in ("flag_edge", "flag_star"):
        table[name] = table[name].astype(np.int64)
    return table


def _find_rim(observed: Mask) -> Mask:
    """Observed spaxels next to unobserved ones or to the end of the image."""
    rim: Mask = observed & ~ndimage.binary_erosion(observed, np.ones((3, 3), bool))
    return rim


def write_nebulae(
    galaxy: Galaxy, frame: Frame, mask: Labels, table: Table, directory: Path
) -> None:
    """Write the mask and a catalogue that, as the survey's, holds other galaxies' nebulae too."""
    fits.writeto(
        directory / f"{galaxy.muse_name}_nebulae_mask_V2.fits",
        mask.astype(np.float32),
        make_header(frame),
        overwrite=True,
    )
    others = []
    for name in OTHER_GALAXIES:
        if name != galaxy.muse_name:
            other = table[:3].copy()
            other["gal_name"] = np.full(len(other), name, "S7")
            others.append(other)
    survey = vstack([others[0], table, *others[1:]], metadata_conflicts="silent")
    fits.BinTableHDU(survey.as_array()).writeto(
        directory / "Nebulae_catalogue_v3.fits", overwrite=True
    )
