"""What several tests share."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client, LocalCluster
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

import phangs_xr
from phangs_xr.engine.config import load_config
from phangs_xr.engine.inputs import open_inputs
from phangs_xr.qa import check_field, compare_fluxes, measure_nebulae, measure_shift
from phangs_xr.recipes import CHANDAR2025, DEFAULT, get_recipe
from phangs_xr.schema import BANDS
from phangs_xr.simulate import Galaxy, make_real_galaxy, simulate_galaxy
from phangs_xr.steps import SmoothHst
from tests.commands import write_field
from tests.golden import GOLDEN, INPUTS, SHARED
from tests.images import take_steps


class LoadRooms(LoadFileScheduling):
    """Gives each worker whole files, and one of them all of qa, whose field and page take long."""

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return "tests/qa" if file.startswith("tests/qa/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Share the files among the workers, unless another way is asked for."""
    return LoadRooms(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with the files that take long, so that no worker is alone with one in the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


# No example may fail because the machine is busy, and none leaves files in the checkout.
settings.register_profile("here", deadline=None, database=None)
settings.load_profile("here")


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory):
    """A home to write to: libraries and kernels keep things there, and complain if they cannot."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.access(Path.home(), os.W_OK):
            patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def client():
    """Two worker processes; not the default for other tests: use `client.as_current()`.

    Of one file's tests: idle, they take a tenth of a core.
    """
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


def replace_products(output, products):
    """What is written, but for which products are kept."""
    return output.model_copy(update={"products": tuple(products)})


def require_shared(name: str) -> Path:
    """Return a directory of data that are not part of the repository, or skip."""
    path = SHARED / name
    if not path.is_dir():
        pytest.skip(f"no {name} in {SHARED}: set PHANGS_XR_SHARED")
    return path


@pytest.fixture(scope="session")
def golden():
    """A simulated galaxy, 640² pixels, and in `reference/` what the earlier code made of it."""
    return require_shared("golden")


@pytest.fixture(scope="session")
def golden_config(golden, tmp_path_factory):
    """The configuration of the golden galaxy."""
    path = tmp_path_factory.mktemp("golden") / "ngc0628.toml"
    lines = [f'{name} = "{file}"' for name, file in INPUTS.items()]
    path.write_text("\n".join(['galaxy = "ngc0628"', "[inputs]", *lines]) + "\n")
    return path


@pytest.fixture(scope="session")
def orion():
    """Real images of the Orion Nebula: F656N, F547M and a MUSE map, all at 0.8 arcsec."""
    return require_shared("real/orion")


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """The configuration of a simulated galaxy of 600² pixels; MUSE covers a part of it."""
    return simulate_galaxy(tmp_path_factory.mktemp("simulated"), Galaxy(size=600, seed=3))


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The configuration of the smallest galaxy that still has all there is: 300² pixels."""
    return simulate_galaxy(tmp_path_factory.mktemp("small"), Galaxy(size=300, seed=8))


@pytest.fixture
def field(tmp_path):
    """The configuration of a field of constant brightness, beside its files, to be spoiled."""
    return write_field(tmp_path)


@pytest.fixture(scope="session")
def finished(simulated, tmp_path_factory):
    """The directory of a finished run of the simulated galaxy, not to be changed."""
    out = tmp_path_factory.mktemp("finished") / "out"
    phangs_xr.run(simulated, out, chunk=300)
    return out


@pytest.fixture(scope="session")
def small_run(small, tmp_path_factory):
    """The directory of a finished run of the small galaxy in four chunks, not to be changed."""
    out = tmp_path_factory.mktemp("small_run") / "out"
    phangs_xr.run(small, out, chunk=200)
    return out


@pytest.fixture(scope="session")
def input_images(request):
    """Input images, in memory, of the golden galaxy, or of the simulated one if there is none."""
    kind = "golden_config" if GOLDEN.is_dir() else "simulated"
    config = load_config(request.getfixturevalue(kind))
    return {name: image.load() for name, image in open_inputs(config).items()}


@pytest.fixture(scope="session")
def products(input_images):
    """What all steps make of `input_images`, in memory; not to be changed."""
    return take_steps(input_images, {"smooth_hst": SmoothHst(muse_fwhm=0.92)})


