"""The recipe `barnes2023` on whole arrays, written with astropy, photutils and reproject alone.

It imports nothing of phangs_xr: it is the independent truth of the chunked steps, and the yardstick
of the benchmarks. Images are 2-D float arrays, NaN where there is no data.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

import numpy as np
from astropy.convolution import Gaussian2DKernel, convolve_fft, interpolate_replace_nans
from astropy.io import fits
from astropy.stats import SigmaClip, gaussian_fwhm_to_sigma, mad_std, sigma_clipped_stats
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_area
from numpy.typing import NDArray
from photutils.background import Background2D, SExtractorBackground
from photutils.detection import DAOStarFinder
from photutils.profiles import RadialProfile
from photutils.segmentation import detect_sources, detect_threshold
from photutils.utils import NoDetectionsWarning, circular_footprint
from reproject import reproject_exact, reproject_interp
from scipy import ndimage

Image = NDArray[np.float64]
Mask = NDArray[np.bool_]
P = ParamSpec("P")
T = TypeVar("T")

ARCSEC_PER_DEG = 3600.0
FLUX_SCALE = 1e20
SAME_GRID_PX = 0.01


def load(path: str | Path, hdu: int | str = 0) -> tuple[Image, fits.Header]:
    """Read one image, in double precision as all that follows."""
    with fits.open(path, memmap=False) as hdus:
        return np.asarray(hdus[hdu].data, dtype=np.float64), hdus[hdu].header


def read_wcs(header: fits.Header) -> WCS:
    """Return the celestial axes; real headers may announce a third."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(header).celestial


def remove_padding(image: Image) -> Image:
    """Replace the exact zeros that drizzling leaves outside its footprint by NaN."""
    return np.where(image == 0, np.nan, image)


def is_same_grid(header: fits.Header, other: fits.Header) -> bool:
    """Compare the corners' positions by their raw numbers: ICRS and FK5 count as equal."""
    shapes = [(h["NAXIS2"], h["NAXIS1"]) for h in (header, other)]
    if shapes[0] != shapes[1]:
        return False
    rows, columns = shapes[0]
    corners = np.array([(x, y) for x in (0, columns - 1) for y in (0, rows - 1)], float)
    moved = read_wcs(other).wcs_world2pix(read_wcs(header).wcs_pix2world(corners, 0), 0)
    return bool(np.abs(moved - corners).max() < SAME_GRID_PX)


def bring_onto_grid(image: Image, header: fits.Header, target: fits.Header) -> Image:
    """Resample counts per pixel, conserving flux; unchanged if the grids are the same."""
    if is_same_grid(header, target):
        return image
    shape = (target["NAXIS2"], target["NAXIS1"])
    moved, _ = reproject_exact((image, read_wcs(header)), read_wcs(target), shape_out=shape)
    ratio = proj_plane_pixel_area(read_wcs(target)) / proj_plane_pixel_area(read_wcs(header))
    return moved * ratio


def subtract_continuum(
    narrow: tuple[Image, Mapping[str, Any]],
    continuum1: tuple[Image, Mapping[str, Any]],
    continuum2: tuple[Image, Mapping[str, Any]] | None = None,
) -> tuple[Image, Image]:
    """Interpolate the continuum at the narrow band's pivot wavelength.

    Each argument is an image (electron / s) and a header with PHOTFLAM and PHOTPLAM.
    Returns the line image and the continuum (electron / s).
    """
    line, line_header = narrow
    image1, header1 = continuum1
    alone = image1 / _count_ratio(line_header, header1)
    if continuum2 is None:
        return line - alone, alone
    image2, header2 = continuum2
    pivots = [float(header["PHOTPLAM"]) for header in (line_header, header1, header2)]
    span = abs(pivots[1] - pivots[2])
    part1 = alone * (abs(pivots[2] - pivots[0]) / span)
    weight2 = abs(pivots[1] - pivots[0]) / span
    part2 = image2 * (weight2 / _count_ratio(line_header, header2))
    continuum = np.where(part1 * part2 > 0, part1 + part2, alone)
    return line - continuum, continuum


def _zero_point(header: Mapping[str, Any]) -> float:
    """AB zero point of counts (mag)."""
    photflam, pivot = float(header["PHOTFLAM"]), float(header["PHOTPLAM"])
    return float(-2.5 * np.log10(photflam) - 5 * np.log10(pivot) - 2.408)


