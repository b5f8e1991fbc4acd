"""What a step declares, tried on a recipe of which no step is written yet: `chandar2025`.

Its steps take bands with their errors and weights, on two grids, most of them optional. The
functions here only have the parameters of the real ones.
"""

import re
from dataclasses import dataclass

import pytest

from phangs_xr.engine.config import make_config
from phangs_xr.engine.dependencies import describe_hole
from phangs_xr.engine.plan import make_plan
from phangs_xr.engine.stages import list_measurements, list_stages
from phangs_xr.errors import InputError
from phangs_xr.recipes import BARNES2023, RECIPES, Recipe, Step, declare_steps
from phangs_xr.schema import COUNTS, FLUX, NUMBERS, PRODUCTS, SOURCES, Number, Product, Source

BANDS = ("narrow", "continuum1", "continuum2")


@dataclass(frozen=True)
class NoOptions:
    """Options of steps that are not written."""


@dataclass(frozen=True)
class Smooth:
    """Options with a resolution that a file's name gives."""

    hst_fwhm: float = 0.1
    muse_fwhm: float | None = None


class LookAtNothing:
    """A reduction of which only the cell is asked."""

    cell = 1


def find_nothing(options):
    return LookAtNothing()


# fmt: off
def load_bands(
    narrow, continuum1, continuum2=None,
    narrow_weight=None, continuum1_weight=None, continuum2_weight=None, *, options=None,
): ...
def load_muse_bands(muse_narrow, muse_continuum1, muse_continuum2=None, *, options=None): ...
def smooth_bands(narrow, continuum1, continuum2=None, *, options=None): ...
def regrid_bands(
    muse_narrow_flux, narrow_smoothed, continuum1_smoothed, continuum2_smoothed=None,
    *, options=None,
): ...
def subtract_skies(
    narrow, continuum1, continuum2=None, narrow_err=None, continuum1_err=None, continuum2_err=None,
    narrow_on_muse=None, continuum1_on_muse=None, continuum2_on_muse=None,
    muse_narrow_flux=None, muse_continuum1_flux=None, muse_continuum2_flux=None, star_mask=None,
    *, measured=None, options=None,
): ...
def subtract_log_continuum(
    narrow_bgcorr, continuum1_bgcorr, continuum2_bgcorr=None,
    narrow_bgcorr_err=None, continuum1_bgcorr_err=None, continuum2_bgcorr_err=None,
    *, options=None,
): ...
def subtract_muse_continuum(
    muse_narrow_flux, muse_continuum1_flux, muse_continuum2_flux=None, *, options=None
): ...
def correct_nii(
    hst_contsub, muse_contsub_ha, musehalpha, hst_contsub_err=None, star_mask=None,
    *, measured=None, options=None,
): ...
# fmt: on


def name_bands(suffix, prefix=""):
    return tuple(f"{prefix}{band}{suffix}" for band in BANDS)


def only_with(suffix, needed, prefix=""):
    """The second continuum's products are made only with this of the second continuum."""
    return {f"{prefix}continuum2{suffix}": (f"{prefix}continuum2{needed}",)}


WEIGHTS = {f"{band}_err": (f"{band}_weight",) for band in BANDS}

NEW_STEPS = (
    Step(
        load_bands,
        NoOptions,
        (*BANDS, *name_bands("_err")),
        sources=(*BANDS, *name_bands("_weight")),
        only_with=WEIGHTS,
    ),
    Step(
        load_muse_bands,
        NoOptions,
        name_bands("_flux", "muse_"),
        grid="muse",
        sources=name_bands("", "muse_"),
        only_with=only_with("_flux", "", "muse_"),
    ),
    Step(
        smooth_bands,
        Smooth,
        name_bands("_smoothed"),
        only_with=only_with("_smoothed", ""),
        find_halo=lambda options, grid: 50,
        resolutions={"muse_fwhm": "muse"},
    ),
    Step(
        regrid_bands,
        NoOptions,
        name_bands("_on_muse"),
        grid="muse",
        only_with=only_with("_on_muse", "_smoothed"),
    ),
    Step(
        subtract_skies,
        NoOptions,
        (*name_bands("_bgcorr"), *name_bands("_bgcorr_err")),
        only_with={
            **only_with("_bgcorr", ""),
            **{f"{band}_bgcorr_err": (f"{band}_err",) for band in BANDS},
        },
        reduce=find_nothing,
        looks_at=(*name_bands("_on_muse"), *name_bands("_flux", "muse_"), "star_mask"),
        numbers=("sky_slopes", "sky_intercepts"),
    ),
    Step(subtract_log_continuum, NoOptions, ("hst_contsub", "hst_contsub_err")),
    declare_steps.EXTRACT_MUSE,
    declare_steps.LOAD_NEBULAE,
    Step(subtract_muse_continuum, NoOptions, ("muse_contsub_ha",), grid="muse"),
    Step(
        correct_nii,
        NoOptions,
        ("hst_ha", "hst_ha_err"),
        reduce=find_nothing,
        looks_at=("muse_contsub_ha", "musehalpha", "star_mask"),
        numbers=("nii_slope",),
    ),
)

