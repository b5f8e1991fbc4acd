"""Some damaged files and configurations of each kind; `python -m tests.fuzz` tries many."""

import random
from collections import Counter

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import damage
from tests.fuzz.__main__ import try_example
from tests.fuzz.field import FILES, Outcome, measure, try_field, try_image, write_inputs

# Enough for a machine under any load; an example takes .1 s.
WATCH = 120.0


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("fuzz"))


def test_field_that_is_not_damaged_is_used(config):
    assert try_field(config, run=True, limit=WATCH).state == "used"
    assert try_image(config.parent / "data" / FILES["weight"], WATCH).state == "used"


@settings(derandomize=True, max_examples=40, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_input_is_used_or_told(config, seed):
    kind, how, outcome = try_example(config, seed, run=seed % 4 == 0, limit=WATCH)
    assert outcome.state in ("used", "told"), f"{kind}, {how}: {outcome}"


def test_every_kind_of_damage_changes_the_file(config):
    content = (config.parent / "data" / FILES["maps"]).read_bytes()
    for name, kind in damage.KINDS.items():
        changed = sum(kind(random.Random(seed), content) != content for seed in range(20))
        assert changed >= 10, name
    text = config.read_text()
    assert len({damage.change_line(random.Random(seed), text) for seed in range(50)}) > 30


def test_fault_of_our_own_is_a_traceback(config, monkeypatch):
    monkeypatch.setattr("phangs_xr.io.fits.FitsArray", None)
    outcome = try_field(config, run=False, limit=WATCH)
    assert outcome.state == "traceback"
    assert "'NoneType' object is not callable" in outcome.text
    assert try_image(config.parent / "data" / FILES["weight"], WATCH).state == "traceback"


def test_example_without_end_is_seen():
    def hang():
        while True:
            pass

    assert measure(hang, 0.05).state == "hung"


def test_examples_are_of_all_kinds(config, monkeypatch):
    used = Outcome("used", "", 0.0)
    monkeypatch.setattr("tests.fuzz.__main__.try_field", lambda *given: used)
    monkeypatch.setattr("tests.fuzz.__main__.try_image", lambda *given: used)
    kinds = Counter(try_example(config, seed, False, WATCH)[0] for seed in range(300))
    assert set(kinds) == {*FILES, "configuration"}
