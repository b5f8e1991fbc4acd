"""The store of a field: one Zarr tree in which a product exists only once it is whole.

An array's chunks are written first and its metadata last, so that no reader, this package or any
other, takes an interrupted product for a finished one. What a step did is kept as its record in the
attributes of the root.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from xarray.core import indexing
from zarr.abc.store import Store
from zarr.core.array import AsyncArray
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.errors import ZarrUserWarning
from zarr.storage import FsspecStore, MemoryStore, StorePath

from phangs_xr.errors import InputError
from phangs_xr.io.archive import find_fields, split_location
from phangs_xr.io.chunks import CODEC, FrameCache, StoredImage, ZarrTarget
from phangs_xr.io.connect import connect_store, copy_dataset, explain_errors
from phangs_xr.numerics.lazy import DEFAULT_CHUNK
from phangs_xr.schema import GRIDS, NUMBERS, PRODUCTS
from phangs_xr.sky.grid import Grid

logger = logging.getLogger(__name__)

_PROTOTYPE = default_buffer_prototype()

_LISTED = 8
"""Fields of an archive that a message names."""

_BUCKETS = ("s3", "s3a", "gs", "gcs", "az", "abfs")
"""Protocols whose paths begin with a bucket, which must be there."""


@dataclass(frozen=True)
class FieldStore:
    """The store of one field.

    Attributes
    ----------
    location
        Path or URL.
    """

    location: str

    @property
    def store(self) -> Store:
        """A fresh connection."""
        return connect_store(self.location)

    def read_attrs(self) -> dict[str, Any]:
        """Return the attributes of the root, empty if there is no store.

        Raises
        ------
        InputError
            If the location is a URL that cannot be reached, or of a bucket that does not exist.
        """
        with explain_errors(self.location, "read"):
            root = self._read_root()
            if root is None:
                self._require_bucket()
        return dict(root.get("attributes", {})) if root else {}

    def _read_root(self) -> dict[str, Any] | None:
        # Opening a store for writing would make its directory.
        store = self.store.with_read_only(True)
        try:
            found = sync(store.get("zarr.json", _PROTOTYPE))
        except FileNotFoundError:
            return None
        if found is None:
            return None
        root: dict[str, Any] = json.loads(found.to_bytes())
        if root.get("node_type") != "group":
            message = (
                f"{self.location}: the store of a field, or none yet, is needed, found a Zarr "
                f"{root.get('node_type')}: give another location"
            )
            raise InputError(message)
        return root

    def _require_bucket(self) -> None:
        store = self.store
        if not isinstance(store, FsspecStore) or not self.location.startswith(_BUCKETS):
            return
        bucket = store.path.split("/")[0]
        if not sync(store.fs._exists(bucket)):
            message = (
                f"{self.location}: a bucket {bucket} is needed, found none: create it, or correct "
                f"[output] store"
            )
            raise InputError(message)

    def write_attrs(self, **attrs: Any) -> None:
        """Update the attributes of the root, and drop the summary that `summarize` writes."""
        with explain_errors(self.location, "written"):
            content = self._read_root() or {"zarr_format": 3, "node_type": "group"}
            content.pop("consolidated_metadata", None)
            content["attributes"] = {**content.get("attributes", {}), **attrs}
            text = json.dumps(content, default=str).encode()
            sync(self.store.set("zarr.json", _PROTOTYPE.buffer.from_bytes(text)))

    def summarize(self) -> None:
        """Write the metadata of all groups and arrays into the root, where xarray looks first.

        To be called when the store is at rest: readers believe the summary, so whatever writes to
        the store drops it first.
        """
        with warnings.catch_warnings():
            # The summary is not part of the Zarr v3 specification yet; readers may ignore it.
            warnings.simplefilter("ignore", ZarrUserWarning)
            zarr.consolidate_metadata(self.store, zarr_format=3)

    def read_records(self) -> dict[str, Any]:
        """Return the record of each finished step, by its name."""
        return dict(self.read_attrs().get("records", {}))

    def write_records(self, records: Mapping[str, Any]) -> None:
        """Replace the records of all steps."""
        self.write_attrs(records=dict(records))

    def write_grid(self, group: str, grid: Grid) -> None:
        """Give a group its coordinates; a group on another grid is emptied."""
        old = self._open_group(group)
        coords = grid.coords()
        if old is not None and all(
            name in old.variables and old[name].variable.equals(value)
            for name, value in coords.items()
        ):
            return
        self.delete(group)
        copy_dataset(xr.Dataset(coords=coords), self.store, group)

    def create(
        self, name: str, attrs: Mapping[str, Any], shape: tuple[int, int], chunk: int
    ) -> ZarrTarget:
        """Begin a product's array, float32, NaN where nothing is written.

        Parameters
        ----------
        name
            Of the product.
        attrs
            Of the array.
        shape
            Rows and columns.
        chunk
            Side of the stored chunks [pixel].
        """
        path = f"{PRODUCTS[name].grid}/{name}"
        self.delete(path)
        template = zarr.create_array(
            MemoryStore(),
            shape=shape,
            chunks=tuple(min(chunk, size) for size in shape),
            dtype="float32",
            fill_value=np.nan,
            compressors=CODEC,
            dimension_names=("y", "x"),
            attributes={**attrs, "coordinates": "wcs"},
            # Chunks without data are written too, or a lost chunk could pass for an empty one.
            config={"write_empty_chunks": True},
        )
        inner = template.async_array
        return ZarrTarget(
            zarr.Array(
                AsyncArray(
                    metadata=inner.metadata,
                    store_path=StorePath(self.store, path),
                    config=inner.config,
                )
            )
        )

    def delete(self, path: str) -> None:
        """Remove an array or a group, if there is one."""
        sync(self.store.delete_dir(path))

    def count_bytes(self, path: str) -> int:
        """Return the bytes that an array or a group takes, whole or not; 0 if it is not there."""
        # Opening a store for writing would make its directory.
        return sync(self.store.with_read_only(True).getsize_prefix(path))

    def write_numbers(self, numbers: Mapping[str, Any]) -> None:
        """Write measured numbers, and small arrays of them, into `/fits`."""
        values = {}
        for name, value in numbers.items():
            number = NUMBERS[name]
            array = np.asarray(value, dtype=np.float64)
            attrs = {"units": number.units, "long_name": number.long_name}
            values[name] = xr.Variable(number.dims, array, attrs)
        for name in values:
            self.delete(f"fits/{name}")
        copy_dataset(xr.Dataset(values), self.store, "fits")

    def read_numbers(self, names: Iterable[str]) -> dict[str, Any]:
        """Return measured numbers, floats and small arrays."""
        names = list(names)
        found = self._open_group("fits") if names else None
        if found is None:
            return {}
        return {
            name: float(found[name]) if found[name].ndim == 0 else found[name].values
            for name in names
            if name in found.variables
        }

    def write_table(self, table: xr.Dataset, digest: str | None = None) -> None:
        """Write the nebulae, replacing those there are.

        Parameters
        ----------
        table
            Along `nebula`.
        digest
            Of the catalogue whose rows are among it; that of the nebulae there are if None.
        """
        digest = digest or self.read_attrs().get("nebulae")
        self.drop_table()
        copy_dataset(table, self.store, "nebulae")
        self.write_attrs(nebulae=digest)

    def drop_table(self) -> None:
        """Remove the nebulae; until others are written, nothing vouches for a catalogue's rows."""
        self.write_attrs(nebulae=None)
        self.delete("nebulae")

    def open_images(self, names: Iterable[str]) -> dict[str, xr.DataArray]:
        """Open products lazily without dask: pixels are read as they are asked for.

        Raises
        ------
        InputError
            If one is not there.
        """
        names = list(names)
        groups = {grid: self._open_group(grid) for grid in {PRODUCTS[name].grid for name in names}}
        frames = FrameCache()
        images = {}
        for name in names:
            group = groups[PRODUCTS[name].grid]
            if group is None or name not in group:
                message = f"{self.location} should hold {name}, found no such array: run its step"
                raise InputError(message)
            images[name] = self._read_directly(group, name, frames)
        return images

    def _read_directly(self, group: xr.Dataset, name: str, frames: FrameCache) -> xr.DataArray:
        """Return an image with its labels, whose pixels do not go through zarr's event loop."""
        path = f"{PRODUCTS[name].grid}/{name}"
        array = zarr.open_array(self.store, path=path, mode="r", zarr_format=3)
        old = group[name]
        lazily = indexing.LazilyIndexedArray(StoredImage(array, frames))
        image = xr.Variable(old.dims, lazily, old.attrs, old.encoding)
        return xr.Dataset({name: image}, old.coords)[name]

    def has_image(self, name: str) -> bool:
        """Tell whether a product's array is whole."""
        return self.has_array(f"{PRODUCTS[name].grid}/{name}")

    def has_array(self, path: str) -> bool:
        """Tell whether there is an array, by its metadata."""
        return bool(sync(self.store.exists(f"{path}/zarr.json")))

    def _open_group(self, group: str) -> xr.Dataset | None:
        if not self.has_array(group):
            return None
        with warnings.catch_warnings():
            # The chunks of an interrupted product, which has no metadata.
            warnings.simplefilter("ignore", ZarrUserWarning)
            return xr.open_dataset(
                # xarray takes Zarr stores; its stubs do not say so.
                self.store,  # type: ignore[arg-type]
                engine="zarr",
                group=group,
                chunks=None,
                cache=False,
                consolidated=False,
                zarr_format=3,
            )


