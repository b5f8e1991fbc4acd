"""Where a store is: paths and URLs, what goes wrong on the way, small datasets at one go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr
from zarr.abc.store import Store
from zarr.core.buffer import Buffer
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, MemoryStore

from phangs_xr.errors import InputError


def connect_store(location: str | Path) -> Store:
    """Return the Zarr store behind a path or a URL such as `s3://bucket/name.zarr`.

    Credentials and endpoint of an object store come from the environment, as its own tools take
    them: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`, … or `~/.aws`.

    Raises
    ------
    InputError
        If the package for this kind of URL is not installed, or there is none.
    """
    protocol, separator, _ = str(location).partition("://")
    if not separator:
        return LocalStore(location)
    # Listings must be those of now: other processes write too.
    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol in ("s3", "s3a"):
        # More would ask for the size before each read.
        options["max_concurrency"] = 1
    try:
        return FsspecStore.from_url(str(location), storage_options=options)
    except (ImportError, ValueError) as error:
        known = protocol in ("s3", "s3a")
        remedy = "pip install 'phangs_xr[s3]'" if known else "install it, or give another URL"
        message = (
            f"{location}: a package that knows {protocol}:// is needed, found none ({error}): "
            f"{remedy}"
        )
        raise InputError(message) from error


@contextmanager
def explain_errors(location: str, wanted: str) -> Iterator[None]:
    """Say in one line why an object store cannot be used; leave the errors of paths as they are."""
    try:
        yield
    except InputError:
        raise
    # What the packages for object stores raise has no common kind.
    except Exception as error:
        if "://" not in location:
            raise
        message = (
            f"{location}: a store that can be {wanted} is needed, found {type(error).__name__}: "
            f"{error}: check the URL, and credentials and endpoint in the environment"
        )
        raise InputError(message) from error


def copy_dataset(dataset: xr.Dataset, store: Store, group: str) -> None:
    """Write a small dataset into a group of a store, the metadata after all chunks.

    xarray goes back to a store several times for each array; here that is one in memory, whose
    content then goes to the store at once. On disk that takes half the time; an object store is
    not asked anything.

    Parameters
    ----------
    dataset
        In memory.
    store
        To write to; other arrays of the group stay.
    group
        Path of the group.
    """
    held: dict[str, Buffer] = {}
    dataset.to_zarr(MemoryStore(held), group=group, mode="a", consolidated=False, zarr_format=3)
    inside = {key: content for key, content in held.items() if key.startswith(f"{group}/")}
    sync(_copy_content(inside, store))


async def _copy_content(content: Mapping[str, Buffer], store: Store) -> None:
    for is_metadata in (False, True):
        keys = [key for key in content if key.endswith("zarr.json") is is_metadata]
        await asyncio.gather(*(store.set(key, content[key]) for key in keys))
