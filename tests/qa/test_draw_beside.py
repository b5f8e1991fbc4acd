"""Figures drawn by a process beside are those drawn here; what goes wrong there is told here."""

import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import phangs_xr
from phangs_xr.engine.config import Output, load_config
from phangs_xr.engine.runner import Runner
from phangs_xr.errors import InputError
from phangs_xr.io.zarr import FieldStore, find_store, open_store
from phangs_xr.qa.measure.measurements import Measured
from phangs_xr.qa.report import draw_beside
from phangs_xr.qa.report.draw_beside import PapersBeside, prepare_papers
from phangs_xr.qa.report.draw_on_paper import PapersHere


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(draw_beside, "cpu_count", lambda: 2)


def open_papers(finished, out, runner=None):
    location = find_store(finished)
    return prepare_papers(open_store(location, chunked=False), location, out, runner)


def measure(checked) -> Measured:
    from phangs_xr.qa.measure.overviews import reduce_field

    field, nebulae, numbers, _ = checked
    return Measured(nebulae, numbers, reduce_field(field))


@pytest.mark.slow
def test_figures_drawn_beside_are_those_drawn_here(two_cores, finished, checked, report, tmp_path):
    """Nor are nebulae read that this process is replacing: at times it has written half of them."""
    shutil.copytree(finished, tmp_path / "run")
    location = find_store(tmp_path / "run")
    field = open_store(location, chunked=False)
    FieldStore(location).write_table(checked[1])
    for array in Path(location, "nebulae").glob("*/zarr.json"):
        array.write_text("{")
    with prepare_papers(field, location, tmp_path / "qa") as papers:
        assert isinstance(papers, PapersBeside)
        papers.draw(measure(checked))
        assert papers.finish() == {}
    drawn = sorted(path.name for path in (tmp_path / "qa").iterdir())
    assert len(drawn) == 16
    for name in drawn:
        assert (tmp_path / "qa" / name).read_bytes() == (report.parent / name).read_bytes(), name


@pytest.mark.slow
def test_figures_that_cannot_be_drawn_beside_are_named(two_cores, small, tmp_path):
    config = replace(load_config(small), output=Output(products=("halpha",), fits=()))
    phangs_xr.run(config, tmp_path / "run")
    with open_papers(tmp_path / "run", tmp_path / "qa") as papers:
        papers.draw(Measured())
        failures = papers.finish()
    # Of one map alone: the maps and their noise, and no others.
    assert set(failures) == {"fluxes", "gallery", "histogram2d", "cosmic_rays"}
    assert "flux_muse" in failures["fluxes"]
    assert (tmp_path / "qa/maps.png").exists()


def test_what_stops_the_process_is_raised_here(two_cores, finished, tmp_path):
    (tmp_path / "qa").write_text("a file where the directory should be")
    with open_papers(finished, tmp_path / "qa") as papers:
        papers.draw(Measured())
        with pytest.raises(FileExistsError) as caught:
            papers.finish()
    assert any("draw_papers" in note for note in caught.value.__notes__)


def test_a_mistake_of_the_user_stays_one(two_cores, finished, tmp_path):
    field = open_store(find_store(finished), chunked=False)
    missing = str(tmp_path / "nowhere.zarr")
    with prepare_papers(field, missing, tmp_path) as papers:
        papers.draw(Measured())
        with pytest.raises(InputError, match=r"nowhere\.zarr"):
            papers.finish()


def test_a_process_that_dies_is_told(two_cores, finished, tmp_path):
    with open_papers(finished, tmp_path) as papers:
        papers._process.send_signal(signal.SIGKILL)
        papers._process.wait()
        papers.draw(Measured())
        with pytest.raises(InputError, match=r"found it ended with -9.*--threads 1"):
            papers.finish()


def test_no_process_outlives_an_interruption(two_cores, finished, tmp_path):
    papers = open_papers(finished, tmp_path)
    drawing = papers.__enter__()
    drawing.draw(Measured())
    stop = KeyboardInterrupt()
    assert not papers.__exit__(KeyboardInterrupt, stop, None)
    assert drawing._process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("cores", "threads"), [(1, None), (1, 2), (2, 1)])
def test_one_core_draws_in_one_process(cores, threads, monkeypatch, finished, tmp_path):
    monkeypatch.setattr(draw_beside, "cpu_count", lambda: cores)
    with open_papers(finished, tmp_path, Runner(threads=threads)) as papers:
        assert isinstance(papers, PapersHere)


def test_the_process_finds_modules_as_this_one_does(two_cores, monkeypatch, finished, tmp_path):
    """The package may have been found by a path that only this process knows."""
    (tmp_path / "probe.py").write_text("import sys; print('found', file=sys.__stdout__)")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(draw_beside, "_CODE", "import probe")
    with open_papers(finished, tmp_path) as papers:
        assert papers._process.communicate()[0] == b"found\n"
