"""Some damaged files and configurations of each kind; `python -m tests.fuzz` tries many."""

from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import outcomes
from tests.fuzz.damage import CHANGES, Damage, damage_configuration, damage_file, draw_damage
from tests.fuzz.outcomes import Bench
from tests.fuzz.pristine import WEIGHT, make_files


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("fuzz"))


def test_what_is_not_damaged_is_used(bench):
    for name, content in bench.files.items():
        target = "configuration" if name == "field.toml" else name
        outcome = bench.try_damage(Damage("none", target, "", content), compute=True)
        assert outcome.result == "used", f"{name}: {outcome.text}"


@settings(derandomize=True, max_examples=80, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_damaged_is_used_or_told(bench, seed):
    damage = draw_damage(Random(seed))
    outcome = bench.try_damage(damage, compute=seed % 3 == 0)
    assert outcome.result in ("used", "told"), f"{damage}: {outcome.text}"


@pytest.mark.parametrize("kind", CHANGES)
def test_damage_is_damage(kind):
    content = make_files()[WEIGHT]
    changed = [CHANGES[kind](Random(seed), content)[0] != content for seed in range(20)]
    assert sum(changed) >= 10


def test_every_file_is_damaged_and_the_configuration():
    targets = {draw_damage(Random(seed)).target for seed in range(300)}
    assert targets == {*make_files(), "configuration"}
    assert damage_file(Random(1), WEIGHT).target == WEIGHT
    assert len({damage_configuration(Random(seed)).content for seed in range(50)}) > 40


def test_a_fault_of_our_own_is_a_traceback(bench, monkeypatch):
    monkeypatch.setattr("phangs_xr.io.fits.FitsArray", None)
    for name in (WEIGHT, "narrow_f658n_sci.fits"):
        damage = Damage("none", name, "", bench.files[name])
        outcome = bench.try_damage(damage, compute=False)
        assert outcome.result == "traceback"
        assert "'NoneType' object is not callable" in outcome.text


def test_what_never_ends_is_seen(bench, monkeypatch):
    def hang(*arguments):
        while True:
            pass

    monkeypatch.setattr(outcomes, "PATIENCE", 1)
    monkeypatch.setattr(outcomes, "_call", hang)
    damage = Damage("none", "configuration", "", bench.files["field.toml"])
    assert bench.try_damage(damage, compute=False).result == "hung"
