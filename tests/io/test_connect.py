"""Small datasets go into a store as xarray itself writes them, and become visible last."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore, MemoryStore

from phangs_xr.io.connect import copy_dataset


@pytest.fixture
def table() -> xr.Dataset:
    names = np.array(["one", "two", "three"], dtype=np.dtypes.StringDType())
    return xr.Dataset(
        {"flux": ("nebula", [1.0, np.nan, 3.0], {"units": "erg"}), "name": ("nebula", names)},
        {"region_ID": ("nebula", [4, 5, 6])},
    )


def list_files(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_a_dataset_is_stored_as_xarray_stores_it(tmp_path: Path, table: xr.Dataset) -> None:
    zarr.create_group(LocalStore(tmp_path / "ours"))
    copy_dataset(table, LocalStore(tmp_path / "ours"), "nebulae")
    table.to_zarr(LocalStore(tmp_path / "theirs"), group="nebulae", consolidated=False)
    assert list_files(tmp_path / "ours") == list_files(tmp_path / "theirs")
    found = xr.open_zarr(tmp_path / "ours", group="nebulae", consolidated=False)
    xr.testing.assert_identical(found.load(), table)


def test_other_arrays_of_a_group_stay(tmp_path: Path, table: xr.Dataset) -> None:
    store = LocalStore(tmp_path)
    zarr.create_group(store)
    copy_dataset(table[["flux"]], store, "nebulae")
    copy_dataset(table[["name"]], store, "nebulae")
    found = xr.open_zarr(store, group="nebulae", consolidated=False)
    assert {"flux", "name"} <= set(found.data_vars)


class ListingStore(MemoryStore):
    """Notes what is written, in order; every other write takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    async def set(self, key: str, value: object, byte_range: None = None) -> None:
        if len(key) % 2:
            await asyncio.sleep(0.01)
        await super().set(key, value)
        self.written.append(key)


def test_metadata_follow_all_chunks(table: xr.Dataset) -> None:
    store = ListingStore()
    copy_dataset(table, store, "nebulae")
    are_metadata = [key.endswith("zarr.json") for key in store.written]
    assert are_metadata == sorted(are_metadata)
    assert sum(are_metadata) == 4
    assert "zarr.json" not in store.written, "the root is another's to write"


def test_a_store_that_refuses_a_chunk_shows_no_array(table: xr.Dataset) -> None:
    class FullStore(MemoryStore):
        async def set(self, key: str, value: object, byte_range: None = None) -> None:
            if key == "nebulae/flux/c/0":
                raise OSError(28, "No space left on device")
            await super().set(key, value)

    held: dict[str, Buffer] = {}
    store = FullStore(held)
    with pytest.raises(OSError, match="No space left"):
        copy_dataset(table, store, "nebulae")
    assert not any(key.endswith("zarr.json") for key in held)
