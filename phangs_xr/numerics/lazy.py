"""How a kernel meets chunks: pixel by pixel, with neighbours, onto another grid, to few numbers.

The only module that imports `dask.array`, when an image is chunked. Every function here takes
labelled images and returns labelled images. Images in memory are handed to the kernel as they are;
if any image is chunked the result is a dask graph and nothing is computed. A kernel therefore runs
the same way on a whole image, on one chunk of a graph, and on the window that one task of a
pipeline run has read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed, delayed
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import NDArray

from phangs_xr.numerics.reductions import Block, Reduction
from phangs_xr.sky import Grid, find_overlap, get_grid

DEFAULT_CHUNK = 2000
"""Pixels along each side of a chunk: a multiple of the 100-pixel cells, 16 MB in float32."""

BAND = 100
"""Rows that a pixelwise kernel is given at a time: those of the cells that some kernels work by."""

Kernel = Callable[..., NDArray[Any]]


def is_chunked(image: xr.DataArray) -> bool:
    """Tell whether an image is a dask graph."""
    # Not `image.data`, which would load a lazily opened image whole.
    return image.chunks is not None


def chunk_image(image: xr.DataArray, chunk: int = DEFAULT_CHUNK) -> xr.DataArray:
    """Return the image as a dask graph with square chunks of `chunk` pixels."""
    return image.chunk({"y": chunk, "x": chunk})


def get_origin(image: xr.DataArray) -> tuple[int, int]:
    """Return the absolute row and column of an image's first pixel.

    Strided or coarsened images count from zero: their pixels are not those of the original.
    """
    if "y" not in image.coords or "x" not in image.coords:
        return 0, 0
    labels = [np.asarray(image[name].values) for name in ("y", "x")]
    if any(label.size > 1 and label[1] - label[0] != 1 for label in labels):
        return 0, 0
    return int(labels[0][0]), int(labels[1][0])


def map_pixels(
    kernel: Kernel,
    *images: xr.DataArray,
    positions: bool = False,
    dtype: Any = None,
    **parameters: Any,
) -> xr.DataArray:
    """Apply a kernel pixel by pixel.

    Parameters
    ----------
    kernel
        Called with one array per image, then, if `positions`, the absolute rows and columns of
        its pixels (1-D integers), and the parameters by name; returns an array of the same shape.
    *images
        Images on one grid.
    positions
        Whether the kernel needs to know where its pixels are.
    dtype
        Of the result; the first image's if None.
    **parameters
        Plain values, 0-d labelled numbers, or results of `reduce_images` not computed yet.

    Returns
    -------
    xr.DataArray
        With the first image's coordinates and no attributes.
    """
    dtype = np.dtype(dtype or images[0].dtype)
    parameters = {name: _unwrap_number(value) for name, value in parameters.items()}
    arrays = [image.data for image in images]
    labels = _label_positions(images[0]) if positions else ()
    if not _is_lazy(images, parameters):
        made = _run_by_bands(kernel, dtype, *arrays, *labels, **parameters)
        return _label_like(images[0], made, dtype)
    import dask.array as da

    arrays = _unify(images)
    operands: list[Any] = [item for array in arrays for item in (array, "yx")]
    for label, name, chunks in zip(labels, "yx", arrays[0].chunks, strict=False):
        operands += [da.from_array(label, chunks=(chunks,)), name]
    data = da.blockwise(
        partial(_run_by_bands, kernel, dtype),
        "yx",
        *operands,
        dtype=dtype,
        meta=np.empty((0, 0), dtype),
        **parameters,
    )
    return _label_like(images[0], data, dtype)


def map_halo(
    kernel: Kernel, *images: xr.DataArray, depth: int, dtype: Any = None, **parameters: Any
) -> xr.DataArray:
    """Apply a kernel that looks at neighbours up to `depth` pixels away.

    The kernel is called with one array per image, `origin` (the absolute row and column of its
    window's first pixel) and the parameters by name. It must treat the edge of its window as the
    edge of the image; what it makes of the outer `depth` pixels is cut off where the image goes on.
    Other arguments and the result are as for `map_pixels`.
    """
    parameters = {name: _unwrap_number(value) for name, value in parameters.items()}
    dtype = np.dtype(dtype or images[0].dtype)
    rows, columns = _label_positions(images[0])
    labels = [rows[:, None], columns[None, :]]
    run = partial(_run_window, kernel, dtype)
    if not _is_lazy(images, parameters):
        made = run(*(image.data for image in images), *labels, **parameters)
        return _label_like(images[0], made, dtype)
    import dask.array as da

    arrays = _unify(images)
    chunks = arrays[0].chunks
    rows_deep, columns_deep = _limit_depth(depth, arrays[0].shape)
    data = da.map_overlap(
        run,
        *arrays,
        da.from_array(labels[0], chunks=(chunks[0], 1)),
        da.from_array(labels[1], chunks=(1, chunks[1])),
        depth=[
            *[{0: rows_deep, 1: columns_deep}] * len(arrays),
            {0: rows_deep, 1: 0},
            {0: 0, 1: columns_deep},
        ],
        boundary="none",
        dtype=dtype,
        meta=np.empty((0, 0), dtype),
        **parameters,
    )
    # Chunks thinner than the halo are merged on the way: give the caller's chunks back.
    return _label_like(images[0], _rechunk(data, chunks), dtype)


def map_tiles(
    kernel: Kernel,
    source: xr.DataArray,
    like: xr.DataArray,
    *,
    pad: int,
    dtype: Any = None,
    **parameters: Any,
) -> xr.DataArray:
    """Bring an image onto another grid, each tile from the window of the source it needs.

    Parameters
    ----------
    kernel
        Called with the source's window (2-D, may be empty), the window's grid, the tile's grid and
        the parameters by name; returns an array of the tile's shape.
    source
        The image to bring over.
    like
        An image on the target grid; its pixels are not read, its chunks become the result's.
    pad
        Source pixels that the kernel needs around those the tile's pixel centres fall on.
    dtype
        Of the result; the source's if None.
    **parameters
        As for `map_pixels`.
    """
    parameters = {name: _unwrap_number(value) for name, value in parameters.items()}
    dtype = np.dtype(dtype or source.dtype)
    target, origin = get_grid(like), get_grid(source)
    run = partial(_run_tile, kernel, dtype=dtype)
    if not _is_lazy([source, like], parameters):
        window = find_overlap(target, origin, pad)
        pieces = source.data[window], origin.window(*window), target
        return _label_like(like, run(*pieces, parameters=parameters), dtype)
    import dask.array as da

    pixels = source.data if is_chunked(source) else da.from_array(source.data, chunks=-1)
    row_chunks, column_chunks = like.chunks or ((like.shape[0],), (like.shape[1],))
    rows = []
    for ys in _list_slices(row_chunks):
        row = []
        for xs in _list_slices(column_chunks):
            tile = target.window(ys, xs)
            window = find_overlap(tile, origin, pad)
            needed = _rechunk(pixels[window], -1).to_delayed()
            # An empty window has no chunk to depend on.
            piece = needed.ravel()[0] if needed.size else np.empty((0, 0), source.dtype)
            call = delayed(run, pure=True)
            made = call(piece, origin.window(*window), tile, parameters=parameters)
            row.append(da.from_delayed(made, tile.shape, dtype=dtype))
        rows.append(row)
    return _label_like(like, da.block(rows), dtype)


def sum_planes(
    kernel: Kernel, cube: xr.DataArray, weights: NDArray[np.float64], *, made: int, dtype: Any
) -> list[xr.DataArray]:
    """Sum what a kernel makes of the planes of a cube, group by group of planes.

    Parameters
    ----------
    kernel
        Called with some planes, shape (n, y, x), and their rows of `weights`, shape (n, k); returns
        what they add to the sums, shape (`made`, y, x).
    cube
        Dims wavelength, y, x. Neither as a graph nor lazily opened is it ever held whole.
    weights
        A row for each plane.
    made
        How many sums there are.
    dtype
        Of the sums.

    Returns
    -------
    list of xr.DataArray
        One image for each sum.
    """
    plane = cube.isel({cube.dims[0]: 0}, drop=True)
    if not is_chunked(cube):
        group = max(GROUP // max(plane.size, 1), 1)
        total = np.zeros((made, *plane.shape), dtype)
        for start in range(0, cube.shape[0], group):
            part = slice(start, start + group)
            total += kernel(cube[part].values, weights[part])
        return [_label_like(plane, one, np.dtype(dtype)) for one in total]
    import dask.array as da

    rows = da.from_array(weights, chunks=(cube.data.chunks[0], -1))
    parts = da.blockwise(
        partial(_sum_group, kernel),
        "zkyx",
        cube.data,
        "zyx",
        rows,
        "zw",
        new_axes={"k": made},
        adjust_chunks={"z": lambda size: 1},
        concatenate=True,
        dtype=dtype,
        meta=np.empty((0, 0, 0, 0), dtype),
    )
    summed = parts.sum(axis=0)
    return [_label_like(plane, summed[number], np.dtype(dtype)) for number in range(made)]


GROUP = 1 << 24
"""Numbers of a cube that are held at a time."""


def _sum_group(kernel: Kernel, planes: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[Any]:
    return np.asarray(kernel(planes, weights))[None]


def reduce_images(reduction: Reduction, *images: xr.DataArray) -> Any:
    """Reduce whole images to few numbers, exactly.

    Returns
    -------
    object
        What `reduction.finish` gives; a `dask.delayed.Delayed` of it if any image is chunked.
    """
    if not _is_lazy(images, {}):
        state = reduction.start()
        whole = (slice(0, images[0].shape[0]), slice(0, images[0].shape[1]))
        arrays = tuple(np.asarray(image.data) for image in images)
        block = Block(arrays, whole, (0, 0), get_origin(images[0]), arrays[0].shape)
        while not reduction.is_done(state):
            state = reduction.advance(state, reduction.look(state, block))
        return reduction.finish(state)
    return _reduce_lazily(reduction, images)


def label_number(
    value: Any, name: str, units: str, dims: tuple[str, ...] = (), shape: tuple[int, ...] = ()
) -> xr.DataArray:
    """Return a measured number, or small array, as a labelled one, lazy if the number is."""
    if isinstance(value, Delayed):
        import dask.array as da

        value = da.from_delayed(value, shape, dtype=float)
    else:
        value = np.asarray(value, dtype=np.float64)
    return xr.DataArray(value, dims=dims, name=name, attrs={"units": units})


def _unwrap_number(value: Any) -> Any:
    """Return a labelled number as a plain float (a 0-d array would make float32 images float64)."""
    if not isinstance(value, xr.DataArray):
        return value
    plain: Callable[[Any], Any] = np.asarray if value.ndim else float
    if is_chunked(value):
        return delayed(plain, pure=True)(value.data.to_delayed().item())
    return plain(value)


def _is_lazy(images: Sequence[xr.DataArray], parameters: dict[str, Any]) -> bool:
    return any(is_chunked(image) for image in images) or any(
        isinstance(value, Delayed) for value in parameters.values()
    )


def _rechunk(array: Any, chunks: Any) -> Any:
    # Left to choose, dask loads `distributed` to ask whether there is a cluster; and shuffling
    # through it is for arrays whose every chunk changes.
    return array.rechunk(chunks, method="tasks")


def _limit_depth(depth: int, shape: tuple[int, ...]) -> list[int]:
    """Return how far to look along each axis: dask refuses more neighbours than there are."""
    return [min(depth, size) for size in shape]


def _unify(images: Sequence[xr.DataArray]) -> list[Any]:
    """Return the images' dask arrays with the chunks of the first chunked one."""
    import dask.array as da

    chunked = next((image for image in images if is_chunked(image)), None)
    chunks: Any = chunked.data.chunks if chunked is not None else DEFAULT_CHUNK
    return [
        _rechunk(image.data, chunks)
        if is_chunked(image)
        else da.from_array(image.data, chunks=chunks)
        for image in images
    ]


def _run_window(
    kernel: Kernel, dtype: np.dtype[Any], *operands: NDArray[Any], **parameters: Any
) -> NDArray[Any]:
    """Run a kernel on a window; the operands are its images, then its rows and its columns."""
    *arrays, rows, columns = operands
    origin = (int(rows.flat[0]), int(columns.flat[0])) if arrays[0].size else (0, 0)
    return kernel(*arrays, origin=origin, **parameters).astype(dtype, copy=False)


def _run_by_bands(
    kernel: Kernel, dtype: np.dtype[Any], *operands: NDArray[Any], **parameters: Any
) -> NDArray[Any]:
    """Run a pixelwise kernel on some rows after the other, whose temporaries stay in the cache.

    The operands are 2-D images and then, if any, their rows and columns.
    """
    images = [operand for operand in operands if operand.ndim == 2]
    labels = operands[len(images) :]
    height = len(images[0])
    made = np.empty(images[0].shape, dtype)
    first = int(labels[0][0]) if labels and height else 0
    # Bands end where cells do: a kernel that works cell by cell meets each once.
    for start, stop in pairwise([0, *range(BAND - first % BAND, height, BAND), height]):
        part = slice(start, stop)
        places = [label[part] if axis == 0 else label for axis, label in enumerate(labels)]
        made[part] = kernel(*(image[part] for image in images), *places, **parameters)
    return made


def _label_positions(image: xr.DataArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    y0, x0 = get_origin(image)
    return np.arange(y0, y0 + image.shape[0]), np.arange(x0, x0 + image.shape[1])


def _label_like(image: xr.DataArray, data: Any, dtype: np.dtype[Any]) -> xr.DataArray:
    return xr.DataArray(data.astype(dtype, copy=False), coords=image.coords, dims=image.dims)


def _list_slices(chunks: Sequence[int]) -> list[slice]:
    edges = np.concatenate([[0], np.cumsum(chunks)]).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _run_tile(
    kernel: Kernel,
    piece: NDArray[Any],
    source: Grid,
    target: Grid,
    *,
    dtype: np.dtype[Any],
    parameters: dict[str, Any],
) -> NDArray[Any]:
    return kernel(piece, source, target, **parameters).astype(dtype, copy=False)


@dataclass(frozen=True)
class _Span:
    """One chunk's place along one axis: what it owns, and the window it is given."""

    start: int
    stop: int
    window_start: int

    @property
    def core(self) -> slice:
        return slice(self.start - self.window_start, self.stop - self.window_start)


def _look_at_block(
    state: Any,
    arrays: Sequence[NDArray[Any]],
    row: _Span,
    column: _Span,
    *,
    reduction: Reduction,
    origin: tuple[int, int],
    shape: tuple[int, int],
) -> Any:
    if reduction.is_done(state):
        return None
    block = Block(tuple(arrays), (row.core, column.core), (row.start, column.start), origin, shape)
    return reduction.look(state, block)


def _advance(reduction: Reduction, state: Any, merged: Any) -> Any:
    return state if merged is None else reduction.advance(state, merged)


def _merge_some(reduction: Reduction, partials: Sequence[Any]) -> Any:
    merged = None
    for part in partials:
        if part is not None:
            merged = part if merged is None else reduction.merge(merged, part)
    return merged


def _finish(reduction: Reduction, state: Any) -> Any:
    if not reduction.is_done(state):
        message = f"{type(reduction).__name__} was not done after {reduction.passes} passes"
        raise RuntimeError(message)
    return reduction.finish(state)


def _align_chunks(chunks: Sequence[int], cell: int, least: int) -> tuple[int, ...]:
    """Return chunks near the given ones that begin at multiples of `cell`, none under `least`."""
    total = sum(chunks)
    size = max(max(chunks) // cell, 1) * cell
    size = max(size, -(-least // cell) * cell)
    count = max(total // size, 1)
    sizes = [size] * (count - 1)
    return (*sizes, total - sum(sizes))


def _reduce_lazily(
    reduction: Reduction, images: Sequence[xr.DataArray], fan_in: int = 8
) -> Delayed:
    import dask.array as da

    arrays = _unify(images)
    shape = arrays[0].shape
    if reduction.cell > 1 or reduction.depth:
        aligned = tuple(
            _align_chunks(chunks, reduction.cell, reduction.depth) for chunks in arrays[0].chunks
        )
        arrays = [_rechunk(array, aligned) for array in arrays]
    spans = [
        [_Span(s.start, s.stop, max(s.start - reduction.depth, 0)) for s in _list_slices(chunks)]
        for chunks in arrays[0].chunks
    ]
    if reduction.depth:
        depths = dict(enumerate(_limit_depth(reduction.depth, shape)))
        arrays = [da.overlap.overlap(array, depths, "none") for array in arrays]
    look = partial(_look_at_block, reduction=reduction, origin=get_origin(images[0]), shape=shape)
    name = f"{type(reduction).__name__}-{tokenize(reduction, *(array.name for array in arrays))}"
    keys = [array.__dask_keys__() for array in arrays]
    # Written out as plain tasks: dask's own wrappers would go through all passes again for each.
    state: Any = (f"start-{name}",)
    graph: dict[Any, Any] = {state: (reduction.start,)}
    for number in range(reduction.passes):
        parts = []
        for i, row in enumerate(spans[0]):
            for j, column in enumerate(spans[1]):
                parts.append((f"look-{name}", number, i, j))
                blocks = [rows[i][j] for rows in keys]
                graph[parts[-1]] = (look, state, blocks, row, column)
        while len(parts) > 1:
            groups = [parts[i : i + fan_in] for i in range(0, len(parts), fan_in)]
            parts = [(f"merge-{name}", number, len(parts), i) for i in range(len(groups))]
            graph |= {
                part: (_merge_some, reduction, group)
                for part, group in zip(parts, groups, strict=True)
            }
        before, state = state, (f"advance-{name}", number)
        graph[state] = (_advance, reduction, before, parts[0])
    graph[name] = (_finish, reduction, state)
    # A layer of the result's own name: blockwise takes the one for the other.
    return Delayed(name, HighLevelGraph.from_collections(name, graph, dependencies=arrays))