FITS = ("hst_contsub", "hst_contsub_err", "hst_ha", "hst_ha_err", "muse_contsub_ha")

INPUTS = {
    **{name: f"{name}.fits" for name in (*BANDS, *name_bands("_weight"), *name_bands("", "muse_"))},
    "muse": "NGC0628-0.92asec_MAPS.fits",
    "star_mask": "stars.fits",
}
MUSE = ("muse", *name_bands("", "muse_"), "star_mask")


@pytest.fixture(autouse=True)
def chandar2025(monkeypatch):
    """The recipe, and its words in the vocabulary, as the next issue will add them."""
    for name in (*name_bands("_weight"), *name_bands("", "muse_")):
        grid = "muse" if name.startswith("muse") else "hst"
        monkeypatch.setitem(SOURCES, name, Source(name, grid, name))
    for step in NEW_STEPS:
        for name in step.outputs:
            monkeypatch.setitem(PRODUCTS, name, Product(name, step.grid, FLUX, name))
        for name in step.numbers:
            monkeypatch.setitem(NUMBERS, name, Number(FLUX, name))
    recipe = Recipe("chandar2025", "A trial", NEW_STEPS, FITS, {"smooth_bands": {"hst_fwhm": 0.07}})
    monkeypatch.setitem(RECIPES, "chandar2025", recipe)
    return recipe


def configure(without=(), **sections):
    """A configuration of the new recipe; its inputs need no model of their own here."""
    narrow = {name: INPUTS[name] for name in ("narrow", "continuum1")}
    content = {"galaxy": "ngc0628", "recipe": "chandar2025", "inputs": narrow, **sections}
    if "muse" not in without:
        content["inputs"]["muse"] = INPUTS["muse"]
    return make_config(content)


def plan(without=(), records=None, **sections):
    digests = {name: name for name in INPUTS if name not in without}
    return make_plan(configure(without, **sections), digests, records or {}, lambda name: True)


def find_step(made, name):
    return next(one for one in made.steps if one.name == name)


def test_recipe_has_defaults_of_its_own_that_a_configuration_overrides():
    smooth = NEW_STEPS[2]
    assert configure().get_options(smooth) == Smooth(hst_fwhm=0.07, muse_fwhm=0.92)
    own = configure(options={"smooth_bands": {"hst_fwhm": 0.05}})
    assert own.get_options(smooth) == Smooth(hst_fwhm=0.05, muse_fwhm=0.92)


def test_recipe_says_which_products_become_files():
    assert configure().fits_names == FITS
    assert configure(output={"fits": ["hst_ha"]}).fits_names == ("hst_ha",)


def test_everything_is_made_of_everything():
    made = plan()
    assert {one.name for one in made.steps} == {step.name for step in NEW_STEPS}
    for one in made.steps:
        declared = {"load_nebulae": ("star_mask",)}.get(one.name, one.step.outputs)
        assert one.outputs == declared
    assert not any(made.holes.values())


def test_stages_follow_the_images_from_grid_to_grid():
    stages = list_stages(plan())
    assert [(stage.grid, [one.name for one in stage.steps]) for stage in stages] == [
        *[("muse", ["load_muse_bands", "extract_muse", "load_nebulae", "subtract_muse_continuum"])],
        *[("hst", ["load_bands", "smooth_bands"])],
        *[("muse", ["regrid_bands"])],
        *[("hst", ["subtract_skies", "subtract_log_continuum", "correct_nii"])],
    ]
    # Both fits look at MUSE's small images, in one pass, though what they are for is HST's.
    assert list(list_measurements(stages[-1], 2000)) == [
        ("muse", ("subtract_skies", "correct_nii"))
    ]


