"""Simulated galaxies on disk, with the same without noise: the truth, and what noise alone does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy import ndimage

import phangs_xr
from phangs_xr.engine.runner import Runner
from phangs_xr.photometry.continuum import weigh_pivots
from phangs_xr.photometry.extinction import find_extinction_factor
from phangs_xr.qa.check_field import check_field
from phangs_xr.simulate import Galaxy, simulate_galaxy
from phangs_xr.simulate.dataset import write_config
from phangs_xr.simulate.lines import find_colour_excess

Image = NDArray[np.float64]
Labels = NDArray[np.int64]

SIGMAS_PER_FWHM = 1 / np.sqrt(8 * np.log(2))


def read(path: Path, hdu: int | str = 0) -> Image:
    return np.asarray(fits.getdata(path, hdu), float)


@dataclass(frozen=True)
class Sky:
    """One simulated galaxy in a directory, which recipes are run on."""

    galaxy: Galaxy
    directory: Path

    @classmethod
    def simulate(cls, galaxy: Galaxy, directory: Path) -> Sky:
        simulate_galaxy(directory, galaxy, recipe="default")
        simulate_galaxy(directory / "quiet", replace(galaxy, noise=0.0), recipe="default")
        return cls(galaxy, directory)

    def run(self, recipe: str) -> Path:
        """Run a recipe and its photometry, and return the directory of its products."""
        config = self.directory / f"{recipe}.toml"
        write_config(self.galaxy, config, recipe)
        out = self.directory / recipe
        phangs_xr.run(config, out=out)
        check_field(out, Runner(), report=False)
        return out

    @property
    def truth(self) -> Image:
        """Hα per HST pixel, NaN where the narrow band does not look."""
        halpha = read(self.directory / "truth/halpha.fits")
        seen = read(self._find(self.galaxy.narrow.filter)) != 0
        return np.where(seen, halpha, np.nan)

    @cached_property
    def labels(self) -> Labels:
        """The nebula of each HST pixel, by the spaxel its centre falls on; -1 outside."""
        path = self.directory / f"muse/{self.galaxy.muse_name}_nebulae_mask_V2.fits"
        mask = read(path).astype(int)
        return self._sample(mask, WCS(fits.getheader(path)), order=0, fill=-1).astype(int)

    @cached_property
    def observed(self) -> NDArray[np.bool]:
        """Which HST pixels MUSE looks at."""
        halpha = read(self._maps, "HA6562_FLUX")
        header = fits.getheader(self._maps, "HA6562_FLUX")
        return self._sample(np.isfinite(halpha), WCS(header), order=0, fill=0) > 0.5

    def sum_nebulae(self, image: Image) -> Image:
        """Return the sum over each nebula, NaN where it has pixels without data."""
        inside = self.labels >= 0
        return np.bincount(self.labels[inside], image[inside], minlength=self.labels.max() + 1)

    def measure_noise(self) -> Image:
        """Return what noise alone adds to the best map of HST and MUSE, per pixel.

        The noise is that of these very images: theirs less those of the same galaxy without noise.
        """
        hst = self._propagate_noise()
        scale = self.galaxy.muse_scale / self.galaxy.pixel_scale
        halpha = self._subtract_quiet(self._maps, "HA6562_FLUX")
        header = fits.getheader(self._maps, "HA6562_FLUX")
        muse = self._sample(np.nan_to_num(halpha), WCS(header), order=3, fill=0) / scale**2
        wide = np.nanstd(_average(hst, 10)) ** 2 * 100
        narrow = np.nanvar(halpha) / scale**2
        known = np.isfinite(hst)
        blur = self.galaxy.muse_fwhm**2 - self.galaxy.hst_fwhm**2
        sigma = np.sqrt(blur) * SIGMAS_PER_FWHM / self.galaxy.pixel_scale
        frequencies = np.meshgrid(*(np.fft.fftfreq(side) for side in hst.shape), indexing="ij")
        spread = np.exp(-2 * (np.pi * sigma) ** 2 * (frequencies[0] ** 2 + frequencies[1] ** 2))
        gain = wide * spread / (narrow + wide * spread**2)
        transform = np.fft.fft2(np.where(known & self.observed, hst, 0))
        moved = np.fft.ifft2(gain * (np.fft.fft2(muse) - spread * transform)).real
        return hst + np.where(self.observed, moved, 0)

    def _propagate_noise(self) -> Image:
        """Return the noise of HST's Hα, the continuum interpolated between the broad bands."""
        galaxy = self.galaxy
        ebv = find_colour_excess(galaxy)
        noise, light = [], []
        for band in galaxy.bands:
            path = self._find(band.filter)
            factor = band.photflam * 1e20 * find_extinction_factor(band.photplam, ebv)
            noise.append(self._subtract_quiet(path) * factor)
            light.append(float(np.median(read(path)[read(path) != 0])) * factor)
        first, second = weigh_pivots(*(band.photplam for band in galaxy.bands))
        colour = light[1] / light[2]
        weights = first * colour**-second, second * colour**first
        left = noise[0] - weights[0] * noise[1] - weights[1] * noise[2]
        seen = galaxy.nii_factor / galaxy.rectwidth
        return np.where(read(self._find(galaxy.narrow.filter)) != 0, left / seen, np.nan)

    def _subtract_quiet(self, path: Path, hdu: int | str = 0) -> Image:
        quiet = self.directory / "quiet" / path.relative_to(self.directory)
        return read(path, hdu) - read(quiet, hdu)

    def _find(self, name: str) -> Path:
        (path,) = (self.directory / "hst").glob(f"*_{name.lower()}_exp_drc_sci.fits")
        return path

    @property
    def _maps(self) -> Path:
        (path,) = (self.directory / "muse").glob("*_MAPS.fits")
        return path

    def _sample(self, image: NDArray, wcs: WCS, order: int, fill: float) -> Image:
        own = WCS(fits.getheader(self.directory / "truth/halpha.fits"))
        y, x = np.indices((self.galaxy.size, self.galaxy.size))
        column, row = wcs.all_world2pix(*own.all_pix2world(x, y, 0), 0)
        where = np.stack([row, column])
        found: Image = ndimage.map_coordinates(
            image.astype(float), where, order=order, mode="constant", cval=fill
        )
        return found


def _average(image: Image, side: int) -> Image:
    rows, columns = (length // side for length in image.shape)
    cut = image[: rows * side, : columns * side]
    return cut.reshape(rows, side, columns, side).mean(axis=(1, 3))
