"""What a run decides to do, from declarations and records alone: no image is opened here."""

import random
from dataclasses import replace

import pytest

from phangs_xr.engine.config import make_config
from phangs_xr.engine.dependencies import (
    describe_hole,
    find_dependants,
    find_reach,
    order_steps,
)
from phangs_xr.engine.plan import make_plan
from phangs_xr.engine.stages import list_stages
from phangs_xr.errors import InputError
from phangs_xr.recipes import BARNES2023
from phangs_xr.schema import NUMBERS

INPUTS = {
    "narrow": "n.fits",
    "continuum1": "c1.fits",
    "continuum2": "c2.fits",
    "muse": "NGC0628-0.92asec_MAPS.fits",
    "nebula_mask": "mask.fits",
    "star_mask": "stars.fits",
}
NAMES = [step.name for step in BARNES2023.steps]

# Who takes whose products, worked out from DESIGN's table.
TAKES_FROM = {
    "load": set(),
    "subtract_continuum": {"load"},
    "convert_units": {"subtract_continuum"},
    "subtract_background": {"convert_units"},
    "extract_muse": set(),
    "load_nebulae": {"extract_muse"},
    "regrid_muse": {"extract_muse", "load"},
    "smooth_hst": {"convert_units"},
    "compare_images": {"convert_units", "smooth_hst", "regrid_muse"},
    "anchor_halpha": {"convert_units", "compare_images"},
    "fill_negatives": {"anchor_halpha"},
    "fit_anchor": {"convert_units", "smooth_hst", "regrid_muse"},
    "add_noise": {"anchor_halpha", "fill_negatives"},
    "remove_cosmic_rays": {"anchor_halpha", "fill_negatives"},
}


def list_touched(*names):
    """The steps and all that comes after them."""
    touched = set(names)
    while True:
        more = {name for name, sources in TAKES_FROM.items() if sources & touched} - touched
        if not more:
            return touched
        touched |= more


def configure(without=(), **sections):
    inputs = {name: path for name, path in INPUTS.items() if name not in without}
    return make_config({"galaxy": "ngc0628", "inputs": inputs, **sections})


def digest(config, **changed):
    return {name: changed.get(name, f"digest of {name}") for name in config.inputs.given}


def plan(config, records=None, force=(), missing=(), version="1", **changed):
    return make_plan(
        config,
        digest(config, **changed),
        records or {},
        lambda name: name not in missing,
        force,
        version,
    )


def finish(made):
    """The records of a plan that was carried out."""
    return {one.name: {"key": one.key, "outputs": list(one.outputs)} for one in made.steps}


def find_step(made, name):
    return next(one for one in made.steps if one.name == name)


def list_pending(made):
    return {one.name for one in made.pending}


@pytest.mark.parametrize("seed", range(10))
def test_order_follows_from_what_steps_take(seed):
    steps = list(BARNES2023.steps)
    random.Random(seed).shuffle(steps)
    place = {step.name: number for number, step in enumerate(order_steps(steps))}
    assert set(place) == set(NAMES)
    for name, sources in TAKES_FROM.items():
        assert all(place[source] < place[name] for source in sources)


def test_steps_in_a_circle_are_refused():
    first, second = (
        step for step in BARNES2023.steps if step.name in ("smooth_hst", "convert_units")
    )
    turned = replace(first, outputs=("halpha_smoothed",))
    circle = [turned, replace(second, outputs=("halpha_raw",)), *BARNES2023.steps[1:2]]
    circle[1] = replace(second, outputs=("narrow", "continuum1", "halpha"))
    with pytest.raises(ValueError, match="steps wait for each other: "):
        order_steps(circle)


@pytest.mark.parametrize("name", NAMES)
def test_dependants_are_all_that_comes_after_a_step(name):
    assert find_dependants(BARNES2023.steps, {name}) == list_touched(name)


MASKLESS = ("muse", "nebula_mask", "star_mask")
KNOWN_FWHM = {"options": {"smooth_hst": {"muse_fwhm": 0.9}}}


def find(config):
    return find_reach(order_steps(config.steps), config.get_options, config.inputs.given).holes


