"""The chunks of stored images, read and written by the thread that works on them.

zarr moves all chunks through one event loop, whatever the number of threads: with two at work on
tiles, half of their time went by in waiting for it. Arrays in a directory that are stored as this
package stores them are therefore read and written here, directly; all others by zarr itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from mmap import ACCESS_READ, mmap
from struct import Struct
from threading import Lock
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing
from zarr.codecs import BloscCodec, BytesCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

from phangs_xr.errors import InputError

PIXEL = np.dtype("<f4")
"""Of a stored chunk."""

CODEC = BloscCodec(cname="lz4", clevel=1, shuffle="noshuffle")
"""Measured on the products of a run: with its bytes shuffled a chunk takes three times as long to
compress (16 ms, not 5), and a sixth less space; noise hardly compresses either way."""

_COMPRESSOR = Blosc(cname="lz4", clevel=1, shuffle=Blosc.NOSHUFFLE)
"""`CODEC`, as it is called in the calling thread."""

_HEADER = Struct("<4xI4xI")
"""Of what Blosc compressed: its bytes when decompressed and, header included, as it is."""

FRAME = 24
"""Width of a chunk's frame that is kept for its neighbours [pixel].

More than steps look at the defaults, but for `smooth_hst`: taken again from the stored halpha, it
looks 49 pixels far and has each chunk decompressed six times, not twice. Frames of 56 pixels would
save 10 ms of a tile's smoothing, 150 ms, and cost all steps 65 MB.
"""

FRAMES = 64
"""How many frames are kept, 0.8 MB each for chunks of 2000 pixels: two rows of a large mosaic."""

Part = tuple[slice, slice]
Frame = dict[tuple[int, int, int, int], NDArray[np.float32]]
_Index = tuple[int, int]


def is_plain(array: zarr.Array[Any]) -> bool:
    """Tell whether an array is float32 in a directory, its chunks compressed as `CODEC` does.

    Chunks say themselves by what they can be decompressed, but not whether more was done to them.
    """
    kinds = [type(codec) for codec in array.metadata.codecs]  # type: ignore[union-attr]
    return (
        isinstance(array.store, LocalStore)
        and array.ndim == len(array.chunks) == 2
        and array.dtype == PIXEL
        and kinds == [BytesCodec, BloscCodec]
        and array.metadata.codecs[0].endian.value == "little"  # type: ignore[union-attr]
    )


@dataclass
class FrameCache:
    """The frames of chunks lately read, for the tiles next to them.

    A tile that needs neighbours would have up to eight chunks decompressed for a few rows and
    columns of each. Safe in threads; a copy sent to another process begins empty.
    """

    _frames: OrderedDict[Any, Frame] = field(default_factory=OrderedDict)
    _locks: dict[Any, Lock] = field(default_factory=dict)
    _guard: Lock = field(default_factory=Lock)

    def __reduce__(self) -> tuple[type[FrameCache], tuple[()]]:
        return FrameCache, ()

    def lock(self, key: Any) -> Lock:
        """Return the lock of a chunk: what two threads want at once is read once."""
        with self._guard:
            return self._locks.setdefault(key, Lock())

    def find(self, key: Any, part: Part) -> NDArray[np.float32] | None:
        """Return a part of a chunk, None if it is not in a frame that is kept."""
        with self._guard:
            frame = self._frames.get(key)
            if frame is None:
                return None
            self._frames.move_to_end(key)
        ys, xs = part
        for (top, bottom, left, right), pixels in frame.items():
            if top <= ys.start and ys.stop <= bottom and left <= xs.start and xs.stop <= right:
                return pixels[ys.start - top : ys.stop - top, xs.start - left : xs.stop - left]
        return None

    def keep(self, key: Any, chunk: NDArray[np.float32]) -> None:
        """Keep a chunk's frame; the one that was not asked for longest goes."""
        height, width = chunk.shape
        edges = (
            (0, FRAME, 0, width),
            (max(height - FRAME, 0), height, 0, width),
            (0, height, 0, FRAME),
            (0, height, max(width - FRAME, 0), width),
        )
        frame = {edge: chunk[edge[0] : edge[1], edge[2] : edge[3]].copy() for edge in edges}
        with self._guard:
            self._frames[key] = frame
            if len(self._frames) > FRAMES:
                self._frames.popitem(last=False)


