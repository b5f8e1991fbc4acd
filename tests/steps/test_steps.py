"""What holds of every step: lazy, chunk-free, labelled as declared, and careful with its inputs."""

import pickle

import dask
import numpy as np
import pytest
import xarray as xr

from phangs_xr.engine.config import load_config
from phangs_xr.errors import GridError, InputError
from phangs_xr.numerics.lazy import is_chunked
from phangs_xr.recipes import BARNES2023, CHANDAR2025, RECIPES
from phangs_xr.schema import BANDS, NUMBERS, PRODUCTS
from phangs_xr.sky import get_grid
from phangs_xr.steps import SmoothHst
from tests.benchmarks.steps import measure_graphs
from tests.images import chunk_image, give_step, measure_range

OPTIONS = {"smooth_hst": SmoothHst(muse_fwhm=0.92)}
STEPS = {
    step.name: step
    for recipe in RECIPES.values()
    for step in recipe.steps
    if step.name != "fold_cube"
}
"""All steps but the one that takes a cube (test_fold_cube.py); those of the first recipe are tried
on its galaxy, the others on another."""
FIRST, SECOND = ({step.name for step in one.steps} for one in (BARNES2023, CHANDAR2025))

# Only the grids of these are looked at.
GRID_ONLY = {
    ("regrid_muse", "narrow"),
    ("load_nebulae", "musehalpha"),
    ("match_bands", "musehalpha"),
    ("measure_sky", "musehalpha"),
    ("weigh_residual", "halpha_hst"),
    ("measure_response", "muse"),
    *(("measure_response", band) for band in BANDS),
    *(("load_muse_bands", band) for band in BANDS),
}
# Of these not even that.
ATTRS_ONLY = {
    *(("load_muse_bands", band) for band in BANDS),
    *(("load_weights", band) for band in BANDS[1:]),
    ("measure_sky", "musehalpha"),
    ("measure_response", "muse"),
    *(("measure_response", band) for band in BANDS),
}
# Masks and weights have no unit, and bands may lie on other grids until they are loaded.
UNITLESS = {
    *(("load_nebulae", name) for name in ("nebula_mask", "star_mask")),
    *(("load_weights", f"{band}_weight") for band in BANDS),
    *((step, "star_mask") for step in ("subtract_sky", "correct_nii", "solve_halpha")),
}
OWN_GRID = {
    *("load", "load_nebulae", "regrid_muse", "load_weights", "load_muse_bands", "match_bands"),
    *("subtract_sky", "correct_nii", "measure_response", "measure_sky", "solve_halpha"),
    *("match_halpha", "weigh_residual", "join_halpha"),
}

IMAGE_INPUTS = [
    (step.name, name) for step in STEPS.values() for name in step.inputs if name not in NUMBERS
]


@pytest.fixture(scope="session")
def trial(request):
    """What a step is tried on: input files, products and numbers, options."""

    def give(name):
        if name in FIRST:
            images, made = (request.getfixturevalue(one) for one in ("input_images", "products"))
            return images, made, OPTIONS.get(name)
        kind = "band" if name in SECOND else "joint"
        images, made = (request.getfixturevalue(f"{kind}_{one}") for one in ("images", "products"))
        config = load_config(
            request.getfixturevalue("banded" if kind == "band" else "joint_config")
        )
        return images, made, config.get_options(STEPS[name])

    return give


@pytest.fixture(params=STEPS)
def step(request):
    return STEPS[request.param]


@pytest.fixture
def given(step, trial):
    """The step's inputs, in memory."""
    return give_step(step, *trial(step.name)[:2])


@pytest.fixture
def expected(step, trial):
    """What the step makes of them, among all that is made."""
    return trial(step.name)[1]


@pytest.fixture
def call(trial):
    """Call a step's function with the options it is tried with."""
    return lambda step, given: step.function(**given, options=trial(step.name)[2])


def chunk_given(given, chunks):
    return {
        name: chunk_image(image, chunks) if image.ndim == 2 else image
        for name, image in given.items()
    }


