"""A field made for each finding shows it, and a clean field none."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr

from phangs_xr.cli import main
from phangs_xr.qa.measure.findings import ORDER, Finding, find_worst, list_findings
from phangs_xr.qa.measure.noise import Noise

GOOD = {"n": 50, "median_ratio": 1.0, "slope": 1.0, "slope_error": 0.01, "negative": 0}
STILL = {"shift": 0.02, "limit": 0.1}
QUIET = Noise(0.0, 10.0, 1.0)


@pytest.fixture
def judge(checked):
    """The findings of the finished field, some of whose numbers are others."""
    field, nebulae, *_ = checked

    def judge(shift=STILL, noise=QUIET, fits=None, attrs=None, drop=(), rows=nebulae, **numbers):
        tree = {node.path: node.to_dataset() for node in field.subtree}
        tree["/fits"] = tree["/fits"].assign(fits or {})
        tree["/"] = tree["/"].assign_attrs(attrs or {})
        for path, name in drop:
            tree[path] = tree[path].drop_vars(name)
        changed = xr.DataTree.from_dict(tree)
        fluxes = {"anchored": {**GOOD, **numbers}}
        return list_findings(changed, rows, fluxes, shift, {"anchored": noise})

    return judge


def test_clean_field_has_only_notes(judge):
    found = judge()
    assert {one.severity for one in found} == {"note"}
    assert {"use", "nothing_wrong"} <= {one.code for one in found}
    assert find_worst(found) == "note"


@pytest.mark.parametrize(
    ("code", "severity", "change", "words"),
    [
        ("shift", "problem", {"shift": {"shift": 0.25}}, "shifted by 0.250″, more than 0.1″"),
        ("shift_unknown", "warning", {"shift": {"shift": np.nan}}, "could not be measured"),
        ("fit_anchor", "problem", {"fits": {"slope": -0.2}}, "Smoothed HST falls where MUSE rises"),
        ("ratio", "warning", {"median_ratio": 1.31}, "median ratio to MUSE's is 1.31"),
        ("slope", "warning", {"slope": 0.7}, "slope of the one's logarithm is 0.70"),
        ("not_positive", "warning", {"negative": 9}, "18% of the nebulae are not positive"),
        ("nothing_covered", "warning", {"n": 0}, "No nebula is covered"),
        ("sky_left", "warning", {"noise": Noise(4.0, 10.0, 1.0)}, r"level is +0.40 of its noise"),
        ("cosmic_rays", "warning", {"fits": {"cosmic_pixels": 9e4}}, "cosmic rays were cut"),
        ("unsubtracted", "warning", {"fits": {"unsubtracted": 9e3}}, "no continuum was subtracted"),
        ("no_muse", "warning", {"drop": [("/muse", "musehalpha")]}, "no MUSE map"),
        ("coverage", "note", {"n": 3}, "both cover only"),
        (
            "without_continuum2",
            "note",
            {"attrs": {"inputs": {"narrow": {}}}},
            "Without continuum2, the colour of the stars is not known",
        ),
        ("shift_taken_out", "note", {"shift": {"shift": 0.2, "taken_out": True}}, "taken out"),
    ],
)
def test_each_fault_is_found(judge, code, severity, change, words):
    found = judge(**change)
    (one,) = (one for one in found if one.code == code)
    assert one.severity == severity
    assert words in one.sentence
    if severity != "note":
        assert "nothing_wrong" not in {one.code for one in found}
    if one.number is not None and one.limit is not None and code != "coverage":
        assert abs(one.number - (code in ("ratio", "slope"))) > one.limit


def test_the_weightiest_comes_first(judge):
    found = judge(shift={"shift": 0.25}, median_ratio=1.4)
    places = [ORDER.index(one.severity) for one in found]
    assert places == sorted(places)
    assert [one.severity for one in found][:2] == ["problem", "warning"]
    assert find_worst(found) == "problem"


def test_no_finding_is_a_note():
    assert find_worst([]) == "note"
    assert find_worst([Finding("use", "note", ""), Finding("ratio", "warning", "")]) == "warning"


def test_qa_prints_and_writes_them_and_strict_exits_with_them(small_run, tmp_path, capsys):
    run = shutil.copytree(small_run, tmp_path / "run")
    with pytest.raises(SystemExit) as ended:
        main(["qa", str(run), "--no-report", "--strict", "--quiet"])
    said = capsys.readouterr().out
    written = json.loads((run / "qa/numbers.json").read_text())["findings"]
    assert [one["sentence"] in said for one in written] == [True] * len(written)
    assert {"code", "severity", "number", "limit", "sentence", "figure"} == set(written[0])
    worst = min(ORDER.index(one["severity"]) for one in written)
    assert ended.value.code == int(worst < ORDER.index("note"))