def test_hole_is_the_path_from_what_is_missing_to_what_it_costs():
    holes = find(configure(without=MASKLESS, **KNOWN_FWHM))
    assert set(holes) == list_touched("extract_muse") | {"load_nebulae"}
    assert holes["anchor_halpha"] == (
        *("muse", "extract_muse", "musehalpha", "regrid_muse", "musehalpha_regrid"),
        *("compare_images", "hstmuseratio", "anchor_halpha", "anchored"),
    )
    assert describe_hole(holes["regrid_muse"]) == (
        "no input 'muse': muse -> extract_muse -> musehalpha -> regrid_muse -> musehalpha_regrid"
    )


def test_resolution_that_only_muse_could_tell_is_a_hole():
    holes = find(configure(without=MASKLESS))
    assert set(holes) == list_touched("extract_muse", "smooth_hst") | {"load_nebulae"}
    assert holes["smooth_hst"] == ("muse", "smooth_hst", "halpha_smoothed")


@pytest.mark.parametrize("name", ["continuum2", "nebula_mask", "star_mask"])
def test_input_that_may_be_missing_costs_no_step(name):
    assert not find(configure(without=(name,)))


def test_without_muse_its_steps_are_left_out():
    config = configure(without=MASKLESS, **KNOWN_FWHM)
    made = plan(config)
    assert [one.name for one in made.steps] == [
        *("load", "subtract_continuum", "convert_units", "subtract_background", "smooth_hst")
    ]
    assert made.holes["extract_muse"] == ("muse", "extract_muse", "musehalpha")


def test_masks_do_not_need_muse():
    made = plan(configure(without=("muse",)))
    assert find_step(made, "load_nebulae").inputs == ("nebula_mask", "star_mask")


def test_product_that_cannot_be_made_is_refused_with_the_path():
    config = configure(without=("muse",), output={"products": ["halpha", "anchored"]})
    message = r"asks for anchored, .* no input 'muse': muse -> .* -> anchor_halpha -> anchored: "
    with pytest.raises(InputError, match=message):
        plan(config)


def test_one_continuum_is_neither_taken_nor_made():
    made = plan(configure(without=("continuum2",)))
    assert find_step(made, "load").outputs == ("narrow", "continuum1")
    assert find_step(made, "subtract_continuum").inputs == ("narrow", "continuum1")


def test_first_run_does_everything():
    made = plan(configure())
    assert [one.name for one in made.pending] == [one.name for one in made.steps]
    assert list_pending(made) == set(NAMES)
    assert not any(made.holes.values())


def test_second_run_does_nothing():
    config = configure()
    assert not plan(config, finish(plan(config))).pending


def test_new_version_does_everything_again():
    config = configure()
    assert list_pending(plan(config, finish(plan(config)), version="2")) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_forced_step_is_redone_with_what_depends_on_it(name):
    config = configure()
    again = plan(config, finish(plan(config)), force=[name])
    assert list_pending(again) == list_touched(name)


def test_forcing_what_is_no_step_changes_nothing():
    config = configure()
    assert not plan(config, finish(plan(config)), force=["smooth"]).pending


CHANGES = {
    "convert_units": {"bandwidth": "rectangular", "rectangular_width": 75.0},
    "subtract_background": {"filter_size": 3},
    "regrid_muse": {"order": "bilinear"},
    "smooth_hst": {"hst_fwhm": 0.08},
    "compare_images": {"percentile": 0.2},
    "fill_negatives": {"threshold": 1.0},
    "fit_anchor": {"negative_sigma": 4.0},
    "add_noise": {"seed": 1},
    "remove_cosmic_rays": {"threshold": 6.0},
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_option_redoes_exactly_what_it_touches(name):
    config = configure()
    changed = configure(options={name: CHANGES[name]})
    assert list_pending(plan(changed, finish(plan(config)))) == list_touched(name)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("narrow", "load"),
        ("continuum1", "load"),
        ("continuum2", "load"),
        ("muse", "extract_muse"),
        ("nebula_mask", "load_nebulae"),
        ("star_mask", "load_nebulae"),
    ],
)
def test_changed_input_redoes_exactly_what_it_touches(name, step):
    config = configure()
    again = plan(config, finish(plan(config)), **{name: "another"})
    assert list_pending(again) == list_touched(step)


def test_second_continuum_taken_away_redoes_what_it_touches():
    records = finish(plan(configure()))
    assert list_pending(plan(configure(without=("continuum2",)), records)) == list_touched("load")