def _count_ratio(narrow: Mapping[str, Any], broad: Mapping[str, Any]) -> float:
    """Counts of a flat f_nu source in the broad band over those in the narrow band."""
    return float(10 ** (-0.4 * (_zero_point(narrow) - _zero_point(broad))))


def convert_units(halpha_raw: Image, header: Mapping[str, Any]) -> Image:
    """Turn counts (electron / s) into flux (1e-20 erg/s/cm2)."""
    return halpha_raw * (float(header["PHOTFLAM"]) * float(header["PHOTBW"]) * FLUX_SCALE)


def subtract_background(
    halpha: Image, *, box_size: int = 100, filter_size: int = 51
) -> tuple[Image, Image]:
    """Return the background around masked sources, and the image without it."""
    missing = ~np.isfinite(halpha)
    clip = SigmaClip(sigma=3, maxiters=10)
    threshold = detect_threshold(halpha, n_sigma=2, mask=missing, sigma_clip=clip)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        sources = detect_sources(halpha, threshold, n_pixels=10, connectivity=8, mask=missing)
    mask = np.zeros(halpha.shape, bool)
    if sources is not None:
        mask = sources.make_source_mask(footprint=circular_footprint(radius=10))
    background = Background2D(
        halpha,
        box_size,
        mask=mask,
        coverage_mask=missing,
        fill_value=np.nan,
        exclude_percentile=95,
        filter_size=filter_size,
        sigma_clip=clip,
        bkg_estimator=SExtractorBackground(),
    ).background
    return background, halpha - background


def extract_muse(maps: str | Path) -> tuple[Image, fits.Header]:
    """Read the H-alpha flux of a MAPS file (1e-20 erg/s/cm2 per MUSE pixel)."""
    return load(maps, "HA6562_FLUX")


def regrid_muse(
    musehalpha: Image,
    muse_header: fits.Header,
    header: fits.Header,
    *,
    order: str = "nearest-neighbor",
) -> Image:
    """Sample MUSE at the HST pixels, as flux per HST pixel."""
    muse, hst = read_wcs(muse_header), read_wcs(header)
    shape = (header["NAXIS2"], header["NAXIS1"])
    sampled, _ = reproject_interp((musehalpha, muse), hst, shape_out=shape, order=order)
    ratio = proj_plane_pixel_area(hst) / proj_plane_pixel_area(muse)
    return sampled * ratio


def smooth_hst(
    halpha: Image, header: fits.Header, *, hst_fwhm: float = 0.1, muse_fwhm: float
) -> Image:
    """Bring HST to MUSE's resolution; `hst_fwhm` and `muse_fwhm` in arcsec."""
    pixel = ARCSEC_PER_DEG * np.sqrt(proj_plane_pixel_area(read_wcs(header)))
    sigma = np.sqrt(muse_fwhm**2 - hst_fwhm**2) * gaussian_fwhm_to_sigma / pixel
    size = 2 * int(np.ceil(6 * sigma)) + 1
    return convolve_fft(
        halpha,
        Gaussian2DKernel(sigma, x_size=size, y_size=size),
        boundary="fill",
        fill_value=np.nan,
        nan_treatment="interpolate",
        preserve_nan=True,
        allow_huge=True,
    )


def measure_offset(halpha: Image) -> float:
    """Return what keeps the ratio's denominator positive: |0.1 percentile| of the H-alpha flux."""
    return float(np.abs(np.nanpercentile(halpha, 0.1)))


def compare_images(
    halpha: Image, halpha_smoothed: Image, musehalpha_regrid: Image
) -> tuple[Image, Image]:
    """Return MUSE over HST and MUSE minus HST, at MUSE's resolution."""
    ratio = musehalpha_regrid / (halpha_smoothed + measure_offset(halpha))
    return ratio, musehalpha_regrid - halpha_smoothed


def anchor_halpha(halpha: Image, ratio: Image, difference: Image) -> tuple[Image, Image]:
    """Return the H-alpha flux anchored to MUSE by the ratio, and by the difference."""
    return (halpha + measure_offset(halpha)) * ratio, halpha + difference


