"""The simulated galaxy holds what it claims: measured with astropy and SciPy, not its own code."""

import csv
import filecmp
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy import ndimage

from phangs_xr.errors import InputError
from phangs_xr.simulate import F547M, F555W, F658N, F814W, Galaxy, hst, simulate_galaxy

SMALL = Galaxy(size=600, seed=3)
QUIET = replace(SMALL, noise=0.0, cosmics_per_megapixel=0.0)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_galaxy(tmp_path_factory.mktemp("noisy"), SMALL).parent


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_galaxy(tmp_path_factory.mktemp("quiet"), QUIET).parent


def read(directory: Path, pattern: str, hdu: int | str = 0) -> NDArray[np.float64]:
    (path,) = directory.glob(pattern)
    return np.asarray(fits.getdata(path, hdu), float)


def header(directory: Path, pattern: str, hdu: int | str = 0) -> fits.Header:
    (path,) = directory.glob(pattern)
    return fits.getheader(path, hdu)


def relative_files(directory: Path) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


@pytest.mark.parametrize("chunk", [100, 400])
def test_chunk_does_not_change_a_bit(noisy: Path, tmp_path: Path, chunk: int) -> None:
    simulate_galaxy(tmp_path, SMALL, chunk=chunk)
    names = relative_files(noisy)
    assert relative_files(tmp_path) == names
    assert filecmp.cmpfiles(noisy, tmp_path, names, shallow=False) == (names, [], [])


def test_seed_changes_every_image(noisy: Path, tmp_path: Path) -> None:
    simulate_galaxy(tmp_path, replace(SMALL, seed=4))
    for pattern in ("hst/*sci.fits", "truth/*.fits", "muse/*MAPS.fits", "muse/*mask_V2.fits"):
        for path in noisy.glob(pattern):
            assert not filecmp.cmp(path, tmp_path / path.relative_to(noisy), shallow=False)


def test_files_are_valid_fits(noisy: Path) -> None:
    paths = [path for path in noisy.rglob("*") if path.suffix == ".fits"]
    assert len(paths) == 6 + 2 + 7
    for path in paths:
        with fits.open(path) as hdus:
            hdus.verify("exception")
            assert all(hdu.data is not None for hdu in hdus[1:])


def test_hst_headers_are_like_real_ones(noisy: Path) -> None:
    narrow = header(noisy, "hst/ngc0628_acs_f658n_exp_drc_sci.fits")
    blue = header(noisy, "hst/ngc0628_uvis_f555w_exp_drc_sci.fits")
    red = header(noisy, "hst/ngc0628_acs_f814w_exp_drc_sci.fits")
    for one in (narrow, blue, red):
        assert one["BITPIX"] == -32
        assert one["BUNIT"] == "ELECTRONS/S"
        assert one["TARGNAME"] == "NGC0628"
        assert one["PHOTZPT"] == -21.1
        assert {"PHOTFLAM", "PHOTPLAM", "PHOTBW", "PHOTMODE"} <= set(one)
        assert WCS(one).proj_plane_pixel_scales()[0].to_value("arcsec") == pytest.approx(0.03962)
    assert (narrow["INSTRUME"], narrow["DETECTOR"]) == ("ACS", "WFC")
    assert (blue["INSTRUME"], blue["DETECTOR"], blue["FILTER"]) == ("WFC3", "UVIS", "F555W")
    assert (narrow["FILTER1"], narrow["FILTER2"]) == ("F658N", "CLEAR2L")
    assert (red["FILTER1"], red["FILTER2"]) == ("CLEAR1L", "F814W")
    assert [one["RADESYS"] for one in (narrow, blue, red)] == ["ICRS", "ICRS", "FK5"]
    assert "FILTER" not in narrow
    assert all(narrow[key] == red[key] for key in ("CRVAL1", "CRVAL2", "CRPIX1", "CD1_1", "CD2_1"))