def open_store(path: str | Path, *, chunked: bool = True, nebulae: bool = True) -> xr.DataTree:
    """Open what a run has written.

    Parameters
    ----------
    path
        `DIR/{galaxy}.zarr`, a DIR that holds one such store, or a URL.
    chunked
        Whether images are dask graphs, chunked as stored; lazily indexed ones, which read their
        pixels when they are asked for, if not.
    nebulae
        Whether to open `/nebulae`, which another process may be about to replace.

    Returns
    -------
    xr.DataTree
        Nodes `hst`, `muse`, `nebulae` and `fits` as far as there are such; images are
        lazy. Only products of finished steps are there.

    Raises
    ------
    InputError
        If there is no store.
    """
    store = FieldStore(find_store(path))
    attrs = store.read_attrs()
    if "records" not in attrs:
        raise InputError(_describe_lack(str(path), store.location))
    finished = {name for record in attrs["records"].values() for name in record["outputs"]}
    tree, frames = {"/": xr.Dataset(attrs=attrs)}, FrameCache()
    for group in (*GRIDS, *["nebulae"] * nebulae, "fits"):
        dataset = store._open_group(group)
        if dataset is None:
            continue
        if group in GRIDS:
            dataset = dataset[[name for name in PRODUCTS if name in finished and name in dataset]]
            if not dataset.data_vars:
                # A grid alone: what lies on it is not made yet.
                continue
            if chunked:
                dataset = dataset.chunk(_get_chunks(dataset))
            else:
                names = [str(name) for name in dataset]
                dataset = dataset.assign(
                    {name: store._read_directly(dataset, name, frames) for name in names}
                )
            dataset = dataset.drop_encoding()
        tree[f"/{group}"] = dataset
    return xr.DataTree.from_dict(tree)


