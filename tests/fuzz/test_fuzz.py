"""Damaged files and configurations are used or told of; `-m tests.fuzz` tries more."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.damage import Damage, draw_damage
from tests.fuzz.outcomes import Bench
from tests.fuzz.pristine import make_files


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", [*make_files(), "configuration"])
def test_fuzz__the_field_itself_is_used(bench, name):
    """Otherwise everything might be told of, whatever the damage."""
    content = bench.files["field.toml" if name == "configuration" else name]
    outcome = bench.try_damage(Damage("none", name, "", content), compute=name == "configuration")
    assert outcome.result == "used", outcome.text


# The same examples each time; the patience is in `try_damage`.
@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(rng=st.randoms(use_true_random=False))
def test_fuzz__damage_is_used_or_told_of(bench, rng: Random):
    damage = draw_damage(rng)
    outcome = bench.try_damage(damage, compute=rng.random() < 0.3)
    assert outcome.result in ("used", "told"), f"{damage}: {outcome.text}"


def test_fuzz__a_fault_of_our_own_is_found(bench, monkeypatch):
    def fail(*args):
        raise KeyError("a fault of ours")

    name = "mask.fits"
    monkeypatch.setattr("phangs_xr.io.fits._get_dtype", fail)
    outcome = bench.try_damage(Damage("none", name, "", bench.files[name]), compute=False)
    assert outcome.result == "traceback"
    assert "a fault of ours" in outcome.text


def test_fuzz__what_hangs_is_found(bench, monkeypatch):
    def wait(*args):
        while True:
            pass

    name = "mask.fits"
    monkeypatch.setattr("tests.fuzz.outcomes.PATIENCE", 1)
    monkeypatch.setattr("phangs_xr.io.fits._get_dtype", wait)
    outcome = bench.try_damage(Damage("none", name, "", bench.files[name]), compute=False)
    assert outcome.result == "hung"