def test_weights_have_no_photometry(noisy: Path) -> None:
    weights = list(noisy.glob("hst/*_err_drc_wht.fits"))
    assert len(weights) == 3
    for path in weights:
        assert not any(key.startswith("PHOT") for key in fits.getheader(path))


@pytest.mark.parametrize("band", ["acs_f658n", "uvis_f555w", "acs_f814w"])
def test_padding_is_exactly_zero(noisy: Path, band: str) -> None:
    image = read(noisy, f"hst/ngc0628_{band}_exp_drc_sci.fits")
    weight = read(noisy, f"hst/ngc0628_{band}_err_drc_wht.fits")
    assert np.isfinite(image).all()
    assert (image[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    np.testing.assert_array_equal(image == 0, weight == 0)
    _, islands = ndimage.label(image != 0)
    assert islands == 1
    side = 0.84 * (1 if "f658n" in band else 1.01)
    assert np.mean(image != 0) == pytest.approx(side**2, abs=0.005)


def test_narrow_band_lies_within_the_broad_ones(noisy: Path) -> None:
    narrow, blue, red = (read(noisy, f"hst/*{name}*sci.fits") for name in ("658", "555", "814"))
    assert ((blue != 0) & (red != 0))[narrow != 0].all()


@pytest.mark.parametrize("band", ["f658n", "f555w", "f814w"])
def test_weights_are_the_inverse_variance_of_the_noise(noisy: Path, quiet: Path, band: str) -> None:
    weight = read(noisy, f"hst/*{band}*wht.fits")
    noise = read(noisy, f"hst/*{band}*sci.fits") - read(quiet, f"hst/*{band}*sci.fits")
    seen = weight > 0
    for row in read_cosmics(noisy) if band == "f658n" else []:
        seen[row[1] - 6 : row[1] + 7, row[0] - 6 : row[0] + 7] = False
    pull = noise[seen] * np.sqrt(weight[seen])
    assert pull.mean() == pytest.approx(0, abs=5 / np.sqrt(pull.size))
    assert pull.std() == pytest.approx(1, abs=5 / np.sqrt(2 * pull.size))
    shifted = np.corrcoef(pull[:-1], pull[1:])[0, 1]
    assert shifted == pytest.approx(0, abs=5 / np.sqrt(pull.size))


def read_cosmics(directory: Path) -> list[tuple[int, int, int, float]]:
    with (directory / "truth/cosmics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [(int(r["x"]), int(r["y"]), int(r["pixels"]), float(r["counts"])) for r in rows]


def test_cosmic_rays_are_where_the_list_says(noisy: Path, tmp_path: Path) -> None:
    simulate_galaxy(tmp_path, replace(SMALL, cosmics_per_megapixel=0.0))
    added = read(noisy, "hst/*f658n*sci.fits") - read(tmp_path, "hst/*f658n*sci.fits")
    cosmics = read_cosmics(noisy)
    assert len(cosmics) == round(10 * 0.84**2 * 0.6**2)
    assert read_cosmics(tmp_path) == []
    for x, y, _, _ in cosmics:
        assert added[y, x] > 0.1
    assert np.count_nonzero(added) <= sum(pixels for _, _, pixels, _ in cosmics)
    assert added.sum() == pytest.approx(sum(counts for *_, counts in cosmics), rel=1e-3)


def truth_on_muse(directory: Path, galaxy: Galaxy) -> NDArray[np.float64]:
    """True Hα at MUSE's resolution, sampled at its spaxels through astropy's WCS."""
    truth = read(directory, "truth/halpha.fits")
    wcs_hst = WCS(header(directory, "truth/halpha.fits"))
    wcs_muse = WCS(header(directory, "muse/*MAPS.fits", "HA6562_FLUX"))
    blur = np.sqrt(0.92**2 - 0.1**2) / np.sqrt(8 * np.log(2)) / galaxy.pixel_scale
    smooth = ndimage.gaussian_filter(truth, blur, truncate=6, mode="constant")
    y, x = np.indices(read(directory, "muse/*MAPS.fits", "HA6562_FLUX").shape)
    where = wcs_hst.all_world2pix(*wcs_muse.all_pix2world(x, y, 0), 0)
    sampled = ndimage.map_coordinates(smooth, where[::-1], order=3, cval=np.nan)
    ratio = wcs_muse.proj_plane_pixel_area() / wcs_hst.proj_plane_pixel_area()
    return sampled * ratio.to_value("")


@pytest.mark.parametrize("rotation", [0.0, 33.0])
def test_muse_sees_the_same_sky_as_hst(tmp_path: Path, rotation: float) -> None:
    galaxy = replace(QUIET, rotation=rotation, size=500)
    simulate_galaxy(tmp_path, galaxy)
    expected = truth_on_muse(tmp_path, galaxy)
    muse = read(tmp_path, "muse/*MAPS.fits", "HA6562_FLUX")
    # Light from beyond the truth's own border reaches a few spaxels into it.
    inner = ndimage.binary_erosion(np.isfinite(muse + expected), iterations=6)
    assert inner.mean() > 0.25
    assert muse[inner].sum() == pytest.approx(expected[inner].sum(), rel=0.002)
    assert np.abs(muse - expected)[inner].max() < 0.005 * expected[inner].max()


def test_flux_is_conserved_between_the_grids(quiet: Path) -> None:
    """Flux under one smooth window on the sky, far wider than MUSE's resolution, from each grid."""
    images = [("truth/halpha.fits", 0), ("muse/*MAPS.fits", "HA6562_FLUX")]
    fluxes = []
    for pattern, hdu in images:
        image = read(quiet, pattern, hdu)
        y, x = np.indices(image.shape)
        ra, dec = WCS(header(quiet, pattern, hdu)).all_pix2world(x, y, 0)
        east = (ra - 24.17394) * 3600 * np.cos(np.deg2rad(15.78346))
        distance = np.hypot(east + 1.4, (dec - 15.78346) * 3600 - 2.4)
        window = np.where(distance < 6.5, np.cos(np.pi * distance / 13) ** 2, 0)
        assert np.isfinite(image[window > 0]).all()
        fluxes.append((image[window > 0] * window[window > 0]).sum())
    assert fluxes[0] > 1e5
    assert fluxes[1] == pytest.approx(fluxes[0], rel=0.01)


def test_narrow_band_is_continuum_line_and_sky(quiet: Path) -> None:
    narrow = read(quiet, "hst/*f658n*sci.fits")
    halpha, continuum = (read(quiet, f"truth/{name}.fits") for name in ("halpha", "continuum"))
    seen = narrow != 0
    line = (narrow - continuum + 0.0041)[seen]
    per_flux = 1.35 / 1.152 / (1.9512995e-18 * 1e20 * 74.91)
    np.testing.assert_allclose(line, halpha[seen] * per_flux, rtol=1e-4, atol=2e-6)


def subtract(directory: Path) -> NDArray[np.float64]:
    """Hα in 1e-20 erg/s/cm² by the recipe: AB zero points, linear in wavelength, PHOTBW."""
    images, headers = [], []
    for band in ("f658n", "f555w", "f814w"):
        images.append(read(directory, f"hst/*{band}*sci.fits"))
        headers.append(header(directory, f"hst/*{band}*sci.fits"))
    zero = [
        -2.5 * np.log10(one["PHOTFLAM"]) - 5 * np.log10(one["PHOTPLAM"]) - 2.408 for one in headers
    ]
    pivot = [one["PHOTPLAM"] for one in headers]
    far = abs(pivot[1] - pivot[2])
    blue = images[1] * abs(pivot[2] - pivot[0]) / far / 10 ** (-0.4 * (zero[0] - zero[1]))
    red = images[2] * abs(pivot[1] - pivot[0]) / far / 10 ** (-0.4 * (zero[0] - zero[2]))
    image = images[0] - blue - red
    image[images[0] == 0] = np.nan
    return image * headers[0]["PHOTFLAM"] * headers[0]["PHOTBW"] * 1e20


def test_continuum_subtracts_to_a_few_per_cent(quiet: Path) -> None:
    truth = json.loads((quiet / "truth/truth.json").read_text())
    halpha, continuum = (read(quiet, f"truth/{name}.fits") for name in ("halpha", "continuum"))
    left = subtract(quiet) - truth["slope"] * halpha - truth["offset"]
    left /= continuum * (1.9512995e-18 * 37.01 * 1e20)
    seen = np.isfinite(left)
    assert np.abs(left[seen]).max() < 0.1
    assert np.abs(np.median(left[seen])) < 0.02
    assert left[seen].std() > 0.001


def test_planted_line_is_what_a_fit_finds(quiet: Path) -> None:
    truth = json.loads((quiet / "truth/truth.json").read_text())
    image = subtract(quiet)
    blur = np.sqrt(0.92**2 - 0.1**2) / np.sqrt(8 * np.log(2)) / 0.03962
    seen = np.isfinite(image)
    share = ndimage.gaussian_filter(seen.astype(float), blur, truncate=6)
    smooth = ndimage.gaussian_filter(np.where(seen, image, 0), blur, truncate=6)
    smooth /= np.maximum(share, 0.5)
    wcs_muse = WCS(header(quiet, "muse/*MAPS.fits", "HA6562_FLUX"))
    muse = read(quiet, "muse/*MAPS.fits", "HA6562_FLUX")
    y, x = np.nonzero(np.isfinite(muse))
    sky = wcs_muse.all_pix2world(x, y, 0)
    column, row = WCS(header(quiet, "truth/halpha.fits")).all_world2pix(*sky, 0)
    near = np.where(share > 0.999, smooth, np.nan)
    hst_flux = ndimage.map_coordinates(near, (row, column), order=1, cval=np.nan)
    kept = np.isfinite(hst_flux)
    slope, offset = np.polyfit(muse[y, x][kept] / (0.2 / 0.03962) ** 2, hst_flux[kept], 1)
    assert truth["slope"] == pytest.approx(0.579, abs=0.001)
    assert slope == pytest.approx(truth["slope"], rel=0.02)
    assert offset == pytest.approx(truth["offset"], abs=1.5)


def test_noise_of_the_subtracted_image_is_stated(tmp_path: Path) -> None:
    """Of empty sky: exposures so long that photons count for nothing."""
    narrow, blue, red = (replace(band, exptime=1e12) for band in (F658N, F555W, F814W))
    galaxy = replace(QUIET, size=300, narrow=narrow, continuum1=blue, continuum2=red)
    simulate_galaxy(tmp_path / "quiet", galaxy)
    simulate_galaxy(tmp_path / "noisy", replace(galaxy, noise=2.0))
    truth = json.loads((tmp_path / "noisy/truth/truth.json").read_text())
    noise = subtract(tmp_path / "noisy") - subtract(tmp_path / "quiet")
    assert np.nanstd(noise) == pytest.approx(truth["halpha_noise"], rel=0.02)
    assert truth["halpha_noise"] == pytest.approx(2 * 27.1, rel=0.01)


def test_muse_covers_part_of_the_mosaic_and_is_nan_elsewhere(noisy: Path) -> None:
    with fits.open(noisy / "muse/NGC0628-0.92asec_MAPS.fits") as hdus:
        assert hdus[0].data is None
        assert hdus[0].header["REDSHIFT"] == 650.0
        names = [hdu.name for hdu in hdus[1:]]
        holes = [np.isnan(hdu.data) for hdu in hdus[1:]]
        units = [hdu.header["BUNIT"] for hdu in hdus[1:]]
    assert names == [
        "HA6562_FLUX", "HA6562_FLUX_ERR", "NII6583_FLUX", "NII6583_FLUX_ERR", "HA6562_VEL",
    ]  # fmt: skip
    assert units == ["10**(-20)*erg/s/cm**2/spaxel"] * 4 + ["km/s"]
    assert all((hole == holes[0]).all() for hole in holes)
    assert 0.05 < holes[0].mean() < 0.5
    assert (~holes[0]).sum() * 0.2**2 < 0.6 * (600 * 0.03962) ** 2


def test_muse_errors_are_the_noise(noisy: Path, quiet: Path) -> None:
    for line in ("HA6562", "NII6583"):
        noise = read(noisy, "muse/*MAPS.fits", f"{line}_FLUX")
        noise -= read(quiet, "muse/*MAPS.fits", f"{line}_FLUX")
        pull = noise / read(noisy, "muse/*MAPS.fits", f"{line}_FLUX_ERR")
        pull = pull[np.isfinite(pull)]
        assert pull.std() == pytest.approx(1, abs=5 / np.sqrt(2 * pull.size))
    ratio = read(quiet, "muse/*MAPS.fits", "NII6583_FLUX") / read(
        quiet, "muse/*MAPS.fits", "HA6562_FLUX"
    )
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], 0.3, rtol=1e-5)


def test_synthetic_bands_are_hst_photometry_in_jansky(quiet: Path) -> None:
    """A spaxel's Jy against the counts of HST's F814W in the same place, where light is smooth."""
    muse = read(quiet, "muse/NGC0628-0.92asec_ACS_F814W.fits")
    name = "hst/ngc0628_acs_f814w_exp_drc_sci.fits"
    hst_image, hst_header = read(quiet, name), header(quiet, name)
    cards = header(quiet, "muse/NGC0628-0.92asec_ACS_F814W.fits")
    assert cards["BUNIT"] == "Jy"
    y, x = np.nonzero(np.isfinite(muse))
    column, row = WCS(header(quiet, "truth/halpha.fits")).all_world2pix(
        *WCS(cards).all_pix2world(x, y, 0), 0
    )
    counts = hst_image + 0.0760
    counts[hst_image == 0] = np.nan
    sampled = ndimage.map_coordinates(counts, (row, column), order=1, cval=np.nan)
    jansky = hst_header["PHOTFLAM"] * hst_header["PHOTPLAM"] ** 2 / 2.99792458e-5
    ratio = muse[y, x] / (sampled * jansky * (0.2 / 0.03962) ** 2)
    assert np.nanmedian(ratio) == pytest.approx(1, abs=0.02)


def test_catalogue_matches_the_mask(noisy: Path) -> None:
    mask = read(noisy, "muse/NGC0628_nebulae_mask_V2.fits")
    assert header(noisy, "muse/NGC0628_nebulae_mask_V2.fits")["BITPIX"] == -32
    survey = Table.read(noisy / "muse/Nebulae_catalogue_v3.fits", hdu=1)
    assert survey["gal_name"].dtype.kind == "S"
    assert survey["region_ID"].dtype.kind == "f"
    names = np.char.strip(np.asarray(survey["gal_name"], str))
    assert set(names) == {"NGC0628", "IC5332", "NGC1087"}
    own = survey[names == "NGC0628"]
    identities = np.unique(mask)
    assert identities[0] == -1
    np.testing.assert_array_equal(own["region_ID"], identities[1:])
    np.testing.assert_array_equal(own["region_ID"], np.arange(len(own)))
    assert len(own) > 10
    index = own["region_ID"]
    flux, error = (read(noisy, "muse/*MAPS.fits", f"HA6562_FLUX{end}") for end in ("", "_ERR"))
    np.testing.assert_allclose(own["HA6562_FLUX"], ndimage.sum_labels(flux, mask, index), rtol=1e-5)
    np.testing.assert_allclose(
        own["HA6562_FLUX_ERR"] ** 2, ndimage.sum_labels(error**2, mask, index), rtol=1e-5
    )
    centres = np.array(ndimage.center_of_mass(mask >= 0, mask, index))
    np.testing.assert_allclose(np.stack([own["cen_y"], own["cen_x"]], axis=1), centres)
    wcs = WCS(header(noisy, "muse/NGC0628_nebulae_mask_V2.fits"))
    sky = wcs.all_pix2world(own["cen_x"], own["cen_y"], 0)
    np.testing.assert_allclose((own["cen_ra"], own["cen_dec"]), sky, rtol=1e-10)
    np.testing.assert_array_equal(own["region_area"], [(mask == i).sum() for i in index])
    assert np.isfinite(flux[mask >= 0]).all()
    assert (own["HA6562_FLUX_CORR"] > own["HA6562_FLUX"]).all()


def test_some_nebulae_lie_outside_the_mosaic(noisy: Path) -> None:
    """As in NGC 628, so that whoever measures them has uncovered spaxels to deal with."""
    mask = read(noisy, "muse/NGC0628_nebulae_mask_V2.fits")
    narrow = read(noisy, "hst/*f658n*sci.fits")
    y, x = np.indices(mask.shape)
    sky = WCS(header(noisy, "muse/NGC0628_nebulae_mask_V2.fits")).all_pix2world(x, y, 0)
    column, row = WCS(header(noisy, "hst/*f658n*sci.fits")).all_world2pix(*sky, 0)
    covered = ndimage.map_coordinates(narrow, (row, column), order=0, cval=0) != 0
    share = ndimage.mean(covered, mask, np.arange(mask.max() + 1))
    assert 0 < np.count_nonzero(share < 1) < 0.2 * share.size


def test_regions_are_where_the_table_says(quiet: Path) -> None:
    truth = read(quiet, "truth/halpha.fits")
    regions = Table.read(quiet / "truth/regions.csv", format="ascii.csv")
    x, y = WCS(header(quiet, "truth/halpha.fits")).all_world2pix(regions["ra"], regions["dec"], 0)
    brightest = np.argmax(regions["flux"])
    row, column = np.rint(y[brightest]).astype(int), np.rint(x[brightest]).astype(int)
    assert truth[row - 10 : row + 11, column - 10 : column + 11].max() > 0.3 * truth.max()
    mask = read(quiet, "muse/NGC0628_nebulae_mask_V2.fits")
    wcs = WCS(header(quiet, "muse/NGC0628_nebulae_mask_V2.fits"))
    known = regions[regions["region_ID"] >= 0]
    assert sorted(known["region_ID"]) == list(range(int(mask.max()) + 1))
    column, row = np.rint(wcs.all_world2pix(known["ra"], known["dec"], 0)).astype(int)
    inside = (row >= 0) & (column >= 0) & (row < mask.shape[0]) & (column < mask.shape[1])
    hits = mask[row[inside], column[inside]] == known["region_ID"][inside]
    assert hits.mean() > 0.8


def test_fluxes_of_regions_add_up(tmp_path: Path) -> None:
    galaxy = replace(QUIET, diffuse_fraction=0.0, size=400)
    simulate_galaxy(tmp_path, galaxy)
    regions = Table.read(tmp_path / "truth/regions.csv", format="ascii.csv")
    truth = read(tmp_path, "truth/halpha.fits")
    x, y = WCS(header(tmp_path, "truth/halpha.fits")).all_world2pix(
        regions["ra"], regions["dec"], 0
    )
    inside = (x > 0) & (y > 0) & (x < 399) & (y < 399)
    assert truth.sum() == pytest.approx(regions["flux"][inside].sum(), rel=0.02)


def test_diffuse_gas_holds_its_share(quiet: Path) -> None:
    regions = Table.read(quiet / "truth/regions.csv", format="ascii.csv")
    share = 1 - regions["flux"].sum() / read(quiet, "truth/halpha.fits").sum()
    assert share == pytest.approx(0.5, abs=0.03)


def test_stars_are_masked(tmp_path: Path) -> None:
    """What stars add to MUSE's red band is brightest where the mask is set, and small elsewhere."""
    crowded = replace(QUIET, size=400, stars_per_megapixel=60.0)
    simulate_galaxy(tmp_path / "with", crowded)
    simulate_galaxy(tmp_path / "without", replace(crowded, stars_per_megapixel=0.0))
    name = "muse/NGC0628-0.92asec_ACS_F814W.fits"
    added = read(tmp_path / "with", name) - read(tmp_path / "without", name)
    mask = read(tmp_path / "with", "muse/NGC0628_starmask.fits")
    assert set(np.unique(mask)) == {0, 1}
    assert not read(tmp_path / "without", "muse/NGC0628_starmask.fits").any()
    seen = np.isfinite(added)
    assert np.mean(mask) < 0.3
    assert added[seen & (mask == 0)].max() < 0.15 * added[seen].max()
    assert added[seen & (mask == 1)].sum() > 0.7 * added[seen].sum()


@pytest.mark.parametrize(
    ("name", "muse_name"), [("ngc628c", "NGC0628"), ("ic5332", "IC5332"), ("ngc1365n", "NGC1365")]
)
def test_names_differ_between_the_telescopes(name: str, muse_name: str) -> None:
    assert Galaxy(name=name).muse_name == muse_name


def test_configuration_names_files_that_exist(noisy: Path) -> None:
    config = tomllib.loads((noisy / "ngc0628.toml").read_text())
    assert (config["galaxy"], config["recipe"]) == ("ngc0628", "barnes2023")
    assert sorted(config["inputs"]) == [
        "continuum1", "continuum2", "muse", "narrow",
        "nebula_catalogue", "nebula_mask", "star_mask",
    ]  # fmt: skip
    assert all((noisy / path).is_file() for path in config["inputs"].values())


def test_galaxy_with_one_continuum(tmp_path: Path) -> None:
    galaxy = replace(QUIET, continuum1=F547M, continuum2=None, size=300)
    config = tomllib.loads(simulate_galaxy(tmp_path, galaxy).read_text())
    assert "continuum2" not in config["inputs"]
    names = sorted(path.name for path in tmp_path.glob("hst/*sci.fits"))
    assert names == ["ngc0628_acs_f658n_exp_drc_sci.fits", "ngc0628_uvis_f547m_exp_drc_sci.fits"]
    narrow, broad = (read(tmp_path, f"hst/{name}") for name in names)
    zero = [header(tmp_path, f"hst/{name}") for name in names]
    scale = (zero[0]["PHOTFLAM"] * zero[0]["PHOTPLAM"] ** 2) / (
        zero[1]["PHOTFLAM"] * zero[1]["PHOTPLAM"] ** 2
    )
    expected = read(tmp_path, "truth/halpha.fits") * galaxy.slope + galaxy.offset
    left = (narrow - broad / scale) * galaxy.flux_per_count - expected
    left = left[narrow != 0] / (read(tmp_path, "truth/continuum.fits")[narrow != 0])
    assert np.median(np.abs(left)) / galaxy.flux_per_count < 0.2


def test_failure_leaves_no_partial_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(hst, "_render_cell", fail)
    with pytest.raises(RuntimeError, match="on fire"):
        simulate_galaxy(tmp_path, replace(QUIET, size=300))
    assert relative_files(tmp_path) == []


@pytest.mark.parametrize(
    ("choice", "match"),
    [
        ({"size": 100}, r"size in 200\.\.100000, found 100"),
        ({"seed": -1}, r"seed in 0\.\..* found -1"),
        ({"noise": float("nan")}, "noise in .* found nan"),
        ({"name": "NGC 628"}, "name like 'ngc0628', found 'NGC 628'"),
        ({"muse_fwhm": 0.05}, "muse_fwhm must exceed hst_fwhm, found 0.05 and 0.1"),
    ],
)
def test_impossible_galaxies_are_refused(choice: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        Galaxy(**choice)  # type: ignore[arg-type]


def test_impossible_calls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="chunk must be a positive number of pixels, found 0"):
        simulate_galaxy(tmp_path / "new", SMALL, chunk=0)
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"a directory is needed .* found the file .*file"):
        simulate_galaxy(tmp_path / "file", SMALL)
