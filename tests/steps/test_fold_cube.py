"""Spectra folded with HST's filters: against plain integrals, and through a run."""

import importlib.util
from pathlib import Path

import dask
import numpy as np
import pytest
from astropy.io import fits

import phangs_xr
from phangs_xr.errors import InputError
from phangs_xr.photometry import get_curve
from phangs_xr.photometry.lines import convert_air_to_vacuum
from phangs_xr.schema import FLUX_DENSITY
from phangs_xr.simulate import make_real_galaxy, simulate_galaxy
from tests.images import make_header, make_image

CURVES = {"narrow": "ACS_WFC_F658N", "continuum1": "WFC3_UVIS2_F555W"}
LIGHT_SPEED = 2.99792458e18
"""[Å/s]"""
SHAPE = (12, 15)


def make_spectra(wavelength, seed=1):
    """Power laws of several slopes with an emission line, shape (planes, y, x)."""
    rng = np.random.default_rng(seed)
    level, slope, line = (
        rng.uniform(1, 5, SHAPE),
        rng.uniform(-2, 1, SHAPE),
        rng.uniform(0, 9, SHAPE),
    )
    lam = wavelength[:, None, None]
    return level * (lam / 6000) ** slope + line * np.exp(-0.5 * ((lam - 6580) / 3) ** 2)


def write_cube(path, spectra, first=4750.0, step=1.25, kind="AWAV", unit="Angstrom", wcs=None):
    data = fits.ImageHDU(spectra.astype(np.float32), name="DATA")
    sky = make_header(spectra.shape[1:], 0.2) if wcs is None else wcs
    for key in ("CRPIX", "CRVAL", "CTYPE", "CUNIT", "CDELT"):
        data.header.update({card: sky[card] for card in (f"{key}1", f"{key}2") if card in sky})
    data.header.update(
        {key: sky[key] for key in sky if key.startswith(("PC", "CD")) and "_" in key}
    )
    data.header["CTYPE3"], data.header["CUNIT3"] = kind, unit
    data.header["CRVAL3"], data.header["CRPIX3"] = first, 1.0
    data.header["CD3_3" if "CD1_1" in data.header else "CDELT3"] = step
    data.header["BUNIT"] = "10**(-20)*erg/s/cm**2/Angstrom"
    fits.HDUList([fits.PrimaryHDU(), data]).writeto(path, overwrite=True)
    return path


def make_bands():
    return {
        band: make_image(np.zeros((4, 4), np.float32), "electron / s", curve=curve)
        for band, curve in CURVES.items()
    }


def integrate(wavelength, spectrum, curve):
    """The mean over the band on a grid ten times as fine as the cube's."""
    grid = np.linspace(wavelength[0], wavelength[-1], 10 * wavelength.size)
    seen = np.interp(grid, curve.wavelength, curve.throughput, left=0, right=0)
    flux = np.interp(grid, wavelength, spectrum)
    above, below = (np.trapezoid(one, grid) for one in (flux * seen * grid, seen / grid))
    return above / below / LIGHT_SPEED * 1e-20 / 1e-23


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    planes = 4750 + 1.25 * np.arange(3681)
    spectra = make_spectra(planes)
    path = write_cube(tmp_path_factory.mktemp("cube") / "cube.fits", spectra)
    return phangs_xr.open_cube(path), spectra


def test_bands_are_plain_integrals_in_vacuum(cube):
    opened, spectra = cube
    made = phangs_xr.fold_cube(opened, **make_bands())
    wavelength = convert_air_to_vacuum(4750 + 1.25 * np.arange(3681))
    np.testing.assert_allclose(opened["wavelength"], wavelength)
    for band, name in CURVES.items():
        for y, x in ((0, 0), (5, 9), (11, 14)):
            expected = integrate(wavelength, spectra[:, y, x], get_curve(name))
            found = float(made[f"muse_{band}"][y, x])
            assert found == pytest.approx(expected, rel=2e-4)
    # Two ångström between air and vacuum would show in the narrow band.
    line = spectra[:, 0, 0]
    in_air = integrate(4750 + 1.25 * np.arange(3681), line, get_curve(CURVES["narrow"]))
    assert abs(in_air / float(made["muse_narrow"][0, 0]) - 1) > 3e-4


def test_folding_is_lazy_and_does_not_depend_on_chunks(cube):
    opened, _ = cube
    expected = phangs_xr.fold_cube(opened, **make_bands())

    def refuse(*args, **kwargs):
        raise AssertionError("computed")

    chunks = {"wavelength": 500, "y": 5, "x": 8}
    with dask.config.set(scheduler=refuse):
        made = phangs_xr.fold_cube(opened.chunk(chunks), **make_bands())
    for name, image in made.compute().items():
        assert image.dtype == np.float32
        assert image.attrs == expected[name].attrs
        np.testing.assert_allclose(image, expected[name], rtol=1e-6)


def test_partial_coverage_is_said_and_right(tmp_path):
    """From 5500 Å on F555W is cut: the mean is over the rest."""
    wavelength = 5500 + 1.25 * np.arange(1000)
    spectra = make_spectra(wavelength)
    opened = phangs_xr.open_cube(write_cube(tmp_path / "c.fits", spectra, 5500.0, kind="WAVE"))
    made = phangs_xr.fold_cube(opened, **make_bands())["muse_continuum1"]
    curve = get_curve(CURVES["continuum1"])
    expected = integrate(wavelength, spectra[:, 3, 4], curve)
    assert float(made[3, 4]) == pytest.approx(expected, rel=1e-3)
    assert made.attrs["coverage"] == pytest.approx(curve.measure_coverage(5500, 6748.75))
    assert 0.2 < made.attrs["coverage"] < 0.6