@pytest.fixture(scope="session")
def banded(tmp_path_factory):
    """The configuration of a simulated galaxy for recipes that take weights and MUSE's bands."""
    galaxy = Galaxy(size=600, seed=3)
    return simulate_galaxy(tmp_path_factory.mktemp("banded"), galaxy, recipe="chandar2025")


@pytest.fixture(scope="session")
def banded_run(banded, tmp_path_factory):
    """The directory of a finished run of it, with its bands, not to be changed."""
    config = load_config(banded)
    bands = [f"{band}_bgcorr" for band in BANDS]
    output = replace_products(config.output, [*get_recipe(config.recipe).products, *bands])
    out = tmp_path_factory.mktemp("banded_run") / "out"
    phangs_xr.run(replace(config, output=output), out, chunk=300)
    return out


@pytest.fixture(scope="session")
def band_images(banded):
    """Its input images, in memory."""
    return {name: image.load() for name, image in open_inputs(load_config(banded)).items()}


@pytest.fixture(scope="session")
def band_products(banded, band_images):
    """What all steps of chandar2025 make of `band_images`, in memory; not to be changed."""
    config = load_config(banded)
    options = {step.name: config.get_options(step) for step in config.steps}
    return take_steps(band_images, options, CHANDAR2025)


@pytest.fixture(scope="session")
def joint_config(tmp_path_factory):
    """The configuration of a galaxy as hard as real ones for the recipe `default`."""
    galaxy = make_real_galaxy(size=420, seed=3)
    return simulate_galaxy(tmp_path_factory.mktemp("joint"), galaxy, recipe="default")


@pytest.fixture(scope="session")
def joint_images(joint_config):
    """Its input images, in memory."""
    return {name: image.load() for name, image in open_inputs(load_config(joint_config)).items()}


@pytest.fixture(scope="session")
def joint_products(joint_config, joint_images):
    """What all steps of the recipe make of them, in memory; not to be changed."""
    config = load_config(joint_config)
    options = {step.name: config.get_options(step) for step in config.steps}
    return take_steps(joint_images, options, DEFAULT)


@pytest.fixture(scope="session")
def joint_run(joint_config, tmp_path_factory):
    """The directory of a finished run of that recipe, with its nebulae, not to be changed."""
    out = tmp_path_factory.mktemp("joint_run") / "out"
    phangs_xr.run(joint_config, out, chunk=300)
    check_field(out, report=False)
    return out


@pytest.fixture(scope="session")
def quiet(tmp_path_factory):
    """The directory of a simulated galaxy without noise and cosmic rays, `truth/` among it."""
    galaxy = Galaxy(size=600, seed=3, noise=0.0, cosmics_per_megapixel=0.0)
    return simulate_galaxy(tmp_path_factory.mktemp("quiet"), galaxy).parent


@pytest.fixture(scope="session")
def quiet_products(quiet):
    """What all steps make of `quiet`, in memory; not to be changed."""
    config = load_config(quiet / "ngc0628.toml")
    images = {name: image.load() for name, image in open_inputs(config).items()}
    return take_steps(images, {"smooth_hst": SmoothHst(muse_fwhm=0.92)})


@pytest.fixture(scope="session")
def checked(finished):
    """The finished field, lazily opened, its nebulae, the comparison of fluxes, and the shift."""
    field = phangs_xr.open_store(finished, chunked=False)
    nebulae = measure_nebulae(field)
    return field, nebulae, compare_fluxes(nebulae), measure_shift(field)


@pytest.fixture(scope="session")
def bokeh_warnings():
    """What Bokeh warned of while it drew `report`."""
    return []


@pytest.fixture(scope="session")
def report(checked, bokeh_warnings, tmp_path_factory):
    """The page of the finished field, beside its figures."""
    from phangs_xr.qa.report import write_report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bokeh.core.validation.check.log.warning", bokeh_warnings.append)
        return write_report(*checked, tmp_path_factory.mktemp("report"))


ASTROPY_LEVEL = logging.getLogger("astropy").level


@pytest.fixture(autouse=True)
def quiet_log():
    """Give each test the logs as they are before any command sets them up.

    A command that a fixture of a session or a module ran has done so before this begins.
    """
    _reset_logs()
    yield
    _reset_logs()


def _reset_logs():
    logger = logging.getLogger("phangs_xr")
    logger.setLevel(logging.NOTSET)
    logger.handlers[:] = []
    logging.getLogger("astropy").setLevel(ASTROPY_LEVEL)
