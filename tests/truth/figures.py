"""How far the maps of a run are from the truth: the figures of one galaxy and one recipe."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.stats import mad_std
from numpy.typing import NDArray
from scipy import ndimage

import phangs_xr
from phangs_xr.recipes import get_recipe
from phangs_xr.simulate.hst import build_frame
from phangs_xr.simulate.scene import Sources, build_scene
from tests.truth.skies import SIGMAS_PER_FWHM, Image, Sky

BRIGHT = 3000.0
"""Flux [1e-20 erg/s/cm²] from which nebulae are judged: of the faintest noise is all."""

DEEP = 20.0
"""Noises of the narrow band by which a cosmic ray's or a star's peak stands out."""

REACH = 2
"""Pixels around a cosmic ray or a star in which a masked pixel is its own."""


@dataclass(frozen=True)
class Figures:
    """What the table shows; NaN where a recipe does not say it."""

    median: float
    scatter: float
    floor: float
    slope: float
    pull: float
    pull_scatter: float
    faint: float
    found: float
    cut: float

    @property
    def excess(self) -> float:
        """Scatter over that of noise alone."""
        return self.scatter / self.floor


def measure_figures(sky: Sky, directory: Path, recipe: str) -> Figures:
    """Compare the best map of a recipe with the truth."""
    (store,) = directory.glob("*.zarr")
    field = phangs_xr.open_store(store)
    best = get_recipe(recipe).best
    image = np.asarray(field["hst"][best].values, float)
    error = field["hst"].get(f"{best}_err")
    truth = sky.truth
    fluxes = sky.sum_nebulae(truth)
    found = sky.sum_nebulae(np.where(np.isfinite(truth), image, np.nan))
    bright = (fluxes > BRIGHT) & np.isfinite(found)
    ratio = found[bright] / fluxes[bright]
    noise = (sky.sum_nebulae(sky.measure_noise()) / fluxes)[bright]
    pulls = np.array([np.nan])
    faint = np.nan
    if error is not None:
        rows = field["nebulae"].to_dataset().set_index(nebula="region_ID")
        stated = rows[f"flux_{best}_err"].reindex(nebula=np.arange(fluxes.size)).values
        pulls = ((found - fluxes) / stated)[np.isfinite(found) & np.isfinite(stated)]
        faint = _measure_faint(sky, image, np.asarray(error.values, float), truth)
    mask = field["hst"].get("cosmic_mask")
    rays = (np.nan, np.nan) if mask is None else _judge_mask(sky, mask.values > 0)
    return Figures(
        float(np.median(ratio)),
        _spread(np.log10(np.maximum(ratio, 1e-2))),
        _spread(np.log10(np.maximum(1 + noise, 1e-2))),
        _fit_bright(image, truth, sky.observed),
        float(np.median(pulls)),
        _spread(pulls),
        faint,
        *rays,
    )


def _spread(values: Image) -> float:
    """Robust standard deviation about the median."""
    return float(mad_std(values))


def _fit_bright(image: Image, truth: Image, observed: NDArray[np.bool]) -> float:
    """Slope against the truth on its brightest per cent of pixels."""
    known = np.isfinite(image) & np.isfinite(truth) & observed
    bright = known & (truth > np.percentile(truth[known], 99))
    return float(np.polyfit(truth[bright], image[bright], 1)[0])


def _measure_faint(sky: Sky, image: Image, error: Image, truth: Image) -> float:
    known = np.isfinite(image) & np.isfinite(error) & np.isfinite(truth) & sky.observed
    faint = known & (truth < 0.5 * error)
    return _spread((image - truth)[faint] / error[faint])


def _judge_mask(sky: Sky, mask: NDArray[np.bool]) -> tuple[float, float]:
    """Share of the deep cosmic rays that were found, and of sources that were cut."""
    rays = []
    galaxy = sky.galaxy
    kept = (1 - 2 * galaxy.effects.drizzle) ** 2
    for path in sorted((sky.directory / "truth").glob("cosmics*.csv")):
        name = path.stem.removeprefix("cosmics").removeprefix("_").upper() or galaxy.narrow.filter
        (band,) = (one for one in galaxy.bands if one.filter == name)
        with path.open() as file:
            rows = list(csv.DictReader(file))
        rays += [
            (
                int(row["y"]),
                int(row["x"]),
                kept * float(row["counts"]) / int(row["pixels"]) > DEEP * band.noise,
            )
            for row in rows
        ]
    struck = np.zeros(mask.shape, bool)
    for y, x, _ in rays:
        struck[y, x] = True
    wide = ndimage.binary_dilation(mask, iterations=REACH)
    known = np.isfinite(sky.truth)
    deep = [(y, x) for y, x, deep in rays if deep and known[y, x]]
    found = np.mean([wide[place] for place in deep]) if deep else np.nan
    beyond = known & ~ndimage.binary_dilation(struck, iterations=4 * REACH)
    return float(found), _judge_sources(sky, mask, beyond)


def _judge_sources(sky: Sky, mask: NDArray[np.bool], beyond: NDArray[np.bool]) -> float:
    """Share of stars, clusters and knots that stand out from the noise and are masked."""
    galaxy = sky.galaxy
    scene = build_scene(galaxy)
    frame = build_frame(galaxy)
    noise = galaxy.narrow.noise * galaxy.narrow.photflam * 1e20
    cut = []
    near = ndimage.binary_dilation(mask)
    for sources, per_flux in (
        (scene.stars, 1.0),
        (scene.clusters, 1.0),
        (scene.knots, galaxy.nii_factor / galaxy.extinction / galaxy.rectwidth),
    ):
        peak = _find_peaks(sources, galaxy.hst_fwhm, galaxy.pixel_scale) * per_flux
        x, y = (np.rint(one).astype(int) for one in frame.find_pixels(sources.east, sources.north))
        inside = (x >= 0) & (y >= 0) & (x < galaxy.size) & (y < galaxy.size) & (peak > DEEP * noise)
        y, x = y[inside], x[inside]
        cut.append(near[y, x][beyond[y, x]])
    return float(np.concatenate(cut).mean())


def _find_peaks(sources: Sources, fwhm: float, scale: float) -> Image:
    """Peaks of round Gaussians seen at a resolution, per pixel."""
    sigma = np.hypot(sources.sigma, fwhm * SIGMAS_PER_FWHM) / scale
    return np.asarray(sources.flux / (2 * np.pi * sigma**2))