def test_without_muse_its_steps_are_left_out_and_nothing_is_measured():
    made = plan(without=MUSE)
    assert [one.name for one in made.steps] == [
        *("load_bands", "subtract_skies", "subtract_log_continuum")
    ]
    skies = find_step(made, "subtract_skies")
    assert skies.looks_at == skies.numbers == ()
    assert find_step(made, "subtract_log_continuum").outputs == ("hst_contsub", "hst_contsub_err")
    assert describe_hole(made.holes["correct_nii"]) == (
        "no input 'muse_narrow': muse_narrow -> load_muse_bands -> muse_narrow_flux -> "
        "subtract_muse_continuum -> muse_contsub_ha -> correct_nii -> hst_ha"
    )


def test_star_mask_alone_is_nothing_to_measure():
    made = plan(without=[name for name in MUSE if name != "star_mask"])
    assert find_step(made, "subtract_skies").inputs[-1] == "star_mask"
    assert not find_step(made, "subtract_skies").looks_at


def test_errors_are_made_where_all_inputs_have_theirs():
    made = plan(without=name_bands("_weight"))
    assert [name for one in made.steps for name in one.outputs if name.endswith("_err")] == []
    partly = plan(without=("continuum2_weight",))
    assert find_step(partly, "load_bands").outputs == (*BANDS, "narrow_err", "continuum1_err")
    assert find_step(partly, "subtract_log_continuum").outputs == ("hst_contsub",)


def test_one_continuum_has_errors_too():
    gone = ("continuum2", "continuum2_weight", "muse_continuum2")
    made = plan(without=gone)
    assert not [name for one in made.steps for name in one.outputs if "continuum2" in name]
    assert find_step(made, "correct_nii").outputs == ("hst_ha", "hst_ha_err")


def test_error_that_cannot_be_made_is_refused_with_the_path():
    message = (
        "[output] asks for hst_contsub_err, which cannot be made: no input 'continuum2_weight': "
        "continuum2_weight -> load_bands -> continuum2_err -> subtract_skies -> "
        "continuum2_bgcorr_err -> subtract_log_continuum -> hst_contsub_err: give the input"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        plan(without=("continuum2_weight",), output={"products": ["hst_contsub_err"]})


def test_weight_that_comes_later_redoes_what_it_touches():
    before = plan(without=("continuum2_weight",))
    records = {one.name: {"key": one.key, "outputs": list(one.outputs)} for one in before.steps}
    assert {one.name for one in plan(records=records).pending} == {
        *("load_bands", "smooth_bands", "regrid_bands", "subtract_skies"),
        *("subtract_log_continuum", "correct_nii"),
    }


def test_only_the_error_that_is_wanted_and_what_it_needs_is_made():
    made = plan(output={"products": ["hst_contsub"], "fits": []})
    assert find_step(made, "subtract_log_continuum").outputs == ("hst_contsub",)
    assert {one.name for one in made.steps} >= {"regrid_bands", "load_muse_bands"}
    assert "correct_nii" not in {one.name for one in made.steps}


def test_recipe_refuses_steps_that_do_not_fit_together():
    def lone(nowhere, *, options=None): ...

    step = Step(lone, NoOptions, ("narrow",), looks_at=("elsewhere",))
    with pytest.raises(ValueError, match=r"made twice: \['narrow'\]") as found:
        Recipe("odd", "odd", (step, declare_steps.LOAD), ("lost",), {"no_step": {}})
    for words in ("lone takes nowhere", "lone looks at elsewhere", "'lost'", "'no_step'"):
        assert words in str(found.value)


def test_summary_needs_all_numbers_of_its_step():
    step = declare_steps.REMOVE_COSMIC_RAYS
    numbers = {"sky_median": 0.0, "sky_std": 1.0, "sources": 46.0, "cosmic_rays": [[1, 2], [3, 4]]}
    assert step.summarize(numbers) == "cosmic rays: 2 of 46 sources"
    assert step.summarize({"sources": 46.0}) == ""
    assert declare_steps.LOAD.summarize(numbers) == ""


def test_declared_words_are_in_the_vocabulary():
    for recipe in RECIPES.values():
        for step in recipe.steps:
            assert set(step.outputs) <= set(PRODUCTS)
            assert set(step.sources) <= set(SOURCES)
            assert set(step.numbers) <= set(NUMBERS)
            assert {PRODUCTS[name].grid for name in step.outputs} == {step.grid}


def test_published_files_are_images_that_hst_and_muse_have():
    assert len(BARNES2023.fits) == 18
    assert {PRODUCTS[name].units for name in BARNES2023.fits} == {COUNTS, FLUX, ""}
