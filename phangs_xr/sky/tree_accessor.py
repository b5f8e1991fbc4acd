"""The accessor `.sky` of a tree of images: what lies where, as a table that notebooks show."""

from __future__ import annotations

import html
from collections.abc import Iterator

import numpy as np
import xarray as xr

from phangs_xr.drawing.format_units import format_unit
from phangs_xr.errors import GridError
from phangs_xr.sky.grid import Grid, get_grid

_HEADINGS = ("map", "what it is", "unit", "resolution", "pixels", "on the sky")


@xr.register_datatree_accessor("sky")
class SkyTreeAccessor:
    """The images of a field, in words: `field.sky` at the end of a notebook's cell shows them.

    Nothing is computed.

    Parameters
    ----------
    tree
        As `phangs_xr.open_field`, `run` or `open_store` return it.
    """

    def __init__(self, tree: xr.DataTree) -> None:
        self._tree = tree

    def list_maps(self) -> list[dict[str, str]]:
        """Return a row for each image with a place on the sky.

        Each has `map`, its path in the tree; `what it is`; its `unit` as people write it; its
        `resolution`, the FWHM of its point-spread function where that is known; its `pixels`, how
        many and how large; and how much it covers `on the sky`.
        """
        return list(self._find_maps())

    def _find_maps(self) -> Iterator[dict[str, str]]:
        for node in self._tree.subtree:
            for name, image in node.data_vars.items():
                if image.ndim != 2:
                    continue
                try:
                    grid = get_grid(image)
                except GridError:
                    continue
                path = f"{node.path}/{name}".lstrip("/")
                yield dict(zip(_HEADINGS, _describe(path, image, grid), strict=True))

    def __repr__(self) -> str:
        """Return the table as plain text."""
        return "\n".join("  ".join(row.values()) for row in self.list_maps())

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        left = "text-align:left"
        head = "".join(f"<th style='{left}'>{one}</th>" for one in _HEADINGS)
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td style='text-align:left'>{html.escape(one)}</td>" for one in row.values()
            )
            + "</tr>"
            for row in self.list_maps()
        )
        title = html.escape(str(self._tree.attrs.get("galaxy", "")))
        recipe = html.escape(str(self._tree.attrs.get("recipe", "")))
        return (
            f"<div><b>{title}</b> {recipe}<table><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table></div>"
        )


def _describe(path: str, image: xr.DataArray, grid: Grid) -> tuple[str, ...]:
    pixel = float(np.sqrt(grid.pixel_area))
    ny, nx = grid.shape
    fwhm = image.attrs.get("fwhm")
    return (
        path,
        str(image.attrs.get("long_name", "")),
        format_unit(str(image.attrs.get("units", ""))),
        "" if fwhm is None else f"{float(fwhm):.3g}″",
        f"{ny} × {nx} of {pixel:.3g}″",
        f"{_format_side(nx * pixel)} × {_format_side(ny * pixel)}",
    )


def _format_side(arcsec: float) -> str:
    return f"{arcsec:.3g}″" if arcsec < 60 else f"{arcsec / 60:.3g}′"