def test_missing_planes_do_not_count(cube, tmp_path):
    _, spectra = cube
    holes = spectra.copy()
    holes[::7, 2] = np.nan
    holes[3::7, 2] = 0
    holes[:, 4] = 0
    holes[1000:2400, 6] = np.nan
    made = phangs_xr.fold_cube(
        phangs_xr.open_cube(write_cube(tmp_path / "c.fits", holes)), **make_bands()
    )
    whole = phangs_xr.fold_cube(cube[0], **make_bands())
    ratio = made["muse_continuum1"].values / whole["muse_continuum1"].values
    np.testing.assert_allclose(ratio[2], 1, rtol=0.01)
    assert np.isnan(made["muse_narrow"].values[[4, 6]]).all()
    np.testing.assert_array_equal(ratio[0], 1)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"kind": "FREQ"}, "linear axis of wavelengths .* found CTYPE3 = 'FREQ'"),
        ({"unit": "Hz"}, "found .*CUNIT3 = 'hz'"),
        ({"step": -1.0}, "step -1.0"),
    ],
)
def test_other_axes_are_refused(tmp_path, change, match):
    path = write_cube(tmp_path / "c.fits", np.ones((5, *SHAPE)), **change)
    with pytest.raises(InputError, match=match):
        phangs_xr.open_cube(path)


def test_what_is_no_cube_is_refused(tmp_path):
    path = tmp_path / "flat.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((3, 3)), name="DATA")]).writeto(path)
    with pytest.raises(InputError, match="a cube of three axes in HDU 'DATA'"):
        phangs_xr.open_cube(path)
    with pytest.raises(InputError, match="expected HDU 'CUBE'"):
        phangs_xr.open_cube(path, "CUBE")


def test_other_units_and_other_bands_are_refused(cube):
    opened, _ = cube
    with pytest.raises(InputError, match=r"muse_cube should have units .* found 'Jy'"):
        phangs_xr.fold_cube(opened.assign_attrs(units="Jy"), **make_bands())
    red = opened.isel(wavelength=slice(1200, 1300))
    with pytest.raises(InputError, match="wavelengths of narrow's band are needed"):
        phangs_xr.fold_cube(red, **make_bands())


@pytest.mark.parametrize("unit", [("Angstrom", 1.0), ("nm", 0.1), ("m", 1e-10)])
def test_units_of_wavelength(tmp_path, unit):
    name, factor = unit
    path = write_cube(
        tmp_path / "c.fits", np.ones((5, *SHAPE)), 6000 * factor, 10 * factor, "WAVE", name
    )
    np.testing.assert_allclose(phangs_xr.open_cube(path)["wavelength"], 6000 + 10 * np.arange(5))


def test_run_takes_a_cube_for_the_synthetic_bands(tmp_path):
    galaxy = make_real_galaxy(size=300, seed=2)
    config = simulate_galaxy(tmp_path, galaxy, recipe="default")
    (maps,) = (tmp_path / "muse").glob("*MAPS.fits")
    header = fits.getheader(maps, "HA6562_FLUX")
    halpha = fits.getdata(maps, "HA6562_FLUX").astype(float)
    wavelength = 4750 + 5.0 * np.arange(920)
    level = 50 + 0.01 * np.nan_to_num(halpha)
    spectra = level * (wavelength[:, None, None] / 6500) ** -1.0
    spectra[:, ~np.isfinite(halpha)] = np.nan
    write_cube(tmp_path / "muse/cube.fits", spectra, 4750.0, 5.0, wcs=header)
    lines = [one for one in config.read_text().splitlines() if not one.startswith("muse_")]
    lines.insert(lines.index("[inputs]") + 1, 'muse_cube = "muse/cube.fits"')
    lines += ["[output]", 'products = ["halpha_joint", "muse_narrow", "muse_continuum1"]']
    config.write_text("\n".join(lines))
    tree = phangs_xr.run(config, tmp_path / "out", chunk=200)
    inputs = phangs_xr.open_field(config)
    expected = phangs_xr.fold_cube(
        phangs_xr.open_cube(tmp_path / "muse/cube.fits"),
        *(inputs["hst"][band] for band in ("narrow", "continuum1", "continuum2")),
    )
    for name in ("muse_narrow", "muse_continuum1"):
        np.testing.assert_array_equal(tree["muse"][name], expected[name])
        assert tree["muse"][name].attrs["step"] == "fold_cube"
    assert tree["hst"]["halpha_joint"].notnull().any()


def find_minicube():
    """The real MUSE cube that comes with mpdaf, which need not be imported."""
    found = importlib.util.find_spec("mpdaf")
    return Path(found.origin).parent / "data/sdetect/minicube.fits" if found else None


@pytest.mark.skipif(find_minicube() is None, reason="mpdaf, whose MUSE cube is folded, is not here")
def test_real_cube_is_folded():
    opened = phangs_xr.open_cube(find_minicube())
    assert sorted(opened.attrs["units"].split()) == sorted(FLUX_DENSITY.split())
    bands = make_bands()
    made = phangs_xr.fold_cube(opened, **bands)
    spectra = fits.getdata(find_minicube(), "DATA")
    y, x = (side // 2 for side in spectra.shape[1:])
    spectrum = spectra[:, y, x].astype(float)
    known = np.isfinite(spectrum)
    wavelength = opened["wavelength"].values
    for band, name in CURVES.items():
        expected = integrate(wavelength[known], spectrum[known], get_curve(name))
        # Noise from plane to plane, which the two rules integrate differently.
        assert float(made[f"muse_{band}"][y, x]) == pytest.approx(expected, rel=0.02, abs=1e-9)
