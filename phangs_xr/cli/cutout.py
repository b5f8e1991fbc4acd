"""`phangs-xr cutout`: a window of a map, as FITS and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phangs_xr.cli.console import set_up_logging, show_line
from phangs_xr.cli.options import Debug, Directory, Log, Quiet
from phangs_xr.schema import GRIDS, PRODUCTS


def _complete_product(incomplete: str) -> list[str]:
    return [
        name for name, one in PRODUCTS.items() if one.grid in GRIDS and name.startswith(incomplete)
    ]


def cutout(
    directory: Directory,
    at: Annotated[
        str,
        typer.Option("--at", help="Position: '01h36m41.7s +15d47m01s', or '24.17 15.78' in deg."),
    ],
    size: Annotated[float, typer.Option("--size", help="Side of the window in arcsec.")] = 20.0,
    product: Annotated[
        str | None,
        typer.Option(
            "--map",
            help="Which product; the recipe's best map if not.",
            autocompletion=_complete_product,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="BASENAME", help="Files to write, without .fits and .png."),
    ] = None,
    distance: Annotated[
        float | None, typer.Option(help="Of the galaxy in Mpc; that of its configuration if not.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Cut a window out of a map of a finished run: FITS, with its error, and a picture."""
    from phangs_xr.qa.export_cutout import export_cutout, read_position

    set_up_logging(quiet, debug)
    made = export_cutout(directory, read_position(at), size, product, out, distance)
    height, width = made.shape
    show_line(
        f"wrote {', '.join(map(str, made.paths))}: {height} x {width} pixels of {made.product}"
    )