def refuse_to_compute(*args, **kwargs):
    raise AssertionError("a step computed something")


def test_step_computes_nothing_of_chunked_images(step, given, call):
    with dask.config.set(scheduler=refuse_to_compute):
        result = call(step, chunk_given(given, 300))
    assert all(is_chunked(result[name]) for name in step.list_made(given))


def test_step_computes_nothing_when_a_number_is_not_known_yet(products):
    chunked = {
        name: products[name].chunk({"y": 300, "x": 300}) for name in ("halpha", "halpha_smoothed")
    }
    with dask.config.set(scheduler=refuse_to_compute):
        compared = STEPS["compare_images"].function(
            **chunked, musehalpha_regrid=products["musehalpha_regrid"]
        )
        anchored = STEPS["anchor_halpha"].function(
            products["halpha"],
            compared["hstmuseratio"],
            compared["hstmusediff"],
            compared["offset"],
        )
    np.testing.assert_array_equal(anchored["anchored"], products["anchored"])


@pytest.mark.parametrize("chunks", [100, "ragged"])
def test_step_makes_the_same_of_any_chunks(step, given, expected, call, chunks):
    result = call(step, chunk_given(given, chunks)).compute()
    for name, found in result.data_vars.items():
        whole = expected[name]
        if found.dims != ("y", "x"):
            np.testing.assert_array_equal(found, whole, err_msg=name)
            continue
        assert found.attrs == whole.attrs
        assert found.coords.identical(whole.coords)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(whole), err_msg=name)
        same = (found.values.view(np.uint32) == whole.values.view(np.uint32)).mean()
        difference = np.nanmax(np.abs(found.values - whole.values))
        print(f"{step.name:18} {chunks!s:6} {name:25} same bits {same:.6f} off by {difference:.2g}")
        assert difference <= 1e-6 * measure_range(whole)


def crop(image, shape):
    """A window about the middle, where all of the images have data."""
    if image.ndim != 2:
        return image
    starts = ((size - side) // 2 for size, side in zip(image.shape, shape, strict=True))
    parts = (slice(start, start + side) for start, side in zip(starts, shape, strict=True))
    return image.isel(dict(zip("yx", parts, strict=True)))


def make_or_refuse(call, step, given):
    try:
        return call(step, given).compute()
    except InputError as error:
        return str(error)


# What brings images over from another grid takes those whole.
@pytest.mark.parametrize(
    "name", [name for name in STEPS if name in FIRST | SECOND or name not in OWN_GRID]
)
@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (17, 15)])
def test_step_makes_the_same_of_images_smaller_than_its_reach(name, trial, call, shape):
    step = STEPS[name]
    given = give_step(step, *trial(name)[:2])
    own = [one for one in given if name not in OWN_GRID or one in ("narrow", "muse")]
    given = {one: crop(image, shape) if one in own else image for one, image in given.items()}
    expected = make_or_refuse(call, step, given)
    found = make_or_refuse(call, step, chunk_given(given, 20))
    if isinstance(expected, str):
        assert found == expected
        return
    for one in step.list_made(given):
        np.testing.assert_allclose(found[one], expected[one], rtol=1e-5, err_msg=one)


def test_step_makes_what_it_declares(step, given, call):
    result = call(step, chunk_given(given, 300))
    images = [name for name, image in result.data_vars.items() if image.ndim == 2]
    assert tuple(images) == step.list_made(given)
    assert set(result.data_vars) - set(images) <= set(step.numbers)
    for name in images:
        product = PRODUCTS[name]
        assert result[name].dims == ("y", "x")
        assert result[name].dtype == result[name].compute().dtype == np.float32
        assert result[name].attrs["units"] == product.units
        assert result[name].attrs["long_name"] == product.long_name
        assert result[name].attrs["step"] == step.name
        assert product.grid == step.grid


