"""What steps and recipes declare, and what follows from it: tried on `chandar2025`.

Its steps take bands with their errors and weights, on two grids, most of them optional.
"""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from phangs_xr.engine.config import make_config
from phangs_xr.engine.dependencies import describe_hole
from phangs_xr.engine.plan import make_plan
from phangs_xr.engine.stages import choose_side, list_measurements, list_stages
from phangs_xr.errors import InputError
from phangs_xr.recipes import BARNES2023, CHANDAR2025, RECIPES, Recipe, Step, declare_steps
from phangs_xr.schema import BANDS, COUNTS, FLUX, NUMBERS, PRODUCTS, SOURCES
from phangs_xr.sky import get_grid
from tests.images import make_flux, make_header


@dataclass(frozen=True)
class NoOptions:
    """Options of steps that are not written."""


def name_bands(suffix="", prefix=""):
    return tuple(f"{prefix}{band}{suffix}" for band in BANDS)


INPUTS = {
    **{name: f"{name}.fits" for name in (*BANDS, *name_bands("_weight"), *name_bands("", "muse_"))},
    "muse": "NGC0628-0.92asec_MAPS.fits",
    "star_mask": "stars.fits",
}
MUSE = ("muse", *name_bands("", "muse_"), "star_mask")
EBV = {"correct_extinction": {"ebv": 0.0607}}


def configure(without=(), options=None, **sections):
    """A configuration of the recipe."""
    inputs = {name: path for name, path in INPUTS.items() if name not in without}
    content = {"galaxy": "ngc0628", "recipe": "chandar2025", "inputs": inputs, **sections}
    return make_config({**content, "options": EBV | (options or {})})


def plan(without=(), records=None, **sections):
    digests = {name: name for name in INPUTS if name not in without}
    return make_plan(configure(without, **sections), digests, records or {}, lambda name: True)


def find_step(made, name):
    return next(one for one in made.steps if one.name == name)


def test_recipe_has_defaults_of_its_own_that_a_configuration_overrides():
    match = declare_steps.MATCH_BANDS
    assert configure().get_options(match).beyond == "zero"
    assert configure().get_options(match).muse_fwhm == 0.92
    own = configure(options={"match_bands": {"beyond": "missing", "hst_fwhm": 0.05}})
    assert own.get_options(match).beyond == "missing"
    assert own.get_options(match).hst_fwhm == 0.05


def test_option_without_a_default_is_asked_for_with_what_is_known():
    inputs = {name: INPUTS[name] for name in ("narrow", "continuum1")}
    content = {"galaxy": "ngc628c", "recipe": "chandar2025", "inputs": inputs}
    with pytest.raises(InputError, match=r"ebv is needed, found none: for ngc628c that is 0\.0607"):
        make_config(content)
    with pytest.raises(InputError, match="ebv is needed, found none: look it up"):
        make_config({**content, "galaxy": "m51"})


def test_option_is_shared_by_the_steps_that_need_it():
    config = configure(options={"correct_extinction": {"ebv": 0.25}})
    assert config.get_options(declare_steps.CORRECT_MUSE_EXTINCTION).ebv == 0.25


def test_recipe_says_which_products_become_files():
    assert configure().fits_names == CHANDAR2025.fits
    assert configure(output={"fits": ["hst_ha"]}).fits_names == ("hst_ha",)


def test_everything_is_made_of_everything_and_only_what_is_wanted_is_kept():
    made = plan()
    # The synthetic bands are files here: no cube need be folded.
    expected = {step.name for step in CHANDAR2025.steps} - {"fold_cube"}
    assert {one.name for one in made.steps} == expected
    kept = {name for one in made.steps for name in one.outputs}
    assert kept == set(CHANDAR2025.products) - {"nebula_mask"}
    assert not any(made.holes.values())


def test_stages_follow_the_images_from_grid_to_grid():
    stages = list_stages(plan())
    assert [(stage.grid, [one.name for one in stage.steps]) for stage in stages] == [
        (
            "muse",
            [
                *("extract_muse", "load_nebulae", "load_muse_bands", "correct_muse_extinction"),
                "subtract_muse_continuum",
            ],
        ),
        (
            "hst",
            ["load", "load_weights", "estimate_errors", "find_footprint", "calibrate_bands"],
        ),
        ("muse", ["match_bands"]),
        (
            "hst",
            [
                *("subtract_sky", "correct_extinction", "subtract_log_continuum", "correct_nii"),
                "divide_by_area",
            ],
        ),
        ("muse", ["correct_muse_nii", "divide_muse_by_area"]),
    ]
    # Both fits look at MUSE's small images, in one pass, though what they are for is HST's.
    assert list(list_measurements(stages[3], 2000)) == [("muse", ("subtract_sky", "correct_nii"))]
    # What a later stage takes is written, though it is not kept.
    assert stages[1].written == {*name_bands("_flux"), *name_bands("_flux_err")}


def test_tiles_that_read_finer_pixels_are_smaller():
    stages = list_stages(plan())
    fine, coarse = (
        get_grid(make_flux([[0.0]], header=make_header((1, 1), pixel=size))) for size in (0.04, 0.2)
    )
    sides = [choose_side(stage, {"hst": fine, "muse": coarse}, 2000) for stage in stages]
    assert sides == [2000, 2000, 400, 2000, 2000]


