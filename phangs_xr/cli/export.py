"""`phangs-xr export`: what a run found, in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phangs_xr.cli.console import set_up_logging, show_line
from phangs_xr.cli.make_runner import Place, make_runner
from phangs_xr.cli.options import Debug, Directory, Log, Quiet
from phangs_xr.errors import InputError


def export(
    directory: Directory,
    regions: Annotated[
        bool, typer.Option("--regions", help="The nebulae, as polygons for DS9 and CARTA.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write; {galaxy}_nebulae.reg beside the store if not."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Write the outlines of a finished run's nebulae, with their fluxes, for other tools."""
    from phangs_xr.qa.export_regions import export_regions

    set_up_logging(quiet, debug)
    if not regions:
        raise InputError("expected what to export, found nothing: add --regions")
    with make_runner(Place(), quiet) as runner:
        path, nebulae, parts = export_regions(directory, out, runner)
    show_line(f"wrote {path} with {nebulae} nebulae in {parts} polygons")