def test_step_keeps_to_its_grid(step, given, call, trial):
    grid = get_grid(trial(step.name)[0]["narrow" if step.grid == "hst" else "muse"])
    result = call(step, chunk_given(given, 300))
    made = step.list_made(given)
    assert {get_grid(result[name]) for name in made} == ({grid} if made else set())


@pytest.mark.parametrize("chunks", [None, 300])
def test_step_leaves_its_inputs_alone(step, given, call, chunks):
    given = {name: image.copy(deep=True) for name, image in given.items()}
    before = {name: image.copy(deep=True) for name, image in given.items()}
    call(step, given if chunks is None else chunk_given(given, chunks)).compute()
    for name, image in given.items():
        xr.testing.assert_identical(image, before[name])


@pytest.mark.parametrize(
    ("name", "image"), [pair for pair in IMAGE_INPUTS if pair not in ATTRS_ONLY]
)
def test_step_refuses_an_image_that_is_nowhere(name, image, trial, call):
    given = give_step(STEPS[name], *trial(name)[:2])
    if image not in given:
        pytest.skip("the galaxy that the step is tried on has no such input")
    given[image] = given[image].drop_vars("wcs")
    with pytest.raises(GridError, match="to have the coordinate wcs"):
        call(STEPS[name], given)


@pytest.mark.parametrize(
    ("name", "image"), [pair for pair in IMAGE_INPUTS if pair not in GRID_ONLY | UNITLESS]
)
def test_step_refuses_another_unit(name, image, trial, call):
    given = give_step(STEPS[name], *trial(name)[:2])
    if image not in given:
        pytest.skip("the galaxy that the step is tried on has no such input")
    given[image] = given[image].assign_attrs(units="m")
    with pytest.raises(InputError, match=r"should have units '.*', found 'm'"):
        call(STEPS[name], given)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        (name, image)
        for name, image in IMAGE_INPUTS
        if name not in OWN_GRID and len([one for one, _ in IMAGE_INPUTS if one == name]) > 1
    ],
)
@pytest.mark.parametrize("change", ["shifted", "smaller", "elsewhere"])
def test_step_refuses_images_of_other_grids(name, image, change, trial, call):
    given = give_step(STEPS[name], *trial(name)[:2])
    if image not in given:
        pytest.skip("the galaxy that the step is tried on has no such input")
    moved = given[image]
    if change == "shifted":
        moved = moved.assign_coords(x=moved.x + 1)
    elif change == "smaller":
        moved = moved.isel(y=slice(0, -1))
    else:
        other = "narrow" if STEPS[name].grid == "muse" else "muse"
        moved = moved.assign_coords(wcs=trial(name)[0][other].wcs)
    given[image] = moved
    with pytest.raises(GridError, match=f"on one pixel grid, found other .*{image}|{image}.* on"):
        call(STEPS[name], given)


def test_reduction_goes_to_other_processes_and_back(step, trial):
    images, made, options = trial(step.name)
    given = give_step(step, images, made)
    options = options or step.options()
    looked_at = {name: given[name] for name in step.list_looked_at(given, options)}
    if step.reduce is None or not looked_at:
        return
    reduction = step.reduce(options, looked_at)
    again = pickle.loads(pickle.dumps(reduction))  # noqa: S301 (our own, just made)
    assert (again.depth, again.cell) == (reduction.depth, reduction.cell)


def test_step_that_has_numbers_says_how_they_are_found(step):
    assert bool(step.numbers) == (step.reduce is not None) == bool(step.looks_at)
    assert set(step.tallies) <= set(step.outputs)


@pytest.fixture(scope="module")
def graphs():
    """Seconds to make each step's lazy result for 16,000² pixels, and its tasks per chunk."""
    return measure_graphs()


@pytest.mark.parametrize("step", BARNES2023.steps, ids=lambda step: step.name)
def test_lazy_graph_of_a_step_grows_as_the_chunks(step, graphs):
    passes = step.reduce(step.options()).passes if step.reduce else 0
    assert 1 < graphs[step.name][1] < 16 + 3 * passes