def test_weights_are_enough_and_nothing_is_measured_for_errors():
    assert find_step(plan(), "estimate_errors").looks_at == ()
    looked = find_step(plan(without=["narrow_weight"]), "estimate_errors").looks_at
    assert looked == (*BANDS, "continuum1_weight", "continuum2_weight")
    wanted = {"estimate_errors": {"pixel_noise": "measured"}}
    assert len(find_step(plan(options=wanted), "estimate_errors").looks_at) == 6


def test_without_muse_its_steps_are_left_out_and_nothing_is_measured():
    made = plan(without=MUSE)
    assert [one.name for one in made.steps] == [
        *("load", "load_weights", "estimate_errors", "find_footprint", "calibrate_bands"),
        *("subtract_sky", "correct_extinction", "subtract_log_continuum"),
    ]
    skies = find_step(made, "subtract_sky")
    assert skies.looks_at == skies.numbers == ()
    assert find_step(made, "subtract_log_continuum").outputs == ("hst_contsub", "hst_contsub_err")
    assert describe_hole(made.holes["correct_nii"]) == (
        "no input 'muse_narrow': muse_narrow -> load_muse_bands -> muse_narrow_flux -> "
        "correct_muse_extinction -> muse_narrow_corrected -> subtract_muse_continuum -> "
        "muse_contsub -> correct_nii -> hst_ha"
    )


def test_star_mask_alone_is_nothing_to_measure():
    made = plan(without=[name for name in MUSE if name != "star_mask"])
    assert not find_step(made, "subtract_sky").looks_at


def test_one_continuum_has_errors_too():
    gone = ("continuum2", "continuum2_weight", "muse_continuum2")
    made = plan(without=gone)
    assert not [name for one in made.steps for name in one.outputs if "continuum2" in name]
    assert find_step(made, "correct_nii").outputs == ("hst_ha", "hst_ha_err")


def test_product_that_cannot_be_made_is_refused_with_the_path():
    message = (
        "[output] asks for continuum2_weight, which cannot be made: no input 'continuum2_weight': "
        "continuum2_weight -> load_weights -> continuum2_weight: give the input"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        plan(without=("continuum2_weight",), output={"products": ["continuum2_weight"]})


def record(made):
    written = {name for stage in list_stages(made) for name in stage.written}
    return {
        one.name: {"key": one.key, "outputs": [n for n in one.step.outputs if n in written]}
        for one in made.steps
    }


def test_nothing_is_redone_though_images_between_were_not_kept():
    assert plan(records=record(plan())).pending == ()


def test_weight_that_comes_later_redoes_what_it_touches():
    records = record(plan(without=("continuum2_weight",)))
    assert {one.name for one in plan(records=records).pending} == {
        *("load_weights", "estimate_errors", "calibrate_bands"),
        *("match_bands", "subtract_sky", "correct_extinction", "subtract_log_continuum"),
        *("correct_nii", "correct_muse_nii", "divide_by_area", "divide_muse_by_area"),
    }


def test_changed_option_redoes_what_was_not_kept_for_it():
    records = record(plan())
    changed = {"subtract_log_continuum": {"keep_unsubtracted": False}}
    pending = [one.name for one in plan(records=records, options=changed).pending]
    # The calibrated bands lie between two stages and were written; what follows them was not.
    assert pending[:3] == ["subtract_sky", "correct_extinction", "subtract_log_continuum"]
    assert not {"load", "calibrate_bands", "match_bands"} & set(pending)


def test_only_the_error_that_is_wanted_and_what_it_needs_is_made():
    made = plan(output={"products": ["hst_contsub"], "fits": []})
    assert find_step(made, "subtract_log_continuum").outputs == ("hst_contsub",)
    assert {one.name for one in made.steps} >= {"match_bands", "load_muse_bands"}
    assert "correct_nii" not in {one.name for one in made.steps}


def test_recipe_refuses_steps_that_do_not_fit_together():
    def lone(nowhere, *, options=None): ...

    step = Step(lone, NoOptions, ("narrow",), looks_at=("elsewhere",))
    with pytest.raises(ValueError, match=r"made twice: \['narrow'\]") as found:
        Recipe(
            "odd",
            "odd",
            (step, declare_steps.LOAD),
            ("lost",),
            ("gone",),
            "narrow",
            {"no_step": {}},
        )
    for words in ("lone takes nowhere", "lone looks at elsewhere", "'lost'", "'no_step'", "'gone'"):
        assert words in str(found.value)


def test_summary_needs_all_numbers_of_its_step():
    step = declare_steps.REMOVE_COSMIC_RAYS
    numbers = {
        "sky_median": 0.0,
        "sky_std": 1.0,
        "sources": 46.0,
        "cosmic_rays": np.array([[1, 2], [3, 4]]),
    }
    assert step.summarize(numbers) == "cosmic rays: 2 of 46 sources"
    assert step.summarize({"sources": 46.0}) == ""
    assert declare_steps.LOAD.summarize(numbers) == ""


def test_declared_words_are_in_the_vocabulary():
    for recipe in RECIPES.values():
        for step in recipe.steps:
            assert set(step.outputs) <= set(PRODUCTS)
            assert set(step.sources) <= set(SOURCES)
            assert set(step.found) <= set(NUMBERS)
            assert {PRODUCTS[name].grid for name in step.outputs} <= {step.grid}


def test_published_files_are_images_that_hst_and_muse_have():
    assert len(BARNES2023.fits) == 18
    assert {PRODUCTS[name].units for name in BARNES2023.fits} == {COUNTS, FLUX, ""}