def fill_negatives(image: Image, threshold: float = 0.0) -> Image:
    """Interpolate pixels at or below the threshold, and those up to two steps from them."""
    bad = ndimage.binary_dilation(image <= threshold, iterations=2)
    # Both passes run beyond the coverage, as the earlier code's did, and only then it is restored.
    filled = _interpolate(_interpolate(np.where(bad, np.nan, image), 1.0), 1.0)
    return np.where(np.isnan(image), np.nan, filled)


def _interpolate(image: Image, sigma: float) -> Image:
    """Give NaN the Gaussian mean (sigma in px, footprint of 8 sigma) of what is known around it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "nan_treatment='interpolate'")
        kernel = Gaussian2DKernel(sigma)
        return interpolate_replace_nans(image, kernel, boundary="fill", fill_value=np.nan)


def fit_anchor(
    halpha: Image, halpha_smoothed: Image, musehalpha_regrid: Image
) -> tuple[Image, Image, tuple[float, float]]:
    """Anchor by the line `smoothed = slope * muse + intercept`.

    Returns the anchored image, the same with negatives interpolated, and (slope, intercept).
    """
    both = np.isfinite(halpha_smoothed) & np.isfinite(musehalpha_regrid)
    x, y = (image[both].astype(float) for image in (musehalpha_regrid, halpha_smoothed))
    slope, intercept = (float(value) for value in np.polyfit(x, y, 1))
    anchored = (halpha - intercept) / slope
    negatives = anchored[anchored <= 0]
    threshold = -5 * mad_std(negatives) if negatives.size else -np.inf
    return anchored, fill_negatives(anchored, threshold), (slope, intercept)


def measure_noise(image: Image) -> float:
    """Return the robust standard deviation of the faint pixels."""
    rms = mad_std(image, ignore_nan=True)
    return float(mad_std(image[image < 5 * rms]))


def add_noise(image: Image, seed: int = 0) -> Image:
    """Add white noise as strong as the image's own."""
    noise = np.random.default_rng(seed).normal(0, measure_noise(image), image.shape)
    return image + noise


def find_cosmic_rays(diff_anchored: Image) -> NDArray[np.float64]:
    """Return the positions (n, 2: x, y in 0-based pixels) of the point sources in a moat."""
    missing = np.isnan(diff_anchored)
    _, median, deviation = sigma_clipped_stats(diff_anchored[~missing], sigma=3, maxiters=5)
    image = diff_anchored - median
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        sources = DAOStarFinder(threshold=5 * deviation, fwhm=3.0)(image)
    if sources is None:
        return np.empty((0, 2))
    xy = np.column_stack([sources["x_centroid"], sources["y_centroid"]])
    return xy[[_has_negative_ring(image, missing, position) for position in xy]]


def _has_negative_ring(image: Image, missing: Mask, xy: NDArray[np.float64]) -> bool:
    """Whether the mean of any ring, 1 px wide and up to 14 px from the source, is negative."""
    return bool((RadialProfile(image, xy, np.arange(15), mask=missing).profile < 0).any())


def remove_cosmic_rays(
    anchored_intnegs: Image, diff_anchored: Image
) -> tuple[Image, Mask, NDArray[np.float64]]:
    """Cut discs of 3 px around the cosmic rays and interpolate them within MUSE's coverage.

    Returns the image, the discs and the cosmic rays' positions.
    """
    xy = find_cosmic_rays(diff_anchored)
    rows, columns = np.indices(anchored_intnegs.shape, sparse=True)
    mask = np.zeros(anchored_intnegs.shape, bool)
    for x, y in xy:
        mask |= (columns - x) ** 2 + (rows - y) ** 2 <= 3**2
    filled = _interpolate(np.where(mask, np.nan, anchored_intnegs), 0.75)
    return np.where(np.isnan(diff_anchored), np.nan, filled), mask, xy


def regrid_mask(nebula_mask: Image, muse_header: fits.Header, header: fits.Header) -> Image:
    """Sample region_ID (-1 outside nebulae) at the HST pixels; NaN outside MUSE."""
    shape = (header["NAXIS2"], header["NAXIS1"])
    source = (nebula_mask, read_wcs(muse_header))
    return reproject_interp(source, read_wcs(header), shape_out=shape, order=0)[0]