@dataclass(frozen=True)
class StoredImage(BackendArray):
    """A stored image, read on demand; safe in threads, picklable.

    Attributes
    ----------
    array
        Two-dimensional.
    frames
        Shared by the images that a run reads together.
    """

    array: zarr.Array[Any]
    frames: FrameCache = field(default_factory=FrameCache, compare=False, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Read the pixels of an indexer.

        Raises
        ------
        InputError
            If a chunk is not there, or cannot be read.
        """
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key: tuple[int | slice, ...]) -> Any:
        if not is_plain(self.array):
            return self.array[key]
        bounds = (_bound(part, size) for part, size in zip(key, self.shape, strict=True))
        (ys, some_rows), (xs, some_columns) = bounds
        return self._read_window(ys, xs)[some_rows, some_columns]

    def _read_window(self, ys: slice, xs: slice) -> NDArray[np.float32]:
        pieces = sorted(_list_pieces(self.array, (ys, xs)), key=_count_pixels, reverse=True)
        if len(pieces) == 1:
            index, part, _ = pieces[0]
            return self._read_chunk(index)[part]
        # The chunk that the window is about first: the others' frames may be there by then.
        window = np.empty((ys.stop - ys.start, xs.stop - xs.start), PIXEL)
        for index, part, place in pieces:
            window[place] = self._read_piece(index, part)
        return window

    def _read_piece(self, index: _Index, part: Part) -> NDArray[np.float32]:
        """Read part of a chunk, that most of which others read."""
        key = self.array.path, index
        with self.frames.lock(key):
            found = self.frames.find(key, part)
            if found is None:
                chunk = self._read_chunk(index)
                self.frames.keep(key, chunk)
                found = chunk[part]
        return found

    def _read_chunk(self, index: _Index) -> NDArray[np.float32]:
        array = self.array
        name = array.metadata.encode_chunk_key(index)
        path = array.store.root / array.path / name  # type: ignore[attr-defined]
        chunk = np.empty(array.chunks, PIXEL)
        try:
            # Mapped, so that the system's own copy is the only one of what is compressed.
            with (
                path.open("rb") as file,
                mmap(file.fileno(), 0, access=ACCESS_READ) as content,
            ):
                _check_lengths(content, chunk.nbytes)
                _COMPRESSOR.decode(content, chunk)
        except (OSError, RuntimeError, ValueError) as error:
            # zarr would take a chunk that is lost for one without data.
            problem = "none" if isinstance(error, FileNotFoundError) else f"one damaged ({error})"
            message = (
                f"{path}: a chunk of {array.basename} is needed, found {problem}: run with "
                f"--force and the step that makes {array.basename}"
            )
            raise InputError(message) from error
        return chunk


@dataclass(frozen=True)
class ZarrTarget:
    """A product's array that is being written, by any number of threads or processes at once.

    Blocks are assigned as to an array, `target[ys, xs] = block`; readers see it after `finish`.
    """

    array: zarr.Array[Any]

    def __setitem__(self, key: Part, block: NDArray[Any]) -> None:
        pieces = list(_list_pieces(self.array, key))
        whole = len(pieces) == 1 and block.shape == self._measure_chunk(pieces[0][0])
        if whole and is_plain(self.array):
            self._write_chunk(pieces[0][0], block)
        else:
            self.array[key] = block

    def _measure_chunk(self, index: _Index) -> tuple[int, ...]:
        """Return how many rows and columns of the image a chunk holds."""
        sizes = zip(index, self.array.chunks, self.array.shape, strict=True)
        return tuple(min(side, size - place * side) for place, side, size in sizes)

    def _write_chunk(self, index: _Index, block: NDArray[Any]) -> None:
        array = self.array
        chunk = np.ascontiguousarray(block, PIXEL)
        if chunk.shape != array.chunks:
            # Zarr's chunks are all of one size, those at the edges too.
            chunk = np.full(array.chunks, array.fill_value, PIXEL)
            chunk[: block.shape[0], : block.shape[1]] = block
        content = default_buffer_prototype().buffer.from_bytes(_COMPRESSOR.encode(chunk))
        name = array.metadata.encode_chunk_key(index)
        array.store.set_sync(f"{array.path}/{name}", content)  # type: ignore[attr-defined]

    def finish(self) -> None:
        """Write the metadata, which makes the array visible."""
        prototype = default_buffer_prototype()
        path = self.array.store_path
        for name, content in self.array.metadata.to_buffer_dict(prototype).items():
            sync((path / name).set(content))


def _bound(part: int | slice, size: int) -> tuple[slice, int | slice]:
    """Return the range of an axis that an index lies in, and where in this range it lies."""
    if not isinstance(part, slice):
        place = range(size)[part]
        return slice(place, place + 1), 0
    places = range(size)[part]
    if not places:
        return slice(0, 0), slice(None)
    ends = places[0], places[-1]
    return slice(min(ends), max(ends) + 1), slice(None, None, places.step)


def _check_lengths(content: mmap, expected: int) -> None:
    """Compare the sizes that a compressed chunk's header tells with those there are.

    The decompressor is given no length: it would read on beyond the end of a file cut short.

    Raises
    ------
    ValueError
        If the file has another length, or the chunk another number of bytes when decompressed.
    """
    if len(content) < _HEADER.size:
        raise ValueError(f"{len(content)} bytes, its header has {_HEADER.size}")
    pixels, compressed = _HEADER.unpack_from(content)
    if compressed != len(content):
        raise ValueError(f"{len(content)} bytes, its header says {compressed}")
    if pixels != expected:
        raise ValueError(f"{pixels} bytes of pixels, expected {expected}")


def _list_pieces(array: zarr.Array[Any], key: Part) -> Iterator[tuple[_Index, Part, Part]]:
    """List the chunks that a window lies in: index, part of the chunk, part of the window."""
    axes = []
    for part, side in zip(key, array.chunks, strict=True):
        pieces = []
        for place in range(part.start // side, -(-part.stop // side)):
            first, last = max(part.start, place * side), min(part.stop, (place + 1) * side)
            inside = slice(first - place * side, last - place * side)
            pieces.append((place, inside, slice(first - part.start, last - part.start)))
        axes.append(pieces)
    for (row, ys, to_ys), (column, xs, to_xs) in product(*axes):
        yield (row, column), (ys, xs), (to_ys, to_xs)


def _count_pixels(piece: tuple[_Index, Part, Part]) -> int:
    ys, xs = piece[1]
    return len(range(ys.start, ys.stop)) * len(range(xs.start, xs.stop))
