"""HST's view: mosaics in electrons/s with their weights, and the truth on the same pixels."""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from phangs_xr.io.fits import FitsTarget
from phangs_xr.schema import COUNTS, FLUX, FLUX_SCALE
from phangs_xr.simulate.frame import Array, Frame, Window
from phangs_xr.simulate.galaxy import Band, Galaxy
from phangs_xr.simulate.lines import add_lines
from phangs_xr.simulate.scene import Light, Scene, make_rng

CELL = 250
"""Images are made in whole cells of this many pixels, at absolute places, whatever the chunks."""

BROAD_MARGIN = 1.01
"""Broad bands reach a little further than the narrow one."""

WORKERS = 4
"""Threads; each holds some 40 MB."""

BRIGHTEST_COSMIC = 6.0
"""Peak, electron/s."""

DRIZZLED = {"D001KERN": "gaussian", "D001PIXF": 1.0, "D001FVAL": "0.0"}


@dataclass(frozen=True)
class CosmicRays:
    """Cosmic rays of one band.

    Attributes
    ----------
    x, y
        0-based pixel where each track starts.
    pixels
        Length of each track.
    counts
        Sum of each track, electron/s.
    hits
        One row per pixel hit: row, column, electron/s.
    """

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    pixels: NDArray[np.int64]
    counts: Array
    hits: Array

    def render(self, window: Window) -> Array:
        """Return their electrons/s in a window."""
        rows, cols = window
        image = np.zeros((rows.stop - rows.start, cols.stop - cols.start))
        inside = (self.hits[:, 0] >= rows.start) & (self.hits[:, 0] < rows.stop)
        inside &= (self.hits[:, 1] >= cols.start) & (self.hits[:, 1] < cols.stop)
        y, x, counts = self.hits[inside].T
        np.add.at(image, (y.astype(int) - rows.start, x.astype(int) - cols.start), counts)
        return image

    def write(self, path: Path) -> None:
        """Write one line per ray: x, y, pixels, counts."""
        rows = zip(self.x, self.y, self.pixels, self.counts, strict=True)
        lines = [f"{x},{y},{pixels},{counts:.4f}\n" for x, y, pixels, counts in rows]
        path.write_text("x,y,pixels,counts\n" + "".join(lines))


Rays = tuple[CosmicRays, ...]
"""Of each band, in the order of the galaxy's."""


def build_frame(galaxy: Galaxy) -> Frame:
    """Return the pixel grid all HST mosaics share."""
    middle = (galaxy.size - 1) / 2
    shape = (galaxy.size, galaxy.size)
    return Frame(shape, galaxy.pixel_scale, middle, middle, galaxy.rotation, galaxy.ra, galaxy.dec)


def find_covered(
    galaxy: Galaxy, east: Array, north: Array, margin: float = 1.0
) -> NDArray[np.bool]:
    """Tell which offsets the telescope observed: a rolled square, `margin` times its size."""
    angle = np.deg2rad(galaxy.footprint_angle)
    half = margin * galaxy.footprint * galaxy.width / 2
    across = east * np.cos(angle) - north * np.sin(angle)
    along = east * np.sin(angle) + north * np.cos(angle)
    covered: NDArray[np.bool] = (np.abs(across) < half) & (np.abs(along) < half)
    return covered