def sum_nebulae(
    nebula_mask: Image,
    musehalpha: Image,
    muse_header: fits.Header,
    halpha: Image,
    anchored: Image,
    header: fits.Header,
) -> NDArray[np.float64]:
    """Sum the flux of each nebula; rows (region_ID, HST, HST anchored, MUSE), 0 if uncovered."""
    mask_hst = regrid_mask(nebula_mask, muse_header, header)
    identifiers = np.unique(nebula_mask[np.isfinite(nebula_mask)])
    rows = []
    for identifier in identifiers[identifiers >= 0]:
        on_hst, on_muse = mask_hst == identifier, nebula_mask == identifier
        sums = [np.nansum(image[on_hst]) for image in (halpha, anchored)]
        rows.append([identifier, *sums, np.nansum(musehalpha[on_muse])])
    return np.array(rows, float).reshape(-1, 4)


def _timed(
    timings: dict[str, float] | None,
    function: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Call, and add the seconds it took under the function's name."""
    start = perf_counter()
    result = function(*args, **kwargs)
    if timings is not None:
        name = function.__name__
        timings[name] = timings.get(name, 0.0) + perf_counter() - start
    return result


def run_plain(
    narrow: str | Path,
    continuum1: str | Path,
    continuum2: str | Path | None,
    muse: str | Path,
    *,
    hst_fwhm: float = 0.1,
    muse_fwhm: float,
    timings: dict[str, float] | None = None,
) -> dict[str, NDArray[Any]]:
    """Run the recipe on FITS files.

    Returns every image product by its name, and `offset` (s), `fit` (slope, intercept) and
    `cosmics_xy` (n, 2). `timings` is given the seconds of each step.
    """
    do = timings
    bands: list[tuple[Image, fits.Header]] = []
    for path in (narrow, continuum1, continuum2):
        if path is None:
            continue
        image, header = _timed(do, load, path)
        image = remove_padding(image)
        bands.append((bring_onto_grid(image, header, bands[0][1]) if bands else image, header))
    header = bands[0][1]
    out: dict[str, NDArray[Any]] = {}
    out["halpha_raw"], out["cont_raw"] = _timed(do, subtract_continuum, *bands)
    halpha = out["halpha"] = _timed(do, convert_units, out["halpha_raw"], header)
    out["halpha_bg"], out["halpha_bgsub"] = _timed(do, subtract_background, halpha)
    out["musehalpha"], muse_header = _timed(do, extract_muse, muse)
    regrid = _timed(do, regrid_muse, out["musehalpha"], muse_header, header)
    smoothed = _timed(do, smooth_hst, halpha, header, hst_fwhm=hst_fwhm, muse_fwhm=muse_fwhm)
    out["musehalpha_regrid"], out["halpha_smoothed"] = regrid, smoothed
    ratio, difference = _timed(do, compare_images, halpha, smoothed, regrid)
    out["hstmuseratio"], out["hstmusediff"] = ratio, difference
    out["offset"] = np.array(measure_offset(halpha))
    out["anchored"], out["diff_anchored"] = _timed(do, anchor_halpha, halpha, ratio, difference)
    out["anchored_intnegs"] = _timed(do, fill_negatives, out["anchored"])
    fit = _timed(do, fit_anchor, halpha, smoothed, regrid)
    out["fit_anchored"], out["fit_anchored_intnegs"], out["fit"] = *fit[:2], np.array(fit[2])
    for name in ("anchored", "anchored_intnegs"):
        out[f"{name}_wnoise"] = _timed(do, add_noise, out[name])
    cut = _timed(do, remove_cosmic_rays, out["anchored_intnegs"], out["diff_anchored"])
    out["anchored_intnegs_nocosmic"], out["cosmic_mask"], out["cosmics_xy"] = cut
    return out


def measure_misfit(result: Image, reference: Image, scale: Image | None = None) -> Image:
    """Return |result - reference| in units of the parity tolerance, NaN where either is.

    The tolerance is 1e-4 of the range (1st to 99th percentile) of `scale`, the reference itself by
    default, plus 1e-5 of the reference.
    """
    low, high = np.nanpercentile(reference if scale is None else scale, (1, 99))
    return np.abs(result - reference) / (1e-4 * (high - low) + 1e-5 * np.abs(reference))