def _describe_lack(path: str, location: str) -> str:
    """Say what is at a location that is no field."""
    fields = find_fields(location)
    if not fields:
        return (
            f"{path} should be the store of a field (a {{galaxy}}.zarr that a run has written), "
            f"found none: give the DIR of a run"
        )
    listed = ", ".join(fields[:_LISTED]) + (", …" if len(fields) > _LISTED else "")
    return (
        f"{path} should be the store of one field, found an archive of {len(fields)}: give one of "
        f"{listed}"
    )


def find_store(path: str | Path) -> str:
    """Return the location of the one store at a path: the path itself, or the `.zarr` in it.

    A group in a store, `survey.zarr/ngc0628c`, is itself such a location.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    text = str(path)
    store, group = split_location(text)
    if "://" in text or group or text.rstrip("/").endswith(".zarr"):
        return f"{store}/{group}" if group else text
    found = sorted(Path(path).glob("*.zarr"))
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "none"
        message = f"{path} should hold one {{galaxy}}.zarr, found {names}: give the store itself"
        raise InputError(message)
    return str(found[0])


def _get_chunks(dataset: xr.Dataset) -> dict[str, int]:
    chunks: Sequence[Any] = [
        variable.encoding["chunks"] for variable in dataset.data_vars.values() if variable.ndim == 2
    ]
    if not chunks:
        return {"y": DEFAULT_CHUNK, "x": DEFAULT_CHUNK}
    return {"y": int(chunks[0][0]), "x": int(chunks[0][1])}