def draw_cosmics(galaxy: Galaxy, frame: Frame, index: int = 0) -> CosmicRays:
    """Draw tracks of one to five pixels inside the narrow band's footprint, for one band."""
    rng = make_rng(galaxy, "cosmics", index)
    side = galaxy.footprint * galaxy.size
    often = galaxy.effects.broad_cosmics if index else galaxy.cosmics_per_megapixel
    count = round(often * side**2 / 1e6)
    angle = np.deg2rad(galaxy.footprint_angle)
    across, along = rng.uniform(-0.48, 0.48, (2, count)) * side * galaxy.pixel_scale
    east = across * np.cos(angle) + along * np.sin(angle)
    north = along * np.cos(angle) - across * np.sin(angle)
    x, y = (np.rint(value).astype(np.int64) for value in frame.find_pixels(east, north))
    pixels = np.minimum(rng.geometric(0.5, count), 5)
    faintest = np.log(galaxy.effects.faintest_cosmic)
    peak = np.exp(rng.uniform(faintest, np.log(BRIGHTEST_COSMIC), count))
    heading = rng.uniform(0, 2 * np.pi, count)
    owner = np.repeat(np.arange(count), pixels)
    step = np.arange(owner.size) - np.repeat(np.cumsum(pixels) - pixels, pixels)
    hits = np.stack(
        [
            y[owner] + np.rint(step * np.sin(heading[owner])),
            x[owner] + np.rint(step * np.cos(heading[owner])),
            peak[owner] * rng.uniform(0.5, 1.0, owner.size),
        ],
        axis=1,
    ).astype(float)
    inside = ((hits[:, :2] >= 0) & (hits[:, :2] < galaxy.size)).all(axis=1)
    hits, owner = hits[inside], owner[inside]
    pixels = np.bincount(owner, minlength=count)
    counts = np.bincount(owner, hits[:, 2], minlength=count).astype(float)
    kept = pixels > 0
    return CosmicRays(x[kept], y[kept], pixels[kept], counts[kept], hits)


def name_mosaic(galaxy: Galaxy, band: Band, kind: str) -> str:
    """Return a mosaic's file name; `kind` is `exp_drc_sci` or `err_drc_wht`."""
    return f"{galaxy.name}_{band.camera}_{band.filter.lower()}_{kind}.fits"


