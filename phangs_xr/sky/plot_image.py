"""An image on paper, with its sky: RA and Dec, a colour bar in its unit, a scale bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.drawing.average_blocks import average_blocks, choose_factor
from phangs_xr.drawing.colours import FLUX_MAP, SKY_COLOUR
from phangs_xr.drawing.format_units import format_unit
from phangs_xr.drawing.scale_bar import choose_round, format_length
from phangs_xr.drawing.stretch import Stretch, choose_stretch
from phangs_xr.errors import GridError, InputError
from phangs_xr.schema import FLUX, FLUX_DENSITY
from phangs_xr.sky.grid import ONE_GRID_TOLERANCE, Grid, get_grid

if TYPE_CHECKING:
    from astropy.visualization.wcsaxes import WCSAxes

SIDE = 1500
"""Most pixels along a side of what is drawn: more than a page or a screen shows."""

CHUNK = 2000
"""Side of the tiles by which an image is read that has no chunks [pixel]."""

_AXES = {"RA": ("RA", "Dec"), "GLON": ("l", "b")}
"""How the axes of a system are named, by the type of its longitude."""

_EDGES = ("left", "bottom", "right", "top")


def plot_image(
    image: xr.DataArray,
    ax: WCSAxes | None = None,
    *,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str = FLUX_MAP,
    scale_bar: bool = True,
    distance: float | None = None,
) -> WCSAxes:
    """Draw an image on axes of RA and Dec, with an asinh stretch.

    Drawn are the means of square blocks, at most 1500 along a side, found in one pass in which no
    more is held than the chunks at work.

    Parameters
    ----------
    image
        2-D, with `wcs`; lazy or in memory.
    ax
        To draw on, made with `projection=image.sky.wcs` or with that of an image of which this is
        a window; a new figure's if None. Its pixels are those of that projection.
    vmin, vmax
        Values of the darkest and the brightest colour [unit of the image]; if None the faintest
        per cent and the brightest two per mille of what is drawn.
    cmap
        Name of Matplotlib's colour map.
    scale_bar
        Whether to draw a bar of a round number of arcsec.
    distance
        To what is seen [Mpc], to tell the bar's length in parsec too.

    Returns
    -------
    WCSAxes
        The axes; pixels without data are grey.

    Raises
    ------
    GridError
        If the image has no `wcs`, or the axes are not of its projection.
    InputError
        If `vmin` is not below `vmax`, or `distance` is not positive.
    """
    grid = get_grid(image)
    require_distance(distance)
    if ax is None:
        ax = _make_axes(grid)
    edges = _find_edges(grid, ax)
    means, covered = reduce_to_drawing(image)
    stretch = _limit_stretch(choose_stretch(means), vmin, vmax)
    drawn = ax.imshow(
        stretch.apply(means),
        cmap=cmap,
        vmin=stretch.limits[0],
        vmax=stretch.limits[1],
        origin="lower",
        interpolation="none",
        extent=_extend(edges, grid.shape, covered),
    )
    ax.set_facecolor(SKY_COLOUR)
    ax.set_xlim(*edges[:2])
    ax.set_ylim(*edges[2:])
    _label_axes(ax, grid)
    ax.set_title(str(image.attrs.get("long_name") or image.name or ""), wrap=True)
    _add_colour_bar(ax, drawn, stretch, str(image.attrs.get("units", "")))
    if scale_bar:
        _add_scale_bar(ax, edges, grid, distance)
    return ax


def require_distance(distance: float | None) -> None:
    """Refuse a distance [Mpc] that is none."""
    if distance is not None and not 0 < distance < np.inf:
        raise InputError(f"expected a positive distance [Mpc], found {distance}: correct it")


def reduce_to_drawing(image: xr.DataArray) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return the means of an image's blocks, and the rows and columns of the image they cover.

    The last blocks may reach beyond the image. A graph is computed once, chunk by chunk.
    """
    image = image.transpose("y", "x")
    sides = [max(lengths) for lengths in image.chunks or ((CHUNK,), (CHUNK,))]
    shape = (image.sizes["y"], image.sizes["x"])
    factor = choose_factor(shape, SIDE, min(sides))
    if image.chunks is None and max(shape) <= CHUNK:
        means = _average(image.values, factor)
    else:
        # Blocks must not straddle chunks.
        lengths = {
            axis: max(side // factor, 1) * factor for axis, side in zip("yx", sides, strict=True)
        }
        pixels = (image if image.chunks else image.chunk(lengths)).data
        # Left to choose how, dask would load `distributed` to ask whether there is a cluster.
        pixels = pixels.rechunk(tuple(lengths.values()), method="tasks")
        chunks = tuple(tuple(-(-length // factor) for length in axis) for axis in pixels.chunks)
        empty = np.empty((0, 0), np.float32)
        reduced = pixels.map_blocks(_average, factor, dtype=np.float32, chunks=chunks, meta=empty)
        means = np.asarray(reduced.compute())
    return means, (means.shape[0] * factor, means.shape[1] * factor)


def _average(pixels: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Average pixels of any type."""
    numbers = pixels if pixels.dtype.kind == "f" else pixels.astype(np.float32)
    return average_blocks(numbers, factor)


def _make_axes(grid: Grid) -> WCSAxes:
    """Make a figure with room for the labels around an image of this shape."""
    from matplotlib import pyplot

    ny, nx = grid.shape
    height = float(np.clip(4.6 * ny / nx, 1.2, 9.0))
    width = float(np.clip(height * nx / ny, 1.2, 4.6))
    left, right, bottom, top = 1.3, 1.1, 0.65, 0.6
    whole = (left + width + right, bottom + height + top)
    figure = pyplot.figure(figsize=whole)
    place = (left / whole[0], bottom / whole[1], width / whole[0], height / whole[1])
    return figure.add_axes(place, projection=grid.to_wcs())


def _find_edges(grid: Grid, ax: Any) -> tuple[float, ...]:
    """Return left, right, bottom and top of an image in the pixels of axes.

    Raises
    ------
    GridError
        If the axes do not show the sky, or another projection of it.
    """
    message = "expected axes of the image's own projection, found {}: make them with {}".format
    remedy = "plt.subplot(projection=image.sky.wcs)"
    wcs = getattr(ax, "wcs", None)
    if wcs is None or not hasattr(wcs, "all_world2pix"):
        raise GridError(message(f"{type(ax).__name__} without a WCS of FITS", remedy))
    ny, nx = grid.shape
    columns = np.array([0, nx - 1, 0, nx - 1, (nx - 1) / 2]) + np.array([-0.5, 0.5, -0.5, 0.5, 0])
    rows = np.array([0, 0, ny - 1, ny - 1, (ny - 1) / 2]) + np.array([-0.5, -0.5, 0.5, 0.5, 0])
    lon, lat = grid.to_sky(rows, columns)
    world = (lon, lat) if wcs.wcs.lng == 0 else (lat, lon)
    x, y = wcs.all_world2pix(*world, 0)
    edges = (float(x[0]), float(x[3]), float(y[0]), float(y[3]))
    left, right, bottom, top = edges
    straight = [left, right, left, right, (left + right) / 2]
    upright = [bottom, bottom, top, top, (bottom + top) / 2]
    off = max(np.abs(x - straight).max(), np.abs(y - upright).max())
    if not (off <= ONE_GRID_TOLERANCE and left < right and bottom < top):
        raise GridError(message("another", remedy))
    return edges


def _extend(
    edges: tuple[float, ...], shape: tuple[int, int], covered: tuple[int, int]
) -> tuple[float, ...]:
    """Return the edges of what is drawn, whose last blocks reach beyond the image."""
    left, right, bottom, top = edges
    return (
        left,
        left + (right - left) * covered[1] / shape[1],
        bottom,
        bottom + (top - bottom) * covered[0] / shape[0],
    )


def _limit_stretch(found: Stretch, vmin: float | None, vmax: float | None) -> Stretch:
    if vmin is None and vmax is None:
        return found
    low = found.low if vmin is None else float(vmin)
    high = found.high if vmax is None else float(vmax)
    if not -np.inf < low < high < np.inf:
        raise InputError(
            f"expected vmin below vmax, found {low:g} and {high:g}: correct one of them"
        )
    return Stretch.between(low, high)


def _label_axes(ax: Any, grid: Grid) -> None:
    wcs = grid.to_wcs().wcs
    names = _AXES.get(wcs.lngtyp, (wcs.lngtyp, wcs.lattyp))
    for index, name in zip((wcs.lng, wcs.lat), names, strict=True):
        coordinate = ax.coords[int(index)]
        coordinate.set_axislabel(name)
        coordinate.set_ticks(number=4)
        coordinate.set_ticklabel(exclude_overlapping=True)


def _add_colour_bar(ax: Any, drawn: Any, stretch: Stretch, units: str) -> None:
    place = ax.inset_axes((1.03, 0.0, 0.04, 1.0))
    bar = ax.figure.colorbar(drawn, cax=place, extend="both")
    values, names = zip(*stretch.ticks, strict=True) if stretch.ticks else ((), ())
    bar.set_ticks(values, labels=names)
    bar.minorticks_off()
    # Fluxes are those of whole pixels.
    bar.set_label(format_unit(units) + (" per pixel" if units in (FLUX, FLUX_DENSITY) else ""))


def _add_scale_bar(ax: Any, edges: tuple[float, ...], grid: Grid, distance: float | None) -> None:
    from matplotlib.patheffects import withStroke

    left, right, bottom, top = edges
    scale = float(np.sqrt(grid.pixel_area)) * grid.shape[1] / (right - left)
    arcsec = choose_round(0.25 * (right - left) * scale)
    x, y = left + 0.05 * (right - left), bottom + 0.05 * (top - bottom)
    length = arcsec / scale
    # Readable on the brightest nebula as on empty sky.
    around = [withStroke(linewidth=3, foreground="black", alpha=0.6)]
    ax.plot([x, x + length], [y, y], color="white", linewidth=2.5, path_effects=around)
    ax.annotate(
        format_length(arcsec, distance),
        (x, y),
        (0, 4),
        textcoords="offset points",
        ha="left",
        va="bottom",
        color="white",
        path_effects=around,
    )