def test_result_of_changed_options_is_found_again_when_they_are_changed_back():
    config = configure()
    keys = {one.name: one.key for one in plan(config).steps}
    changed = configure(options={"smooth_hst": {"hst_fwhm": 0.2}})
    back = configure(options={"smooth_hst": {"hst_fwhm": 0.1}})
    assert {one.name: one.key for one in plan(back).steps} == keys
    assert {one.name: one.key for one in plan(changed).steps}["smooth_hst"] != keys["smooth_hst"]


@pytest.mark.parametrize(
    ("name", "step"), [("halpha", "convert_units"), ("nebula_mask", "load_nebulae")]
)
def test_product_lost_from_the_store_is_made_again(name, step):
    config = configure()
    assert list_pending(plan(config, finish(plan(config)), missing=[name])) == {step}


def test_step_without_a_record_is_not_done():
    config = configure()
    records = finish(plan(config))
    del records["fit_anchor"]
    assert list_pending(plan(config, records)) == {"fit_anchor"}


def test_only_what_is_wanted_and_what_it_needs_is_done():
    made = plan(configure(output={"products": ["halpha_bg"], "fits": []}))
    assert {one.name: set(one.outputs) for one in made.steps} == {
        "load": {"narrow", "continuum1", "continuum2"},
        "subtract_continuum": {"halpha_raw"},
        "convert_units": {"halpha"},
        "subtract_background": {"halpha_bg"},
    }
    assert made.holes["extract_muse"] == ()


def test_number_that_is_needed_brings_its_step():
    made = plan(configure(output={"products": ["anchored"]}))
    assert find_step(made, "compare_images").outputs == ("hstmuseratio", "hstmusediff")
    assert "offset" in find_step(made, "anchor_halpha").number_inputs
    assert "fit_anchor" not in {one.name for one in made.steps}


def test_fits_file_that_is_wanted_brings_its_product():
    made = plan(configure(output={"products": ["halpha"], "fits": ["halpha_bg"]}))
    assert find_step(made, "subtract_background").outputs == ("halpha_bg",)


def test_fewer_products_than_there_are_redo_nothing():
    records = finish(plan(configure()))
    assert not plan(configure(output={"products": ["anchored"]}), records).pending


def test_more_products_than_there_are_redo_their_step_alone():
    records = finish(plan(configure(output={"products": ["halpha_bg", "anchored"]})))
    again = plan(configure(output={"products": ["halpha_bg", "halpha_bgsub"]}), records)
    assert list_pending(again) == {"subtract_background"}


def check_stages(made):
    """Stages hold the pending steps once each, on one grid, after all they must read whole."""
    stages = list_stages(made)
    there = {name for one in made.steps if one.done for name in (*one.outputs, *one.step.numbers)}
    for stage in stages:
        inside = set()
        for one in stage.steps:
            assert one.step.grid == stage.grid
            assert set(one.looks_at) - set(one.step.sources) <= there
            needs = {name for name in one.inputs if name not in one.step.sources}
            assert needs <= there | inside
            inside |= {*one.outputs, *one.step.numbers}
        assert {one.name for one in stage.measuring} == {
            one.name for one in stage.steps if one.numbers
        }
        there |= inside
    names = [one.name for stage in stages for one in stage.steps]
    assert sorted(names) == sorted(list_pending(made))
    return [[one.name for one in stage.steps] for stage in stages]


def test_stages_read_every_image_as_seldom_as_can_be():
    assert check_stages(plan(configure())) == [
        ["extract_muse", "load_nebulae"],
        ["load", "subtract_continuum", "convert_units", "regrid_muse", "smooth_hst"],
        ["subtract_background", "compare_images", "anchor_halpha", "fill_negatives", "fit_anchor"],
        ["add_noise", "remove_cosmic_rays"],
    ]


@pytest.mark.parametrize("seed", range(25))
def test_stages_hold_whatever_is_done_already(seed):
    config = configure()
    records = finish(plan(config))
    lost = random.Random(seed).sample(NAMES, random.Random(seed).randrange(1, len(NAMES)))
    kept = {name: record for name, record in records.items() if name not in lost}
    made = plan(config, kept, force=lost[:1])
    assert list_pending(made) == set(lost) | list_touched(lost[0])
    check_stages(made)


def test_numbers_are_no_images():
    for one in plan(configure()).steps:
        assert not set(one.image_inputs) & set(NUMBERS)
        assert set(one.number_inputs) <= set(NUMBERS)