def write_mosaics(scene: Scene, cosmics: Rays, hst: Path, truth: Path, chunk: int) -> None:
    """Write every band's image and weights into `hst`, true Hα and continuum into `truth`.

    Parameters
    ----------
    scene, cosmics
        What there is to see.
    hst, truth
        Existing directories.
    chunk
        Rows and columns to hold in memory at a time, rounded up to whole cells.
    """
    frame = build_frame(scene.galaxy)
    headers = _make_headers(scene.galaxy, frame, hst, truth)
    step = -(-chunk // CELL) * CELL
    targets: list[FitsTarget] = []
    try:
        targets += (FitsTarget.create(*named, frame.shape) for named in headers.items())
        with ThreadPoolExecutor(WORKERS) as pool:
            for window in frame.split(step):
                blocks = _render_block(pool, scene, cosmics, frame, window, len(targets))
                for target, block in zip(targets, blocks, strict=True):
                    target[window] = block
        for target in targets:
            target.finish()
    except BaseException:
        for target in targets:
            target.partial.unlink(missing_ok=True)
        raise


def _make_headers(galaxy: Galaxy, frame: Frame, hst: Path, truth: Path) -> dict[Path, fits.Header]:
    """Files in the order `_render_cell` makes images: band after band, then the truth."""
    cards = {}
    for band in galaxy.bands:
        science = hst / name_mosaic(galaxy, band, "exp_drc_sci")
        cards[science] = science_header(galaxy, frame, band)
        weight = hst / name_mosaic(galaxy, band, "err_drc_wht")
        cards[weight] = weight_header(galaxy, frame, band)
    for name, unit in (("halpha", FLUX), ("continuum", COUNTS)):
        header = frame.header()
        header["BUNIT"] = (unit, "per pixel")
        header["OBJECT"] = galaxy.name
        cards[truth / f"{name}.fits"] = header
    return {path: _lead(frame, header) for path, header in cards.items()}


def _lead(frame: Frame, cards: fits.Header) -> fits.Header:
    """Put the cards every FITS image starts with before the others."""
    header = fits.Header()
    header["SIMPLE"] = True
    header["BITPIX"] = -32
    header["NAXIS"] = 2
    header["NAXIS1"], header["NAXIS2"] = frame.shape[1], frame.shape[0]
    header.extend(cards)
    return header


def _render_block(
    pool: Executor,
    scene: Scene,
    cosmics: Rays,
    frame: Frame,
    window: Window,
    images: int,
) -> NDArray[np.float32]:
    block = np.empty((images, *(part.stop - part.start for part in window)), np.float32)
    cells = list(frame.split(CELL, window))
    galaxy = scene.galaxy
    scene = scene.select(frame, window, max(galaxy.hst_fwhm, galaxy.effects.wing_fwhm))
    rendered = pool.map(partial(_render_cell, scene, cosmics, frame), cells)
    for (rows, cols), image in zip(cells, rendered, strict=True):
        y, x = rows.start - window[0].start, cols.start - window[1].start
        block[:, y : y + image.shape[1], x : x + image.shape[2]] = image
    return block


def _render_cell(scene: Scene, cosmics: Rays, frame: Frame, cell: Window) -> NDArray[np.float32]:
    galaxy = scene.galaxy
    east, north = frame.locate(cell)
    velocity = scene.evaluate_velocity(east, north)
    lines, continua = _blur_light(scene, frame, cell, scene.evaluate_smooth(east, north))
    images: list[Array] = []
    for index, (band, continuum) in enumerate(zip(galaxy.bands, continua, strict=True)):
        per_count = band.photflam * FLUX_SCALE
        counts = (continuum + add_lines(galaxy, index, lines, velocity)) / per_count
        covered = find_covered(galaxy, east, north, BROAD_MARGIN if index else 1.0)
        weight = 1 / (band.noise**2 + counts / band.exptime)
        counts = counts + band.sky + draw_drizzled(galaxy, index, frame, cell) / np.sqrt(weight)
        counts = counts + drizzle(cosmics[index].render(_widen(cell)), galaxy.effects.drizzle)
        images += [np.where(covered, counts, 0), np.where(covered, weight, 0)]
    images += [lines[0], continua[0] / (galaxy.narrow.photflam * FLUX_SCALE)]
    return np.stack(images, dtype=np.float32, casting="same_kind")


def _blur_light(scene: Scene, frame: Frame, cell: Window, smooth: Light) -> Light:
    """Return lines and continua at HST's resolution: a core and, if there are, wings."""
    galaxy = scene.galaxy
    wings = galaxy.effects.wings
    lines, continua = scene.render(frame, cell, galaxy.hst_fwhm, smooth)
    if not any(wings):
        return lines, continua
    wide_lines, wide = scene.render(frame, cell, galaxy.effects.wing_fwhm, smooth)

    def mix(core: Array, wing: Array, share: float) -> Array:
        return (1 - share) * core + share * wing

    return (
        [mix(*pair, wings[0]) for pair in zip(lines, wide_lines, strict=True)],
        [mix(*images) for images in zip(continua, wide, wings[: len(wide)], strict=True)],
    )


def _widen(cell: Window) -> Window:
    """Return a window with one pixel more on every side, also beyond the frame."""
    rows, cols = cell
    return slice(rows.start - 1, rows.stop + 1), slice(cols.start - 1, cols.stop + 1)


def drizzle(image: Array, share: float) -> Array:
    """Return an image less one pixel on every side, each having given a share to its neighbours."""
    along = share * (image[:-2] + image[2:]) + (1 - 2 * share) * image[1:-1]
    mixed: Array = share * (along[:, :-2] + along[:, 2:]) + (1 - 2 * share) * along[:, 1:-1]
    return mixed


def draw_drizzled(galaxy: Galaxy, image: int, frame: Frame, cell: Window) -> Array:
    """Return noise of a cell that drizzling has mixed with its neighbours', 0 beyond the frame.

    Its sums over many pixels scatter as those of white noise of variance 1, single pixels less.
    """
    share = galaxy.effects.drizzle
    if not share:
        return draw_noise(galaxy, image, cell).astype(float)
    wide = _widen(cell)
    noise = np.zeros(tuple(part.stop - part.start for part in wide))
    whole = [slice(max(w.start, 0), min(w.stop, n)) for w, n in zip(wide, frame.shape, strict=True)]
    starts = [range(part.start // CELL * CELL, part.stop, CELL) for part in whole]
    for y, x in product(*starts):
        near = tuple(slice(k, min(k + CELL, n)) for k, n in zip((y, x), frame.shape, strict=True))
        drawn = draw_noise(galaxy, image, (near[0], near[1]))
        both = [
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(near, whole, strict=True)
        ]
        noise[_move(both, wide)] = drawn[_move(both, near)]
    return drizzle(noise, share)


def _move(window: Sequence[slice], origin: Sequence[slice]) -> Window:
    rows, cols = (
        slice(part.start - first.start, part.stop - first.start)
        for part, first in zip(window, origin, strict=True)
    )
    return rows, cols


def draw_noise(galaxy: Galaxy, image: int, cell: Window) -> NDArray[np.float32]:
    """Return standard normal noise, times the galaxy's factor, of one image's cell.

    Counter-based and seeded by the cell's absolute place, so that it is the same whatever order or
    size of blocks the image is made in.
    """
    rows, cols = cell
    seed = np.random.SeedSequence([galaxy.seed, 1000 + image, rows.start, cols.start])
    rng = np.random.Generator(np.random.Philox(seed))
    shape = (rows.stop - rows.start, cols.stop - cols.start)
    return np.float32(galaxy.noise) * rng.standard_normal(shape, np.float32)


def science_header(galaxy: Galaxy, frame: Frame, band: Band) -> fits.Header:
    """Return the header of a mosaic as drizzling writes it."""
    header = weight_header(galaxy, frame, band)
    mode = "ACS WFC1 {} MJD#52830.0" if band.camera == "acs" else "WFC3 UVIS2 {} MJD#56510.0"
    header["BUNIT"] = "ELECTRONS/S"
    header["PHOTMODE"] = (mode.format(band.filter), "observation con")
    header["PHOTFLAM"] = (band.photflam, "inverse sensitivity, ergs/cm2/Ang/electron")
    if band.camera == "uvis":
        jansky = band.photflam * band.photplam**2 / 2.99792458e-5
        header["PHOTFNU"] = (float(f"{jansky:.8g}"), "inverse sensitivity, Jy*sec/electron")
    header["PHOTZPT"] = (-21.1, "ST magnitude zero point")
    header["PHOTPLAM"] = (band.photplam, "Pivot wavelength (Angstroms)")
    header["PHOTBW"] = (band.photbw, "RMS bandwidth of filter plus detector")
    return header


def weight_header(galaxy: Galaxy, frame: Frame, band: Band) -> fits.Header:
    """Return the header of a weight image: like the mosaic's, without photometry."""
    acs = band.camera == "acs"
    header = frame.header(band.radesys)
    header["ORIENTAT"] = (galaxy.rotation, "position angle of image y axis (deg. e of n)")
    if band.radesys == "FK5":
        header["WCSNAME"] = "GAIA2"
        header["EQUINOXO"] = (2000.0, "original equinox")
    else:
        header["WCSNAME"] = "PHANGSHST"
        header["EQUINOX"] = 2000.0
    header["TELESCOP"] = "HST"
    header["INSTRUME"] = "ACS" if acs else "WFC3"
    header["DETECTOR"] = "WFC" if acs else "UVIS"
    header["TARGNAME"] = galaxy.muse_name
    header.update(_filter_cards(band))
    header["EXPTIME"] = (band.exptime, "exposure duration (seconds)")
    header.update(DRIZZLED)
    header["ORIGIN"] = ("phangs_xr", "simulated, not an observation")
    return header


def _filter_cards(band: Band) -> dict[str, str]:
    if band.camera == "uvis":
        return {"FILTER": band.filter}
    if band.filter == "F814W":
        return {"FILTER1": "CLEAR1L", "FILTER2": band.filter}
    return {"FILTER1": band.filter, "FILTER2": "CLEAR2L"}
