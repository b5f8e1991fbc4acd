"""What is in a store still holds: tables, inputs and room, whatever came before."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.table import Table

import phangs_xr
from phangs_xr.cli import main
from phangs_xr.engine.config import load_config
from phangs_xr.engine.field import count_bytes, prepare_field
from phangs_xr.engine.run_stage import _finish_steps
from phangs_xr.errors import InputError
from phangs_xr.io.zarr import FieldStore, find_store
from phangs_xr.qa import check_field
from phangs_xr.schema import FLUX
from phangs_xr.sky import get_grid
from tests.configs import write_config
from tests.images import make_flux, make_header

SMALL = 300_000
"""More than all in a store that is not an image [byte]."""
WITHOUT_CATALOGUE = ["nebula_catalogue"]
CHANGED = "\n[options.add_noise]\nseed = 99\n"


@pytest.fixture
def config(small, tmp_path):
    return write_config(tmp_path / "field.toml", small)


@pytest.fixture
def done(small_run, tmp_path):
    """What is in the store after a run of the configuration."""
    shutil.copytree(small_run, tmp_path / "out")
    return phangs_xr.open_store(tmp_path / "out")


def run(config, tmp_path):
    return phangs_xr.run(config, tmp_path / "out", chunk=200)


def measure(tmp_path):
    check_field(tmp_path / "out", report=False)
    return phangs_xr.open_store(tmp_path / "out")["nebulae"]


def change(config):
    config.write_text(config.read_text() + CHANGED)


def test_nebulae_measured_on_old_images_are_dropped(small, tmp_path):
    config = write_config(tmp_path / "field.toml", small, without=WITHOUT_CATALOGUE)
    run(config, tmp_path)
    assert "flux_halpha" in measure(tmp_path)
    assert "nebulae" in run(config, tmp_path).children
    change(config)
    assert "nebulae" not in run(config, tmp_path).children


def test_measured_nebulae_stay_as_long_as_nothing_changes(config, done, tmp_path):
    found = measure(tmp_path).to_dataset().load()
    assert run(config, tmp_path)["nebulae"].to_dataset().load().identical(found)


def test_run_killed_before_its_tables_leaves_no_old_measurements(
    config, done, tmp_path, monkeypatch
):
    rows = set(done["nebulae"].data_vars)
    assert set(measure(tmp_path).data_vars) > rows
    change(config)
    with monkeypatch.context() as patch:
        patch.setattr("phangs_xr.engine.run._write_tables", lambda ready: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(config, tmp_path)
    assert set(run(config, tmp_path)["nebulae"].data_vars) == rows


def test_store_of_a_run_killed_before_its_first_product_can_be_opened(
    config, tmp_path, monkeypatch
):
    monkeypatch.setattr("phangs_xr.engine.run.run_stage", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(config, tmp_path)
    assert not phangs_xr.open_store(tmp_path / "out").children
    with pytest.raises(InputError, match="halpha at least, found none: run the recipe"):
        check_field(tmp_path / "out")


@pytest.mark.parametrize("left", [True, False])
def test_check_killed_while_it_writes_nebulae_loses_no_catalogue(config, done, tmp_path, left):
    rows = done["nebulae"].to_dataset().load()
    table = measure(tmp_path).to_dataset().load()
    store = FieldStore(find_store(tmp_path / "out"))
    digest = store.read_attrs()["nebulae"]
    store.drop_table()
    if left:
        store.write_table(table)
    assert store.read_attrs()["nebulae"] != digest
    assert run(config, tmp_path)["nebulae"].to_dataset().load().identical(rows)


def test_catalogue_rows_that_are_lost_are_written_again(config, done, tmp_path):
    rows = done["nebulae"].to_dataset().load()
    FieldStore(find_store(tmp_path / "out")).delete("nebulae")
    assert run(config, tmp_path)["nebulae"].to_dataset().load().identical(rows)


def test_catalogue_taken_away_takes_its_rows_along(small, config, done, tmp_path):
    assert "nebulae" in done.children
    write_config(config, small, without=WITHOUT_CATALOGUE)
    assert "nebulae" not in run(config, tmp_path).children


def write_catalogue(path, *names):
    table = Table({"gal_name": names, "region_ID": np.arange(len(names)) + 1.0})
    table.write(path, append=path.exists())


def test_catalogue_without_the_galaxy_is_refused_before_anything_is_written(
    small, tmp_path, capsys
):
    write_catalogue(tmp_path / "rows.fits", "NGC1087")
    config = write_config(tmp_path / "field.toml", small, without=WITHOUT_CATALOGUE)
    text = config.read_text().replace("[output]", 'nebula_catalogue = "rows.fits"\n[output]')
    config.write_text(text)
    before = sorted(tmp_path.rglob("*"))
    for command in ("plan", "run"):
        with pytest.raises(SystemExit, match="2"):
            main([command, str(config), "--out", str(tmp_path / "out"), "--quiet"])
        assert "expected rows of ngc0628" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_catalogue_is_read_from_the_table_that_is_named(small, tmp_path):
    write_catalogue(tmp_path / "rows.fits", "NGC1087")
    write_catalogue(tmp_path / "rows.fits", "NGC0628", "NGC0628")
    config = write_config(tmp_path / "field.toml", small, without=WITHOUT_CATALOGUE)
    given = 'nebula_catalogue = { path = "rows.fits", hdu = 2 }\n[output]'
    config.write_text(config.read_text().replace("[output]", given))
    assert phangs_xr.open_field(config)["nebulae"].sizes["nebula"] == 2
    assert run(config, tmp_path)["nebulae"].sizes["nebula"] == 2


def test_inputs_of_products_that_are_left_stay_named(small, config, done, tmp_path):
    write_config(config, small, without=["muse", "nebula_mask", "star_mask", "nebula_catalogue"])
    left = run(config, tmp_path)
    assert "anchored" in left["hst"]
    assert left.attrs["inputs"]["muse"]["path"] == str(load_config(small).inputs.muse.path)
    assert "nebula_catalogue" not in left.attrs["inputs"]


def fill_disk(monkeypatch, tmp_path, free):
    """Pretend that a disk has so many bytes free beside the files a killed run has left."""

    def measure_disk(path):
        left = sum(file.stat().st_size for file in tmp_path.rglob("*.partial"))
        return shutil._ntuple_diskusage(0, 0, free - left)

    monkeypatch.setattr("phangs_xr.engine.directory.shutil.disk_usage", measure_disk)


def test_room_that_a_killed_run_has_taken_is_given_back_first(config, tmp_path, monkeypatch):
    needed = 300**2 * 4 * 40
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".ngc0628_halpha.fits.partial").write_bytes(bytes(needed // 2))
    fill_disk(monkeypatch, tmp_path, needed)
    run(config, tmp_path)


def measure_files(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def fill_disk_of(monkeypatch, directory, size):
    """Pretend that a disk of some size holds the files of a directory and nothing else."""

    def measure_disk(path):
        return shutil._ntuple_diskusage(0, 0, size - measure_files(directory))

    monkeypatch.setattr("phangs_xr.engine.directory.shutil.disk_usage", measure_disk)


def stop_at_hst(ready, stage, *rest):
    if stage.grid == "hst":
        raise KeyboardInterrupt
    _finish_steps(ready, stage, *rest)


def test_room_of_unfinished_arrays_is_given_back(config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("phangs_xr.engine.run_stage._finish_steps", stop_at_hst)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path)
    arrays = measure_files(tmp_path / "out" / "ngc0628.zarr" / "hst")
    needed = sum(count_bytes(prepare_field(config, tmp_path / "out")))
    # What is not an image is small.
    assert arrays > 2 * SMALL
    fill_disk_of(monkeypatch, tmp_path / "out", needed + SMALL)
    run(config, tmp_path)


def test_room_of_products_that_are_made_again_is_given_back(config, done, tmp_path, monkeypatch):
    store = tmp_path / "out" / "ngc0628.zarr"
    needed = sum(count_bytes(prepare_field(config, tmp_path / "out", ["load"])))
    fill_disk_of(monkeypatch, store, needed + SMALL)
    phangs_xr.run(config, tmp_path / "out", chunk=200, force=["load"])


def test_refusal_keeps_what_would_have_been_made_again(config, done, tmp_path, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    fill_disk(monkeypatch, tmp_path, 1000)
    with pytest.raises(InputError, match=r"GB are needed for the products"):
        phangs_xr.run(config, tmp_path / "out", chunk=200, force=["load"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_refused_run_leaves_no_directory(config, tmp_path, monkeypatch):
    fill_disk(monkeypatch, tmp_path, 1000)
    with pytest.raises(InputError, match=r"GB are needed for the products, found 0\.00 GB free"):
        phangs_xr.run(config, tmp_path / "a" / "b" / "out", chunk=200)
    assert not (tmp_path / "a").exists()


@pytest.fixture
def store(tmp_path):
    return FieldStore(str(tmp_path / "ngc0628.zarr"))


def test_group_on_another_grid_is_emptied(store):
    grids = [
        get_grid(make_flux(np.ones((50, 60)), header=make_header((50, 60), rotation=angle)))
        for angle in (0, 30)
    ]
    store.write_grid("hst", grids[0])
    target = store.create("halpha", {"units": FLUX}, (50, 60), 50)
    target[0:50, 0:60] = np.ones((50, 60), np.float32)
    target.finish()
    store.write_grid("hst", grids[0])
    assert store.has_image("halpha")
    store.write_grid("hst", grids[1])
    assert not store.has_image("halpha")
    found = xr.open_zarr(store.location, group="hst", consolidated=False)
    assert str(found["wcs"].values) == grids[1].wcs


def test_summary_does_not_outlive_what_it_says(store):
    store.write_attrs(galaxy="ngc0628")
    store.summarize()
    root = Path(store.location) / "zarr.json"
    assert "consolidated_metadata" in json.loads(root.read_text())
    store.write_attrs(galaxy="ngc0628")
    assert "consolidated_metadata" not in json.loads(root.read_text())


def test_numbers_are_replaced_whatever_their_shape(store):
    for size in (4, 3):
        values = np.arange(float(size))
        store.write_numbers({"histogram_edges": values})
        np.testing.assert_array_equal(
            store.read_numbers(["histogram_edges"])["histogram_edges"], values
        )


def test_chunks_without_data_are_written_too(store):
    target = store.create("halpha", {"units": FLUX}, (50, 60), 30)
    # As it comes, and as zarr writes what is no whole chunk.
    target[0:30, 0:30] = np.full((30, 30), np.nan, np.float32)
    target[0:50, 30:60] = np.full((50, 30), np.nan, np.float32)
    root = Path(store.location)
    found = {path.relative_to(root).as_posix() for path in root.rglob("c/*/*")}
    assert found == {f"hst/halpha/c/{place}" for place in ("0/0", "0/1", "1/1")}
