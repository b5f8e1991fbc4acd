"""Archives: one Zarr hierarchy for the stores of many fields, each a group of it.

A group is a store by itself, so a field in an archive is written and read as one alone; runs share
nothing but the groups above theirs, which hold nothing and are written alike by all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from phangs_xr.errors import InputError
from phangs_xr.io.connect import connect_store, explain_errors
from phangs_xr.schema import GRIDS

NODES = (*GRIDS, "nebulae", "fits")
"""Groups of a field's own, which are no fields."""

_SUFFIX = ".zarr"

_META = "zarr.json"

_PROTOTYPE = default_buffer_prototype()


def split_location(location: str) -> tuple[str, str]:
    """Return the store of a location, and the group in it, "" if that is the store itself.

    `survey.zarr/ngc0628c/f555w` is the group `ngc0628c/f555w` of `survey.zarr`, and so for URLs.
    """
    store, found, group = location.partition(f"{_SUFFIX}/")
    return (f"{store}{_SUFFIX}", group.strip("/")) if found else (location, "")


def find_directory(location: str) -> Path:
    """Return the directory for what is made of a field besides its store.

    That is where the store lies, or here if it is not on this machine; of a field in an archive, as
    its group is named there: an archive holds Zarr's files alone.
    """
    store, group = split_location(location)
    beside = Path() if "://" in location else Path(store).absolute().parent
    return beside / group


def list_parents(location: str) -> list[str]:
    """Return the locations of the groups above a field in an archive, the store's own first."""
    store, group = split_location(location)
    parts = group.split("/") if group else []
    return ["/".join([store, *parts[:depth]]) for depth in range(len(parts))]


def read_group(location: str) -> dict[str, Any] | None:
    """Return the metadata of the group at a location, None if there is none.

    Raises
    ------
    InputError
        If the location is a URL that cannot be reached.
    """
    with explain_errors(location, "read"):
        return _read_node(connect_store(location).with_read_only(True), "")


def _read_node(store: Store, path: str) -> dict[str, Any] | None:
    try:
        found = sync(store.get(f"{path}/{_META}".lstrip("/"), _PROTOTYPE))
    except (FileNotFoundError, NotADirectoryError):
        return None
    content: dict[str, Any] | None = None if found is None else json.loads(found.to_bytes())
    return content if content and content.get("node_type") == "group" else None


def is_field(group: dict[str, Any] | None) -> bool:
    """Tell whether the metadata of a group are those of a field that a run has begun."""
    return group is not None and "records" in group.get("attributes", {})


def require_own_group(location: str) -> None:
    """Refuse a place in an archive that lies in another field, or holds others.

    Raises
    ------
    InputError
        Naming the other field.
    """
    for parent in list_parents(location):
        if is_field(read_group(parent)):
            message = (
                f"{location}: a group of its own is needed, found that {parent} is a field: give "
                f"another [output] group"
            )
            raise InputError(message)
    inside = [one for one in find_fields(location) if one != location]
    if inside:
        message = (
            f"{location}: a group of its own is needed, found fields in it, {inside[0]} the first: "
            f"give another [output] group, or, without one, another [output] store"
        )
        raise InputError(message)


def write_parents(location: str) -> None:
    """Write the groups above a field in an archive that are not there yet.

    They hold nothing, so runs that write them at the same time do no harm.
    """
    text = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()
    for parent in list_parents(location):
        if read_group(parent) is None:
            with explain_errors(parent, "written"):
                content = _PROTOTYPE.buffer.from_bytes(text)
                sync(connect_store(parent).set(_META, content))


def find_fields(location: str) -> list[str]:
    """Return the locations of all fields at or below a location, sorted.

    Parameters
    ----------
    location
        Path or URL of a store, an archive, or a group in one.

    Returns
    -------
    list of str
        Of the groups whose attributes hold the records of a run, finished or not; the location
        itself if it is such a group. Groups are listed, chunks are not.

    Raises
    ------
    InputError
        If the location is a URL that cannot be reached.
    """
    location = location.rstrip("/")
    with explain_errors(location, "read"):
        store = connect_store(location).with_read_only(True)
        return sorted("/".join([location, path]).rstrip("/") for path in _walk(store, ""))


def _walk(store: Store, path: str) -> Iterator[str]:
    """Give the paths of the fields at or below a group."""
    group = _read_node(store, path)
    if is_field(group):
        yield path
        return
    if group is None:
        return
    for name in sync(_list_names(store, path)):
        if name not in NODES and name != _META:
            yield from _walk(store, f"{path}/{name}".lstrip("/"))


async def _list_names(store: Store, path: str) -> list[str]:
    return [name.rstrip("/") async for name in store.list_dir(path)]
